//! One batch and a node that does not simply store it: who gets the sentences then, how often, and what the clients are
//! told. The test plays the nodes, and time is held.

mod refuge;

use tokio::sync::oneshot;
use wire::NodeState;

use super::*;
use crate::answer::Answer;
use crate::made_up::{Asked, Listener, World, hold_time, stored, told};

/// A world in which sentences go to `A` while it is up and then to `B`, and where connections to them arrive.
fn world() -> (World, Listener, Listener) {
    let world = World::new(&["A", "B"], &[]);
    let listeners = ["a", "b"].map(|host| world.network.listen(host));
    world.report("A", 0);
    world.report("B", 1_000);
    let [a, b] = listeners;
    (world, a, b)
}

/// As [`world`], with three sentences that wait for `A`.
fn world_with_three() -> (World, Listener, Listener, Vec<oneshot::Receiver<Answer>>) {
    let (world, a, b) = world();
    let answers = ["one", "two", "three"].map(|text| world.post(text)).into();
    (world, a, b, answers)
}

async fn all_told(answers: Vec<oneshot::Receiver<Answer>>) -> Vec<String> {
    let mut all = Vec::new();
    for answer in answers {
        all.push(told(answer).await);
    }
    all
}

/// The answer's line of a sentence that is not stored.
fn failed(id: &str, status: u16, ambiguous: bool) -> String {
    let mut error = wire::Problem::new(status, "store-unavailable", "x", "the store failed");
    error.ambiguous = ambiguous;
    format!("{}\n", serde_json::json!({"status": "failed", "id": id, "error": error}))
}

/// What the clients are told of three sentences, of which `A` answers the second with `status`, and `B` stores what
/// comes to it; and the texts that came to `B`.
fn check_failed_item(status: u16, of_second: &str, at_b: &[&str]) {
    hold_time(async {
        let (world, mut a, mut b, answers) = world_with_three();
        let mut node = a.accept().await;
        let asked = node.request().await.unwrap();
        let lines = asked.sentences().into_iter().map(|(id, text)| match text.as_str() {
            "two" => failed(&id, status, false),
            _ => stored(&id),
        });
        node.respond(200, "", &lines.collect::<String>()).await.unwrap();
        let at_other = async {
            if !at_b.is_empty() {
                let mut node = b.accept().await;
                let asked = node.request().await.unwrap();
                node.store(&asked).await.unwrap();
                assert_eq!(asked.texts(), at_b);
            }
        };
        let ((), told) = tokio::join!(at_other, all_told(answers));
        assert_eq!(told, ["A stored one", of_second, "A stored three"]);
        assert_eq!((world.seen("A").1, world.seen("B").1), (0, 0));
        let is_up = world.seen("A").0 == NodeState::Up;
        assert_eq!(is_up, at_b.is_empty(), "who cannot store is left out");
    });
}

#[test]
fn a_sentence_that_is_surely_not_stored_goes_elsewhere_unless_it_is_at_fault() {
    check_failed_item(507, "B stored two", &["two"]);
    check_failed_item(413, "store-unavailable", &[]);
}

#[test]
fn only_the_sentences_that_the_node_cannot_tell_of_are_posted_again() {
    hold_time(async {
        let (world, mut a, mut b, answers) = world_with_three();
        let mut node = a.accept().await;
        let first = node.request().await.unwrap();
        let lines = |asked: &Asked, unsure: &str| {
            let line = |(id, text): (String, String)| match text == unsure {
                true => failed(&id, 503, true),
                false => stored(&id),
            };
            asked.sentences().into_iter().map(line).collect::<String>()
        };
        node.respond(200, "", &lines(&first, "two")).await.unwrap();
        let mut node = a.accept().await;
        let second = node.request().await.unwrap();
        assert_eq!(second.sentences(), first.sentences()[1..2], "the same sentence under the same id");
        // Still in doubt, it does not move, whatever this answer says of this post.
        node.respond(503, "", "").await.unwrap();
        let mut node = a.accept().await;
        let third = node.request().await.unwrap();
        node.respond(200, "", &failed(&third.sentences()[0].0, 507, false)).await.unwrap();
        let mut node = a.accept().await;
        let last = node.request().await.unwrap();
        assert_eq!([third.sentences(), last.sentences()], [second.sentences(), second.sentences()]);
        node.store(&last).await.unwrap();
        assert_eq!(all_told(answers).await, ["A stored one", "A stored two", "A stored three"]);
        assert!(b.try_accept().is_none());
        assert_eq!(world.balancer.counters.repeated.get(), 3);
    });
}

