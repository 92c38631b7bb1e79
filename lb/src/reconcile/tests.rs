//! A node that is back, step by step, and sentences that may lie on several. Time is held; which copy stays is
//! `doubt/tests.rs`'s.

use std::rc::Rc;

use wire::{Date, NodeState};

use super::*;
use crate::clock;
use crate::journal::Journal;
use crate::made_up::{Asked, Failing, Holder, World, hold_time, in_real_time, read_json, to_json, until};

/// Nodes `A`, `B` and `C`, up, with stores and empty, and the reconciler before them.
struct Scene {
    world: World,
    a: Rc<Holder>,
    b: Rc<Holder>,
    c: Rc<Holder>,
}

impl Scene {
    fn new() -> Self {
        Self::over(World::new(&["A", "B", "C"], &[]))
    }

    fn over(world: World) -> Self {
        let [a, b, c] = ["a", "b", "c"].map(|host| Holder::start(world.network.listen(host)));
        ["A", "B", "C"].into_iter().for_each(|name| world.report_reconciled(name, 0));
        tokio::task::spawn_local(run(Arc::clone(&world.balancer)));
        Self { world, a, b, c }
    }

    /// A sentence that moved from `from` to `to`; its post there has ended.
    fn moved(&self, from: &str, to: &str) -> SentenceId {
        let id = clock::fresh_id();
        self.world.moved(id, from, to);
        id
    }

    /// The sentence may lie in these places, and no post of it is under way.
    async fn until_at(&self, id: SentenceId, nodes: &[&str]) {
        let awaited = format!("the sentence may lie on {nodes:?} alone");
        until(&awaited, || self.world.in_doubt_at(id) == nodes).await;
    }

    fn must_reconcile(&self, name: &str) {
        let key = self.world.key(name);
        self.world.balancer.step(|routing| routing.fleet.must_reconcile(key));
        self.world.balancer.doubt_changed.notify_one();
    }

    fn state(&self, name: &str) -> NodeState {
        self.world.seen(name).0
    }

    fn last_error(&self, name: &str) -> String {
        let error =
            |routing: &mut crate::routing::Routing| routing.fleet.named(name).unwrap().last_error.clone();
        self.world.balancer.step(error).unwrap_or_default()
    }

    fn taken_back(&self) -> u64 {
        self.world.balancer.counters.taken_back.get()
    }
}

#[test]
fn a_node_is_fenced_then_asked_then_rid_of_old_copies_and_only_then_up() {
    hold_time(async {
        let world = World::new(&["A", "B"], &[]);
        let [mut at_a, mut at_b] = ["a", "b"].map(|host| world.network.listen(host));
        ["A", "B"].into_iter().for_each(|name| world.report_reconciled(name, 0));
        let id = clock::fresh_id();
        let (a, home) = (world.key("A"), world.home("A"));
        world.balancer.step(|routing| {
            routing.known_ids.note(id, home);
            routing.fleet.must_reconcile(a);
        });
        world.moved(id, "A", "B");
        // What is in doubt is not due before its node is fenced.
        assert_eq!(world.balancer.step(|routing| routing.doubt.take_due(9)), [id]);
        tokio::task::spawn_local(run(Arc::clone(&world.balancer)));
        let mut a = at_a.accept().await;
        let says = |asked: &Asked, what: &str| {
            assert_eq!((asked.what.as_str(), world.seen("A").0), (what, NodeState::Down));
        };
        says(&a.request().await.unwrap(), "POST /fence");
        a.respond(200, "", &to_json(&Fenced { fence: 5 })).await.unwrap();
        let asked = a.request().await.unwrap();
        says(&asked, "POST /sentences/held");
        assert_eq!(read_json::<Ids>(&asked).ids, [id]);
        let mut b = at_b.accept().await;
        let asked = b.request().await.unwrap();
        says(&asked, "POST /sentences/held");
        assert_eq!(read_json::<Ids>(&asked).ids, [id], "the other place is asked, too");
        let [old, new] = [1, 2].map(|micros| StoredCopy { date: Date::from_unix_micros(micros), id });
        b.respond(200, "", &to_json(&Copies { copies: vec![new] })).await.unwrap();
        a.respond(200, "", &to_json(&Copies { copies: vec![old] })).await.unwrap();
        let asked = a.request().await.unwrap();
        says(&asked, "POST /sentences/retract");
        assert_eq!(read_json::<Copies>(&asked).copies, [old], "this very copy");
        a.respond(200, "", &to_json(&Ids { ids: vec![id] })).await.unwrap();
        until("A is up", || world.seen("A").0 == NodeState::Up).await;
        let key = world.key("A");
        assert_eq!(world.balancer.step(|routing| routing.fleet.fence(key)), Some(5));
        assert_eq!((world.in_doubt_at(id).len(), world.balancer.counters.taken_back.get()), (0, 1));
        let (known, b) = (world.balancer.step(|routing| routing.known_ids.of(id)), world.home("B"));
        assert_eq!(known, Some(b), "a repeat goes where the copy stays");
    });
}

