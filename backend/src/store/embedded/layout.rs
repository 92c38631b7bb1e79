//! How documents lie in the embedded store: keys, values, and their order. PURE.
//!
//! | table | key | value |
//! |---|---|---|
//! | `documents` | date, id | length of the author, author, sentence |
//! | `ids` | id | date |
//! | `authors` | hash of the author, date, id | nothing |
//! | `meta` | `format` | a number |
//! | `identity` | nothing | the store's identity |
//!
//! Numbers are big-endian, so that the order of bytes is the order of documents. The author's hash only narrows the
//! search: two authors may share one, and the reader compares the name.

use wire::{Date, SentenceId, StoredSentence};

use crate::store::Place;

/// The layout that this file describes.
pub(super) const FORMAT: u64 = 1;

pub(super) type DocumentKey = [u8; 24];
pub(super) type AuthorKey = [u8; 32];
pub(super) type IdKey = [u8; 16];

pub(super) fn document_key(place: Place) -> DocumentKey {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&date_bytes(place.date));
    key[8..].copy_from_slice(place.id.0.as_bytes());
    key
}

pub(super) fn place(key: &DocumentKey) -> Place {
    let (mut date, mut id) = ([0; 8], [0; 16]);
    date.copy_from_slice(&key[..8]);
    id.copy_from_slice(&key[8..]);
    Place { date: date_of(date), id: SentenceId(uuid::Uuid::from_bytes(id)) }
}

pub(super) fn id_key(id: SentenceId) -> IdKey {
    id.0.into_bytes()
}

pub(super) fn author_key(author: &str, document: &DocumentKey) -> AuthorKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&hash(author).to_be_bytes());
    key[8..].copy_from_slice(document);
    key
}

/// First and last possible key of `author`'s documents.
pub(super) fn author_bounds(author: &str) -> (AuthorKey, AuthorKey) {
    (author_key(author, &[0; 24]), author_key(author, &[0xff; 24]))
}

pub(super) fn document_of(key: &AuthorKey) -> DocumentKey {
    let mut document = [0; 24];
    document.copy_from_slice(&key[8..]);
    document
}

/// Writes a document's value into `buffer`. `None` for an author longer than any door lets in.
pub(super) fn encode(buffer: &mut Vec<u8>, author: &str, sentence: &str) -> Option<()> {
    buffer.clear();
    buffer.extend_from_slice(&u16::try_from(author.len()).ok()?.to_be_bytes());
    buffer.extend_from_slice(author.as_bytes());
    buffer.extend_from_slice(sentence.as_bytes());
    Some(())
}

/// Author and sentence of a value; `None` when the value is damaged.
pub(super) fn decode(value: &[u8]) -> Option<(&str, &str)> {
    let (length, text) = value.split_first_chunk::<2>()?;
    let (author, sentence) = text.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(author).ok()?, std::str::from_utf8(sentence).ok()?))
}

/// The document at `key`; `None` when its value is damaged.
pub(super) fn document(key: &DocumentKey, value: &[u8]) -> Option<StoredSentence> {
    let (author, sentence) = decode(value)?;
    let Place { date, id } = place(key);
    Some(StoredSentence { author: author.to_owned(), date, id: Some(id), sentence: sentence.to_owned() })
}

/// Shifts the signed range up, so that dates before 1970 come first.
fn date_bytes(date: Date) -> [u8; 8] {
    (date.unix_micros().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn date_of(bytes: [u8; 8]) -> Date {
    Date::from_unix_micros((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

/// FNV-1a: part of the layout, so it must give the same number in every build.
fn hash(author: &str) -> u64 {
    author.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_place() -> impl Strategy<Value = Place> {
        (-1_000_000_000_000_000i64..4_000_000_000_000_000, any::<u128>()).prop_map(|(micros, id)| Place {
            date: Date::from_unix_micros(micros),
            id: SentenceId(uuid::Uuid::from_u128(id)),
        })
    }

    proptest! {
        #[test]
        fn keys_order_as_their_places(a in any_place(), b in any_place()) {
            prop_assert_eq!(document_key(a).cmp(&document_key(b)), a.cmp(&b));
            prop_assert_eq!(place(&document_key(a)), a);
        }

        #[test]
        fn an_authors_keys_lie_between_its_bounds(author in ".{1,20}", at in any_place()) {
            let document = document_key(at);
            let key = author_key(&author, &document);
            let (first, last) = author_bounds(&author);
            prop_assert!(first <= key && key <= last);
            prop_assert_eq!(document_of(&key), document);
        }

        #[test]
        fn a_value_reads_back(author in ".{1,60}", sentence in ".{1,200}") {
            let mut value = Vec::new();
            encode(&mut value, &author, &sentence).unwrap();
            prop_assert_eq!(decode(&value), Some((author.as_str(), sentence.as_str())));
        }

        #[test]
        fn damaged_values_are_told_and_do_not_panic(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some((author, sentence)) = decode(&value) {
                prop_assert_eq!(author.len() + sentence.len() + 2, value.len());
            }
        }
    }

    #[test]
    fn the_hash_is_part_of_the_layout() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
