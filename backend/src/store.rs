//! What a node keeps: the one trait that every store fulfils, and the words that it speaks.
//!
//! Owns no engine: [`embedded`] and [`mongo`] do. Both promise the same, and one suite of tests holds them to it:
//!
//! - an insert is answered after its sentences are durable, and never before;
//! - a sentence is stored once under its id; a repeated id is answered with the document as it was stored first;
//! - documents are listed by date, then id; two documents of one node never get the same date from the node;
//! - the count of documents and the revision change in one step, after the change that they count;
//! - a store has an identity, made once with it;
//! - the pass of an insert is given back once the insert can change nothing any more, and not before.

pub mod embedded;
mod entry;
mod ledger;
pub mod mongo;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use wire::{Date, SentenceId, StoreId, StoredSentence};

use crate::fence::Pass;

pub use entry::{Entry, Outcome, Place};
pub use ledger::{State, Tally};

/// A store's answer, on its own: it borrows nothing from the store.
pub type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Pages of a listing. A slow reader holds back the store; a dropped receiver ends the listing.
pub type Pages = mpsc::Receiver<Result<Vec<StoredSentence>, StoreError>>;

/// Keeps sentences.
pub trait Store: Send + Sync + 'static {
    /// The identity of what is stored, which no other store has, and which stays under every name, path and run.
    fn id(&self) -> StoreId;

    /// Stores what is not stored yet; answers once everything is durable. Outcomes are in the order of `entries`. The store
    /// keeps `pass` until it is through with the insert, also where nobody waits for the answer any more.
    fn insert(&self, entries: Vec<Entry>, pass: Pass) -> Answer<Receipt>;

    /// The document under `id`.
    fn get(&self, id: SentenceId) -> Answer<Option<StoredSentence>>;

    /// Removes the document under `id`; `false` when there was none.
    fn delete(&self, id: SentenceId) -> Answer<(bool, Tally)>;

    /// The places of those of `ids` that are stored, in no order. Reads no texts.
    fn held(&self, ids: Vec<SentenceId>) -> Answer<Vec<Place>>;

    /// The next places after one, by date and id, at most `limit`. Reads no texts.
    fn places(&self, after: Option<Place>, limit: usize) -> Answer<Vec<Place>>;

    /// Removes the documents that stand at exactly these places, and gives their ids once that is durable. What stands
    /// elsewhere under the same id stays.
    fn retract(&self, copies: Vec<Place>) -> Answer<(Vec<SentenceId>, Tally)>;

    /// The documents that `query` selects, by date and id, in pages of bounded size.
    fn list(&self, query: Query) -> Pages;

    /// Count, revision and health, read in one step.
    fn state(&self) -> watch::Receiver<State>;

    /// Finishes what is queued and lets go of the data.
    fn close(&self) -> BoxFuture<'static, ()>;
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// One outcome per entry, in order.
    pub outcomes: Vec<Outcome>,
    /// The store right after the commit that holds the whole insert.
    pub tally: Tally,
}

/// Which documents to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only those after this place in the order.
    pub after: Option<Place>,
    /// Only those of this author.
    pub author: Option<String>,
    /// At most this many.
    pub limit: Option<usize>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More is waiting than the queue holds. Nothing was stored.
    #[error("the store is busy: its queue is full")]
    Busy,
    /// The store cannot be used now. `ambiguous` when the change may have been made all the same.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// Why, in words.
        reason: String,
        /// Whether the change may have been made.
        ambiguous: bool,
    },
    /// The node is stopping. Nothing was stored.
    #[error("the node is stopping")]
    Closed,
    /// What is stored does not read back.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

/// Why a store did not open. The message ends with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct OpenError {
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// Most sentences in one commit; more wait for the next, so that no single commit takes long.
const MAX_COMMIT_ENTRIES: usize = 16 * 1024;
/// Most bytes waiting in a store's queue; beyond that an insert is refused at once.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// Most documents in one page of a listing.
const MAX_PAGE_DOCUMENTS: usize = 512;
/// A page of a listing ends once its texts reach this many bytes.
const MAX_PAGE_BYTES: usize = 256 * 1024;

/// What one place weighs in a queue, in bytes.
const PLACE_WEIGHT: usize = 32;

/// Takes a part of a queue's bytes, or says that the queue is full.
fn reserve(room: &Arc<Semaphore>, weight: usize) -> Result<OwnedSemaphorePermit, StoreError> {
    // A single change that outweighs the whole queue takes all of it.
    let weight = u32::try_from(weight.min(MAX_QUEUED_BYTES)).unwrap_or(u32::MAX);
    Arc::clone(room).try_acquire_many_owned(weight).map_err(|_| StoreError::Busy)
}

/// The date of the next document: the clock's, but later than `last`, so that no two share one.
///
/// A `last` that lies more than an hour ahead is no neighbour in time: it was imported, or the clock was wrong then.
fn next_date(now: Date, last: Option<Date>) -> Date {
    const HOUR: i64 = 3_600_000_000;
    match last {
        Some(last) if last >= now && last.unix_micros().saturating_sub(now.unix_micros()) <= HOUR => {
            Date::from_unix_micros(last.unix_micros().saturating_add(1))
        }
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever dates a store holds, and whatever the clock says: the next date is of its time, and is another one.
        #[test]
        fn no_date_is_too_extreme(
            now in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)],
            last in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)],
            near in -2i64..2,
        ) {
            let now = Date::from_unix_micros(now);
            let end = Date::from_unix_micros(i64::MAX);
            for last in [Date::from_unix_micros(last), Date::from_unix_micros(now.unix_micros() + near)] {
                let next = next_date(now, Some(last));
                prop_assert!(next >= now && (next != last || next == end));
            }
        }
    }

    #[test]
    fn dates_move_forward_even_when_the_clock_does_not() {
        let at = Date::from_unix_micros;
        assert_eq!(next_date(at(5), None), at(5));
        assert_eq!(next_date(at(5), Some(at(4))), at(5));
        assert_eq!(next_date(at(5), Some(at(5))), at(6));
        assert_eq!(next_date(at(5), Some(at(90))), at(91));
        assert_eq!(
            next_date(at(5), Some(at(4_000_000_000))),
            at(5),
            "a date from the far future is not followed"
        );
    }
}
