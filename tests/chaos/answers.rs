//! PURE. What a balancer's answer says about a sentence that was posted. Absent: posting.

use serde_json::Value;

use crate::history::{Outcome, Sentence};

/// What an answer to `POST /sentence`, or an item of one to `POST /sentences`, says of `sentence`. `status` is that of
/// the answer; an item's own counts before it.
pub(crate) fn outcome(status: u16, answer: &Value, sentence: &Sentence) -> Outcome {
    let data = answer.get("data").filter(|_| status == 200);
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(data) = data else { return problem(status, answer) };
    let Ok(id) = text(data, "id").parse() else {
        return Outcome::Problem { status, code: "has no id".to_owned(), ambiguous: true };
    };
    let is_as_posted = text(data, "sentence") == sentence.text
        && text(data, "author") == sentence.author
        && sentence.id.is_none_or(|own| own == id);
    Outcome::Acknowledged { server: text(answer, "server"), id, date: text(data, "date"), is_as_posted }
}

/// The items of an answer to `POST /sentences`; `None` where it is no list of so many.
pub(crate) fn items(body: &[u8], n_items: usize) -> Option<Vec<Value>> {
    serde_json::from_slice::<Vec<Value>>(body).ok().filter(|items| items.len() == n_items)
}

fn problem(status: u16, answer: &Value) -> Outcome {
    let problem = answer.get("error").unwrap_or(answer);
    let own = problem.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let kind = problem.get("type").and_then(Value::as_str).unwrap_or("of no type");
    let code = kind.rsplit(':').next().unwrap_or(kind).to_owned();
    let ambiguous = problem.get("ambiguous").and_then(Value::as_bool).unwrap_or(false);
    Outcome::Problem { status: own.unwrap_or(status), code, ambiguous }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::id;
    use serde_json::json;

    fn sentence(own: Option<u8>) -> Sentence {
        let (author, text) = ("Ana".to_owned(), "Una vez.".to_owned());
        Sentence { id: own.map(id), author, text, posts: Vec::new() }
    }

    fn answer(number: u8, text: &str) -> Value {
        let data = json!({ "author": "Ana", "sentence": text, "id": id(number), "date": "d" });
        json!({ "server": "B", "filter": "ram", "data": data })
    }

    #[test]
    fn an_acknowledgement_is_compared_with_what_was_posted() {
        let is_as_posted = |number, text, own| match outcome(200, &answer(number, text), &sentence(own)) {
            Outcome::Acknowledged { is_as_posted, .. } => is_as_posted,
            other => panic!("{other:?}"),
        };
        assert!(is_as_posted(1, "Una vez.", Some(1)) && is_as_posted(1, "Una vez.", None));
        assert!(!is_as_posted(1, "Otra.", Some(1)) && !is_as_posted(2, "Una vez.", Some(1)));
    }

    #[test]
    fn problems_are_told_by_their_own_status_and_code() {
        let problem = json!({ "type": "urn:balanza:in-doubt", "status": 503, "ambiguous": true });
        let expected = Outcome::Problem { status: 503, code: "in-doubt".to_owned(), ambiguous: true };
        assert_eq!(outcome(503, &problem, &sentence(None)), expected);
        assert_eq!(outcome(200, &json!({ "id": null, "error": problem }), &sentence(None)), expected);
        let foreign = Outcome::Problem { status: 500, code: "of no type".to_owned(), ambiguous: false };
        assert_eq!(outcome(500, &Value::Null, &sentence(None)), foreign);
    }

    #[test]
    fn a_list_of_another_length_is_none() {
        assert_eq!(items(b"[{},{}]", 2).map(|items| items.len()), Some(2));
        assert_eq!((items(b"[{}]", 2), items(b"{}", 1)), (None, None));
    }
}
