//! The body of a bulk post: from bytes to items, and from outcomes to the answer. PURE.
//!
//! One bad item fails alone. The common answer of an item is written from `wire::template`, because the balancer reads
//! its first bytes and because thousands of them are written every second.

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::contract::MAX_BULK_ITEMS;
use wire::media::Format;
use wire::problem::Kind;
use wire::template::write_stored;
use wire::{InvalidSentence, ItemAnswer, ItemStatus, Problem, RawSentence, SentenceId};

use crate::store::{Entry, Outcome};

/// A bulk post as read.
pub(super) struct Batch {
    /// What is to be stored, in order.
    pub(super) entries: Vec<Entry>,
    /// One per item: the id of the next entry, or why the item failed.
    slots: Vec<Slot>,
    format: Format,
}

enum Slot {
    Entry(SentenceId),
    Failed(Box<ItemAnswer>),
}

impl Batch {
    /// Reads all items. A failed item takes its place among the answers; only a body that shows no items fails whole.
    pub(super) fn read(body: &[u8], format: Format) -> Result<Self, Box<Problem>> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Box::new(InvalidSentence::EmptyBody.into()));
        }
        match format {
            Format::Json => Self::of(array(body)?.into_iter().map(|item| item.get().as_bytes()), format),
            Format::Lines => {
                let lines = body.split(|byte| *byte == b'\n');
                Self::of(lines.filter(|line| !line.iter().all(u8::is_ascii_whitespace)), format)
            }
        }
    }

    fn of<'a>(items: impl Iterator<Item = &'a [u8]> + Clone, format: Format) -> Result<Self, Box<Problem>> {
        let count = items.clone().count();
        if count > MAX_BULK_ITEMS {
            return Err(too_many(count));
        }
        let mut batch = Self { entries: Vec::with_capacity(count), slots: Vec::with_capacity(count), format };
        for item in items {
            batch.slots.push(match read_item(item) {
                Ok((id, entry)) => {
                    batch.entries.push(entry);
                    Slot::Entry(id)
                }
                Err(answer) => Slot::Failed(answer),
            });
        }
        Ok(batch)
    }

    /// The answer's body. `outcomes` are those of the entries, in order.
    pub(super) fn answer(self, outcomes: Vec<Outcome>) -> Vec<u8> {
        const USUAL: usize = 112;
        let mut body = Vec::with_capacity(self.slots.len() * USUAL + 2);
        let mut outcomes = outcomes.into_iter();
        let (open, between, close): (&[u8], &[u8], &[u8]) = match self.format {
            Format::Json => (b"[", b",", b"]"),
            Format::Lines => (b"", b"\n", b"\n"),
        };
        body.extend_from_slice(open);
        for (index, slot) in self.slots.into_iter().enumerate() {
            if index > 0 {
                body.extend_from_slice(between);
            }
            match slot {
                Slot::Entry(id) => write_outcome(&mut body, id, outcomes.next()),
                Slot::Failed(answer) => write_item(&mut body, &answer),
            }
        }
        body.extend_from_slice(close);
        body
    }
}

fn array(body: &[u8]) -> Result<Vec<&RawValue>, Box<Problem>> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::from(InvalidSentence::NotUtf8 { offset: error.valid_up_to() }))?;
    if !text.trim_ascii_start().starts_with('[') {
        return Err(not_bulk("the body is no JSON array"));
    }
    serde_json::from_str(text).map_err(|error| not_bulk(format!("the body is not JSON: {error}")))
}

fn not_bulk(detail: impl Into<String>) -> Box<Problem> {
    let problem = Problem::of(Kind::NotJson, detail).with_remedy(
        r#"send [{"id":"…","author":"…","sentence":"…"}, …], or one object per line as application/x-ndjson"#,
    );
    Box::new(problem)
}

fn too_many(found: usize) -> Box<Problem> {
    let detail = format!("the body has {found} sentences; the limit is {MAX_BULK_ITEMS}");
    let remedy = format!("send at most {MAX_BULK_ITEMS} at once");
    Box::new(Problem::of(Kind::TooMany, detail).with_remedy(remedy))
}

/// The store refused one sentence and keeps on; `None` where it does not say why.
pub(super) fn refused(why: Option<String>) -> Problem {
    let why = why.unwrap_or_else(|| "the store gave no outcome for it".to_owned());
    Problem::of(Kind::Refused, why).with_remedy("see the node's log")
}

