//! A lane among nodes that the test plays itself: what gathers, what an idle connection and a retirement do, and what
//! nodes are shown. Time is held.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::coarse_clock::TICK;
use crate::made_up::{AUTHORIZATION, Listener, Peer, World, hold_time, told};

/// Held time in which everything that can happen has happened.
const A_WHILE: Duration = Duration::from_millis(1);

/// A world in which all sentences go to the one node `A`, and where connections to it arrive.
fn world() -> (World, Listener) {
    let world = World::new(&["A"], &[]);
    let listener = world.network.listen("a");
    world.report("A", 0);
    (world, listener)
}

/// Lanes begun and ended, posts, and repeated ones.
fn counted(world: &World) -> [u64; 4] {
    let counters = &world.balancer.counters;
    [&counters.lanes_begun, &counters.lanes_ended, &counters.posts, &counters.repeated].map(|n| n.get())
}

/// The next post has these texts, and all of them are stored.
async fn check_post(node: &mut Peer, texts: &[&str]) {
    let asked = node.request().await.unwrap();
    assert_eq!(asked.texts(), texts);
    node.store(&asked).await.unwrap();
}

async fn check_stored(answers: Vec<oneshot::Receiver<Answer>>, texts: &[&str]) {
    assert_eq!(answers.len(), texts.len());
    for (answer, text) in answers.into_iter().zip(texts) {
        assert_eq!(told(answer).await, format!("A stored {text}"));
    }
}

#[test]
fn what_gathers_while_a_post_is_under_way_goes_as_one() {
    hold_time(async {
        let (world, mut listener) = world();
        let mut answers = vec![world.post("one")];
        let mut node = listener.accept().await;
        let asked = node.request().await.unwrap();
        for text in ["two", "three", "four"] {
            answers.push(world.post(text));
            sleep(A_WHILE).await;
        }
        assert_eq!(asked.texts(), ["one"], "nothing waits on purpose");
        node.store(&asked).await.unwrap();
        check_post(&mut node, &["two", "three", "four"]).await;
        check_stored(answers, &["one", "two", "three", "four"]).await;
        assert_eq!(counted(&world), [1, 0, 2, 0]);
        assert!(listener.try_accept().is_none(), "both went over one connection");
    });
}

#[test]
fn a_connection_that_ended_while_idle_costs_nothing() {
    hold_time(async {
        let (world, mut listener) = world();
        for (place, text) in ["one", "two"].into_iter().enumerate() {
            let answer = world.post(text);
            let mut node = listener.accept().await;
            check_post(&mut node, &[text]).await;
            check_stored(vec![answer], &[text]).await;
            drop(node);
            // With and without time for the lane to notice.
            sleep(A_WHILE * u32::try_from(place).unwrap()).await;
        }
        let answer = world.post("three");
        check_post(&mut listener.accept().await, &["three"]).await;
        check_stored(vec![answer], &["three"]).await;
        assert_eq!(counted(&world), [1, 0, 3, 0]);
    });
}

#[test]
fn the_lane_of_a_node_that_left_ends() {
    hold_time(async {
        let (world, mut listener) = world();
        let answer = world.post("one");
        let mut node = listener.accept().await;
        check_post(&mut node, &["one"]).await;
        check_stored(vec![answer], &["one"]).await;
        sleep(TICK * 2).await;
        assert_eq!(counted(&world), [1, 0, 1, 0], "an empty lane stays while its node does");
        let key = world.key("A");
        world.balancer.step(|routing| routing.fleet.remove(key));
        sleep(TICK * 2).await;
        assert_eq!(counted(&world), [1, 1, 1, 0]);
        assert!(node.request().await.is_none(), "its connection ends with it");
    });
}

#[test]
fn what_is_in_the_lane_of_a_node_that_left_is_delivered_first() {
    hold_time(async {
        let (world, mut listener) = world();
        let mut answers = vec![world.post("one")];
        let mut node = listener.accept().await;
        let asked = node.request().await.unwrap();
        answers.push(world.post("two"));
        let key = world.key("A");
        world.balancer.step(|routing| routing.fleet.remove(key));
        sleep(TICK * 2).await;
        assert_eq!(counted(&world), [1, 0, 1, 0]);
        node.store(&asked).await.unwrap();
        check_post(&mut node, &["two"]).await;
        check_stored(answers, &["one", "two"]).await;
        sleep(TICK * 2).await;
        assert_eq!(counted(&world), [1, 1, 2, 0]);
    });
}

#[test]
fn nodes_are_shown_the_token_and_the_form_that_they_understand() {
    hold_time(async {
        let (world, mut listener) = world();
        let answer = world.post("one");
        let mut node = listener.accept().await;
        let asked = node.request().await.unwrap();
        assert_eq!(
            (asked.what.as_str(), &asked.headers["authorization"][..]),
            ("POST /sentences", AUTHORIZATION)
        );
        assert_eq!(
            (&asked.headers["host"][..], &asked.headers["content-type"][..]),
            ("a:1", "application/x-ndjson")
        );
        // An old node: it gets what it knows, over a connection of its own.
        node.respond(404, "", "").await.unwrap();
        let mut node = listener.accept().await;
        let asked = node.request().await.unwrap();
        assert_eq!(
            (asked.what.as_str(), &asked.headers["authorization"][..]),
            ("POST /sentence", AUTHORIZATION)
        );
        assert_eq!(asked.headers["content-type"], "application/json");
        assert_eq!(asked.body, r#"{"author":"a","sentence":"one"}"#);
        let document = r#"{"author":"a","date":"2026-11-23 10:00:00.000000","sentence":"one"}"#;
        node.respond(200, "", document).await.unwrap();
        check_stored(vec![answer], &["one"]).await;
        // From now on it is asked in its own form.
        let answer = world.post("two");
        assert_eq!(node.request().await.unwrap().what, "POST /sentence");
        node.respond(200, "", &document.replace("one", "two")).await.unwrap();
        check_stored(vec![answer], &["two"]).await;
    });
}

#[test]
fn an_old_nodes_unasked_answer_is_given_to_nobody() {
    hold_time(async {
        let (world, mut listener) = world();
        let answer = world.post("one");
        listener.accept().await.respond(404, "", "").await.unwrap();
        let mut node = listener.accept().await;
        node.request().await.unwrap();
        let document = r#"{"author":"a","date":"2026-11-23 10:00:00.000000","sentence":"one"}"#;
        node.respond(200, "", document).await.unwrap();
        check_stored(vec![answer], &["one"]).await;
        let answer = world.post("two");
        node.request().await.unwrap();
        // The answer to another post; that to this one would come behind it.
        node.respond(200, "", &document.replace("one", "three")).await.unwrap();
        assert_eq!(told(answer).await, "in-doubt-old-node!");
        let answer = world.post("four");
        let mut node = listener.accept().await;
        node.request().await.unwrap();
        node.respond(200, "", &document.replace("one", "four")).await.unwrap();
        check_stored(vec![answer], &["four"]).await;
    });
}
