//! How documents lie in the embedded store: keys, values, and their order. PURE.
//!
//! | table | key | value |
//! |---|---|---|
//! | `documents` | date, id | length of the author, checksum, author, sentence |
//! | `ids` | id | date |
//! | `authors` | hash of the author, date, id | nothing |
//! | `meta` | `format`, `commits` | a number |
//! | `identity` | nothing | the store's identity |
//!
//! Numbers are big-endian, so that the order of bytes is the order of documents. The author's hash only narrows the
//! search: two authors may share one, and the reader compares the name.
//!
//! The checksum is over key, author and sentence, so that a byte that changed on the disk is told and not served. Layout 1
//! had none, and no count of commits; its documents are read as they are, and tell by the first bit of the length.

use wire::{Date, SentenceId, StoredSentence};

use crate::store::Place;

/// The layout that this file describes.
pub(super) const FORMAT: u64 = 2;
/// The oldest one that is read; the next start makes it the newest.
pub(super) const OLDEST_FORMAT: u64 = 1;

/// Set in the length of the author where a checksum stands behind it.
const CHECKED: u16 = 1 << 15;

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
pub(super) fn encode(buffer: &mut Vec<u8>, key: &DocumentKey, author: &str, sentence: &str) -> Option<()> {
    let length = u16::try_from(author.len()).ok().filter(|length| *length < CHECKED)?;
    buffer.clear();
    buffer.extend_from_slice(&(length | CHECKED).to_be_bytes());
    buffer.extend_from_slice(&checksum(key, author.as_bytes(), sentence.as_bytes()));
    buffer.extend_from_slice(author.as_bytes());
    buffer.extend_from_slice(sentence.as_bytes());
    Some(())
}

/// Author and sentence of the value at `key`; `None` when the value is damaged.
pub(super) fn decode<'v>(key: &DocumentKey, value: &'v [u8]) -> Option<(&'v str, &'v str)> {
    let (length, mut text) = value.split_first_chunk::<2>()?;
    let length = u16::from_be_bytes(*length);
    let mut expected = None;
    if length & CHECKED != 0 {
        let (checksum, rest) = text.split_first_chunk::<4>()?;
        (expected, text) = (Some(*checksum), rest);
    }
    let (author, sentence) = text.split_at_checked(usize::from(length & !CHECKED))?;
    if expected.is_some_and(|expected| expected != checksum(key, author, sentence)) {
        return None;
    }
    Some((std::str::from_utf8(author).ok()?, std::str::from_utf8(sentence).ok()?))
}

fn checksum(key: &DocumentKey, author: &[u8], sentence: &[u8]) -> [u8; 4] {
    let length = author.len().to_be_bytes();
    let hash = [key, &length[..], author, sentence].into_iter().fold(HASH_START, hash_on);
    // Four bytes tell all but one change in four thousand million.
    let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
    [a ^ e, b ^ f, c ^ g, d ^ h]
}

/// The `N` bytes at `at`.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The document at `key`; `None` when its value is damaged.
pub(super) fn document(key: &DocumentKey, value: &[u8]) -> Option<StoredSentence> {
    let (author, sentence) = decode(key, value)?;
    let Place { date, id } = place(key);
    Some(StoredSentence { author: author.to_owned(), date, id: Some(id), sentence: sentence.to_owned() })
}

/// Shifts the signed range up, so that dates before 1970 come first.
pub(super) fn date_bytes(date: Date) -> [u8; 8] {
    (date.unix_micros().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn date_of(bytes: [u8; 8]) -> Date {
    Date::from_unix_micros((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

/// FNV-1a: part of the layout, so it must give the same number in every build.
fn hash(author: &str) -> u64 {
    hash_on(HASH_START, author.as_bytes())
}

const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

fn hash_on(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: DocumentKey = [7; 24];

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
            encode(&mut value, &KEY, &author, &sentence).unwrap();
            prop_assert_eq!(decode(&KEY, &value), Some((author.as_str(), sentence.as_str())));
        }

        #[test]
        fn a_changed_bit_is_told(author in ".{1,60}", sentence in ".{1,200}", bit in any::<proptest::sample::Index>()) {
            let mut value = Vec::new();
            encode(&mut value, &KEY, &author, &sentence).unwrap();
            let bit = bit.index(value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            // Without its first bit it would be of layout 1, which has no checksum.
            if bit > 0 {
                prop_assert_eq!(decode(&KEY, &value), None);
            }
        }

        #[test]
        fn a_value_of_layout_1_reads_back(author in ".{1,60}", sentence in ".{1,200}") {
            let length = u16::try_from(author.len()).unwrap().to_be_bytes();
            let value = [&length[..], author.as_bytes(), sentence.as_bytes()].concat();
            prop_assert_eq!(decode(&KEY, &value), Some((author.as_str(), sentence.as_str())));
        }

        #[test]
        fn damaged_values_are_told_and_do_not_panic(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some((author, sentence)) = decode(&KEY, &value) {
                prop_assert!(author.len() + sentence.len() + 2 <= value.len());
            }
        }
    }

    #[test]
    fn the_hash_is_part_of_the_layout() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
