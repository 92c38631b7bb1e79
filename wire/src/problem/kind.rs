//! PURE. The one table of problems: every kind with its code, status and title. What happened in one case, and what to
//! do about it, are said where it happens; `docs/http.md` says when each kind is told.

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The head is no well-formed HTTP, or its framing could be understood in two ways.
    BadRequest,
    /// The body broke off.
    BrokenBody,
    /// Nothing was sent.
    EmptyBody,
    /// The bytes are no UTF-8.
    NotUtf8,
    /// The text is no JSON, or not the list that was asked for.
    NotJson,
    /// The JSON is no sentence.
    InvalidSentence,
    /// An item of a bulk post to a node has no id.
    NoId,
    /// The `Idempotency-Key` is no UUID, or differs from the body's id.
    InvalidIdempotencyKey,
    /// A parameter of the path, the query or an operator's body is wrong.
    BadParameter,
    /// A token is needed, and none was shown.
    NoToken,
    /// The token is not the one that this needs.
    WrongToken,
    /// Nobody may do this: no admin token was set up.
    NoAdminToken,
    /// Nothing has this path.
    NoRoute,
    /// No sentence has this id.
    NoSentence,
    /// No node has this name.
    NoNode,
    /// The path exists and does not know the method.
    MethodNotAllowed,
    /// Head or body did not arrive in time.
    TimedOut,
    /// The post carries a fence that holds no more.
    Fenced,
    /// The whole body is over its limit.
    TooLarge,
    /// Author or sentence are over their limit.
    TooLong,
    /// A bulk post has more items than are taken at once.
    TooMany,
    /// The content type is none that is read here.
    UnsupportedMediaType,
    /// The body is compressed.
    PackedBody,
    /// The client expects what nobody here knows how to do.
    UnknownExpectation,
    /// The head is over its limits.
    HeadTooLarge,
    /// The store refused this one sentence.
    Refused,
    /// What the store holds cannot be read.
    StoreDamaged,
    /// An old node may have stored the sentence, and cannot be asked twice.
    InDoubtOldNode,
    /// A node's list cannot be had.
    NodeUnreadable,
    /// A node may have stored the sentence, but did not say so.
    InDoubt,
    /// A node did not store the sentence, and did not say why.
    NodeFailed,
    /// No node can take a sentence.
    Down,
    /// Too many sentences already wait for the chosen node.
    Overloaded,
    /// Sentences are not taken now.
    NotReady,
    /// The program ends.
    Stopping,
    /// The store's queue is full.
    StoreBusy,
    /// The store takes nothing.
    StoreUnavailable,
}

impl Kind {
    /// Every kind, in the order of the table in `docs/http.md`.
    pub const ALL: [Self; 37] = [
        Self::BadRequest,
        Self::BrokenBody,
        Self::EmptyBody,
        Self::NotUtf8,
        Self::NotJson,
        Self::InvalidSentence,
        Self::NoId,
        Self::InvalidIdempotencyKey,
        Self::BadParameter,
        Self::NoToken,
        Self::WrongToken,
        Self::NoAdminToken,
        Self::NoRoute,
        Self::NoSentence,
        Self::NoNode,
        Self::MethodNotAllowed,
        Self::TimedOut,
        Self::Fenced,
        Self::TooLarge,
        Self::TooLong,
        Self::TooMany,
        Self::UnsupportedMediaType,
        Self::PackedBody,
        Self::UnknownExpectation,
        Self::HeadTooLarge,
        Self::Refused,
        Self::StoreDamaged,
        Self::InDoubtOldNode,
        Self::NodeUnreadable,
        Self::InDoubt,
        Self::NodeFailed,
        Self::Down,
        Self::Overloaded,
        Self::NotReady,
        Self::Stopping,
        Self::StoreBusy,
        Self::StoreUnavailable,
    ];

