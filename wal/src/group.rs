//! PURE. How a group of records lies in a segment: written, read, and found behind a hole. Absent: segments, and what
//! follows from a group that cannot be read.
//!
//! ```text
//! group   checksum u32 · kind u32 · bytes u32 · records u32 · summary u32 · 0 u32 · record … · zeros up to a multiple of 8
//! record  length u32 · checksum u32 · body
//! ```
//!
//! Numbers are little-endian, checksums are CRC-32. A record's checksum is over its body; the summary is over the lengths
//! and checksums of all records; the group's own is over the rest of its head, the segment's number and the place in it.
//! So nothing but this group, whole and at this place, passes for it: neither what a recycled segment held before, nor
//! the pages of an earlier group that a power cut left half written here.

use crc32fast::Hasher;

/// Bytes of a group before its records.
const HEAD_BYTES: usize = 24;
/// Bytes of a record before its body.
const RECORD_HEAD_BYTES: usize = 8;
/// Groups begin at multiples of this.
const ALIGNMENT: usize = 8;

/// What the records of a group are to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// They follow what was there.
    Appended,
    /// They are part of what stands for all that was there, once the last part is.
    Rewritten {
        /// Whether a rewrite begins here.
        first: bool,
        /// Whether it ends here.
        last: bool,
    },
}

impl Kind {
    fn code(self) -> u32 {
        match self {
            Self::Appended => 1,
            Self::Rewritten { first, last } => 4 | u32::from(first) | (u32::from(last) << 1),
        }
    }

    fn of(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Appended),
            4..=7 => Some(Self::Rewritten { first: code & 1 != 0, last: code & 2 != 0 }),
            _ => None,
        }
    }
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the segment.
    pub(crate) sequence: u64,
    /// Bytes from the segment's beginning.
    pub(crate) offset: usize,
}

/// A group as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// What its records are to the log.
    pub(crate) kind: Kind,
    /// Their bodies, in order.
    pub(crate) records: Vec<Vec<u8>>,
    /// What it takes in the segment.
    pub(crate) bytes: usize,
}

/// Why there is no group at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Bytes from the segment's beginning to what is wrong.
    pub(crate) offset: usize,
    /// What is wrong.
    pub(crate) what: &'static str,
}

/// What a group of records of these lengths takes.
pub(crate) fn bytes_of(lengths: impl Iterator<Item = usize>) -> usize {
    let records =
        lengths.fold(0_usize, |sum, length| sum.saturating_add(RECORD_HEAD_BYTES.saturating_add(length)));
    records.saturating_add(HEAD_BYTES).checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX)
}

/// A group in two parts, of which the head is to be written last: without it nothing of the group is there.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// What stands at the group's place.
    pub(crate) head: [u8; HEAD_BYTES],
    /// What stands behind the head.
    pub(crate) rest: Vec<u8>,
}

