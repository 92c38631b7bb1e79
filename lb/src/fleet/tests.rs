//! What the fleet promises, case by case. The interleavings are in `simulation`.

use super::*;
use proptest::prelude::*;
use wire::{Date, NodeState, Source};

/// Some instant to count from; nothing here waits.
#[expect(clippy::disallowed_methods, reason = "an instant has no other constructor")]
pub(super) fn start() -> Instant {
    Instant::now()
}

fn share(percent: u8) -> Option<Share> {
    Share::from_percent(percent)
}

pub(super) fn report(documents: u64, ram: u8, cpu: u8, seq: u64) -> Report {
    Report {
        epoch: "first".to_owned(),
        seq,
        sampled_at: Date::from_unix_micros(0),
        valid: true,
        ram: share(ram),
        cpu: share(cpu),
        ram_total_bytes: None,
        ram_available_bytes: None,
        per_cpu: Vec::new(),
        steal: None,
        window_ms: None,
        source: Source::Procfs,
        ram_source: Source::Procfs,
        cpu_source: Source::Procfs,
        scope: "host".to_owned(),
        store: None,
        fence: None,
        balancers: None,
        documents,
        revision: seq,
        in_flight: 0,
        ready: true,
        not_ready_because: None,
    }
}

/// Nodes A, B, … with the given documents, RAM and CPU.
fn fleet(settings: Settings, now: Instant, loads: &[(u64, u8, u8)]) -> Fleet {
    let mut fleet = Fleet::new(settings, 7);
    for (name, (documents, ram, cpu)) in ('A'..).zip(loads) {
        let key = fleet.add(&name.to_string(), "http://127.0.0.1:1");
        fleet.reported(key, &report(*documents, *ram, *cpu, 1), now);
    }
    fleet
}

/// The next choices as `name filter`.
fn choices(fleet: &mut Fleet, now: Instant, n: usize) -> Vec<String> {
    let mut one = || {
        let assignment = fleet.assign(now, &[]).unwrap();
        let name = fleet.node(assignment.node()).unwrap().name.clone();
        format!("{name} {}", assignment.reason.filter(&name))
    };
    (0..n).map(|_| one()).collect()
}

#[test]
fn a_burst_does_not_all_see_the_same_numbers() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(3, 50, 10), (1, 60, 20)]);
    assert_eq!(
        choices(&mut fleet, now, 6),
        ["B database", "B database", "A ram", "B database", "A ram", "B database"]
    );
}

#[test]
fn a_node_without_a_report_is_not_chosen() {
    let now = start();
    let mut fleet = Fleet::new(Settings::default(), 7);
    assert_eq!(fleet.assign(now, &[]), Err(NoNode::NoneConfigured));
    let key = fleet.add("A", "http://127.0.0.1:1");
    assert_eq!(fleet.assign(now, &[]), Err(NoNode::NoneUp { configured: 1, down: 1, draining: 0 }));
    fleet.reported(key, &report(0, 1, 1, 1), now);
    assert_eq!(choices(&mut fleet, now, 1), ["A database"]);
}

#[test]
fn the_filter_is_down_when_one_of_several_is_left() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 1, 1), (9, 1, 1)]);
    let (a, b) = (fleet.named("A").unwrap().key, fleet.named("B").unwrap().key);
    fleet.refused(a, "connection refused");
    assert_eq!(choices(&mut fleet, now, 1), ["B down"]);
    assert_eq!(fleet.node(a).unwrap().state(), NodeState::Down);
    fleet.set_draining(b, true);
    assert_eq!(fleet.assign(now, &[]), Err(NoNode::NoneUp { configured: 2, down: 1, draining: 1 }));
}

#[test]
fn what_was_tried_is_passed_over() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 1, 1), (9, 1, 1)]);
    let (a, b) = (fleet.named("A").unwrap().key, fleet.named("B").unwrap().key);
    assert_eq!(fleet.assign(now, &[a]).unwrap().node(), b);
    assert_eq!(fleet.assign(now, &[a, b]), Err(NoNode::AllTried { tried: 2 }));
    assert_eq!(fleet.named("A").unwrap().in_flight(), 0, "a refusal reserves nothing");
}

