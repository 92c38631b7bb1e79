//! A send: the sentences of some files on their way into a balancer, known as a run. PURE: this file names the rooms
//! and holds what they tell each other and the screen; only `journal` and `delivery` below it touch the outside.
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
pub mod tally;

use serde::{Deserialize, Serialize};

use crate::cause::Cause;

/// What the one who started a run wants of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Run,
    /// Begin nothing new.
    Pause,
    /// End.
    Cancel,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A sentence was stored.
    Stored(Done),
    /// A sentence was not stored and is not sent again in this run.
    Failed {
        /// Its place in the run.
        index: usize,
        /// Why.
        cause: Cause,
    },
    /// A sentence is to be sent again.
    Waiting {
        /// Why it was not stored now.
        cause: Cause,
    },
}

/// A sentence that is stored. It is also a line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Its place in the run.
    pub index: usize,
    /// The node that holds it.
    pub node: String,
    /// Which part of the rule chose the node.
    pub filter: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Each sentence was stored or has failed.
    Complete,
    /// By order.
    Cancelled,
    /// The balancer was not reached for too long.
    Unreachable(Cause),
    /// The balancer answered, but could store nothing for too long.
    Stalled(Cause),
}
