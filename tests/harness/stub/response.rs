//! A stub's answer as data: what it says, and in which manner it goes out, sound or broken. PURE.

use std::time::Duration;

use serde_json::Value;
use wire::Problem;
use wire::contract::PROBLEM_JSON;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    manner: Manner,
}

/// How an answer goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// At once, in one piece, with its length.
    #[default]
    Plain,
    /// After this time.
    Late(Duration),
    /// Byte by byte.
    Pieces,
    /// Chunked, in two chunks where the body has two bytes.
    Chunked,
    /// Chunked, with a wrong `content-length` beside it.
    BothFramings,
    /// In HTTP/1.0 without a length: its end is that of the connection.
    Http10,
    /// With its length and this many bytes of its body; then the connection is closed.
    Cut(usize),
    /// Twice.
    Doubled,
}

impl Response {
    /// JSON with a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// Any text with a status.
    pub fn text(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self { status, headers, body: body.into(), manner: Manner::Plain }
    }

    /// A problem with its own status, as RFC 9457 writes it.
    ///
    /// # Panics
    /// Never: a problem is plain data.
    pub fn problem(problem: &Problem) -> Self {
        Self::text(problem.status, PROBLEM_JSON, serde_json::to_vec(problem).unwrap())
    }

    /// One more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// In another manner.
    #[must_use]
    pub fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// How long it waits before its first byte.
    pub(super) const fn delay(&self) -> Duration {
        if let Manner::Late(time) = self.manner { time } else { Duration::ZERO }
    }

    /// What is written, one write each.
    pub(super) fn pieces(&self) -> Vec<Vec<u8>> {
        let Self { body, .. } = self;
        let with_length = || self.head("HTTP/1.1", &format!("content-length: {}\r\n", body.len()));
        match self.manner {
            Manner::Plain | Manner::Late(_) => vec![[&with_length(), &body[..]].concat()],
            Manner::Pieces => {
                [&with_length(), &body[..]].concat().into_iter().map(|byte| vec![byte]).collect()
            }
            Manner::Chunked => {
                let head = self.head("HTTP/1.1", "transfer-encoding: chunked\r\n");
                let (first, second) = body.split_at(body.len() / 2);
                vec![[head, chunk(first), chunk(second), b"0\r\n\r\n".to_vec()].concat()]
            }
            Manner::BothFramings => {
                let head = self.head("HTTP/1.1", "transfer-encoding: chunked\r\ncontent-length: 5\r\n");
                vec![[head, chunk(body), b"0\r\n\r\n".to_vec()].concat()]
            }
            Manner::Http10 => vec![[&self.head("HTTP/1.0", ""), &body[..]].concat()],
            Manner::Cut(n_bytes) => vec![[&with_length(), &body[..n_bytes.min(body.len())]].concat()],
            Manner::Doubled => vec![[&with_length(), &body[..]].concat().repeat(2)],
        }
    }

    /// Whether the connection is closed after it.
    pub(super) const fn ends_the_connection(&self) -> bool {
        matches!(self.manner, Manner::Http10 | Manner::Cut(_))
    }

    fn head(&self, version: &str, framing: &str) -> Vec<u8> {
        let mut head = format!("{version} {} Stub\r\n{framing}", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// One chunk; nothing for no bytes, since an empty chunk ends the body.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
