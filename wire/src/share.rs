//! A share of a whole in basis points. Integer and ordered, so that a tie is a tie.

use serde::{Deserialize, Serialize};

/// A share of a whole: 0 to 10,000 basis points, 100 to the percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Share(u16);

impl Share {
    /// The whole, 100 %.
    pub const WHOLE: Self = Self(10_000);
    /// Nothing of the whole, 0 %.
    pub const NONE: Self = Self(0);

    /// `points` basis points, or `None` above the whole.
    pub const fn from_basis_points(points: u16) -> Option<Self> {
        if points <= Self::WHOLE.0 { Some(Self(points)) } else { None }
    }

    /// `percent` percent, or `None` above 100.
    pub fn from_percent(percent: u8) -> Option<Self> {
        Self::from_basis_points(u16::from(percent) * 100)
    }

    /// `part` of `whole`, rounded down; `None` when the whole is 0 or the part is larger.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        let points = (u128::from(part) * 10_000).checked_div(u128::from(whole))?;
        Self::from_basis_points(u16::try_from(points).ok()?)
    }

    /// In basis points, 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// In whole percent, rounded down, as `/usage` shows it and as the rule compares it.
    #[expect(clippy::cast_possible_truncation, reason = "10,000 / 100 = 100, by this type's invariant")]
    pub const fn percent(self) -> u8 {
        (self.0 / 100) as u8
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let points = u16::deserialize(deserializer)?;
        Self::from_basis_points(points).ok_or_else(|| {
            serde::de::Error::custom(format_args!("{points} basis points are more than the whole (10000)"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_of_nothing_is_unknown_and_never_zero() {
        assert_eq!(Share::of(0, 0), None);
        assert_eq!(Share::of(2, 1), None);
        assert_eq!(Share::of(0, 1), Some(Share::NONE));
        assert_eq!(Share::of(u64::MAX, u64::MAX), Some(Share::WHOLE));
    }

    #[test]
    fn a_share_above_the_whole_does_not_decode() {
        let error = serde_json::from_str::<Share>("10001").unwrap_err().to_string();
        assert!(error.starts_with("10001 basis points are more than the whole"), "{error}");
    }

    proptest! {
        #[test]
        fn percent_is_the_share_rounded_down(part in 0u64..=1 << 60, rest in 1u64..=1 << 60) {
            let whole = part + rest;
            let share = Share::of(part, whole).unwrap();
            let exact = u128::from(part) * 100 / u128::from(whole);
            prop_assert_eq!(u128::from(share.percent()), exact);
        }

        #[test]
        fn shares_of_one_whole_order_as_their_parts(a in 0u64..1000, b in 0u64..1000) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(Share::of(low, 1000) <= Share::of(high, 1000));
        }
    }
}
