//! The HTTP contract: every type that crosses a process boundary, and the rules that both of its sides must keep alike.
//!
//! | request | sent as | answered with |
//! |---|---|---|
//! | `POST /sentence` to a node | [`RawSentence`] | [`StoredSentence`] |
//! | `POST /sentences` to a node | [`RawSentence`] per line or array element | [`ItemAnswer`] per item, in order |
//! | `POST /sentences/held` to a node | [`Ids`] | [`Copies`]: those that it holds |
//! | `POST /sentences/retract` to a node | [`Copies`] | [`Ids`]: those that it took back |
//! | `GET /sentences/ids` of a node | | [`Copies`] |
//! | `POST /fence` to a node | | [`Fenced`] |
//! | `GET /usage` of a node | | [`Usage`] |
//! | `GET /report`, `GET /report/stream` of a node | | [`Report`] |
//! | `POST /sentence` to the balancer | [`RawSentence`] | [`Routed`] |
//! | `POST /sentences` to the balancer | [`RawSentence`] per line or array element | [`RoutedItem`] per item, in order |
//! | `GET /sentence` of the balancer | | [`LocatedSentence`] per element |
//! | `GET /fleet` of the balancer | | [`FleetView`] |
//! | `GET /decisions` of the balancer | | [`DecisionView`] per element |
//! | any failed request | | [`Problem`] |
//!
//! What is sent as JSON, and the small values in it, stand at the root. Rules and codecs keep the name of their module,
//! because it says what they are of:
//!
//! | module | the one place for |
//! |---|---|
//! | [`array`] | cutting a JSON array that arrives in pieces into its elements |
//! | [`events`] | server-sent events, written and read |
//! | [`media`] | which content types and encodings are read, at every door |
//! | [`problem`] | the kinds of problems: code, status, title |
//! | [`request`] | which requests are taken, and where each ends, at every door |
//! | [`chunks`] | where a body that comes in chunks ends |
//! | [`template`] | the JSON that is written and read by hand, because it passes with every sentence |
//! | [`token`] | tokens, and how a request shows one |
//!
//! The crate validates, reads and writes bytes that it is given, and nothing more: it does no I/O, reads no clock and
//! knows no store.

pub mod array;
pub mod chunks;
pub mod events;
pub mod media;
pub mod problem;
pub mod request;
pub mod template;
pub mod token;

mod copies;
mod date;
mod fleet;
mod place;
mod report;
mod sentence;
mod share;

pub use copies::{Copies, Fenced, Ids, StoreId, StoredCopy};
pub use date::{Date, DateError};
pub use fleet::{
    CandidateView, DecisionView, Filter, FleetView, LocatedSentence, NodeState, NodeView, Routed, RoutedItem,
};
pub use place::Place;
pub use problem::Problem;
pub use report::{Report, Source, SourceError, Usage};
pub use sentence::{
    IdError, InvalidSentence, ItemAnswer, ItemStatus, JsonText, NewSentence, RawSentence, SentenceId,
    StoredSentence,
};
pub use share::Share;
pub use token::Token;

/// Names of the headers that only Balanza defines, and the limits that every door keeps.
pub mod contract {
    /// On a node's answers to posts: how many documents it holds once this post is stored.
    pub const DOCUMENTS_HEADER: &str = "balanza-documents";
    /// On a node's answers to posts: the revision at which that count was true (see `Report::revision`).
    pub const REVISION_HEADER: &str = "balanza-revision";
    /// On a node's answers to posts: the run of the node that the revision belongs to.
    pub const EPOCH_HEADER: &str = "balanza-epoch";
    /// On a balancer's posts to a node: the fence that the node last told (see `Report::fence`). On a node's refusal of a
    /// post from before its fence: the number that holds now.
    pub const FENCE_HEADER: &str = "balanza-fence";
    /// On a balancer's request for a node's reports: a UUID of its run, so that the node can count its balancers.
    pub const BALANCER_HEADER: &str = "balanza-balancer";
    /// On a routed answer: an RFC 8941 dictionary with the node, the reason and the numbers compared.
    pub const DECISION_HEADER: &str = "balanza-decision";
    /// On a post to the balancer: the sentence's id, for a client that keeps ids out of the body.
    pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
    /// On every answer of a node: its load in ORCA's JSON form.
    pub const LOAD_HEADER: &str = "endpoint-load-metrics";

    /// The media type of server-sent events.
    pub const EVENT_STREAM: &str = "text/event-stream";
    /// The media type of one JSON document per line.
    pub const NDJSON: &str = "application/x-ndjson";
    /// The media type of an RFC 9457 problem.
    pub const PROBLEM_JSON: &str = "application/problem+json";

    /// Longest head of a request, in bytes.
    pub const MAX_HEAD_BYTES: usize = 16 * 1024;
    /// Most headers of a request.
    pub const MAX_HEADERS: usize = 64;
    /// Most bytes of a chunked body's size lines and trailers that say something else than sizes.
    pub const MAX_CHUNK_EXTRAS_BYTES: usize = 4 * 1024;
    /// Longest author, in UTF-8 bytes after unescaping.
    pub const MAX_AUTHOR_BYTES: usize = 256;
    /// Longest sentence, in UTF-8 bytes after unescaping.
    pub const MAX_SENTENCE_BYTES: usize = 64 * 1024;
    /// Longest body of one sentence. JSON may spend six bytes (`\u0041`) on one.
    pub const MAX_SENTENCE_BODY_BYTES: usize = 6 * (MAX_AUTHOR_BYTES + MAX_SENTENCE_BYTES) + 1024;
    /// Longest body of a bulk post.
    pub const MAX_BULK_BODY_BYTES: usize = 16 * 1024 * 1024;
    /// Most sentences in one bulk post.
    pub const MAX_BULK_ITEMS: usize = 10_000;
    /// Largest page that `GET /sentence?limit=` gives; without `limit` everything is streamed.
    pub const MAX_PAGE: usize = 1_000;
}
