//! An append-only log of records that are durable when it says so.
//!
//! Owns the files of a directory: segments of one size whose room is taken in advance, which are used again; a length and
//! a checksum for each record; one sync for a group of records; recovery that cuts a torn tail and refuses damage; and a
//! rewrite that puts the live records in place of all others at once. Absent: what a record means, reading a single one,
//! and any runtime: the log has one thread of its own, and tells by calling back.
//!
//! Ours, since no crate that was looked at passes the faults in `power_cuts` and `tests`. okaywal 0.3.1 is the nearest: it
//! recycles segments and shares syncs, but a failed sync leaves those who wait hanging, the ends of its entries are outside
//! its checksums, a bad entry in the middle ends the reading without a word, and nothing locks the directory. raft-engine
//! 0.4.2, of 2024, panics when a sync fails, and brings protobuf and metrics of its own. commitlog never syncs a segment;
//! walrus syncs each append, or by a clock. None of them has files that tests can make faulty. A table of redb would keep
//! a tree up to date for what is only ever read at a start.

pub mod disk;
mod error;
mod files;
mod group;
mod log;
mod open;
#[cfg(test)]
mod power_cuts;
mod recovery;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{AppendError, OpenError};
pub use log::Log;

/// How a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What a segment takes, in bytes; a longer record than that does not fit the log. At least 4096.
    pub segment_bytes: u32,
    /// What the log may take, in bytes, in whole segments. While it is rewritten it takes at most twice that.
    pub max_bytes: u64,
}

impl Default for Options {
    /// Segments of 1 MiB, 64 MiB in all.
    fn default() -> Self {
        Self { segment_bytes: 1 << 20, max_bytes: 64 << 20 }
    }
}
