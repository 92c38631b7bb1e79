//! The sentence: how it is read from JSON without copying, what makes it invalid, how it is answered.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{MAX_AUTHOR_BYTES, MAX_SENTENCE_BYTES};
use crate::problem::Kind;
use crate::{Date, Problem};

/// The identity of a sentence, a UUID. Those made by Balanza are of version 7 and so order by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SentenceId(pub Uuid);

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no UUID")]
pub struct IdError(String);

impl FromStr for SentenceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| IdError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for SentenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A JSON string as it stood in the body, beside what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText<'a> {
    raw: &'a str,
    text: Cow<'a, str>,
}

impl<'a> JsonText<'a> {
    /// The literal with its quotes and escapes, ready to be carried into another JSON document.
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// The text that the literal stands for.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn read(field: &'static str, value: &'a RawValue, limit: usize) -> Result<Self, InvalidSentence> {
        let raw = value.get();
        let inner = raw
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .ok_or(InvalidSentence::NotText { field, found: kind_of(raw) })?;
        // Most texts hold no escape and are used where they lie.
        let text = if inner.contains('\\') {
            Cow::Owned(
                serde_json::from_str(raw)
                    .map_err(|error| InvalidSentence::BadEscape { field, detail: plain(&error) })?,
            )
        } else {
            Cow::Borrowed(inner)
        };
        if text.trim().is_empty() {
            return Err(InvalidSentence::Empty { field });
        }
        if text.len() > limit {
            return Err(InvalidSentence::TooLong { field, bytes: text.len(), limit });
        }
        Ok(Self { raw, text })
    }
}

/// A sentence as posted: checked, and still borrowing the body that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSentence<'a> {
    /// The id, where the client made one.
    pub id: Option<SentenceId>,
    /// Who said it; never blank, at most [`MAX_AUTHOR_BYTES`].
    pub author: JsonText<'a>,
    /// What was said; never blank, at most [`MAX_SENTENCE_BYTES`].
    pub sentence: JsonText<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    author: Option<&'a RawValue>,
    #[serde(borrow)]
    sentence: Option<&'a RawValue>,
}

impl<'a> RawSentence<'a> {
    /// Reads one JSON object `{"author", "sentence"}`, with or without an `"id"`.
    ///
    /// # Errors
    /// Names the first field at fault; see [`InvalidSentence`].
    pub fn parse(body: &'a [u8]) -> Result<Self, InvalidSentence> {
        let body = std::str::from_utf8(body)
            .map_err(|error| InvalidSentence::NotUtf8 { offset: error.valid_up_to() })?;
        let start = body.trim_ascii_start();
        if start.is_empty() {
            return Err(InvalidSentence::EmptyBody);
        }
        // The derived reader would also take an array for the fields in order.
        if !start.starts_with('{') && serde_json::from_str::<&RawValue>(body).is_ok() {
            return Err(InvalidSentence::NotObject { found: kind_of(start) });
        }
        let fields = serde_json::from_str::<Fields<'a>>(body).map_err(|error| {
            if error.is_data() {
                InvalidSentence::Fields { detail: plain(&error) }
            } else {
                InvalidSentence::Syntax { line: error.line(), column: error.column(), detail: plain(&error) }
            }
        })?;
        let author = fields.author.ok_or(InvalidSentence::Missing { field: "author" })?;
        let sentence = fields.sentence.ok_or(InvalidSentence::Missing { field: "sentence" })?;
        Ok(Self {
            id: fields.id.map(read_id).transpose()?,
            author: JsonText::read("author", author, MAX_AUTHOR_BYTES)?,
            sentence: JsonText::read("sentence", sentence, MAX_SENTENCE_BYTES)?,
        })
    }

    /// The sentence on its own, with `id` where it had none.
    pub fn into_owned(self, id: SentenceId) -> NewSentence {
        NewSentence {
            id: self.id.unwrap_or(id),
            author: self.author.text.into_owned(),
            sentence: self.sentence.text.into_owned(),
        }
    }
}

fn read_id(value: &RawValue) -> Result<SentenceId, InvalidSentence> {
    let raw = value.get();
    let text = serde_json::from_str::<Cow<'_, str>>(raw)
        .map_err(|_| InvalidSentence::NotText { field: "id", found: kind_of(raw) })?;
    text.parse().map_err(|source| InvalidSentence::BadId { source })
}

