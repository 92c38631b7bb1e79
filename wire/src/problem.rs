//! PURE. The body of every failed request: RFC 9457, with the old `message` beside it. The kinds lie in [`kind`](Kind).

mod kind;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use kind::Kind;

/// What every `type` of Balanza begins with.
const URN: &str = "urn:balanza:";

/// An error as a client reads it: what failed, in which field, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name of the kind of problem, a URN that begins with `urn:balanza:`; see [`Kind::code`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words, the same for every occurrence.
    pub title: String,
    /// The HTTP status, as in the status line.
    pub status: u16,
    /// This occurrence in words.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The field, header or parameter at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Whether the sentence may have been stored although this is an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous: bool,
    /// Short form for old clients; `down` when no node can take a sentence.
    pub message: String,
}

impl Problem {
    /// A problem of this kind; its message is the detail until [`Problem::with_message`].
    pub fn of(kind: Kind, detail: impl Into<String>) -> Self {
        Self::new(kind.status(), kind.code(), kind.title(), detail)
    }

    /// A problem of kind `urn:balanza:{code}`; its message is the detail until [`Problem::with_message`].
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            kind: format!("{URN}{code}"),
            title: title.to_owned(),
            status,
            message: detail.clone(),
            detail,
            remedy: None,
            field: None,
            ambiguous: false,
        }
    }

    /// The problem in the body of an answer, whatever its status. Fields that are missing are empty, the status 0;
    /// `None` for everything that names no kind of Balanza's: foreign JSON, HTML, half a body.
    pub fn read(body: &[u8]) -> Option<Self> {
        let object = body.trim_ascii_start();
        if !object.starts_with(b"{") {
            return None;
        }
        let told = serde_json::from_slice::<Told<'_>>(object).ok()?;
        if !told.kind.starts_with(URN) {
            return None;
        }
        let text = |told: Option<Cow<'_, str>>| told.map(Cow::into_owned);
        let detail = text(told.detail).unwrap_or_default();
        Some(Self {
            kind: told.kind.into_owned(),
            title: text(told.title).unwrap_or_default(),
            status: told.status.unwrap_or_default(),
            message: text(told.message).unwrap_or_else(|| detail.clone()),
            detail,
            remedy: text(told.remedy),
            field: text(told.field),
            ambiguous: told.ambiguous.unwrap_or_default(),
        })
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind.strip_prefix(URN) == Some(kind.code())
    }

    /// Names what to do about it.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Names the field, header or parameter at fault.
    #[must_use]
    pub fn with_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Sets the short form for old clients.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Says that the sentence may have been stored all the same.
    #[must_use]
    pub fn with_doubt(self) -> Self {
        Self { ambiguous: true, ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

/// A problem of which another program wrote as much as it liked.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    title: Option<Cow<'a, str>>,
    status: Option<u16>,
    #[serde(borrow)]
    detail: Option<Cow<'a, str>>,
    #[serde(borrow)]
    remedy: Option<Cow<'a, str>>,
    #[serde(borrow)]
    field: Option<Cow<'a, str>>,
    ambiguous: Option<bool>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    fn problems() -> impl Strategy<Value = Problem> {
        let words = || proptest::option::of(".{0,20}");
        (proptest::sample::select(&Kind::ALL), ".{0,20}", words(), words(), words(), any::<bool>()).prop_map(
            |(kind, detail, remedy, field, message, ambiguous)| {
                let problem = Problem { remedy, field, ambiguous, ..Problem::of(kind, detail) };
                match message {
                    Some(message) => problem.with_message(message),
                    None => problem,
                }
            },
        )
    }

    #[test]
    fn a_kind_brings_its_code_status_and_title() {
        let problem = Problem::of(Kind::TooLarge, "the body has more than 9 bytes").with_remedy("send less");
        let expected = serde_json::json!({
            "type": "urn:balanza:too-large",
            "title": "The body is too large",
            "status": 413,
            "detail": "the body has more than 9 bytes",
            "remedy": "send less",
            "message": "the body has more than 9 bytes",
        });
        assert_eq!(serde_json::to_value(&problem).unwrap(), expected);
        assert!(problem.is(Kind::TooLarge) && !problem.is(Kind::TooLong));
    }

    #[test]
    fn missing_fields_are_tolerated() {
        let problem =
            Problem::read(br#" {"type":"urn:balanza:store-unavailable","ambiguous":true,"new":[]}"#);
        let problem = problem.unwrap();
        assert!(problem.ambiguous && problem.is(Kind::StoreUnavailable));
        assert_eq!((problem.status, problem.message.as_str()), (0, ""));
        assert!(Problem::read(br#"{"type":"urn:balanza:of-a-newer-node","remedy":null}"#).is_some());
    }

    #[test]
    fn what_is_no_problem_of_ours_gives_none() {
        for body in [
            "",
            "<html>",
            "[]",
            "7",
            r#"{"message":"down"}"#,
            r#"{"ambiguous":true}"#,
            r#"{"type":"about:blank","ambiguous":true}"#,
            r#"{"type":"urn:balanza:down","ambiguous":"#,
            r#"{"type":["urn:balanza:down"]}"#,
        ] {
            assert_eq!(Problem::read(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_problem_survives_the_wire_and_half_of_it_is_none(problem in problems(), half in any::<Index>()) {
            let body = serde_json::to_vec(&problem).unwrap();
            prop_assert_eq!(Problem::read(&body), Some(problem));
            prop_assert_eq!(Problem::read(&body[..half.index(body.len())]), None);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(Problem::read(&body));
        }
    }
}
