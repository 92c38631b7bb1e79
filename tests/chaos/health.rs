//! PURE. Who was disturbed when, and so which errors of clients a run excuses and how long it was silent though somebody
//! could have answered. Absent: disturbing anybody.

use crate::fault::{Kind, Target};
use crate::history::{Outcome, Post};

/// A node counts as able only after this long without a disturbance: a balancer needs a moment to see that it is back.
pub(crate) const GRACE_MS: u64 = 2_000;

/// One fault as it happened, in milliseconds of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disturbance {
    /// What.
    pub(crate) kind: Kind,
    /// The number of the balancer for faults of balancers, else of the node.
    pub(crate) target: usize,
    /// When it began.
    pub(crate) from_ms: u64,
    /// When it was over: what was killed runs again, what was stopped goes on. `u64::MAX` while it is not.
    pub(crate) until_ms: u64,
}

impl Disturbance {
    fn overlaps(&self, from_ms: u64, until_ms: u64) -> bool {
        self.from_ms <= until_ms && from_ms <= self.until_ms
    }

    fn hits_node(&self, node: usize) -> bool {
        self.kind.disturbs_node() && self.target == node
    }

    fn hits_balancer(&self, balancer: usize) -> bool {
        self.kind.target() == Target::Balancer && self.target == balancer
    }
}

/// The faults of a run and whom they could hit.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// How many nodes there are.
    pub(crate) n_nodes: usize,
    /// How many balancers there are.
    pub(crate) n_balancers: usize,
    /// All that happened.
    pub(crate) disturbances: Vec<Disturbance>,
}

impl Health {
    /// Whether a post that ended without an acknowledgement had a reason outside: its balancer was disturbed, or no node
    /// was able from before its start to its end.
    pub(crate) fn excuses(&self, post: &Post) -> bool {
        let balancer = self.disturbances.iter().filter(|one| one.hits_balancer(post.balancer));
        let was_balancer = balancer.into_iter().any(|one| one.overlaps(post.began_ms, post.ended_ms));
        let answered = matches!(post.outcome, Outcome::Problem { .. });
        (was_balancer && !answered) || !self.had_able_node(post.began_ms, post.ended_ms)
    }

    /// The faults that touch this time, widened by the grace.
    pub(crate) fn near(&self, from_ms: u64, until_ms: u64) -> impl Iterator<Item = &Disturbance> {
        let (from, until) = (from_ms.saturating_sub(GRACE_MS), until_ms.saturating_add(GRACE_MS));
        self.disturbances.iter().filter(move |one| one.overlaps(from, until))
    }

    /// The longest time between two of these acknowledgements, and the longest part of such a time in which a node and a
    /// balancer were able throughout. `acknowledged_ms` is by time; the run goes from 0 to `end_ms`.
    pub(crate) fn longest_gaps_ms(&self, acknowledged_ms: &[u64], end_ms: u64) -> (u64, u64) {
        let within = acknowledged_ms.iter().copied().filter(|at| *at <= end_ms);
        let marks: Vec<u64> = [0].into_iter().chain(within).chain([end_ms]).collect();
        let gaps = marks.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
        let able = self.able_times(end_ms);
        let mut longest = (0, 0);
        for (from, until) in gaps {
            longest.0 = longest.0.max(until - from);
            if until - from > longest.1 {
                let shared =
                    able.iter().map(|(begin, end)| (*end).min(until).saturating_sub((*begin).max(from)));
                longest.1 = longest.1.max(shared.max().unwrap_or(0));
            }
        }
        longest
    }

    fn had_able_node(&self, from_ms: u64, until_ms: u64) -> bool {
        let since = from_ms.saturating_sub(GRACE_MS);
        let is_hit =
            |node| self.disturbances.iter().any(|one| one.hits_node(node) && one.overlaps(since, until_ms));
        (0..self.n_nodes).any(|node| !is_hit(node))
    }

