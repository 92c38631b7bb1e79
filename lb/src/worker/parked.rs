//! PURE. A sentence that waits, for a disk or for the nodes' word, on its way to a lane. Absent: what it waits for.

use wire::SentenceId;

use crate::routing::Journey;
use crate::sentence::Sentence;

/// A sentence of its own, with `waiter`, who waits for its answer.
pub(super) struct Parked<W> {
    /// The sentence.
    pub(super) text: Text,
    /// Where it has been.
    pub(super) journey: Journey,
    /// Who waits.
    pub(super) waiter: W,
}

/// A sentence that borrows nothing.
pub(super) struct Text {
    id: SentenceId,
    is_clients: bool,
    author: String,
    sentence: String,
}

impl<W> Parked<W> {
    /// Copies the sentence out of the body that it came in.
    pub(super) fn new(sentence: &Sentence<'_>, journey: Journey, waiter: W) -> Self {
        let Sentence { id, is_clients, author, sentence } = *sentence;
        let text = Text { id, is_clients, author: author.to_owned(), sentence: sentence.to_owned() };
        Self { text, journey, waiter }
    }

    /// Its identity.
    pub(super) fn id(&self) -> SentenceId {
        self.text.id
    }
}

impl Text {
    /// The sentence as it is routed.
    pub(super) fn sentence(&self) -> Sentence<'_> {
        let Self { id, is_clients, author, sentence } = self;
        Sentence { id: *id, is_clients: *is_clients, author, sentence }
    }
}