#[test]
fn only_older_copies_are_taken_back_wherever_they_lie() {
    // When A and B stored their copies, and who keeps one.
    for (at_a, at_b, kept) in [
        (Some(1), Some(2), "B"),
        (Some(2), Some(1), "A"),
        (Some(1), None, "A"),
        (None, Some(1), "B"),
        (None, None, ""),
        // Of the same moment the store decides.
        (Some(1), Some(1), "B"),
    ] {
        hold_time(async {
            let scene = Scene::new();
            let id = scene.moved("A", "B");
            for (node, micros) in [(&scene.a, at_a), (&scene.b, at_b)] {
                micros.into_iter().for_each(|micros| node.hold(id, micros));
            }
            scene.must_reconcile("A");
            scene.until_at(id, &[]).await;
            until("A is up", || scene.state("A") == NodeState::Up).await;
            let holds =
                [("A", &scene.a), ("B", &scene.b)].into_iter().filter(|(_, node)| node.held(id).is_some());
            let holds: String = holds.map(|(name, _)| name).collect();
            assert_eq!(holds, kept, "{at_a:?} {at_b:?}");
            assert_eq!(scene.taken_back(), u64::from(at_a.is_some() && at_b.is_some()));
            assert_eq!(scene.c.asked(), [""; 0], "it cannot lie there");
        });
    }
}

#[test]
fn a_node_that_cannot_be_fenced_stays_down_and_keeps_no_other_from_coming_back() {
    for (how, why) in [
        (Failing::Silent, "it cannot be fenced: no answer to POST /fence within 8s"),
        (Failing::Status(500), "it cannot be fenced: it answered 500 Internal Server Error"),
    ] {
        hold_time(async {
            let scene = Scene::new();
            scene.a.fail("/fence", Some(how));
            scene.must_reconcile("A");
            scene.must_reconcile("B");
            let began = clock::now();
            until("B is up", || scene.state("B") == NodeState::Up).await;
            assert!(clock::now().duration_since(began) < FENCE_TIME, "it does not wait for A");
            until("A says why it is not", || scene.last_error("A") == why).await;
            assert_eq!(scene.state("A"), NodeState::Down);
            assert!(scene.a.asked().iter().all(|path| path == "/fence"), "it is asked nothing before");
            scene.a.fail("/fence", None);
            until("A is up", || scene.state("A") == NodeState::Up).await;
        });
    }
}

#[test]
fn a_node_that_does_not_say_what_it_holds_stays_down() {
    hold_time(async {
        let scene = Scene::new();
        scene.a.fail("/sentences/held", Some(Failing::Silent));
        let id = scene.moved("A", "B");
        scene.a.hold(id, 1);
        scene.b.hold(id, 2);
        scene.must_reconcile("A");
        sleep(FENCE_TIME).await;
        assert_eq!((scene.state("A"), scene.state("B")), (NodeState::Down, NodeState::Up));
        assert_eq!(scene.world.in_doubt_at(id), ["B", "A"]);
        scene.a.fail("/sentences/held", None);
        scene.until_at(id, &[]).await;
        assert_eq!((scene.a.held(id), scene.b.held(id)), (None, Some(2)));
    });
}

#[test]
fn a_sentence_whose_second_post_is_under_way_is_settled_when_that_ends() {
    hold_time(async {
        let scene = Scene::new();
        let id = clock::fresh_id();
        let (from, to) = (scene.world.home("A"), scene.world.home("B"));
        let balancer = &scene.world.balancer;
        balancer.step(|routing| routing.doubt.sent(id, &[from], to, Date::from_unix_micros(0)));
        scene.a.hold(id, 1);
        scene.must_reconcile("A");
        until("A is up", || scene.state("A") == NodeState::Up).await;
        assert_eq!(scene.world.in_doubt_at(id), ["B", "A"], "B may store it at any moment");
        assert_eq!((scene.a.asked(), scene.a.held(id)), (vec!["/fence".to_owned()], Some(1)));
        scene.b.hold(id, 2);
        balancer.step(|routing| routing.doubt.ended(id));
        balancer.doubt_changed.notify_one();
        scene.until_at(id, &[]).await;
        assert_eq!((scene.a.held(id), scene.b.held(id), scene.taken_back()), (None, Some(2), 1));
        assert_eq!(scene.state("A"), NodeState::Up, "a node that answers is not taken out for that");
    });
}

