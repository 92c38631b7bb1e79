//! The one place of this crate that reads a clock or draws a random number.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::send::author::Seed;

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one read of the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970 by the wall clock.
#[expect(clippy::disallowed_methods, reason = "the one read of the wall clock")]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What a new run makes its ids and authors from.
pub fn new_seed() -> Seed {
    Seed::from(Uuid::now_v7())
}
