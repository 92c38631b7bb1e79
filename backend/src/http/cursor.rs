//! The cursor of a listing: a place in the order, written so that nobody reads more into it. PURE.

use wire::{Date, SentenceId};

use crate::store::Place;

/// The place as a cursor: 48 hexadecimal digits.
pub(super) fn write(place: Place) -> String {
    format!("{:016x}{}", place.date.unix_micros(), place.id.0.simple())
}

/// The place that a cursor stands for; `None` for a text that [`write`] never wrote.
pub(super) fn read(text: &str) -> Option<Place> {
    if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (date, id) = text.split_at_checked(16)?;
    let micros = u64::from_str_radix(date, 16).ok()?.cast_signed();
    let date = Date::from_unix_micros(micros);
    let id = SentenceId(uuid::Uuid::try_parse(id).ok()?);
    (date.unix_micros() == micros).then_some(Place { date, id })
}

/// A text as it may stand in the query of a link.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back(micros in -1_000_000_000_000_000i64..4_000_000_000_000_000, id in any::<u128>()) {
            let place = Place {
                date: Date::from_unix_micros(micros),
                id: SentenceId(uuid::Uuid::from_u128(id)),
            };
            prop_assert_eq!(read(&write(place)), Some(place));
        }

        #[test]
        fn other_texts_are_no_cursor(text in ".{0,60}") {
            if let Some(place) = read(&text) {
                prop_assert_eq!(write(place), text.to_ascii_lowercase());
            }
        }
    }

    #[test]
    fn an_author_goes_into_a_link() {
        assert_eq!(percent_encoded("Ana & Qué"), "Ana%20%26%20Qu%C3%A9");
    }
}