#[test]
fn an_expired_reading_ranks_last() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 10, 1), (0, 20, 1)]);
    let later = now + Duration::from_secs(4);
    let b = fleet.named("B").unwrap().key;
    fleet.reported(b, &report(0, 99, 99, 2), later);
    assert_eq!(choices(&mut fleet, later, 1), ["B ram"]);
}

#[test]
fn a_frozen_reading_expires_although_reports_come() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 10, 1)]);
    let a = fleet.named("A").unwrap().key;
    let later = now + Duration::from_secs(4);
    fleet.reported(a, &report(0, 10, 1, 1), later);
    let stale_after = fleet.settings().stale_after;
    assert!(fleet.node(a).unwrap().fresh_load(later, stale_after).is_none());
    assert_eq!(fleet.node(a).unwrap().state(), NodeState::Up);
}

#[test]
fn an_unready_node_is_gone_round_with_its_reason() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 1, 1), (9, 1, 1)]);
    let a = fleet.named("A").unwrap().key;
    let unready = Report { ready: false, not_ready_because: Some("disk full".into()), ..report(0, 1, 1, 2) };
    fleet.take_turns();
    fleet.reported(a, &unready, now);
    let down = Change::Down { because: "disk full".to_owned() };
    assert_eq!(fleet.take_turns(), [Turn { node: "A".to_owned(), change: down }]);
    assert_eq!(fleet.node(a).unwrap().down_because(), Some("disk full"));
    assert_eq!(choices(&mut fleet, now, 1), ["B down"]);
}

#[test]
fn the_in_flight_guard_moves_the_overflow() {
    let now = start();
    let settings = Settings { max_in_flight: Some(2), ..Settings::default() };
    let mut fleet = fleet(settings, now, &[(0, 1, 1), (9, 1, 1)]);
    assert_eq!(
        choices(&mut fleet, now, 5),
        ["A database", "A database", "B overload", "B overload", "A database"],
        "with both full the rule stands"
    );
}

#[test]
fn the_ramp_gives_a_node_far_behind_its_share() {
    let now = start();
    let settings = Settings { ramp_percent: Some(60), ramp_gap: 100, ..Settings::default() };
    let mut fleet = fleet(settings, now, &[(0, 1, 1), (10_000, 1, 1), (10_000, 1, 1)]);
    let chosen = choices(&mut fleet, now, 100);
    assert_eq!(chosen.iter().filter(|choice| *choice == "A database").count(), 60);
    assert!(chosen.iter().any(|choice| choice == "B ramp"));
}

#[test]
fn round_robin_goes_on_where_a_fallen_node_stood() {
    let now = start();
    let settings = Settings { policy: Policy::RoundRobin, ..Settings::default() };
    let mut fleet = fleet(settings, now, &[(0, 1, 1), (0, 1, 1), (0, 1, 1)]);
    assert_eq!(choices(&mut fleet, now, 2), ["A round-robin", "B round-robin"]);
    let b = fleet.named("B").unwrap().key;
    fleet.refused(b, "connection refused");
    assert_eq!(choices(&mut fleet, now, 3), ["C round-robin", "A round-robin", "C round-robin"]);
}

#[test]
fn a_removed_node_is_forgotten_and_its_answers_are_ignored() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 1, 1), (5, 1, 1)]);
    let a = fleet.assign(now, &[]).unwrap().node();
    fleet.dispatched(a, 1);
    fleet.remove(a);
    fleet.stored(a, 1, 0, None);
    assert_eq!(choices(&mut fleet, now, 1), ["B database"]);
    let again = fleet.add("A", "http://127.0.0.1:2");
    assert_ne!(again, a, "keys are never reused");
}

#[test]
fn nodes_that_come_and_go_leave_nothing() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 1, 1), (5, 1, 1)]);
    let mut keys = std::collections::HashSet::new();
    for n in 0..1_000 {
        keys.insert(fleet.add("C", &format!("http://127.0.0.1:{}", 1_000 + n)));
    }
    assert_eq!((fleet.nodes().len(), fleet.keys.slots()), (3, 3));
    assert_eq!(keys.len(), 1_000, "each node has its own key");
    let current = fleet.named("C").unwrap().key;
    keys.remove(&current);
    assert!(keys.iter().all(|gone| fleet.node(*gone).is_none()));
}

