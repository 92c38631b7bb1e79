//! Whether an answer has come as a whole, and with which status.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use crate::Failure;

/// How much is read at once: most answers as a whole, a long one in a few steps.
pub(crate) const STEP: usize = 64 * 1024;

/// What has come of an answer so far.
#[derive(Default)]
pub(crate) struct Answer {
    received: Vec<u8>,
}

impl Answer {
    /// Reads once from `stream` by way of `buffer`; the status once a whole answer is there, 0 when the connection ended
    /// instead.
    ///
    /// One read is enough: whoever polls the stream is told again of what is left.
    pub(crate) fn read(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<u16>, Failure> {
        let status = match stream.read(buffer) {
            Ok(0) => Some(0),
            Ok(read) => {
                self.received.extend_from_slice(buffer.get(..read).unwrap_or_default());
                status_of_whole(&self.received)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(0),
            Err(error) => return Err(error.into()),
        };
        if status.is_some() {
            self.received.clear();
        }
        Ok(status)
    }
}

/// The status of the answer in `received` when it is complete.
fn status_of_whole(received: &[u8]) -> Option<u16> {
    let head_end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(received.get(..head_end)?).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let complete = match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => received.len() >= head_end + length,
        None => received.ends_with(b"\r\n0\r\n\r\n"),
    };
    complete.then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_has_come_or_its_last_chunk() {
        let status = |text: &str| status_of_whole(text.as_bytes());
        assert_eq!(status("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"), None);
        assert_eq!(status("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"), None);
        assert_eq!(status("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nab"), Some(503));
        assert_eq!(status("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"), None);
        assert_eq!(
            status("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
            Some(200)
        );
    }
}
