//! The programs of a run: where they come from, how they are started and ended, and what they have used.

pub(crate) mod account;
pub(crate) mod build;
pub(crate) mod running;
