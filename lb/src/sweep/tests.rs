//! Two balancers before the same nodes, of which the test is the other one: what lies twice is found, and taken back
//! once. Time is held.

use std::rc::Rc;

use super::*;
use crate::made_up::{Failing, Holder, World, hold_time, until};
use crate::reconcile;

/// How a node of the scene is asked for the newest copies, and for single ones.
const IDS: &str = "/sentences/ids";
const HELD: &str = "/sentences/held";

/// Nodes `A` and `B`, up, with stores and empty; the sweep and the reconciler before them.
fn scene() -> (World, Rc<Holder>, Rc<Holder>) {
    let world = World::new(&["A", "B"], &[]);
    let [a, b] = ["a", "b"].map(|host| Holder::start(world.network.listen(host)));
    ["A", "B"].into_iter().for_each(|name| world.report_reconciled(name, 0));
    tokio::task::spawn_local(run(Arc::clone(&world.balancer)));
    tokio::task::spawn_local(reconcile::run(Arc::clone(&world.balancer)));
    (world, a, b)
}

/// As [`scene`], where the nodes tell that another balancer reads their reports.
fn scene_with_company() -> (World, Rc<Holder>, Rc<Holder>) {
    let (world, a, b) = scene();
    keep_company(&world);
    (world, a, b)
}

fn keep_company(world: &World) {
    world.report_beside("A", 2);
}

/// So many seconds ago, in microseconds.
fn ago(secs: i64) -> i64 {
    clock::wall().unix_micros() - secs * 1_000_000
}

/// How many sentences were found twice, and how many copies were taken back.
fn counted(world: &World) -> (u64, u64) {
    let counters = &world.balancer.counters;
    (counters.found_twice.get(), counters.taken_back.get())
}

#[test]
fn without_another_balancer_nothing_is_asked() {
    hold_time(async {
        let (world, a, b) = scene();
        let id = clock::fresh_id();
        a.hold(id, ago(2));
        b.hold(id, ago(1));
        world.report_beside("A", 1);
        sleep(WINDOW).await;
        assert_eq!((a.asked().len(), b.asked().len(), counted(&world)), (0, 0, (0, 0)));
        // With one it begins, and it ends some time after that one has gone.
        keep_company(&world);
        until("the older copy is taken back", || a.held(id).is_none()).await;
        sleep(WINDOW * 2).await;
        a.asked();
        b.asked();
        sleep(WINDOW).await;
        assert_eq!((a.asked().len(), b.asked().len()), (0, 0));
    });
}

#[test]
fn a_sentence_that_lies_twice_is_found_and_taken_back_once() {
    hold_time(async {
        let (world, a, b) = scene_with_company();
        // Both balancers read the nodes already when it comes.
        until("both are read", || !a.asked().is_empty() && !b.asked().is_empty()).await;
        let (id, other) = (clock::fresh_id(), clock::fresh_id());
        let (older, newer) = (ago(0), ago(0) + 1);
        b.hold(id, older);
        b.hold(other, older);
        a.hold(id, newer);
        until("the older copy is taken back", || b.held(id).is_none()).await;
        sleep(EVERY * 4).await;
        assert_eq!((counted(&world), world.in_doubt_at(id).len()), ((1, 1), 0));
        assert_eq!((a.held(id), b.held(other)), (Some(newer), Some(older)));
    });
}

#[test]
fn what_lies_twice_when_the_other_balancer_is_first_heard_of_counts_once() {
    hold_time(async {
        let (world, a, b) = scene();
        let id = clock::fresh_id();
        a.hold(id, ago(2));
        b.hold(id, ago(1));
        keep_company(&world);
        until("the older copy is taken back", || a.held(id).is_none()).await;
        sleep(EVERY * 4).await;
        assert_eq!((counted(&world), b.held(id).is_some()), ((1, 1), true));
    });
}

#[test]
fn the_copies_of_a_node_that_was_long_unread_are_asked_for_at_the_others() {
    // Also where the node breaks off when it is read again, and is read to its end later.
    for breaks_off in [false, true] {
        hold_time(async {
            let (world, a, b) = scene_with_company();
            until("both are read", || !a.asked().is_empty() && !b.asked().is_empty()).await;
            b.fail(IDS, Some(Failing::Silent));
            let (id, now) = (clock::fresh_id(), ago(0));
            a.hold(id, now);
            b.hold(id, now + 1);
            a.asked();
            until("the copy on A is seen", || !a.asked().is_empty()).await;
            // Later A is read from this one on, and the other leaves the window.
            a.hold(clock::fresh_id(), now + 60_000_000);
            for _ in 0..8 {
                sleep(WINDOW / 4).await;
                keep_company(&world);
            }
            assert_eq!((counted(&world), world.in_doubt_at(id).len()), ((0, 0), 0));
            a.asked();
            b.asked();
            match breaks_off {
                false => b.fail(IDS, None),
                true => {
                    // The first of two pages can be had, and the second only later.
                    (0..MAX_BULK_ITEMS).for_each(|_| b.hold(clock::fresh_id(), now + 2));
                    b.fail_after(1, IDS, Failing::Status(500));
                    until("B broke off", || b.asked().len() > 1).await;
                    assert_eq!(counted(&world), (0, 0));
                    b.fail(IDS, None);
                }
            }
            until("the older copy is taken back", || a.held(id).is_none()).await;
            assert!(a.asked().iter().any(|path| path == HELD));
            assert_eq!(counted(&world), (1, 1), "breaks off: {breaks_off}");
            // Read again, its copies are compared as they come.
            sleep(EVERY * 4).await;
            a.asked();
            sleep(EVERY * 4).await;
            assert!(a.asked().iter().all(|path| path == IDS));
        });
    }
}
