//! PURE. The JSON that is written and read by hand because it passes with every sentence, each form once. A test holds
//! each to what serde writes for its type. Absent: every answer that is not common; serde writes and reads those.
//!
//! | form | type | written by |
//! |---|---|---|
//! | [`Line`] | [`RawSentence`](crate::RawSentence), a line of a post to a node | balancer |
//! | [`write_stored`], [`read_stored`] | [`ItemAnswer`](crate::ItemAnswer) of a sentence stored now | node |
//! | [`Fresh`] | [`StoredSentence`](crate::StoredSentence) that was stored now | both |
//! | [`Routed`] | [`Routed`](crate::Routed) | balancer |
//! | [`write_located`] | [`LocatedSentence`](crate::LocatedSentence) | balancer |
//!
//! Texts named *literal* are JSON strings with their quotes and escapes, carried as they were received. Names of nodes
//! and filters are plain by configuration and need no escapes.

use std::io::Write;

use crate::{Date, SentenceId};

/// Length of a written id, in bytes.
pub const ID_LEN: usize = 36;
/// Length of a written date of the years 0 to 9999, in bytes.
pub const DATE_LEN: usize = 26;

/// The fixed parts of a line, between which id, author and sentence stand.
const LINE: [&str; 4] = [r#"{"id":""#, r#"","author":"#, r#","sentence":"#, "}\n"];
/// Where the id stands in its line.
const LINE_ID: usize = LINE[0].len();
/// Where the author stands in its line.
const LINE_AUTHOR: usize = LINE_ID + ID_LEN + LINE[1].len();

/// The fixed parts of the answer of an item that was stored now, between which id and date stand.
const STORED: [&str; 3] = [r#"{"status":"stored","id":""#, r#"","date":""#, r#""}"#];

/// The fixed parts of a stored sentence, between which author, date, id and sentence stand.
const FRESH: [&str; 5] = [r#"{"author":"#, r#","date":""#, r#"","id":""#, r#"","sentence":"#, "}"];
const FRESH_LEN: usize = fixed(&FRESH);

/// The fixed parts of a routed answer, between which server, filter and data stand.
const ROUTED: [&str; 4] = [r#"{"server":""#, r#"","filter":""#, r#"","data":"#, "}"];
const ROUTED_LEN: usize = fixed(&ROUTED);

/// The fixed parts of a located sentence, between which the server and the rest of the sentence stand.
const LOCATED: [&str; 2] = [r#"{"server":""#, r#"","#];

/// Where one line of a post to a node lies in the text that it was written into, and where its parts lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    start: usize,
    author: usize,
    sentence: usize,
}

impl Line {
    /// Writes a line at the end of `text`, with its line feed. `author` and `sentence` are literals.
    #[inline]
    pub fn write(text: &mut String, id: SentenceId, author: &str, sentence: &str) -> Self {
        let start = text.len();
        let mut buffer = [0; ID_LEN];
        let id: &str = id.0.hyphenated().encode_lower(&mut buffer);
        let [before_id, before_author, before_sentence, end] = LINE;
        for part in [before_id, id, before_author, author, before_sentence, sentence, end] {
            text.push_str(part);
        }
        Self { start, author: author.len(), sentence: sentence.len() }
    }

    /// The id as it stands in its line.
    #[inline]
    pub fn id(self, text: &str) -> &str {
        self.part(text, LINE_ID, ID_LEN)
    }

    /// The author's literal.
    #[inline]
    pub fn author(self, text: &str) -> &str {
        self.part(text, LINE_AUTHOR, self.author)
    }

    /// The sentence's literal.
    #[inline]
    pub fn sentence(self, text: &str) -> &str {
        self.part(text, LINE_AUTHOR + self.author + LINE[2].len(), self.sentence)
    }

    #[inline]
    fn part(self, text: &str, at: usize, len: usize) -> &str {
        let at = self.start + at;
        text.get(at..at + len).unwrap_or_default()
    }
}

/// Writes the answer of an item that was stored now, without a line feed.
#[inline]
pub fn write_stored(out: &mut Vec<u8>, id: SentenceId, date: Date) {
    let mut buffer = [0; ID_LEN];
    let id: &str = id.0.hyphenated().encode_lower(&mut buffer);
    let [before_id, before_date, end] = STORED;
    push(out, &[before_id, id, before_date]);
    // Writing to a vector cannot fail.
    drop(write!(out, "{date}"));
    push(out, &[end]);
}

/// The answer of an item that was stored now, read at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Where the id stands; whether it is one is not looked at.
    pub id: &'a [u8],
    /// The date; made of the characters of a date.
    pub date: &'a str,
    /// What stands behind the answer: nothing, or the end of its line.
    pub behind: &'a [u8],
}

/// Reads the answer at the beginning of `lines` if it is exactly as [`write_stored`] writes it. `None` says nothing:
/// any other writing of the same is for serde to read.
#[inline]
pub fn read_stored(lines: &[u8]) -> Option<Stored<'_>> {
    let [before_id, before_date, end] = STORED;
    let (id, rest) = lines.strip_prefix(before_id.as_bytes())?.split_at_checked(ID_LEN)?;
    let (date, rest) = rest.strip_prefix(before_date.as_bytes())?.split_at_checked(DATE_LEN)?;
    let behind = rest.strip_prefix(end.as_bytes())?;
    let is_whole = behind.first().is_none_or(|byte| matches!(byte, b'\r' | b'\n'));
    let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b' ' | b':' | b'.');
    if !is_whole || !date.iter().all(plain) {
        return None;
    }
    Some(Stored { id, date: std::str::from_utf8(date).ok()?, behind })
}

/// A sentence that was stored now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh<'a> {
    /// Literal.
    pub author: &'a str,
    /// Date in its written form, without quotes.
    pub date: &'a str,
    /// Id in its written form, without quotes.
    pub id: &'a str,
    /// Literal.
    pub sentence: &'a str,
}

