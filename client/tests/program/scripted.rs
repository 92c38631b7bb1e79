//! `balanza send`, `split`, `sentences` and `fleet`.

use std::collections::BTreeSet;
use std::process::Command;

use harness::{Response, Script, ScriptedBalancer, Turn, until};
use serde_json::{Value, json};

use crate::Place;

const TEXT: &str = "One is here. Two is there. Three is not. Four may be. Five is odd. Six is even.";

fn many(n_sentences: usize) -> String {
    (0..n_sentences).map(|n| format!("This is number {n}x. ")).collect()
}

fn ids(documents: &[Value]) -> BTreeSet<String> {
    documents.iter().map(|document| document["id"].as_str().unwrap().to_owned()).collect()
}

fn report(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_sentence_is_stored_once_and_accounted_for() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let file = place.file("text.txt", TEXT);
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", stub.url(), "--json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let report = report(&ended.out);
    let expected = json!({ "A": { "ram": 3 }, "B": { "database": 3 } });
    assert_eq!(
        (&report["sentences"], &report["stored"], &report["by_node"]),
        (&json!(6), &json!(6), &expected)
    );
    assert_eq!((&report["failed"], &report["unsent"], &report["errors"]), (&json!(0), &json!(0), &json!([])));
    let posts = stub.posts();
    assert_eq!((posts.len(), ids(&posts).len()), (6, 6));
    let texts = posts.iter().map(|post| post["sentence"].as_str().unwrap()).collect::<BTreeSet<_>>();
    assert!(texts.contains("Two is there."));
    assert!(posts.iter().all(|post| post["author"].as_str().unwrap().starts_with("User")));
    assert_eq!(place.journals(), 0, "a complete run leaves nothing behind");
}

#[test]
fn the_table_goes_out_and_the_talk_aside() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let file = place.file("text.txt", TEXT);
    let address = stub.url().trim_start_matches("http://");
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", address, "--author", "Ana"]);
    assert_eq!(
        ended.out,
        "node  database  ram  stored\nA            0    3       3\nB            3    0       3\nall          3    3       6\n"
    );
    assert!(ended.err.contains("no scheme given; using http://127.0.0.1:"), "{}", ended.err);
    assert!(ended.err.contains("6 of 6 sentences stored in "), "{}", ended.err);
    assert!(stub.posts().iter().all(|post| post["author"] == "Ana"));
}

#[test]
fn a_refused_sentence_is_told_and_only_it_is_sent_again() {
    let place = Place::new();
    let refused = json!({ "detail": "`sentence` is odd", "remedy": "make it even", "field": "sentence" });
    let odd = Turn::answer(Response::json(400, &refused));
    let stub = ScriptedBalancer::start(Script::always(Turn::store()).holding("Five is odd.", odd));
    let file = place.file("text.txt", TEXT);
    let arguments = ["send", file.to_str().unwrap(), "--to", stub.url(), "--json"];
    let first = place.run(&arguments);
    assert_eq!(first.status, Some(1));
    let told = report(&first.out);
    assert_eq!((&told["stored"], &told["failed"]), (&json!(5), &json!(1)));
    let error = &told["errors"][0];
    assert_eq!(
        (&error["line"], &error["detail"], &error["remedy"]),
        (&json!(1), &json!("`sentence` is odd"), &json!("make it even"))
    );
    assert!(first.err.contains("`sentence` is odd; make it even (first: "), "{}", first.err);

    stub.set(Turn::store());
    let second = place.run(&arguments);
    assert_eq!(second.status, Some(0));
    let told = report(&second.out);
    assert_eq!((&told["sent"], &told["stored"], &told["resumed"]), (&json!(1), &json!(6), &json!(5)));
    let posts = stub.posts();
    assert_eq!((posts.len(), ids(&posts).len()), (7, 6), "the repeat has the id of the first try");
    assert_eq!((stub.stored().len(), place.journals()), (6, 0));
}

#[test]
fn what_the_balancer_cannot_take_now_is_repeated_under_its_id() {
    let place = Place::new();
    let down = |status| Response::json(status, &json!({ "message": "down" }));
    let first = [
        Turn::answer(down(503).with_header("retry-after", "0")),
        Turn::answer(down(200)),
        Turn::close().storing(),
    ];
    let stub = ScriptedBalancer::start(Script::first(first, Turn::store()));
    let file = place.file("text.txt", "Only one.");
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", stub.url()]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let posts = stub.posts();
    assert_eq!((posts.len(), ids(&posts).len(), stub.stored().len()), (4, 1, 1));
    assert!(posts.iter().all(|post| *post == posts[0]));
}

