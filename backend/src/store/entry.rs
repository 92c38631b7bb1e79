//! What goes into a store, what becomes of it, and its place in the order of documents. PURE.

use wire::{Date, NewSentence, SentenceId, StoredSentence};

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
    /// What the entry weighs in a queue, in bytes, with an allowance for what surrounds the text.
    pub(super) fn weight(&self) -> usize {
        const AROUND: usize = 256;
        self.sentence.author.len() + self.sentence.sentence.len() + AROUND
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl From<wire::Place> for Place {
    /// The nil id, which is none on the wire, is the least here and so stands in the same place.
    fn from(place: wire::Place) -> Self {
        Self { date: place.date(), id: place.id().unwrap_or(SentenceId(uuid::Uuid::nil())) }
    }
}
