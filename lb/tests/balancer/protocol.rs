//! What the balancer makes of bytes: framing, pipelining, limits, slow and leaving clients, bad bodies. After every
//! refused request the node has seen nothing, nothing is under way, and a normal post succeeds.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use harness::{Connection, ScriptedNode, Turn, until};

use crate::support::{Balancer, post, post_body};

const HEAD: &str = "POST /sentence HTTP/1.1\r\nhost: lb\r\ncontent-type: application/json\r\n";
const BODY: &str = r#"{"author":"a","sentence":"b"}"#;

struct Case {
    node: ScriptedNode,
    lb: Balancer,
}

fn case(flags: &[&str]) -> Case {
    let node = ScriptedNode::start(Turn::store());
    let lb = Balancer::start(&[&node], flags);
    Case { node, lb }
}

impl Case {
    /// `bytes` are refused: an error status or the end of the connection, and nothing reaches the node.
    fn refused(&self, bytes: &[u8], what: &str) {
        let before = self.node.posts().len();
        let mut client = self.lb.connect();
        client.try_send(bytes);
        client.finish_if_open();
        if let Some(answer) = client.try_answer() {
            assert!((400..600).contains(&answer.status), "{what}: {answer:?}");
            assert!(client.is_closed(), "{what}: what follows a misunderstood request cannot be believed");
        }
        assert_eq!(self.node.posts().len(), before, "{what} reached the node");
        assert_eq!(self.lb.post("sound").status, 200, "after {what}");
        assert_eq!(self.lb.in_flight(), 0, "after {what}");
    }

    /// `bytes` are one well-formed post of [`BODY`].
    fn stored(&self, bytes: &[u8], what: &str) -> Connection {
        let before = self.node.documents().len();
        let mut client = self.lb.connect();
        client.send(bytes);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert_eq!(answer.json["data"]["sentence"], "b", "{what}");
        assert_eq!(self.node.documents().len(), before + 1, "{what}");
        client
    }
}

#[test]
fn requests_that_two_readers_could_understand_differently_are_refused() {
    let case = case(&[]);
    let chunked = "3\r\nabc\r\n0\r\n\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: lb\r\n\r\n";
    let with = |headers: &str, body: &str| format!("{HEAD}{headers}\r\n{body}").into_bytes();
    case.refused(
        &with("transfer-encoding: chunked\r\ncontent-length: 31\r\n", &format!("0\r\n\r\n{smuggled}")),
        "F1",
    );
    case.refused(&with("content-length: 29\r\ncontent-length: 30\r\n", BODY), "F3");
    case.refused(&with("content-length: 5, 10\r\n", BODY), "F3 list");
    for length in ["+29", "-1", "-0", "0x1d", "0o35", "2_9", "2 9", "", "29,", "18446744073709551616"] {
        case.refused(&with(&format!("content-length: {length}\r\n"), BODY), &format!("F4 {length:?}"));
    }
    for encoding in ["chunked, chunked", "chunked, gzip", "gzip", "identity", "xchunked"] {
        case.refused(
            &with(&format!("transfer-encoding: {encoding}\r\n"), chunked),
            &format!("F5 {encoding}"),
        );
    }
    let old =
        "POST /sentence HTTP/1.0\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    case.refused(format!("{old}{chunked}").as_bytes(), "F7");
    for size in ["0x5", "5_0", "-1", " 5", "fffffffffffffffff", ""] {
        let body = format!("{size}\r\nabcde\r\n0\r\n\r\n");
        case.refused(&with("transfer-encoding: chunked\r\n", &body), &format!("F8 {size:?}"));
    }
    case.refused(&with("transfer-encoding: chunked\r\n", &format!("{:x}\r\n{BODY}\r\n", BODY.len())), "F11");
    case.refused(&with("content-length: 40\r\n", BODY), "F12");
    for header in ["x: a\rb", "x: a\0b", "x: a\nb: c", "x\u{e9}: a", "x : a", " x: a"] {
        case.refused(&with(&format!("{header}\r\ncontent-length: 29\r\n"), BODY), &format!("F14 {header:?}"));
    }
    case.refused(b"POST /sen\0tence HTTP/1.1\r\nhost: lb\r\ncontent-length: 0\r\n\r\n", "F14 path");
}

