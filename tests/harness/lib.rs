//! What tests of more than one process stand on: real programs in clusters, stubs of the old system, raw HTTP,
//! waiting with a deadline, and a check that nothing is lost, doubled or invented.
//!
//! Owns starting and ending programs and stubs. Absent: any assertion about Balanza itself; those are the tests'.
//! Every port is 0, every folder temporary, every wait has a deadline and a condition.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a broken harness ends its test")]
#![expect(clippy::print_stdout, reason = "the test runner shows it with a failed test")]
#![expect(
    clippy::disallowed_methods,
    reason = "deadlines and needs of tests read the clock and the environment"
)]

pub mod cluster;
pub mod http;
pub mod ledger;
pub mod mongo;
pub mod need;
pub mod old;
pub mod program;
pub mod stub;
pub mod texts;
pub mod wait;

pub use cluster::{Cluster, ClusterBuilder, Node};
pub use ledger::Ledger;
pub use old::{OldBalancer, OldNode};
pub use program::Program;
pub use wait::eventually;
