//! What can go wrong with one post at a made-up node. Absent: doing it, which is `node.rs`'s.

use serde_json::json;

use crate::random::Random;

/// What a node does with one post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is wrong.
    None,
    /// It takes its time, before storing and before answering.
    Late,
    /// It closes before it stores anything.
    LostPost,
    /// It stores and closes instead of answering.
    LostAnswer,
    /// It stores and closes in the middle of its answer.
    Truncated,
    /// It stores and answers twice.
    Doubled,
    /// It stores and answers what is no answer.
    Garbled,
    /// It stores, or not, and never answers.
    Silent { stores: bool },
    /// It answers with this status and stores nothing.
    Refused(u16),
    /// It stores, or not, and answers that it cannot tell.
    Ambiguous { stores: bool },
    /// It stores, or not, and breaks down with a status that says nothing of storing.
    Broken { stores: bool },
    /// It fails every other sentence; whether it stored those it cannot tell.
    AmbiguousItems { stores: bool },
    /// It surely did not store every other sentence.
    FailedItems,
}

impl Fault {
    /// Draws one; of a hundred posts, `faults` meet any.
    pub(super) fn draw(random: &mut Random, faults: u64) -> Self {
        if random.below(100) >= faults {
            return Self::None;
        }
        let stores = random.below(2) == 0;
        match random.below(12) {
            0 => Self::Late,
            1 => Self::LostPost,
            2 => Self::LostAnswer,
            3 => Self::Truncated,
            4 => Self::Doubled,
            5 => Self::Garbled,
            6 => Self::Silent { stores },
            7 => Self::Refused([429, 503, 507, 413][usize::try_from(random.below(4)).unwrap()]),
            8 => Self::Ambiguous { stores },
            9 => Self::Broken { stores },
            10 => Self::AmbiguousItems { stores },
            _ => Self::FailedItems,
        }
    }
}

/// The answer's lines with every other sentence failed. What is stored and was known before is told as a duplicate all
/// the same, unless the node cannot tell.
pub(super) fn failed_items(lines: &[(bool, String)], ambiguous: bool) -> String {
    let mut answer = String::new();
    for (place, (is_stored, line)) in lines.iter().enumerate() {
        if place % 2 == 0 || (*is_stored && !ambiguous) {
            answer.push_str(line);
            continue;
        }
        let id: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut error = wire::Problem::new(503, "store-unavailable", "x", "the store failed");
        error.ambiguous = ambiguous;
        let failed = json!({"status": "failed", "id": id["id"], "error": error});
        answer.push_str(&format!("{failed}\n"));
    }
    answer
}
