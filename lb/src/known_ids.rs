//! PURE. Where the ids that clients made, and those that were given up in doubt, have gone: a repeated post must reach
//! the place that may hold it, and no other. It remembers in memory and within bounds: for what it has forgotten, or
//! never knew, the nodes are asked. What must outlive the process is `doubt.rs`'s.

use std::collections::{HashMap, VecDeque};

use wire::SentenceId;

use crate::homes::Home;

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
    /// The place that may hold the sentence.
    pub(crate) fn of(&self, id: SentenceId) -> Option<Home> {
        self.doubtful.of(id).or_else(|| self.clients.of(id))
    }

    /// A client's sentence goes there, and lies nowhere else as far as is known.
    pub(crate) fn note(&mut self, id: SentenceId, home: Home) {
        if self.doubtful.of(id).is_some_and(|before| before != home) {
            self.doubtful.forget(id);
        }
        self.clients.note(id, home);
    }

    /// The sentence was sent there and never answered.
    pub(crate) fn note_doubt(&mut self, id: SentenceId, home: Home) {
        self.doubtful.note(id, home);
    }

    /// The one copy that stays of the sentence lies there.
    pub(crate) fn stays(&mut self, id: SentenceId, home: Home) {
        if self.of(id).is_some() {
            self.note(id, home);
        }
    }

    /// The sentence is surely nowhere.
    pub(crate) fn forget(&mut self, id: SentenceId) {
        self.clients.forget(id);
        self.doubtful.forget(id);
    }
}

/// The newest ids, up to a limit.
struct Memory {
    /// Where each is, and which of the notes in `oldest_first` counts for it.
    homes: HashMap<SentenceId, (Home, u64)>,
    oldest_first: VecDeque<(SentenceId, u64)>,
    noted: u64,
    limit: usize,
}

impl Memory {
    fn new(limit: usize) -> Self {
        Self { homes: HashMap::new(), oldest_first: VecDeque::new(), noted: 0, limit }
    }

    fn of(&self, id: SentenceId) -> Option<Home> {
        self.homes.get(&id).map(|(home, _)| *home)
    }

    fn note(&mut self, id: SentenceId, home: Home) {
        if let Some((known, _)) = self.homes.get_mut(&id) {
            *known = home;
            return;
        }
        self.noted += 1;
        self.homes.insert(id, (home, self.noted));
        self.oldest_first.push_back((id, self.noted));
        if self.oldest_first.len() > self.limit
            && let Some((oldest, noted)) = self.oldest_first.pop_front()
            // One that was forgotten and noted again since has a later place.
            && self.homes.get(&oldest).is_some_and(|(_, newest)| *newest == noted)
        {
            self.homes.remove(&oldest);
        }
    }

    fn forget(&mut self, id: SentenceId) {
        self.homes.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(n: u128) -> Home {
        let mut homes = crate::homes::Homes::default();
        (0..=n).map(|n| homes.of_store(wire::StoreId(uuid::Uuid::from_u128(n)), "A")).last().unwrap()
    }

    fn id(n: u128) -> SentenceId {
        SentenceId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn doubt_outlives_traffic_and_wins_over_it() {
        let mut known = KnownIds::default();
        known.note_doubt(id(7), home(1));
        for n in (0..CLIENTS_IDS as u128 + 8).filter(|n| *n != 7) {
            known.note(id(n), home(0));
        }
        assert_eq!(known.of(id(7)), Some(home(1)));
        assert_eq!(known.of(id(6)), None, "the oldest have left");
        assert_eq!(known.of(id(8)), Some(home(0)));
        known.forget(id(8));
        assert_eq!(known.of(id(8)), None);
    }

    #[test]
    fn an_id_that_went_elsewhere_is_not_looked_for_where_it_was() {
        let mut known = KnownIds::default();
        known.note_doubt(id(7), home(1));
        known.note(id(7), home(2));
        assert_eq!(known.of(id(7)), Some(home(2)));
    }

    #[test]
    fn an_id_that_was_forgotten_and_comes_again_is_as_new_as_any() {
        let mut memory = Memory::new(2);
        memory.note(id(1), home(1));
        memory.forget(id(1));
        memory.note(id(2), home(1));
        memory.note(id(1), home(1));
        assert_eq!(memory.of(id(1)), Some(home(1)), "its first note left, and the second stays");
        memory.note(id(3), home(1));
        assert_eq!((memory.of(id(2)), memory.of(id(1))), (None, Some(home(1))));
    }
}
