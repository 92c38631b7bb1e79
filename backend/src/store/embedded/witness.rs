//! The witness: a small file beside the database that tells which commit was acknowledged last.
//!
//! A database whose newest commit was damaged looks like one that a crash has torn, and the engine goes back to the commit
//! before. Only somebody outside can tell the two apart. The witness is written after a commit is durable and before it
//! is acknowledged, without a sync of its own: it is therefore never ahead of the database, whatever crashes, and behind
//! it only after the power was lost. So a database that is behind its witness has lost something, surely.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use wire::StoreId;

use super::pages::checksum_of;

/// What the file's line begins with.
const MARK: &str = "balanza-store 1";

/// What was acknowledged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Testimony {
    /// The store that it is about.
    pub(super) id: StoreId,
    /// The commits of the store.
    pub(super) commits: u64,
    /// The documents after the last of them.
    pub(super) documents: u64,
}

impl Testimony {
    /// One line of a length that does not change, so that it is written in one piece over the last.
    fn write(self) -> String {
        let Self { id, commits, documents } = self;
        let told = format!("{MARK} store {id} commits {commits:020} documents {documents:020}");
        format!("{told} check {:032x}\n", checksum_of(told.as_bytes()))
    }

    fn read(text: &str) -> Option<Self> {
        let (told, check) = text.strip_suffix('\n')?.split_once(" check ")?;
        if check != format!("{:032x}", checksum_of(told.as_bytes())) {
            return None;
        }
        let mut words = told.strip_prefix(MARK)?.split_whitespace();
        let mut value = |name: &str| if words.next()? == name { words.next() } else { None };
        let id = value("store")?.parse().ok()?;
        let commits = value("commits")?.parse().ok()?;
        Some(Self { id, commits, documents: value("documents")?.parse().ok()? })
    }
}

/// What is known of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// There is none, as beside a store of an older program.
    Nothing,
    /// It does not read back, as after a loss of power.
    Unclear,
    Testimony(Testimony),
}

/// Where the witness of a database lies.
pub(super) fn path_of(database: &Path) -> PathBuf {
    database.with_extension("witness")
}

/// What the witness at `path` tells.
pub(super) fn hear(path: &Path) -> io::Result<Heard> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = std::str::from_utf8(&bytes).ok();
            Ok(text.and_then(Testimony::read).map_or(Heard::Unclear, Heard::Testimony))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Heard::Nothing),
        Err(error) => Err(error),
    }
}

/// A witness that is told of each commit.
#[derive(Debug)]
pub(super) struct Witness {
    file: Option<File>,
    failed: bool,
}

impl Witness {
    /// The witness at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file: Some(file), failed: false })
    }

    /// A store that has none, as in a test of the engine.
    #[cfg(test)]
    pub(super) fn absent() -> Self {
        Self { file: None, failed: false }
    }

    /// Takes down what is to be acknowledged. A witness that cannot write stops no sentence: it is then only behind.
    pub(super) fn tell(&mut self, testimony: Testimony) {
        let Some(file) = &self.file else { return };
        let told = file.write_all_at(testimony.write().as_bytes(), 0);
        if let (Err(error), false) = (&told, self.failed) {
            tracing::warn!(%error, "what was stored last cannot be taken down beside the store");
        }
        self.failed = told.is_err();
    }

    /// Makes durable what was told.
    pub(super) fn sync(&self) {
        if let Some(Err(error)) = self.file.as_ref().map(File::sync_all) {
            tracing::warn!(%error, "what was stored last may not be told after a loss of power");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn testimony(id: u128, commits: u64, documents: u64) -> Testimony {
        Testimony { id: StoreId(uuid::Uuid::from_u128(id)), commits, documents }
    }

    proptest! {
        #[test]
        fn a_testimony_reads_back_and_a_changed_one_does_not(
            id in any::<u128>(),
            commits in any::<u64>(),
            documents in any::<u64>(),
            at in any::<proptest::sample::Index>(),
            byte in 0x20u8..0x7f,
        ) {
            let told = testimony(id, commits, documents);
            let mut text = told.write().into_bytes();
            prop_assert_eq!(text.len(), testimony(0, 0, 0).write().len());
            prop_assert_eq!(Testimony::read(std::str::from_utf8(&text).unwrap()), Some(told));
            let at = at.index(text.len());
            if text[at] != byte {
                text[at] = byte;
                prop_assert_eq!(Testimony::read(std::str::from_utf8(&text).unwrap()), None);
            }
        }

        #[test]
        fn other_texts_are_no_testimony(text in "(balanza-store 1 store [0-9a-f-]{36} )?.{0,80}\n?") {
            prop_assert_eq!(Testimony::read(&text), None);
        }
    }

    #[test]
    fn what_is_told_last_is_heard() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(&dir.path().join("sentences.redb"));
        assert_eq!(hear(&path).unwrap(), Heard::Nothing);
        let mut witness = Witness::open(&path).unwrap();
        assert_eq!(hear(&path).unwrap(), Heard::Unclear, "it was made, and then the power was lost");
        for commits in 1..4 {
            witness.tell(testimony(7, commits, u64::MAX));
            assert_eq!(hear(&path).unwrap(), Heard::Testimony(testimony(7, commits, u64::MAX)));
        }
    }
}
