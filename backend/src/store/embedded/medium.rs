//! The file as the writer comes at it: made, opened for writing, viewed while it takes no writes, and asked whether it does
//! again. A trait, so that tests can have a disk that fails when it is told to.

use std::fs::File;
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

use super::engine::{self, Fault};
use super::overlay::Overlay;
use crate::clock;

/// The engine's own cache of pages. The kernel caches the file as well, so a small one is enough, and it bounds how
/// much a listing of everything adds to the process.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What is written to see whether the disk takes as much as a fair batch.
const TRIAL_BYTES: usize = 1024 * 1024;

/// A disk with a database on it.
pub(super) trait Medium: Send + 'static {
    /// Opens the database for writing. Nobody may view it meanwhile.
    fn open(&self) -> Result<Database, DatabaseError>;

    /// The database as it is on the disk, whose writes reach nothing.
    fn view(&self) -> Result<Database, DatabaseError>;

    /// Whether the disk takes writes, without touching the database.
    fn try_writes(&self) -> Result<(), Error>;
}

/// A file.
pub(super) struct DatabaseFile(pub(super) PathBuf);

impl DatabaseFile {
    /// Makes a new database at the path, whole or not at all: a crash on the way leaves no file that is none.
    pub(super) fn create(&self) -> Result<(), Fault> {
        let Self(path) = self;
        let begun = path.with_extension("new");
        let made = make(&begun).and_then(|()| {
            // Of two that make one at once, one is first; the other finds the database.
            match std::fs::hard_link(&begun, path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                Err(_) => Ok(std::fs::rename(&begun, path)?),
                Ok(()) => Ok(()),
            }
        });
        // What is left of it, after a fault as well, is of no use.
        drop(std::fs::remove_file(&begun));
        made?;
        // The file's own entry must be as durable as what is in it.
        let directory = path.parent().unwrap_or(Path::new("."));
        Ok(File::open(directory)?.sync_all()?)
    }
}

fn make(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let database = builder().create(path).map_err(|error| Fault::Engine(error.into()))?;
    engine::prepare(&database, clock::new_store_id())?;
    database.close().map_err(|error| Fault::Engine(error.into()))?;
    Ok(File::open(path)?.sync_all()?)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

impl Medium for DatabaseFile {
    fn open(&self) -> Result<Database, DatabaseError> {
        builder().open(&self.0)
    }

    fn view(&self) -> Result<Database, DatabaseError> {
        let file = File::open(&self.0)?;
        // After a sync that failed the kernel may show what never reached the disk. What cannot be dropped is read as it is.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
        view_of(file)
    }

    fn try_writes(&self) -> Result<(), Error> {
        let trial = self.0.with_extension("trial");
        let tried = File::create(&trial).and_then(|mut file| {
            file.write_all(&vec![0x5a; TRIAL_BYTES])?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(&trial);
        tried.and(removed)
    }
}

/// The database in `file`, for reading: nothing that the engine writes reaches it.
pub(super) fn view_of(file: File) -> Result<Database, DatabaseError> {
    builder().create_with_backend(Overlay::over(file)?)
}
