//! PURE. The answer to a request that no handler sees: a whole HTTP/1.1 response that ends the connection.

use wire::Problem;
use wire::contract::PROBLEM_JSON;

/// Writes it. `date` is the value of the `date` header, `more` are further header lines, each with its line end.
pub(crate) fn refusal(problem: &Problem, date: &str, more: &str) -> Vec<u8> {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let (status, title, length) = (problem.status, phrase(problem.status), body.len());
    let head = format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\n\
         date: {date}\r\n{more}connection: close\r\n\r\n"
    );
    [head.into_bytes(), body].concat()
}

/// The status in words.
const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        _ => "Error",
    }
}
