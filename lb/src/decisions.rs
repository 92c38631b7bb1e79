//! PURE. The newest choices with the numbers compared, for `GET /decisions`. Recording copies numbers only; names and
//! dates are made when somebody reads. Absent: the choice itself.

use std::collections::VecDeque;
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
        candidates.extend_from_slice(&compared[..compared.len().min(MAX_CANDIDATES)]);
        let decision = Decision { id, at, node: made.node(), reason: made.reason, candidates };
        self.newest_last.push_back(decision);
    }

    /// The newest `limit` decisions, newest first. `now` and `wall` are the same moment on both clocks.
    pub(crate) fn view(&self, limit: usize, fleet: &Fleet, now: Instant, wall: Date) -> Vec<DecisionView> {
        let name = |key| fleet.node(key).map_or_else(|| "(removed)".to_owned(), |node| node.name.clone());
        let view = |decision: &Decision| {
            let age =
                i64::try_from(now.saturating_duration_since(decision.at).as_micros()).unwrap_or(i64::MAX);
            let node = name(decision.node);
            DecisionView {
                at: Date::from_unix_micros(wall.unix_micros().saturating_sub(age)),
                id: decision.id,
                filter: Filter(decision.reason.filter(&node).to_owned()),
                node,
                candidates: decision.candidates.iter().map(|c| candidate(c, name(c.node))).collect(),
            }
        };
        self.newest_last.iter().rev().take(limit).map(view).collect()
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
        let views = decisions.view(usize::MAX, &fleet, now, wall);
        assert_eq!(views.len(), KEPT);
        assert_eq!(views[0].id, id(KEPT as u128 + 4));
        assert_eq!(views[KEPT - 1].id, id(5));
        assert_eq!(views[0].at.unix_micros(), 750_000);
        assert_eq!((views[0].node.as_str(), views[0].candidates[0].ram), ("A", Some(41)));
        assert_eq!(decisions.view(3, &fleet, now, wall).len(), 3);
    }
}
