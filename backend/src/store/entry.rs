//! What goes into a store, what becomes of it, and its place in the order of documents. PURE.

use wire::{Date, NewSentence, SentenceId, StoredCopy, StoredSentence};

/// One sentence to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The sentence and its identity.
    pub sentence: NewSentence,
    /// When it was stored first, for one that moves here from another store; else the store's own clock counts.
    pub date: Option<Date>,
}

impl From<NewSentence> for Entry {
    fn from(sentence: NewSentence) -> Self {
        Self { sentence, date: None }
    }
}

impl Entry {
    /// What the entries weigh in a queue, in bytes, with an allowance for what surrounds each text.
    pub(super) fn weigh(entries: &[Self]) -> usize {
        const AROUND: usize = 256;
        let weights = entries.iter().map(|it| it.sentence.author.len() + it.sentence.sentence.len() + AROUND);
        weights.sum()
    }
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored now.
    Stored(Date),
    /// Stored before under this id; nothing was changed.
    Duplicate(StoredSentence),
    /// The store refused this one document and kept the others.
    Refused(String),
}

/// A place in the order of documents: by date, then id. Unlike [`wire::Place`] it has an id, as every document here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The date of the document that stands here.
    pub date: Date,
    /// Its id.
    pub id: SentenceId,
}

impl Place {
    /// The place of `document`; `None` for one from an old node, which has no id.
    pub fn of(document: &StoredSentence) -> Option<Self> {
        Some(Self { date: document.date, id: document.id? })
    }
}

impl From<StoredCopy> for Place {
    fn from(StoredCopy { date, id }: StoredCopy) -> Self {
        Self { date, id }
    }
}

impl From<Place> for StoredCopy {
    fn from(Place { date, id }: Place) -> Self {
        Self { date, id }
    }
}

impl From<wire::Place> for Place {
    /// The nil id, which is none on the wire, is the least here and so stands in the same place.
    fn from(place: wire::Place) -> Self {
        Self { date: place.date(), id: place.id().unwrap_or(SentenceId(uuid::Uuid::nil())) }
    }
}
