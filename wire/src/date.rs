//! A moment as the wire writes it: `2020-10-08 16:51:30.506529`, in UTC, to the microsecond.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A moment in UTC with microsecond resolution, written in the form of the old system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

/// Why a text is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date; write it as `2020-10-08 16:51:30.506529`, in UTC")]
pub struct DateError(String);

impl Date {
    /// Microseconds since 1970-01-01 UTC; clamped to the years that the form can write, -9999 to 9999.
    pub fn from_unix_micros(micros: i64) -> Self {
        let least = Timestamp::MIN.as_microsecond();
        let most = Timestamp::MAX.as_microsecond();
        Self(micros.clamp(least, most))
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whether a text is a date exactly as it is written here, at a glance.
    pub fn is_written(text: &str) -> bool {
        const FORM: &[u8] = b"dddd-dd-dd dd:dd:dd.dddddd";
        let bytes = text.as_bytes();
        let fits =
            |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
        if bytes.len() != FORM.len() || !bytes.iter().zip(FORM).all(fits) {
            return false;
        }
        let number = |at: usize, len: usize| {
            let digits = bytes.get(at..at + len).unwrap_or_default();
            digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(*digit - b'0'))
        };
        let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u16::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day) && number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60
    }

    fn civil(self) -> DateTime {
        let timestamp = Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        TimeZone::UTC.to_datetime(timestamp)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.subsec_nanosecond() / 1000
        )
    }
}

impl FromStr for Date {
    type Err = DateError;

    /// Reads the written form; the fraction may be absent, as Python's `str(datetime)` leaves out a zero one.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let civil = text.parse::<DateTime>().map_err(|_| DateError(text.to_owned()))?;
        let timestamp = TimeZone::UTC.to_timestamp(civil).map_err(|_| DateError(text.to_owned()))?;
        Ok(Self(timestamp.as_microsecond()))
    }
}

impl Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_old_form_is_kept_to_the_letter() {
        let date: Date = "2020-10-08 16:51:30.506529".parse().unwrap();
        assert_eq!(date.unix_micros(), 1_602_175_890_506_529);
        assert_eq!(date.to_string(), "2020-10-08 16:51:30.506529");
        assert_eq!("2020-10-08 16:51:30".parse::<Date>().unwrap().to_string(), "2020-10-08 16:51:30.000000");
    }

    #[test]
    fn what_is_no_date_says_so() {
        for text in ["", "yesterday", "2020-13-01 00:00:00.000000", "2020-10-08"] {
            if let Err(error) = text.parse::<Date>() {
                assert!(error.to_string().contains("2020-10-08 16:51:30.506529"));
            } else {
                assert_eq!(text, "2020-10-08", "only a bare day may stand for its midnight");
            }
        }
    }

    #[test]
    fn only_its_own_form_is_written() {
        for text in ["2020-10-08 16:51:30.506529", "2024-02-29 00:00:00.000000", "0000-01-31 23:59:59.999999"]
        {
            assert!(Date::is_written(text), "{text}");
        }
        for text in [
            "",
            "2020-10-08 16:51:30",
            "2020-10-08T16:51:30.506529",
            "2020-10-08 16:51:30.50652x",
            "2020-10-08 16:51:30.5065290",
            "2020-13-08 16:51:30.506529",
            "2023-02-29 16:51:30.506529",
            "2020-04-31 16:51:30.506529",
            "2020-10-00 16:51:30.506529",
            "2020-10-08 24:51:30.506529",
            "2020-10-08 16:60:30.506529",
            "2020-10-08 16:51:60.506529",
            "....-..-.. ..:..:.........",
        ] {
            assert!(!Date::is_written(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_date_of_four_digits_is_written(micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000) {
            prop_assert!(Date::is_written(&Date::from_unix_micros(micros).to_string()));
        }

        #[test]
        fn a_date_survives_being_written(micros in 0i64..253_402_300_799_000_000) {
            let date = Date::from_unix_micros(micros);
            prop_assert_eq!(date.to_string().parse::<Date>(), Ok(date));
        }

        #[test]
        fn written_dates_order_as_their_moments(a in 0i64..4_000_000_000_000_000, b in 0i64..4_000_000_000_000_000) {
            let (a, b) = (Date::from_unix_micros(a), Date::from_unix_micros(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
