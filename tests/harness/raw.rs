//! A client that writes exactly the bytes it is told, and reads whole answers. It blocks, with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::http::Answer;
use crate::wait::DEADLINE;

/// A connection to a server.
pub struct Connection {
    /// Its socket, for a test that writes from another thread, or with another deadline.
    pub stream: TcpStream,
    unread: Vec<u8>,
}

/// A request in bytes, with the right `content-length`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Writes `bytes` to a connection of its own and reads one answer; `None` when the other side closes without a word.
///
/// # Panics
/// See [`Connection::try_answer`].
pub fn exchange(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(address);
    // A server that refuses early may close while we still write; what it answered is read all the same.
    connection.try_send(bytes);
    connection.try_answer()
}

impl Connection {
    /// A connection to host and port.
    ///
    /// # Panics
    /// When nothing listens there.
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the other side has hung up.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what the other side may no longer want. Gives whether it took all of it.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends no more.
    ///
    /// # Panics
    /// When the other side has hung up.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends no more, unless the other side has hung up already.
    pub fn finish_if_open(&self) {
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// The next whole answer.
    ///
    /// # Panics
    /// When the connection ends instead; and see [`Self::try_answer`].
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("the connection ended instead of an answer")
    }

    /// The next whole answer, or `None` when the connection ends before its first byte.
    ///
    /// # Panics
    /// When the other side neither answers nor closes within the deadline, when it closes in the middle of an answer,
    /// or when its answer is no HTTP.
    pub fn try_answer(&mut self) -> Option<Answer> {
        let mut has_ended = false;
        loop {
            if let Some((answer, length)) = whole(&self.unread, has_ended) {
                self.unread.drain(..length);
                return Some(answer);
            }
            if has_ended && self.unread.is_empty() {
                return None;
            }
            assert!(!has_ended, "half an answer: {}", String::from_utf8_lossy(&self.unread));
            has_ended = !self.read_more();
        }
    }

    /// Whether the other side has closed, with nothing left to read. Waits for one of both.
    ///
    /// # Panics
    /// When neither comes within the deadline.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.read_more()
    }

    /// All that comes until the other side closes.
    ///
    /// # Panics
    /// When it does not close within the deadline.
    pub fn rest(mut self) -> Vec<u8> {
        while self.read_more() {}
        self.unread
    }

    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 65536];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(n) => {
                    self.unread.extend_from_slice(&bytes[..n]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    panic!("nothing to read ({error}); so far: {}", String::from_utf8_lossy(&self.unread))
                }
            }
        }
    }
}

/// Whether nothing listens at `address`.
pub fn is_refused(address: std::net::SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_err()
}

/// The first answer and its length, when `read` holds all of it. `is_all` says that nothing will follow.
fn whole(read: &[u8], is_all: bool) -> Option<(Answer, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = parsed
        .parse(read)
        .unwrap_or_else(|error| panic!("no HTTP ({error}): {}", String::from_utf8_lossy(read)))
    else {
        return None;
    };
    let headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect::<Vec<_>>();
    let status = parsed.code?;
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let rest = &read[start..];
    let (body, length) = if (100..200).contains(&status) || matches!(status, 204 | 304) {
        (Vec::new(), 0)
    } else if header("transfer-encoding").is_some() {
        unchunked(rest)?
    } else if let Some(length) = header("content-length") {
        let length = length.parse().unwrap_or_else(|error| panic!("content-length {length}: {error}"));
        (rest.get(..length)?.to_vec(), length)
    } else {
        // Its end is that of the connection.
        is_all.then(|| (rest.to_vec(), rest.len()))?
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Some((Answer { status, headers, text, json }, start + length))
}

/// The body without its chunks' lengths, and how many bytes it took with them.
fn unchunked(body: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut whole, mut at) = (Vec::new(), 0);
    loop {
        let rest = &body[at..];
        let line = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.trim(), 16).ok()?;
        let end = line + 2 + size;
        whole.extend_from_slice(rest.get(line + 2..end)?);
        // The line break after the chunk is there too.
        rest.get(end..end + 2)?;
        at += end + 2;
        if size == 0 {
            return Some((whole, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        let plain = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";
        assert!(whole(&plain[..plain.len() - 1], false).is_none());
        assert_eq!(whole(plain, false).unwrap().0.text, "[]");
        let chunked = b"HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n";
        assert!(whole(&chunked[..chunked.len() - 1], true).is_none());
        let (answer, length) = whole(chunked, false).unwrap();
        assert_eq!((answer.status, answer.text.as_str(), length), (400, "[]", chunked.len()));
        let open = b"HTTP/1.0 200 OK\r\n\r\n[]";
        assert!(whole(open, false).is_none());
        assert_eq!(whole(open, true).unwrap().0.text, "[]");
    }
}
