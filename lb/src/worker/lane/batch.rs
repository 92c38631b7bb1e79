//! PURE. The sentences that go to a node in one post: their lines, ready to be sent, and what is known of each.
//! Absent: sending.

use wire::SentenceId;

use crate::answer::Reply;
use crate::fleet::{Assignment, NodeKey};
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

/// The fixed parts of a line, between which id, author and sentence stand.
const BEFORE_ID: &str = r#"{"id":""#;
const BEFORE_AUTHOR: &str = r#"","author":"#;
const BEFORE_SENTENCE: &str = r#","sentence":"#;
const END: &str = "}\n";
/// Length of a written UUID.
const ID_LEN: usize = 36;
/// Where the author stands in its line.
const AUTHOR_AT: usize = BEFORE_ID.len() + ID_LEN + BEFORE_AUTHOR.len();

/// One sentence of a batch: who waits for it, and where its parts lie in the batch's text.
pub(crate) struct Item {
    /// Its identity.
    pub(crate) id: SentenceId,
    /// Whether the client made the id.
    is_clients: bool,
    /// Who waits for the answer.
    pub(crate) reply: Reply,
    /// How the node was chosen.
    pub(crate) assignment: Assignment,
    /// Nodes that surely did not store it.
    pub(crate) tried: Vec<NodeKey>,
    start: usize,
    author: usize,
    sentence: usize,
}

/// Sentences for one post.
#[derive(Default)]
pub(crate) struct Batch {
    /// NDJSON, a line per item.
    pub(crate) text: String,
    /// In the order of the lines.
    pub(crate) items: Vec<Item>,
}

impl Batch {
    /// Whether it should leave before it takes more.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= FULL_ITEMS || self.text.len() >= FULL_BYTES
    }

    /// Adds a sentence.
    pub(super) fn push(
        &mut self,
        posted: Sentence<'_>,
        assignment: Assignment,
        tried: Vec<NodeKey>,
        reply: Reply,
    ) {
        let start = self.text.len();
        let mut id = [0; ID_LEN];
        let id: &str = posted.id.0.hyphenated().encode_lower(&mut id);
        for part in [BEFORE_ID, id, BEFORE_AUTHOR, posted.author, BEFORE_SENTENCE, posted.sentence, END] {
            self.text.push_str(part);
        }
        let (author, sentence) = (posted.author.len(), posted.sentence.len());
        let is_clients = posted.is_clients;
        self.items.push(Item {
            id: posted.id,
            is_clients,
            reply,
            assignment,
            tried,
            start,
            author,
            sentence,
        });
    }

    /// Empties it for the next sentences; `None` when it is too large to be kept.
    pub(super) fn recycle(mut self) -> Option<Self> {
        self.items.clear();
        self.text.clear();
        (self.text.capacity() <= KEPT_BYTES).then_some(self)
    }
}

impl Item {
    /// The id as it stands in its line.
    pub(super) fn id_text<'a>(&self, text: &'a str) -> &'a str {
        let at = self.start + BEFORE_ID.len();
        text.get(at..at + ID_LEN).unwrap_or_default()
    }

    /// The author's literal.
    pub(super) fn author<'a>(&self, text: &'a str) -> &'a str {
        let at = self.start + AUTHOR_AT;
        text.get(at..at + self.author).unwrap_or_default()
    }

    /// The sentence's literal.
    pub(super) fn sentence<'a>(&self, text: &'a str) -> &'a str {
        let at = self.start + AUTHOR_AT + self.author + BEFORE_SENTENCE.len();
        text.get(at..at + self.sentence).unwrap_or_default()
    }

    /// The sentence as it was given.
    pub(super) fn posted<'a>(&self, text: &'a str) -> Sentence<'a> {
        Sentence {
            id: self.id,
            is_clients: self.is_clients,
            author: self.author(text),
            sentence: self.sentence(text),
        }
    }
}
