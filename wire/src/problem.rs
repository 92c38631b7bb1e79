//! The body of every failed request: RFC 9457, with the old `message` beside it.

use serde::{Deserialize, Serialize};

/// An error as a client reads it: what failed, in which field, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name of the kind of problem, a URN that begins with `urn:balanza:`.
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
    /// A problem of kind `urn:balanza:{code}`; its message is the detail until [`Problem::with_message`].
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            kind: format!("urn:balanza:{code}"),
            title: title.to_owned(),
            status,
            message: detail.clone(),
            detail,
            remedy: None,
            field: None,
            ambiguous: false,
        }
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
