//! A send: the sentences of some files on their way into a balancer, known as a run. What the rooms tell each other and
//! the screen is in `progress`; only `journal` and `delivery` touch the outside.
//!
//! The life of a run, and the room of each step:
//!
//! | step | room | |
//! |---|---|---|
//! | planned: files become sentences, each with its place; the run gets its name | `plan` | pure |
//! | authored: an id and an author for each place, the same after a break | `author` | pure |
//! | journalled: what this run stores is noted, and left out when it is taken up again | `journal` | one file |
//! | delivered: posts, repeats, pauses, and the end | `delivery` | network and clock |
//! | paced: how fast, how long still | `pace` | pure |
//! | tallied: which node took how many, and why | `tally` | pure |
//!
//! The scripted form (`command/send.rs`) and the screen (`perform/run.rs`) lead a run through these steps.

pub mod author;
pub mod delivery;
pub mod journal;
pub mod pace;
pub mod plan;
mod progress;
pub mod tally;

pub use progress::{Done, End, Order, Progress};
