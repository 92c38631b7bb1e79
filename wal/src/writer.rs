//! The writing of a log, one step after the other: groups, full segments, rewrites. Owns the order of writes and syncs
//! that recovery stands on. Absent: threads, and who waits for what.
//!
//! The order, each step only after the one before it is durable: a group; the header of a new segment, under a spare's
//! name; its own name; a group in it. A rewrite begins in a new segment and is the log's state from its last group on; only
//! then do the older segments become spares.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::{Disk, DiskFile, write_all};
use crate::error::AppendError;
use crate::files::{Current, Files};
use crate::group::{self, Encoded, Kind, Place};
use crate::segment::{self, HEADER_BYTES};

/// The writing end of a log.
#[derive(Debug)]
pub(crate) struct Writer<D: Disk> {
    files: Files<D>,
    current: Current<D::File>,
    /// The segments before the current one that count, with what their files take, oldest first.
    older: VecDeque<(u64, u64)>,
    encoded: Encoded,
    size: Arc<AtomicU64>,
}

impl<D: Disk> Writer<D> {
    /// Writes on behind what is there.
    pub(crate) fn new(files: Files<D>, current: Current<D::File>, older: VecDeque<(u64, u64)>) -> Self {
        let writer = Self { files, current, older, encoded: Encoded::default(), size: Arc::default() };
        writer.publish_size();
        writer
    }

    /// What counts against the bound, kept up to date for other threads.
    pub(crate) fn size(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.size)
    }

    /// Whether a record can ever be in the log.
    ///
    /// # Errors
    /// That it is too long.
    pub(crate) fn check(&self, record: &[u8]) -> Result<(), AppendError> {
        let limit = self.room_of_a_segment() - group::bytes_of([0].into_iter());
        if record.len() <= limit { Ok(()) } else { Err(AppendError::TooLong { bytes: record.len(), limit }) }
    }

    /// Writes a group of as many of the records as fit, and tells how many. They are durable when this returns. Each must
    /// have been checked.
    ///
    /// # Errors
    /// Then none of the records is in the log, unless it has stopped.
    pub(crate) fn append(&mut self, records: &[Vec<u8>]) -> Result<usize, AppendError> {
        self.files.alive()?;
        let mut n_fitting = fitting(records, self.current.bytes.saturating_sub(self.current.end));
        if n_fitting == 0 {
            let segment_bytes = self.files.options.segment_bytes.into();
            let size = self.whole_segments().saturating_add(segment_bytes);
            if size > self.files.options.max_bytes {
                return Err(AppendError::Full { max_bytes: self.files.options.max_bytes });
            }
            self.roll()?;
            n_fitting = fitting(records, self.current.bytes.saturating_sub(self.current.end));
        }
        self.write(Kind::Appended, records.get(..n_fitting).unwrap_or_default())?;
        Ok(n_fitting)
    }

    /// Puts the records in place of all that is in the log, durably, or changes nothing.
    ///
    /// # Errors
    /// Then the log holds what it held, unless it has stopped.
    pub(crate) fn rewrite(&mut self, records: &[Vec<u8>]) -> Result<(), AppendError> {
        self.files.alive()?;
        records.iter().try_for_each(|record| self.check(record))?;
        let (mut groups, mut rest) = (Vec::new(), records);
        while groups.is_empty() || !rest.is_empty() {
            let (group, behind) = rest.split_at(fitting(rest, self.room_of_a_segment()));
            groups.push(group);
            rest = behind;
        }
        let n_groups = groups.len();
        if n_groups as u64 * u64::from(self.files.options.segment_bytes) > self.files.options.max_bytes {
            return Err(AppendError::Full { max_bytes: self.files.options.max_bytes });
        }
        // All the room is taken before the first write, so that a full disk leaves no half of a rewrite behind.
        self.files.supply(n_groups)?;
        let first = self.current.sequence.saturating_add(1);
        for (n, group) in (1..).zip(groups) {
            self.roll()?;
            self.write(Kind::Rewritten { first: n == 1, last: n == n_groups }, group)?;
        }
        let n_superseded = self.older.iter().take_while(|(sequence, _)| *sequence < first).count();
        self.files.retired.extend(self.older.drain(..n_superseded).map(|(sequence, _)| sequence));
        self.publish_size();
        // The rewrite is durable whatever becomes of this; a fault in it stops the log, and the next call tells.
        drop(self.files.retire(self.older.len() + 1));
        Ok(())
    }

    /// Ends the current segment and begins the next one.
    fn roll(&mut self) -> Result<(), AppendError> {
        let next = self.files.begin(self.current.sequence.saturating_add(1), self.current.end)?;
        let previous = std::mem::replace(&mut self.current, next);
        self.older.push_back((previous.sequence, previous.bytes as u64));
        self.publish_size();
        Ok(())
    }

    fn write(&mut self, kind: Kind, records: &[Vec<u8>]) -> Result<(), AppendError> {
        let Current { file, sequence, end, .. } = &self.current;
        self.encoded.put(Place { sequence: *sequence, offset: *end }, kind, records);
        let (head, rest) = (&self.encoded.head, &self.encoded.rest);
        let name = segment::name(*sequence);
        // The head is last: where the rest finds no room, nothing of the group is there. Of a head that was not written
        // nobody knows what is, and zeros that are missing are there already.
        let written = write_all(file, rest, (end + head.len()) as u64);
        written.map_err(|error| self.files.failed("write", &name, error))?;
        write_all(file, head, *end as u64).map_err(|error| self.files.stop("write", &name, error))?;
        file.sync().map_err(|error| self.files.stop("make durable", &name, error))?;
        self.current.end += self.encoded.bytes();
        self.publish_size();
        Ok(())
    }

    fn room_of_a_segment(&self) -> usize {
        usize::try_from(self.files.options.segment_bytes).unwrap_or(usize::MAX).saturating_sub(HEADER_BYTES)
    }

    fn whole_segments(&self) -> u64 {
        self.older.iter().map(|(_, bytes)| *bytes).sum::<u64>() + self.current.bytes as u64
    }

    fn publish_size(&self) {
        let size = self.whole_segments() - self.current.bytes as u64 + self.current.end as u64;
        self.size.store(size, Ordering::Relaxed);
    }
}

/// How many of the records make a group that takes no more than `room` bytes.
fn fitting(records: &[Vec<u8>], room: usize) -> usize {
    let lengths = |n: usize| records.iter().take(n).map(Vec::len);
    // The bytes of a group grow with each record, so this is where they exceed the room.
    let (mut low, mut high) = (0, records.len());
    while low < high {
        let middle = high - (high - low) / 2;
        if group::bytes_of(lengths(middle)) <= room { low = middle } else { high = middle - 1 }
    }
    low
}