impl Fresh<'_> {
    /// Writes it.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { author, date, id, sentence } = self;
        let [before_author, before_date, before_id, before_sentence, end] = FRESH;
        push(out, &[before_author, author, before_date, date, before_id, id, before_sentence, sentence, end]);
    }

    /// Length of what [`Fresh::write`] writes, in bytes.
    #[inline]
    pub fn written_len(&self) -> usize {
        FRESH_LEN + self.author.len() + self.date.len() + self.id.len() + self.sentence.len()
    }
}

/// A stored sentence as an answer carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Stored now: the client's own literals beside id and date.
    Fresh(Fresh<'a>),
    /// The JSON object that the node wrote.
    Whole(&'a [u8]),
}

/// The answer to one sentence that the balancer routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed<'a> {
    /// The node's name.
    pub server: &'a str,
    /// Which part of the rule chose it.
    pub filter: &'a str,
    /// The sentence as stored.
    pub data: Data<'a>,
}

impl Routed<'_> {
    /// Writes it.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let [before_server, before_filter, before_data, end] = ROUTED;
        push(out, &[before_server, self.server, before_filter, self.filter, before_data]);
        match &self.data {
            Data::Fresh(fresh) => fresh.write(out),
            Data::Whole(json) => out.extend_from_slice(json),
        }
        push(out, &[end]);
    }

    /// Length of what [`Routed::write`] writes, in bytes.
    #[inline]
    pub fn written_len(&self) -> usize {
        let data = match &self.data {
            Data::Fresh(fresh) => fresh.written_len(),
            Data::Whole(json) => json.len(),
        };
        ROUTED_LEN + self.server.len() + self.filter.len() + data
    }
}

/// Writes a sentence of a node's list with its node. `sentence` is the object that the node wrote, from brace to brace.
#[inline]
pub fn write_located(out: &mut Vec<u8>, server: &str, sentence: &[u8]) {
    let [before_server, before_rest] = LOCATED;
    push(out, &[before_server, server, before_rest]);
    out.extend_from_slice(sentence.get(1..).unwrap_or_default());
}

