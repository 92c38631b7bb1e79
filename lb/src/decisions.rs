//! PURE. The newest choices with the numbers compared, for `GET /decisions`. Recording copies numbers only; names and
//! dates are made when somebody reads. Absent: the choice itself.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use wire::{CandidateView, Date, DecisionView, Filter, SentenceId};

use crate::fleet::{Assignment, Fleet, NodeKey};
use crate::policy::{Candidate, Reason};

/// Decisions kept.
pub(crate) const KEPT: usize = 1024;

/// Candidates kept per decision: the first by name. A larger fleet would make every choice pay for its record.
const MAX_CANDIDATES: usize = 16;

struct Decision {
    id: SentenceId,
    at: Instant,
    node: NodeKey,
    reason: Reason,
    candidates: Vec<Candidate>,
}

/// A ring of the newest decisions.
#[derive(Default)]
pub(crate) struct Decisions {
    newest_last: VecDeque<Decision>,
}

impl Decisions {
    /// Notes a choice and what it was made from.
    pub(crate) fn record(&mut self, id: SentenceId, at: Instant, made: &Assignment, compared: &[Candidate]) {
        // The oldest entry lends its list, so a full ring does not allocate.
        let mut candidates = match self.newest_last.len() {
            KEPT => self.newest_last.pop_front().map(|oldest| oldest.candidates).unwrap_or_default(),
            _ => Vec::with_capacity(compared.len().min(MAX_CANDIDATES)),
        };
        candidates.clear();
        candidates.extend(compared.iter().take(MAX_CANDIDATES));
        let decision = Decision { id, at, node: made.node(), reason: made.reason, candidates };
        self.newest_last.push_back(decision);
    }

    /// A copy of the newest `limit` decisions with the names of their nodes. Copying numbers takes microseconds; the rest
    /// is for [`Newest::view`], without the lock that the ring stands behind.
    pub(crate) fn newest(&self, limit: usize, fleet: &Fleet) -> Newest {
        let mut newest = Newest {
            made: Vec::with_capacity(limit.min(self.newest_last.len())),
            candidates: Vec::new(),
            names: fleet.nodes().iter().map(|node| (node.key, node.name.clone())).collect(),
        };
        for decision in self.newest_last.iter().rev().take(limit) {
            let Decision { id, at, node, reason, ref candidates } = *decision;
            newest.candidates.extend_from_slice(candidates);
            newest.made.push(Made { id, at, node, reason, n_candidates: candidates.len() });
        }
        newest
    }
}

/// A decision without its candidates.
struct Made {
    id: SentenceId,
    at: Instant,
    node: NodeKey,
    reason: Reason,
    n_candidates: usize,
}

/// Decisions as they were at one moment, newest first.
pub(crate) struct Newest {
    made: Vec<Made>,
    /// Those of each decision in turn.
    candidates: Vec<Candidate>,
    names: HashMap<NodeKey, String>,
}

impl Newest {
    /// As `GET /decisions` tells them. `now` and `wall` are the same moment on both clocks.
    pub(crate) fn view(&self, now: Instant, wall: Date) -> Vec<DecisionView> {
        let mut candidates = self.candidates.iter();
        let view = |made: &Made| {
            let age = now.saturating_duration_since(made.at).as_micros();
            let node = self.name(made.node);
            DecisionView {
                at: Date::from_unix_micros(
                    wall.unix_micros().saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)),
                ),
                id: made.id,
                filter: Filter(made.reason.filter(node).to_owned()),
                node: node.to_owned(),
                candidates: candidates
                    .by_ref()
                    .take(made.n_candidates)
                    .map(|compared| candidate(compared, self.name(compared.node).to_owned()))
                    .collect(),
            }
        };
        self.made.iter().map(view).collect()
    }

    fn name(&self, key: NodeKey) -> &str {
        self.names.get(&key).map_or("(removed)", String::as_str)
    }
}

fn candidate(candidate: &Candidate, node: String) -> CandidateView {
    CandidateView {
        node,
        documents: candidate.documents,
        ram: candidate.ram,
        cpu: candidate.cpu,
        age_ms: candidate.age_ms.map(u64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Settings;
    use std::time::Duration;
    use wire::Usage;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the origin of this test's time")]
    fn the_newest_come_first_and_old_ones_leave() {
        let start = Instant::now();
        let mut fleet = Fleet::new(Settings::default(), 1);
        let key = fleet.add("A", "http://a:1");
        let began = fleet.poll_began(key).unwrap();
        fleet.polled(key, began, &Usage { cpu: "3".into(), database: 7, ram: "41".into() }, start);
        let mut decisions = Decisions::default();
        let id = |n: u128| SentenceId(uuid::Uuid::from_u128(n));
        for n in 0..KEPT as u128 + 5 {
            let made = fleet.assign(start, &[]).unwrap();
            decisions.record(id(n), start, &made, fleet.compared());
        }
        let wall = Date::from_unix_micros(1_000_000);
        let now = start + Duration::from_millis(250);
        let views = decisions.newest(usize::MAX, &fleet).view(now, wall);
        assert_eq!(views.len(), KEPT);
        assert_eq!(views[0].id, id(KEPT as u128 + 4));
        assert_eq!(views[KEPT - 1].id, id(5));
        assert_eq!(views[0].at.unix_micros(), 750_000);
        assert_eq!((views[0].node.as_str(), views[0].candidates[0].ram), ("A", Some(41)));
        assert_eq!(decisions.newest(3, &fleet).view(now, wall).len(), 3);
        fleet.remove(key);
        assert_eq!(decisions.newest(1, &fleet).view(now, wall)[0].node, "(removed)");
    }
}
