//! Count, revision and health of a store in one cell, so that no reader sees one without the others.
//!
//! Does no I/O. A store tells the ledger of a change after the change is durable; whoever answers a post takes the
//! tally from that same step. So a report with revision R counts exactly the posts answered with a revision up to R.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// How many documents a store holds, and which of its states that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Documents in the store.
    pub documents: u64,
    /// Counts the changes of the store within this run of the process.
    pub revision: u64,
}

/// A store as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Count and revision.
    pub tally: Tally,
    /// Why the store takes no sentences; `None` when it does.
    pub fault: Option<String>,
}

/// The cell. Owned by the store; everybody else subscribes.
#[derive(Debug)]
pub(super) struct Ledger {
    state: watch::Sender<State>,
    /// Whether the fault is one that no recovery heals.
    damaged: AtomicBool,
}

impl Ledger {
    pub(super) fn new(documents: u64) -> Self {
        let tally = Tally { documents, revision: 0 };
        let state = watch::Sender::new(State { tally, fault: None });
        Self { state, damaged: AtomicBool::new(false) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// `added` documents are durable and `removed` are gone. Without either, nothing has changed.
    pub(super) fn changed(&self, added: u64, removed: u64) -> Tally {
        let touched = added > 0 || removed > 0;
        self.count(|documents| (documents.saturating_add(added).saturating_sub(removed), touched))
    }

    /// The store was counted anew, after a fault whose outcome nobody knew.
    pub(super) fn recounted(&self, documents: u64) -> Tally {
        self.count(|before| (documents, before != documents))
    }

    /// Something that is stored does not read back. The store takes no sentences any more, until somebody has looked at it
    /// and started the node again.
    pub(super) fn damaged(&self, what: &str) {
        if !self.damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(what, "stored data is damaged");
            self.tell(&format!("stored data is damaged: {what}"));
        }
    }

    /// The store takes no sentences, because of `reason`.
    pub(super) fn fail(&self, reason: &str) {
        if !self.damaged.load(Ordering::Acquire) {
            self.tell(reason);
        }
    }

    fn tell(&self, reason: &str) {
        self.state.send_if_modified(|state| {
            let news = state.fault.as_deref() != Some(reason);
            if news {
                state.fault = Some(reason.to_owned());
            }
            news
        });
    }

    /// The store takes sentences again.
    pub(super) fn heal(&self) {
        if !self.damaged.load(Ordering::Acquire) {
            self.state.send_if_modified(|state| state.fault.take().is_some());
        }
    }

    fn count(&self, change: impl FnOnce(u64) -> (u64, bool)) -> Tally {
        let mut after = Tally::default();
        self.state.send_if_modified(|state| {
            let (documents, touched) = change(state.tally.documents);
            if touched {
                state.tally = Tally { documents, revision: state.tally.revision + 1 };
            }
            after = state.tally;
            touched
        });
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_and_revision_change_together() {
        let ledger = Ledger::new(7);
        assert_eq!(ledger.subscribe().borrow().tally, Tally { documents: 7, revision: 0 });
        assert_eq!(ledger.changed(3, 0), Tally { documents: 10, revision: 1 });
        assert_eq!(ledger.changed(0, 0), Tally { documents: 10, revision: 1 });
        assert_eq!(ledger.changed(0, 1), Tally { documents: 9, revision: 2 });
        assert_eq!(ledger.recounted(9), Tally { documents: 9, revision: 2 });
        assert_eq!(ledger.recounted(12), Tally { documents: 12, revision: 3 });
        assert_eq!(ledger.changed(1, 1), Tally { documents: 12, revision: 4 });
    }

    #[test]
    fn subscribers_hear_of_changes_only() {
        let ledger = Ledger::new(0);
        let mut state = ledger.subscribe();
        ledger.heal();
        ledger.changed(0, 0);
        assert!(!state.has_changed().unwrap());
        ledger.fail("the disk is full");
        assert!(state.has_changed().unwrap());
        assert_eq!(state.borrow_and_update().fault.as_deref(), Some("the disk is full"));
        ledger.fail("the disk is full");
        assert!(!state.has_changed().unwrap());
        ledger.heal();
        assert_eq!(state.borrow_and_update().fault, None);
    }

    #[test]
    fn no_recovery_heals_damage() {
        let ledger = Ledger::new(0);
        ledger.damaged("document 7");
        ledger.fail("the disk is full");
        ledger.heal();
        let told = ledger.subscribe().borrow().fault.clone();
        assert_eq!(told.as_deref(), Some("stored data is damaged: document 7"));
    }
}