/// The turns of one event, as text.
fn turns(fleet: &mut Fleet, event: impl FnOnce(&mut Fleet)) -> String {
    fleet.take_turns();
    event(fleet);
    let told = fleet.take_turns().into_iter().map(|turn| {
        let change = match turn.change {
            Change::Joined { url } => format!("joined {url}"),
            Change::Down { because } => format!("down {because}"),
            Change::Silent { because } => format!("silent {because}"),
            other => format!("{other:?}").to_lowercase(),
        };
        format!("{} {change}", turn.node)
    });
    told.collect::<Vec<_>>().join(" | ")
}

#[test]
fn each_event_tells_what_it_turned_and_only_that() {
    let now = start();
    let mut fleet = fleet(Settings::default(), now, &[(0, 1, 1), (5, 1, 1)]);
    let (a, b) = (fleet.named("A").unwrap().key, fleet.named("B").unwrap().key);
    let mut check = |event: &dyn Fn(&mut Fleet), expected: &str| {
        assert_eq!(turns(&mut fleet, |fleet| event(fleet)), expected);
    };
    check(&|fleet| fleet.reported(a, &report(0, 1, 1, 2), now), "");
    check(&|fleet| fleet.unreachable(a, "time-out"), "");
    check(&|fleet| fleet.silent(a, "no answer"), "A down no answer");
    check(&|fleet| fleet.silent(a, "no answer"), "");
    check(&|fleet| fleet.silent(b, "no answer"), "B silent no answer");
    check(&|fleet| fleet.silent(b, "no answer"), "");
    check(&|fleet| fleet.stored(b, 1, 0, None), "");
    check(&|fleet| fleet.silent(b, "no answer"), "B silent no answer");
    check(&|fleet| fleet.reported(a, &report(0, 1, 1, 3), now), "");
    check(&|fleet| fleet.reported(a, &report(0, 1, 1, 4), now), "A up");
    check(&|fleet| assert_eq!(fleet.assign(now, &[]).unwrap().node(), a), "");
    check(&|fleet| fleet.set_draining(a, true), "A draining");
    check(&|fleet| fleet.set_draining(a, true), "");
    check(&|fleet| fleet.released(a, 1, false), "A drained");
    check(&|fleet| fleet.set_draining(a, false), "A ready");
    check(&|fleet| fleet.set_draining(a, true), "A draining | A drained");
    check(
        &|fleet| fleet.follow([("B", "http://b:2"), ("C", "http://c:1")].into_iter()),
        "A left | B left | B joined http://b:2 | C joined http://c:1",
    );
    let standing: Vec<Change> = fleet.standing().into_iter().map(|turn| turn.change).collect();
    assert_eq!(
        standing,
        [
            Change::Down { because: "no report yet".to_owned() },
            Change::Down { because: "no report yet".to_owned() },
        ]
    );
}

/// A number as a faulty node may say it: small, anywhere, or at the end of the numbers.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4u64, any::<u64>(), u64::MAX - 4..=u64::MAX]
}

/// As [`any_number`], but so many that a node with none is the better choice.
fn many() -> impl Strategy<Value = u64> {
    any_number().prop_map(|number| number.max(1_000))
}

/// What a node says or does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It reports so many documents, with this revision, sequence and number of sentences in flight.
    Reports(u64, [u64; 3]),
    /// It is polled, and says so many.
    Polled(u64),
    /// Of what is under way it stores some, knows the rest, and says so many documents at this revision, or nothing.
    Answers(Option<(u64, u64)>, bool),
    /// A sentence is chosen for it, and is on the wire at once.
    Gets,
    /// A sentence is chosen for it, and does not go there after all.
    Loses,
    /// What is under way is given up.
    Doubts,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (many(), [any_number(), any_number(), any_number()])
            .prop_map(|(documents, others)| Step::Reports(documents, others)),
        many().prop_map(Step::Polled),
        (proptest::option::of((many(), any_number())), any::<bool>())
            .prop_map(|(mark, is_known)| Step::Answers(mark, is_known)),
        Just(Step::Gets),
        Just(Step::Loses),
        Just(Step::Doubts),
    ]
}