    /// The times in which one node and one balancer were able, each as long as it lasts.
    fn able_times(&self, end_ms: u64) -> Vec<(u64, u64)> {
        let mut turns: Vec<u64> = self
            .disturbances
            .iter()
            .flat_map(|one| [one.from_ms, one.until_ms, one.until_ms.saturating_add(GRACE_MS)])
            .chain([0, end_ms])
            .filter(|at| *at <= end_ms)
            .collect();
        turns.sort_unstable();
        turns.dedup();
        let mut times: Vec<(u64, u64)> = Vec::new();
        for pair in turns.windows(2) {
            let &[from, until] = pair else { continue };
            // Both ends are turns themselves; what lies between them has one state.
            let middle = from + (until - from) / 2;
            if !(self.had_able_node(middle, middle) && self.had_able_balancer(middle)) {
                continue;
            }
            match times.last_mut() {
                Some((_, end)) if *end == from => *end = until,
                _ => times.push((from, until)),
            }
        }
        times
    }

    fn had_able_balancer(&self, at_ms: u64) -> bool {
        let is_hit = |balancer| {
            self.disturbances.iter().any(|one| one.hits_balancer(balancer) && one.overlaps(at_ms, at_ms))
        };
        (0..self.n_balancers).any(|balancer| !is_hit(balancer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::post;

    /// Two nodes and a balancer under these faults.
    fn health(faults: &[(Kind, usize, u64, u64)]) -> Health {
        let disturbances = faults
            .iter()
            .map(|&(kind, target, from_ms, until_ms)| Disturbance { kind, target, from_ms, until_ms })
            .collect();
        Health { n_nodes: 2, n_balancers: 1, disturbances }
    }

    fn down() -> Outcome {
        Outcome::Problem { status: 503, code: "down".to_owned(), ambiguous: false }
    }

    #[test]
    fn an_error_is_excused_only_while_no_node_was_able() {
        let one = health(&[(Kind::NodeKill, 0, 5_000, 9_000)]);
        assert!(!one.excuses(&post(6_000, 7_000, down())));
        let both = health(&[(Kind::NodeKill, 0, 5_000, 9_000), (Kind::HalfOpen, 1, 8_000, 8_500)]);
        assert!(both.excuses(&post(8_100, 8_200, down())));
        assert!(both.excuses(&post(9_400, 9_500, down())), "within the grace");
        assert!(!both.excuses(&post(10_501, 10_600, down())), "the second has been back long enough");
        let readdressed = health(&[(Kind::Readdress, 0, 5_000, 5_000), (Kind::Reload, 1, 5_000, 5_000)]);
        assert!(!readdressed.excuses(&post(5_000, 5_001, down())), "another URL disturbs no node");
    }

    #[test]
    fn a_balancer_that_is_gone_excuses_silence_but_no_answer() {
        let gone = health(&[(Kind::LbKill, 0, 1_000, 1_500)]);
        assert!(gone.excuses(&post(900, 1_000, Outcome::Broken("reset".to_owned()))));
        assert!(gone.excuses(&post(1_200, 1_201, Outcome::NoConnection("refused".to_owned()))));
        assert!(!gone.excuses(&post(1_501, 1_600, Outcome::Broken("reset".to_owned()))));
        assert!(!gone.excuses(&post(1_400, 1_600, down())), "who answers must answer well");
    }

    #[test]
    fn gaps_are_told_whole_and_as_far_as_somebody_was_able() {
        let quiet = health(&[]);
        assert_eq!(quiet.longest_gaps_ms(&[100, 400, 450], 600), (300, 300));
        assert_eq!(quiet.longest_gaps_ms(&[], 600), (600, 600));
        assert_eq!(
            quiet.longest_gaps_ms(&[600, 900], 600),
            (600, 600),
            "what comes after the end is no matter"
        );
        let gone = health(&[(Kind::LbStop, 0, 1_000, 1_500)]);
        assert_eq!(gone.longest_gaps_ms(&[900, 1_800], 1_900), (900, 900), "able before the first of them");
        assert_eq!(gone.longest_gaps_ms(&[850, 950, 1_800], 1_900).0, 850);
        let gaps = gone.longest_gaps_ms(&(0..96).map(|n| n * 10).chain([1_800]).collect::<Vec<_>>(), 1_900);
        assert_eq!(gaps, (850, 300), "from the balancer's return to the next acknowledgement");
    }

    #[test]
    fn what_is_near_is_within_the_grace() {
        let health = health(&[(Kind::NodeStop, 0, 1_000, 2_000), (Kind::Drain, 1, 9_000, 9_500)]);
        assert_eq!(health.near(3_900, 4_000).count(), 1);
        assert_eq!(health.near(4_001, 6_000).count(), 0);
    }
}
