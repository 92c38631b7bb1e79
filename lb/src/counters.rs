//! What happened since the start, counted. Absent: the names under which it is told.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start. They are read one by one, so two of them need not agree to the sentence.
#[derive(Default)]
pub(crate) struct Counters {
    /// Sentences answered as stored.
    pub(crate) stored: Counter,
    /// Sentences refused as faulty.
    pub(crate) invalid: Counter,
    /// Sentences refused because no node or no room was there.
    pub(crate) refused: Counter,
    /// Sentences given up in doubt.
    pub(crate) in_doubt: Counter,
    /// Sentences that went to another node after one did not store them.
    pub(crate) rerouted: Counter,
    /// Sentences that moved although they may be stored where they were.
    pub(crate) moved_in_doubt: Counter,
    /// Sentences about which the nodes were asked before one was chosen.
    pub(crate) looked_up: Counter,
    /// Sentences that were found on two nodes, sent there by two balancers.
    pub(crate) found_twice: Counter,
    /// Second copies that were taken back.
    pub(crate) taken_back: Counter,
    /// Posts repeated to the same node after a silence or a broken connection.
    pub(crate) repeated: Counter,
    /// Posts to nodes; `stored / posts` is the mean batch.
    pub(crate) posts: Counter,
    /// Times that a node came up.
    pub(crate) rises: Counter,
    /// Times that a node went down.
    pub(crate) falls: Counter,
    /// Lanes begun, one for each node and thread that carries sentences to it.
    pub(crate) lanes_begun: Counter,
    /// Lanes ended, since their nodes have left.
    pub(crate) lanes_ended: Counter,
    /// Client connections accepted.
    pub(crate) connections: Counter,
    /// Client connections handed to the full HTTP server.
    pub(crate) handed_over: Counter,
    /// Client connections that have ended; the others are open.
    pub(crate) closed: Counter,
}

/// A client connection, for as long as it is open.
pub(crate) struct OpenConnection<'a>(&'a Counters);

impl Counters {
    /// Counts a client connection that was accepted, and its end.
    pub(crate) fn open(&self) -> OpenConnection<'_> {
        self.connections.add(1);
        OpenConnection(self)
    }

    /// Client connections that are open.
    pub(crate) fn n_open(&self) -> u64 {
        // Read in this order: a connection may begin and end in between.
        let closed = self.closed.get();
        self.connections.get().saturating_sub(closed)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.closed.add(1);
    }
}

/// One count.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
