//! PURE. Cuts a JSON array that arrives in pieces into its elements, without holding more than one of them. Only the
//! borders are looked at: what an element says is for its reader. Absent: sockets.

use wire::contract::MAX_SENTENCE_BODY_BYTES;

/// Longest element, in bytes: a sentence, its escapes, its date and id.
const MAX_ELEMENT_BYTES: usize = MAX_SENTENCE_BODY_BYTES + 1024;

/// Why bytes are no array of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadList {
    /// It does not begin with a bracket, or ends before its own.
    #[error("the list is no whole JSON array")]
    NotArray,
    /// An element is over its limit.
    #[error("an element of the list is longer than a sentence can be")]
    TooLong,
}

/// The elements of one array.
#[derive(Default)]
pub(super) struct Elements {
    unread: Vec<u8>,
    /// Where the scan stands in `unread`.
    at: usize,
    /// Brackets and braces that are open; 1 between elements.
    depth: usize,
    in_string: bool,
    escaped: bool,
    ended: bool,
}

impl Elements {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.drain(..self.at.min(self.unread.len()));
        self.at = 0;
        self.unread.extend_from_slice(bytes);
    }

    /// Whether the array has ended.
    pub(super) fn is_whole(&self) -> bool {
        self.ended
    }

    /// The next whole element.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, BadList> {
        let mut start = None;
        let mut at = self.at;
        let (mut depth, mut in_string, mut escaped) = (self.depth, self.in_string, self.escaped);
        while let Some(byte) = self.unread.get(at).filter(|_| !self.ended) {
            at += 1;
            if in_string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'[' | b'{' => {
                    if depth == 1 {
                        start = Some(at - 1);
                    }
                    depth += 1;
                }
                b']' | b'}' if depth == 1 => {
                    self.ended = true;
                    (self.at, self.depth) = (at, 0);
                }
                b']' | b'}' if depth > 1 => {
                    depth -= 1;
                    if depth == 1
                        && let Some(start) = start
                    {
                        (self.at, self.depth) = (at, 1);
                        return Ok(self.unread.get(start..at).map(<[u8]>::to_vec));
                    }
                }
                b'"' if depth > 1 => in_string = true,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b',' if depth == 1 => {}
                _ if depth <= 1 => return Err(BadList::NotArray),
                _ => {}
            }
            // Outside an element the scan need not come here again.
            if depth == 1 && !self.ended {
                (self.at, self.depth) = (at, 1);
            }
        }
        match start {
            Some(start) if self.unread.len() - start > MAX_ELEMENT_BYTES => Err(BadList::TooLong),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, step: usize) -> Result<(Vec<String>, bool), BadList> {
        let mut elements = Elements::default();
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            elements.push(piece);
            while let Some(element) = elements.next()? {
                found.push(String::from_utf8(element).unwrap());
            }
        }
        Ok((found, elements.is_whole()))
    }

    #[test]
    fn elements_are_cut_however_the_bytes_come() {
        let text = r#" [ {"a":"]}\"[{"} , {"b":{"c":[1,2]}},{} ] "#;
        for step in [1, 2, 7, 1000] {
            let (found, whole) = read(text, step).unwrap();
            assert_eq!(found, [r#"{"a":"]}\"[{"}"#, r#"{"b":{"c":[1,2]}}"#, "{}"], "in pieces of {step}");
            assert!(whole);
        }
        assert_eq!(read("[]", 1), Ok((vec![], true)));
        assert_eq!(read(r#"[{"a":1}"#, 3), Ok((vec![r#"{"a":1}"#.to_owned()], false)));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(read("<html>", 6), Err(BadList::NotArray));
        assert_eq!(read("[1,2]", 5), Err(BadList::NotArray));
        let endless = format!("[{{\"a\":\"{}", "x".repeat(MAX_ELEMENT_BYTES));
        assert_eq!(read(&endless, 4096), Err(BadList::TooLong));
    }
}
