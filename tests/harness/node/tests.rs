//! What a scripted node takes, stores and says, seen by a client that writes raw bytes.

use serde_json::json;
use wire::contract::{DOCUMENTS_HEADER, EPOCH_HEADER, NDJSON, REVISION_HEADER};
use wire::{ItemAnswer, ItemStatus, Report, StoredSentence};

use super::*;
use crate::http::Answer;
use crate::{Connection, Manner, Turn, Which, raw, until};

const TYPE: (&str, &str) = ("content-type", NDJSON);

fn ask(node: &ScriptedNode, request: &[u8]) -> Option<Answer> {
    raw::exchange(&node.address().to_string(), request)
}

/// Lines with the ids of these numbers; the sentence is the number.
fn lines(numbers: impl IntoIterator<Item = usize>) -> String {
    let line = |number: usize| {
        let id = format!("0192f0c1-2b3c-7def-8a9b-{number:012}");
        json!({ "id": id, "author": "Ana", "sentence": number.to_string() }).to_string() + "\n"
    };
    numbers.into_iter().map(line).collect()
}

fn bulk(node: &ScriptedNode, body: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    ask(node, &raw::request("POST", "/sentences", headers, body.as_bytes()))
}

fn outcomes(answer: &Answer) -> Vec<ItemAnswer> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(NDJSON)), "{answer:?}");
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn statuses(answer: &Answer) -> Vec<ItemStatus> {
    outcomes(answer).iter().map(|item| item.status).collect()
}

fn marks(answer: &Answer) -> [&str; 3] {
    [EPOCH_HEADER, REVISION_HEADER, DOCUMENTS_HEADER].map(|name| answer.header(name).unwrap())
}

fn doubt(status: u16) -> Problem {
    Problem::new(status, "unsure", "Unsure", "the commit failed").with_doubt()
}

#[test]
fn a_sentence_is_stored_once_and_marked() {
    let node = ScriptedNode::start(Turn::store());
    let first = bulk(&node, &lines([1, 2]), &[TYPE]).unwrap();
    assert_eq!(statuses(&first), [ItemStatus::Stored, ItemStatus::Stored]);
    assert_eq!(marks(&first)[1..], ["1", "2"]);
    let again = bulk(&node, &lines([2, 3]), &[TYPE]).unwrap();
    assert_eq!(statuses(&again), [ItemStatus::Duplicate, ItemStatus::Stored]);
    assert_eq!(outcomes(&again)[0].stored.as_ref().unwrap().sentence, "2");
    assert_eq!(marks(&again), [marks(&first)[0], "2", "3"]);
    let repeated = bulk(&node, &lines([3]), &[TYPE]).unwrap();
    assert_eq!(marks(&repeated), marks(&again), "nothing was stored, so nothing changed");
    assert_eq!(node.sentences(), ["1", "2", "3"]);
    let listed = ask(&node, &raw::request("GET", "/sentence", &[], b"")).unwrap();
    assert_eq!(serde_json::from_value::<Vec<StoredSentence>>(listed.json).unwrap().len(), 3);
}

#[test]
fn what_a_real_node_would_not_take_is_refused_and_takes_no_turn() {
    let node = ScriptedNode::start(Script::once(Turn::close()));
    for (body, media_type, status) in [
        (lines([1]), "application/json", 415),
        (String::new(), NDJSON, 400),
        (" \n\n".to_owned(), NDJSON, 400),
        (lines(0..10_001), NDJSON, 413),
    ] {
        let answer = bulk(&node, &body, &[("content-type", media_type)]).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        serde_json::from_value::<Problem>(answer.json).unwrap();
    }
    for (method, path) in [("POST", "/sentence"), ("GET", "/nothing"), ("PUT", "/sentences")] {
        assert_eq!(ask(&node, &raw::request(method, path, &[], b"")).unwrap().status, 404, "{path}");
    }
    assert!(bulk(&node, &lines([1]), &[TYPE]).is_none(), "the turn is still there");
    let mixed = format!("{{\"author\":\"a\",\"sentence\":\"b\"}}\nx\n{}", lines([1]));
    let answer = bulk(&node, &mixed, &[TYPE]).unwrap();
    assert_eq!(statuses(&answer), [ItemStatus::Failed, ItemStatus::Failed, ItemStatus::Stored]);
    assert_eq!(node.sentences(), ["1"], "one bad item fails alone");
}

