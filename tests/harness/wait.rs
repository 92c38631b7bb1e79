//! Waiting for a condition with a deadline, instead of sleeping and hoping.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take. Far above what it takes, since a loaded machine is no failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

/// Tries until `attempt` is right and gives its value; ends the test with the last reason at the deadline.
///
/// # Panics
/// When the condition does not hold within [`DEADLINE`]. The message says what was awaited and what was found.
pub async fn eventually<T, F, A>(awaited: &str, mut attempt: A) -> T
where
    F: Future<Output = Result<T, String>>,
    A: FnMut() -> F,
{
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(found) if start.elapsed() > DEADLINE => {
                panic!("not within {DEADLINE:?}: {awaited}; at the end: {found}")
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Blocks until `condition` holds, for tests without a runtime; see [`eventually`].
///
/// # Panics
/// As [`eventually`] does, and inside of a runtime, which it would stop.
pub fn until(awaited: &str, mut condition: impl FnMut() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(eventually(awaited, || {
        std::future::ready(if condition() { Ok(()) } else { Err("it does not hold".to_owned()) })
    }));
}