fn read_item(item: &[u8]) -> Result<(SentenceId, Entry), Box<ItemAnswer>> {
    let failed = |id, problem| Box::new(failed(id, problem));
    let sentence = RawSentence::parse(item).map_err(|invalid| failed(id_of(item), invalid.into()))?;
    let Some(id) = sentence.id else {
        let remedy = "give every sentence of a bulk post its own UUID, so that it can be repeated safely";
        let problem = Problem::of(Kind::NoId, "`id` is missing").with_field("id").with_remedy(remedy);
        return Err(failed(None, problem));
    };
    Ok((id, sentence.into_owned(id).into()))
}

/// The id of an item that is wrong in some other way, so that its sender can tell which it was.
fn id_of(item: &[u8]) -> Option<SentenceId> {
    #[derive(Deserialize)]
    struct Known<'a> {
        #[serde(borrow)]
        id: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Known<'_>>(item).ok()?.id.parse().ok()
}

fn failed(id: Option<SentenceId>, problem: Problem) -> ItemAnswer {
    ItemAnswer { status: ItemStatus::Failed, id, date: None, stored: None, error: Some(problem) }
}

fn write_outcome(body: &mut Vec<u8>, id: SentenceId, outcome: Option<Outcome>) {
    let answer = match outcome {
        Some(Outcome::Stored(date)) => return write_stored(body, id, date),
        Some(Outcome::Duplicate(stored)) => ItemAnswer {
            status: ItemStatus::Duplicate,
            id: Some(id),
            date: Some(stored.date),
            stored: Some(stored),
            error: None,
        },
        Some(Outcome::Refused(why)) => failed(Some(id), refused(Some(why))),
        None => failed(Some(id), refused(None)),
    };
    write_item(body, &answer);
}

fn write_item(body: &mut Vec<u8>, answer: &ItemAnswer) {
    // An answer is plain data with string keys, and a vector takes every byte: writing it cannot fail.
    drop(serde_json::to_writer(body, answer));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::Date;

    const ID: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";

    fn statuses(body: &str, format: Format) -> String {
        let batch = match Batch::read(body.as_bytes(), format) {
            Ok(batch) => batch,
            Err(failure) => return failure.to_string(),
        };
        let outcomes = batch.entries.iter().map(|_| Outcome::Stored(Date::from_unix_micros(0))).collect();
        let answer = String::from_utf8(batch.answer(outcomes)).unwrap();
        let items: Vec<ItemAnswer> = match format {
            Format::Json => serde_json::from_str(&answer).unwrap(),
            Format::Lines => answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        let told = |item: &ItemAnswer| match &item.error {
            None => format!("{:?}", item.status).to_lowercase(),
            Some(problem) => problem.detail.clone(),
        };
        items.iter().map(told).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn one_bad_item_does_not_fail_the_others() {
        let good = format!(r#"{{"id":"{ID}","author":"a","sentence":"b"}}"#);
        let expected = "stored | `id` is missing | `author` is empty | stored";
        let items = [
            good.as_str(),
            r#"{"author":"a","sentence":"b"}"#,
            r#"{"id":"0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b","author":"","sentence":"b"}"#,
            good.as_str(),
        ];
        assert_eq!(statuses(&format!("[{}]", items.join(",")), Format::Json), expected);
        assert_eq!(statuses(&format!("{}\r\n\n", items.join("\n")), Format::Lines), expected);
    }

    #[test]
    fn a_body_that_shows_no_items_fails_whole() {
        for format in [Format::Json, Format::Lines] {
            assert!(statuses(" \n", format).starts_with("the body is empty"));
        }
        assert!(statuses("{}", Format::Json).starts_with("the body is no JSON array"));
        assert!(statuses("[1,", Format::Json).starts_with("the body is not JSON"));
        assert_eq!(statuses("[]", Format::Json), "");
        assert_eq!(statuses("[1]", Format::Json), "the body is a number, not an object");
        let many = "{}\n".repeat(MAX_BULK_ITEMS + 1);
        assert!(statuses(&many, Format::Lines).contains("10001 sentences; the limit is 10000"));
    }

    #[test]
    fn a_failed_item_keeps_its_id() {
        let item = format!(r#"{{"id":"{ID}","author":"a"}}"#);
        assert_eq!(read_item(item.as_bytes()).unwrap_err().id, Some(ID.parse().unwrap()));
        assert_eq!(read_item(b"{").unwrap_err().id, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            for format in [Format::Json, Format::Lines] {
                drop(Batch::read(&body, format));
            }
        }
    }
}
