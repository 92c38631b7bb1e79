//! How fast a run goes and how long it has to go, smoothed over the last seconds. PURE.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The rate is taken over this long.
const WINDOW: Duration = Duration::from_secs(5);
/// Before this much is known, a rate would be a guess.
const LEAST: Duration = Duration::from_secs(2);
/// Readings closer together than this count as one.
const STEP: Duration = Duration::from_millis(100);

/// Readings of a counter over the last seconds.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    readings: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Notes how many sentences are done by now.
    pub fn note(&mut self, now: Instant, done: u64) {
        if self.readings.back().is_some_and(|(at, _)| now.duration_since(*at) < STEP) {
            return;
        }
        self.readings.push_back((now, done));
        while self.readings.len() > 2
            && self.readings.get(1).is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.readings.pop_front();
        }
    }

    /// Forgets what was, because the run stood still on purpose.
    pub fn restart(&mut self) {
        self.readings.clear();
    }

    /// Sentences per second; `None` before enough is known.
    pub fn per_second(&self) -> Option<u64> {
        let (done, millis) = self.span()?;
        done.saturating_mul(1000).checked_div(millis)
    }

    /// Time for `remaining` more, in seconds, rounded up; `None` before enough is known, or when nothing moves.
    pub fn seconds_left(&self, remaining: u64) -> Option<u64> {
        let (done, millis) = self.span()?;
        let millis_left = remaining.saturating_mul(millis).checked_div(done)?;
        Some(millis_left.div_ceil(1000))
    }

    fn span(&self) -> Option<(u64, u64)> {
        let ((first, before), (last, after)) = (self.readings.front()?, self.readings.back()?);
        let span = last.duration_since(*first);
        let millis = u64::try_from(span.as_millis()).ok()?;
        (span >= LEAST).then(|| (after.saturating_sub(*before), millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_run_has_its_rate_and_end() {
        let start = crate::clock::instant();
        let mut pace = Pace::default();
        for tenth in 0..100u32 {
            pace.note(start + Duration::from_millis(100) * tenth, u64::from(tenth) * 50);
            assert_eq!(pace.per_second().is_some(), tenth >= 20, "at {tenth}");
        }
        assert_eq!(pace.per_second(), Some(500));
        assert_eq!(pace.seconds_left(1200), Some(3));
        pace.restart();
        assert_eq!(pace.per_second(), None);
    }

    #[test]
    fn a_run_that_stands_has_no_end_in_sight() {
        let start = crate::clock::instant();
        let mut pace = Pace::default();
        for second in 0..10 {
            pace.note(start + Duration::from_secs(second), 7);
        }
        assert_eq!((pace.per_second(), pace.seconds_left(5)), (Some(0), None));
    }
}
