//! PURE. A sentence as it is routed: its identity, and its parts byte for byte as the client wrote them. Absent: who
//! waits for it, and where it goes.

use wire::{RawSentence, SentenceId};

use crate::problem::Failure;

/// A sentence on its way to a node; author and sentence are JSON literals with their quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sentence<'a> {
    /// Its identity.
    pub(crate) id: SentenceId,
    /// Whether the client made the id, and so may post it again.
    pub(crate) is_clients: bool,
    /// JSON literal.
    pub(crate) author: &'a str,
    /// JSON literal.
    pub(crate) sentence: &'a str,
}

impl<'a> Sentence<'a> {
    /// Reads a posted body. The id is the client's, from the body or from `key`, the value of the `Idempotency-Key`
    /// header, else that of `fresh_id`.
    ///
    /// # Errors
    /// Says what is wrong with body or header.
    pub(crate) fn read(
        body: &'a [u8],
        key: Option<&[u8]>,
        fresh_id: impl FnOnce() -> SentenceId,
    ) -> Result<Self, Failure> {
        let raw = RawSentence::parse(body).map_err(Failure::Invalid)?;
        let key = key.map(read_key).transpose()?;
        let clients = match (raw.id, key) {
            (Some(id), Some(key)) if id != key => {
                return Err(Failure::BadKey("the Idempotency-Key header and the body's id differ"));
            }
            (given, key) => given.or(key),
        };
        Ok(Self {
            id: clients.unwrap_or_else(fresh_id),
            is_clients: clients.is_some(),
            author: raw.author.raw(),
            sentence: raw.sentence.raw(),
        })
    }
}

/// A UUID, with or without the quotes of a structured field.
fn read_key(value: &[u8]) -> Result<SentenceId, Failure> {
    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    bare.parse().map_err(|_| Failure::BadKey("the Idempotency-Key header is no UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";
    const OTHER: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5c";

    fn id_of(body: &str, key: Option<&str>) -> Result<(String, bool), Failure> {
        let fresh = || SentenceId(uuid::Uuid::from_u128(7));
        let read = Sentence::read(body.as_bytes(), key.map(str::as_bytes), fresh)?;
        Ok((read.id.to_string(), read.is_clients))
    }

    #[test]
    fn the_id_is_the_clients_where_it_gives_one() {
        let plain = r#"{"author":"a","sentence":"s"}"#;
        let with_id = format!(r#"{{"id":"{ID}","author":"a","sentence":"s"}}"#);
        let clients = Ok((ID.to_owned(), true));
        assert_eq!(id_of(plain, None), Ok(("00000000-0000-0000-0000-000000000007".to_owned(), false)));
        assert_eq!(id_of(&with_id, None), clients);
        assert_eq!(id_of(plain, Some(ID)), clients);
        assert_eq!(id_of(plain, Some(&format!(" \"{ID}\" "))), clients);
        assert_eq!(id_of(&with_id, Some(ID)), clients);
        assert!(matches!(id_of(&with_id, Some(OTHER)), Err(Failure::BadKey(_))));
        assert!(matches!(id_of(plain, Some("no id")), Err(Failure::BadKey(_))));
    }

    #[test]
    fn its_parts_are_the_clients_own_bytes() {
        let body = br#" { "sentence" : "a\u0062", "author":"\"q\"" } "#;
        let read = Sentence::read(body, None, || SentenceId(uuid::Uuid::nil())).unwrap();
        assert_eq!((read.author, read.sentence), (r#""\"q\"""#, r#""a\u0062""#));
    }
}