impl Encoded {
    /// Puts the group in place of what was here. Lengths must fit a segment, which is shorter than 4 GiB.
    pub(crate) fn put(&mut self, place: Place, kind: Kind, records: &[Vec<u8>]) {
        let bytes = bytes_of(records.iter().map(Vec::len));
        let mut summary = Hasher::new();
        self.rest.clear();
        for record in records {
            let (length, checksum) =
                (word(record.len()).to_le_bytes(), crc32fast::hash(record).to_le_bytes());
            for part in [length, checksum] {
                summary.update(&part);
                self.rest.extend_from_slice(&part);
            }
            self.rest.extend_from_slice(record);
        }
        self.rest.resize(bytes - HEAD_BYTES, 0);
        let words = [kind.code(), word(bytes), word(records.len()), summary.finalize(), 0];
        let checksum = checksum(place, words);
        for (part, word) in self.head.chunks_exact_mut(4).zip([checksum].into_iter().chain(words)) {
            part.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// What it takes in the segment.
    pub(crate) fn bytes(&self) -> usize {
        self.head.len() + self.rest.len()
    }
}

/// The group at a place of a segment.
pub(crate) fn read(segment: &[u8], place: Place) -> Result<Group, Unreadable> {
    let wrong = |offset, what| Unreadable { offset, what };
    let Some(head) = Head::read(segment, place) else {
        return Err(wrong(place.offset, "no group of records begins here"));
    };
    let end = place.offset.saturating_add(head.bytes);
    let mut offset = place.offset.saturating_add(HEAD_BYTES);
    let (mut records, mut summary) = (Vec::new(), Hasher::new());
    for _ in 0..head.records {
        let cut = || wrong(offset, "a record goes over the end of its group");
        let behind = segment.get(offset..end).ok_or_else(cut)?;
        let (record_head, behind) = behind.split_first_chunk::<RECORD_HEAD_BYTES>().ok_or_else(cut)?;
        let length =
            word_at(record_head, 0).and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
        let body = behind.get(..length).ok_or_else(cut)?;
        if word_at(record_head, 4) != Some(crc32fast::hash(body)) {
            return Err(wrong(offset, "the checksum of a record is wrong"));
        }
        summary.update(record_head);
        records.push(body.to_vec());
        offset += RECORD_HEAD_BYTES + length;
    }
    if summary.finalize() != head.summary {
        return Err(wrong(place.offset, "the records are not those of their group"));
    }
    Ok(Group { kind: head.kind, records, bytes: head.bytes })
}

/// Where the first group behind `place` begins of which at least the head is there.
pub(crate) fn next_head(segment: &[u8], place: Place) -> Option<usize> {
    let offsets = (place.offset.saturating_add(ALIGNMENT)..segment.len()).step_by(ALIGNMENT);
    offsets.into_iter().find(|offset| Head::read(segment, Place { offset: *offset, ..place }).is_some())
}

struct Head {
    kind: Kind,
    bytes: usize,
    records: u32,
    summary: u32,
}

impl Head {
    fn read(segment: &[u8], place: Place) -> Option<Self> {
        let head = segment.get(place.offset..)?.first_chunk::<HEAD_BYTES>()?;
        let mut words = [0; 5];
        for (word, offset) in words.iter_mut().zip((4..).step_by(4)) {
            *word = word_at(head, offset)?;
        }
        if word_at(head, 0)? != checksum(place, words) {
            return None;
        }
        let [kind, bytes, records, summary, _] = words;
        Some(Self { kind: Kind::of(kind)?, bytes: usize::try_from(bytes).ok()?, records, summary })
    }
}

fn checksum(place: Place, words: [u32; 5]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&place.sequence.to_le_bytes());
    hasher.update(&word(place.offset).to_le_bytes());
    for word in words {
        hasher.update(&word.to_le_bytes());
    }
    hasher.finalize()
}

fn word_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// A length or an offset inside a segment, which is shorter than 4 GiB.
fn word(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_group() -> impl Strategy<Value = (Kind, Vec<Vec<u8>>)> {
        let kind = prop_oneof![
            Just(Kind::Appended),
            any::<(bool, bool)>().prop_map(|(first, last)| Kind::Rewritten { first, last })
        ];
        (kind, prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6))
    }

    fn at(place: Place, kind: Kind, records: &[Vec<u8>]) -> Vec<u8> {
        let mut encoded = Encoded::default();
        encoded.put(place, kind, records);
        assert_eq!(encoded.bytes(), bytes_of(records.iter().map(Vec::len)));
        let mut segment = vec![0; place.offset];
        segment.extend(encoded.head);
        segment.extend(encoded.rest);
        segment
    }

    proptest! {
        #[test]
        fn what_is_written_is_read((kind, records) in any_group(), sequence: u64, eighth in 0..9_usize) {
            let place = Place { sequence, offset: eighth * 8 };
            let segment = at(place, kind, &records);
            let bytes = segment.len() - place.offset;
            prop_assert_eq!(bytes % 8, 0);
            prop_assert_eq!(read(&segment, place), Ok(Group { kind, records, bytes }));
        }

        #[test]
        fn no_part_and_no_other_place_passes_for_a_group(
            (kind, records) in any_group(), sequence: u64, lost in 1..64_usize, other in 1..9_usize,
        ) {
            let place = Place { sequence, offset: 40 };
            let mut segment = at(place, kind, &records);
            let of_another = read(&segment, Place { sequence: sequence ^ 1, ..place });
            prop_assert!(of_another.is_err());
            let mut moved = vec![0; other * 8];
            moved.extend(&segment);
            let elsewhere = read(&moved, Place { offset: place.offset + other * 8, ..place });
            prop_assert!(elsewhere.is_err());
            segment.truncate(segment.len().saturating_sub(lost));
            let found = read(&segment, place);
            prop_assert!(found.is_err() || found.unwrap().records == records);
        }

        #[test]
        fn a_head_is_found_behind_any_bytes(before in prop::collection::vec(any::<u8>(), 0..20), sequence: u64) {
            let place = Place { sequence, offset: (before.len() + 1) * 8 };
            let mut segment = at(place, Kind::Appended, &[b"x".to_vec()]);
            segment.iter_mut().zip(before.iter()).for_each(|(place, byte)| *place = *byte);
            let from = |offset| Place { sequence, offset };
            prop_assert_eq!(next_head(&segment, from(0)), Some(place.offset));
            prop_assert_eq!(next_head(&segment, place), None);
        }
    }
}
