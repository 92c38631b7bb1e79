//! Inserts whose end the server did not tell, as after a broken connection: when they can change nothing any more. Does no
//! I/O, and is told the time.

use std::time::{Duration, Instant};

use crate::fence::Pass;

/// How long the server must have answered again before an insert whose end it did not tell counts as over: what it had
/// received by then, it has carried out by then.
const SETTLE: Duration = Duration::from_secs(1);

/// Passes that cannot be given back yet.
#[derive(Debug, Default)]
pub(super) struct InDoubt {
    /// Since the server did not tell.
    untold: Vec<Pass>,
    /// Since when it answers again.
    settling: Vec<(Instant, Pass)>,
}

impl InDoubt {
    /// The server did not tell the end of the insert with this pass.
    pub(super) fn add(&mut self, pass: Pass) {
        self.untold.push(pass);
    }

    /// The server has answered at `now`.
    pub(super) fn answered(&mut self, now: Instant) {
        self.settling.retain(|(since, _)| now.saturating_duration_since(*since) < SETTLE);
        self.settling.extend(self.untold.drain(..).map(|pass| (now, pass)));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::clock;
    use crate::fence::Fence;

    #[test]
    fn a_pass_is_given_back_once_the_server_has_answered_for_a_while() {
        let (fence, mut in_doubt, now) = (Fence::new(1), InDoubt::default(), clock::instant());
        in_doubt.add(fence.enter(None).unwrap());
        let is_through = || fence.raise().now_or_never().is_some();
        assert!(!is_through(), "the server has not answered yet");
        in_doubt.answered(now);
        assert!(!is_through(), "what it received last may be under way");
        in_doubt.answered(now + SETTLE / 2);
        assert!(!is_through());
        in_doubt.answered(now + SETTLE);
        assert!(is_through());
    }
}
