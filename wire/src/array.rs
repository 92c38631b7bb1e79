//! PURE. Cuts a JSON array that arrives in pieces into its elements, holding one of them at a time and looking at each
//! byte once. Only the borders are looked at: what an element says is for its reader. Absent: sockets.

use memchr::memchr2;

/// Cuts one array. Its elements are objects or arrays, as those of every listing are.
///
/// ```
/// use wire::array::Cutter;
///
/// let mut cutter = Cutter::new(100);
/// cutter.push(br#"[{"a":1},{"#);
/// assert_eq!(cutter.next_element(), Ok(Some(&br#"{"a":1}"#[..])));
/// assert_eq!(cutter.next_element(), Ok(None));
/// cutter.push(br#""b":2}]"#);
/// assert_eq!(cutter.next_element(), Ok(Some(&br#"{"b":2}"#[..])));
/// assert!(!cutter.is_whole());
/// assert_eq!(cutter.next_element(), Ok(None));
/// assert!(cutter.is_whole());
/// ```
#[derive(Debug)]
pub struct Cutter {
    limit: usize,
    unread: Vec<u8>,
    /// Where the element under way begins in `unread`.
    start: usize,
    /// Where the scan stands in `unread`.
    at: usize,
    stage: Stage,
}

/// Where in the array the scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the first bracket.
    Before,
    /// Behind the first bracket.
    Opened,
    /// In an element, of which so many brackets and braces are open.
    Element { depth: usize },
    /// In a text of an element; `escaped` right behind a backslash.
    Text { depth: usize, escaped: bool },
    /// Behind an element.
    Behind,
    /// Behind a comma.
    Comma,
    /// Behind the last bracket.
    Ended,
}

/// Why bytes are no array of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadArray {
    /// It does not begin with a bracket, or goes on as no array of objects or arrays can.
    #[error("the list is no JSON array of objects")]
    NotArray,
    /// An element is over the limit.
    #[error("an element of the list is longer than {limit} bytes")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// Something follows the end.
    #[error("something follows the end of the list")]
    Trailing,
}

impl Cutter {
    /// A cutter of elements of at most `limit` bytes each.
    pub const fn new(limit: usize) -> Self {
        Self { limit, unread: Vec::new(), start: 0, at: 0, stage: Stage::Before }
    }

