//! The one place of this crate that reads a clock or draws a random number.
//!
//! Everything else takes the moment, or one of these functions, as an argument.

use std::time::Instant;

use uuid::Uuid;
use wire::{Date, SentenceId, StoreId};

/// The wall clock, in UTC.
#[expect(clippy::disallowed_methods, reason = "the one read of the wall clock")]
pub fn now() -> Date {
    Date::from_unix_micros(jiff::Timestamp::now().as_microsecond())
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one read of the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// A new identity that orders by time.
pub fn new_id() -> SentenceId {
    SentenceId(Uuid::now_v7())
}

/// An identity for a new store. Unlike a sentence's it tells nothing, not even when it was made.
pub fn new_store_id() -> StoreId {
    StoreId(Uuid::new_v4())
}

/// The first number of this run's fence: no run that began earlier has come as far.
pub fn new_fence() -> u64 {
    now().unix_micros().unsigned_abs()
}

/// The name of this run of the process: no two runs share it.
pub fn new_epoch() -> String {
    Uuid::now_v7().simple().to_string()
}
