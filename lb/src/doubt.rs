//! PURE. The sentences that may lie in more than one place: those that moved although an unanswered post may have stored
//! them, and those that were posted again while a place that may hold them was away. Each leaves once every such place
//! was asked and all copies but one are taken back. Absent: asking, which is `reconcile.rs`'s; the disk, which is
//! `journal.rs`'s.

mod record;
mod verdict;

use std::collections::{HashMap, VecDeque};

use wire::{Date, SentenceId};

use crate::homes::{Home, Homes};
pub(crate) use record::Unreadable;
pub(crate) use verdict::{Answer, Verdict, judge};

/// Most sentences in doubt. Beyond it none moves: it waits where it may be stored, and its client is told. They take some
/// 100 bytes each.
pub(crate) const MOST: usize = 2_000_000;

/// The sentences in doubt.
#[derive(Default)]
pub(crate) struct Doubt {
    entries: HashMap<SentenceId, Entry>,
    /// How many sentences may lie in each place.
    counts: HashMap<Home, Count>,
    /// Sentences whose delivery has ended since they were last looked at.
    due: VecDeque<SentenceId>,
}

/// How many sentences may lie in a place, and since when there are any.
struct Count {
    sentences: usize,
    since: Date,
}

/// One sentence in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Where it may lie; the last is where it was sent last.
    homes: Vec<Home>,
    /// When that began.
    since: Date,
    /// Posts of it that are under way.
    under_way: u32,
    /// Records of it that are on their way to the disk.
    unwritten: u32,
    /// Whether the newest record that came to an end could not be written.
    is_unwritten: bool,
}

impl Entry {
    /// One that may lie in these places, of which nothing is under way.
    fn at_rest(homes: Vec<Home>, since: Date) -> Self {
        Self { homes, since, under_way: 0, unwritten: 0, is_unwritten: false }
    }

    /// Whether nothing of it is under way.
    fn rests(&self) -> bool {
        self.under_way == 0
    }
}

impl Doubt {
    /// Everything, for a test that wants to see it.
    #[cfg(test)]
    pub(crate) fn told(&self) -> String {
        format!("{:?}, due {:?}", self.entries, self.due)
    }

