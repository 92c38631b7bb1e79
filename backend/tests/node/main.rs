//! Tests of a node from outside: the stores through their trait, the routes through HTTP, the program through its flags.
//!
//! One binary, so that the driver is linked once. What cannot run on a machine says so; see [`support::mongo`].
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a step that fails is a test that fails"
)]

mod cli;
mod copies;
mod damage;
mod faults;
mod haproxy;
mod kill;
mod memory;
mod mongo_outage;
mod observing;
mod posting;
mod reading;
mod store_contract;
mod support;
