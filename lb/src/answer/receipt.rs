//! PURE. What a stored sentence is answered with: the body and the decision behind it. A client's raw author and sentence
//! are carried into the answer byte for byte. Absent: HTTP, and who waits for it.

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

impl Receipt<'_> {
    /// The length of what [`Receipt::write_body`] writes, in bytes.
    pub(super) fn body_len(&self) -> usize {
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

    /// Writes the body, a `wire::Routed`.
    pub(super) fn write_body(&self, out: &mut Vec<u8>) {
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

/// The fixed parts of a `wire::Routed`, between which server, filter and data stand.
const ROUTED: [&str; 4] = [r#"{"server":""#, r#"","filter":""#, r#"","data":"#, "}"];

/// The fixed parts of a `wire::StoredSentence`, between which author, date, id and sentence stand.
const FRESH: [&str; 5] = [r#"{"author":"#, r#","date":""#, r#"","id":""#, r#"","sentence":"#, "}"];

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
