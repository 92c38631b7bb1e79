//! The default store: one file in the data directory, written by one thread, durable before every answer.
//!
//! Built on redb. Owns the queue to the writing thread and the reads beside it. A second process on the same data
//! directory is refused by a lock on it. The file is checked whole before the engine sees it.

mod check;
mod engine;
mod layout;
mod medium;
mod overlay;
mod pages;
mod survey;
mod witness;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use redb::Database;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use wire::{SentenceId, StoreId, StoredSentence};

use self::engine::Fault;
use self::medium::{DatabaseFile, Medium};
use self::witness::Witness;
use self::writer::{Job, Shared, Writer};
use super::ledger::Ledger;
use super::{
    Answer, Entry, MAX_QUEUED_BYTES, OpenError, PLACE_WEIGHT, Pages, Place, Query, Receipt, State, Store,
    StoreError, Tally, reserve,
};
use crate::clock;
use crate::fence::Pass;

pub use check::{Checked, Salvaged, salvage, verify};
pub use engine::tell_panics;

/// The file inside the data directory.
pub const FILE_NAME: &str = "sentences.redb";

/// How often a read is tried where the database is opened anew under it.
const READ_ATTEMPTS: usize = 4;
/// How long a read waits for that.
const REOPENING: Duration = Duration::from_secs(10);

/// The embedded store.
pub struct EmbeddedStore {
    id: StoreId,
    jobs: mpsc::Sender<Job>,
    /// Bytes still free in the queue.
    room: Arc<Semaphore>,
    reading: Reading,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl EmbeddedStore {
    /// Opens the store in `data_dir`, which is made where it is missing.
    ///
    /// # Errors
    /// Says what keeps the directory or the file from being used, and what to do about it.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(data_dir).map_err(|error| check::unusable(data_dir, &error))?;
        let claim = check::claim(data_dir)?;
        let path = data_dir.join(FILE_NAME);
        let file = DatabaseFile(path.clone());
        let made = match check::before_opening(&path)? {
            check::Found::Nothing => file.create(),
            check::Found::Store => Ok(()),
        };
        made.and_then(|()| Self::on(Box::new(file), Witness::open(&witness::path_of(&path))?, Some(claim)))
            .map_err(|fault| check::explain(&fault, data_dir))
    }

    /// `claim` is held for as long as the writer lives.
    fn on(medium: Box<dyn Medium>, witness: Witness, claim: Option<File>) -> Result<Self, Fault> {
        let database = engine::at_work(|| medium.open()).map_err(|error| Fault::Engine(error.into()))?;
        let contents = engine::at_work(|| engine::prepare(&database, clock::new_store_id()))?;
        let shared = Shared::new(database);
        let ledger = Arc::new(Ledger::new(contents.documents));
        let (sender, jobs) = mpsc::channel();
        let mut writer = Writer {
            jobs,
            shared: shared.clone(),
            medium,
            witness,
            ledger: Arc::clone(&ledger),
            id: contents.id,
            newest: contents.newest,
            commits: contents.commits,
            in_doubt: Vec::new(),
        };
        writer.testify(contents.documents);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                writer.run();
                drop(claim);
            })
            .map_err(|error| Fault::Engine(redb::Error::Io(error)))?;
        Ok(Self {
            id: contents.id,
            reading: Reading { shared, ledger, jobs: sender.clone() },
            jobs: sender,
            room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
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
        read: impl Fn(&Database) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Answer<T> {
        Box::pin(self.reading.clone().ask(read))
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
        let reading = self.reading.clone();
        tokio::spawn(async move {
            let Query { mut after, author, limit } = query;
            let author = author.map(Arc::<str>::from);
            let mut left = limit.unwrap_or(usize::MAX);
            while left > 0 {
                let author = author.clone();
                let read = move |database: &Database| engine::page(database, after, author.as_deref(), left);
                let page = reading.clone().ask(read).await;
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
        self.reading.ledger.subscribe()
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

/// What reads stand on, also beside a writer that recovers.
#[derive(Clone)]
struct Reading {
    shared: Shared,
    ledger: Arc<Ledger>,
    jobs: mpsc::Sender<Job>,
}

impl Reading {
    /// Reads on a thread that may wait for the disk. A read that fails because the database is opened anew is tried again.
    async fn ask<T: Send + 'static>(
        self,
        read: impl Fn(&Database) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let read = Arc::new(read);
        let mut openings = self.shared.openings();
        let mut attempts = 1..READ_ATTEMPTS;
        loop {
            let seen = *openings.borrow_and_update();
            let (shared, read) = (self.shared.clone(), Arc::clone(&read));
            let done = tokio::task::spawn_blocking(move || {
                shared.read().as_ref().map(|database| engine::at_work(|| read(database)))
            });
            let fault = match done.await {
                Ok(Some(Ok(answer))) => return Ok(answer),
                Ok(Some(Err(fault))) => fault,
                Ok(None) => return Err(self.closed()),
                Err(panic) => Fault::Damaged(format!("what stops the engine ({panic})")),
            };
            if let Some(what) = fault.damage() {
                self.ledger.damaged(&what);
                return Err(StoreError::Damaged(what));
            }
            let reason = fault.in_words();
            if fault.is_of_the_disk() && attempts.next().is_some() {
                // The writer may know already; then it does not look at this.
                drop(self.jobs.send(Job::Reopen { seen, reason: reason.clone() }));
                if tokio::time::timeout(REOPENING, openings.changed()).await.is_ok() {
                    continue;
                }
            }
            return Err(StoreError::Unavailable { reason, ambiguous: false });
        }
    }

    fn closed(&self) -> StoreError {
        let fault = self.ledger.subscribe().borrow().fault.clone();
        let reason = fault.unwrap_or_else(|| "the database is closed".to_owned());
        StoreError::Unavailable { reason, ambiguous: false }
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
