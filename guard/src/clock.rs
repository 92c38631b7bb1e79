//! The one place where the crate reads clocks. The one of deadlines is tokio's, so that a test can hold it.

use std::time::SystemTime;

use httpdate::HttpDate;
use tokio::time::Instant;

/// The present, for deadlines.
#[expect(clippy::disallowed_methods, reason = "the one monotonic clock of the crate")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The present as the `date` header writes it.
#[expect(clippy::disallowed_methods, reason = "the one wall clock of the crate")]
pub(crate) fn http_date() -> String {
    HttpDate::from(SystemTime::now()).to_string()
}
