//! Where a sentence goes that may lie somewhere already, case by case. The interleavings are in `simulation`.

use super::*;
use crate::made_up::report;
use crate::{clock, fleet};
use wire::StoreId;

const ID: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";

/// Three nodes with stores, up and empty.
struct World {
    routing: Routing,
    at: Moment,
    seq: u64,
}

impl World {
    fn new() -> Self {
        let fleet = Fleet::new(fleet::Settings::default(), 7);
        let at = clock::moment();
        let mut world = Self { routing: Routing::new(fleet, at.now), at, seq: 0 };
        for name in ["A", "B", "C"] {
            world.routing.add(name, "http://127.0.0.1:1", at.now);
        }
        ["A", "B", "C"].into_iter().for_each(|name| world.hears(name));
        // A node that this run meets first is fenced before it is up.
        assert_eq!(world.state("A"), wire::NodeState::Down);
        world.reconcile();
        world
    }

    /// Every node that can be asked for what is in doubt was asked.
    fn reconcile(&mut self) {
        for (node, as_of) in self.routing.fleet.to_be_reconciled() {
            self.routing.fleet.reconciled(node, as_of);
        }
    }

    /// The node reports, twice, so that it is up unless sentences in doubt keep it from that.
    fn hears(&mut self, name: &str) {
        let store = StoreId(uuid::Uuid::from_u128(u128::from(name.as_bytes()[0])));
        for _ in 0..2 {
            self.seq += 1;
            let report = Report { store: Some(store), ..report("first", self.seq, 0, 0) };
            self.routing.reported(self.key(name), &report, self.at.now);
        }
    }

    fn key(&self, name: &str) -> NodeKey {
        self.routing.fleet.named(name).unwrap().key
    }

    fn falls(&mut self, name: &str) {
        let key = self.key(name);
        self.routing.fleet.refused(key, "gone");
    }

