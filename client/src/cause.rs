//! Why something was not done, and what to do about it: what every part of the program tells the user. PURE. Absent:
//! where each cause comes from.

/// Why something was not done, in words, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Cause {
    /// What happened.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Cause {
    /// A cause that is told by its words alone.
    pub fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), remedy: None, field: None, status: None }
    }

    /// Names what to do about it.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_follows_what_happened() {
        let cause = Cause::new("the balancer is gone");
        assert_eq!(cause.to_string(), "the balancer is gone");
        assert_eq!(cause.with_remedy("start it").to_string(), "the balancer is gone; start it");
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let cause = Cause { status: Some(503), ..Cause::new("down") };
        assert_eq!(serde_json::to_string(&cause).unwrap(), r#"{"detail":"down","status":503}"#);
    }
}
