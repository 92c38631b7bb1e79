//! The bench's one clock: moments for deadlines, pauses between looks, and the date for the record.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Now, for deadlines and for the length of a measurement.
#[expect(clippy::disallowed_methods, reason = "the one clock read of the bench")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits between two looks at something that has no event to wait for.
#[expect(clippy::disallowed_methods, reason = "this program has nothing else to do in the meantime")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// The moment in UTC as `date` writes it in `format`.
pub(crate) fn date(format: &str) -> Result<String> {
    let output =
        xtask::command::program("date").args(["-u", format]).output().context("`date` did not run")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