#[test]
fn an_unanswered_post_is_repeated_with_growing_pauses_until_the_deadline() {
    hold_time(async {
        let (world, mut a, mut b, answers) = world_with_three();
        let told = tokio::task::spawn_local(all_told(answers));
        let (mut posts, mut began) = (Vec::new(), Vec::new());
        while !told.is_finished() {
            let Ok(mut node) = tokio::time::timeout(LAST_PAUSE * 2, a.accept()).await else { continue };
            began.push(clock::now());
            posts.push(node.request().await.unwrap().sentences());
            // It takes the post and goes.
        }
        assert!(posts.iter().all(|post| *post == posts[0]), "the same sentences under the same ids");
        let pauses: Vec<u128> =
            began.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect();
        // Held time does not run while the balancer does: these are the pauses alone.
        assert_eq!(pauses[..5], [20, 40, 80, 160, 320]);
        assert!(pauses[5..].iter().all(|pause| *pause == LAST_PAUSE.as_millis()), "{pauses:?}");
        let deadline = world.balancer.lane_limits.deadline.as_millis();
        let waited = pauses.iter().sum::<u128>();
        assert!(waited < deadline && waited + LAST_PAUSE.as_millis() >= deadline, "{pauses:?}");
        assert_eq!(told.await.unwrap(), ["in-doubt!"; 3]);
        assert!(b.try_accept().is_none(), "what may be stored does not move");
        let counters = &world.balancer.counters;
        assert_eq!((counters.in_doubt.get(), counters.repeated.get()), (3, pauses.len() as u64));
        assert_eq!(world.seen("A").1, 0);
    });
}

#[test]
fn patience_moves_what_waits_and_nothing_that_was_sent() {
    hold_time(async {
        let (world, mut a, mut b) = world();
        let first = world.post("one");
        let mut silent = a.accept().await;
        let asked = silent.request().await.unwrap();
        let second = world.post("two");
        let mut node = b.accept().await;
        let moved = node.request().await.unwrap();
        assert_eq!(moved.texts(), ["two"]);
        node.store(&moved).await.unwrap();
        assert_eq!(told(second).await, "B stored two");
        assert_eq!((world.seen("A"), world.seen("B").1), ((NodeState::Down, 1), 0));
        assert_eq!(world.balancer.counters.rerouted.get(), 1);
        // The answer is late, and still counts.
        silent.store(&asked).await.unwrap();
        assert_eq!(told(first).await, "A stored one");
    });
}

#[test]
fn what_waits_for_the_only_node_waits_on() {
    hold_time(async {
        let (world, mut a, _b) = world();
        let key = world.key("B");
        world.balancer.step(|routing| routing.fleet.remove(key));
        let first = world.post("one");
        let mut silent = a.accept().await;
        let asked = silent.request().await.unwrap();
        let second = world.post("two");
        sleep(world.balancer.lane_limits.patience + FIRST_PAUSE).await;
        assert_eq!(world.seen("A"), (NodeState::Up, 2), "a slow node is better than none");
        silent.store(&asked).await.unwrap();
        let asked = silent.request().await.unwrap();
        silent.store(&asked).await.unwrap();
        assert_eq!(all_told(vec![first, second]).await, ["A stored one", "A stored two"]);
        assert_eq!(world.balancer.counters.rerouted.get(), 0);
    });
}

#[test]
fn a_post_that_never_left_goes_elsewhere_at_once() {
    hold_time(async {
        let (world, a, b, answers) = world_with_three();
        drop(a);
        b.store_everything();
        assert_eq!(all_told(answers).await, ["B stored one", "B stored two", "B stored three"]);
        assert_eq!(world.seen("A"), (NodeState::Down, 0));
        let counters = &world.balancer.counters;
        assert_eq!((counters.rerouted.get(), counters.repeated.get()), (3, 0));
    });
}

#[test]
fn a_post_that_may_have_arrived_stays_with_a_node_that_then_refuses_connections() {
    hold_time(async {
        let (world, mut a, mut b, answers) = world_with_three();
        let mut node = a.accept().await;
        node.request().await.unwrap();
        drop((node, a));
        assert_eq!(all_told(answers).await, ["in-doubt!"; 3]);
        assert!(b.try_accept().is_none());
        assert_eq!(world.balancer.counters.in_doubt.get(), 3);
    });
}

#[test]
fn an_answer_that_tells_of_other_sentences_is_not_believed() {
    hold_time(async {
        let (world, mut a, mut b, answers) = world_with_three();
        let mut node = a.accept().await;
        let asked = node.request().await.unwrap();
        let backwards = asked.sentences().into_iter().rev().map(|(id, _)| stored(&id)).collect::<String>();
        node.respond(200, "", &backwards).await.unwrap();
        // It may hold all three, and is asked again.
        let mut node = a.accept().await;
        let again = node.request().await.unwrap();
        assert_eq!(again.sentences(), asked.sentences());
        node.store(&again).await.unwrap();
        assert_eq!(all_told(answers).await, ["A stored one", "A stored two", "A stored three"]);
        assert!(b.try_accept().is_none(), "a node that tells no store is no place to move from");
        assert_eq!(world.seen("A").1, 0);
    });
}
