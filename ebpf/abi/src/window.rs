//! PURE. The window of `show`, the one reader that lives in the kernel and so keeps its own.
//!
//! Two snapshots: the newer one is replaced once it is a second old, and the difference is always taken to the
//! older one. So several readers, however often they read, see a window of one second or more (the time since
//! load at first), and do not disturb one another.

/// Busy time of all CPUs together at one moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Nanoseconds of CLOCK_MONOTONIC; zero for none.
    pub taken_ns: u64,
    /// Sum over all CPUs, in nanoseconds.
    pub busy_ns: u64,
}

/// The two snapshots. Readers on two CPUs may store at once; what they store differs by microseconds only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The one that differences are taken to.
    pub older: Snapshot,
    /// The one that will take its place.
    pub newer: Snapshot,
}

const _: () = assert!(size_of::<Window>() == 4 * 8);

/// `show` adds up at most so many CPUs; the verifier's effort grows with this number.
pub const MAX_SHOWN_CPUS: u32 = 256;

/// A snapshot this old is replaced.
pub const MIN_WINDOW_NS: u64 = 1_000_000_000;

impl Window {
    /// Takes the difference to the older snapshot, moves the window on when it is time, and tells the time
    /// passed and the busy time in it. The first call finds no snapshot, and tells nothing.
    #[inline(always)]
    pub fn advance(&mut self, now: Snapshot) -> Option<Snapshot> {
        let age = now.taken_ns.saturating_sub(self.newer.taken_ns);
        if self.newer.taken_ns == 0 {
            *self = Self { older: now, newer: now };
            return None;
        }
        if age >= MIN_WINDOW_NS {
            self.older = self.newer;
            self.newer = now;
        }
        Some(Snapshot {
            taken_ns: now.taken_ns.saturating_sub(self.older.taken_ns),
            busy_ns: now.busy_ns.saturating_sub(self.older.busy_ns),
        })
    }
}

/// `part` of `whole` in hundredths of a percent, rounded down, at most the whole; zero when the whole is zero.
/// The kernel side has no 128-bit division, so large numbers are first made smaller together.
#[inline(always)]
#[must_use]
pub fn basis_points(part: u64, whole: u64) -> u64 {
    // 2^50 times 10 000 fits in 64 bits; 2^50 nanoseconds are 13 days. What is cut off is below 2^-30.
    let shift = if whole >> 50 == 0 { 0 } else { 14 };
    let whole = whole >> shift;
    let part = if part >> shift < whole { part >> shift } else { whole };
    part.wrapping_mul(10_000).checked_div(whole).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn readers_see_a_window_of_a_second_or_the_time_since_load(
            steps in proptest::collection::vec(1u64..3_000_000_000, 1..50)
        ) {
            let mut window = Window::default();
            let mut now = Snapshot { taken_ns: 5, busy_ns: 0 };
            prop_assert_eq!(window.advance(now), None);
            let loaded = now.taken_ns;
            let mut longest_gap = 0;
            for step in steps {
                now.taken_ns += step;
                // Busy half of the time: every window must say so, whoever reads and how often.
                now.busy_ns = (now.taken_ns - loaded) / 2;
                longest_gap = step.max(longest_gap);
                let seen = window.advance(now).unwrap();
                prop_assert!(seen.taken_ns >= MIN_WINDOW_NS.min(now.taken_ns - loaded));
                prop_assert!(seen.taken_ns <= 2 * MIN_WINDOW_NS.max(longest_gap) + longest_gap);
                prop_assert!(seen.busy_ns.abs_diff(seen.taken_ns / 2) <= 1);
            }
        }

        #[test]
        fn basis_points_agree_with_wide_arithmetic(part: u64, whole in 1u64..) {
            let part = part % whole;
            let exact = u64::try_from(u128::from(part) * 10_000 / u128::from(whole)).unwrap();
            prop_assert!(basis_points(part, whole).abs_diff(exact) <= u64::from(whole >> 50 != 0));
        }
    }

    #[test]
    fn basis_points_at_the_edges() {
        assert_eq!(basis_points(1, 0), 0);
        assert_eq!(basis_points(5, 4), 10_000);
        assert_eq!(basis_points(1, 3), 3333);
        assert_eq!(basis_points(u64::MAX, u64::MAX), 10_000);
    }
}
