//! The one thread that writes: it commits whatever has gathered as one durable transaction and answers everybody.
//!
//! While one commit waits for the disk the next one gathers, so a busy store batches by itself and an idle one does
//! not wait. After a failed write the thread lets go of the database, tells everybody why, and opens it again as soon
//! as a trial write succeeds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::RwLock;
use redb::Database;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wire::{Date, SentenceId, StoreId};

use super::Opener;
use super::engine::{self, Change, Done, Fault};
use crate::clock;
use crate::fence::Pass;
use crate::store::ledger::Ledger;
use crate::store::{Entry, MAX_COMMIT_ENTRIES, Place, Receipt, StoreError, Tally};

/// How long to wait between two attempts to write again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// The open database as readers share it; empty while the store recovers.
pub(super) type Shared = Arc<RwLock<Option<Arc<Database>>>>;

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
    Stop,
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Insert { entries, .. } => entries.len(),
            Self::Retract { copies, .. } => copies.len(),
            Self::Delete { .. } | Self::Stop => 1,
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
            Self::Stop => {}
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
    pub(super) opener: Opener,
    pub(super) ledger: Arc<Ledger>,
    pub(super) id: StoreId,
    pub(super) newest: Option<Date>,
    /// The passes of inserts of which only the next opening tells whether they are stored.
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
            let fault = if jobs.is_empty() { None } else { self.commit(jobs) };
            let stopping = match fault {
                Some(reason) if !stopping => self.recover(&reason),
                _ => stopping,
            };
            if stopping {
                break;
            }
        }
        self.let_go();
        while let Ok(job) = self.jobs.try_recv() {
            drop(job.refuse(StoreError::Closed));
        }
    }

    /// Commits and answers; gives the reason when the disk did not take it.
    fn commit(&mut self, jobs: Vec<Job>) -> Option<String> {
        let Some(database) = current(&self.shared) else {
            let reason = "the database is closed".to_owned();
            self.refuse_all(jobs, &reason, false);
            return Some(reason);
        };
        let changes: Vec<_> = jobs
            .iter()
            .filter_map(|job| match job {
                Job::Insert { entries, .. } => Some(Change::Insert(entries)),
                Job::Delete { id, .. } => Some(Change::Delete(*id)),
                Job::Retract { copies, .. } => Some(Change::Retract(copies)),
                Job::Stop => None,
            })
            .collect();
        let applied = engine::apply(&database, &changes, clock::now(), &mut self.newest);
        drop(changes);
        match applied {
            Ok(applied) => {
                let tally = self.ledger.changed(applied.added, applied.removed);
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

    /// Opens the database again as soon as it takes writes; `true` when told to stop meanwhile.
    fn recover(&mut self, reason: &str) -> bool {
        tracing::error!(reason, "the store takes no sentences");
        self.let_go();
        let mut reason = reason.to_owned();
        let mut next_try = clock::instant() + RETRY_EVERY;
        loop {
            match self.jobs.recv_timeout(next_try.saturating_duration_since(clock::instant())) {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(job) => self.refuse_all(vec![job], &reason, false),
                Err(RecvTimeoutError::Timeout) => match self.reopen() {
                    Ok(documents) => {
                        self.ledger.recounted(documents);
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

    fn reopen(&mut self) -> Result<u64, String> {
        let database = (self.opener)().map_err(|error| Fault::Engine(error.into()).in_words())?;
        let contents = engine::probe(&database)
            .and_then(|()| engine::prepare(&database, self.id))
            .map_err(|fault| fault.in_words())?;
        self.newest = self.newest.max(contents.newest);
        self.in_doubt.clear();
        *self.shared.write() = Some(Arc::new(database));
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

    /// Readers that are under way keep the file open for the moment that their page takes.
    fn let_go(&self) {
        *self.shared.write() = None;
    }
}

/// The database, where it is open.
pub(super) fn current(shared: &Shared) -> Option<Arc<Database>> {
    shared.read().clone()
}