#[inline]
fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Bytes of all parts together.
const fn fixed(parts: &[&str]) -> usize {
    let (mut sum, mut parts) = (0, parts);
    while let [part, rest @ ..] = parts {
        sum += part.len();
        parts = rest;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, ItemAnswer, ItemStatus, LocatedSentence, NewSentence, RawSentence, StoredSentence};
    use proptest::prelude::*;

    fn stored() -> impl Strategy<Value = StoredSentence> {
        (any::<u128>(), 0i64..253_402_300_799_000_000, "\\PC{1,20}", ".{1,60}").prop_map(
            |(id, micros, author, sentence)| StoredSentence {
                author,
                date: Date::from_unix_micros(micros),
                id: Some(SentenceId(uuid::Uuid::from_u128(id))),
                sentence,
            },
        )
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn json(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    proptest! {
        #[test]
        fn every_form_is_what_serde_writes(document in stored(), before in "[a-z]{0,3}") {
            let (id, date) = (document.id.unwrap(), document.date);
            let (author, sentence) = (json(&document.author), json(&document.sentence));

            let (written_id, written_date) = (id.to_string(), date.to_string());

            let mut text = before.clone();
            let line = Line::write(&mut text, id, &author, &sentence);
            let new = NewSentence { id, author: document.author.clone(), sentence: document.sentence.clone() };
            prop_assert_eq!(&text, &format!("{before}{}\n", json(&new)));
            prop_assert_eq!(line.id(&text), &written_id);
            prop_assert_eq!((line.author(&text), line.sentence(&text)), (author.as_str(), sentence.as_str()));

            let status = ItemStatus::Stored;
            let answer = ItemAnswer { status, id: Some(id), date: Some(date), stored: None, error: None };
            prop_assert_eq!(written(|out| write_stored(out, id, date)), json(&answer));

            let fresh = Fresh { author: &author, date: &written_date, id: &written_id, sentence: &sentence };
            let whole = json(&document);
            prop_assert_eq!(&written(|out| fresh.write(out)), &whole);
            prop_assert_eq!(fresh.written_len(), whole.len());

            let filter = Filter("ram".to_owned());
            let typed = crate::Routed { server: "A".to_owned(), filter, data: document.clone() };
            for data in [Data::Fresh(fresh), Data::Whole(whole.as_bytes())] {
                let routed = Routed { server: "A", filter: "ram", data };
                prop_assert_eq!(&written(|out| routed.write(out)), &json(&typed));
                prop_assert_eq!(routed.written_len(), json(&typed).len());
            }

            let located = LocatedSentence { server: "A".to_owned(), sentence: document };
            prop_assert_eq!(written(|out| write_located(out, "A", whole.as_bytes())), json(&located));
        }

        #[test]
        fn a_line_is_a_sentence_to_its_reader(document in stored()) {
            prop_assume!(!document.author.trim().is_empty() && !document.sentence.trim().is_empty());
            let mut text = String::new();
            Line::write(&mut text, document.id.unwrap(), &json(&document.author), &json(&document.sentence));
            let read = RawSentence::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(read.into_owned(SentenceId(uuid::Uuid::nil())), NewSentence {
                id: document.id.unwrap(),
                author: document.author,
                sentence: document.sentence,
            });
        }

        #[test]
        fn what_is_written_is_read_at_a_glance(document in stored(), behind in "(\r?\n.{0,10})?") {
            let (id, date) = (document.id.unwrap(), document.date);
            let lines = written(|out| write_stored(out, id, date)) + &behind;
            let (id, date) = (id.to_string(), date.to_string());
            let expected = Stored { id: id.as_bytes(), date: &date, behind: behind.as_bytes() };
            prop_assert_eq!(read_stored(lines.as_bytes()), Some(expected));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            for lines in [bytes.clone(), [STORED[0].as_bytes(), &bytes].concat()] {
                prop_assert!(read_stored(&lines).is_none_or(|stored| stored.date.len() == DATE_LEN));
            }
        }
    }

    #[test]
    fn any_other_writing_is_left_to_serde() {
        let id = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";
        for line in [
            String::new(),
            format!(r#"{{"status":"stored","id":"{id}"}}"#),
            format!(r#"{{"status":"stored","id":"{id}","date":"2020-10-08 16:51:30"}}"#),
            format!(r#"{{"status":"stored","id":"{id}","date":"2020-10-08 16:51:30.50652\""}}"#),
            format!(r#"{{"status":"stored","id":"{id}","date":"2020-10-08 16:51:30.506529","x":1}}"#),
            format!(r#"{{"status":"stored","id":"{id}","date":"2020-10-08 16:51:30.506529"}} "#),
            format!(r#"{{"status":"duplicate","id":"{id}","date":"2020-10-08 16:51:30.506529"}}"#),
        ] {
            assert_eq!(read_stored(line.as_bytes()), None, "{line}");
        }
    }
}