/// The node does this.
fn does(fleet: &mut Fleet, key: NodeKey, step: Step, now: Instant) {
    let under_way = fleet.node(key).unwrap().in_flight();
    match step {
        Step::Reports(documents, [revision, seq, in_flight]) => {
            fleet.reported(key, &Report { revision, in_flight, ..report(documents, 1, 1, seq) }, now);
        }
        Step::Polled(database) => {
            let began = fleet.poll_began(key).unwrap();
            fleet.polled(key, began, &Usage { cpu: "1".into(), database, ram: "1".into() }, now);
        }
        Step::Answers(mark, is_known) => {
            let epoch = epoch_number("first");
            let mark = mark.map(|(documents, revision)| Mark { epoch, revision, documents });
            let (new, known) = if is_known { (0, under_way) } else { (under_way, 0) };
            fleet.stored(key, new, known, mark);
        }
        Step::Gets => {
            fleet.assign_to(key, now).unwrap();
            fleet.dispatched(key, 1);
        }
        Step::Loses => {
            fleet.assign_to(key, now).unwrap();
            fleet.released(key, 1, false);
        }
        Step::Doubts => fleet.in_doubt(key, under_way),
    }
}

proptest! {
    #[test]
    fn no_number_that_a_node_says_draws_sentences_to_it(
        first in many(),
        steps in proptest::collection::vec(any_step(), 0..24),
    ) {
        let now = start();
        let mut fleet = fleet(Settings::default(), now, &[(first, 1, 1), (0, 99, 99)]);
        let (a, b) = (fleet.named("A").unwrap().key, fleet.named("B").unwrap().key);
        for step in steps {
            does(&mut fleet, a, step, now);
            prop_assert_eq!(fleet.assign(now, &[]).unwrap().node(), b, "after {:?}", step);
            fleet.released(b, 1, false);
        }
    }

    #[test]
    fn no_number_ends_the_balancer_whatever_the_operator_set(
        policy in 0..policy::POLICIES.len(),
        guards in (proptest::option::of(any_number()), proptest::option::of(0..=100u8), any_number()),
        steps in proptest::collection::vec((any_step(), any::<bool>()), 0..24),
    ) {
        let (max_in_flight, ramp_percent, ramp_gap) = guards;
        let (_, policy) = policy::POLICIES[policy];
        let settings = Settings { policy, max_in_flight, ramp_percent, ramp_gap, ..Settings::default() };
        let now = start();
        let mut fleet = fleet(settings, now, &[(u64::MAX, 1, 1), (u64::MAX, 1, 1)]);
        let keys = ["A", "B"].map(|name| fleet.named(name).unwrap().key);
        for (step, is_second) in steps {
            does(&mut fleet, keys[usize::from(is_second)], step, now);
            let chosen = fleet.assign(now, &[]).unwrap().node();
            fleet.released(chosen, 1, false);
        }
        let view = fleet.view(&crate::doubt::Doubt::default(), now, Date::from_unix_micros(0));
        prop_assert_eq!(view.nodes.len(), 2);
    }

    #[test]
    fn each_choice_follows_the_rule_on_the_numbers_compared(
        loads in proptest::collection::vec((0u64..6, 0u8..3, 0u8..3), 1..8),
        posts in 1usize..40,
    ) {
        let now = start();
        let mut fleet = fleet(Settings::default(), now, &loads);
        for _ in 0..posts {
            let assignment = fleet.assign(now, &[]).unwrap();
            let (best, _) = policy::by_rule(fleet.compared()).unwrap();
            prop_assert_eq!(best.node, assignment.node());
        }
        // Filling up levels the counts: none is above another by more than it started with, or by one.
        let counts: Vec<u64> = fleet.nodes().iter().map(|node| node.documents().unwrap()).collect();
        let started = loads.iter().map(|(documents, ..)| *documents).max().unwrap();
        let most = counts.iter().max().unwrap();
        let least = counts.iter().min().unwrap();
        prop_assert!(*most == started || most - least <= 1, "{:?}", counts);
    }
}
