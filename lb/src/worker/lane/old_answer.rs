//! PURE. Reads an old node's answer to one post: the document that it says it stored. Such a node knows no ids, so what
//! it answers is compared with what was posted: an answer that nobody asked for, left over in a connection, would be given
//! to the next client. Absent: statuses, and what follows from an answer that is not believed.

use std::borrow::Cow;

use serde::Deserialize;
use wire::Date;

use crate::sentence::Sentence;

/// What is looked at of the document. Old systems may leave each out, and may say more.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    author: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sentence: Option<Cow<'a, str>>,
    #[serde(borrow)]
    date: Option<Cow<'a, str>>,
}

/// The document in an answer's body, as it is passed on.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn read<'a>(body: &'a [u8], posted: &Sentence<'_>) -> Result<&'a [u8], &'static str> {
    let body = body.trim_ascii();
    if !body.starts_with(b"{") {
        return Err("no JSON object");
    }
    let document = serde_json::from_slice::<Document<'_>>(body).map_err(|_| "no JSON object")?;
    let is_of = |told: Option<Cow<'_, str>>, posted: &str| {
        told.is_none_or(|told| {
            serde_json::from_str::<Cow<'_, str>>(posted).is_ok_and(|posted| posted == told)
        })
    };
    if !is_of(document.author, posted.author) || !is_of(document.sentence, posted.sentence) {
        return Err("another sentence than the one that was posted");
    }
    // Python leaves a fraction out that is zero.
    if document.date.is_some_and(|date| date.parse::<Date>().is_err()) {
        return Err("a date that is none");
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::batch;
    use super::*;

    /// The batch's sentence is `s` by `a`.
    fn check(body: &str, expected: Result<&str, &str>) {
        let batch = batch(&["0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b"]);
        let (sentence, _) = batch.sentences().next().unwrap();
        assert_eq!(read(body.as_bytes(), &sentence), expected.map(str::as_bytes), "{body}");
    }

    #[test]
    fn the_document_is_that_of_the_post() {
        let whole = r#"{"author":"a","date":"2020-10-08 16:51:30.506529","sentence":"\u0073","more":[1]}"#;
        check(whole, Ok(whole));
        check(&format!(" {whole}\n"), Ok(whole));
        for document in ["{}", r#"{"author":"a"}"#, r#"{"date":"2020-10-08 16:51:30"}"#] {
            check(document, Ok(document));
        }
        for nothing in ["", "[]", "7", "<html>", "{", r#"{"author":7}"#, r#"{"author":"a"} {}"#] {
            check(nothing, Err("no JSON object"));
        }
        for other in [r#"{"author":"b","sentence":"s"}"#, r#"{"author":"a","sentence":"t"}"#] {
            check(other, Err("another sentence than the one that was posted"));
        }
        check(r#"{"author":"a","date":"yesterday"}"#, Err("a date that is none"));
    }
}
