//! What becomes of a sentence when a node fails: moved where it surely was not stored, repeated under its id where it
//! may have been, told honestly where neither is safe. Absent: framing of clients.

use harness::http::Answer;
use harness::{Manner, Response, Script, ScriptedNode, Turn, Which, until};
use wire::Problem;
use wire::contract::NDJSON;
use wire::problem::Kind;

use crate::support::{Balancer, post, post_body};

/// Says that every sentence failed with this status.
fn fail_items(status: u16) -> Turn {
    Turn::fail(Which::Every, &Problem::new(status, "x", "t", "full"))
}

fn kind(answer: &Answer) -> (u16, String) {
    let json = &answer.json;
    let kind = json["type"].as_str().unwrap_or_else(|| panic!("no problem: {answer:?}"));
    (answer.status, kind.trim_start_matches("urn:balanza:").to_owned())
}

fn counter(lb: &Balancer, name: &str) -> u64 {
    let text = lb.get("/metrics").text;
    let line = text.lines().find(|line| line.starts_with(&format!("balanza_lb_{name}_total "))).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_sentence_for_a_node_that_has_gone_moves_at_once() {
    let (a, b) = (ScriptedNode::start(Turn::store()), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &[]);
    assert_eq!(lb.post("one").json["server"], "A");
    assert_eq!(lb.post("two").json["server"], "B");
    drop(a);
    for n in 0..20 {
        let answer = lb.post(&format!("after {n}"));
        assert_eq!((answer.status, answer.json["server"].as_str()), (200, Some("B")), "{n}");
    }
    until("A is down", || lb.node("A")["state"] == "down");
    assert_eq!(lb.post("last").json["filter"], "down");
    assert_eq!((b.documents().len(), lb.in_flight()), (22, 0));
}

#[test]
fn a_node_that_refuses_is_gone_round() {
    for refusal in [Turn::refuse(503), Turn::refuse(507), Turn::refuse(413), fail_items(507)] {
        let (a, b) = (ScriptedNode::start(refusal.clone()), ScriptedNode::start(Turn::store()));
        let lb = Balancer::start(&[&a, &b], &[]);
        let answer = lb.post("x");
        assert_eq!((answer.status, answer.json["server"].as_str()), (200, Some("B")), "{refusal:?}");
        assert_eq!((a.documents().len(), a.posts().len(), b.documents().len()), (0, 1, 1), "{refusal:?}");
        assert!(counter(&lb, "sentences_rerouted") >= 1);
        assert_eq!(lb.in_flight(), 0);
    }
}

#[test]
fn what_a_node_finds_wrong_with_a_sentence_reaches_the_client() {
    let (a, b) = (ScriptedNode::start(fail_items(413)), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &[]);
    assert_eq!(kind(&lb.post("x")), (413, "x".to_owned()));
    assert_eq!((b.posts().len(), lb.in_flight()), (0, 0), "no other node is bothered");
}

#[test]
fn an_unanswered_post_is_repeated_to_its_node_and_stored_once() {
    for silence in [Script::once(Turn::close().storing()), Script::once(Turn::close())] {
        let (a, b) = (ScriptedNode::start(silence.clone()), ScriptedNode::start(Turn::store()));
        let lb = Balancer::start(&[&a, &b], &[]);
        let answer = lb.post("once");
        let json = &answer.json;
        assert_eq!((answer.status, json["server"].as_str()), (200, Some("A")), "{silence:?}");
        assert_eq!(
            (json["data"]["sentence"].as_str(), json["data"]["author"].as_str()),
            (Some("once"), Some("User1"))
        );
        assert_eq!((a.sentences(), a.posts().len()), (vec!["once".to_owned()], 2), "{silence:?}");
        assert_eq!(a.posts()[0], a.posts()[1], "the same ids");
        assert!(b.posts().is_empty());
        assert_eq!(lb.in_flight(), 0);
    }
}

#[test]
fn a_node_that_dies_and_comes_back_is_asked_again() {
    let a = ScriptedNode::start(Turn::silence());
    let lb = Balancer::start(&[&a], &["--node-deadline", "20s", "--node-patience", "200ms"]);
    let mut client = lb.connect();
    client.send(post("survives").as_bytes());
    until("the post has arrived", || a.posts().len() == 1);
    let address = a.address();
    drop(a);
    let a = ScriptedNode::start_at(address, Turn::store());
    let answer = client.answer();
    assert_eq!((answer.status, answer.json["server"].as_str()), (200, Some("A")));
    assert_eq!(a.sentences(), ["survives"]);
}

#[test]
fn a_node_that_stays_silent_leaves_the_sentence_in_doubt() {
    let (a, b) = (ScriptedNode::start(Turn::silence()), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &["--node-deadline", "600ms", "--node-patience", "150ms"]);
    let mut first = lb.connect();
    first.send(post("silent").as_bytes());
    until("the post has arrived", || a.posts().len() == 1);
    // B is chosen next; then A again, behind the silent post, from where it moves to B.
    assert_eq!(lb.post("to B").json["server"], "B");
    assert_eq!(lb.post("moves").json["server"], "B");
    let doubt = first.answer();
    assert_eq!(kind(&doubt), (503, "in-doubt".to_owned()));
    assert_eq!(doubt.json["ambiguous"], true);
    assert!(doubt.header("retry-after").is_some());
    let id = a.posts()[0].split('"').nth(3).unwrap().to_owned();
    assert!(doubt.json["remedy"].as_str().unwrap().contains(&id), "the client can repeat it under its id");
    assert_eq!(lb.in_flight(), 0);
    assert_eq!(counter(&lb, "sentences_in_doubt"), 1);
}

#[test]
fn a_refused_repetition_does_not_undo_the_doubt() {
    let (a, b) = (
        ScriptedNode::start(Script::first([Turn::close().storing()], Turn::refuse(503))),
        ScriptedNode::start(Turn::store()),
    );
    let lb = Balancer::start(&[&a, &b], &["--node-deadline", "400ms"]);
    let doubt = lb.post("once");
    assert_eq!(kind(&doubt), (503, "in-doubt".to_owned()));
    assert_eq!((a.sentences(), b.posts().len()), (vec!["once".to_owned()], 0));
    assert!(a.posts().len() > 1, "it was repeated");
    // Repeated under the id that the answer names, it finds what is stored.
    a.set(Turn::store());
    let id = a.documents()[0].id.clone().unwrap();
    let body = format!(r#"{{"id":"{id}","author":"User1","sentence":"once"}}"#);
    until("the repeated post is answered", || {
        let mut client = lb.connect();
        client.send(post_body(&body, "").as_bytes());
        let answer = client.answer();
        let json = &answer.json;
        assert!(answer.status == 200 || json["type"] == "urn:balanza:in-doubt", "{answer:?}");
        answer.status == 200 && json["server"] == "A"
    });
    assert_eq!((a.documents().len(), b.documents().len(), lb.in_flight()), (1, 0, 0));
}

#[test]
fn a_clients_id_goes_where_it_went_before() {
    let (a, b) = (ScriptedNode::start(Turn::store()), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &[]);
    let send = |n: usize| {
        let id = format!("0192f0c1-2b3c-7def-8a9b-{n:012}");
        let mut client = lb.connect();
        client.send(post_body(&format!(r#"{{"id":"{id}","author":"a","sentence":"{n}"}}"#), "").as_bytes());
        client.answer()
    };
    let first: Vec<String> = (0..6).map(|n| send(n).json["server"].to_string()).collect();
    let again: Vec<String> = (0..6).map(|n| send(n).json["server"].to_string()).collect();
    assert_eq!(first, again);
    assert_eq!((a.documents().len(), b.documents().len()), (3, 3));
    drop(b);
    until("B is down", || lb.node("B")["state"] == "down");
    assert_eq!(kind(&send(1)), (503, "in-doubt".to_owned()), "B may hold it, and cannot be asked");
    assert_eq!(send(6).status, 200, "a new one goes to A");
    assert_eq!(a.documents().len(), 4);
}

#[test]
fn slow_nodes_lose_no_sentence_while_no_other_is_faster() {
    let (a, b) = (ScriptedNode::start(Turn::hold()), ScriptedNode::start(Turn::hold()));
    let lb = Balancer::start(&[&a, &b], &["--node-deadline", "20s", "--node-patience", "150ms"]);
    let mut clients: Vec<_> = (0..12).map(|_| lb.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(post(&format!("{n}")).as_bytes());
        if n == 1 {
            until("both nodes are busy", || a.posts().len() + b.posts().len() == 2);
        }
    }
    let silent = |name: &str| lb.node(name)["last_error"] == "no answer for 150ms";
    until("both have been silent too long", || silent("A") && silent("B"));
    a.set(Turn::store());
    b.set(Turn::store());
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    let mut all = [a.sentences(), b.sentences()].concat();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), a.documents().len() + b.documents().len(), lb.in_flight()), (12, 12, 0));
}

#[test]
fn an_answer_that_no_node_may_give_is_asked_for_again_and_then_told() {
    for body in [
        "",
        "{}\n",
        "<html>\n",
        "{\"status\":\"stored\",\"id\":\"0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b\",\"date\":\"2020-10-08 16:51:30.506529\"}\n",
    ] {
        let a = ScriptedNode::start(Turn::answer(Response::text(200, NDJSON, body)).storing());
        let lb = Balancer::start(&[&a], &["--node-deadline", "500ms"]);
        let answer = lb.post("x");
        assert_eq!(kind(&answer), (503, "in-doubt".to_owned()), "{body:?}");
        assert_eq!(answer.json["ambiguous"], true);
        assert!(a.posts().len() > 1, "it was not asked again: {body:?}");
        assert_eq!(lb.in_flight(), 0);
    }
}

#[test]
fn other_framings_of_answers_are_read() {
    for framing in [Manner::BothFramings, Manner::Http10] {
        let a = ScriptedNode::start(Turn::store().in_manner(framing));
        let lb = Balancer::start(&[&a], &[]);
        for n in 0..3 {
            assert_eq!(lb.post(&format!("{n}")).status, 200, "{framing:?}");
        }
        assert_eq!(a.sentences(), ["0", "1", "2"], "{framing:?}");
    }
}

#[test]
fn without_a_node_the_answer_is_down_at_once() {
    let a = ScriptedNode::start(Turn::store());
    let lb = Balancer::start(&[&a], &[]);
    drop(a);
    until("A is down", || lb.node("A")["state"] == "down");
    let down = lb.post("x");
    assert_eq!(kind(&down), (503, "down".to_owned()));
    assert_eq!((down.json["message"].as_str(), down.header("retry-after")), (Some("down"), Some("1")));
    let ready = lb.get("/readyz");
    assert_eq!((ready.status, ready.json["message"].as_str()), (503, Some("down")));
}

#[test]
fn an_old_node_gets_single_posts_beside_a_new_one() {
    let (a, b) = (ScriptedNode::start_old(Turn::store()), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &[]);
    for n in 0..10 {
        let answer = lb.post(&format!("{n}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = &answer.json;
        let is_old = json["server"] == "A";
        assert_eq!(json["data"]["id"].is_null(), is_old, "old nodes know no ids");
        assert_eq!(json["data"]["sentence"], format!("{n}"));
    }
    assert_eq!((a.documents().len(), b.documents().len()), (5, 5));
    assert!(a.posts().iter().all(|body| !body.contains("\"id\"")), "{:?}", a.posts());
    assert_eq!(lb.node("A")["protocol"], "single");
}

#[test]
fn a_post_to_an_old_node_is_never_repeated() {
    let (a, b) = (ScriptedNode::start_old(Turn::close().storing()), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &[]);
    let doubt = lb.post("x");
    assert_eq!(kind(&doubt), (502, "in-doubt-old-node".to_owned()));
    assert_eq!(doubt.json["ambiguous"], true);
    assert!(doubt.header("retry-after").is_none(), "a repetition could store it twice");
    assert_eq!((a.posts().len(), b.posts().len(), lb.in_flight()), (1, 0, 0));
}

#[test]
fn a_full_queue_refuses_and_empties_again() {
    let a = ScriptedNode::start(Turn::hold());
    let flags = ["--lane-items", "4", "--node-patience", "20s", "--node-deadline", "20s"];
    let lb = Balancer::start(&[&a], &flags);
    let mut first = lb.connect();
    first.send(post("under way").as_bytes());
    until("the post has arrived", || a.posts().len() == 1);
    let mut second = lb.connect();
    second.send((0..10).map(|n| post(&format!("{n}"))).collect::<String>().as_bytes());
    until("six are refused", || counter(&lb, "sentences_refused") == 6);
    a.set(Turn::store());
    assert_eq!(first.answer().status, 200);
    let answers: Vec<Answer> = (0..10).map(|_| second.answer()).collect();
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(stored, 4);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(kind(refused), (503, "overloaded".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!((a.documents().len(), lb.in_flight()), (5, 0));
}

#[test]
fn a_client_that_leaves_leaves_no_reservation() {
    let a = ScriptedNode::start(Turn::hold());
    let lb = Balancer::start(&[&a], &["--node-patience", "20s", "--node-deadline", "20s"]);
    for n in 0..8u64 {
        let mut client = lb.connect();
        client.send(post(&format!("{n}")).as_bytes());
        let wanted = n + 1;
        until("the post is taken", || lb.in_flight() == wanted);
    }
    a.set(Turn::store());
    until("nothing is under way", || lb.in_flight() == 0);
    assert_eq!(a.documents().len(), 8);
    assert_eq!(lb.post("next").status, 200);
    assert_eq!(lb.node("A")["documents"], 9);
}

#[test]
fn what_gathers_behind_a_post_goes_out_as_one() {
    let a = ScriptedNode::start(Turn::hold());
    let lb = Balancer::start(&[&a], &["--node-patience", "20s", "--node-deadline", "20s"]);
    let mut first = lb.connect();
    first.send(post("first").as_bytes());
    until("the first post has arrived", || a.posts().len() == 1);
    let mut clients: Vec<_> = (0..50).map(|_| lb.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(post(&format!("{n}")).as_bytes());
    }
    until("all are taken", || lb.in_flight() == 51);
    a.set(Turn::store());
    assert!(clients.iter_mut().all(|client| client.answer().status == 200));
    assert_eq!(a.posts().len(), 2, "one for the first, one for all that gathered");
}

#[test]
fn a_fallen_node_needs_good_reports_before_it_is_chosen_again() {
    let (a, b) = (ScriptedNode::start(Turn::store()), ScriptedNode::start(Turn::store()));
    let lb = Balancer::start(&[&a, &b], &["--rise", "2"]);
    let address = a.address();
    drop(a);
    until("A is down", || lb.node("A")["state"] == "down");
    assert!(lb.node("A")["because"].as_str().is_some());
    let a = ScriptedNode::start_at(address, Turn::store());
    until("A is up again", || lb.node("A")["state"] == "up");
    assert_eq!(lb.post("x").json["server"], "A");
    assert_eq!(a.documents().len(), 1);
    assert_eq!(b.documents().len(), 0);
}

#[test]
fn a_connection_that_died_while_idle_costs_nothing() {
    let a = ScriptedNode::start(Turn::store());
    let lb = Balancer::start(&[&a], &["--fall", "1000"]);
    assert_eq!(lb.post("one").status, 200);
    a.sockets().close_connections();
    // Whether the balancer has seen the end already or not, the sentence is stored once.
    let answer = lb.post("two");
    if answer.status != 200 {
        assert_eq!(answer.json["message"], "down", "the report stream ended too");
        until("A is up again", || lb.post("two").status == 200);
    }
    assert_eq!(a.sentences(), ["one", "two"]);
}

/// What a node says after a failed commit or a time-out of its database.
fn unsure() -> Problem {
    Problem::of(Kind::StoreUnavailable, "the commit failed").with_doubt()
}

/// Every way in which a node can say that it may have stored a sentence although it failed.
fn unsure_turns() -> Vec<Turn> {
    let mut broken = unsure();
    broken.status = 500;
    let mut refused = unsure();
    refused.status = 422;
    let whole = [Turn::problem(&unsure()), Turn::problem(&broken), Turn::problem(&refused)];
    let items = [Turn::fail(Which::Every, &unsure()), Turn::fail(Which::Every, &refused)];
    whole.into_iter().chain(items).flat_map(|turn| [turn.clone(), turn.storing()]).collect()
}

#[test]
fn a_node_that_cannot_tell_is_asked_again_and_no_other_is() {
    for unsure in unsure_turns() {
        let (a, b) = (ScriptedNode::start(Script::once(unsure.clone())), ScriptedNode::start(Turn::store()));
        let lb = Balancer::start(&[&a, &b], &[]);
        let answer = lb.post("once");
        assert_eq!((answer.status, answer.json["server"].as_str()), (200, Some("A")), "{unsure:?}");
        assert_eq!((a.sentences(), a.posts().len()), (vec!["once".to_owned()], 2), "{unsure:?}");
        assert_eq!(a.posts()[0], a.posts()[1], "the same ids");
        assert_eq!((b.documents().len(), lb.in_flight()), (0, 0), "{unsure:?}");
    }
}

#[test]
fn a_node_that_can_never_tell_leaves_the_sentence_in_doubt() {
    for unsure in unsure_turns() {
        let (a, b) = (ScriptedNode::start(unsure.clone()), ScriptedNode::start(Turn::store()));
        let lb = Balancer::start(&[&a, &b], &["--node-deadline", "300ms"]);
        let doubt = lb.post("once");
        assert_eq!(kind(&doubt), (503, "in-doubt".to_owned()), "{unsure:?}");
        assert_eq!(doubt.json["ambiguous"], true, "{unsure:?}");
        assert!(a.posts().len() > 1, "{unsure:?}: it was repeated");
        assert_eq!((b.documents().len(), lb.in_flight()), (0, 0), "{unsure:?}");
    }
}

#[test]
fn of_a_batch_only_the_unsure_sentences_are_asked_again() {
    let (a, b) = (ScriptedNode::start(Turn::hold()), ScriptedNode::start(Turn::refuse(503)));
    let lb = Balancer::start(&[&a, &b], &["--node-patience", "20s", "--node-deadline", "20s"]);
    let mut first = lb.connect();
    first.send(post("first").as_bytes());
    until("the first post has arrived", || a.posts().len() == 1);
    // B refuses one sentence and is gone round from then on.
    let mut clients: Vec<_> = (0..4).map(|_| lb.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(post(&format!("gathered {n}")).as_bytes());
    }
    until("all wait for A", || lb.node("A")["in_flight"] == 5);
    a.set(Script::first([Turn::store(), Turn::fail(Which::Nth(1), &unsure())], Turn::store()));
    for client in clients.iter_mut().chain([&mut first]) {
        let answer = client.answer();
        assert_eq!((answer.status, answer.json["server"].as_str()), (200, Some("A")));
    }
    let lines: Vec<usize> = a.posts().iter().map(|post| post.lines().count()).collect();
    assert_eq!(lines, [1, 4, 1], "the second of four was posted again, alone");
    assert_eq!((a.documents().len(), b.documents().len(), lb.in_flight()), (5, 0, 0));
}
