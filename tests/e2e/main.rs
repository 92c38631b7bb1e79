//! The end-to-end tests: real programs, real text, real faults. One module for each thing that must hold.
//!
//! They run the programs that `cargo build --workspace --bins` made; `cargo xtask test` builds them first.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod bad_input;
mod chaos;
mod compatibility;
mod config;
mod exactness;
mod failover;
mod hostile;
mod load;
mod mongodb;
mod readme;
mod sentence_journey;
