//! PURE. The one table from what went wrong to a status, a stable code and a remedy. Absent: how a problem is sent.

use wire::problem::Kind;
use wire::{InvalidSentence, Problem, SentenceId};

use crate::fleet::NoNode;

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
    /// It waited for the node, which did not answer those before it. It was never sent.
    Waited {
        /// The node.
        node: String,
    },
}

impl Failure {
    /// Whether the sentence may be stored all the same.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt { .. } | Self::InDoubtOnce { .. })
    }

    /// Whether the same post may succeed a little later, and after how many seconds.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::NoNode(_) | Self::LaneFull { .. } | Self::InDoubt { .. } | Self::Waited { .. } => Some(1),
            _ => None,
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(invalid) => invalid.into(),
            Failure::BadKey(why) => Self::of(Kind::InvalidIdempotencyKey, why)
                .with_field("idempotency-key")
                .with_remedy("send one UUID, the same as the body's id where it has one"),
            Failure::NoNode(no_node) => Self::of(Kind::Down, no_node.to_string())
                .with_remedy("repeat the post a little later; GET /fleet tells why each node is down")
                .with_message("down"),
            Failure::LaneFull { node } => {
                Self::of(Kind::Overloaded, format!("too many sentences already wait for node {node}"))
                    .with_remedy("repeat the post a little later, or send fewer at a time")
                    .with_message("overloaded")
            }
            Failure::Rejected(problem) => *problem,
            Failure::InDoubt { id, node, why } => {
                let detail = format!("node {node} may have stored the sentence, but did not say so: {why}");
                Self::of(Kind::InDoubt, detail)
                    .with_remedy(format!("repeat the post with the id {id}: it is stored once"))
                    .with_doubt()
            }
            Failure::InDoubtOnce { node, why } => {
                let detail = format!(
                    "node {node} may have stored the sentence, but did not say so: {why}; it knows no ids, so asking \
                     again could store it twice"
                );
                Self::of(Kind::InDoubtOldNode, detail)
                    .with_remedy("look for the sentence with GET /sentence before posting it again")
                    .with_doubt()
            }
            Failure::Waited { node } => Self::of(
                Kind::Overloaded,
                format!("the sentence waited for node {node}, which answers nothing"),
            )
            .with_remedy("repeat the post a little later; GET /fleet tells how each node stands")
            .with_message("overloaded"),
        }
    }
}

/// Nothing lies under this path.
pub(crate) fn no_route(path: &str) -> Problem {
    Problem::of(Kind::NoRoute, format!("there is nothing at {path}"))
        .with_remedy("GET /openapi.json tells what there is")
}

/// The path does not know the method.
pub(crate) fn wrong_method(method: &str, path: &str) -> Problem {
    Problem::of(Kind::MethodNotAllowed, format!("{path} does not know {method}"))
        .with_remedy("GET /openapi.json tells what there is")
}

/// No node has this name.
pub(crate) fn no_node(name: &str) -> Problem {
    let shown: String = name.chars().take(64).collect();
    Problem::of(Kind::NoNode, format!("no node is called `{shown}`"))
        .with_field("server")
        .with_remedy("GET /fleet names the nodes")
}

/// A parameter is wrong.
pub(crate) fn parameter(field: &str, detail: &str, remedy: &str) -> Problem {
    Problem::of(Kind::BadParameter, detail).with_field(field).with_remedy(remedy)
}

/// A body broke off.
pub(crate) fn broken_body(why: &str) -> Problem {
    Problem::of(Kind::BrokenBody, format!("the body could not be read: {why}"))
        .with_remedy("send the request again")
}

/// A body is over its limit, which is told as soon as it shows.
pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::of(Kind::TooLarge, format!("the body has more than {limit} bytes"))
        .with_field("content-length")
        .with_remedy("split the sentence, or send several with POST /sentences")
}

/// A bulk body is no list.
pub(crate) fn not_bulk(why: &str) -> Problem {
    Problem::of(Kind::NotJson, format!("the body is no JSON array: {why}")).with_remedy(
        r#"send [{"author":"…","sentence":"…"}, …], or one object per line as application/x-ndjson"#,
    )
}

/// A bulk body has too many items.
pub(crate) fn too_many(found: usize) -> Problem {
    let limit = wire::contract::MAX_BULK_ITEMS;
    Problem::of(Kind::TooMany, format!("the body has {found} sentences; the limit is {limit}"))
        .with_remedy(format!("send at most {limit} at once"))
}

/// A node's list cannot be had.
pub(crate) fn unreadable(detail: &str) -> Problem {
    Problem::of(Kind::NodeUnreadable, detail)
        .with_remedy("repeat it later, or add partial=true to list the other nodes")
}

/// The balancer ends.
pub(crate) fn stopping() -> Problem {
    Problem::of(Kind::Stopping, "the balancer is stopping")
        .with_remedy("repeat the post with the same id at another balancer, or at this one once it is back")
}

/// No sentence can be taken.
pub(crate) fn not_ready(why: &str) -> Problem {
    Problem::of(Kind::NotReady, why).with_message("down")
}

/// The admin token is missing.
pub(crate) fn no_token() -> Problem {
    Problem::of(Kind::NoToken, "this needs the admin token")
        .with_field("authorization")
        .with_remedy("add -H 'authorization: Bearer TOKEN' with the admin token")
}

/// The token that was shown is not the admin token.
pub(crate) fn wrong_token() -> Problem {
    Problem::of(Kind::WrongToken, "the token is not the admin token")
        .with_field("authorization")
        .with_remedy("use the admin token that the balancer was started with")
}

/// The admin routes are closed.
pub(crate) fn no_admin_token() -> Problem {
    Problem::of(Kind::NoAdminToken, "this needs the admin token, and this balancer has none")
        .with_remedy("start it with --admin-token-file FILE")
}
