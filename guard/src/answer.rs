//! PURE. Follows what a server writes for one request to the end of the answer. Absent: keeping any of it; what servers
//! write is well-formed, so what is not is taken for an answer without an end.

use wire::chunks::Chunks;

/// Most headers of an answer. Ours have a few.
const MAX_HEADERS: usize = 64;

/// How far the answer to one request has come.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The head as far as it was written.
    head: Vec<u8>,
    rest: Rest,
    /// Whether the answer has a head only.
    is_bodiless: bool,
    /// Whether the answer says that the connection ends.
    close: bool,
}

#[derive(Debug, Default)]
enum Rest {
    #[default]
    Head,
    Bytes(u64),
    Chunked(Chunks),
    /// The answer ends with the connection.
    Close,
}

impl Answer {
    /// The answer to a request with this method.
    pub(crate) fn to(method: &str) -> Self {
        Self { is_bodiless: method == "HEAD", ..Self::default() }
    }

    /// Whether more than the word to go on was written.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.rest, Rest::Head) || !self.head.is_empty()
    }

    /// Whether all of it was written.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.rest {
            Rest::Bytes(left) => *left == 0,
            Rest::Chunked(chunks) => chunks.has_ended(),
            Rest::Head | Rest::Close => false,
        }
    }

    /// Whether the connection ends after it.
    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// Follows what is written.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.has_ended() {
            match &mut self.rest {
                Rest::Head => bytes = self.pass_head(bytes),
                Rest::Bytes(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= u64::try_from(taken).unwrap_or(0);
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                Rest::Chunked(chunks) => match chunks.pass(bytes) {
                    Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                    Err(_) => self.rest = Rest::Close,
                },
                Rest::Close => return,
            }
        }
    }

    /// Gives what stands behind the head in `bytes`; nothing while the head is not whole.
    fn pass_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let len = match parsed.parse(&self.head) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return &[],
            Err(_) => {
                self.rest = Rest::Close;
                return &[];
            }
        };
        let status = parsed.code.unwrap_or_default();
        if !(100..200).contains(&status) {
            let mut rest = Rest::Close;
            for header in parsed.headers.iter() {
                let text = std::str::from_utf8(header.value).unwrap_or_default();
                if header.name.eq_ignore_ascii_case("content-length") {
                    rest = text.parse().map_or(Rest::Close, Rest::Bytes);
                } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                    rest = Rest::Chunked(Chunks::default());
                } else if header.name.eq_ignore_ascii_case("connection") {
                    self.close |= text.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"));
                }
            }
            self.rest = if self.is_bodiless || matches!(status, 204 | 304) { Rest::Bytes(0) } else { rest };
        }
        self.head.clear();
        bytes.get(len.saturating_sub(before)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bytes`, written in whatever pieces, are seen to be one whole answer, and not before their last byte.
    fn check(method: &str, bytes: &str, closes: bool) {
        for length in [1, 7, bytes.len()] {
            let mut answer = Answer::to(method);
            let mut written = 0;
            for piece in bytes.as_bytes().chunks(length) {
                assert!(!answer.has_ended(), "{written} bytes of {bytes:?}");
                answer.pass(piece);
                written += piece.len();
            }
            assert!(answer.has_begun() && answer.has_ended(), "{bytes:?}");
            assert_eq!(answer.closes(), closes, "{bytes:?}");
        }
    }

    #[test]
    fn an_answer_ends_with_its_last_byte() {
        check("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false);
        check("GET", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", true);
        check("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false);
        check("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", false);
        check("DELETE", "HTTP/1.1 204 No Content\r\n\r\n", false);
        check("POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n.", false);
    }

    #[test]
    fn the_word_to_go_on_begins_no_answer() {
        let mut answer = Answer::to("POST");
        answer.pass(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert!(!answer.has_begun() && !answer.has_ended());
    }

    #[test]
    fn an_answer_without_a_length_does_not_end() {
        let mut answer = Answer::to("GET");
        answer.pass(b"HTTP/1.0 200 OK\r\n\r\nmore");
        assert!(answer.has_begun() && !answer.has_ended());
    }
}
