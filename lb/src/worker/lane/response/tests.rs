//! Answers of nodes, read byte by byte and at once.

use proptest::prelude::*;

use super::*;

/// The response read from `text`, given byte by byte and at once, must be the same: `status body reusable`.
fn check(text: &str, ended: bool, expected: &str) {
    assert_eq!(told(text, usize::MAX, ended), expected, "{text:?} at once");
    assert_eq!(told(text, 1, ended), expected, "{text:?} byte by byte");
}

fn told(text: &str, step: usize, ended: bool) -> String {
    let mut progress = Progress::default();
    let mut bytes = Vec::new();
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(step).collect();
    for (index, piece) in pieces.iter().enumerate() {
        bytes.extend_from_slice(piece);
        let last = ended && index + 1 == pieces.len();
        match advance(&mut progress, &mut bytes, last) {
            Ok(Some(response)) => {
                let body = String::from_utf8_lossy(&bytes[response.body.clone()]);
                return format!("{} {body} {}", response.status, response.reusable);
            }
            Ok(None) => {}
            Err(error) => return error.to_string(),
        }
    }
    "more".to_owned()
}

#[test]
fn every_framing_is_read() {
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", false, "200 abc true");
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc", false, "200 abc false");
    check("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", false, "200 abc false");
    check("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc", false, "200 abc true");
    check("HTTP/1.1 200 OK\r\n\r\nabc", true, "200 abc false");
    check("HTTP/1.1 204 No Content\r\n\r\n", false, "204  true");
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", false, "200 a true");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(&format!("{chunked}3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"), false, "200 abc0123456789 true");
    check(&format!("{chunked}1\r\na\r\n0\r\nx-t: y\r\n\r\n"), false, "200 a true");
}

#[test]
fn a_cut_answer_is_no_answer() {
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        true,
        "the connection ended before the whole answer",
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    check(chunked, true, "the connection ended before the whole answer");
    check(chunked, false, "more");
    check("HTTP/1.1 2", true, "the connection ended before the whole answer");
}

#[test]
fn what_two_readers_could_understand_differently_is_not_reused() {
    let both =
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    check(both, false, "200 a false");
    let not = "the answer's length is not to be understood";
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n", false, not);
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n", false, not);
    check("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", false, not);
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", false, not);
    assert_eq!(told("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", usize::MAX, false), "200 a false");
}

#[test]
fn numbers_are_digits_and_statuses_answer() {
    let not = "the answer's length is not to be understood";
    for length in ["+3", "-3", "3 3", "3,3", "0x3", ""] {
        check(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nabc"), false, not);
    }
    check("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false, not);
    for status in ["000", "099", "101", "600", "999"] {
        let told = format!("the answer's status is {}", status.trim_start_matches('0').parse().unwrap_or(0));
        check(&format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"), false, &told);
    }
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    check(&format!("{}{response}", go_on.repeat(8)), false, "200  true");
    check(&format!("{}{response}", go_on.repeat(9)), false, "the answer's status is 100");
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(MAX_HEAD_BYTES));
    assert_eq!(told(&long, usize::MAX, false), "the answer is too large");
}

#[test]
fn the_mark_needs_all_its_parts() {
    let read = |headers: &str| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n").into_bytes();
        advance(&mut Progress::default(), &mut bytes, false).unwrap().unwrap().mark
    };
    let mark = Mark { epoch: epoch_number("e"), revision: 4, documents: 9 };
    assert_eq!(read("Balanza-Epoch: e\r\nbalanza-revision: 4\r\nbalanza-documents: 9\r\n"), Some(mark));
    assert_eq!(read("Balanza-Epoch: e\r\nbalanza-revision: 4\r\n"), None);
    assert_eq!(read("Balanza-Epoch: e\r\nbalanza-revision: 4\r\nbalanza-documents: +9\r\n"), None);
}

proptest! {
    #[test]
    fn whatever_the_marks_say_they_are_whole_numbers_or_nothing(
        epoch in "[ -~]{0,24}",
        revision in "[0-9]{1,24}|[ -~]{0,24}",
        documents in "[0-9]{1,24}|[ -~]{0,24}",
    ) {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nbalanza-epoch: {epoch}\r\nbalanza-revision: {revision}\r\n\
             balanza-documents: {documents}\r\n\r\n"
        );
        let response = advance(&mut Progress::default(), &mut head.into_bytes(), false).unwrap().unwrap();
        // A number that does not fit is none; blanks around a header's value are not part of it.
        let number = |text: &str| {
            let text = text.trim_matches(' ');
            let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let mark = response.mark.map(|mark| (mark.revision, mark.documents));
        prop_assert_eq!(mark, number(&revision).zip(number(&documents)));
    }
}
