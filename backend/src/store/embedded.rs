//! The default store: one file in the data directory, written by one thread, durable before every answer.
//!
//! Built on redb. Owns the queue to the writing thread and the reads beside it. A second process on the same data
//! directory is refused by the file's lock.

mod engine;
mod layout;
mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use redb::{Builder, Database, DatabaseError};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use wire::{SentenceId, StoreId, StoredSentence};

use self::engine::Fault;
use self::writer::{Job, Shared, Writer};
use super::ledger::Ledger;
use super::{
    Answer, Entry, MAX_QUEUED_BYTES, OpenError, PLACE_WEIGHT, Pages, Place, Query, Receipt, State, Store,
    StoreError, Tally, reserve,
};
use crate::clock;
use crate::fence::Pass;

/// The file inside the data directory.
pub const FILE_NAME: &str = "sentences.redb";

/// The engine's own cache of pages. The kernel caches the file as well, so a small one is enough, and it bounds how
/// much a listing of everything adds to the process.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Opens the database, at the start and again after a fault.
type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// The embedded store.
pub struct EmbeddedStore {
    id: StoreId,
    jobs: mpsc::Sender<Job>,
    /// Bytes still free in the queue.
    room: Arc<Semaphore>,
    shared: Shared,
    ledger: Arc<Ledger>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl EmbeddedStore {
    /// Opens the store in `data_dir`, which is made where it is missing.
    ///
    /// # Errors
    /// Says what keeps the directory or the file from being used, and what to do about it.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE_NAME);
        let failed = |problem: String| OpenError {
            problem: format!("the data directory {} cannot be used: {problem}", data_dir.display()),
            remedy: "give a directory that this user may write, with --data-dir".to_owned(),
        };
        std::fs::create_dir_all(data_dir).map_err(|error| failed(error.to_string()))?;
        let opener: Opener = Box::new(move || Builder::new().set_cache_size(CACHE_BYTES).create(&path));
        let store = Self::with_opener(opener).map_err(|fault| explain(&fault, data_dir))?;
        // The file's own entry must be as durable as what is in it.
        std::fs::File::open(data_dir)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failed(error.to_string()))?;
        Ok(store)
    }

    fn with_opener(opener: Opener) -> Result<Self, Fault> {
        let database = opener().map_err(|error| Fault::Engine(error.into()))?;
        let contents = engine::prepare(&database, clock::new_store_id())?;
        let shared = Arc::new(RwLock::new(Some(Arc::new(database))));
        let ledger = Arc::new(Ledger::new(contents.documents));
        let (sender, jobs) = mpsc::channel();
        let writer = Writer {
            jobs,
            shared: Arc::clone(&shared),
            opener,
            ledger: Arc::clone(&ledger),
            id: contents.id,
            newest: contents.newest,
            in_doubt: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(|| writer.run())
            .map_err(|error| Fault::Engine(redb::Error::Io(error)))?;
        Ok(Self {
            id: contents.id,
            jobs: sender,
            room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
            shared,
            ledger,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Puts a job into the writer's queue, at once, and gives its answer.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Answer<T> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.send(job(answer));
        Box::pin(async move {
            sent.map_err(|_| StoreError::Closed)?;
            answered.await.map_err(|_| StoreError::Closed)?
        })
    }

    /// The same for a job that takes room in the queue.
    fn ask_with_room<T: Send + 'static>(
        &self,
        weight: usize,
        job: impl FnOnce(OwnedSemaphorePermit, oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Answer<T> {
        match reserve(&self.room, weight) {
            Ok(room) => self.ask(|answer| job(room, answer)),
            Err(busy) => Box::pin(std::future::ready(Err(busy))),
        }
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> Answer<T> {
        let (shared, state) = (Arc::clone(&self.shared), self.ledger.subscribe());
        Box::pin(read_off_the_runtime(shared, state, read))
    }
}

impl Store for EmbeddedStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn insert(&self, entries: Vec<Entry>, pass: Pass) -> Answer<Receipt> {
        let weight = Entry::weigh(&entries);
        self.ask_with_room(weight, |room, answer| Job::Insert { entries, room, pass, answer })
    }

    fn get(&self, id: SentenceId) -> Answer<Option<StoredSentence>> {
        self.read(move |database| engine::get(database, id))
    }

    fn delete(&self, id: SentenceId) -> Answer<(bool, Tally)> {
        self.ask(|answer| Job::Delete { id, answer })
    }

    fn held(&self, ids: Vec<SentenceId>) -> Answer<Vec<Place>> {
        self.read(move |database| engine::held(database, &ids))
    }

    fn places(&self, after: Option<Place>, limit: usize) -> Answer<Vec<Place>> {
        self.read(move |database| engine::places(database, after, limit))
    }

    fn retract(&self, copies: Vec<Place>) -> Answer<(Vec<SentenceId>, Tally)> {
        let weight = copies.len() * PLACE_WEIGHT;
        self.ask_with_room(weight, |room, answer| Job::Retract { copies, room, answer })
    }

    fn list(&self, query: Query) -> Pages {
        let (sender, pages) = tokio::sync::mpsc::channel(1);
        let (shared, state) = (Arc::clone(&self.shared), self.ledger.subscribe());
        tokio::spawn(async move {
            let Query { mut after, author, limit } = query;
            let author = author.map(Arc::<str>::from);
            let mut left = limit.unwrap_or(usize::MAX);
            while left > 0 {
                let author = author.clone();
                let read = move |database: &Database| engine::page(database, after, author.as_deref(), left);
                let page = read_off_the_runtime(Arc::clone(&shared), state.clone(), read).await;
                let last = page.as_ref().ok().and_then(|page| page.last()).and_then(Place::of);
                left = left.saturating_sub(page.as_ref().map_or(left, Vec::len));
                // An empty page is the end; a failed one is told and is the end as well.
                if (page.is_ok() && last.is_none()) || sender.send(page).await.is_err() || last.is_none() {
                    break;
                }
                after = last;
            }
        });
        pages
    }

    fn state(&self) -> watch::Receiver<State> {
        self.ledger.subscribe()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        // A writer that is gone already needs no word.
        drop(self.jobs.send(Job::Stop));
        let thread = Arc::clone(&self.thread);
        Box::pin(async move {
            if let Some(thread) = thread.lock().await.take() {
                // A panic ends the process, so the thread has ended in order.
                drop(tokio::task::spawn_blocking(move || thread.join()).await);
            }
        })
    }
}

/// Reads on a thread that may wait for the disk.
async fn read_off_the_runtime<T: Send + 'static>(
    shared: Shared,
    state: watch::Receiver<State>,
    read: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
) -> Result<T, StoreError> {
    let reason = || state.borrow().fault.clone().unwrap_or_else(|| "the database is closed".to_owned());
    let Some(database) = writer::current(&shared) else {
        return Err(StoreError::Unavailable { reason: reason(), ambiguous: false });
    };
    tokio::task::spawn_blocking(move || read(&database))
        .await
        .map_err(|error| StoreError::Damaged(error.to_string()))?
        .map_err(|fault| match fault {
            Fault::Damaged(what) => StoreError::Damaged(what),
            fault => StoreError::Unavailable { reason: fault.in_words(), ambiguous: false },
        })
}

fn explain(fault: &Fault, data_dir: &Path) -> OpenError {
    let file = data_dir.join(FILE_NAME);
    let file = file.display();
    let (problem, remedy) = match fault {
        Fault::Engine(redb::Error::DatabaseAlreadyOpen) => (
            format!("another process uses the data directory {}", data_dir.display()),
            "stop it, or give each node its own --data-dir",
        ),
        Fault::Engine(redb::Error::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            (format!("{file} is no database of this program"), "move it away, or give another --data-dir")
        }
        Fault::Format(_) => {
            (format!("{file} cannot be read: {fault}"), "use the program that wrote it to export it")
        }
        Fault::Damaged(_) | Fault::Engine(redb::Error::Corrupted(_)) => {
            (format!("{file} is damaged: {fault}"), "restore it from a backup, or give another --data-dir")
        }
        Fault::Engine(_) | Fault::Commit(_) => (
            format!("{file} cannot be written: {}", fault.in_words()),
            "give a directory that this user may write and that has room, with --data-dir",
        ),
    };
    OpenError { problem, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests;
