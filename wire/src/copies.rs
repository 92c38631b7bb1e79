//! PURE. What a balancer asks of a node so that no sentence lies on two: which ids it holds, to take a copy back, and to
//! refuse what was posted to it before. Absent: who asks, and when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Date, IdError, SentenceId};

/// The identity of a store: made once with the store, and the same under every name, URL and run of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(pub Uuid);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for StoreId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(|SentenceId(uuid)| Self(uuid))
    }
}

/// The body of `POST /sentences/held`, and the answer of `POST /sentences/retract`: at most
/// [`MAX_BULK_ITEMS`](crate::contract::MAX_BULK_ITEMS) ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// The ids, in no order.
    pub ids: Vec<SentenceId>,
}

/// One copy of a sentence, on the node that tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCopy {
    /// When this copy was stored, by the node's clock.
    pub date: Date,
    /// The sentence.
    pub id: SentenceId,
}

/// The answer of `POST /sentences/held` and `GET /sentences/ids`, and the body of `POST /sentences/retract`, which takes
/// back only copies that have this very date: at most [`MAX_BULK_ITEMS`](crate::contract::MAX_BULK_ITEMS) of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    /// The copies; those of `GET /sentences/ids` by date, then id.
    pub copies: Vec<StoredCopy>,
}

/// The answer of `POST /fence`: every post that carries another number is refused from now on, and every post that was
/// let in before is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// The number that posts must carry now.
    pub fence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_written_as_documented() {
        let id: SentenceId = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b".parse().unwrap();
        let copies = Copies { copies: vec![StoredCopy { date: Date::from_unix_micros(7), id }] };
        let written = serde_json::to_string(&copies).unwrap();
        let expected = r#"{"copies":[{"date":"1970-01-01 00:00:00.000007","id":"0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b"}]}"#;
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_str::<Copies>(&written).unwrap(), copies);
        assert!(serde_json::from_str::<Ids>(r#"{"ids":[],"all":true}"#).is_err(), "a slip asks for nothing");
    }
}
