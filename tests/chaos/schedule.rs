//! PURE. Draws from a seed which faults happen when, to whom and how long. Absent: doing them.

use std::collections::BTreeMap;

use crate::fault::{Kind, Target};
use crate::random::Random;

/// Milliseconds at the end of a run in which no fault begins, and at its start before the first does.
const QUIET_MS: u64 = 500;
/// How often of a hundred times the last undisturbed node may be disturbed too.
const ALL_AT_ONCE_PERCENT: u64 = 20;

/// What a schedule is drawn for.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Length of the run.
    pub(crate) ms: u64,
    /// How many nodes there are.
    pub(crate) n_nodes: usize,
    /// How many balancers there are.
    pub(crate) n_balancers: usize,
    /// What may happen.
    pub(crate) kinds: Vec<Kind>,
}

/// One fault to come, in milliseconds of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// What.
    pub(crate) kind: Kind,
    /// The number of the balancer for faults of balancers, else of the node.
    pub(crate) target: usize,
    /// When it begins.
    pub(crate) at_ms: u64,
    /// When it is over; never before it begins.
    pub(crate) until_ms: u64,
    /// For faults of a line: how many of a hundred exchanges it hits.
    pub(crate) percent: u64,
}

/// The schedule of a seed, by time.
///
/// No two faults hit the same part of the same target at once: a stopped process is not killed, a line has one fault at
/// a time. Faults of different parts and targets overlap freely, but the last undisturbed node is left alone most times.
pub(crate) fn plan(seed: u64, shape: &Shape) -> Vec<Planned> {
    let mut random = Random::of(seed, 0);
    let mut planned: Vec<Planned> = Vec::new();
    let mut free_at = BTreeMap::<(Target, usize), u64>::new();
    let end = shape.ms.saturating_sub(QUIET_MS);
    let mut at_ms = QUIET_MS + random.below(500);
    while at_ms < end {
        if let Some(fault) = draw(&mut random, shape, at_ms, end)
            && free_at.get(&place(&fault)).is_none_or(|free| *free < at_ms)
            && (leaves_a_node(&planned, &fault, shape) || random.chance(ALL_AT_ONCE_PERCENT))
        {
            free_at.insert(place(&fault), fault.until_ms);
            planned.push(fault);
        }
        at_ms += random.between(100, 900);
    }
    planned
}

fn draw(random: &mut Random, shape: &Shape, at_ms: u64, end: u64) -> Option<Planned> {
    let kind = *random.pick(&shape.kinds)?;
    let n_targets = if kind.target() == Target::Balancer { shape.n_balancers } else { shape.n_nodes };
    let target = random.place(n_targets);
    let lasts = match kind {
        _ if kind.is_momentary() => 0,
        Kind::NodeStop | Kind::DatabaseStop => random.between(200, 8_000),
        Kind::LbStop => random.between(200, 2_500),
        Kind::LbKill | Kind::LbRestart => random.between(50, 1_500),
        Kind::NodeKill | Kind::NodeRestart | Kind::DatabaseKill => random.between(100, 5_000),
        _ => random.between(300, 4_000),
    };
    let percent = random.between(20, 100);
    Some(Planned { kind, target, at_ms, until_ms: (at_ms + lasts).min(end), percent })
}

/// What a fault takes hold of, which no other may at the same time. What stops or kills a database does so to one thing,
/// and so do a node's process and its disk, which a start needs.
fn place(fault: &Planned) -> (Target, usize) {
    let target = match fault.kind.target() {
        Target::Disk => Target::Node,
        other => other,
    };
    (target, fault.target)
}

/// Whether some node is undisturbed from the start of the fault to its end, by what is planned so far.
fn leaves_a_node(planned: &[Planned], fault: &Planned, shape: &Shape) -> bool {
    let hits = |node: usize| {
        planned.iter().chain([fault]).any(|other| {
            other.kind.disturbs_node()
                && other.target == node
                && other.at_ms <= fault.until_ms
                && fault.at_ms <= other.until_ms
        })
    };
    !fault.kind.disturbs_node() || (0..shape.n_nodes).any(|node| !hits(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn shape(seconds: u64, n_nodes: usize, n_balancers: usize) -> Shape {
        Shape { ms: seconds * 1000, n_nodes, n_balancers, kinds: Kind::ALL.to_vec() }
    }

    proptest! {
        #[test]
        fn a_schedule_keeps_to_its_run_and_its_targets(
            seed: u64, seconds in 1_u64..60, n_nodes in 1_usize..5, n_balancers in 1_usize..3
        ) {
            let shape = shape(seconds, n_nodes, n_balancers);
            let planned = plan(seed, &shape);
            prop_assert_eq!(&planned, &plan(seed, &shape), "a seed gives one schedule");
            prop_assert!(planned.is_sorted_by_key(|fault| fault.at_ms));
            for (number, fault) in planned.iter().enumerate() {
                prop_assert!(fault.at_ms <= fault.until_ms && fault.until_ms <= shape.ms);
                let of_balancer = fault.kind.target() == Target::Balancer;
                let n_targets = if of_balancer { n_balancers } else { n_nodes };
                prop_assert!(fault.target < n_targets);
                for before in &planned[..number] {
                    let apart = before.until_ms < fault.at_ms || place(before) != place(fault);
                    prop_assert!(apart, "{:?} and {:?}", before, fault);
                }
            }
        }

        #[test]
        fn only_what_is_allowed_happens(seed: u64, kind in proptest::sample::select(&Kind::ALL)) {
            let only = Shape { kinds: vec![kind], ..shape(30, 2, 1) };
            let planned = plan(seed, &only);
            prop_assert!(!planned.is_empty() && planned.iter().all(|fault| fault.kind == kind));
        }
    }

    #[test]
    fn some_seeds_hold_every_kind_and_a_minute_is_lively() {
        let all: Vec<Planned> = (0..20).flat_map(|seed| plan(seed, &shape(60, 2, 2))).collect();
        let kinds: BTreeSet<Kind> = all.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
        assert!(all.len() > 20 * 40, "{}", all.len());
    }

    #[test]
    fn nothing_allowed_is_nothing_planned() {
        assert_eq!(plan(1, &Shape { kinds: Vec::new(), ..shape(30, 2, 1) }), []);
    }
}