#[test]
fn any_answer_is_given_after_storing_or_without() {
    let problem = Turn::answer(Response::problem(&doubt(503)).with_header("retry-after", "7"));
    let node = ScriptedNode::start(Script::once(problem.clone().storing()));
    let answer = bulk(&node, &lines([1]), &[TYPE]).unwrap();
    assert_eq!((answer.status, &answer.json["ambiguous"]), (503, &json!(true)));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(node.sentences(), ["1"]);
    assert_eq!(statuses(&bulk(&node, &lines([2]), &[TYPE]).unwrap()), [ItemStatus::Stored], "once");
    node.set(problem);
    for number in [3, 4] {
        assert_eq!(bulk(&node, &lines([number]), &[TYPE]).unwrap().status, 503, "always");
    }
    assert_eq!((node.sentences(), node.posts().len()), (vec!["1".to_owned(), "2".to_owned()], 4));
}

#[test]
fn chosen_sentences_fail_stored_or_not() {
    use ItemStatus::{Failed, Stored};
    let node = ScriptedNode::start(Turn::fail(Which::Nth(1), &doubt(503)).storing());
    let answer = bulk(&node, &lines([1, 2, 3]), &[TYPE]).unwrap();
    assert_eq!(statuses(&answer), [Stored, Failed, Stored]);
    let failed = &outcomes(&answer)[1];
    assert!(failed.id.is_some() && failed.error.as_ref().unwrap().ambiguous, "{failed:?}");
    assert_eq!(node.sentences(), ["1", "2", "3"]);
    node.set(Turn::fail(Which::Every, &doubt(500)));
    assert_eq!(statuses(&bulk(&node, &lines([4, 5]), &[TYPE]).unwrap()), [Failed, Failed]);
    assert_eq!(node.documents().len(), 3);
}

#[test]
fn no_answer_comes_after_storing_or_without() {
    let node = ScriptedNode::start(Script::first([Turn::close(), Turn::close().storing()], Turn::silence()));
    assert!(bulk(&node, &lines([1]), &[TYPE]).is_none());
    assert!(bulk(&node, &lines([2]), &[TYPE]).is_none());
    assert_eq!(node.sentences(), ["2"]);
    let mut silent = Connection::open(&node.address().to_string());
    silent.send(&raw::request("POST", "/sentences", &[TYPE], lines([3]).as_bytes()));
    until("the third is read", || node.posts().len() == 3);
    node.set(Turn::store());
    node.sockets().close_connections();
    assert!(silent.is_closed(), "it was not held, so another script does not answer it");
    assert_eq!(node.sentences(), ["2"]);
}

#[test]
fn a_held_post_is_the_next_scripts() {
    let node = ScriptedNode::start(Turn::hold());
    let mut client = Connection::open(&node.address().to_string());
    client.send(&raw::request("POST", "/sentences", &[TYPE], lines([1]).as_bytes()));
    until("the post is read", || node.posts().len() == 1);
    assert!(node.documents().is_empty());
    node.set(Turn::store().in_manner(Manner::Pieces));
    assert_eq!(statuses(&client.answer()), [ItemStatus::Stored]);
    assert_eq!((node.posts().len(), node.sentences()), (1, vec!["1".to_owned()]));
}

