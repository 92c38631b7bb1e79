//! The balancer: stores each sentence on the node chosen by count, then RAM, then CPU.
//!
//! A sentence's way: `door` (or `http`) → `sentence` → `worker` → `routing` (`fleet` chooses and reserves by `policy`) →
//! `worker/lane` → the node, and back through `answer`. A report's way: the node → `watch` → `fleet`. [`run`] ties them
//! together on the listener it is handed; flags, environment and signals are `main.rs`'s.

mod answer;
mod balancer;
mod buffers;
mod clock;
mod coarse_clock;
pub mod config;
mod counters;
mod decisions;
mod door;
mod doubt;
mod endpoint;
pub mod fleet;
mod homes;
mod http;
mod journal;
mod known_ids;
#[cfg(test)]
mod made_up;
mod network;
mod node_client;
pub mod policy;
mod problem;
mod random;
mod reconcile;
mod routing;
mod sentence;
mod serve;
#[cfg(test)]
mod simulation;
mod sweep;
mod turns;
mod watch;
mod worker;

pub use serve::{Event, run};
