//! PURE. How long a node may take for an answer before it is taken for silent: a multiple of what answers have taken of
//! late. Where all are slow, the machine is, and nobody is to blame. Absent: clocks, and what follows from silence.

use std::cell::Cell;
use std::time::Duration;

/// A node that takes so many times as long as the longest answer of late, of any node, is taken for silent.
const TIMES: u32 = 8;
/// But none is within this, which any node may take once in a while.
pub(super) const LEAST: Duration = Duration::from_millis(200);
/// What each sentence of a post adds to that.
const EACH: Duration = Duration::from_micros(250);

/// The longest answer of late; what is long ago counts less and less. Nothing was answered yet at the beginning.
#[derive(Default)]
pub(super) struct Slowest(Cell<Option<Duration>>);

impl Slowest {
    /// An answer took so long.
    pub(super) fn took(&self, time: Duration) {
        let faded = self.0.get().unwrap_or_default() * 31 / 32;
        self.0.set(Some(faded.max(time)));
    }

    /// The longest of late; `None` before the first.
    pub(super) fn of_late(&self) -> Option<Duration> {
        self.0.get()
    }

    /// How long the next answer, about so many sentences, may take, where answers of anybody have taken `anybodys` of
    /// late. Whoever has not answered yet has all of `patience`, and nobody has more.
    pub(super) fn may_take(&self, anybodys: Duration, sentences: usize, patience: Duration) -> Duration {
        let Some(own) = self.of_late() else { return patience };
        let each = EACH * u32::try_from(sentences).unwrap_or(u32::MAX);
        let times = own.max(anybodys).saturating_mul(TIMES);
        times.max(LEAST).saturating_add(each).min(patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn who_has_answered_is_measured_by_the_slowest_of_late() {
        let slowest = Slowest::default();
        assert_eq!(slowest.may_take(millis(1), 1, PATIENCE), PATIENCE, "nothing is known of it");
        slowest.took(millis(5));
        assert_eq!(slowest.may_take(Duration::ZERO, 0, PATIENCE), LEAST);
        assert_eq!(slowest.may_take(millis(50), 0, PATIENCE), millis(400), "the others are slow too");
        assert_eq!(slowest.may_take(Duration::ZERO, 1_000, PATIENCE), LEAST + millis(250));
        slowest.took(millis(100));
        assert_eq!(slowest.may_take(Duration::ZERO, 0, PATIENCE), millis(800));
        (0..100).for_each(|_| slowest.took(millis(5)));
        assert_eq!(slowest.may_take(Duration::ZERO, 0, PATIENCE), LEAST, "what is long ago is forgotten");
    }

    proptest! {
        #[test]
        fn nobody_has_less_than_the_least_or_more_than_the_patience(
            answers in proptest::collection::vec(0..100_000_000u64, 0..20), anybodys: u64, sentences: usize
        ) {
            let slowest = Slowest::default();
            answers.iter().for_each(|micros| slowest.took(Duration::from_micros(*micros)));
            let may_take = slowest.may_take(Duration::from_micros(anybodys), sentences, PATIENCE);
            prop_assert!(may_take >= LEAST && may_take <= PATIENCE);
        }
    }
}
