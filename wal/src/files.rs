//! The files of a log as a supply of segments: spares are made and taken, retired segments become spares, and the first
//! fault of the disk ends it all. Absent: what is written into a segment behind its header.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::Options;
use crate::disk::{Disk, DiskFile, is_full, write_all};
use crate::error::AppendError;
use crate::segment::{self, HEADER_BYTES, Header};

/// A segment that is written to.
#[derive(Debug)]
pub(crate) struct Current<F> {
    pub(crate) file: F,
    pub(crate) sequence: u64,
    /// What its file takes; segments of one log differ when its options were changed.
    pub(crate) bytes: usize,
    /// Where the next group goes.
    pub(crate) end: usize,
}

/// The supply.
#[derive(Debug)]
pub(crate) struct Files<D> {
    pub(crate) disk: D,
    pub(crate) options: Options,
    /// The numbers of the files that wait to be segments.
    pub(crate) spares: BTreeSet<u64>,
    /// The segments that no longer count and still have their names.
    pub(crate) retired: Vec<u64>,
    /// What the disk failed at first.
    pub(crate) stopped: Option<AppendError>,
}

impl<D: Disk> Files<D> {
    /// Whether the log has not stopped.
    ///
    /// # Errors
    /// What it stopped at.
    pub(crate) fn alive(&self) -> Result<(), AppendError> {
        self.stopped.clone().map_or(Ok(()), Err)
    }

    /// Makes as many spares as are missing to this number.
    ///
    /// # Errors
    /// Then those that were made stay for later.
    pub(crate) fn supply(&mut self, n_spares: usize) -> Result<(), AppendError> {
        while self.spares.len() < n_spares {
            let number = self.unused_number();
            let name = segment::spare_name(number);
            let made = self.disk.create(&name, self.options.segment_bytes.into());
            made.map_err(|error| self.failed("make", &name, error))?;
            self.spares.insert(number);
        }
        Ok(())
    }

    /// Begins a segment in a spare file. It is durably there when this returns.
    ///
    /// # Errors
    /// Then it is not there, unless the log has stopped.
    pub(crate) fn begin(
        &mut self,
        sequence: u64,
        previous_end: usize,
    ) -> Result<Current<D::File>, AppendError> {
        self.supply(1)?;
        let (number, name) = (self.spares.first().copied().unwrap_or_default(), segment::name(sequence));
        let spare = segment::spare_name(number);
        let opened = self.disk.open(&spare).and_then(|file| Ok((file.bytes()?, file)));
        let (bytes, file) = opened.map_err(|error| self.failed("open", &spare, error))?;
        let header = Header { sequence, bytes, previous_end: previous_end as u64 };
        write_all(&file, &header.encode(), 0).map_err(|error| self.failed("write", &spare, error))?;
        file.sync().map_err(|error| self.stop("make durable", &spare, error))?;
        self.disk.rename(&spare, &name).map_err(|error| self.failed("name", &name, error))?;
        self.spares.remove(&number);
        self.sync_names()?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Current { file, sequence, bytes, end: HEADER_BYTES })
    }

    /// Lets go of the retired segments, as spares as far as the bound leaves room beside `in_use` segments. Their names
    /// need no sync: one that comes back stands before a rewrite, where whatever is in it does not count.
    ///
    /// # Errors
    /// Then the log has stopped.
    pub(crate) fn retire(&mut self, in_use: usize) -> Result<(), AppendError> {
        while let Some(sequence) = self.retired.last() {
            let name = segment::name(*sequence);
            let n_files = (in_use + self.spares.len() + 1) as u64;
            let done = if n_files * u64::from(self.options.segment_bytes) <= self.options.max_bytes {
                let number = self.unused_number();
                let renamed = self.disk.rename(&name, &segment::spare_name(number));
                renamed.inspect(|()| {
                    self.spares.insert(number);
                })
            } else {
                self.disk.remove(&name)
            };
            match done {
                Ok(()) => self.retired.pop(),
                // The next rewrite, or whoever opens the log next, tries again.
                Err(error) if is_full(&error) => break,
                Err(error) => return Err(self.stop("retire", &name, error)),
            };
        }
        Ok(())
    }

    /// Stops the log unless there was merely no room.
    pub(crate) fn failed(&mut self, what: &str, name: &str, error: io::Error) -> AppendError {
        if is_full(&error) {
            AppendError::NoRoom { what: self.in_words(what, name), source: Arc::new(error) }
        } else {
            self.stop(what, name, error)
        }
    }

    /// Stops the log: what is on the disk is known again when it is read from there, and not before.
    pub(crate) fn stop(&mut self, what: &str, name: &str, error: io::Error) -> AppendError {
        let what = self.in_words(what, name);
        self.stopped.get_or_insert_with(|| AppendError::Stopped { what, source: Arc::new(error) }).clone()
    }

    /// Makes durable which files there are.
    ///
    /// # Errors
    /// Then the log has stopped.
    pub(crate) fn sync_names(&mut self) -> Result<(), AppendError> {
        self.disk.sync_names().map_err(|error| self.stop("make durable the names in", "", error))
    }

    fn unused_number(&self) -> u64 {
        (0..).find(|number| !self.spares.contains(number)).unwrap_or_default()
    }

    fn in_words(&self, what: &str, name: &str) -> String {
        format!("{what} {}", self.disk.path(name).display())
    }
}
