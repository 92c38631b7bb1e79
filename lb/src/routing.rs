//! PURE. Where sentences go: the fleet, the decisions taken over it, and the ids that are known to be somewhere. Choosing
//! a node, reserving its place and noting both are one step. Absent: the lock around that step; the rule, which is in
//! `policy.rs`.

use std::time::Instant;

use crate::decisions::Decisions;
use crate::fleet::{Assignment, Fleet, NodeKey};
use crate::known_ids::KnownIds;
use crate::problem::Failure;
use crate::sentence::Sentence;

/// The fleet, and what was decided over it.
pub(crate) struct Routing {
    /// The nodes.
    pub(crate) fleet: Fleet,
    /// The newest choices.
    pub(crate) decisions: Decisions,
    /// Where ids have gone that may come again.
    pub(crate) known_ids: KnownIds,
}

/// A node for a sentence, already reserved.
pub(crate) struct Choice {
    /// The reservation.
    pub(crate) assignment: Assignment,
    /// Whether an earlier post of the same id went there.
    pub(crate) is_repeat: bool,
}

impl Routing {
    /// Nothing is decided yet.
    pub(crate) fn new(fleet: Fleet) -> Self {
        Self { fleet, decisions: Decisions::default(), known_ids: KnownIds::default() }
    }

    /// Chooses a node for the sentence, none of `tried`, and reserves its place. A client's id that has come before goes
    /// where it went then.
    ///
    /// # Errors
    /// Says why no node can take the sentence; nothing is reserved then.
    pub(crate) fn choose(
        &mut self,
        sentence: &Sentence<'_>,
        now: Instant,
        tried: &[NodeKey],
    ) -> Result<Choice, Failure> {
        let Self { fleet, decisions, known_ids } = self;
        // A sentence that was tried somewhere is on its way already, and surely not stored there.
        let is_first = sentence.is_clients && tried.is_empty();
        let before = is_first.then(|| known_ids.of(sentence.id)).flatten().and_then(|key| fleet.node(key));
        let before = before.map(|node| (node.key, node.name.clone()));
        let is_repeat = before.is_some();
        let assignment = match before {
            None => fleet.assign(now, tried).map_err(Failure::NoNode)?,
            Some((key, node)) => {
                let others: Vec<NodeKey> =
                    fleet.nodes().iter().map(|node| node.key).filter(|other| *other != key).collect();
                fleet.assign(now, &others).map_err(|_| Failure::InDoubt {
                    id: sentence.id,
                    node,
                    why: "an earlier post of this id went there, and it takes none now".to_owned(),
                })?
            }
        };
        if sentence.is_clients {
            known_ids.note(sentence.id, assignment.node());
        }
        decisions.record(sentence.id, now, &assignment, fleet.compared());
        Ok(Choice { assignment, is_repeat })
    }
}