    /// The choice for the client's sentence `ID`, as `A`, `A noted`, `A written`, `ask` or the kind of a problem.
    fn choose(&mut self, journey: &Journey, finding: Option<&Finding>) -> String {
        let (author, sentence) = (r#""a""#, r#""s""#);
        let sentence = Sentence { id: ID.parse().unwrap(), is_clients: true, author, sentence };
        match self.routing.choose(&sentence, self.at, journey, finding) {
            Ok(Chosen::AskFirst) => "ask".to_owned(),
            Ok(Chosen::To(choice)) => {
                let node = &self.routing.fleet.node(choice.assignment.node()).unwrap().name;
                match (choice.is_noted, choice.record) {
                    (false, None) => node.clone(),
                    (true, None) => format!("{node} noted"),
                    (_, Some(_)) => format!("{node} written"),
                }
            }
            Err(failure) => Problem::from(failure).kind.trim_start_matches("urn:balanza:").to_owned(),
        }
    }

    fn state(&self, name: &str) -> wire::NodeState {
        self.routing.fleet.named(name).unwrap().state()
    }

    fn found(&self, holders: &[&str], away: &[&str]) -> Finding {
        let home = |name: &&str| self.routing.fleet.named(name).unwrap().home.unwrap();
        Finding { holders: holders.iter().map(home).collect(), away: away.iter().map(home).collect() }
    }
}

fn first() -> Journey {
    Journey::default()
}

#[test]
fn a_repeat_goes_where_the_first_went_also_to_a_draining_node() {
    let mut world = World::new();
    let nowhere = world.found(&[], &[]);
    assert_eq!(world.choose(&first(), None), "ask", "an old id is asked for");
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A");
    assert_eq!(world.choose(&first(), None), "A");
    let a = world.key("A");
    world.routing.fleet.set_draining(a, true);
    assert_eq!(world.choose(&first(), None), "A");
}

#[test]
fn a_repeat_for_a_node_that_is_away_goes_elsewhere_and_is_written_down() {
    let mut world = World::new();
    let nowhere = world.found(&[], &[]);
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A");
    world.falls("A");
    assert_eq!(world.choose(&first(), None), "B written");
    assert_eq!(world.choose(&first(), None), "B written", "until the record is on disk none passes it");
    for _ in 0..2 {
        world.routing.doubt.written(ID.parse().unwrap());
    }
    assert_eq!(world.choose(&first(), None), "B noted", "the next one goes there too");
    world.hears("A");
    assert_eq!(world.state("A"), wire::NodeState::Down, "it is asked first");
    let a = world.key("A");
    let (_, as_of) = world.routing.fleet.to_be_reconciled()[0];
    world.routing.fleet.reconciled(a, as_of);
    assert_eq!(world.state("A"), wire::NodeState::Up);
    world.falls("B");
    assert_eq!(world.choose(&first(), None), "A noted", "a place where it may lie is better than a third");
}

#[test]
fn a_node_under_another_name_and_address_is_the_same_place() {
    let mut world = World::new();
    let nowhere = world.found(&[], &[]);
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A");
    let (key, store) = (world.key("A"), world.routing.fleet.named("A").unwrap().store);
    world.routing.remove(key, world.at.now);
    let key = world.routing.add("Z", "http://localhost:1", world.at.now);
    world.routing.reported(key, &Report { store, ..report("first", 9, 0, 0) }, world.at.now);
    assert_eq!(world.choose(&first(), None), "Z");
}

#[test]
fn a_node_that_left_may_come_back_with_what_it_holds() {
    let mut world = World::new();
    let (key, home) = (world.key("C"), world.routing.home_of(world.key("C")));
    world.routing.remove(key, world.at.now);
    let (near, away) = world.routing.near_and_away(world.at.now);
    assert_eq!((near.len(), away), (2, home.into_iter().collect::<Vec<_>>()));
    // Also where only one node is left.
    for name in ["A", "B"] {
        let key = world.key(name);
        world.routing.remove(key, world.at.now);
        assert_eq!(world.choose(&first(), None), "ask");
    }
    let mut world = World::new();
    let key = world.key("C");
    world.routing.remove(key, world.at.now);
    // Also one that was never heard in this run.
    let unheard = world.routing.add("D", "http://127.0.0.1:2", world.at.now);
    world.routing.remove(unheard, world.at.now);
    let (_, away) = world.routing.near_and_away(world.at.now);
    assert_eq!(away.len(), 2);
    let finding = Finding { holders: Vec::new(), away };
    assert_eq!(world.choose(&first(), Some(&finding)), "A written");
    world.routing.add("C", "http://127.0.0.1:3", world.at.now);
    world.hears("C");
    assert_eq!(world.state("C"), wire::NodeState::Down, "it is asked first");
    world.reconcile();
    let (_, away) = world.routing.near_and_away(world.at.now + REMEMBERED);
    assert!(away.is_empty(), "a node that left for good is forgotten in the end: {away:?}");
}

#[test]
fn a_node_that_left_while_it_was_asked_is_still_where_it_said() {
    for (holders, away) in [(&["A"][..], &[][..]), (&[], &["A"])] {
        let mut world = World::new();
        let finding = world.found(holders, away);
        let key = world.key("A");
        world.routing.remove(key, world.at.now);
        assert_eq!(world.choose(&first(), Some(&finding)), "B written", "{holders:?} {away:?}");
        world.routing.add("A", "http://127.0.0.1:2", world.at.now);
        world.hears("A");
        assert_eq!(world.state("A"), wire::NodeState::Down, "it is asked first");
    }
}

#[test]
fn a_new_disk_under_an_old_name_is_another_place() {
    let mut world = World::new();
    let nowhere = world.found(&[], &[]);
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A");
    let key = world.key("A");
    let store = Some(StoreId(uuid::Uuid::from_u128(77)));
    world.routing.reported(key, &Report { store, ..report("second", 1, 0, 0) }, world.at.now);
    let chosen = world.choose(&first(), None);
    assert!(chosen.ends_with(" written"), "the old disk may come back: {chosen}");
}

#[test]
fn what_the_nodes_say_decides() {
    for (holders, away, expected) in [
        (&["C"][..], &[][..], "C"),
        (&["B", "C"], &[], "B written"),
        (&[], &["C"], "A written"),
        (&["C"], &["A"], "C"),
    ] {
        let mut world = World::new();
        let finding = world.found(holders, away);
        away.iter().for_each(|name| world.falls(name));
        assert_eq!(world.choose(&first(), Some(&finding)), expected, "{holders:?} {away:?}");
    }
}

#[test]
fn what_left_a_silent_node_does_not_go_back_and_is_never_called_unstored() {
    let mut world = World::new();
    let home = world.routing.home_of(world.key("A"));
    let mut journey = Journey { tried: vec![world.key("A")], may_lie: home, is_noted: false };
    assert_eq!(world.choose(&journey, None), "B written");
    assert_eq!(world.state("A"), wire::NodeState::Down);
    journey.tried.extend([world.key("B"), world.key("C")]);
    assert_eq!(world.choose(&journey, None), "in-doubt");
}

#[test]
fn a_surely_unstored_sentence_moves_without_a_word() {
    let mut world = World::new();
    let nowhere = world.found(&[], &[]);
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A");
    let journey = Journey { tried: vec![world.key("A")], ..first() };
    assert_eq!(world.choose(&journey, None), "B");
    assert_eq!(world.routing.doubt.len(), 0);
}

#[test]
fn beside_another_balancer_even_a_fresh_id_is_asked_for() {
    let mut world = World::new();
    let fresh = Sentence { id: clock::fresh_id(), is_clients: true, author: r#""a""#, sentence: r#""s""# };
    let later = Moment { now: world.at.now + WARY, wall: clock::wall() };
    assert!(!world.routing.may_be_repeat(&fresh, later));
    let key = world.key("A");
    let beside = Report { balancers: Some(2), ..report("first", 99, 0, 0) };
    world.routing.reported(key, &beside, later.now);
    assert!(world.routing.may_be_repeat(&fresh, later));
    let alone = Moment { now: later.now + COMPANY, ..later };
    assert!(!world.routing.may_be_repeat(&fresh, alone));
}

#[test]
fn what_went_somewhere_beside_another_balancer_is_asked_for_ever_after() {
    let mut world = World::new();
    let nowhere = world.found(&[], &[]);
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A");
    assert_eq!(world.choose(&first(), None), "A", "alone, this balancer knows where it went");
    let store = Some(StoreId(uuid::Uuid::from_u128(u128::from(b'A'))));
    let beside = Report { store, balancers: Some(2), ..report("first", 99, 0, 0) };
    world.routing.reported(world.key("A"), &beside, world.at.now);
    world.at.now += 2 * COMPANY;
    assert_eq!(world.choose(&first(), None), "ask", "the other one may have moved it meanwhile");
    assert_eq!(world.choose(&first(), Some(&nowhere)), "A", "the first post may be under way still");
    let elsewhere = world.found(&["C"], &[]);
    assert_eq!(world.choose(&first(), Some(&elsewhere)), "C written");
}

#[test]
fn what_cannot_be_written_down_is_not_sent_and_goes_where_it_was() {
    let mut world = World::new();
    let home = world.routing.home_of(world.key("A"));
    let journey = Journey { tried: vec![world.key("A")], may_lie: home, is_noted: false };
    assert_eq!(world.choose(&journey, None), "B written");
    assert_eq!(world.choose(&first(), None), "B written", "the record is not on disk yet");
    let id: SentenceId = ID.parse().unwrap();
    for _ in 0..2 {
        let refused = world.routing.withdraw(id, world.key("B"), "the disk is full");
        assert!(refused.is_in_doubt());
    }
    assert_eq!(world.routing.known_ids.of(id), home);
    assert_eq!(world.routing.doubt.take_due(9), [id], "both places are asked");
    assert_eq!(world.choose(&first(), None), "B written", "a repeat must be on disk too");
}

#[test]
fn only_a_young_id_of_version_seven_is_surely_new() {
    let wall = clock::wall();
    let made = |micros_ago: i64| {
        let micros = u64::try_from(wall.unix_micros() - micros_ago).unwrap();
        let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, 0);
        SentenceId(uuid::Uuid::new_v7(timestamp))
    };
    let is_old = |id| age(id, wall).is_none_or(|age| age > FRESH);
    assert!(!is_old(clock::fresh_id()));
    assert!(is_old(made(3_000_000)) && is_old(made(-3_000_000)), "also one that lies ahead");
    assert!(is_old(SentenceId(uuid::Uuid::from_u128(7))));
}
