//! Heads as lines, and what is said of each.

use super::*;
use proptest::prelude::*;

/// `expected` is what is said of a head made of `lines`, which end in CRLF and one empty line.
fn check(lines: &str, expected: &str) {
    let head = format!("{}\r\n\r\n", lines.trim().replace('\n', "\r\n"));
    assert_eq!(told(head.as_bytes()), expected, "{lines}");
}

fn told(bytes: &[u8]) -> String {
    match read(bytes) {
        Head::Partial => "partial".to_owned(),
        Head::Refused(error) => {
            let problem = Problem::from(error);
            format!("{} {}", problem.status, problem.field.as_deref().unwrap_or("-"))
        }
        Head::Whole(head) => {
            assert_eq!(head.len, bytes.len());
            let RequestHead { method, target, is_11, body, close, expects, upgrades, key, .. } = head;
            let length = match body {
                BodyLength::Bytes(length) => length.to_string(),
                BodyLength::Chunked => "chunked".to_owned(),
            };
            let marks = [(!is_11, " 1.0"), (close, " close"), (expects, " expects"), (upgrades, " upgrades")];
            let marks = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect::<String>();
            let key = key.map(|key| format!(" key {}", String::from_utf8_lossy(key))).unwrap_or_default();
            format!("{method} {target} {length}{marks}{key}")
        }
    }
}

const POST: &str = "POST /sentence HTTP/1.1\nHost: a\n";

#[test]
fn well_formed_heads_say_where_the_request_ends() {
    check(&format!("{POST}Content-Length: 7"), "POST /sentence 7");
    check("POST /sentence HTTP/1.1\nhost: a:4999\ncontent-type: x\ncontent-length: 0", "POST /sentence 0");
    check(&format!("{POST}Content-Length: 007"), "POST /sentence 7");
    check(&format!("{POST}Content-Length: 7\nConnection: keep-alive, CLOSE"), "POST /sentence 7 close");
    check(
        "POST /sentence HTTP/1.1\nHost: [::1]:80\nContent-Length: 7\nConnection: keep-alive\nIdempotency-Key: k",
        "POST /sentence 7 key k",
    );
    check(&format!("{POST}Transfer-Encoding: Chunked"), "POST /sentence chunked");
    check("GET / HTTP/1.1\nHost: a", "GET / 0");
    check(POST, "POST /sentence 0");
    check("POST /fleet/A/drain HTTP/1.1\nHost: a", "POST /fleet/A/drain 0");
}

#[test]
fn a_connection_of_the_old_version_ends_unless_it_says_otherwise() {
    check("GET / HTTP/1.0", "GET / 0 1.0 close");
    check("GET / HTTP/1.0\nConnection: keep-alive", "GET / 0 1.0");
    check("GET / HTTP/1.0\nConnection: keep-alive, close", "GET / 0 1.0 close");
    check("GET / HTTP/1.0\nHost: a/b", "400 host");
    check("POST / HTTP/1.0", "400 content-length");
    check("POST /sentence HTTP/1.0\nContent-Length: 7\nExpect: 100-continue", "POST /sentence 7 1.0 close");
}

#[test]
fn targets_are_paths_and_urls() {
    let with = |request: &str, expected: &str| check(&format!("{request} HTTP/1.1\nHost: a"), expected);
    for taken in
        ["GET /", "GET /a%20b?c=d&e=/?", "GET http://a/b", "GET HTTP://a:80", "GET https://a?b", "OPTIONS *"]
    {
        with(taken, &format!("{taken} 0"));
    }
    for refused in [
        "GET *",
        "GET admin",
        "GET a/b",
        "GET ftp://a/",
        "GET http://",
        "GET http://u@a/",
        "GET http://a:0/",
        "GET /#a",
        "GET /<a>",
        "GET /a?\"b\"",
        "GET /\u{e9}",
        "CONNECT a:80",
        "CONNECT /sentence",
        "POST *",
    ] {
        with(refused, "400 -");
    }
}

#[test]
fn an_expectation_is_met_or_refused_at_once() {
    check(&format!("{POST}Content-Length: 7\nExpect: 100-Continue"), "POST /sentence 7 expects");
    for unknown in ["200-ok", "100-continue, 200-ok", "", "\"100-continue\""] {
        check(&format!("{POST}Content-Length: 7\nExpect: {unknown}"), "417 expect");
    }
    check(&format!("{POST}Content-Length: 999999999\nExpect: 100-continue"), "413 content-length");
}

