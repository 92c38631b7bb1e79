//! PURE. What a segment says of itself at its beginning, and what its file is called. Absent: what follows in it.
//!
//! ```text
//! magic 8 · version u32 · checksum u32 · sequence u64 · bytes u64 · end of the segment before u64
//! ```
//!
//! The checksum is over all else. A segment begins only when all before it is durable, so it can say where the one before
//! it ends: what is missing there was lost, not torn.

use crc32fast::Hasher;

/// Where the first group of a segment begins.
pub(crate) const HEADER_BYTES: usize = 40;

const MAGIC: [u8; 8] = *b"balanzaW";
const VERSION: u32 = 1;

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The number of the segment: the first of a log is 1, and none is used twice.
    pub(crate) sequence: u64,
    /// What its file takes.
    pub(crate) bytes: u64,
    /// Where the groups of the segment before it end; 0 for the first one.
    pub(crate) previous_end: u64,
}

impl Header {
    /// The header as it is written.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let numbers = [self.sequence, self.bytes, self.previous_end];
        let mut encoded = [0; HEADER_BYTES];
        let bytes = MAGIC
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain(checksum(numbers).to_le_bytes())
            .chain(numbers.into_iter().flat_map(u64::to_le_bytes));
        for (place, byte) in encoded.iter_mut().zip(bytes) {
            *place = byte;
        }
        encoded
    }

    /// The header of a segment, or what is wrong with it.
    pub(crate) fn read(segment: &[u8]) -> Result<Self, &'static str> {
        let short = "the file is too short for a segment";
        let (magic, rest) = segment.split_first_chunk::<8>().ok_or(short)?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let (sum, mut rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let mut numbers = [0; 3];
        for number in &mut numbers {
            let (bytes, behind) = rest.split_first_chunk::<8>().ok_or(short)?;
            (*number, rest) = (u64::from_le_bytes(*bytes), behind);
        }
        if *magic != MAGIC {
            return Err("it does not begin as a segment does");
        }
        if u32::from_le_bytes(*version) != VERSION {
            return Err("it is of another version of the log");
        }
        if u32::from_le_bytes(*sum) != checksum(numbers) {
            return Err("the checksum of its header is wrong");
        }
        let [sequence, bytes, previous_end] = numbers;
        Ok(Self { sequence, bytes, previous_end })
    }
}

fn checksum(numbers: [u64; 3]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&MAGIC);
    hasher.update(&VERSION.to_le_bytes());
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize()
}

/// The file of a segment of the log.
pub(crate) fn name(sequence: u64) -> String {
    format!("{sequence:020}.log")
}

/// The segment whose file it is.
pub(crate) fn sequence(name: &str) -> Option<u64> {
    let sequence = name.strip_suffix(".log")?.parse().ok()?;
    (self::name(sequence) == name).then_some(sequence)
}

/// The file of a segment that waits to be used again.
pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number}")
}

/// The number of a spare file.
pub(crate) fn spare_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("spare-")?.parse().ok()?;
    (spare_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_is_read_as_written_and_no_other_passes(
            sequence: u64, bytes: u64, previous_end: u64, at in 0..HEADER_BYTES, flip in 1..=255_u8,
        ) {
            let header = Header { sequence, bytes, previous_end };
            let mut encoded = header.encode();
            prop_assert_eq!(Header::read(&encoded), Ok(header));
            prop_assert!(Header::read(&encoded[..at]).is_err());
            encoded[at] ^= flip;
            prop_assert!(Header::read(&encoded).is_err());
        }

        #[test]
        fn a_name_is_read_as_written_and_sorts_as_its_number(a: u64, b: u64, other in ".{0,30}") {
            prop_assert_eq!((sequence(&name(a)), spare_number(&spare_name(b))), (Some(a), Some(b)));
            prop_assert_eq!(name(a).cmp(&name(b)), a.cmp(&b));
            for of_none in [other, format!("{a}.log.old"), format!("spare-{b:09}x"), format!("+{a:019}.log")] {
                prop_assert_eq!(sequence(&of_none).or(spare_number(&of_none)), None);
            }
        }
    }
}
