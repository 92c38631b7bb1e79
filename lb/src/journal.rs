//! The in-doubt journal: what `doubt.rs` says must outlive the process. A sentence that may lie in two places is written
//! down before it is sent to the second, so that a balancer that dies in between still knows what to mend. Nothing is
//! written while nothing is in doubt. Absent: what the records say; files, which are the log's.

#[cfg(test)]
pub(crate) mod made_up;

use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use wal::{AppendError, Log, OpenError, Options};

use crate::doubt::Doubt;

/// The folder of the journal in the data directory.
const FOLDER: &str = "in-doubt";
/// Bytes that the journal may take. Two million sentences in doubt take some 60 MiB, and a rewrite leaves those alone.
const MAX_BYTES: u64 = 256 << 20;
/// A journal below this is not written anew, in bytes.
const SMALL: u64 = 4 << 20;
/// What a sentence in doubt takes of a record, in bytes: an id, a date and a few places.
const SENTENCE_BYTES: u64 = 32;

/// Where the journal of a balancer with this data directory lies.
pub(crate) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER)
}

/// Why a record is not on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the in-doubt journal takes nothing: {0}")]
pub(crate) struct NotWritten(String);

/// What was queued, on its way to the disk.
pub(crate) struct Writing(Option<oneshot::Receiver<Result<(), AppendError>>>);

impl Writing {
    /// Waits until it is durable, or cannot be.
    pub(crate) async fn end(self) -> Result<(), NotWritten> {
        let Some(told) = self.0 else { return Ok(()) };
        match told.await {
            Ok(written) => written.map_err(|error| NotWritten(error.to_string())),
            Err(_) => Err(NotWritten("it is closed".to_owned())),
        }
    }
}

/// The journal of a balancer.
pub(crate) struct Journal(Kept);

/// Where its records are.
enum Kept {
    /// Nowhere: what is in doubt ends with the process.
    Nowhere,
    /// In the data directory.
    OnDisk(Log),
    /// On a disk that a test made up.
    #[cfg(test)]
    MadeUp(made_up::Disk),
}

impl Journal {
    /// Opens the journal in `data_dir`, and gives its records in their order. Without a directory it is in memory only,
    /// and ends with the process.
    ///
    /// # Errors
    /// Says what keeps the journal from being read or written, and the remedy.
    pub(crate) fn open(data_dir: Option<&Path>) -> Result<(Self, Vec<Vec<u8>>), OpenError> {
        let Some(data_dir) = data_dir else { return Ok((Self(Kept::Nowhere), Vec::new())) };
        let options = Options { max_bytes: MAX_BYTES, ..Options::default() };
        let (log, records) = Log::open(&directory(data_dir), options)?;
        Ok((Self(Kept::OnDisk(log)), records))
    }

    /// Queues a record behind those before it; it is durable once what is given ends.
    pub(crate) fn append(&self, record: Vec<u8>) -> Writing {
        match &self.0 {
            Kept::Nowhere => Writing(None),
            Kept::OnDisk(log) => writing(|tell| log.append(record, tell)),
            #[cfg(test)]
            Kept::MadeUp(disk) => writing(|tell| disk.append(record, tell)),
        }
    }

    /// Whether most of what is written is about sentences that are in doubt no more.
    pub(crate) fn is_worth_compacting(&self, doubt: &Doubt) -> bool {
        let (size, small) = match &self.0 {
            Kept::Nowhere => (0, SMALL),
            Kept::OnDisk(log) => (log.size(), SMALL),
            #[cfg(test)]
            Kept::MadeUp(disk) => (disk.size(), made_up::SMALL),
        };
        size > small && size / 4 > doubt.len() as u64 * SENTENCE_BYTES
    }

    /// Puts these records in the place of all that were queued before.
    pub(crate) fn rewrite(&self, records: Vec<Vec<u8>>) -> Writing {
        match &self.0 {
            Kept::Nowhere => Writing(None),
            Kept::OnDisk(log) => writing(|tell| log.rewrite(records, tell)),
            #[cfg(test)]
            Kept::MadeUp(disk) => writing(|tell| disk.rewrite(records, tell)),
        }
    }
}

fn writing(hand_in: impl FnOnce(Tell)) -> Writing {
    let (told, end) = oneshot::channel();
    // Whoever waited may have gone with its thread; the record is written all the same.
    hand_in(Box::new(move |written| drop(told.send(written))));
    Writing(Some(end))
}

type Tell = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

#[cfg(test)]
mod tests;
