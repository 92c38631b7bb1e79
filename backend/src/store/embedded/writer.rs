//! The one thread that writes: it commits whatever has gathered as one durable transaction and answers everybody.
//!
//! While one commit waits for the disk the next one gathers, so a busy store batches by itself and an idle one does
//! not wait. After a failed write the thread tells everybody why, views the database as it is on the disk, so that it can
//! still be read, and opens it again as soon as a trial write succeeds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};
use redb::Database;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use wire::{Date, SentenceId, StoreId};

use super::engine::{self, Change, Contents, Done, Fault};
use super::medium::Medium;
use super::witness::{Testimony, Witness};
use crate::clock;
use crate::fence::Pass;
use crate::store::ledger::Ledger;
use crate::store::{Entry, MAX_COMMIT_ENTRIES, Place, Receipt, StoreError, Tally};

/// How long to wait between two attempts to write again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// The open database as readers share it. The writer holds the lock while it changes it, so that nobody reads a view of a
/// file that is written to.
#[derive(Clone)]
pub(super) struct Shared {
    open: Arc<RwLock<Option<Database>>>,
    /// Counts the changes.
    opened: Arc<watch::Sender<u64>>,
}

impl Shared {
    pub(super) fn new(database: Database) -> Self {
        Self { open: Arc::new(RwLock::new(Some(database))), opened: Arc::new(watch::Sender::new(0)) }
    }

    /// The database, if it can be read, until the guard is dropped. Waits while the writer changes it.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.open.read()
    }

    /// Tells how often the database was opened or viewed anew.
    pub(super) fn openings(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// Closes the database for readers and opens what `opening` gives.
    fn change<T>(&self, opening: impl FnOnce() -> (Option<Database>, T)) -> T {
        let mut open = self.open.write();
        // The one before must let go of the file first.
        *open = None;
        let told;
        (*open, told) = opening();
        drop(open);
        self.opened.send_modify(|opened| *opened = opened.wrapping_add(1));
        told
    }
}

/// What the writer is asked to do.
pub(super) enum Job {
    Insert {
        entries: Vec<Entry>,
        /// The entries' part of the queue's bytes, given back when the job is done.
        room: OwnedSemaphorePermit,
        /// Given back when the entries are stored or never will be.
        pass: Pass,
        answer: oneshot::Sender<Result<Receipt, StoreError>>,
    },
    Delete {
        id: SentenceId,
        answer: oneshot::Sender<Result<(bool, Tally), StoreError>>,
    },
    Retract {
        copies: Vec<Place>,
        /// As of an insert.
        room: OwnedSemaphorePermit,
        answer: oneshot::Sender<Result<(Vec<SentenceId>, Tally), StoreError>>,
    },
    /// A read failed at the disk after so many openings.
    Reopen {
        seen: u64,
        reason: String,
    },
    Stop,
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Insert { entries, .. } => entries.len(),
            Self::Retract { copies, .. } => copies.len(),
            Self::Delete { .. } | Self::Reopen { .. } | Self::Stop => 1,
        }
    }

    /// Answers with an error. Whoever has stopped waiting does not hear it. Gives the pass of an insert, for which it may
    /// be too early to be given back.
    fn refuse(self, error: StoreError) -> Option<Pass> {
        match self {
            Self::Insert { answer, room, pass, .. } => {
                drop(room);
                drop(answer.send(Err(error)));
                return Some(pass);
            }
            Self::Delete { answer, .. } => drop(answer.send(Err(error))),
            Self::Retract { answer, room, .. } => {
                drop(room);
                drop(answer.send(Err(error)));
            }
            Self::Reopen { .. } | Self::Stop => {}
        }
        None
    }

    fn answer(self, done: Done, tally: Tally) {
        match (self, done) {
            (Self::Insert { answer, room, pass, .. }, Done::Inserted(outcomes)) => {
                drop((room, pass));
                drop(answer.send(Ok(Receipt { outcomes, tally })));
            }
            (Self::Delete { answer, .. }, Done::Deleted(deleted)) => drop(answer.send(Ok((deleted, tally)))),
            (Self::Retract { answer, room, .. }, Done::Retracted(retracted)) => {
                drop(room);
                drop(answer.send(Ok((retracted, tally))));
            }
            (job, _) => drop(job.refuse(StoreError::Damaged("the writer lost its place".to_owned()))),
        }
    }
}

/// The writer's state.
pub(super) struct Writer {
    pub(super) jobs: Receiver<Job>,
    pub(super) shared: Shared,
    pub(super) medium: Box<dyn Medium>,
    pub(super) witness: Witness,
    pub(super) ledger: Arc<Ledger>,
    pub(super) id: StoreId,
    pub(super) newest: Option<Date>,
    /// Commits of the store so far.
    pub(super) commits: u64,
    /// The passes of inserts of which only the next look at the file tells whether they are stored.
    pub(super) in_doubt: Vec<Pass>,
}

