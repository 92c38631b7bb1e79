//! PURE. The one table of problems: every kind with its code, status and title. What happened in one case, and what to
//! do about it, are said where it happens; `docs/http.md` says when each kind is told.

/// Defines the kinds and what belongs to each, in one place.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal $title:literal;)*) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, in the order of the table in `docs/http.md`.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name; a problem's `type` is `urn:balanza:` and this.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The kind in words, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    /// The head is no well-formed HTTP, or its framing could be understood in two ways.
    BadRequest = 400 "bad-request" "The request is not well-formed HTTP";
    /// The body broke off.
    BrokenBody = 400 "broken-body" "The body is broken";
    /// Nothing was sent.
    EmptyBody = 400 "empty-body" "The body is empty";
    /// The bytes are no UTF-8.
    NotUtf8 = 400 "not-utf8" "The body is not UTF-8";
    /// The text is no JSON, or not the list that was asked for.
    NotJson = 400 "not-json" "The body is not the JSON that is asked for";
    /// The JSON is no sentence.
    InvalidSentence = 400 "invalid-sentence" "The body is no sentence";
    /// An item of a bulk post to a node has no id.
    NoId = 400 "no-id" "The item has no id";
    /// The `Idempotency-Key` is no UUID, or differs from the body's id.
    InvalidIdempotencyKey = 400 "invalid-idempotency-key" "The Idempotency-Key is not usable";
    /// A parameter of the path, the query or an operator's body is wrong.
    BadParameter = 400 "bad-parameter" "A parameter is wrong";
    /// A token is needed, and none was shown.
    NoToken = 401 "no-token" "A token is needed";
    /// The token is not the one that this needs.
    WrongToken = 403 "wrong-token" "The token does not allow this";
    /// Nobody may do this: no admin token was set up.
    NoAdminToken = 403 "no-admin-token" "There is no admin token";
    /// Nothing has this path.
    NoRoute = 404 "no-route" "There is nothing here";
    /// No sentence has this id.
    NoSentence = 404 "no-sentence" "There is no such sentence";
    /// No node has this name.
    NoNode = 404 "no-node" "There is no such node";
    /// The path exists and does not know the method.
    MethodNotAllowed = 405 "method-not-allowed" "The method is not allowed";
    /// Head or body did not arrive in time.
    TimedOut = 408 "timed-out" "The request did not arrive in time";
    /// The whole body is over its limit.
    TooLarge = 413 "too-large" "The body is too large";
    /// Author or sentence are over their limit.
    TooLong = 413 "too-long" "The sentence is too long";
    /// A bulk post has more items than are taken at once.
    TooMany = 413 "too-many" "The body has too many sentences";
    /// The content type is none that is read here.
    UnsupportedMediaType = 415 "unsupported-media-type" "The body's type is not supported";
    /// The body is compressed.
    PackedBody = 415 "packed-body" "The body is packed";
    /// The head is over its limits.
    HeadTooLarge = 431 "head-too-large" "The head of the request is too large";
    /// The store refused this one sentence.
    Refused = 500 "refused" "The store refused the sentence";
    /// What the store holds cannot be read.
    StoreDamaged = 500 "store-damaged" "Stored data is damaged";
    /// An old node may have stored the sentence, and cannot be asked twice.
    InDoubtOldNode = 502 "in-doubt-old-node" "The sentence is in doubt";
    /// A node answered what no node may answer.
    BadAnswer = 502 "bad-answer" "The node's answer is not usable";
    /// A node's list cannot be had.
    NodeUnreadable = 502 "node-unreadable" "A node cannot be read";
    /// A node may have stored the sentence, but did not say so.
    InDoubt = 503 "in-doubt" "The sentence is in doubt";
    /// A node did not store the sentence, and did not say why.
    NodeFailed = 503 "node-failed" "The node failed";
    /// No node can take a sentence.
    Down = 503 "down" "No node can take the sentence";
    /// Too many sentences already wait for the chosen node.
    Overloaded = 503 "overloaded" "The queue is full";
    /// Sentences are not taken now.
    NotReady = 503 "not-ready" "Sentences are not taken now";
    /// The program ends.
    Stopping = 503 "stopping" "The program is stopping";
    /// The store's queue is full.
    StoreBusy = 503 "store-busy" "The store is busy";
    /// The store takes nothing.
    StoreUnavailable = 503 "store-unavailable" "The store is unavailable";
}

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
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(kind.code().bytes().all(plain), "{kind:?}");
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            assert!(Kind::ALL.iter().skip(index + 1).all(|other| other.code() != kind.code()), "{kind:?}");
        }
    }
}
