//! Heads as lines, and what the door says of each.

use super::*;

/// `expected` is what the door says of a head made of `lines`, which end in CRLF and one empty line.
fn check(lines: &str, expected: &str) {
    let head = format!("{}\r\n\r\n", lines.trim().replace('\n', "\r\n"));
    assert_eq!(told(head.as_bytes()), expected, "{lines}");
}

fn told(head: &[u8]) -> String {
    match read(head) {
        Request::Partial => "partial".to_owned(),
        Request::Other => "other".to_owned(),
        Request::Refused(error) => format!("refused {}", error.field().unwrap_or("-")),
        Request::Sentence(head) => {
            let close = if head.close { " close" } else { "" };
            let key =
                head.key.map(|key| format!(" key {}", String::from_utf8_lossy(key))).unwrap_or_default();
            format!("sentence {}{close}{key}", head.body)
        }
    }
}

#[test]
fn a_plain_post_is_ours() {
    check("POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7", "sentence 7");
    check(
        "POST /sentence HTTP/1.1\nhost: a:4999\ncontent-type: application/json; charset=utf-8\ncontent-length: 0",
        "sentence 0",
    );
    check("POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\nConnection: close", "sentence 7 close");
    check(
        "POST /sentence HTTP/1.1\nHost: [::1]:80\nContent-Length: 7\nConnection: keep-alive\nIdempotency-Key: k",
        "sentence 7 key k",
    );
}

#[test]
fn what_is_well_formed_but_not_plain_goes_to_the_full_server() {
    for lines in [
        "GET /sentence HTTP/1.1\nHost: a",
        "POST /sentences HTTP/1.1\nHost: a\nContent-Length: 7",
        "POST /sentence?x=1 HTTP/1.1\nHost: a\nContent-Length: 7",
        "POST /sentence HTTP/1.0\nContent-Length: 7",
        "POST /sentence HTTP/1.1\nHost: a\nTransfer-Encoding: chunked",
        "POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\nExpect: 100-continue",
        "POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\nConnection: upgrade\nUpgrade: x",
        "POST http://a/sentence HTTP/1.1\nHost: a\nContent-Length: 7",
    ] {
        check(lines, "other");
    }
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    let post = "POST /sentence HTTP/1.1\nHost: a\n";
    let refused =
        |headers: &str, field: &str| check(&format!("{post}{headers}"), &format!("refused {field}"));
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
    check("POST /sentence HTTP/1.0\nTransfer-Encoding: chunked", "refused transfer-encoding");
    check(
        "GET / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked",
        "refused transfer-encoding",
    );
    check(post, "refused content-length");
}

#[test]
fn the_host_is_there_once_and_plain() {
    let with = |host: &str, expected: &str| {
        check(&format!("POST /sentence HTTP/1.1\n{host}\nContent-Length: 7"), expected);
    };
    with("X: y", "refused host");
    with("Host: a\nHost: a", "refused host");
    for host in ["", "a/b", "me@a", "a:0", "a:65536", "a:", "a b", "[::1", "a:1:2"] {
        with(&format!("Host: {host}"), "refused host");
    }
    with("Host: a:65535", "sentence 7");
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
        assert!(told(&bytes).starts_with("refused"), "{}", String::from_utf8_lossy(&bytes));
    }
    for bytes in [
        &b"GET /\r\n\r\n"[..],
        b"GET / HTTP/1\r\n\r\n",
        b"GET / HTTP/01.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert!(told(bytes).starts_with("refused"), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn limits_hold() {
    check("POST /sentence HTTP/1.1\nHost: a\nContent-Length: 999999999", "refused content-length");
    check(
        "POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\nContent-Type: text/plain",
        "refused content-type",
    );
    check(
        "POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\nContent-Encoding: gzip",
        "refused content-encoding",
    );
    let headers = |n: usize| "X: y\n".repeat(n);
    check(&format!("POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\n{}", headers(62)), "sentence 7");
    check(&format!("POST /sentence HTTP/1.1\nHost: a\nContent-Length: 7\n{}", headers(63)), "refused -");
    let long = format!("POST /sentence HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(MAX_HEAD_BYTES));
    assert_eq!(told(long.as_bytes()), "refused -");
    assert_eq!(told(b"POST /sentence HTTP/1.1\r\nHost: a"), "partial");
    assert_eq!(told(b""), "partial");
}
