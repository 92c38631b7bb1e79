//! PURE. Which bodies are read, by what their headers say: one JSON document, or one per line where lines are taken.
//! One rule for every door. Absent: the bodies.
//!
//! | header | taken |
//! |---|---|
//! | `content-type` | none, `application/json` or `text/json`: one document; `application/x-ndjson`: lines |
//! | its parameters | any; a `charset` only if it is `utf-8` |
//! | `content-encoding` | none, or `identity` |
//!
//! Letters count without case. A header that is repeated must say the same each time.

use crate::contract::NDJSON;
use crate::problem::{Kind, Problem};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// One JSON document per line.
    Lines,
}

/// What the headers of one request say of its body. Values are header values without the blanks around them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announced<'a> {
    content_type: Option<&'a [u8]>,
    disagrees: bool,
    packed: bool,
}

/// Why a body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is said to be something else than one JSON document, where only one is taken.
    #[error("the body's content type is not application/json")]
    NotJson,
    /// It is said to be neither a JSON document nor lines, where both are taken.
    #[error("the body's content type is neither application/json nor application/x-ndjson")]
    NotJsonOrLines,
    /// It is in another charset than UTF-8.
    #[error("the body's charset is not UTF-8")]
    Charset,
    /// `Content-Type` is repeated, with another value.
    #[error("Content-Type is given twice and says two things")]
    TwoTypes,
    /// It is compressed.
    #[error("the body is compressed")]
    Packed,
}

impl<'a> Announced<'a> {
    /// What all these headers say.
    pub fn of(
        types: impl IntoIterator<Item = &'a [u8]>,
        encodings: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let mut announced = Self::default();
        types.into_iter().for_each(|value| announced.note_type(value));
        encodings.into_iter().for_each(|value| announced.note_encoding(value));
        announced
    }

    /// Notes a `Content-Type` header.
    #[inline]
    pub fn note_type(&mut self, value: &'a [u8]) {
        let before = self.content_type.replace(value);
        self.disagrees |= before.is_some_and(|before| !before.eq_ignore_ascii_case(value));
    }

    /// Notes a `Content-Encoding` header.
    #[inline]
    pub fn note_encoding(&mut self, value: &[u8]) {
        self.packed |= !value.eq_ignore_ascii_case(b"identity");
    }

    /// Whether the body is one JSON document.
    ///
    /// # Errors
    /// When it is anything else; lines are.
    #[inline]
    pub fn json(&self) -> Result<(), Unread> {
        match self.format()? {
            Some(Format::Json) => Ok(()),
            _ => Err(Unread::NotJson),
        }
    }

    /// How the body is written, where lines are taken beside one JSON document.
    ///
    /// # Errors
    /// When it is neither.
    #[inline]
    pub fn json_or_lines(&self) -> Result<Format, Unread> {
        self.format()?.ok_or(Unread::NotJsonOrLines)
    }

    /// How the body is written; `None` when it is none of the formats.
    #[inline]
    fn format(&self) -> Result<Option<Format>, Unread> {
        if self.packed {
            return Err(Unread::Packed);
        }
        if self.disagrees {
            return Err(Unread::TwoTypes);
        }
        match self.content_type {
            // Most requests say nothing, or exactly this.
            None | Some(b"application/json") => Ok(Some(Format::Json)),
            Some(value) => written(value),
        }
    }
}

/// The format that a `Content-Type` names.
fn written(value: &[u8]) -> Result<Option<Format>, Unread> {
    let mut parts = Parts { rest: Some(value) };
    let essence = parts.next().unwrap_or_default();
    let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
    let format = if is(b"application/json") || is(b"text/json") {
        Format::Json
    } else if is(NDJSON.as_bytes()) {
        Format::Lines
    } else {
        return Ok(None);
    };
    let is_utf8 = |charset: &[u8]| unquoted(charset).eq_ignore_ascii_case(b"utf-8");
    if parts.filter_map(charset).all(is_utf8) { Ok(Some(format)) } else { Err(Unread::Charset) }
}

/// The value of a parameter that is the charset.
fn charset(parameter: &[u8]) -> Option<&[u8]> {
    let equals = parameter.iter().position(|byte| *byte == b'=')?;
    let (name, value) = parameter.split_at_checked(equals)?;
    name.trim_ascii()
        .eq_ignore_ascii_case(b"charset")
        .then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// The parts of a header value between its semicolons, without the blanks around them. A semicolon in quotes divides
/// nothing.
struct Parts<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b';' => return !quoted,
                _ => {}
            }
            false
        });
        let (part, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        self.rest = end.and_then(|_| behind.get(1..));
        Some(part.trim_ascii())
    }
}

