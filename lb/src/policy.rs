//! PURE. Ranks candidate nodes. Owns the rule, count then RAM then CPU then name, and the policies it is compared
//! with. Absent: health, reservations, time; a candidate that stands here can be chosen.
//!
//! Percents are compared as the integers that `/usage` shows. What is unknown ranks last, never as zero.

use std::fmt;
use std::str::FromStr;

/// How the fleet picks a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The rule: the fewest documents, then the lowest RAM, then the lowest CPU, then the first by name.
    #[default]
    CountRamCpu,
    /// Each node in turn, by name.
    RoundRobin,
    /// The fewest sentences under way, then the first by name.
    LeastInFlight,
    /// The one with fewer sentences under way of two picked at random.
    P2c,
}

/// Every policy by its name on the command line.
pub const POLICIES: [(&str, Policy); 4] = [
    ("count-ram-cpu", Policy::CountRamCpu),
    ("round-robin", Policy::RoundRobin),
    ("least-in-flight", Policy::LeastInFlight),
    ("p2c", Policy::P2c),
];

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Policy {
    /// The name on the command line and in `GET /fleet`.
    pub fn name(self) -> &'static str {
        POLICIES.iter().find(|(_, policy)| *policy == self).map_or("count-ram-cpu", |(name, _)| name)
    }
}

/// A text that names no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no policy; use count-ram-cpu, round-robin, least-in-flight or p2c")]
pub struct UnknownPolicy(String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let named = POLICIES.iter().find(|(name, _)| *name == text);
        named.map(|(_, policy)| *policy).ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// Names a node for as long as the process runs. A slot is used again once its node has left; the pair is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// Small, and unique among the nodes of a moment.
    pub slot: u32,
    /// How many nodes have had the slot, up to this one.
    pub life: u32,
}

#[cfg(test)]
impl NodeKey {
    /// The first node of a slot.
    pub(crate) fn of_slot(slot: u32) -> Self {
        Self { slot, life: 1 }
    }
}

/// What a policy sees of one node. Candidates come in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeKey,
    /// Documents, counting what is under way; `None` when no report has come yet.
    pub documents: Option<u64>,
    /// Used memory in whole percent; `None` when unknown or expired.
    pub ram: Option<u8>,
    /// Busy CPUs in whole percent; `None` when unknown or expired.
    pub cpu: Option<u8>,
    /// Sentences chosen for the node and not yet answered.
    pub in_flight: u64,
    /// Age of the report behind the numbers, in milliseconds.
    pub age_ms: Option<u32>,
}

/// What made the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It has the fewest documents.
    Database,
    /// Of those with the fewest documents it uses the least memory.
    Ram,
    /// Of those it has the least busy CPUs.
    Cpu,
    /// All of that is equal, and it is the first by name.
    FirstByName,
    /// Only this one of several configured nodes can be chosen.
    Down,
    /// The rule's first choice has as many sentences under way as it may.
    Overload,
    /// The rule's first choice came back far behind and takes only its share for now.
    Ramp,
    /// Another policy than the rule.
    Policy(Policy),
}

impl Reason {
    /// The `filter` of the wire; `node` is the name of the chosen node.
    pub fn filter(self, node: &str) -> &str {
        match self {
            Self::Database => "database",
            Self::Ram => "ram",
            Self::Cpu => "cpu",
            Self::FirstByName => node,
            Self::Down => "down",
            Self::Overload => "overload",
            Self::Ramp => "ramp",
            Self::Policy(policy) => policy.name(),
        }
    }
}

/// Applies the rule. `None` only for no candidates at all.
pub fn by_rule(candidates: &[Candidate]) -> Option<(&Candidate, Reason)> {
    let mut rest = candidates.iter();
    let mut best = rest.next()?;
    let mut lead = Lead::Count;
    for candidate in rest {
        // The first of equals stays, and candidates come by name: the last tie ends on the name by itself.
        if rank(candidate) < rank(best) {
            // In this order nobody passed so far shares more numbers with the new best than the old best does.
            lead = Lead::over(best, candidate);
            best = candidate;
        } else {
            lead = lead.max(Lead::over(candidate, best));
        }
    }
    Some((best, lead.reason()))
}

/// The first number in which the best differs from another candidate; the furthest of these made the choice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lead {
    Count,
    Ram,
    Cpu,
    Name,
}

impl Lead {
    fn over(other: &Candidate, best: &Candidate) -> Self {
        let (other, best) = (rank(other), rank(best));
        if other.0 != best.0 {
            Self::Count
        } else if other.1 != best.1 {
            Self::Ram
        } else if other.2 != best.2 {
            Self::Cpu
        } else {
            Self::Name
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Count => Reason::Database,
            Self::Ram => Reason::Ram,
            Self::Cpu => Reason::Cpu,
            Self::Name => Reason::FirstByName,
        }
    }
}

/// Unknown ranks after every number.
fn rank(candidate: &Candidate) -> (u64, u8, u8) {
    (
        candidate.documents.unwrap_or(u64::MAX),
        candidate.ram.unwrap_or(u8::MAX),
        candidate.cpu.unwrap_or(u8::MAX),
    )
}

/// The candidate whose turn it is: the first by name after `last`, or the first of all.
pub fn in_turn(candidates: &[Candidate], last: Option<usize>) -> Option<&Candidate> {
    let next = last.map_or(0, |last| last + 1);
    candidates.get(next % candidates.len().max(1))
}

/// The candidate with the fewest sentences under way, the first by name among equals.
pub fn least_in_flight(candidates: &[Candidate]) -> Option<&Candidate> {
    candidates.iter().min_by_key(|candidate| candidate.in_flight)
}

