//! What tests of more than one process stand on: real programs in clusters, scripted nodes and balancers, raw HTTP,
//! waiting with a deadline, and a check that nothing is lost, doubled or invented.
//!
//! Owns starting and ending programs and stubs. Absent: any assertion about Balanza itself; those are the tests'. The
//! integration tests of `lb`, `client` and `backend` stand on it too, so it depends on `wire` and on nothing else of
//! ours. Every port is 0, every folder temporary, every wait has a deadline and a condition.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken harness ends its test"
)]
#![expect(clippy::print_stdout, reason = "the test runner shows it with a failed test")]
#![expect(
    clippy::disallowed_methods,
    reason = "deadlines and needs of tests read the clock and the environment"
)]

pub mod balancer;
pub mod cluster;
pub mod http;
pub mod ledger;
pub mod mongo;
pub mod need;
pub mod node;
pub mod old_balancer;
pub mod program;
pub mod raw;
pub mod script;
pub mod stub;
pub mod texts;
pub mod wait;

pub use balancer::ScriptedBalancer;
pub use cluster::{Cluster, ClusterBuilder, Node};
pub use ledger::Ledger;
pub use node::ScriptedNode;
pub use old_balancer::OldBalancer;
pub use program::Program;
pub use raw::Connection;
pub use script::{Script, Turn, Which};
pub use stub::{Manner, Response};
pub use wait::{eventually, until};
