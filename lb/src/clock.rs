//! The one place where the balancer reads a clock, and where it draws identities, which are of a moment too.
//! Absent: timers; whoever waits does so with tokio.

#[cfg(test)]
pub(crate) mod held;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::http::header::HttpDate;
use uuid::Uuid;
use wire::{Date, SentenceId};

use crate::routing::Moment;

/// The present, for ages and deadlines. It is tokio's, so that a test which holds tokio's time holds this too.
#[expect(clippy::disallowed_methods, reason = "the one monotonic clock of the program")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The present by the wall clock, for what people read.
#[expect(clippy::disallowed_methods, reason = "the one wall clock of the program")]
pub(crate) fn wall() -> Date {
    #[cfg(test)]
    if let Some(wall) = held::wall() {
        return wall;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Date::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The present on both clocks, for a choice.
pub(crate) fn moment() -> Moment {
    Moment { now: now(), wall: wall() }
}

/// The present as the `Date` header writes it.
#[expect(clippy::disallowed_methods, reason = "the one wall clock of the program")]
pub(crate) fn http_date() -> String {
    HttpDate::from(SystemTime::now()).to_string()
}

/// A new identity, of version 7. Its random part comes from a cryptographic generator: whoever could guess the next id
/// could store another text under it first.
pub(crate) fn fresh_id() -> SentenceId {
    #[cfg(test)]
    if let Some(id) = held::fresh_id() {
        return id;
    }
    SentenceId(Uuid::now_v7())
}