#[test]
fn chunked_bodies_are_read_however_they_come() {
    let case = case(&[]);
    let (first, rest) = BODY.split_at(10);
    let body = format!("A;x=y\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\nx-trailer: 1\r\n\r\n", rest.len());
    let request = format!("{HEAD}transfer-encoding: Chunked\r\n\r\n{body}");
    case.stored(request.as_bytes(), "F10 at once");
    let mut client = case.lb.connect();
    for byte in request.as_bytes() {
        client.send(&[*byte]);
    }
    assert_eq!(client.answer().status, 200, "F10 byte by byte");
}

#[test]
fn a_plain_post_is_read_however_it_comes() {
    let case = case(&[]);
    let request = post_body(BODY, "");
    let mut client = case.lb.connect();
    for at in 1..request.len() {
        let (first, rest) = request.as_bytes().split_at(at);
        client.send(first);
        client.send(rest);
        assert_eq!(client.answer().status, 200, "split at {at}");
    }
    assert_eq!(case.node.documents().len(), request.len() - 1);
}

#[test]
fn heads_have_limits() {
    let case = case(&[]);
    case.refused(
        format!("{HEAD}x: {}\r\ncontent-length: 29\r\n\r\n{BODY}", "y".repeat(65536)).as_bytes(),
        "P1",
    );
    for n in [101, 257, 10_000] {
        let headers = "x: y\r\n".repeat(n);
        case.refused(
            format!("{HEAD}{headers}content-length: 29\r\n\r\n{BODY}").as_bytes(),
            &format!("P2 {n}"),
        );
    }
    for host in [
        "",
        "host: lb\r\nhost: lb\r\n",
        "host: a/b\r\n",
        "host: me@a\r\n",
        "host: a:0\r\n",
        "host: a:65536\r\n",
    ] {
        let request = format!("POST /sentence HTTP/1.1\r\n{host}content-length: 29\r\n\r\n{BODY}");
        case.refused(request.as_bytes(), &format!("P4 {host:?}"));
    }
    let random: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (bytes, what) in [
        (&b"GET /\r\n\r\n"[..], "P6 HTTP/0.9"),
        (b"GET / HTTP/1\r\nhost: lb\r\n\r\n", "P6 HTTP/1"),
        (b"GET / HTTP/01.1\r\nhost: lb\r\n\r\n", "P6 HTTP/01.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "P6 TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "P6 h2"),
        (&random, "P6 random"),
    ] {
        case.refused(bytes, what);
    }
}

#[test]
fn expect_continue_is_answered_once() {
    let case = case(&[]);
    let mut client = case.lb.connect();
    client.send(format!("{HEAD}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", BODY.len()).as_bytes());
    assert_eq!(client.answer().status, 100);
    client.send(BODY.as_bytes());
    assert_eq!(client.answer().status, 200);
    assert_eq!((case.node.documents().len(), case.lb.in_flight()), (1, 0));
}

#[test]
fn pipelined_posts_are_answered_in_order() {
    let nodes: Vec<ScriptedNode> = (0..3).map(|_| ScriptedNode::start(Turn::store())).collect();
    let lb = Balancer::start(&nodes.iter().collect::<Vec<_>>(), &[]);
    for n in [3, 1000] {
        let client = lb.connect();
        let mut sender = client.stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            let all: String = (0..n)
                .map(|i| if i % 10 == 7 { post_body("x", "") } else { post(&format!("{i}")) })
                .collect();
            sender.write_all(all.as_bytes()).unwrap();
        });
        let mut client = client;
        for i in 0..n {
            let answer = client.answer();
            if i % 10 == 7 {
                assert_eq!(answer.status, 400, "{i}");
            } else {
                assert_eq!(answer.json["data"]["sentence"], format!("{i}"));
            }
        }
        sending.join().unwrap();
    }
    let mut all: Vec<String> = nodes.iter().flat_map(ScriptedNode::sentences).collect();
    assert_eq!(all.len(), 903);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 900, "three were posted twice, each post was stored once");
}

