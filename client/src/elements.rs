//! The elements of a JSON array, cut out of a stream while it arrives. PURE.
//!
//! A listing may hold a million sentences; only the element under way is kept.

/// Cuts a stream of bytes into the elements of the array that it is.
#[derive(Debug, Default)]
pub struct Elements {
    element: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    opened: bool,
    closed: bool,
}

/// The stream is no JSON array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no JSON array")]
pub struct NoArray;

impl Elements {
    /// Takes the next bytes and gives each element that they complete, as its JSON text.
    ///
    /// # Errors
    /// When the stream begins or goes on as no array can.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, NoArray> {
        let mut whole = Vec::new();
        for byte in bytes {
            self.step(*byte, &mut whole)?;
        }
        Ok(whole)
    }

    /// Whether the array has ended: an answer that stops before was cut off.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn step(&mut self, byte: u8, whole: &mut Vec<Vec<u8>>) -> Result<(), NoArray> {
        if self.in_string {
            self.element.push(byte);
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Ok(());
        }
        if !self.opened || self.closed {
            return match byte {
                b'[' if !self.opened => {
                    self.opened = true;
                    Ok(())
                }
                b' ' | b'\t' | b'\r' | b'\n' => Ok(()),
                _ => Err(NoArray),
            };
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b',' if self.depth == 0 => self.complete(whole),
            b']' if self.depth == 0 => {
                self.complete(whole);
                self.closed = true;
            }
            b'}' if self.depth == 0 => return Err(NoArray),
            _ => {
                match byte {
                    b'[' | b'{' => self.depth += 1,
                    b']' | b'}' => self.depth -= 1,
                    b'"' => self.in_string = true,
                    _ => {}
                }
                self.element.push(byte);
            }
        }
        Ok(())
    }

    fn complete(&mut self, whole: &mut Vec<Vec<u8>>) {
        if !self.element.is_empty() {
            whole.push(std::mem::take(&mut self.element));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_no_array_says_so() {
        assert_eq!(Elements::default().take(b"{\"message\":\"down\"}"), Err(NoArray));
        assert_eq!(Elements::default().take(b"[1}"), Err(NoArray));
        assert_eq!(Elements::default().take(b"[1] x"), Err(NoArray));
    }

    #[test]
    fn a_cut_answer_shows() {
        let mut elements = Elements::default();
        assert_eq!(elements.take(b"[{\"a\":1}, {\"b\"").unwrap(), [b"{\"a\":1}"]);
        assert!(!elements.is_closed());
    }

    proptest! {
        #[test]
        fn cut_anywhere_the_elements_are_the_same(texts in proptest::collection::vec(".{0,12}", 0..8), size in 1usize..9) {
            let values = texts.iter().map(|text| json!({"sentence": text, "list": [text, {"x": text}]})).collect::<Vec<_>>();
            let body = serde_json::to_vec_pretty(&values).unwrap();
            let mut elements = Elements::default();
            let mut found = Vec::new();
            for part in body.chunks(size) {
                for element in elements.take(part).unwrap() {
                    found.push(serde_json::from_slice::<Value>(&element).unwrap());
                }
            }
            prop_assert!(elements.is_closed());
            prop_assert_eq!(found, values);
        }
    }
}
