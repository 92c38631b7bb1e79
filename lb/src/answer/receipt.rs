//! PURE. What a stored sentence is answered with: the body and the decision behind it. A client's raw author and sentence
//! are carried into the answer byte for byte. Absent: HTTP, and who waits for it.

use wire::template::{Data, Routed};

use crate::fleet::Assignment;
use crate::policy::{Candidate, Reason};

/// A sentence that a node has stored.
pub(crate) struct Receipt<'a> {
    /// The node's name.
    pub(crate) node: &'a str,
    /// How the node was chosen.
    pub(crate) assignment: &'a Assignment,
    /// The sentence as stored.
    pub(crate) data: Data<'a>,
}

impl Receipt<'_> {
    /// The body of the answer.
    pub(super) fn body(&self) -> Routed<'_> {
        let filter = self.assignment.reason.filter(self.node);
        Routed { server: self.node, filter, data: self.data }
    }

    /// The node, the reason and its numbers as an RFC 8941 dictionary.
    pub(super) fn write_decision(&self, out: &mut Vec<u8>) {
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
                push_number(out, number);
            }
        }
    }
}

/// Appends texts one after the other.
pub(super) fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends a number in decimal digits.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
