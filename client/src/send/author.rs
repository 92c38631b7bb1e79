//! Who a sentence is sent as, and the id that it is sent under. PURE: both follow from a seed, so that a broken run that
//! is taken up again sends the same sentence as the same author under the same id.

use uuid::Uuid;
use wire::SentenceId;
use wire::contract::MAX_AUTHOR_BYTES;

/// The authors of the client of 2020.
pub const AUTHORS: [&str; 5] = ["User1", "User2", "User3", "User4", "User5"];

/// What ids and authors of one run are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seed {
    /// When the run began, in milliseconds since 1970.
    pub started_ms: u64,
    /// A number that no other run has.
    pub random: u64,
}

impl Seed {
    /// The id of the `index`th sentence of the run: a UUID of version 7, later for a later sentence.
    pub fn id(self, index: u64) -> SentenceId {
        // Twelve bits count sentences within a millisecond, as RFC 9562 (6.2) allows.
        let millis = self.started_ms.wrapping_add(index >> 12);
        let [low, high, ..] = (index & 0x0fff).to_le_bytes();
        let [a, b, c, d, e, f, g, h] = self.draw(index, 1).to_be_bytes();
        let bytes = [high, low, a, b, c, d, e, f, g, h];
        SentenceId(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }

    /// The author of the `index`th sentence of the run.
    pub fn author(self, index: u64) -> &'static str {
        let n_authors = AUTHORS.len() as u64;
        usize::try_from(self.draw(index, 2) % n_authors)
            .ok()
            .and_then(|n| AUTHORS.get(n))
            .unwrap_or(&AUTHORS[0])
    }

    /// A number between 0 and 1023 for the `index`th sentence, to spread repeats over time.
    pub fn jitter(self, index: u64) -> u32 {
        u32::try_from(self.draw(index, 3) % 1024).unwrap_or(0)
    }

    /// SplitMix64 over seed, index and purpose.
    fn draw(self, index: u64, purpose: u64) -> u64 {
        let mut z = self
            .random
            .wrapping_add(purpose.wrapping_mul(0xd1b5_4a32_d192_ed03))
            .wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl From<Uuid> for Seed {
    /// Reads the time and the random bits of a fresh UUID of version 7.
    fn from(fresh: Uuid) -> Self {
        let (high, random) = fresh.as_u64_pair();
        // The twelve bits beside the version are random too.
        Self { started_ms: high >> 16, random: random ^ (high & 0x0fff) << 50 }
    }
}

/// Checks an author given by the user.
///
/// # Errors
/// In words, when the balancer would refuse it.
pub fn check(author: &str) -> Result<String, String> {
    let author = author.trim();
    if author.is_empty() {
        return Err("the author is empty; write a name, or leave `--author` out".to_owned());
    }
    if author.len() > MAX_AUTHOR_BYTES {
        return Err(format!(
            "the author has {} bytes and the limit is {MAX_AUTHOR_BYTES}; shorten it",
            author.len()
        ));
    }
    Ok(author.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_author_is_drawn_about_as_often() {
        let seed = Seed { started_ms: 0, random: 7 };
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for index in 0..5000 {
            *counts.entry(seed.author(index)).or_default() += 1;
        }
        assert_eq!(counts.len(), 5);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn an_author_is_checked_as_the_balancer_does() {
        assert_eq!(check(" Ana ").unwrap(), "Ana");
        assert!(check(" ").unwrap_err().contains("empty"));
        assert!(check(&"é".repeat(129)).unwrap_err().contains("258 bytes"));
    }

    proptest! {
        #[test]
        fn ids_are_of_version_7_and_rise(started_ms in 0u64..1 << 47, random: u64, index in 0u64..1 << 40) {
            let seed = Seed { started_ms, random };
            let (this, next) = (seed.id(index), seed.id(index + 1));
            prop_assert_eq!(this.0.get_version_num(), 7);
            prop_assert!(this < next);
            prop_assert_eq!(this, seed.id(index));
        }

        #[test]
        fn two_runs_share_no_id(random: u64, other: u64, index in 0u64..1 << 40) {
            prop_assume!(random != other);
            let started_ms = 1_700_000_000_000;
            prop_assert_ne!(Seed { started_ms, random }.id(index), Seed { started_ms, random: other }.id(index));
        }
    }
}
