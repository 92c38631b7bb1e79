//! PURE. A place in the order of sentences, the cursor that stands for it, and the link to the page behind it.

use form_urlencoded::Serializer;
use uuid::Uuid;

use crate::{Date, SentenceId, StoredSentence};

/// Digits of the date in a cursor.
const DATE_DIGITS: usize = 16;
/// Digits of a cursor.
const CURSOR_DIGITS: usize = DATE_DIGITS + 32;

/// A place in the order of sentences: by date, then id; those of old nodes, which have none, stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    date: Date,
    id: Option<SentenceId>,
}

impl Place {
    /// The place of a sentence. The nil id counts as none, as a cursor cannot tell the two apart.
    pub fn new(date: Date, id: Option<SentenceId>) -> Self {
        Self { date, id: id.filter(|id| !id.0.is_nil()) }
    }

    /// The place of `sentence`.
    pub fn of(sentence: &StoredSentence) -> Self {
        Self::new(sentence.date, sentence.id)
    }

    /// The date of the sentence that stands here.
    pub const fn date(self) -> Date {
        self.date
    }

    /// Its id.
    pub const fn id(self) -> Option<SentenceId> {
        self.id
    }

    /// The place as a cursor: 48 hexadecimal digits, so that nobody reads more into it.
    pub fn cursor(self) -> String {
        let id = self.id.map_or(Uuid::nil(), |id| id.0);
        format!("{:016x}{}", self.date.unix_micros(), id.simple())
    }

    /// The place that a cursor stands for; `None` for a text that [`Place::cursor`] never wrote.
    pub fn read(cursor: &str) -> Option<Self> {
        if cursor.len() != CURSOR_DIGITS || !cursor.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let (date, id) = cursor.split_at_checked(DATE_DIGITS)?;
        let micros = u64::from_str_radix(date, 16).ok()?.cast_signed();
        let date = Date::from_unix_micros(micros);
        let id = SentenceId(Uuid::try_parse(id).ok()?);
        (date.unix_micros() == micros).then(|| Self::new(date, Some(id)))
    }

    /// The value of the `Link` header of the page that ends here: the next `limit` sentences of `path`, with those
    /// `filters` that are set.
    ///
    /// ```
    /// use wire::{Date, Place};
    ///
    /// let place = Place::new(Date::from_unix_micros(1), None);
    /// let link = place.next_page("/sentence", 2, &[("author", Some("Ana & Qué")), ("server", None)]);
    /// let after = place.cursor();
    /// assert_eq!(link, format!("</sentence?limit=2&after={after}&author=Ana+%26+Qu%C3%A9>; rel=\"next\""));
    /// ```
    pub fn next_page(self, path: &str, limit: usize, filters: &[(&str, Option<&str>)]) -> String {
        let set = filters.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let query = Serializer::new(String::new())
            .append_pair("limit", &limit.to_string())
            .append_pair("after", &self.cursor())
            .extend_pairs(set)
            .finish();
        format!("<{path}?{query}>; rel=\"next\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_place() -> impl Strategy<Value = Place> {
        let id = prop_oneof![Just(0), 1..4u128, any::<u128>()];
        (-1_000_000_000_000_000i64..4_000_000_000_000_000, id).prop_map(|(micros, id)| {
            Place::new(Date::from_unix_micros(micros), Some(SentenceId(Uuid::from_u128(id))))
        })
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back(place in any_place()) {
            prop_assert_eq!(Place::read(&place.cursor()), Some(place));
        }

        #[test]
        fn other_texts_are_no_cursor(text in prop_oneof![".{0,60}", "[0-9a-fA-F]{48}"]) {
            if let Some(place) = Place::read(&text) {
                prop_assert_eq!(place.cursor(), text.to_ascii_lowercase());
            }
        }

        #[test]
        fn places_order_by_date_then_id(a in any_place(), b in any_place()) {
            let key = |place: Place| (place.date().unix_micros(), place.id().map(|id| id.0.as_u128()));
            prop_assert_eq!(a.cmp(&b), key(a).cmp(&key(b)));
        }

        #[test]
        fn a_link_carries_any_filter(author in ".{1,40}", place in any_place()) {
            let link = place.next_page("/sentence", 7, &[("server", None), ("author", Some(&author))]);
            let query = link.strip_prefix("</sentence?").and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).unwrap();
            prop_assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)));
            let read = form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>();
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            prop_assert_eq!(read, [pair("limit", "7"), pair("after", &place.cursor()), pair("author", &author)]);
        }
    }

    #[test]
    fn what_only_looks_like_a_cursor_is_none() {
        assert_eq!(Place::read(&format!("+{}", "0".repeat(47))), None);
        assert_eq!(Place::read(&"0".repeat(47)), None);
        assert_eq!(Place::read(&"f".repeat(48)).map(|place| place.date().unix_micros()), Some(-1));
        assert_eq!(Place::read(&format!("7{}", "f".repeat(47))), None, "no date can be written for it");
        assert_eq!(Place::read(&"0".repeat(48)), Some(Place::new(Date::from_unix_micros(0), None)));
    }
}
