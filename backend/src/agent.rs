//! HAProxy's agent-check: one line per connection that says how much of its weight the node should have.
//!
//! `up 75%` scales the server's weight by the idle share of the CPUs. An unknown share is no idle one and gives the
//! least weight. `drain` while the node stops, `maint` while its store takes nothing. HAProxy leaves neither state
//! before it hears `ready`, so the first minute after a start or a recovery says that word as well; later it is left
//! out, because it would also undo what an operator has set.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::clock;
use crate::report::Reporter;
use crate::sampler::Load;

/// How long `ready` is said after the node became ready. Longer than any sensible interval of checks.
const WELCOME: Duration = Duration::from_secs(60);
/// How long a checker may take to read its line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most bytes that a checker may say before it is hung up on.
const MOST_HEARD: u64 = 1024;
/// How often the node's state is looked at between checks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The least weight: none at all would take the node out, which only `drain` and `maint` should.
const LEAST_PERCENT: u8 = 1;

/// The node's state as a checker should take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopping,
    Faulty,
    /// Ready since then.
    Ready(Instant),
}

/// Listens on `address`.
///
/// # Errors
/// When the address cannot be had.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers checks for as long as it is polled.
pub async fn serve(listener: TcpListener, reporter: Arc<Reporter>) {
    let mut state = State::Ready(clock::instant());
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            // Without a look in between, a fault that came and went would leave the server in `maint`.
            _ = look.tick() => state = next(state, &reporter),
            accepted = listener.accept() => {
                // A checker that is gone again has nothing to be told.
                let Ok((mut checker, _)) = accepted else { continue };
                state = next(state, &reporter);
                let line = line(state, &reporter.load(), clock::instant());
                tokio::spawn(async move {
                    let told = async {
                        checker.write_all(line.as_bytes()).await?;
                        checker.shutdown().await?;
                        // Closing over unread words of the checker would take the line back.
                        tokio::io::copy(&mut checker.take(MOST_HEARD), &mut tokio::io::sink()).await
                    };
                    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, told).await {
                        tracing::debug!(%error, "an agent-check was not heard");
                    }
                });
            }
        }
    }
}

fn next(state: State, reporter: &Reporter) -> State {
    match (reporter.is_stopping(), reporter.not_ready_because(), state) {
        (true, ..) => State::Stopping,
        (false, Some(_), _) => State::Faulty,
        (false, None, State::Ready(since)) => State::Ready(since),
        (false, None, _) => State::Ready(clock::instant()),
    }
}

fn line(state: State, load: &Load, now: Instant) -> String {
    match state {
        State::Stopping => "drain\n".to_owned(),
        State::Faulty => "maint\n".to_owned(),
        State::Ready(since) => {
            let busy = load.cpu.filter(|_| load.is_valid(now)).map_or(100, wire::Share::percent);
            let weight = 100u8.saturating_sub(busy).max(LEAST_PERCENT);
            let welcome = if now.saturating_duration_since(since) < WELCOME { "ready " } else { "" };
            format!("{welcome}up {weight}%\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Share;

    #[test]
    fn the_weight_is_the_idle_share() {
        let now = clock::instant();
        let check = |busy: Option<u8>, age: Duration, expected: &str| {
            let load = Load { cpu: busy.and_then(Share::from_percent), ..Load::unknown() };
            assert_eq!(line(State::Ready(now), &load, now + age), expected);
        };
        check(Some(25), Duration::ZERO, "ready up 75%\n");
        check(Some(0), Duration::ZERO, "ready up 100%\n");
        check(Some(100), Duration::ZERO, "ready up 1%\n");
        check(None, Duration::ZERO, "ready up 1%\n");
        check(Some(25), Duration::from_secs(5), "ready up 1%\n");
        let fresh = Load { cpu: Share::from_percent(25), ..Load::unknown() };
        let since = now.checked_sub(WELCOME).unwrap();
        assert_eq!(line(State::Ready(since), &fresh, now), "up 75%\n");
        assert_eq!(line(State::Stopping, &fresh, now), "drain\n");
        assert_eq!(line(State::Faulty, &fresh, now), "maint\n");
    }
}
