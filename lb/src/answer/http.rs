//! PURE. Writes answers as whole HTTP/1.1 responses, into the buffer that goes to the client. Absent: sockets; the order
//! of answers.

use wire::Problem;

use super::receipt::{Receipt, push, push_number};

/// What ends the head of every answer.
pub(crate) struct Tail<'a> {
    /// The value of the `date` header.
    pub(crate) date: &'a str,
    /// Whether the connection ends after the answer.
    pub(crate) close: bool,
}

/// Writes a stored sentence.
pub(super) fn write_receipt(out: &mut Vec<u8>, receipt: &Receipt<'_>, tail: &Tail<'_>) {
    push(out, &["HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nbalanza-decision: "]);
    receipt.write_decision(out);
    push(out, &["\r\ncontent-length: "]);
    let body = receipt.body();
    push_number(out, body.written_len() as u64);
    write_end_of_head(out, tail);
    body.write(out);
}

/// Writes a problem.
pub(crate) fn write_problem(out: &mut Vec<u8>, problem: &Problem, retry_after: Option<u32>, tail: &Tail<'_>) {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    push(out, &["HTTP/1.1 "]);
    push_number(out, u64::from(problem.status));
    push(out, &[" ", phrase(problem.status), "\r\ncontent-type: ", wire::contract::PROBLEM_JSON]);
    if let Some(seconds) = retry_after {
        push(out, &["\r\nretry-after: "]);
        push_number(out, u64::from(seconds));
    }
    push(out, &["\r\ncontent-length: "]);
    push_number(out, body.len() as u64);
    write_end_of_head(out, tail);
    out.extend_from_slice(&body);
}

fn write_end_of_head(out: &mut Vec<u8>, tail: &Tail<'_>) {
    let end = if tail.close { "\r\nconnection: close\r\n\r\n" } else { "\r\n\r\n" };
    push(out, &["\r\ndate: ", tail.date, end]);
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Assignment, NodeKey};
    use crate::policy::{Candidate, Reason};
    use wire::Routed;
    use wire::template::{Data, Fresh};

    fn assignment() -> Assignment {
        let chosen = Candidate {
            node: NodeKey::of_slot(0),
            documents: Some(12),
            ram: Some(41),
            cpu: None,
            in_flight: 0,
            age_ms: Some(120),
        };
        Assignment { chosen, reason: Reason::Database }
    }

    #[test]
    fn a_stored_sentence_is_answered_in_the_old_form() {
        let data = Data::Fresh(Fresh {
            author: r#""An\u0061""#,
            date: "2020-10-08 16:51:30.506529",
            id: "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b",
            sentence: r#""Qué \"tal\"""#,
        });
        let receipt = Receipt { node: "A", assignment: &assignment(), data };
        let mut out = Vec::new();
        let tail = Tail { date: "Mon, 23 Nov 2026 06:08:12 GMT", close: true };
        write_receipt(&mut out, &receipt, &tail);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(
                "balanza-decision: node=\"A\", reason=database, documents=12, ram=41, age-ms=120\r\n"
            )
        );
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(head.ends_with("\r\ndate: Mon, 23 Nov 2026 06:08:12 GMT\r\nconnection: close"));
        let routed: Routed = serde_json::from_str(body).unwrap();
        assert_eq!((routed.server.as_str(), routed.filter.0.as_str()), ("A", "database"));
        assert_eq!((routed.data.author.as_str(), routed.data.sentence.as_str()), ("Ana", "Qué \"tal\""));
        assert_eq!(serde_json::to_string(&routed).unwrap(), body.replace(r"\u0061", "a"));
    }
}
