//! A node that hangs, is fenced, breaks or refuses while another may take what may lie on it, and repeats, which may lie
//! on it from the beginning. The test plays the nodes, and time is held.

use wire::contract::FENCE_HEADER;
use wire::problem::Kind;

use super::*;
use crate::made_up::{Peer, to_json};

/// As [`super::world`], of nodes that can be asked later for what they were sent, so that it may leave them.
fn world_with_refuge(settings: &[(&str, &str)]) -> (World, Listener, Listener) {
    let world = World::new(&["A", "B"], settings);
    let [a, b] = ["a", "b"].map(|host| world.network.listen(host));
    world.report_reconciled("A", 0);
    world.report_reconciled("B", 1_000);
    (world, a, b)
}

/// Stores what is posted over the connection until there are `n` sentences; gives their texts.
async fn store_until(node: &mut Peer, n: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < n {
        let asked = node.request().await.unwrap();
        node.store(&asked).await.unwrap();
        texts.extend(asked.texts());
    }
    texts.sort();
    texts
}

/// What a node says to a post from before its fence.
fn fenced() -> String {
    to_json(&wire::Problem::of(Kind::Fenced, "from before the fence"))
}

/// A post under a client's id.
fn with_id(id: SentenceId, text: &str) -> String {
    format!(r#"{{"id":"{id}","author":"a","sentence":"{text}"}}"#)
}

/// An id under which a sentence was posted to `A` before, as far as this balancer remembers.
fn known_at_a(world: &World) -> SentenceId {
    let (id, home) = (clock::fresh_id(), world.home("A"));
    world.balancer.step(|routing| routing.known_ids.note(id, home));
    id
}

/// How often sentences went to another node, and how many of them were in doubt by that.
fn moved(world: &World) -> (u64, u64) {
    let counters = &world.balancer.counters;
    (counters.rerouted.get(), counters.moved_in_doubt.get())
}

#[test]
fn what_a_hung_node_leaves_unanswered_moves_and_so_does_what_waits_behind_it() {
    hold_time(async {
        let (world, mut a, mut b) = world_with_refuge(&[]);
        let sent = world.post("sent");
        let mut hung = a.accept().await;
        let asked = hung.request().await.unwrap();
        assert_eq!(asked.headers[FENCE_HEADER], "1");
        let id: SentenceId = asked.sentences()[0].0.parse().unwrap();
        let waits = world.post("waits");
        let mut node = b.accept().await;
        assert_eq!(store_until(&mut node, 2).await, ["sent", "waits"]);
        assert_eq!(all_told(vec![sent, waits]).await, ["B stored sent", "B stored waits"]);
        assert_eq!((moved(&world), world.in_doubt_at(id)), ((2, 1), vec!["B".to_owned(), "A".to_owned()]));
        assert_eq!((world.seen("A"), world.seen("B")), ((NodeState::Down, 0), (NodeState::Up, 0)));
        assert!(hung.request().await.is_none(), "nobody waits for its answer any more");
        // It answers again, and is asked first for what moved.
        (0..2).for_each(|_| world.report_with_store("A", 1, 1));
        assert_eq!(world.seen("A").0, NodeState::Down);
        let key = world.key("A");
        let waits_for_that = world.balancer.step(|routing| routing.fleet.to_be_reconciled());
        assert_eq!(waits_for_that.first().map(|(node, _)| *node), Some(key));
    });
}

/// How long, in milliseconds, a post to `A` may be unanswered before it moves, after answers that took so long.
fn check_suspicion(answers: &[u64], settings: &[(&str, &str)], expected: u128) {
    hold_time(async {
        let (world, mut a, b) = world_with_refuge(settings);
        let mut node = None;
        for (n, time) in answers.iter().enumerate() {
            let answer = world.post(&n.to_string());
            if node.is_none() {
                node = Some(a.accept().await);
            }
            let node = node.as_mut().unwrap();
            let asked = node.request().await.unwrap();
            sleep(Duration::from_millis(*time)).await;
            node.store(&asked).await.unwrap();
            assert_eq!(told(answer).await, format!("A stored {n}"), "{answers:?}");
        }
        b.store_everything();
        let began = clock::now();
        assert_eq!(told(world.post("hangs")).await, "B stored hangs");
        let waited = clock::now().duration_since(began).as_millis();
        assert_eq!(waited, expected, "{answers:?} {settings:?}");
    });
}

#[test]
fn a_node_is_silent_after_eight_times_its_slowest_answer_of_late() {
    // The sentence itself adds a quarter of a millisecond, and timers go by whole ones.
    check_suspicion(&[60], &[], 481);
    check_suspicion(&[64, 0], &[], 64 * 8 * 31 / 32 + 1);
    // But none within 200 ms, and each after node-patience, which one that has not answered yet has whole.
    check_suspicion(&[0; 20], &[], 201);
    check_suspicion(&[], &[], 2_000);
    check_suspicion(&[60], &[("node-patience", "400ms")], 400);
    check_suspicion(&[0; 20], &[("node-patience", "150ms")], 150);
}

#[test]
fn a_post_from_before_a_fence_goes_again_with_the_newest_and_is_in_no_doubt_by_that() {
    hold_time(async {
        let (world, mut a, b) = world_with_refuge(&[]);
        let answer = world.post("one");
        let mut node = a.accept().await;
        let (key, first) = (world.key("A"), node.request().await.unwrap());
        let mut asked = vec![first];
        for fence in 2..6 {
            // More often than a sentence in doubt goes to its node.
            world.balancer.step(|routing| routing.fleet.fenced(key, fence));
            node.respond(409, "", &fenced()).await.unwrap();
            asked.push(node.request().await.unwrap());
        }
        let fences: Vec<&str> = asked.iter().map(|asked| asked.headers[FENCE_HEADER].as_str()).collect();
        assert_eq!(fences, ["1", "2", "3", "4", "5"]);
        assert!(asked.iter().all(|again| again.sentences() == asked[0].sentences()));
        assert_eq!((world.seen("A"), moved(&world)), ((NodeState::Up, 1), (0, 0)));
        // So another node may take it without more ado.
        b.store_everything();
        node.respond(503, "", "").await.unwrap();
        assert_eq!(told(answer).await, "B stored one");
        assert_eq!((moved(&world), world.balancer.step(|routing| routing.doubt.len())), ((1, 0), 0));
    });
}

#[test]
fn an_unreadable_answer_is_asked_for_once_more_and_then_its_sentences_move() {
    hold_time(async {
        let (world, mut a, b) = world_with_refuge(&[]);
        let answers = ["one", "two"].map(|text| world.post(text)).into();
        b.store_everything();
        let (mut node, mut posts) = (a.accept().await, Vec::new());
        // A post that is not let in is none of the two.
        let asked = node.request().await.unwrap();
        node.respond(409, "", &fenced()).await.unwrap();
        for n in 0..2 {
            if n > 0 {
                node = a.accept().await;
            }
            posts.push(node.request().await.unwrap().sentences());
            node.respond(200, "", "<html>").await.unwrap();
        }
        assert_eq!(all_told(answers).await, ["B stored one", "B stored two"]);
        assert!(posts.iter().all(|post| *post == asked.sentences()), "the same sentences under the same ids");
        assert!(a.try_accept().is_none());
        assert_eq!((moved(&world), world.seen("A").1), ((2, 2), 0));
    });
}

#[test]
fn what_a_broken_connection_left_moves_at_once_where_its_node_is_gone() {
    hold_time(async {
        let (world, mut a, b) = world_with_refuge(&[]);
        let answer = world.post("one");
        b.store_everything();
        let mut node = a.accept().await;
        node.request().await.unwrap();
        let began = clock::now();
        drop((node, a));
        assert_eq!(told(answer).await, "B stored one");
        assert_eq!(clock::now().duration_since(began), FIRST_PAUSE);
        assert_eq!((moved(&world), world.seen("A")), ((1, 1), (NodeState::Down, 0)));
    });
}

#[test]
fn what_waited_for_all_of_its_time_behind_the_only_node_was_never_sent() {
    hold_time(async {
        let world = World::new(&["A"], &[]);
        let mut a = world.network.listen("a");
        world.report_reconciled("A", 0);
        let sent = world.post("sent");
        let mut hung = a.accept().await;
        assert_eq!(hung.request().await.unwrap().texts(), ["sent"]);
        let waits = world.post("waits");
        assert_eq!(all_told(vec![sent, waits]).await, ["in-doubt!", "overloaded"]);
        assert_eq!((world.seen("A"), moved(&world)), ((NodeState::Up, 0), (0, 0)));
        assert!(hung.request().await.is_none() && a.try_accept().is_none());
        let counters = &world.balancer.counters;
        assert_eq!((counters.posts.get(), counters.in_doubt.get(), counters.refused.get()), (1, 1, 1));
    });
}

#[test]
fn of_what_waits_behind_a_silent_post_only_repeats_are_in_doubt_when_they_move() {
    hold_time(async {
        let (world, mut a, mut b) = world_with_refuge(&[]);
        // A client's id that is new needs no question then.
        sleep(Duration::from_secs(60)).await;
        let (first, repeated) = (clock::fresh_id(), known_at_a(&world));
        let sent = world.post("sent");
        let mut hung = a.accept().await;
        hung.request().await.unwrap();
        let texts = [(first, "first"), (repeated, "repeated")];
        let waiting = texts.map(|(id, text)| world.receive(&with_id(id, text)));
        let mut node = b.accept().await;
        assert_eq!(store_until(&mut node, 3).await, ["first", "repeated", "sent"]);
        let answers = std::iter::once(sent).chain(waiting).collect();
        assert_eq!(all_told(answers).await, ["B stored sent", "B stored first", "B stored repeated"]);
        assert_eq!(moved(&world), (3, 2));
        assert_eq!(world.in_doubt_at(first), [""; 0]);
        assert_eq!(world.in_doubt_at(repeated), ["B", "A"]);
        let (home, b) = (world.balancer.step(|routing| routing.known_ids.of(first)), world.home("B"));
        assert_eq!(home, Some(b), "the next repeat of it goes there");
    });
}

#[test]
fn of_what_a_node_refuses_only_repeats_are_in_doubt_when_they_move() {
    hold_time(async {
        let (world, mut a, b) = world_with_refuge(&[]);
        sleep(Duration::from_secs(60)).await;
        let (first, repeated) = (clock::fresh_id(), known_at_a(&world));
        let answers =
            [(first, "first"), (repeated, "repeated")].map(|(id, text)| world.receive(&with_id(id, text)));
        b.store_everything();
        let mut node = a.accept().await;
        assert_eq!(node.request().await.unwrap().texts(), ["first", "repeated"]);
        node.respond(503, "", "").await.unwrap();
        assert_eq!(all_told(answers.into()).await, ["B stored first", "B stored repeated"]);
        assert_eq!((moved(&world), world.seen("A").1), ((2, 1), 0));
        assert_eq!(
            (world.in_doubt_at(first).len(), world.in_doubt_at(repeated)),
            (0, vec!["B".to_owned(), "A".to_owned()])
        );
    });
}

#[test]
fn a_repeat_for_an_old_node_is_told_in_doubt_and_not_posted() {
    hold_time(async {
        let (world, mut a, mut b) = world();
        let answer = world.post("one");
        a.accept().await.respond(404, "", "").await.unwrap();
        let mut node = a.accept().await;
        let document = format!(r#"{{"author":"a","date":"{}","sentence":"one"}}"#, crate::made_up::DATE);
        node.request().await.unwrap();
        node.respond(200, "", &document).await.unwrap();
        assert_eq!(told(answer).await, "A stored one");
        let posts = world.balancer.counters.posts.get();
        let repeated = known_at_a(&world);
        assert_eq!(told(world.receive(&with_id(repeated, "two"))).await, "in-doubt-old-node!");
        assert_eq!((world.balancer.counters.posts.get(), world.seen("A").1), (posts, 0));
        assert!(a.try_accept().is_none() && b.try_accept().is_none());
    });
}