#[test]
fn a_fleet_that_stays_down_ends_the_run() {
    let place = Place::new();
    let stub = ScriptedBalancer::start(Turn::answer(Response::json(503, &json!({ "message": "down" }))));
    let file = place.file("text.txt", TEXT);
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", stub.url(), "--patience", "1", "--json"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.err.contains("no node can take a sentence; see `balanza fleet`"), "{}", ended.err);
    assert_eq!(report(&ended.out)["unsent"], json!(6));
}

/// Sends `signal` in the middle of a run, then runs again.
fn broken_by(signal: &str, status: Option<i32>) {
    let place = Place::new();
    let stub = ScriptedBalancer::start(Script::first(vec![Turn::store(); 60], Turn::silence()));
    let file = place.file("text.txt", many(100));
    let arguments = ["send", file.to_str().unwrap(), "--to", stub.url(), "--jobs", "8", "--json"];
    let child = place.balanza(&arguments).spawn().unwrap();
    until("as many are under way as may be", || stub.posts().len() >= 68);
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), status);
    assert_eq!(place.journals(), 1);

    stub.set(Turn::store());
    let again = place.run(&arguments);
    assert_eq!(again.status, Some(0), "{again:?}");
    assert_eq!(report(&again.out)["stored"], json!(100));
    assert!(again.err.contains("taking up a broken run: "), "{}", again.err);
    // Exactly the hundred ids of the first run, each stored once, and few of them posted twice.
    let posts = stub.posts();
    assert_eq!((ids(&posts).len(), stub.stored().len(), place.journals()), (100, 100, 0));
    assert!(posts.len() < 160, "only what was missing is sent again, not all: {}", posts.len());
}

#[test]
fn a_run_that_is_interrupted_is_taken_up() {
    broken_by("-INT", Some(130));
}

#[test]
fn a_run_that_is_killed_is_taken_up() {
    broken_by("-KILL", None);
}

#[test]
fn a_fresh_run_sends_everything_anew() {
    let place = Place::new();
    let stub = ScriptedBalancer::start(Script::once(Turn::refuse(400)));
    let file = place.file("text.txt", TEXT);
    place.run(&["send", file.to_str().unwrap(), "--to", stub.url()]);
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", stub.url(), "--fresh", "--json"]);
    assert_eq!((&report(&ended.out)["stored"], &report(&ended.out)["resumed"]), (&json!(6), &json!(0)));
    assert_eq!(stub.stored().len(), 11);
}

#[test]
fn a_balancer_that_is_not_there_is_status_3() {
    let place = Place::new();
    let file = place.file("text.txt", TEXT);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for arguments in [
        vec!["send", file.to_str().unwrap(), "--to", &url],
        vec!["sentences", "--from", &url],
        vec!["fleet", "--from", &url],
    ] {
        let ended = place.run(&arguments);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(ended.err.contains("check the address, and that the balancer runs"), "{}", ended.err);
        assert_eq!(ended.out, "");
    }
}

#[test]
fn what_cannot_be_sent_is_status_2_and_nothing_is_sent() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let good = place.file("good.txt", TEXT);
    let good = good.to_str().unwrap();
    place.file("empty.txt", " \n");
    place.file("binary.txt", b"\x7fELF\0\0");
    for (file, problem) in [
        ("nope.txt", "nope.txt: there is no such file; check the path"),
        (".", ".: is a directory; name a text file in it"),
        ("empty.txt", "empty.txt: the file is empty; choose one that holds text"),
        ("binary.txt", "binary.txt: the file is binary (byte 4 is 0x00); choose a text file"),
    ] {
        let ended = place.run(&["send", good, file, "--to", stub.url()]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.err.contains(problem), "{}", ended.err);
    }
    for (arguments, problem) in [
        (vec!["send", good], "--to <URL>"),
        (vec!["send", good, "--to", "https://h"], "does not speak; use http://"),
        (vec!["send", good, "--to", "host:port"], "invalid port number"),
        (vec!["send", good, "--to", stub.url(), "--jobs", "0"], "--jobs"),
        (vec!["send", good, "--to", stub.url(), "--author", " "], "the author is empty"),
    ] {
        let ended = place.run(&arguments);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.err.contains(problem), "{}", ended.err);
    }
    assert_eq!(stub.posts().len(), 0);
}

