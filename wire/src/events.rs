//! PURE. Server-sent events, written and read. Event names, ids and retry hints are passed over by the reader: a report
//! stream has one kind of event. Absent: sockets; what the data mean.

use std::fmt::{Display, Write};

use memchr::memchr2;

/// Writes an event at the end of `out`. Each line of `data` becomes a line of the event; a carriage return cannot be
/// carried and counts as the end of a line.
pub fn write(out: &mut String, name: &str, id: impl Display, data: &str) {
    // Writing to a string cannot fail.
    write!(out, "event: {name}\nid: {id}\n").unwrap_or_default();
    let mut rest = data;
    loop {
        let (line, behind) = rest.find(['\r', '\n']).map_or((rest, None), |end| {
            let (line, behind) = rest.split_at(end);
            (line, behind.strip_prefix("\r\n").or_else(|| behind.get(1..)))
        });
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
        match behind {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    out.push('\n');
}

/// The events of one stream that arrives in pieces.
///
/// ```
/// use wire::events::Reader;
///
/// let mut events = Reader::new(1000);
/// events.push(b"event: report\ndata: {}\n\ndata: {")?;
/// assert_eq!(events.next_data().as_deref(), Some("{}"));
/// assert_eq!(events.next_data(), None);
/// # Ok::<(), wire::events::TooLong>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    unread: Vec<u8>,
    /// Where the line under way begins in `unread`.
    start: usize,
    /// Up to where `unread` holds no end of that line.
    seen: usize,
    /// Whether the last line ended in a carriage return: a line feed right behind it belongs to it.
    after_return: bool,
    /// The data lines of the event under way, each with a line feed behind it.
    data: String,
}

/// An event that never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// In bytes.
    pub limit: usize,
}

impl Reader {
    /// A reader that holds at most `limit` bytes: of an event, and of what came with it.
    pub const fn new(limit: usize) -> Self {
        Self { limit, unread: Vec::new(), start: 0, seen: 0, after_return: false, data: String::new() }
    }

    /// Takes the next bytes of the stream. Those before them should have been read with [`Reader::next_data`] until it
    /// gave none: what was not is kept.
    ///
    /// # Errors
    /// When more would be held than the limit allows. The stream is of no use then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        // Only the line under way is moved, once for all that were read before it.
        self.unread.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        if self.unread.len() + bytes.len() + self.data.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        self.unread.extend_from_slice(bytes);
        Ok(())
    }

    /// The data of the next whole event; bytes that are no UTF-8 are replaced.
    pub fn next_data(&mut self) -> Option<String> {
        loop {
            let unseen = self.unread.get(self.seen..)?;
            if self.after_return && self.seen == self.start {
                // An end of line that came in two pieces.
                let feed = usize::from(*unseen.first()? == b'\n');
                self.after_return = false;
                self.start += feed;
                self.seen = self.start;
                continue;
            }
            let Some(length) = memchr2(b'\r', b'\n', unseen) else {
                self.seen = self.unread.len();
                return None;
            };
            let end = self.seen + length;
            let line = self.unread.get(self.start..end)?;
            self.after_return = self.unread.get(end) == Some(&b'\r');
            self.start = end + 1;
            self.seen = self.start;
            if line.is_empty() {
                // The line feed behind the last data line is no part of the data.
                self.data.pop();
                if !self.data.is_empty() {
                    return Some(std::mem::take(&mut self.data));
                }
            } else if let Some(data) = line.strip_prefix(b"data:").or((line == b"data").then_some(&[])) {
                self.data.push_str(&String::from_utf8_lossy(data.strip_prefix(b" ").unwrap_or(data)));
                self.data.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(stream: &[u8], step: usize) -> Vec<String> {
        let mut events = Reader::new(10_000);
        let mut found = Vec::new();
        for piece in stream.chunks(step) {
            events.push(piece).unwrap();
            found.extend(std::iter::from_fn(|| events.next_data()));
        }
        found
    }

    #[test]
    fn events_are_cut_however_the_bytes_come() {
        let stream = "retry: 100\n: heartbeat\n\nevent: report\ndata: {\"a\":1}\n\ndata:x\r\ndata: y \r\n\r\n\
                      data: z\r\rdata\ndata:\n\ndata: rest";
        for step in [1, 2, 3, 1000] {
            assert_eq!(
                read(stream.as_bytes(), step),
                ["{\"a\":1}", "x\ny ", "z", "\n"],
                "in pieces of {step}"
            );
        }
    }

    #[test]
    fn an_event_is_written_as_the_reports_always_were() {
        let mut out = String::new();
        write(&mut out, "report", 7, "{\"seq\":7}");
        assert_eq!(out, "event: report\nid: 7\ndata: {\"seq\":7}\n\n");
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Reader::new(100);
        assert_eq!(events.push(&[b'x'; 101]), Err(TooLong { limit: 100 }));
        let endless = std::iter::repeat_n(b"data: x\n", 100);
        let refused = endless.map(|line| events.push(line).map(|()| events.next_data())).find(Result::is_err);
        assert_eq!(refused, Some(Err(TooLong { limit: 100 })));
        let mut events = Reader::new(100);
        for _ in 0..100 {
            events.push(b"data: {\"whole\":true}\n\n").unwrap();
            assert!(events.next_data().is_some());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(data in vec("[^\r]{1,20}|[\n:]{1,4}", 0..6), step in 1usize..9) {
            let mut stream = String::new();
            for (id, data) in data.iter().enumerate() {
                write(&mut stream, "report", id, data);
            }
            prop_assert_eq!(read(stream.as_bytes(), step), data);
        }

        #[test]
        fn the_pieces_make_no_difference(stream in "(data:|data: |x|\r|\n|\r\n|: ){0,30}", step in 1usize..9) {
            prop_assert_eq!(read(stream.as_bytes(), step), read(stream.as_bytes(), 1000));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..100)) {
            drop(read(&bytes, 7));
        }
    }
}
