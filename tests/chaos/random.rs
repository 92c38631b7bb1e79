//! PURE. Numbers that look random, drawn from a seed, so that a schedule and a client's draws can be had again. Absent:
//! the source of seeds.

/// One sequence of numbers: Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed for one user of it: a schedule, a client, a proxy. Those of two users are not alike.
    pub(crate) const fn of(seed: u64, user: u64) -> Self {
        let mut random = Self(seed ^ user.rotate_left(32));
        random.0 = random.draw();
        random
    }

    /// The next number.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        b ^ (b >> 31)
    }

    /// A number below `limit`, or 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.draw().checked_rem(limit).unwrap_or(0)
    }

    /// A number of `least..=most`; `least` when there is none.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below((most + 1).saturating_sub(least))
    }

    /// A place below `length`, or 0.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// One of some things; `None` when there are none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.place(from.len());
        from.get(place)
    }

    /// True so many times of a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_users_differ() {
        let first = |seed, user| {
            let mut random = Random::of(seed, user);
            [random.draw(), random.draw()]
        };
        assert_eq!(first(7, 1), first(7, 1));
        assert_ne!(first(7, 1), first(7, 2));
        assert_ne!(first(7, 1), first(8, 1));
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::of(3, 0);
        let drawn: std::collections::BTreeSet<u64> = (0..500).map(|_| random.between(5, 9)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        assert_eq!((random.below(0), random.between(4, 4), random.pick::<u8>(&[])), (0, 4, None));
        assert!(!random.chance(0) && random.chance(100));
    }
}