#[test]
fn a_token_is_asked_for_as_a_real_node_does() {
    let node = ScriptedNode::start(Turn::store());
    let admission = Admission { token: "0123456789abcdef".to_owned(), reads_too: false };
    node.admit_only(admission.clone());
    let status = |headers: &[(&str, &str)]| bulk(&node, &lines([1]), headers).unwrap().status;
    let without = bulk(&node, &lines([1]), &[TYPE]).unwrap();
    assert_eq!((without.status, without.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(status(&[TYPE, ("authorization", "Basic 0123456789abcdef")]), 401);
    assert_eq!(status(&[TYPE, ("authorization", "Bearer another")]), 403);
    assert!(node.documents().is_empty());
    assert_eq!(status(&[TYPE, ("Authorization", "bearer 0123456789abcdef")]), 200);
    let usage =
        |headers: &[(&str, &str)]| ask(&node, &raw::request("GET", "/usage", headers, b"")).unwrap().status;
    assert_eq!(usage(&[]), 200);
    node.admit_only(Admission { reads_too: true, ..admission });
    assert_eq!((usage(&[]), usage(&[("authorization", "Bearer 0123456789abcdef")])), (401, 200));
    node.admit_only(None);
    assert_eq!((usage(&[]), status(&[TYPE])), (200, 200));
}

#[test]
fn it_reports_what_it_holds_until_it_turns_old() {
    let node = ScriptedNode::start(Turn::store());
    node.put("Eva", "there before", "2026-01-01 00:00:00.000000");
    node.set_readings(5, "61", "");
    let report: Report = serde_json::from_value(today::report(&lock(&node.state))).unwrap();
    assert_eq!((report.documents, report.revision, report.cpu), (6, 1, None));
    assert_eq!(report.ram.map(wire::Share::percent), Some(61));
    let mut client = Connection::open(&node.address().to_string());
    client.send(&raw::request("GET", "/report/stream", &[], b""));
    until("the stream is open", || node.heads().len() == 1);
    node.speak(Dialect::Old);
    let stream = client.answer();
    let events = stream.text.split("\n\n").filter(|event| !event.is_empty()).collect::<Vec<_>>();
    let seqs = events
        .iter()
        .map(|event| serde_json::from_str::<Report>(event.strip_prefix("data: ").unwrap()).unwrap().seq);
    assert!(seqs.collect::<Vec<_>>().is_sorted_by(|one, next| one < next), "{}", stream.text);
    assert_eq!(ask(&node, &raw::request("GET", "/report/stream", &[], b"")).unwrap().status, 404);
}

#[test]
fn an_old_node_knows_single_posts_and_no_ids() {
    let node = ScriptedNode::start_old(Turn::store());
    let post = |body: &str| ask(&node, &raw::request("POST", "/sentence", &[], body.as_bytes()));
    let stored = post(r#"{"author":"Ana","sentence":"Una."}"#).unwrap();
    assert_eq!((stored.status, stored.json["id"].is_null()), (200, true), "{}", stored.text);
    assert_eq!(stored.json["sentence"], "Una.");
    for body in ["", "[]", r#"{"author":"Ana"}"#] {
        assert_eq!(post(body).unwrap().status, 400, "{body}");
    }
    node.set(Script::first([Turn::close().storing(), Turn::close()], Turn::refuse(500)));
    for answer in [None, None, Some(500)] {
        assert_eq!(post(r#"{"author":"Ana","sentence":"Dos."}"#).map(|found| found.status), answer);
    }
    assert_eq!(node.sentences(), ["Una.", "Dos."]);
    for (method, path, status) in [
        ("POST", "/sentences", 404),
        ("GET", "/report/stream", 404),
        ("PUT", "/usage", 405),
        ("DELETE", "/sentence", 405),
    ] {
        assert_eq!(ask(&node, &raw::request(method, path, &[], b"")).unwrap().status, status, "{path}");
    }
    let usage = ask(&node, &raw::request("GET", "/usage?x=y", &[], b"")).unwrap();
    assert_eq!(usage.json, json!({ "cpu": "7", "database": 2, "ram": "40" }), "it never looked at a query");
}