fn kind_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// serde_json's message without the position, which the error carries on its own.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or_else(|| text.clone(), |(message, _)| message.to_owned())
}

/// A sentence ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSentence {
    /// The identity under which it is stored once.
    pub id: SentenceId,
    /// Who said it.
    pub author: String,
    /// What was said.
    pub sentence: String,
}

/// A sentence as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSentence {
    /// Who said it.
    pub author: String,
    /// When it was stored.
    pub date: Date,
    /// The identity under which it is stored once. Old nodes know none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SentenceId>,
    /// What was said.
    pub sentence: String,
}

/// One item of a node's answer to `POST /sentences`, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemAnswer {
    /// What became of the item. Written first, so that a reader can tell the common case at a glance.
    pub status: ItemStatus,
    /// The item's id; absent only where the item itself could not be read.
    pub id: Option<SentenceId>,
    /// When it was stored; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// For a duplicate: the document as it was stored first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredSentence>,
    /// For a failed item: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// What became of an item of a bulk post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemStatus {
    /// Stored now, durably.
    Stored,
    /// Stored before under this id; nothing was changed.
    Duplicate,
    /// Not stored.
    Failed,
}

/// Why a body is no sentence. Each says the field, the value's problem and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSentence {
    /// Nothing was sent.
    #[error("the body is empty")]
    EmptyBody,
    /// The bytes are no UTF-8.
    #[error("the body is not UTF-8: byte {offset} begins no character")]
    NotUtf8 {
        /// Offset of the first byte at fault.
        offset: usize,
    },
    /// The text is no JSON.
    #[error("the body is not JSON: {detail} at line {line}, column {column}")]
    Syntax {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
        /// The parser's words.
        detail: String,
    },
    /// The JSON is no object.
    #[error("the body is {found}, not an object")]
    NotObject {
        /// What it is instead.
        found: &'static str,
    },
    /// An unknown or repeated key.
    #[error("the body has a wrong key: {detail}")]
    Fields {
        /// The parser's words.
        detail: String,
    },
    /// A key is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The key.
        field: &'static str,
    },
    /// A value is no string.
    #[error("`{field}` is {found}, not a string")]
    NotText {
        /// The key.
        field: &'static str,
        /// What it is instead.
        found: &'static str,
    },
    /// A string holds an escape that stands for no character.
    #[error("`{field}` holds an escape that stands for no character: {detail}")]
    BadEscape {
        /// The key.
        field: &'static str,
        /// The parser's words.
        detail: String,
    },
    /// A string is blank.
    #[error("`{field}` is empty")]
    Empty {
        /// The key.
        field: &'static str,
    },
    /// A string is too long.
    #[error("`{field}` has {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// The key.
        field: &'static str,
        /// Its length in UTF-8 bytes.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// The id is no UUID.
    #[error("`id` is not usable: {source}")]
    BadId {
        /// Why.
        source: IdError,
    },
}

impl InvalidSentence {
    /// The key at fault, where one is.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Missing { field }
            | Self::NotText { field, .. }
            | Self::BadEscape { field, .. }
            | Self::Empty { field }
            | Self::TooLong { field, .. } => Some(field),
            Self::BadId { .. } => Some("id"),
            _ => None,
        }
    }

    /// The kind of problem that it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::EmptyBody => Kind::EmptyBody,
            Self::NotUtf8 { .. } => Kind::NotUtf8,
            Self::Syntax { .. } => Kind::NotJson,
            Self::TooLong { .. } => Kind::TooLong,
            _ => Kind::InvalidSentence,
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::NotUtf8 { .. } => "encode the body as UTF-8".to_owned(),
            Self::TooLong { limit, .. } => format!("split it into parts of at most {limit} bytes"),
            Self::BadEscape { .. } => "write surrogates in pairs, or the character itself".to_owned(),
            Self::BadId { .. } => {
                "send a UUID such as 0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b, or none".to_owned()
            }
            _ => r#"send {"author":"…","sentence":"…"}"#.to_owned(),
        }
    }
}