    /// The stable name; a problem's `type` is `urn:balanza:` and this.
    pub const fn code(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The kind in words, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Status, code and title.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest => (400, "bad-request", "The request is not well-formed HTTP"),
            Self::BrokenBody => (400, "broken-body", "The body is broken"),
            Self::EmptyBody => (400, "empty-body", "The body is empty"),
            Self::NotUtf8 => (400, "not-utf8", "The body is not UTF-8"),
            Self::NotJson => (400, "not-json", "The body is not the JSON that is asked for"),
            Self::InvalidSentence => (400, "invalid-sentence", "The body is no sentence"),
            Self::NoId => (400, "no-id", "The item has no id"),
            Self::InvalidIdempotencyKey => {
                (400, "invalid-idempotency-key", "The Idempotency-Key is not usable")
            }
            Self::BadParameter => (400, "bad-parameter", "A parameter is wrong"),
            Self::NoToken => (401, "no-token", "A token is needed"),
            Self::WrongToken => (403, "wrong-token", "The token does not allow this"),
            Self::NoAdminToken => (403, "no-admin-token", "There is no admin token"),
            Self::NoRoute => (404, "no-route", "There is nothing here"),
            Self::NoSentence => (404, "no-sentence", "There is no such sentence"),
            Self::NoNode => (404, "no-node", "There is no such node"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "The method is not allowed"),
            Self::TimedOut => (408, "timed-out", "The request did not arrive in time"),
            Self::Fenced => (409, "fenced", "The post is from before the fence"),
            Self::TooLarge => (413, "too-large", "The body is too large"),
            Self::TooLong => (413, "too-long", "The sentence is too long"),
            Self::TooMany => (413, "too-many", "The body has too many sentences"),
            Self::UnsupportedMediaType => (415, "unsupported-media-type", "The body's type is not supported"),
            Self::PackedBody => (415, "packed-body", "The body is packed"),
            Self::UnknownExpectation => (417, "unknown-expectation", "The expectation cannot be met"),
            Self::HeadTooLarge => (431, "head-too-large", "The head of the request is too large"),
            Self::Refused => (500, "refused", "The store refused the sentence"),
            Self::StoreDamaged => (500, "store-damaged", "Stored data is damaged"),
            Self::InDoubtOldNode => (502, "in-doubt-old-node", "The sentence is in doubt"),
            Self::NodeUnreadable => (502, "node-unreadable", "A node cannot be read"),
            Self::InDoubt => (503, "in-doubt", "The sentence is in doubt"),
            Self::NodeFailed => (503, "node-failed", "The node failed"),
            Self::Down => (503, "down", "No node can take the sentence"),
            Self::Overloaded => (503, "overloaded", "The queue is full"),
            Self::NotReady => (503, "not-ready", "Sentences are not taken now"),
            Self::Stopping => (503, "stopping", "The program is stopping"),
            Self::StoreBusy => (503, "store-busy", "The store is busy"),
            Self::StoreUnavailable => (503, "store-unavailable", "The store is unavailable"),
        }
    }
}

// A kind that is missing among all would be missing in the documentation too.
const _: () = assert!(Kind::StoreUnavailable as usize + 1 == Kind::ALL.len());

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/http.md");

    #[test]
    fn every_kind_is_documented_in_its_place() {
        let (_, section) = DOCUMENT.split_once("\n## Problems\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `")).collect::<Vec<_>>();
        let told = rows.iter().map(|row| row.rsplit_once(" | ").unwrap().0.to_owned()).collect::<Vec<_>>();
        let expected = Kind::ALL.iter().map(|kind| format!("| `{}` | {}", kind.code(), kind.status()));
        assert_eq!(told, expected.collect::<Vec<_>>(), "the table in docs/http.md is not that of the kinds");
        assert!(rows.iter().all(|row| row.ends_with(". |")), "a kind does not say when it is told");
    }

    #[test]
    fn codes_are_plain_and_each_stands_for_one_kind() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index, "{kind:?} is out of order");
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(kind.code().bytes().all(plain), "{kind:?}");
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            assert!(Kind::ALL.iter().skip(index + 1).all(|other| other.code() != kind.code()), "{kind:?}");
        }
    }
}