    /// How many sentences are in doubt.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none may be added.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= MOST
    }

    /// How many sentences may lie in `home`, and elsewhere.
    pub(crate) fn count(&self, home: Home) -> usize {
        self.counts.get(&home).map_or(0, |count| count.sentences)
    }

    /// Since when there are sentences that may lie in `home`, and elsewhere.
    pub(crate) fn since(&self, home: Home) -> Option<Date> {
        self.counts.get(&home).map(|count| count.since)
    }

    /// Where the sentence may lie, the place where it was sent last first; nowhere for one that is not in doubt.
    pub(crate) fn homes(&self, id: SentenceId) -> impl Iterator<Item = Home> {
        self.entries.get(&id).into_iter().flat_map(|entry| entry.homes.iter().rev().copied())
    }

    /// The sentence is about to be sent to `to`, although it may lie in `left`.
    pub(crate) fn sent(&mut self, id: SentenceId, left: &[Home], to: Home, now: Date) {
        let entry = self.entries.entry(id).or_insert_with(|| Entry::at_rest(Vec::new(), now));
        entry.under_way += 1;
        for home in left {
            if !entry.homes.contains(home) {
                entry.homes.push(*home);
                more(&mut self.counts, *home, now);
            }
        }
        if let Some(place) = entry.homes.iter().position(|home| *home == to) {
            entry.homes.remove(place);
        } else {
            more(&mut self.counts, to, now);
        }
        entry.homes.push(to);
    }

    /// The sentence was found in both of these places.
    pub(crate) fn suspect(&mut self, id: SentenceId, found: &[Home; 2], now: Date) {
        let entry = self.entries.entry(id).or_insert_with(|| Entry::at_rest(Vec::new(), now));
        for home in found {
            if !entry.homes.contains(home) {
                // Where it was sent last stays last.
                entry.homes.insert(0, *home);
                more(&mut self.counts, *home, now);
            }
        }
        if entry.rests() {
            self.due.push_back(id);
        }
    }

    /// Whether not all of what is known of the sentence is on disk.
    pub(crate) fn is_unwritten(&self, id: SentenceId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.unwritten > 0 || entry.is_unwritten)
    }

    /// A record of the sentence is handed in, for a post that [`Doubt::sent`] noted. Records are written in their order,
    /// and each says all that was known by then.
    pub(crate) fn handed_in(&mut self, id: SentenceId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.unwritten += 1;
        }
    }

    /// What was handed in is on disk.
    pub(crate) fn written(&mut self, id: SentenceId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.unwritten = entry.unwritten.saturating_sub(1);
            entry.is_unwritten = false;
        }
    }

    /// What was handed in cannot be written, so the sentence was not sent by this. By another post it may have been, so
    /// all its places are asked. Gives the one where it has been for the longest time.
    pub(crate) fn withdraw(&mut self, id: SentenceId) -> Option<Home> {
        let entry = self.entries.get_mut(&id)?;
        entry.unwritten = entry.unwritten.saturating_sub(1);
        entry.is_unwritten = true;
        let first = entry.homes.first().copied();
        self.ended(id);
        first
    }

    /// A post that [`Doubt::sent`] noted has ended, one way or the other.
    pub(crate) fn ended(&mut self, id: SentenceId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.under_way = entry.under_way.saturating_sub(1);
            if entry.rests() {
                self.due.push_back(id);
            }
        }
    }

    /// Up to `most` sentences that can be looked at since no post of them is under way any more.
    pub(crate) fn take_due(&mut self, most: usize) -> Vec<SentenceId> {
        let n = most.min(self.due.len());
        self.due.drain(..n).collect()
    }

    /// The sentences that may lie in `home`.
    pub(crate) fn of_home(&self, home: Home) -> Vec<SentenceId> {
        if self.count(home) == 0 {
            return Vec::new();
        }
        let of_home = self.entries.iter().filter(|(_, entry)| entry.homes.contains(&home));
        let mut ids: Vec<SentenceId> = of_home.map(|(id, _)| *id).collect();
        // In an order, so that a run can be repeated.
        ids.sort_unstable();
        ids
    }

    /// Where the sentence may lie, unless a post of it is under way.
    pub(crate) fn at_rest(&self, id: SentenceId) -> Option<&[Home]> {
        self.entries.get(&id).filter(|entry| entry.rests()).map(|entry| entry.homes.as_slice())
    }

    /// Of the places `asked`, the sentence may lie only in these still. With one place left, or none, it is in doubt no
    /// more. One that was sent on meanwhile stays as it is.
    pub(crate) fn settle(&mut self, id: SentenceId, asked: &[Home], rest: &[Home]) -> bool {
        let as_asked = |entry: &&mut Entry| entry.rests() && entry.homes == asked;
        let Some(entry) = self.entries.get_mut(&id).filter(as_asked) else { return false };
        let counts = &mut self.counts;
        entry.homes.retain(|home| {
            let stays = rest.len() > 1 && rest.contains(home);
            if !stays {
                less(counts, *home);
            }
            stays
        });
        if entry.homes.is_empty() {
            self.entries.remove(&id);
        }
        true
    }

    /// The node that was only known by its name turns out to lead to `to`.
    pub(crate) fn rename(&mut self, from: Home, to: Home) -> Vec<SentenceId> {
        let ids = self.of_home(from);
        for id in &ids {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            let knew = entry.homes.contains(&to);
            entry.homes.retain(|home| *home != from);
            if !knew {
                // It was not sent there last: the places where it was come first.
                entry.homes.insert(0, to);
                more(&mut self.counts, to, entry.since);
            }
            if entry.homes.len() < 2 && entry.rests() {
                self.due.push_back(*id);
            }
        }
        self.counts.remove(&from);
        ids
    }

    /// How these sentences stand, as a record for the journal.
    pub(crate) fn record(&self, ids: &[SentenceId], homes: &Homes) -> Vec<u8> {
        record::write(ids.iter().map(|id| (*id, self.entries.get(id))), homes)
    }

    /// How all sentences stand, as records for a journal that begins anew.
    pub(crate) fn records(&self, homes: &Homes) -> Vec<Vec<u8>> {
        const AT_ONCE: usize = 4_096;
        let mut entries: Vec<_> = self.entries.iter().map(|(id, entry)| (*id, Some(entry))).collect();
        // In an order, so that a run can be repeated.
        entries.sort_unstable_by_key(|(id, _)| *id);
        let mut entries = entries.into_iter().peekable();
        let mut records = Vec::new();
        while entries.peek().is_some() {
            records.push(record::write(entries.by_ref().take(AT_ONCE), homes));
        }
        records
    }

    /// Takes in a record of an earlier run, in the order in which they were written.
    ///
    /// # Errors
    /// The record is none of this program.
    pub(crate) fn replay(&mut self, record: &[u8], homes: &mut Homes) -> Result<(), Unreadable> {
        for (id, entry) in record::read(record, homes)? {
            if let Some(before) = self.entries.remove(&id) {
                before.homes.into_iter().for_each(|home| less(&mut self.counts, home));
            }
            if let Some(entry) = entry {
                for home in &entry.homes {
                    more(&mut self.counts, *home, entry.since);
                }
                self.entries.insert(id, entry);
            }
        }
        Ok(())
    }
}

fn more(counts: &mut HashMap<Home, Count>, home: Home, since: Date) {
    let count = counts.entry(home).or_insert(Count { sentences: 0, since });
    count.sentences += 1;
    count.since = count.since.min(since);
}

fn less(counts: &mut HashMap<Home, Count>, home: Home) {
    if let Some(count) = counts.get_mut(&home) {
        count.sentences = count.sentences.saturating_sub(1);
        if count.sentences == 0 {
            counts.remove(&home);
        }
    }
}

#[cfg(test)]
mod tests;