impl Unread {
    /// The kind of problem that it is.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Packed => Kind::PackedBody,
            _ => Kind::UnsupportedMediaType,
        }
    }

    /// The header at fault.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Packed => "content-encoding",
            _ => "content-type",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotJson => "add -H 'content-type: application/json'",
            Self::NotJsonOrLines => {
                "add -H 'content-type: application/json' for an array, \
                 or -H 'content-type: application/x-ndjson' for one object per line"
            }
            Self::Charset => "encode the body as UTF-8",
            Self::TwoTypes => "give it once",
            Self::Packed => "send the body as it is, without Content-Encoding",
        }
    }
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        Self::of(unread.kind(), unread.to_string()).with_field(unread.field()).with_remedy(unread.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'a>(types: &[&'a str], encodings: &[&'a str]) -> Result<Format, Unread> {
        let bytes = |values: &[&'a str]| values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>();
        let announced = Announced::of(bytes(types), bytes(encodings));
        let format = announced.json_or_lines();
        match (format, announced.json()) {
            (Ok(Format::Json), json) => assert_eq!(json, Ok(())),
            (Ok(Format::Lines) | Err(Unread::NotJsonOrLines), json) => assert_eq!(json, Err(Unread::NotJson)),
            (Err(unread), json) => assert_eq!(json, Err(unread)),
        }
        format
    }

    #[test]
    fn types_are_read_without_case_and_parameters() {
        assert_eq!(read(&[], &[]), Ok(Format::Json));
        for json in
            ["application/json", "Application/JSON", "text/json", "application/json ; q=1", "text/json;"]
        {
            assert_eq!(read(&[json], &[]), Ok(Format::Json), "{json}");
        }
        for lines in ["application/x-ndjson", "APPLICATION/X-NDJSON;charset=utf-8"] {
            assert_eq!(read(&[lines], &[]), Ok(Format::Lines), "{lines}");
        }
        for other in [
            "",
            ";",
            "text/plain",
            "application/json2",
            "application/x-ndjsonp",
            "application/json, text/plain",
        ] {
            assert_eq!(read(&[other], &[]), Err(Unread::NotJsonOrLines), "{other}");
        }
    }

    #[test]
    fn only_utf_8_is_a_charset() {
        for charset in ["utf-8", "UTF-8", "\"utf-8\"", "\"Utf-8\" ", " utf-8; q=1", "utf-8;charset=utf-8"] {
            assert_eq!(
                read(&[&format!("application/json; charset={charset}")], &[]),
                Ok(Format::Json),
                "{charset}"
            );
        }
        for charset in ["latin1", "\"latin1\"", "utf-16", "us-ascii", "", "\"utf-8", "utf-8;charset=latin1"] {
            let value = format!("application/json; CHARSET = {charset}");
            assert_eq!(read(&[&value], &[]), Err(Unread::Charset), "{charset}");
        }
        let quoted = r#"application/json; profile="a;charset=latin1;\";charset=latin1"; charset=utf-8"#;
        assert_eq!(read(&[quoted], &[]), Ok(Format::Json));
    }

    #[test]
    fn only_plain_bodies_are_read() {
        for plain in ["identity", "Identity"] {
            assert_eq!(read(&[], &[plain]), Ok(Format::Json), "{plain}");
        }
        for packed in ["gzip", "", "identity, gzip", "br"] {
            assert_eq!(read(&["text/plain"], &[packed]), Err(Unread::Packed), "{packed}");
        }
    }

    #[test]
    fn a_repeated_header_must_say_the_same() {
        assert_eq!(
            read(&["application/json", "APPLICATION/json"], &["identity", "IDENTITY"]),
            Ok(Format::Json)
        );
        assert_eq!(read(&["application/json", "text/json"], &[]), Err(Unread::TwoTypes));
        assert_eq!(read(&["application/json", "text/json", "text/json"], &[]), Err(Unread::TwoTypes));
        assert_eq!(read(&[], &["identity", "gzip"]), Err(Unread::Packed));
        assert_eq!(read(&[], &["gzip", "identity"]), Err(Unread::Packed));
    }

    #[test]
    fn a_problem_names_the_header_and_a_remedy() {
        let problem = Problem::from(Unread::Charset);
        assert_eq!((problem.status, problem.field.as_deref()), (415, Some("content-type")));
        assert!(problem.is(Kind::UnsupportedMediaType) && problem.remedy.is_some());
        let problem = Problem::from(Unread::Packed);
        assert!(problem.is(Kind::PackedBody) && problem.field.as_deref() == Some("content-encoding"));
    }

    proptest! {
        #[test]
        fn any_parameter_but_the_charset_is_taken(name in "[a-bd-z]{1,8}", value in "[a-z0-9]{0,8}|\"[a-z;=]{0,8}\"") {
            let told = format!("application/json; {name}={value}");
            prop_assert_eq!(read(&[&told], &[]), Ok(Format::Json));
        }

        #[test]
        fn no_bytes_make_the_rule_panic(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let told = [&b"application/json;"[..], &value].concat();
            let packed = !value.eq_ignore_ascii_case(b"identity");
            prop_assert_eq!(Announced::of([&told[..]], [&value[..]]).json() == Err(Unread::Packed), packed);
            prop_assert_ne!(Announced::of([&value[..]], []).json(), Err(Unread::NotJsonOrLines));
        }
    }
}
