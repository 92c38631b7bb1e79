//! PURE. The one table from what went wrong to a status, a stable code and a remedy. Absent: how a problem is sent.

use wire::{InvalidSentence, Problem, SentenceId};

use crate::fleet::NoNode;
use crate::request_head::HeadError;

/// Why a sentence was not answered as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It is no sentence.
    Invalid(InvalidSentence),
    /// The `Idempotency-Key` header is no UUID, or differs from the body's id.
    BadKey(&'static str),
    /// No node can take it.
    NoNode(NoNode),
    /// The chosen node's queue is full.
    LaneFull {
        /// The node.
        node: String,
    },
    /// A node judged the sentence itself, and refused it.
    Rejected(Box<Problem>),
    /// It was sent, repeated, and never answered.
    InDoubt {
        /// The sentence, so that the client can repeat it under its id.
        id: SentenceId,
        /// The node.
        node: String,
        /// What was seen instead of an answer.
        why: String,
    },
    /// It was sent to an old node, which cannot be asked twice, and not answered.
    InDoubtOnce {
        /// The node.
        node: String,
        /// What was seen instead of an answer.
        why: String,
    },
    /// A node answered what no node may answer.
    BadAnswer {
        /// The sentence.
        id: SentenceId,
        /// The node.
        node: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Failure {
    /// Whether the same post may succeed a little later, and after how many seconds.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::NoNode(_) | Self::LaneFull { .. } | Self::InDoubt { .. } => Some(1),
            _ => None,
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(invalid) => invalid.into(),
            Failure::BadKey(why) => {
                Self::new(400, "invalid-idempotency-key", "The Idempotency-Key is not usable", why)
                    .with_field("idempotency-key")
                    .with_remedy("send one UUID, the same as the body's id where it has one")
            }
            Failure::NoNode(no_node) => {
                Self::new(503, "down", "No node can take the sentence", no_node.to_string())
                    .with_remedy("repeat the post a little later; GET /fleet tells why each node is down")
                    .with_message("down")
            }
            Failure::LaneFull { node } => {
                let detail = format!("too many sentences already wait for node {node}");
                Self::new(503, "overloaded", "The queue is full", detail)
                    .with_remedy("repeat the post a little later, or send fewer at a time")
                    .with_message("overloaded")
            }
            Failure::Rejected(problem) => *problem,
            Failure::InDoubt { id, node, why } => {
                let detail = format!("node {node} may have stored the sentence, but did not say so: {why}");
                Self::new(503, "in-doubt", "The sentence is in doubt", detail)
                    .with_remedy(format!("repeat the post with the id {id}: it is stored once"))
                    .with_doubt()
            }
            Failure::InDoubtOnce { node, why } => {
                let detail = format!(
                    "node {node} may have stored the sentence, but did not say so: {why}; it knows no ids, so asking \
                     again could store it twice"
                );
                Self::new(502, "in-doubt-old-node", "The sentence is in doubt", detail)
                    .with_remedy("look for the sentence with GET /sentence before posting it again")
                    .with_doubt()
            }
            Failure::BadAnswer { id, node, why } => {
                let detail = format!("node {node} answered what no node may answer: {why}");
                Self::new(502, "bad-answer", "The node's answer is not usable", detail)
                    .with_remedy(format!("repeat the post with the id {id}: it is stored once"))
                    .with_doubt()
            }
        }
    }
}

/// Nothing lies under this path.
pub(crate) fn no_route(path: &str) -> Problem {
    Problem::new(404, "no-route", "There is nothing here", format!("there is nothing at {path}"))
        .with_remedy("GET /openapi.json tells what there is")
}

/// The path does not know the method.
pub(crate) fn wrong_method(method: &str, path: &str) -> Problem {
    Problem::new(
        405,
        "method-not-allowed",
        "The method is not allowed",
        format!("{path} does not know {method}"),
    )
    .with_remedy("GET /openapi.json tells what there is")
}

/// No node has this name.
pub(crate) fn no_node(name: &str) -> Problem {
    let shown: String = name.chars().take(64).collect();
    Problem::new(404, "no-node", "There is no such node", format!("no node is called `{shown}`"))
        .with_field("server")
        .with_remedy("GET /fleet names the nodes")
}

/// A parameter is wrong.
pub(crate) fn parameter(field: &str, detail: &str, remedy: &str) -> Problem {
    Problem::new(400, "bad-parameter", "A parameter is wrong", detail).with_field(field).with_remedy(remedy)
}

/// A body broke off.
pub(crate) fn broken_body(why: &str) -> Problem {
    Problem::new(400, "broken-body", "The body is broken", format!("the body could not be read: {why}"))
        .with_remedy("send the request again")
}

/// A bulk body is no list.
pub(crate) fn not_bulk(why: &str) -> Problem {
    Problem::new(
        400,
        "not-json",
        "The body is no list of sentences",
        format!("the body is no JSON array: {why}"),
    )
    .with_remedy(r#"send [{"author":"…","sentence":"…"}, …], or one object per line as application/x-ndjson"#)
}

/// A bulk body has too many items.
pub(crate) fn too_many(found: usize) -> Problem {
    let limit = wire::contract::MAX_BULK_ITEMS;
    let detail = format!("the body has {found} sentences; the limit is {limit}");
    Problem::new(413, "too-many", "The body has too many sentences", detail)
        .with_remedy(format!("send at most {limit} at once"))
}

/// A node's list cannot be had.
pub(crate) fn unreadable(detail: &str) -> Problem {
    Problem::new(502, "node-unreadable", "A node cannot be read", detail)
        .with_remedy("repeat it later, or add partial=true to list the other nodes")
}

/// The balancer ends.
pub(crate) fn stopping() -> Problem {
    Problem::new(503, "stopping", "The balancer is stopping", "the balancer is stopping")
        .with_remedy("repeat the post with the same id at another balancer, or at this one once it is back")
}

/// No sentence can be taken.
pub(crate) fn not_ready(why: &str) -> Problem {
    Problem::new(503, "not-ready", "No node can take a sentence", why).with_message("down")
}

/// The admin token is missing or wrong.
pub(crate) fn unauthorized(given: bool) -> Problem {
    let detail = if given { "the token is not the admin token" } else { "this needs the admin token" };
    Problem::new(401, "no-token", "A token is needed", detail)
        .with_field("authorization")
        .with_remedy("add -H 'authorization: Bearer TOKEN' with the admin token")
}

/// The admin routes are closed.
pub(crate) fn no_admin_token() -> Problem {
    let detail = "this needs the admin token, and this balancer has none";
    Problem::new(403, "no-admin-token", "The balancer has no admin token", detail)
        .with_remedy("start it with --admin-token-file FILE")
}

impl From<HeadError> for Problem {
    fn from(error: HeadError) -> Self {
        let (status, code, title) = match error {
            HeadError::BodyTooLarge { .. } => (413, "too-long", "The body is too long"),
            HeadError::HeadTooLarge { .. } | HeadError::TooManyHeaders { .. } => {
                (431, "head-too-large", "The head of the request is too large")
            }
            HeadError::ContentType | HeadError::ContentEncoding => {
                (415, "unsupported-media-type", "The body's type is not supported")
            }
            HeadError::TimedOut => (408, "timed-out", "The request did not arrive in time"),
            _ => (400, "bad-request", "The request is not well-formed HTTP"),
        };
        let problem = Self::new(status, code, title, error.to_string()).with_remedy(error.remedy());
        match error.field() {
            Some(field) => problem.with_field(field),
            None => problem,
        }
    }
}
