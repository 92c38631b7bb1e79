//! The balancer: stores each sentence on the node chosen by count, then RAM, then CPU.
//!
//! A sentence's way: `door` (or `http`) → `worker` → `balancer` (`fleet` chooses and reserves by `policy`) → `lane` →
//! the node, and back through `reply`. A report's way: the node → `watch` → `fleet`. [`run`] ties them together on the
//! listener it is handed; flags, environment and signals are `main.rs`'s.

mod balancer;
mod clock;
pub mod config;
mod decisions;
mod door;
mod endpoint;
pub mod fleet;
mod http;
mod lane;
mod line;
pub mod policy;
mod problem;
mod reply;
mod serve;
mod watch;
mod whereabouts;
mod worker;

pub use serve::{Event, run};
