//! PURE. Where the ids that clients made, and those that were given up in doubt, have gone: a repeated post must reach
//! the node that may hold it, and no other. It remembers in memory and within bounds; what must outlive the process
//! is the in-doubt journal's, which is still to come.

use std::collections::{HashMap, VecDeque};

use wire::SentenceId;

use crate::fleet::NodeKey;

/// Ids that clients made: some ten seconds of the fastest client, about 15 MB when full.
const CLIENTS_IDS: usize = 1 << 18;
/// Ids in doubt. They are kept apart, so that traffic does not push them out.
const DOUBTFUL_IDS: usize = 1 << 16;

/// Where ids may be stored.
pub(crate) struct KnownIds {
    clients: Memory,
    doubtful: Memory,
}

impl Default for KnownIds {
    fn default() -> Self {
        Self { clients: Memory::new(CLIENTS_IDS), doubtful: Memory::new(DOUBTFUL_IDS) }
    }
}

impl KnownIds {
    /// The node that may hold the sentence.
    pub(crate) fn of(&self, id: SentenceId) -> Option<NodeKey> {
        self.doubtful.nodes.get(&id).or_else(|| self.clients.nodes.get(&id)).copied()
    }

    /// A client's sentence goes to the node.
    pub(crate) fn note(&mut self, id: SentenceId, node: NodeKey) {
        self.clients.note(id, node);
    }

    /// The sentence was sent to the node and never answered.
    pub(crate) fn note_doubt(&mut self, id: SentenceId, node: NodeKey) {
        self.doubtful.note(id, node);
    }

    /// The sentence is surely on no node.
    pub(crate) fn forget(&mut self, id: SentenceId) {
        self.clients.nodes.remove(&id);
    }
}

/// The newest ids, up to a limit.
struct Memory {
    nodes: HashMap<SentenceId, NodeKey>,
    oldest_first: VecDeque<SentenceId>,
    limit: usize,
}

impl Memory {
    fn new(limit: usize) -> Self {
        Self { nodes: HashMap::new(), oldest_first: VecDeque::new(), limit }
    }

    fn note(&mut self, id: SentenceId, node: NodeKey) {
        if self.nodes.insert(id, node).is_some() {
            return;
        }
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > self.limit
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.nodes.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> SentenceId {
        SentenceId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn doubt_outlives_traffic_and_wins_over_it() {
        let mut known = KnownIds::default();
        known.note_doubt(id(7), NodeKey::of_slot(1));
        for n in 0..CLIENTS_IDS as u128 + 8 {
            known.note(id(n), NodeKey::of_slot(0));
        }
        assert_eq!(known.of(id(7)), Some(NodeKey::of_slot(1)));
        assert_eq!(known.of(id(6)), None, "the oldest have left");
        assert_eq!(known.of(id(8)), Some(NodeKey::of_slot(0)));
        known.forget(id(8));
        assert_eq!(known.of(id(8)), None);
    }
}