#[test]
fn a_sentence_over_the_limit_fails_and_the_others_are_sent() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let file = place.file("text.txt", format!("Short.\n\n{}\n\nShort too.", "x".repeat(70_000)));
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", stub.url(), "--json"]);
    assert_eq!(ended.status, Some(1));
    let told = report(&ended.out);
    assert_eq!((&told["sentences"], &told["stored"], &told["failed"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(told["errors"][0]["line"], json!(3));
    assert!(
        ended.err.contains("line 3: the sentence has 70000 bytes and the limit is 65536"),
        "{}",
        ended.err
    );
}

#[test]
fn standard_input_is_a_file_too_and_may_be_latin_1() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let ended = place.run_with_input(&["send", "-", "--to", stub.url()], b"\xbfQu\xe9? Nada.");
    assert_eq!(ended.status, Some(0));
    assert!(ended.err.contains("-: not UTF-8 (byte 0); read as Latin-1"), "{}", ended.err);
    assert!(stub.posts().iter().any(|post| post["sentence"] == "¿Qué?"));
}

#[test]
fn a_dry_run_sends_nothing() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let file = place.file("text.txt", TEXT);
    let ended = place.run(&["send", file.to_str().unwrap(), "--to", stub.url(), "--dry-run"]);
    assert!(ended.out.ends_with("text.txt: 6 sentences (UTF-8), not sent\n"), "{}", ended.out);
    assert_eq!((ended.status, stub.posts().len()), (Some(0), 0));
}

#[test]
fn split_prints_a_sentence_a_line() {
    let place = Place::new();
    place.file("text.txt", "Mr. Smith\ncame. He left.");
    assert_eq!(place.run(&["split", "text.txt"]).out, "Mr. Smith came.\nHe left.\n");
    assert_eq!(place.run(&["split", "text.txt", "--split", "period"]).out, "Mr\nSmith came\nHe left.\n");
    let ended = place.run(&["split", "text.txt", "--json"]);
    let lines = ended.out.lines().map(report).collect::<Vec<_>>();
    assert_eq!(lines[1], json!({ "file": "text.txt", "line": 2, "sentence": "He left." }));
}

#[test]
fn sentences_are_printed_as_they_are_stored_and_harmless() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    place.run_with_input(
        &["send", "-", "--to", stub.url(), "--author", "Ana"],
        "Red \u{1b}[31m text. Two.".as_bytes(),
    );
    let ended = place.run(&["sentences", "--from", stub.url()]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.out.contains("2026-11-23 06:00:00.000001  "), "{}", ended.out);
    assert!(ended.out.contains("Ana: Red \u{fffd}[31m text.\n"), "{}", ended.out);
    let json = place.run(&["sentences", "--from", stub.url(), "--json", "--limit", "1"]);
    assert_eq!(json.out.lines().count(), 1);
    assert_eq!(report(&json.out)["author"], "Ana");
    // An answer that breaks off is no complete listing.
    stub.answer_listings_with(Response::text(200, "application/json", "[{\"author\":\"a\",\"sentence\":"));
    let broken = place.run(&["sentences", "--from", stub.url(), "--author", "Nadie"]);
    assert_eq!(broken.status, Some(1));
    assert!(broken.err.contains("broke off before the end of the listing"), "{}", broken.err);
}

#[test]
fn the_fleet_is_an_aligned_table() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    let ended = place.run(&["fleet", "--from", stub.url()]);
    assert_eq!(ended.status, Some(0));
    insta::assert_snapshot!("fleet", ended.out);
    assert_eq!(
        report(&place.run(&["fleet", "--from", stub.url(), "--json"]).out)["nodes"][1]["state"],
        "down"
    );
}

#[test]
fn a_server_that_is_no_balancer_is_named() {
    let place = Place::new();
    let stub = ScriptedBalancer::start(Turn::answer(Response::json(404, &json!("nothing here"))));
    let ended = place.run_with_input(&["send", "-", "--to", stub.url()], b"One.");
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.err.contains("status 404 and “\"nothing here\"” is no answer of a balancer"),
        "{}",
        ended.err
    );
}
