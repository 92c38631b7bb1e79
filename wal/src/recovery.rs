//! PURE. What the segments of a log say, read from the oldest to the newest: the live records, or where the log is
//! damaged. Absent: reading the files, and putting anything right.
//!
//! A group is written only when all before it is durable, and a segment begun only then. So a group that cannot be read
//! is a torn tail exactly if nothing was written behind it, and was never told to be durable; whatever else cannot be
//! read, or is missing, was durable once and is damage. Damage before a rewrite that is complete does not count: all of
//! it was superseded, and its segments may be gone in any order.
//!
//! What cannot be told from a torn tail is a durable last group that the disk spoiled afterwards, and a newest segment
//! that somebody removed.

use crate::group::{self, Kind, Place};
use crate::segment::{HEADER_BYTES, Header};

/// What a log holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// The live records, in order.
    pub(crate) records: Vec<Vec<u8>>,
    /// The oldest segment that counts.
    pub(crate) live_from: u64,
    /// Where the groups of the newest segment end, and the next one goes.
    pub(crate) end: usize,
}

/// What was durable and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The segment.
    pub(crate) sequence: u64,
    /// Bytes from its beginning.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) what: String,
}

/// The reading of a log.
#[derive(Debug)]
pub(crate) struct Recovery {
    records: Vec<Vec<u8>>,
    /// The parts of a rewrite whose last one has not been seen, and the segment of its first.
    rewrite: Option<(u64, Vec<Vec<u8>>)>,
    damage: Option<Damage>,
    live_from: u64,
    /// The segment that must come next.
    next: u64,
    end: usize,
}

impl Recovery {
    /// Before the first segment.
    pub(crate) fn new() -> Self {
        Self { records: Vec::new(), rewrite: None, damage: None, live_from: 1, next: 1, end: HEADER_BYTES }
    }

    /// Reads the next segment that is there. `following` is the one after it that is there, by the name of its file and
    /// with its header where that can be read.
    pub(crate) fn segment(&mut self, sequence: u64, bytes: &[u8], following: Option<(u64, Option<Header>)>) {
        if sequence != self.next {
            let what = format!("the segments before it from number {} on are missing", self.next);
            self.damage(sequence, 0, what);
        }
        self.next = sequence.saturating_add(1);
        let header = match Header::read(bytes) {
            Ok(header) => header,
            Err(what) => return self.damage(sequence, 0, what.to_owned()),
        };
        if header.sequence != sequence {
            return self.damage(
                sequence,
                0,
                format!("its header says that it is number {}", header.sequence),
            );
        }
        if usize::try_from(header.bytes) != Ok(bytes.len()) {
            let what = format!("the file has {} bytes and its header says {}", bytes.len(), header.bytes);
            return self.damage(sequence, 0, what);
        }
        let known_end = match following {
            Some((following, Some(header))) if following == self.next => Some(header.previous_end),
            _ => None,
        };
        self.groups(sequence, bytes, known_end.and_then(|end| usize::try_from(end).ok()));
    }

    /// What the log holds, after its last segment.
    pub(crate) fn finish(self) -> Result<Recovered, Damage> {
        match self.damage {
            Some(damage) => Err(damage),
            None => Ok(Recovered { records: self.records, live_from: self.live_from, end: self.end }),
        }
    }

    fn groups(&mut self, sequence: u64, bytes: &[u8], known_end: Option<usize>) {
        let mut place = Place { sequence, offset: HEADER_BYTES };
        while Some(place.offset) != known_end {
            match group::read(bytes, place) {
                Ok(group) => {
                    place.offset += group.bytes;
                    self.group(sequence, group.kind, group.records);
                }
                Err(wrong) => {
                    if let Some(behind) = group::next_head(bytes, place) {
                        let what = format!("{}, and at byte {behind} another group does", wrong.what);
                        self.damage(sequence, wrong.offset, what);
                    } else if let Some(end) = known_end {
                        let what = format!("{}, and the next segment says it ends at byte {end}", wrong.what);
                        self.damage(sequence, wrong.offset, what);
                    }
                    break;
                }
            }
        }
        self.end = place.offset;
    }

    fn group(&mut self, sequence: u64, kind: Kind, mut records: Vec<Vec<u8>>) {
        match kind {
            Kind::Appended => {
                self.rewrite = None;
                self.records.append(&mut records);
            }
            Kind::Rewritten { first, last } => {
                if first {
                    self.rewrite = Some((sequence, Vec::new()));
                }
                let Some((from, mut parts)) = self.rewrite.take() else {
                    let what = "a rewrite goes on here that has not begun".to_owned();
                    return self.damage(sequence, HEADER_BYTES, what);
                };
                parts.append(&mut records);
                if last {
                    (self.records, self.live_from, self.damage) = (parts, from, None);
                } else {
                    self.rewrite = Some((from, parts));
                }
            }
        }
    }

    fn damage(&mut self, sequence: u64, offset: usize, what: String) {
        // Parts on both sides of a hole make no whole.
        self.rewrite = None;
        self.damage.get_or_insert(Damage { sequence, offset, what });
    }
}