impl From<InvalidSentence> for Problem {
    fn from(invalid: InvalidSentence) -> Self {
        let problem = Self::of(invalid.kind(), invalid.to_string()).with_remedy(invalid.remedy());
        match invalid.field() {
            Some(field) => problem.with_field(field),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: impl AsRef<[u8]>, expected: &str) {
        let told = match RawSentence::parse(body.as_ref()) {
            Ok(sentence) => format!("{}: {}", sentence.author.text(), sentence.sentence.text()),
            Err(invalid) => invalid.to_string(),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn what_an_old_client_sends_is_read() {
        check(r#"{"author":"User1","sentence":"Massa id neque"}"#, "User1: Massa id neque");
        check(r#" { "sentence" : "Qu\u00e9\n\"tal\"" , "author" : "Ana" } "#, "Ana: Qué\n\"tal\"");
    }

    #[test]
    fn each_fault_is_named() {
        check("", "the body is empty");
        check(" \n", "the body is empty");
        check(b"{\"author\":\"\xff\"}", "the body is not UTF-8: byte 11 begins no character");
        check("{", "the body is not JSON: EOF while parsing an object at line 1, column 1");
        check("hello", "the body is not JSON: expected value at line 1, column 1");
        check("[1]", "the body is an array, not an object");
        check("3", "the body is a number, not an object");
        check(r#"{"sentence":"x"}"#, "`author` is missing");
        check(r#"{"author":"x"}"#, "`sentence` is missing");
        check(r#"{"author":7,"sentence":"x"}"#, "`author` is a number, not a string");
        check(r#"{"author":"a","sentence":["x"]}"#, "`sentence` is an array, not a string");
        check(r#"{"author":" ","sentence":"x"}"#, "`author` is empty");
        check(r#"{"author":"a","sentence":""}"#, "`sentence` is empty");
        check(r#"{"author":"a","sentence":"x","id":"7"}"#, "`id` is not usable: `7` is no UUID");
        check(r#"{"author":"a","sentence":"x","id":7}"#, "`id` is a number, not a string");
        check(
            r#"{"author":"a","author":"b","sentence":"x"}"#,
            "the body has a wrong key: duplicate field `author`",
        );
        check(
            r#"{"autor":"a","sentence":"x"}"#,
            "the body has a wrong key: unknown field `autor`, expected one of `id`, `author`, `sentence`",
        );
        check(
            r#"{"author":"a","sentence":"\ud800"}"#,
            "`sentence` holds an escape that stands for no character: unexpected end of hex escape",
        );
        let long = "a".repeat(MAX_AUTHOR_BYTES + 1);
        check(format!(r#"{{"author":"{long}","sentence":"x"}}"#), "`author` has 257 bytes; the limit is 256");
    }

    #[test]
    fn depth_does_not_hurt() {
        let deep =
            format!(r#"{{"author":"a","sentence":{}"x"{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        check(deep, "`sentence` is an array, not a string");
    }

    #[test]
    fn a_problem_carries_field_and_remedy() {
        let invalid = RawSentence::parse(br#"{"author":"a"}"#).unwrap_err();
        let problem = Problem::from(invalid);
        assert_eq!((problem.status, problem.field.as_deref()), (400, Some("sentence")));
        assert!(problem.remedy.unwrap().contains(r#""sentence""#));
    }

    #[test]
    fn the_common_answer_has_a_fixed_shape() {
        let answer = ItemAnswer {
            status: ItemStatus::Stored,
            id: Some("0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b".parse().unwrap()),
            date: Some("2020-10-08 16:51:30.506529".parse().unwrap()),
            stored: None,
            error: None,
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"status":"stored","id":"0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b","date":"2020-10-08 16:51:30.506529"}"#
        );
    }

    proptest! {
        #[test]
        fn any_text_survives_the_wire(author in "\\PC{1,40}", sentence in ".{1,200}") {
            prop_assume!(!author.trim().is_empty() && !sentence.trim().is_empty());
            let body = serde_json::json!({ "author": author, "sentence": sentence }).to_string();
            let read = RawSentence::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(read.author.text(), &author);
            prop_assert_eq!(read.sentence.text(), &sentence);
            // The raw literal can be carried into another document.
            let carried = format!(r#"{{"author":{},"sentence":{}}}"#, read.author.raw(), read.sentence.raw());
            prop_assert_eq!(RawSentence::parse(carried.as_bytes()).unwrap(), read);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(RawSentence::parse(&body));
        }
    }
}
