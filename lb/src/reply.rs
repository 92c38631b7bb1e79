//! Where the answer to one sentence goes, and how a stored sentence is written. A client's raw author and sentence are
//! carried into the answer byte for byte. Absent: the choice, the lanes, problems' words.

use std::rc::Rc;

use tokio::sync::oneshot;
use wire::Problem;

use crate::door::desk::{Desk, Tail, Ticket};
use crate::fleet::Assignment;
use crate::policy::{Candidate, Reason};
use crate::problem::Failure;

/// Whoever waits for the answer to one sentence.
pub(crate) enum Reply {
    /// A client connection at the door, and the place of this answer among its answers.
    Door {
        /// The connection's answers.
        desk: Rc<Desk>,
        /// The place.
        ticket: Ticket,
    },
    /// A handler of the full HTTP server.
    Handler(oneshot::Sender<Answer>),
}

/// An answer on its own, for the full HTTP server.
pub(crate) type Answer = Result<Written, Failure>;

/// A stored sentence, written.
pub(crate) struct Written {
    /// The value of the `balanza-decision` header.
    pub(crate) decision: String,
    /// The body, a `wire::Routed`.
    pub(crate) body: Vec<u8>,
}

/// A sentence that a node has stored.
pub(crate) struct Receipt<'a> {
    /// The node's name.
    pub(crate) node: &'a str,
    /// How the node was chosen.
    pub(crate) assignment: &'a Assignment,
    /// The sentence as stored.
    pub(crate) data: Data<'a>,
}

/// A stored sentence as its answer carries it.
pub(crate) enum Data<'a> {
    /// Stored now: the client's own literals beside id and date.
    Fresh {
        /// JSON literal with its quotes.
        author: &'a str,
        /// Date in its written form, without quotes.
        date: &'a str,
        /// Id in its written form, without quotes.
        id: &'a str,
        /// JSON literal with its quotes.
        sentence: &'a str,
    },
    /// The JSON object that the node wrote.
    Whole(&'a [u8]),
}

impl Reply {
    /// Delivers the answer. A client that has gone is no error: the sentence is stored all the same.
    pub(crate) fn settle(self, outcome: Result<Receipt<'_>, Failure>) {
        match self {
            Self::Door { desk, ticket } => match outcome {
                Ok(receipt) => desk.settle(ticket, |out, tail| receipt.write_response(out, tail)),
                Err(failure) => {
                    let retry_after = failure.retry_after();
                    let problem = Problem::from(failure);
                    desk.settle(ticket, |out, tail| write_problem(out, &problem, retry_after, tail));
                }
            },
            Self::Handler(sender) => {
                let answer = outcome.map(|receipt| {
                    let (mut decision, mut body) = (Vec::new(), Vec::new());
                    receipt.write_decision(&mut decision);
                    receipt.write_body(&mut body);
                    Written { decision: String::from_utf8(decision).unwrap_or_default(), body }
                });
                drop(sender.send(answer));
            }
        }
    }
}

impl Receipt<'_> {
    fn write_response(&self, out: &mut Vec<u8>, tail: &Tail<'_>) {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nbalanza-decision: ");
        self.write_decision(out);
        out.extend_from_slice(b"\r\ncontent-length: ");
        write_number(out, self.body_len() as u64);
        write_end_of_head(out, tail);
        self.write_body(out);
    }

    /// The length of what [`Receipt::write_body`] writes.
    fn body_len(&self) -> usize {
        let data = match &self.data {
            Data::Fresh { author, date, id, sentence } => {
                FRESH.iter().map(|part| part.len()).sum::<usize>()
                    + author.len()
                    + date.len()
                    + id.len()
                    + sentence.len()
            }
            Data::Whole(json) => json.len(),
        };
        let filter = self.assignment.reason.filter(self.node);
        ROUTED.iter().map(|part| part.len()).sum::<usize>() + self.node.len() + filter.len() + data
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        // Names of nodes are plain by configuration and need no escapes.
        let filter = self.assignment.reason.filter(self.node);
        let [server, then_filter, then_data, end] = ROUTED;
        push(out, &[server, self.node, then_filter, filter, then_data]);
        match &self.data {
            Data::Fresh { author, date, id, sentence } => {
                let [then_author, then_date, then_id, then_sentence, end] = FRESH;
                push(out, &[then_author, author, then_date, date, then_id, id, then_sentence, sentence, end]);
            }
            Data::Whole(json) => out.extend_from_slice(json),
        }
        push(out, &[end]);
    }

    /// The node, the reason and its numbers as an RFC 8941 dictionary.
    fn write_decision(&self, out: &mut Vec<u8>) {
        let Assignment { chosen, reason } = self.assignment;
        let Candidate { documents, ram, cpu, age_ms, .. } = chosen;
        let reason = match reason {
            Reason::FirstByName => "first-by-name",
            other => other.filter(self.node),
        };
        push(out, &["node=\"", self.node, "\", reason=", reason]);
        let percent = |share: &Option<u8>| share.map(u64::from);
        let numbers = [
            (", documents=", *documents),
            (", ram=", percent(ram)),
            (", cpu=", percent(cpu)),
            (", age-ms=", age_ms.map(u64::from)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                push(out, &[name]);
                write_number(out, number);
            }
        }
    }
}

/// The fixed parts of a `wire::Routed`, between which server, filter and data stand.
const ROUTED: [&str; 4] = [r#"{"server":""#, r#"","filter":""#, r#"","data":"#, "}"];

/// The fixed parts of a `wire::StoredSentence`, between which author, date, id and sentence stand.
const FRESH: [&str; 5] = [r#"{"author":"#, r#","date":""#, r#"","id":""#, r#"","sentence":"#, "}"];

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes a problem as a whole response.
pub(crate) fn write_problem(out: &mut Vec<u8>, problem: &Problem, retry_after: Option<u32>, tail: &Tail<'_>) {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    push(out, &["HTTP/1.1 "]);
    write_number(out, u64::from(problem.status));
    push(out, &[" ", phrase(problem.status), "\r\ncontent-type: ", wire::contract::PROBLEM_JSON]);
    if let Some(seconds) = retry_after {
        push(out, &["\r\nretry-after: "]);
        write_number(out, u64::from(seconds));
    }
    push(out, &["\r\ncontent-length: "]);
    write_number(out, body.len() as u64);
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
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

/// Writes `number` in decimal digits.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::NodeKey;
    use wire::Routed;

    fn assignment() -> Assignment {
        let chosen = Candidate {
            node: NodeKey(0),
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
        let data = Data::Fresh {
            author: r#""An\u0061""#,
            date: "2020-10-08 16:51:30.506529",
            id: "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b",
            sentence: r#""Qué \"tal\"""#,
        };
        let receipt = Receipt { node: "A", assignment: &assignment(), data };
        let mut out = Vec::new();
        let tail = Tail { date: "Mon, 23 Nov 2026 06:08:12 GMT", close: true };
        receipt.write_response(&mut out, &tail);
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

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
