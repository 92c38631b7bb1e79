//! A disk in memory for the journals of a test: it keeps its records from one run of a balancer to the next, takes a moment
//! for each, can be full, and loses what it has not written when a run dies. Absent: what a real disk does to files, which
//! the log's own tests try.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use wal::AppendError;

use super::{Journal, Kept, Tell};

/// A journal below this is not written anew, in bytes: so few that a test comes to it.
pub(super) const SMALL: u64 = 1024;
/// How long a record takes.
const TIME: Duration = Duration::from_millis(3);

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    records: Vec<Vec<u8>>,
    /// What was handed in and is not written yet, oldest first.
    waiting: VecDeque<(Write, Tell)>,
    is_full: bool,
}

enum Write {
    Append(Vec<u8>),
    Rewrite(Vec<Vec<u8>>),
}

impl Disk {
    /// The journal of the next run, and what the runs before have written.
    pub(crate) fn open(&self) -> (Journal, Vec<Vec<u8>>) {
        (Journal(Kept::MadeUp(self.clone())), self.0.lock().records.clone())
    }

    /// From now on it takes nothing, or takes records again.
    pub(crate) fn fill(&self, is_full: bool) {
        self.0.lock().is_full = is_full;
    }

    /// The run has died. What waits is written all the same, or is lost.
    pub(crate) fn cut_off(&self, is_lost: bool) {
        while !is_lost && self.write_next() {}
        self.0.lock().waiting.clear();
    }

    pub(super) fn append(&self, record: Vec<u8>, tell: Tell) {
        self.hand_in(Write::Append(record), tell);
    }

    pub(super) fn rewrite(&self, records: Vec<Vec<u8>>, tell: Tell) {
        self.hand_in(Write::Rewrite(records), tell);
    }

    pub(super) fn size(&self) -> u64 {
        self.0.lock().records.iter().map(|record| record.len() as u64).sum()
    }

    fn hand_in(&self, write: Write, tell: Tell) {
        self.0.lock().waiting.push_back((write, tell));
        let disk = self.clone();
        tokio::spawn(async move {
            sleep(TIME).await;
            disk.write_next();
        });
    }

    /// Writes what has waited longest, if anything does.
    fn write_next(&self) -> bool {
        let mut state = self.0.lock();
        let Some((write, tell)) = state.waiting.pop_front() else { return false };
        let written = if state.is_full { Err(AppendError::Full { max_bytes: 0 }) } else { Ok(()) };
        match write {
            _ if written.is_err() => {}
            Write::Append(record) => state.records.push(record),
            Write::Rewrite(records) => state.records = records,
        }
        drop(state);
        tell(written);
        true
    }
}
