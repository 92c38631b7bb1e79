//! PURE. The sentences that go to a node in one post: their lines, ready to be sent, and what is known of each.
//! Absent: sending.

use std::time::Instant;

use wire::template::Line;

use crate::fleet::Assignment;
use crate::routing::Journey;
use crate::sentence::Sentence;

/// Bytes after which a batch takes no further sentence.
const FULL_BYTES: usize = 256 * 1024;
/// Sentences after which a batch takes no further one.
const FULL_ITEMS: usize = 4096;
/// A batch that grew beyond this is not kept for the next sentences.
const KEPT_BYTES: usize = 512 * 1024;

const _: () = assert!(FULL_ITEMS <= wire::contract::MAX_BULK_ITEMS);
const _: () =
    assert!(FULL_BYTES + wire::contract::MAX_SENTENCE_BODY_BYTES <= wire::contract::MAX_BULK_BODY_BYTES);

/// A sentence in a lane, and `waiter`, who waits for its answer.
pub(crate) struct Item<'a, W> {
    /// The sentence.
    pub(crate) sentence: Sentence<'a>,
    /// How the node was chosen.
    pub(crate) assignment: Assignment,
    /// Where it has been, and whether it may lie here already.
    pub(crate) journey: Journey,
    /// Who waits.
    pub(crate) waiter: W,
}

/// Sentences for one post.
pub(crate) struct Batch<W> {
    /// NDJSON, a line per sentence.
    text: String,
    /// In the order of the lines.
    entries: Vec<Entry<W>>,
    /// When the first of its sentences came.
    since: Option<Instant>,
}

/// One sentence of a batch: where its line lies in the batch's text, and the rest of its item.
struct Entry<W> {
    id: wire::SentenceId,
    is_clients: bool,
    assignment: Assignment,
    journey: Journey,
    waiter: W,
    line: Line,
}

impl<W> Default for Batch<W> {
    fn default() -> Self {
        Self { text: String::new(), entries: Vec::new(), since: None }
    }
}

impl<W> Batch<W> {
    /// The body of the post.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many sentences it has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it should leave before it takes more.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= FULL_ITEMS || self.text.len() >= FULL_BYTES
    }

    /// When the first of its sentences came into the lane.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Adds a sentence; the first one asks what time it is.
    pub(super) fn push(&mut self, item: Item<'_, W>, now: impl FnOnce() -> Instant) {
        self.since.get_or_insert_with(now);
        let Item { sentence: Sentence { id, is_clients, author, sentence }, assignment, journey, waiter } =
            item;
        let line = Line::write(&mut self.text, id, author, sentence);
        self.entries.push(Entry { id, is_clients, assignment, journey, waiter, line });
    }

    /// Its sentences in the order of the lines, each with its id as the line writes it.
    pub(super) fn sentences(&self) -> impl ExactSizeIterator<Item = (Sentence<'_>, &str)> {
        self.entries.iter().map(|entry| (entry.sentence(&self.text), entry.line.id(&self.text)))
    }

    /// The ids in the order of the lines, of those sentences alone that were noted as in doubt when they were sent.
    pub(super) fn noted(&self) -> impl Iterator<Item = Option<wire::SentenceId>> {
        self.entries.iter().map(|entry| entry.journey.is_noted.then_some(entry.id))
    }

    /// The ids in the order of the lines, of those sentences alone that clients may repeat and of which nothing was noted.
    pub(super) fn unnoted(&self) -> impl Iterator<Item = Option<wire::SentenceId>> {
        let is_unnoted = |entry: &Entry<W>| entry.is_clients && !entry.journey.is_noted;
        self.entries.iter().map(move |entry| is_unnoted(entry).then_some(entry.id))
    }

    /// Takes the sentences out, in the order of the lines.
    pub(super) fn drain(&mut self) -> impl ExactSizeIterator<Item = Item<'_, W>> {
        let Self { text, entries, since } = self;
        *since = None;
        entries.drain(..).map(|entry| {
            let sentence = entry.sentence(text);
            let Entry { assignment, journey, waiter, .. } = entry;
            Item { sentence, assignment, journey, waiter }
        })
    }

    /// Itself without its sentences; `None` when it is too large to be kept.
    pub(super) fn emptied(mut self) -> Option<Self> {
        self.entries.clear();
        self.text.clear();
        self.since = None;
        (self.text.capacity() <= KEPT_BYTES).then_some(self)
    }
}

impl<W> Entry<W> {
    fn sentence<'a>(&self, text: &'a str) -> Sentence<'a> {
        let Self { id, is_clients, line, .. } = self;
        let (author, sentence) = (line.author(text), line.sentence(text));
        Sentence { id: *id, is_clients: *is_clients, author, sentence }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fleet::NodeKey;
    use crate::policy::{Candidate, Reason};
    use proptest::prelude::*;

    /// Some instant; nothing here waits.
    pub(in crate::worker::lane) fn start() -> Instant {
        crate::clock::now()
    }

    /// A choice of a node, whichever.
    pub(in crate::worker::lane) fn assignment() -> Assignment {
        let node = NodeKey::of_slot(0);
        let chosen = Candidate { node, documents: None, ram: None, cpu: None, in_flight: 0, age_ms: None };
        Assignment { chosen, reason: Reason::Database }
    }

    /// A batch of sentences `"s"` by `"a"` under these ids; their places are who waits.
    pub(in crate::worker::lane) fn batch(ids: &[&str]) -> Batch<usize> {
        let mut batch = Batch::default();
        for (waiter, id) in ids.iter().enumerate() {
            let sentence =
                Sentence { id: id.parse().unwrap(), is_clients: false, author: r#""a""#, sentence: r#""s""# };
            batch.push(
                Item { sentence, assignment: assignment(), journey: Journey::default(), waiter },
                start,
            );
        }
        batch
    }

    proptest! {
        #[test]
        fn a_line_is_what_serde_reads_and_comes_out_as_it_went_in(
            texts in proptest::collection::vec((any::<u128>(), "x.{0,20}", "x.{0,20}"), 1..6)
        ) {
            let literals: Vec<_> = texts
                .iter()
                .map(|(id, author, sentence)| {
                    let literal = |text| serde_json::to_string(text).unwrap();
                    (wire::SentenceId(uuid::Uuid::from_u128(*id)), literal(author), literal(sentence))
                })
                .collect();
            let mut batch = Batch::default();
            for (place, (id, author, sentence)) in literals.iter().enumerate() {
                let sentence = Sentence { id: *id, is_clients: true, author, sentence };
                let journey = Journey::default();
                batch.push(Item { sentence, assignment: assignment(), journey, waiter: place }, start);
            }
            prop_assert_eq!(batch.len(), texts.len());
            for (line, (id, author, sentence)) in batch.text().lines().zip(&texts) {
                let raw = wire::RawSentence::parse(line.as_bytes()).unwrap();
                prop_assert_eq!(raw.id, Some(wire::SentenceId(uuid::Uuid::from_u128(*id))));
                prop_assert_eq!((raw.author.text(), raw.sentence.text()), (author.as_str(), sentence.as_str()));
            }
            for (item, (id, author, sentence)) in batch.drain().zip(&literals) {
                let expected = Sentence { id: *id, is_clients: true, author, sentence };
                prop_assert_eq!(item.sentence, expected);
            }
            prop_assert_eq!(batch.len(), 0);
        }
    }
}
