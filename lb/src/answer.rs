//! Where the answer to one sentence goes. Absent: the choice, the lanes, problems' words.
//!
//! A lane settles each [`Reply`] once. On a connection that the door serves the answer is written at once into the
//! connection's [`AnswerQueue`] (`queue.rs`), as a whole response (`http.rs`); a handler of the full HTTP server gets it
//! as a value.

mod http;
mod queue;
mod receipt;

use std::rc::Rc;

use tokio::sync::oneshot;
use wire::Problem;

use crate::problem::Failure;

pub(crate) use http::write_problem;
pub(crate) use queue::{AnswerQueue, Ticket};
pub(crate) use receipt::Receipt;

/// Whoever waits for the answer to one sentence.
pub(crate) enum Reply {
    /// A connection that the door serves, and the place of this answer among its answers.
    Connection {
        /// The connection's answers.
        answers: Rc<AnswerQueue>,
        /// The place.
        ticket: Ticket,
    },
    /// A handler of the full HTTP server.
    Handler(oneshot::Sender<Answer>),
}

/// An answer as a value.
pub(crate) type Answer = Result<Written, Failure>;

/// A stored sentence, written.
pub(crate) struct Written {
    /// The value of the `balanza-decision` header.
    pub(crate) decision: String,
    /// The body, a `wire::Routed`.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Delivers the answer. A client that has gone is no error: the sentence is stored all the same.
    pub(crate) fn settle(self, outcome: Result<Receipt<'_>, Failure>) {
        match self {
            Self::Connection { answers, ticket } => match outcome {
                Ok(receipt) => {
                    answers.settle(ticket, |out, tail| http::write_receipt(out, &receipt, tail));
                }
                Err(failure) => {
                    let retry_after = failure.retry_after();
                    let problem = Problem::from(failure);
                    answers.settle(ticket, |out, tail| write_problem(out, &problem, retry_after, tail));
                }
            },
            Self::Handler(sender) => {
                let answer = outcome.map(|receipt| {
                    let (mut decision, mut body) = (Vec::new(), Vec::new());
                    receipt.write_decision(&mut decision);
                    receipt.body().write(&mut body);
                    Written { decision: String::from_utf8(decision).unwrap_or_default(), body }
                });
                drop(sender.send(answer));
            }
        }
    }
}