#[test]
fn a_place_that_is_away_keeps_the_sentence_until_its_node_is_back() {
    hold_time(async {
        let scene = Scene::new();
        let id = scene.moved("A", "B");
        scene.world.moved(id, "B", "C");
        [(&scene.a, 1), (&scene.b, 2), (&scene.c, 3)]
            .into_iter()
            .for_each(|(node, micros)| node.hold(id, micros));
        let key = scene.world.key("A");
        scene.world.balancer.step(|routing| routing.fleet.refused(key, "gone"));
        scene.world.balancer.doubt_changed.notify_one();
        scene.until_at(id, &["C", "A"]).await;
        assert_eq!((scene.b.held(id), scene.c.held(id), scene.taken_back()), (None, Some(3), 1));
        assert_eq!(scene.a.asked(), [""; 0]);
        // It is asked before it is up, although nobody said so when the sentence moved.
        (0..2).for_each(|_| scene.world.report_with_store("A", 1, 1));
        assert_eq!(scene.state("A"), NodeState::Down);
        scene.until_at(id, &[]).await;
        until("A is up", || scene.state("A") == NodeState::Up).await;
        assert_eq!((scene.a.held(id), scene.c.held(id), scene.taken_back()), (None, Some(3), 2));
    });
}

#[test]
fn a_copy_that_was_not_taken_back_is_tried_again() {
    for how in [Failing::Silent, Failing::Status(503)] {
        hold_time(async {
            let scene = Scene::new();
            let id = scene.moved("A", "B");
            scene.a.hold(id, 1);
            scene.b.hold(id, 2);
            scene.a.fail("/sentences/retract", Some(how));
            scene.must_reconcile("A");
            sleep(FENCE_TIME).await;
            assert_eq!((scene.state("A"), scene.taken_back()), (NodeState::Down, 0), "{how:?}");
            assert_eq!(scene.world.in_doubt_at(id), ["B", "A"], "{how:?}");
            scene.a.fail("/sentences/retract", None);
            until("A is up", || scene.state("A") == NodeState::Up).await;
            assert_eq!((scene.a.held(id), scene.b.held(id), scene.taken_back()), (None, Some(2), 1));
        });
    }
}

#[test]
fn a_copy_that_is_gone_already_is_none() {
    hold_time(async {
        let scene = Scene::new();
        let id = scene.moved("A", "B");
        scene.a.hold(id, 1);
        scene.b.hold(id, 2);
        // Another balancer takes it back while this one asks to.
        scene.a.lose_before_retract(id);
        scene.must_reconcile("A");
        until("A is up", || scene.state("A") == NodeState::Up).await;
        assert_eq!((scene.world.in_doubt_at(id).len(), scene.taken_back()), (0, 0));
        assert_eq!(scene.b.held(id), Some(2));
    });
}

#[test]
fn what_is_settled_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    // The disk knows nothing of held time.
    let (settled, open) = in_real_time(async {
        let world = World::over(Journal::open(Some(folder.path())).unwrap(), &["A", "B", "C"], &[]);
        let scene = Scene::over(world);
        let (settled, open) = (scene.moved("A", "B"), scene.moved("A", "C"));
        [&scene.a, &scene.b].into_iter().for_each(|node| node.hold(settled, 1));
        scene.a.hold(open, 1);
        let balancer = &scene.world.balancer;
        let writing = balancer.step(|routing| {
            routing.doubt.take_due(9);
            balancer.journal.append(routing.doubt.record(&[settled, open], &routing.homes))
        });
        writing.end().await.unwrap();
        let key = scene.world.key("C");
        balancer.step(|routing| routing.fleet.refused(key, "gone"));
        scene.must_reconcile("A");
        scene.until_at(settled, &[]).await;
        (settled, open)
    });
    let (_, records) = Journal::open(Some(folder.path())).unwrap();
    let (mut doubt, mut homes) = (crate::doubt::Doubt::default(), crate::homes::Homes::default());
    records.iter().for_each(|record| doubt.replay(record, &mut homes).unwrap());
    let places = |id| doubt.homes(id).map(|home| homes.name(home).unwrap().node.clone()).collect::<Vec<_>>();
    assert_eq!((places(settled), places(open)), (Vec::new(), vec!["C".to_owned(), "A".to_owned()]));
}