#[test]
fn a_connection_changes_hands_in_order() {
    let case = case(&[]);
    let mut client = case.lb.connect();
    let get = "GET /livez HTTP/1.1\r\nhost: lb\r\n\r\n";
    client.send(format!("{}{}{get}{}{get}", post("1"), post("2"), post("3")).as_bytes());
    let told: Vec<String> = (0..5)
        .map(|_| {
            let answer = client.answer();
            if answer.text == "ok\n" {
                "ok".to_owned()
            } else {
                answer.json["data"]["sentence"].as_str().unwrap().to_owned()
            }
        })
        .collect();
    assert_eq!(told, ["1", "2", "ok", "3", "ok"]);
    assert_eq!(case.node.sentences(), ["1", "2", "3"]);
}

#[test]
fn connections_end_when_the_client_says_so() {
    let case = case(&[]);
    let mut client = case.stored(post_body(BODY, "connection: close\r\n").as_bytes(), "P10 close");
    assert!(client.is_closed());
    let old = format!(
        "POST /sentence HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    assert!(case.stored(old.as_bytes(), "P10 HTTP/1.0").is_closed());
    let mut client = case.stored(post_body(BODY, "").as_bytes(), "P10 keep-alive");
    client.send(post("again").as_bytes());
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    assert!(answer.header("date").unwrap().ends_with(" GMT"), "{answer:?}");
    // A client that sends no more still gets what it is owed.
    client.send(post("last").as_bytes());
    client.finish();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn headers_of_clients_are_not_passed_on() {
    let case = case(&[]);
    let headers = "connection: keep-alive\r\nkeep-alive: timeout=5\r\ncookie: secret\r\nx-other: 1\r\n";
    case.stored(post_body(BODY, headers).as_bytes(), "P11");
    let heads = case.node.heads().join("\n");
    assert!(heads.contains("POST /sentences"), "{heads}");
    for alien in ["cookie", "keep-alive", "x-other", "secret"] {
        assert!(!heads.contains(alien), "{heads}");
    }
}

#[test]
fn slow_clients_are_cut_off_and_cost_nothing() {
    let limits = ["--header-timeout", "500ms", "--body-timeout", "500ms", "--idle-timeout", "500ms"];
    let case = case(&limits);
    let mut silent = case.lb.connect();
    let mut in_head = case.lb.connect();
    in_head.send(b"POST /sentence HT");
    let mut in_body = case.lb.connect();
    in_body.send(format!("{HEAD}content-length: 29\r\n\r\n{}", &BODY[..28]).as_bytes());
    let mut idle = case.stored(post("b").as_bytes(), "a post");
    assert!(silent.is_closed(), "S1");
    let late = in_head.answer();
    assert_eq!((late.status, late.json["type"].as_str()), (408, Some("urn:balanza:timed-out")), "S2");
    assert!(in_head.is_closed());
    assert_eq!(in_body.answer().status, 408, "S3");
    assert!(in_body.is_closed());
    assert!(idle.is_closed(), "an idle connection");
    assert_eq!((case.node.posts().len(), case.lb.in_flight()), (1, 0));
}

#[test]
fn trickling_does_not_move_the_deadline() {
    let case = case(&["--header-timeout", "500ms"]);
    let client = case.lb.connect();
    let mut sender = client.stream.try_clone().unwrap();
    let mut client = client;
    std::thread::spawn(move || {
        for byte in HEAD.bytes().cycle() {
            if sender.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    });
    let answer = client.try_answer();
    assert!(answer.is_none_or(|answer| answer.status == 408), "S2");
    assert_eq!(case.lb.post("healthy").status, 200);
}

#[test]
fn a_client_that_never_reads_is_not_read_from() {
    let case = case(&["--write-timeout", "500ms"]);
    let mut client = case.lb.connect();
    client.stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let many: String = (0..100).map(|_| post(&"x".repeat(10_000))).collect();
    let mut sent = 0;
    // The balancer stops reading, so that the sender stands still, or it hangs up: both bound its memory.
    let stopped = loop {
        match client.stream.write(many.as_bytes()) {
            Ok(n) => sent += n,
            Err(error) => break error.kind(),
        }
        assert!(sent < 1_000_000_000, "it never stopped reading");
    };
    let expected =
        [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(expected.contains(&stopped), "{stopped:?}");
    assert_eq!(case.lb.post("healthy").status, 200);
    until("nothing is under way", || case.lb.in_flight() == 0);
}

#[test]
fn bad_bodies_are_told_and_bother_no_node() {
    let case = case(&[]);
    let mut client = case.lb.connect();
    let deep = format!(r#"{{"author":"a","sentence":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#"{{"author":"a","sentence":"{}"}}"#, "x".repeat(65_537));
    for (body, status, field) in [
        ("", 400, None),
        ("{", 400, None),
        (r#"{"author":"a","sentence":"b"#, 400, None),
        ("[]", 400, None),
        (r#"{"author":"a"}"#, 400, Some("sentence")),
        (r#"{"author":7,"sentence":"b"}"#, 400, Some("author")),
        (r#"{"author":"a","sentence":"b","more":1}"#, 400, None),
        (r#"{"author":"a","author":"b","sentence":"c"}"#, 400, None),
        (&deep, 400, Some("sentence")),
        (&long, 413, Some("sentence")),
    ] {
        client.send(post_body(body, "").as_bytes());
        let answer = client.answer();
        let json = &answer.json;
        assert_eq!((answer.status, json["field"].as_str()), (status, field), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(json["remedy"].is_string() && json["message"].is_string());
    }
    let most = format!(r#"{{"author":"a","sentence":"{}"}}"#, "x".repeat(65_536));
    client.send(post_body(&most, "").as_bytes());
    assert_eq!(client.answer().status, 200, "at the limit");
    assert_eq!(case.node.posts().len(), 1, "the bad ones bothered no node");
    assert_eq!(case.lb.node("A")["state"], "up");
}

#[test]
fn bodies_of_the_wrong_kind_are_refused_before_they_are_read() {
    let case = case(&[]);
    let status = |headers: &str, body: &[u8]| {
        let mut client = case.lb.connect();
        client.send(format!("POST /sentence HTTP/1.1\r\nhost: lb\r\n{headers}\r\n").as_bytes());
        client.try_send(body);
        client.answer().status
    };
    let huge = vec![b'x'; 20 * 1024 * 1024];
    assert_eq!(status(&format!("content-length: {}\r\n", huge.len()), &huge), 413, "J3 20 MB");
    assert_eq!(status("content-type: text/plain\r\ncontent-length: 29\r\n", BODY.as_bytes()), 415);
    assert_eq!(status("content-encoding: gzip\r\ncontent-length: 29\r\n", BODY.as_bytes()), 415);
    let chunked = "transfer-encoding: chunked\r\n";
    assert_eq!(status(&format!("{chunked}content-type: text/plain\r\n"), b"0\r\n\r\n"), 415);
    assert_eq!(
        status(chunked, &[b"200000\r\n", &huge[..0x20_0000], b"\r\n0\r\n\r\n"].concat()),
        413,
        "J3 chunked"
    );
    assert_eq!(status("content-length: 29\r\n", BODY.as_bytes()), 200, "no type is taken for JSON");
    assert_eq!(case.node.posts().len(), 1);
}