    /// Takes the next bytes. Those before them should have been read with [`Cutter::next_element`] until it gave none:
    /// what was not is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        // Only the element under way is moved, once for all that was cut before it.
        self.unread.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.unread.extend_from_slice(bytes);
    }

    /// Whether the array has ended: one that stops before was cut off.
    pub fn is_whole(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// The next whole element as its JSON text; `None` until more bytes come, and behind the end.
    ///
    /// # Errors
    /// Says why the bytes are no array, now and at every later call.
    pub fn next_element(&mut self) -> Result<Option<&[u8]>, BadArray> {
        while let Some(&byte) = self.unread.get(self.at) {
            match self.stage {
                Stage::Element { depth } => {
                    if self.scan_element(depth) {
                        let element = self.start..self.at;
                        self.start = self.at;
                        return self.within_limit(element.len()).map(|()| self.unread.get(element));
                    }
                }
                Stage::Text { depth, escaped } => self.scan_text(depth, escaped),
                between => {
                    self.stage = step(between, byte)?;
                    if matches!(self.stage, Stage::Element { .. }) {
                        // The scan of the element begins at its own bracket.
                        self.start = self.at;
                    } else {
                        self.at += 1;
                        self.start = self.at;
                    }
                }
            }
        }
        self.within_limit(self.unread.len() - self.start).map(|()| None)
    }

    fn within_limit(&self, length: usize) -> Result<(), BadArray> {
        if length > self.limit { Err(BadArray::TooLong { limit: self.limit }) } else { Ok(()) }
    }

    /// Goes on to the end of the element, to a text in it, or to the end of the bytes; says whether the element ended.
    fn scan_element(&mut self, mut depth: usize) -> bool {
        let rest = self.unread.get(self.at..).unwrap_or_default();
        for (passed, byte) in (1..).zip(rest) {
            match byte {
                b'"' => {
                    self.at += passed;
                    self.stage = Stage::Text { depth, escaped: false };
                    return false;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth > 1 => depth -= 1,
                b']' | b'}' => {
                    self.at += passed;
                    self.stage = Stage::Behind;
                    return true;
                }
                _ => {}
            }
        }
        self.at = self.unread.len();
        self.stage = Stage::Element { depth };
        false
    }

    /// Goes on to the end of the text, or of the bytes.
    fn scan_text(&mut self, depth: usize, escaped: bool) {
        self.at += usize::from(escaped);
        loop {
            let rest = self.unread.get(self.at..).unwrap_or_default();
            self.stage = match memchr2(b'"', b'\\', rest) {
                Some(passed) if rest.get(passed) == Some(&b'"') => {
                    self.at += passed + 1;
                    Stage::Element { depth }
                }
                // The byte behind a backslash has no say, if it is there yet.
                Some(passed) if passed + 1 < rest.len() => {
                    self.at += passed + 2;
                    continue;
                }
                Some(_) => {
                    self.at = self.unread.len();
                    Stage::Text { depth, escaped: true }
                }
                None => {
                    self.at = self.unread.len();
                    Stage::Text { depth, escaped: false }
                }
            };
            return;
        }
    }
}

/// The stage behind a byte that stands between elements; for the first byte of an element, the stage at it.
fn step(stage: Stage, byte: u8) -> Result<Stage, BadArray> {
    match (stage, byte) {
        (_, b' ' | b'\t' | b'\r' | b'\n') => Ok(stage),
        (Stage::Before, b'[') => Ok(Stage::Opened),
        (Stage::Opened | Stage::Comma, b'[' | b'{') => Ok(Stage::Element { depth: 0 }),
        (Stage::Opened | Stage::Behind, b']') => Ok(Stage::Ended),
        (Stage::Behind, b',') => Ok(Stage::Comma),
        (Stage::Ended, _) => Err(BadArray::Trailing),
        _ => Err(BadArray::NotArray),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// The elements of `text` in pieces of `step` bytes, and whether it was whole.
    fn cut(text: &[u8], step: usize, limit: usize) -> Result<(Vec<String>, bool), BadArray> {
        let mut cutter = Cutter::new(limit);
        let mut found = Vec::new();
        for piece in text.chunks(step) {
            cutter.push(piece);
            while let Some(element) = cutter.next_element()? {
                found.push(String::from_utf8_lossy(element).into_owned());
            }
            assert_eq!(cutter.at, cutter.unread.len(), "a byte would be looked at twice");
            assert!(cutter.unread.len() - cutter.start <= limit, "more than one element is held");
        }
        Ok((found, cutter.is_whole()))
    }

    #[test]
    fn elements_are_cut_however_the_bytes_come() {
        let text = r#" [ {"a":"]}\"[{\\"} , [{"b":[1,2]}],{}, [] ] "#;
        for step in [1, 2, 7, 1000] {
            let (found, whole) = cut(text.as_bytes(), step, 100).unwrap();
            assert_eq!(found, [r#"{"a":"]}\"[{\\"}"#, r#"[{"b":[1,2]}]"#, "{}", "[]"], "in pieces of {step}");
            assert!(whole);
        }
        assert_eq!(cut(b"[]", 1, 100), Ok((vec![], true)));
    }

    #[test]
    fn a_cut_array_shows() {
        for text in ["", "[", "[{\"a\":1}", "[{\"a\":1},", "[{\"a\":1},{\"b\""] {
            let (_, whole) = cut(text.as_bytes(), 3, 100).unwrap();
            assert!(!whole, "{text}");
        }
        assert_eq!(cut(br#"[{"a":1}"#, 3, 100), Ok((vec![r#"{"a":1}"#.to_owned()], false)));
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for text in
            ["<html>", "{\"message\":\"down\"}", "[1,2]", "[1}", "[,{}]", "[{},]", "[{}{}]", "[{}}", "]"]
        {
            assert_eq!(cut(text.as_bytes(), 4, 100), Err(BadArray::NotArray), "{text}");
        }
        for text in ["[{}] x", "[]]", "[{}]\n[{}]"] {
            assert_eq!(cut(text.as_bytes(), 4, 100), Err(BadArray::Trailing), "{text}");
        }
    }

    #[test]
    fn a_fault_is_told_again_at_every_call() {
        let mut cutter = Cutter::new(4);
        cutter.push(b"[{} x");
        assert_eq!(cutter.next_element(), Ok(Some(&b"{}"[..])));
        assert_eq!(cutter.next_element(), Err(BadArray::NotArray));
        cutter.push(b",{}]");
        assert_eq!(cutter.next_element(), Err(BadArray::NotArray));
    }

    #[test]
    fn an_element_over_the_limit_is_refused_before_and_at_its_end() {
        let text = format!("[{{}}, {{\"a\":\"{}\"}}]", "x".repeat(92));
        assert_eq!(cut(text.as_bytes(), 7, 100).unwrap().0.len(), 2);
        for step in [1, 7, 1000] {
            assert_eq!(cut(text.as_bytes(), step, 99), Err(BadArray::TooLong { limit: 99 }));
        }
        let endless = format!("[{{\"a\":\"{}", "x".repeat(10_000));
        assert_eq!(cut(endless.as_bytes(), 64, 99), Err(BadArray::TooLong { limit: 99 }));
        let blanks = format!("[{}{{}}{}]", " ".repeat(10_000), " ".repeat(10_000));
        assert_eq!(cut(blanks.as_bytes(), 64, 99).unwrap().0, ["{}"]);
    }

    proptest! {
        #[test]
        fn cut_anywhere_the_elements_are_the_same(texts in vec(".{0,12}", 0..8), step in 1usize..9) {
            let value = |text: &String| json!({"sentence": text, "list": [text, {"x": text}]});
            let values = texts.iter().map(value).collect::<Vec<_>>();
            for body in [serde_json::to_vec_pretty(&values).unwrap(), serde_json::to_vec(&values).unwrap()] {
                let (found, whole) = cut(&body, step, 1000).unwrap();
                let found = found.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()).collect::<Vec<_>>();
                prop_assert!(whole);
                prop_assert_eq!(&found, &values);
            }
        }

        #[test]
        fn no_bytes_make_the_cutter_panic(
            bytes in vec(any::<u8>(), 0..60),
            text in r#"[\[\]{}",\\ a]{0,60}"#,
            step in 1usize..9,
        ) {
            for bytes in [&bytes[..], text.as_bytes()] {
                // Whatever the pieces, the end is the same.
                prop_assert_eq!(cut(bytes, step, 40), cut(bytes, 1, 40));
            }
        }
    }
}
