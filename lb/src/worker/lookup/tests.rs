//! What the nodes are asked about sentences that may have been posted before, and what follows. The test plays the nodes,
//! and time is held.

use tokio::sync::oneshot;
use wire::{Date, NodeState, StoredCopy};

use super::*;
use crate::answer::Answer;
use crate::made_up::{Asked, Listener, Peer, World, hold_time, read_json, to_json, told};

/// A world that has just begun, so that any client's id may be that of a repeat. Sentences go to `A` while it is up.
fn world() -> (World, [Listener; 2]) {
    let world = World::new(&["A", "B"], &[]);
    let listeners = ["a", "b"].map(|host| world.network.listen(host));
    world.report_reconciled("A", 0);
    world.report_reconciled("B", 1_000);
    (world, listeners)
}

/// Posts a sentence under a client's id.
fn post(world: &World, id: SentenceId, text: &str) -> oneshot::Receiver<Answer> {
    world.receive(&format!(r#"{{"id":"{id}","author":"a","sentence":"{text}"}}"#))
}

/// The ids that the node is asked about next.
async fn asked_about(node: &mut Peer) -> Vec<SentenceId> {
    let asked: Asked = node.request().await.unwrap();
    assert_eq!(asked.what, "POST /sentences/held");
    read_json::<Ids>(&asked).ids
}

/// The node holds these, or none.
async fn holds(node: &mut Peer, ids: &[SentenceId]) {
    let copy = |id: &SentenceId| StoredCopy { date: Date::from_unix_micros(1), id: *id };
    let copies = ids.iter().map(copy).collect();
    node.respond(200, "", &to_json(&Copies { copies })).await.unwrap();
}

/// Stores the next post, of these texts.
async fn stores(node: &mut Peer, texts: &[&str]) {
    let asked = node.request().await.unwrap();
    assert_eq!(
        (asked.what.as_str(), asked.texts()),
        ("POST /sentences", texts.iter().map(ToString::to_string).collect())
    );
    node.store(&asked).await.unwrap();
}

#[test]
fn what_gathers_while_the_nodes_are_asked_goes_with_the_next_round() {
    hold_time(async {
        let (world, [mut at_a, mut at_b]) = world();
        let ids: [SentenceId; 5] = std::array::from_fn(|_| clock::fresh_id());
        let texts = ["0", "1", "2", "3", "4"];
        let mut answers: Vec<_> = (0..3).map(|n| post(&world, ids[n], texts[n])).collect();
        let (mut a, mut b) = (at_a.accept().await, at_b.accept().await);
        assert_eq!(
            (asked_about(&mut a).await, asked_about(&mut b).await),
            (ids[..3].to_vec(), ids[..3].to_vec())
        );
        answers.extend((3..5).map(|n| post(&world, ids[n], texts[n])));
        holds(&mut a, &[]).await;
        holds(&mut b, &[]).await;
        let mut lane = at_a.accept().await;
        stores(&mut lane, &texts[..3]).await;
        assert_eq!(
            (asked_about(&mut a).await, asked_about(&mut b).await),
            (ids[3..].to_vec(), ids[3..].to_vec())
        );
        holds(&mut a, &[]).await;
        holds(&mut b, &[]).await;
        stores(&mut lane, &texts[3..]).await;
        for (answer, text) in answers.into_iter().zip(texts) {
            assert_eq!(told(answer).await, format!("A stored {text}"));
        }
        // Known from now on, it is asked for no more.
        let again = post(&world, ids[0], texts[0]);
        stores(&mut lane, &texts[..1]).await;
        assert_eq!(told(again).await, "A stored 0");
        assert_eq!(world.balancer.counters.looked_up.get(), 5);
        assert_eq!(world.balancer.step(|routing| routing.doubt.len()), 0);
        assert!(at_a.try_accept().is_none(), "both rounds went over one connection");
    });
}

#[test]
fn a_holder_gets_the_repeat() {
    hold_time(async {
        let (world, [mut at_a, mut at_b]) = world();
        let [held, new] = [(); 2].map(|()| clock::fresh_id());
        let answers = [post(&world, held, "held"), post(&world, new, "new")];
        let (mut a, mut b) = (at_a.accept().await, at_b.accept().await);
        assert_eq!(
            (asked_about(&mut a).await, asked_about(&mut b).await),
            (vec![held, new], vec![held, new])
        );
        holds(&mut a, &[]).await;
        holds(&mut b, &[held]).await;
        let (mut a, mut b) = (at_a.accept().await, at_b.accept().await);
        stores(&mut a, &["new"]).await;
        stores(&mut b, &["held"]).await;
        let [of_held, of_new] = answers;
        assert_eq!([told(of_held).await, told(of_new).await], ["B stored held", "A stored new"]);
        assert_eq!(world.in_doubt_at(held), [""; 0]);
    });
}

#[test]
fn of_two_holders_one_gets_the_repeat_and_it_is_in_doubt() {
    hold_time(async {
        let (world, [mut at_a, mut at_b]) = world();
        let id = clock::fresh_id();
        let answer = post(&world, id, "twice");
        let (mut a, mut b) = (at_a.accept().await, at_b.accept().await);
        tokio::join!(asked_about(&mut a), asked_about(&mut b));
        holds(&mut a, &[id]).await;
        holds(&mut b, &[id]).await;
        stores(&mut at_a.accept().await, &["twice"]).await;
        assert_eq!(told(answer).await, "A stored twice");
        assert_eq!(world.in_doubt_at(id), ["A", "B"]);
    });
}

#[test]
fn a_node_that_does_not_answer_in_time_is_away_and_may_hold_it() {
    hold_time(async {
        let (world, [mut at_a, mut at_b]) = world();
        let id = clock::fresh_id();
        let (began, answer) = (clock::now(), post(&world, id, "one"));
        let (mut a, mut silent) = (at_a.accept().await, at_b.accept().await);
        tokio::join!(asked_about(&mut a), asked_about(&mut silent));
        holds(&mut a, &[]).await;
        stores(&mut at_a.accept().await, &["one"]).await;
        assert_eq!(clock::now().duration_since(began), world.balancer.lane_limits.patience);
        assert_eq!(told(answer).await, "A stored one");
        assert_eq!(world.in_doubt_at(id), ["A", "B"]);
        assert_eq!((world.seen("A").0, world.seen("B").0), (NodeState::Up, NodeState::Down));
        // It is asked before it is up again.
        (0..2).for_each(|_| world.report_with_store("B", 1_000, 1));
        assert_eq!(world.seen("B").0, NodeState::Down);
        let (key, due) = (world.key("B"), world.balancer.step(|routing| routing.fleet.to_be_reconciled()));
        assert_eq!(due.first().map(|(node, _)| *node), Some(key));
    });
}

#[test]
fn a_node_that_leaves_while_it_is_asked_may_come_back_with_it() {
    for answers in [true, false] {
        hold_time(async {
            let (world, [mut at_a, mut at_b]) = world();
            let id = clock::fresh_id();
            let answer = post(&world, id, "one");
            let (mut a, mut b) = (at_a.accept().await, at_b.accept().await);
            tokio::join!(asked_about(&mut a), asked_about(&mut b));
            let key = world.key("B");
            world.balancer.step(|routing| routing.remove(key, clock::now()));
            if answers {
                holds(&mut b, &[id]).await;
            }
            holds(&mut a, &[]).await;
            stores(&mut at_a.accept().await, &["one"]).await;
            assert_eq!(told(answer).await, "A stored one");
            assert_eq!(world.in_doubt_at(id), ["A", "B"], "it answered: {answers}");
            world.balancer.step(|routing| routing.add("B", "http://other:1", clock::now()));
            world.report_with_store("B", 1_000, 1);
            assert_eq!(world.seen("B").0, NodeState::Down, "it is asked first");
        });
    }
}