#[test]
fn an_offer_of_another_protocol_is_passed_over() {
    let head =
        "GET / HTTP/1.1\r\nHost: upgrade\r\nUPGRADE: websocket\r\nconnection:keep-alive,Upgrade , x\r\n\r\n";
    assert_eq!(told(head.as_bytes()), "GET / 0 upgrades");
    let mut without = head.as_bytes().to_vec();
    without_upgrade(&mut without);
    assert_eq!(
        String::from_utf8_lossy(&without),
        "GET / HTTP/1.1\r\nHost: upgrade\r\nignored: websocket\r\nconnection:keep-alive,ignored , x\r\n\r\n"
    );
    assert_eq!(told(&without), "GET / 0");
    check("GET / HTTP/1.1\nHost: a\nUpgrade: h2c", "GET / 0 upgrades");
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    let refused = |headers: &str, field: &str| check(&format!("{POST}{headers}"), &format!("400 {field}"));
    refused("Transfer-Encoding: chunked\nContent-Length: 31", "transfer-encoding");
    refused("Content-Length: 31\nTransfer-Encoding: chunked", "transfer-encoding");
    refused("Content-Length: 5\nContent-Length: 6", "content-length");
    refused("Content-Length: 5\nContent-Length: 5", "content-length");
    for length in ["5, 10", "+5", "-1", "-0", "0x5", "0o5", "1_0", "5 5", "", "0,", "18446744073709551616"] {
        refused(&format!("Content-Length: {length}"), "content-length");
    }
    for encoding in ["chunked, chunked", "chunked, gzip", "gzip, chunked", "gzip", "identity", "xchunked", ""]
    {
        refused(&format!("Transfer-Encoding: {encoding}"), "transfer-encoding");
    }
    refused("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "transfer-encoding");
    check("POST /sentence HTTP/1.0\nTransfer-Encoding: chunked", "400 transfer-encoding");
    check("GET / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked", "400 transfer-encoding");
    refused("Idempotency-Key: a\nIdempotency-Key: a\nContent-Length: 7", "idempotency-key");
}

#[test]
fn the_host_is_there_once_and_plain() {
    let with = |host: &str, expected: &str| {
        check(&format!("POST /sentence HTTP/1.1\n{host}\nContent-Length: 7"), expected);
    };
    with("X: y", "400 host");
    with("Host: a\nHost: a", "400 host");
    for host in ["", "a/b", "me@a", "a:0", "a:65536", "a:", "a b", "[::1", "a:1:2"] {
        with(&format!("Host: {host}"), "400 host");
    }
    with("Host: a:65535", "POST /sentence 7");
}

#[test]
fn bytes_that_are_no_http_are_refused() {
    let post = b"POST /sentence HTTP/1.1\r\n";
    for rest in [
        &b"Host: a\nContent-Length: 7\r\n\r\n"[..],
        b"Host: a\r\nX: a\rb\r\nContent-Length: 7\r\n\r\n",
        b"Host: a\r\nX: a\0b\r\nContent-Length: 7\r\n\r\n",
        b"Host: a\r\nX\xc3\xa9: a\r\nContent-Length: 7\r\n\r\n",
        b"Host: a\r\nX : a\r\nContent-Length: 7\r\n\r\n",
        b"Host: a\r\n X: a\r\nContent-Length: 7\r\n\r\n",
    ] {
        let bytes = [post, rest].concat();
        assert!(told(&bytes).starts_with("400"), "{}", String::from_utf8_lossy(&bytes));
    }
    for bytes in [
        &b"GET /\r\n\r\n"[..],
        b"GET / HTTP/1\r\n\r\n",
        b"GET / HTTP/01.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert!(told(bytes).starts_with("400"), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn limits_hold() {
    let length = |path: &str, length: usize, expected: &str| {
        check(&format!("POST {path} HTTP/1.1\nHost: a\nContent-Length: {length}"), expected);
    };
    length("/sentence", MAX_SENTENCE_BODY_BYTES, &format!("POST /sentence {MAX_SENTENCE_BODY_BYTES}"));
    for path in ["/sentence", "/sentence?x", "http://a/sentence"] {
        length(path, MAX_SENTENCE_BODY_BYTES + 1, "413 content-length");
    }
    length("/sentences", MAX_BULK_BODY_BYTES, &format!("POST /sentences {MAX_BULK_BODY_BYTES}"));
    length("/sentences", MAX_BULK_BODY_BYTES + 1, "413 content-length");
    let headers = |n: usize, expected: &str| {
        check(&format!("{POST}Content-Length: 7\n{}", "X: y\n".repeat(n)), expected);
    };
    headers(MAX_HEADERS - 2, "POST /sentence 7");
    headers(MAX_HEADERS - 1, "431 -");
    let long = |bytes: usize| {
        let begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{begin}{}\r\n\r\n", "y".repeat(bytes - begin.len() - 4))
    };
    assert_eq!(told(long(MAX_HEAD_BYTES).as_bytes()), "GET / 0");
    assert_eq!(told(long(MAX_HEAD_BYTES + 1).as_bytes()), "431 -");
    assert_eq!(told("\r\n".repeat(MAX_HEAD_BYTES / 2).as_bytes()), "431 -");
    assert_eq!(told(b"POST /sentence HTTP/1.1\r\nHost: a"), "partial");
    assert_eq!(told(b""), "partial");
}

#[test]
fn a_problem_names_the_header_and_a_remedy() {
    for error in [HeadError::Host, HeadError::Expectation, HeadError::TimedOut, HeadError::NoLength] {
        let problem = Problem::from(error);
        assert!(problem.remedy.is_some() && (400..500).contains(&problem.status), "{problem:?}");
        assert_eq!(problem.field.as_deref(), error.field());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(flips in proptest::collection::vec((0..90_usize, any::<u8>()), 0..6)) {
        let mut head = b"POST /sentence HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nContent-Length: 7\r\nUpgrade: x\r\n\r\n".to_vec();
        for (at, byte) in flips {
            if let Some(place) = head.get_mut(at) {
                *place = byte;
            }
        }
        if let Head::Whole(RequestHead { len, .. }) = read(&head) {
            let before = head.clone();
            without_upgrade(&mut head[..len]);
            prop_assert_eq!(head.len(), before.len());
            let is_without = matches!(read(&head), Head::Whole(RequestHead { upgrades: false, .. }));
            prop_assert!(is_without);
        }
    }
}
