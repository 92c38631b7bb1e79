//! What an answer of the balancer means for the sentence that was posted. PURE.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::cause::Cause;
use crate::printable::fitted;

/// Longest wait that a `Retry-After` is followed for.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(10);

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored, durably.
    Stored {
        /// The node that holds it.
        node: String,
        /// Which part of the rule chose the node.
        filter: String,
    },
    /// Not now; the same sentence may be posted again under the same id.
    Later {
        /// Why not.
        cause: Cause,
        /// How long the balancer asks to wait.
        after: Option<Duration>,
        /// Whether a balancer answered at all.
        reached: bool,
    },
    /// Not stored, and a repeat would not help.
    Refused(Cause),
}

/// The parts of a routed answer that the old balancer has too.
#[derive(Deserialize)]
struct RoutedHead {
    server: String,
    filter: String,
}

/// The parts of a problem that matter here; each may be missing from a foreign server's answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ProblemHead {
    title: Option<String>,
    detail: Option<String>,
    remedy: Option<String>,
    field: Option<String>,
    message: Option<String>,
}

/// Reads the answer to `POST /sentence`.
pub fn judge(status: u16, retry_after: Option<&str>, body: &[u8]) -> Answer {
    if (200..300).contains(&status) {
        if let Ok(RoutedHead { server, filter }) = serde_json::from_slice(body) {
            return Answer::Stored { node: server, filter };
        }
        let message = serde_json::from_slice::<ProblemHead>(body).ok().and_then(|problem| problem.message);
        if message.as_deref() == Some("down") {
            // The balancer of 2020 says so with status 200.
            return Answer::Later { cause: no_node(status), after: None, reached: true };
        }
    }
    let cause = cause_of(status, body);
    match status {
        503 | 429 => {
            let asked = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            Answer::Later { cause, after: asked.map(|wait| wait.min(LONGEST_ASKED_WAIT)), reached: true }
        }
        _ => Answer::Refused(cause),
    }
}

/// The problem that a failed request was answered with.
pub fn cause_of(status: u16, body: &[u8]) -> Cause {
    let is_object = serde_json::from_slice::<Value>(body).is_ok_and(|value| value.is_object());
    let problem = if is_object {
        serde_json::from_slice::<ProblemHead>(body).unwrap_or_default()
    } else {
        ProblemHead::default()
    };
    if problem.detail.is_none() && problem.message.as_deref() == Some("down") {
        return no_node(status);
    }
    match problem.detail.or(problem.message).or(problem.title) {
        Some(detail) => Cause { detail, remedy: problem.remedy, field: problem.field, status: Some(status) },
        None => {
            let shown = String::from_utf8_lossy(body.get(..400).unwrap_or(body)).trim().to_owned();
            let shown =
                if shown.is_empty() { "nothing".to_owned() } else { format!("“{}”", fitted(&shown, 80)) };
            let detail = format!("status {status} and {shown} is no answer of a balancer");
            Cause { status: Some(status), ..Cause::new(detail) }.with_remedy("check the address")
        }
    }
}

fn no_node(status: u16) -> Cause {
    Cause { status: Some(status), ..Cause::new("no node can take a sentence") }
        .with_remedy("see `balanza fleet` for the nodes' errors")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(status: u16, retry_after: Option<&str>, body: &str, expected: &str) {
        let told = match judge(status, retry_after, body.as_bytes()) {
            Answer::Stored { node, filter } => format!("stored {node} {filter}"),
            Answer::Later { cause, after, .. } => format!("later {after:?} {cause}"),
            Answer::Refused(cause) => format!("refused {cause}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn answers_of_both_balancers_are_read() {
        check(200, None, r#"{"server":"A","filter":"ram","data":{"author":"a"}}"#, "stored A ram");
        let down = "no node can take a sentence; see `balanza fleet` for the nodes' errors";
        check(200, None, r#"{"message":"down"}"#, &format!("later None {down}"));
        check(503, Some("1"), r#"{"message":"down"}"#, &format!("later Some(1s) {down}"));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_bounded() {
        check(503, Some("86400"), r#"{"detail":"busy"}"#, "later Some(10s) busy");
        check(503, Some("soon"), r#"{"detail":"busy"}"#, "later None busy");
    }

    #[test]
    fn a_refusal_keeps_its_cause_and_remedy() {
        let body = r#"{"title":"The body is no sentence","detail":"`author` is empty","remedy":"send one","field":"author","message":"x"}"#;
        check(400, None, body, "refused `author` is empty; send one");
        assert_eq!(cause_of(400, body.as_bytes()).field.as_deref(), Some("author"));
    }

    #[test]
    fn a_foreign_answer_is_shown_as_it_is() {
        check(
            404,
            None,
            "<html>\x1b[2J",
            "refused status 404 and “<html>\u{fffd}[2J” is no answer of a balancer; check the address",
        );
        check(200, None, "", "refused status 200 and nothing is no answer of a balancer; check the address");
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(status: u16, body in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(judge(status, Some("x"), &body));
        }
    }
}
