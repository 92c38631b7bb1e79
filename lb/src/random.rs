//! PURE. Numbers that look random, drawn from a seed, so that a run can be repeated. They guard no secret. Absent: the
//! source of seeds.

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        // Spread, so that the sequences of neighbouring seeds do not begin alike; xorshift never leaves 0.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number: Marsaglia's xorshift64 (Journal of Statistical Software 8(14), 2003).
    pub(crate) fn draw(&mut self) -> u64 {
        let a = self.0 ^ (self.0 << 13);
        let b = a ^ (a >> 7);
        self.0 = b ^ (b << 17);
        self.0
    }

    /// A number below `limit`, or 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The low bits are the weakest.
        (self.draw() >> 11).checked_rem(limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_neighbours_differ() {
        let first = |seed| {
            let mut random = Random::new(seed);
            [random.draw(), random.draw(), random.below(10)]
        };
        assert_eq!(first(7), first(7));
        assert_ne!(first(0), first(1));
        let mut random = Random::new(3);
        let mut seen = [false; 6];
        for _ in 0..200 {
            seen[usize::try_from(random.below(6)).unwrap()] = true;
        }
        assert_eq!((seen, random.below(0)), ([true; 6], 0));
    }
}
