//! The way of a log to its files: one directory, seen as little as a log needs. Owns the trait, so that tests can put a
//! faulty disk under a log, and the real directory with its lock. Absent: what is in the files.

#[cfg(any(test, feature = "faulty"))]
pub mod faulty;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::error::OpenError;

/// A directory of files. No name is durable before [`Disk::sync_names`] after it.
pub trait Disk: Send + 'static {
    /// An open file of it.
    type File: DiskFile;

    /// The names of all files.
    ///
    /// # Errors
    /// As the system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes a file of that many bytes, all of them zero, with their room on the disk taken.
    ///
    /// # Errors
    /// As the system says; then there is no such file.
    fn create(&self, name: &str, bytes: u64) -> io::Result<()>;

    /// Opens a file to read and write it.
    ///
    /// # Errors
    /// As the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    ///
    /// # Errors
    /// As the system says; then nobody knows which names are durable.
    fn sync_names(&self) -> io::Result<()>;

    /// Where a file is, for people.
    fn path(&self, name: &str) -> PathBuf;
}

/// An open file. Nothing written is durable before [`DiskFile::sync`] after it.
pub trait DiskFile: Send + 'static {
    /// How long it is.
    ///
    /// # Errors
    /// As the system says.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads at a place; fewer bytes than asked for only where the file ends or the system chooses so.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at a place; tells how many bytes it took, which may be fewer.
    ///
    /// # Errors
    /// As the system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// As the system says; then nobody knows what is durable, and a second call that succeeds says nothing of it.
    fn sync(&self) -> io::Result<()>;
}

/// Reads `buffer.len()` bytes from a place, or as many as there are.
pub(crate) fn read_up_to(file: &impl DiskFile, buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut n_read = 0;
    while let Some(rest) = buffer.get_mut(n_read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(n) => (n_read, offset) = (n_read + n, offset + n as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_read)
}

/// Writes all bytes at a place.
pub(crate) fn write_all(file: &impl DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => (bytes, offset) = (bytes.get(n..).unwrap_or_default(), offset + n as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether there is no room, so that nothing is wrong with the disk itself.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The file whose lock keeps a second process from the directory.
const LOCK: &str = "lock";
/// How much of a new file is written at once.
static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];

/// A directory of this machine, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    directory: File,
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |what| move |source| OpenError::Io { what, path: path.to_owned(), source };
        if !path.is_dir() {
            std::fs::create_dir_all(path).map_err(failed("make the directory"))?;
            // Its own name must be as durable as what will be in it.
            let parent = path.canonicalize().and_then(|path| File::open(path.parent().unwrap_or(&path)));
            parent.and_then(|parent| parent.sync_all()).map_err(failed("make durable that there is"))?;
        }
        let directory = File::open(path).map_err(failed("open the directory"))?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(LOCK));
        let lock = lock.map_err(failed("lock the directory"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { directory: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed("lock the directory")(error)),
        }
    }

    fn fill(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path.join(name))?;
        match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // Writing takes the room as well, only later told.
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        // Room that was only promised is turned into written room by the first write to it, by way of the file system's
        // journal. It is written now, so that no sync of records has to wait for that or finds that it cannot be.
        let mut written = 0;
        while written < bytes {
            let block =
                usize::try_from(bytes - written).ok().and_then(|left| BLOCK.get(..left)).unwrap_or(&BLOCK);
            write_all(&file, block, written)?;
            written += block.len() as u64;
        }
        Ok(())
    }
}

impl Disk for Directory {
    type File = File;

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        // A name that is no text is none of ours.
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.fill(name, bytes).inspect_err(|_| {
            // A half-made file that stays is found and removed when the log is next opened.
            drop(self.remove(name));
        })
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