impl Writer {
    /// Works until it is told to stop or nobody can ask any more; lets go of the database then.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            let mut weight = first.weight();
            let mut jobs = vec![first];
            while weight < MAX_COMMIT_ENTRIES
                && !matches!(jobs.last(), Some(Job::Stop))
                && let Ok(job) = self.jobs.try_recv()
            {
                weight += job.weight();
                jobs.push(job);
            }
            let stopping = jobs.pop_if(|job| matches!(job, Job::Stop)).is_some();
            let mut fault = None;
            jobs.retain(|job| {
                let Job::Reopen { seen, reason } = job else { return true };
                if *seen == *self.shared.opened.borrow() {
                    fault = Some(reason.clone());
                }
                false
            });
            if !jobs.is_empty() {
                fault = self.commit(jobs).or(fault);
            }
            let stopping = match fault {
                Some(reason) if !stopping => self.recover(&reason),
                _ => stopping,
            };
            if stopping {
                break;
            }
        }
        self.shared.change(|| (None, ()));
        self.witness.sync();
        while let Ok(job) = self.jobs.try_recv() {
            drop(job.refuse(StoreError::Closed));
        }
    }

    /// Commits and answers; gives the reason when the disk did not take it.
    fn commit(&mut self, jobs: Vec<Job>) -> Option<String> {
        let changes: Vec<_> = jobs
            .iter()
            .filter_map(|job| match job {
                Job::Insert { entries, .. } => Some(Change::Insert(entries)),
                Job::Delete { id, .. } => Some(Change::Delete(*id)),
                Job::Retract { copies, .. } => Some(Change::Retract(copies)),
                Job::Reopen { .. } | Job::Stop => None,
            })
            .collect();
        let applied = match &*self.shared.read() {
            Some(database) => {
                let (now, newest) = (clock::now(), &mut self.newest);
                engine::at_work(|| engine::apply(database, &changes, now, newest, self.commits))
            }
            None => Err(Fault::Engine(redb::Error::DatabaseClosed)),
        };
        drop(changes);
        match applied {
            Ok(applied) => {
                let tally = self.ledger.changed(applied.added, applied.removed);
                if applied.commits != self.commits {
                    self.commits = applied.commits;
                    self.testify(tally.documents);
                }
                for (job, done) in jobs.into_iter().zip(applied.done) {
                    job.answer(done, tally);
                }
                None
            }
            Err(fault) => {
                let reason = fault.in_words();
                self.ledger.fail(&reason);
                self.refuse_all(jobs, &reason, fault.ambiguous());
                Some(reason)
            }
        }
    }

    pub(super) fn testify(&mut self, documents: u64) {
        self.witness.tell(Testimony { id: self.id, commits: self.commits, documents });
    }

    /// Views the database, and opens it again as soon as it takes writes; `true` when told to stop meanwhile.
    fn recover(&mut self, reason: &str) -> bool {
        tracing::error!(reason, "the store takes no sentences");
        self.ledger.fail(reason);
        self.view();
        let mut reason = reason.to_owned();
        let mut next_try = clock::instant() + RETRY_EVERY;
        loop {
            match self.jobs.recv_timeout(next_try.saturating_duration_since(clock::instant())) {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Job::Reopen { seen, .. }) => {
                    if seen == *self.shared.opened.borrow() {
                        self.view();
                    }
                }
                Ok(job) => self.refuse_all(vec![job], &reason, false),
                Err(RecvTimeoutError::Timeout) => match self.reopen() {
                    Ok(documents) => {
                        self.ledger.recounted(documents);
                        self.testify(documents);
                        self.ledger.heal();
                        tracing::info!(documents, "the store takes sentences again");
                        return false;
                    }
                    Err(again) => {
                        reason = again;
                        self.ledger.fail(&reason);
                        next_try = clock::instant() + RETRY_EVERY;
                    }
                },
            }
        }
    }

    /// Lets the database be read as it is on the disk. Where that cannot be, reads tell why the store takes no writes.
    fn view(&mut self) {
        let viewed = self.shared.change(|| match engine::at_work(|| self.medium.view()) {
            Ok(view) => (Some(view), true),
            Err(error) => {
                tracing::error!(%error, "the store cannot be read either");
                (None, false)
            }
        });
        // What a failed commit has left in the file is seen now, and the next opening sees the same.
        if viewed {
            self.in_doubt.clear();
        }
    }

    fn reopen(&mut self) -> Result<u64, String> {
        // Opening may read the whole file, and readers wait meanwhile: not before there is hope.
        self.medium.try_writes().map_err(|error| engine::disk_in_words(&error))?;
        let opened = self.shared.change(|| {
            let opened = engine::at_work(|| open_again(&*self.medium, self.id));
            match opened {
                Ok((database, contents)) => (Some(database), Ok(contents)),
                Err(reason) => (engine::at_work(|| self.medium.view()).ok(), Err(reason)),
            }
        });
        let contents = opened?;
        if contents.commits < self.commits {
            let (found, known) = (contents.commits, self.commits);
            self.ledger.damaged(&format!("the file is back at commit {found} of {known}"));
        }
        self.newest = self.newest.max(contents.newest);
        self.commits = self.commits.max(contents.commits);
        self.in_doubt.clear();
        Ok(contents.documents)
    }

    fn refuse_all(&mut self, jobs: Vec<Job>, reason: &str, ambiguous: bool) {
        for job in jobs {
            let pass = job.refuse(StoreError::Unavailable { reason: reason.to_owned(), ambiguous });
            if ambiguous {
                self.in_doubt.extend(pass);
            }
        }
    }
}

fn open_again(medium: &dyn Medium, id: StoreId) -> Result<(Database, Contents), String> {
    let database = medium.open().map_err(|error| Fault::Engine(error.into()).in_words())?;
    let contents = engine::probe(&database).and_then(|()| engine::prepare(&database, id));
    Ok((database, contents.map_err(|fault| fault.in_words())?))
}