/// Of two different candidates drawn by `random`, the one with fewer sentences under way.
pub fn best_of_two(candidates: &[Candidate], random: u64) -> Option<&Candidate> {
    let n = u64::try_from(candidates.len()).ok().filter(|n| *n > 0)?;
    let first = random % n;
    // The second is drawn from the other n − 1, so that the two never coincide.
    let second = if n == 1 { first } else { (first + 1 + (random >> 32) % (n - 1)) % n };
    let at = |index: u64| usize::try_from(index).ok().and_then(|index| candidates.get(index));
    let (first, second) = (at(first)?, at(second)?);
    Some(if second.in_flight < first.in_flight { second } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Documents, RAM and CPU.
    type Row = (Option<u64>, Option<u8>, Option<u8>);

    fn candidates(rows: &[Row]) -> Vec<Candidate> {
        let row = |(index, (documents, ram, cpu)): (u32, &Row)| Candidate {
            node: NodeKey::of_slot(index),
            documents: *documents,
            ram: *ram,
            cpu: *cpu,
            in_flight: 0,
            age_ms: None,
        };
        (0..).zip(rows).map(row).collect()
    }

    /// `4/20/5` is 4 documents, 20 % RAM, 5 % CPU; `-` is unknown; nodes are A, B, C, … in order.
    fn check(nodes: &str, expected: &str) {
        let number = |text: &str| text.parse::<u64>().ok();
        let percent = |text: &str| text.parse::<u8>().ok();
        let rows: Vec<_> = nodes
            .split_whitespace()
            .map(|node| {
                let mut parts = node.split('/');
                let mut part = || parts.next().unwrap();
                (number(part()), percent(part()), percent(part()))
            })
            .collect();
        let candidates = candidates(&rows);
        let (best, reason) = by_rule(&candidates).unwrap();
        let name = char::from(b'A' + u8::try_from(best.node.slot).unwrap()).to_string();
        assert_eq!(format!("{name} {}", reason.filter(&name)), expected, "{nodes}");
    }

    #[test]
    fn the_rule_step_by_step() {
        check("4/20/5 3/90/90", "B database");
        check("4/20/5 4/10/90", "B ram");
        check("4/20/5 4/20/4", "B cpu");
        check("4/20/5 4/20/5", "A A");
        check("4/20/5", "A database");
        check("4/20/5 4/10/5 4/10/4 9/0/0", "C cpu");
    }

    #[test]
    fn percents_are_numbers() {
        // As strings, "9" > "10".
        check("4/10/0 4/9/99", "B ram");
        check("4/7/10 4/7/9", "B cpu");
    }

    #[test]
    fn unknown_ranks_last_and_never_as_zero() {
        check("-/0/0 9/99/99", "B database");
        check("4/-/0 4/99/99", "B ram");
        check("4/7/- 4/7/99", "B cpu");
        check("-/-/- -/-/-", "A A");
        check("0/-/- 0/-/-", "A A");
    }

    /// The rule as DESIGN words it, set by set, without any ordering of tuples.
    fn oracle(candidates: &[Candidate]) -> (NodeKey, Reason) {
        fn keep<T: Ord + Copy>(
            set: Vec<Candidate>,
            number: impl Fn(&Candidate) -> Option<T>,
        ) -> Vec<Candidate> {
            match set.iter().filter_map(&number).min() {
                Some(least) => set.into_iter().filter(|c| number(c) == Some(least)).collect(),
                None => set,
            }
        }
        let mut set = candidates.to_vec();
        set = keep(set, |c| c.documents);
        if let [only] = set[..] {
            return (only.node, Reason::Database);
        }
        set = keep(set, |c| c.ram);
        if let [only] = set[..] {
            return (only.node, Reason::Ram);
        }
        set = keep(set, |c| c.cpu);
        if let [only] = set[..] {
            return (only.node, Reason::Cpu);
        }
        (set[0].node, Reason::FirstByName)
    }

    fn some_of<T: fmt::Debug + Clone + 'static>(
        known: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Option<T>> {
        proptest::option::weighted(0.85, known)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn the_rule_agrees_with_the_oracle(
            // Few values, so that ties at every level are common.
            rows in proptest::collection::vec((some_of(0u64..3), some_of(0u8..3), some_of(0u8..3)), 1..12)
        ) {
            let candidates = candidates(&rows);
            let (best, reason) = by_rule(&candidates).unwrap();
            prop_assert_eq!((best.node, reason), oracle(&candidates));
        }

        #[test]
        fn turns_come_round(n in 1usize..20, start in 0usize..20) {
            let candidates = candidates(&vec![(None, None, None); n]);
            let mut seen = vec![0; n];
            let mut last = Some(start % n);
            for _ in 0..n {
                let next = in_turn(&candidates, last).unwrap();
                last = Some(usize::try_from(next.node.slot).unwrap());
                seen[last.unwrap()] += 1;
            }
            prop_assert_eq!(seen, vec![1; n]);
        }

        #[test]
        fn of_two_the_idler_wins(loads in proptest::collection::vec(0u64..5, 1..9), random: u64) {
            let mut candidates = candidates(&vec![(None, None, None); loads.len()]);
            for (candidate, load) in candidates.iter_mut().zip(&loads) {
                candidate.in_flight = *load;
            }
            let best = best_of_two(&candidates, random).unwrap();
            let busiest = loads.iter().max().unwrap();
            let unique = loads.iter().filter(|load| *load == busiest).count() == 1;
            // Two different nodes are compared, so the one busiest node never wins.
            prop_assert!(loads.len() == 1 || !unique || best.in_flight < *busiest);
        }
    }
}
