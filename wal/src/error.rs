//! What can go wrong with a log, in words for whoever runs the program. Absent: retrying; each error says whether that
//! is of use.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a log was not opened. No record in its directory was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options contradict each other or cannot be kept.
    #[error("the log cannot be kept so: {0}")]
    Options(String),
    /// Another process has the directory.
    #[error("another process uses the log in {}: stop it, or give each its own directory", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was to be done, as a verb and its object.
        what: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread of the log could not be started.
    #[error("cannot start a thread for the log: {0}")]
    NoThread(io::Error),
    /// What a log begins with, or goes on from, could not be written.
    #[error("the log cannot be written: {0}")]
    Unwritable(AppendError),
    /// Records that were durable cannot be read.
    #[error(
        "{} is damaged at byte {offset}: {what}. The records from there on cannot be trusted, and nothing was changed: \
         put the whole directory back from a copy, or move it away to begin without its records",
        file.display()
    )]
    Damaged {
        /// The segment's file.
        file: PathBuf,
        /// Bytes from its beginning to what cannot be read.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
}

/// Why a record, or a rewrite, is not in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The record does not fit a segment. It is not in the log, and never can be.
    #[error("a record of {bytes} bytes is too long for the log, which takes {limit}")]
    TooLong {
        /// The length of the record.
        bytes: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// The log has its full size. The record is not in the log; a rewrite makes room.
    #[error("the log is full: it may have {max_bytes} bytes, and must be rewritten before it takes more")]
    Full {
        /// The bound, in bytes.
        max_bytes: u64,
    },
    /// The disk has no room. The record is not in the log; the next one may find room.
    #[error("no room on the disk for the log: cannot {what}: {source}")]
    NoRoom {
        /// What was to be done, as a verb and its object.
        what: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The disk failed, now or earlier, so that nobody knows what of the latest is on it. The record may or may not be
    /// found when the log is next opened; until then it takes nothing.
    #[error("the log has stopped for good, since it could not {what}: {source}")]
    Stopped {
        /// What failed first, as a verb and its object.
        what: String,
        /// What the system said to it.
        source: Arc<io::Error>,
    },
}
