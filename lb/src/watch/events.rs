//! PURE. Cuts a stream of server-sent events into their data. Event names, ids and retry hints are passed over: a
//! report stream has one kind of event. Absent: sockets; what the data mean.

/// Longest line or event, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The events of one stream.
#[derive(Default)]
pub(super) struct Events {
    unread: Vec<u8>,
    data: String,
}

/// An event that never ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.unread.extend_from_slice(bytes);
        if self.unread.len() + self.data.len() > MAX_BYTES { Err(TooLong) } else { Ok(()) }
    }

    /// The data of the next whole event.
    pub(super) fn next(&mut self) -> Option<String> {
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = line.trim_ascii_end();
            if let Some(data) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(&String::from_utf8_lossy(data.strip_prefix(b" ").unwrap_or(data)));
            } else if line.is_empty() && !self.data.is_empty() {
                return Some(std::mem::take(&mut self.data));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_however_the_bytes_come() {
        let stream = "retry: 100\n: heartbeat\n\nevent: report\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\ndata: rest";
        for step in [1, 3, 1000] {
            let mut events = Events::default();
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(step) {
                events.push(piece).unwrap();
                found.extend(std::iter::from_fn(|| events.next()));
            }
            assert_eq!(found, ["{\"a\":1}", "x\ny"], "in pieces of {step}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::default();
        assert_eq!(events.push(&vec![b'x'; MAX_BYTES + 1]), Err(TooLong));
    }
}
