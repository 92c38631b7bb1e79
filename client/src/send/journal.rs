//! What a run has stored, written down while it goes, so that a broken run is taken up where it broke.
//!
//! One file per run: a first line with the seed that ids and authors are made from, then a line per stored sentence.
//! Losing the last lines is harmless: a sentence that is sent again under its id is stored once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Done;
use super::author::Seed;

/// A run's file, held under a lock.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// A journal, and what it says of an earlier run.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// What ids and authors are made from: the earlier run's, or else the one given.
    pub seed: Seed,
    /// What the earlier run stored.
    pub done: Vec<Done>,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process sends the very same run.
    #[error("the same text is being sent to the same address by another process; wait for it to end")]
    Busy,
    /// The folder or file cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Head {
    balanza_run: u32,
    to: String,
    sentences: usize,
    seed: Seed,
}

const VERSION: u32 = 1;

impl Journal {
    /// Opens the journal of the run `key` in `folder`, and reads it unless `fresh`.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn open(
        folder: &Path,
        key: &str,
        to: &str,
        sentences: usize,
        seed: Seed,
        fresh: bool,
    ) -> Result<Opened, JournalError> {
        let path = folder.join(format!("send-{key}.ndjson"));
        let unusable = |source| JournalError::Unusable { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let earlier = if fresh { None } else { read(&file, sentences).map_err(unusable)? };
        let (seed, done) = earlier.unwrap_or((seed, Vec::new()));
        // Written anew from what was read, so that a line cut off by a crash does not spoil the next one.
        let mut text = Vec::new();
        line(&mut text, &Head { balanza_run: VERSION, to: to.to_owned(), sentences, seed })
            .map_err(unusable)?;
        for one in &done {
            line(&mut text, one).map_err(unusable)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(unusable)?;
        file.write_all(&text).map_err(unusable)?;
        file.set_len(text.len() as u64).map_err(unusable)?;
        Ok(Opened { journal: Self { file, path }, seed, done })
    }

    /// Notes a stored sentence.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, done: &Done) -> io::Result<()> {
        let mut text = Vec::new();
        line(&mut text, done)?;
        self.file.write_all(&text)
    }

    /// Removes the file, because nothing of the run is missing.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn line(text: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *text, value)?;
    text.push(b'\n');
    Ok(())
}

/// What the file says; `None` when it is new, or of another version or text.
fn read(file: &File, sentences: usize) -> io::Result<Option<(Seed, Vec<Done>)>> {
    let mut lines = BufReader::new(file).split(b'\n');
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let head = serde_json::from_slice::<Head>(&first).ok();
    let Some(head) = head.filter(|head| head.balanza_run == VERSION && head.sentences == sentences) else {
        return Ok(None);
    };
    let mut done = std::collections::BTreeMap::new();
    for text in lines {
        // A line that cannot be read was being written when the run broke.
        if let Ok(one) = serde_json::from_slice::<Done>(&text?)
            && one.index < sentences
        {
            done.insert(one.index, one);
        }
    }
    Ok(Some((head.seed, done.into_values().collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed { started_ms: 1, random: 2 };
    const OTHER: Seed = Seed { started_ms: 3, random: 4 };

    fn open(folder: &Path, seed: Seed, fresh: bool) -> Result<Opened, JournalError> {
        Journal::open(folder, "k", "http://h:1", 9, seed, fresh)
    }

    fn done(index: usize) -> Done {
        Done { index, node: "A".to_owned(), filter: "ram".to_owned() }
    }

    #[test]
    fn a_broken_run_is_taken_up_with_its_seed() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open(folder.path(), SEED, false).unwrap();
        assert_eq!((first.seed, first.done.len()), (SEED, 0));
        first.journal.note(&done(3)).unwrap();
        first.journal.note(&done(1)).unwrap();
        drop(first);
        let second = open(folder.path(), OTHER, false).unwrap();
        assert_eq!((second.seed, second.done), (SEED, vec![done(1), done(3)]));
    }

    #[test]
    fn a_line_that_was_cut_off_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open(folder.path(), SEED, false).unwrap();
        first.journal.note(&done(3)).unwrap();
        first.journal.file.write_all(b"{\"index\":4,\"no").unwrap();
        drop(first);
        let mut second = open(folder.path(), OTHER, false).unwrap();
        assert_eq!(second.done, [done(3)]);
        second.journal.note(&done(5)).unwrap();
        drop(second);
        assert_eq!(open(folder.path(), OTHER, false).unwrap().done, [done(3), done(5)]);
    }

    #[test]
    fn a_complete_or_fresh_run_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open(folder.path(), SEED, false).unwrap();
        first.journal.note(&done(3)).unwrap();
        drop(first);
        let fresh = open(folder.path(), OTHER, true).unwrap();
        assert_eq!((fresh.seed, fresh.done.len()), (OTHER, 0));
        fresh.journal.remove().unwrap();
        assert_eq!(open(folder.path(), SEED, false).unwrap().seed, SEED);
    }

    #[test]
    fn one_run_has_one_sender() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), SEED, false).unwrap();
        assert!(matches!(open(folder.path(), SEED, false), Err(JournalError::Busy)));
        drop(first);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("file");
        std::fs::write(&taken, "x").unwrap();
        let error = open(&taken.join("below"), SEED, false).unwrap_err().to_string();
        assert!(error.contains("send-k.ndjson"), "{error}");
    }
}
