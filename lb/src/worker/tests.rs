//! The way into a lane, where there is one and where there is none. Time is held.

use std::time::Duration;

use tokio::time::sleep;
use wire::SentenceId;

use crate::made_up::{World, hold_time, told};

const ID: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";

fn with_id(text: &str) -> String {
    format!(r#"{{"id":"{ID}","author":"a","sentence":"{text}"}}"#)
}

/// Whether the balancer remembers where the client's id went.
fn is_known(world: &World) -> bool {
    let id: SentenceId = ID.parse().unwrap();
    world.balancer.step(|routing| routing.known_ids.of(id).is_some())
}

/// Sentences refused for want of a place, and those that are no sentences.
fn refused(world: &World) -> (u64, u64) {
    let counters = &world.balancer.counters;
    (counters.refused.get(), counters.invalid.get())
}

#[test]
fn without_a_node_there_is_no_place() {
    hold_time(async {
        for names in [&[][..], &["A"]] {
            let world = World::new(names, &[]);
            assert_eq!(told(world.receive(&with_id("one"))).await, "down", "{names:?}");
            assert_eq!((refused(&world), is_known(&world)), ((1, 0), false));
            assert_eq!(world.balancer.counters.lanes_begun.get(), 0);
        }
    });
}

#[test]
fn what_is_no_sentence_comes_to_no_lane() {
    hold_time(async {
        let world = World::new(&["A"], &[]);
        world.report("A", 0);
        assert_eq!(told(world.receive("{}")).await, "invalid-sentence");
        assert_eq!((refused(&world), world.seen("A").1), ((0, 1), 0));
    });
}

#[test]
fn a_full_lane_refuses_and_nothing_stays_reserved() {
    hold_time(async {
        let world = World::new(&["A"], &[("lane-items", "2")]);
        let mut listener = world.network.listen("a");
        world.report("A", 0);
        let mut answers = vec![world.post("sent")];
        let mut node = listener.accept().await;
        answers.extend(["waits", "waits too"].map(|text| world.post(text)));
        assert_eq!(world.seen("A").1, 3);
        assert_eq!(told(world.receive(&with_id("late"))).await, "overloaded");
        assert_eq!((world.seen("A").1, refused(&world), is_known(&world)), (3, (1, 0), false));
        for _ in 0..2 {
            let asked = node.request().await.unwrap();
            node.store(&asked).await.unwrap();
        }
        for (answer, text) in answers.into_iter().zip(["sent", "waits", "waits too"]) {
            assert_eq!(told(answer).await, format!("A stored {text}"));
        }
        // There is room again.
        let answer = world.receive(&with_id("late"));
        let asked = node.request().await.unwrap();
        node.store(&asked).await.unwrap();
        assert_eq!((told(answer).await.as_str(), is_known(&world)), ("A stored late", true));
    });
}

#[test]
fn a_slot_that_is_used_again_gets_a_lane_of_its_own() {
    hold_time(async {
        let world = World::new(&["A"], &[]);
        let mut old_listener = world.network.listen("a");
        world.report("A", 0);
        let old_answer = world.post("old");
        let mut old_node = old_listener.accept().await;
        let old_key = world.key("A");
        world.balancer.step(|routing| {
            routing.fleet.remove(old_key);
            routing.fleet.add("B", "http://b:1")
        });
        let new_key = world.key("B");
        assert_eq!((new_key.slot, new_key == old_key), (old_key.slot, false));
        let mut listener = world.network.listen("b");
        world.report("B", 0);
        let answer = world.post("new");
        let mut node = listener.accept().await;
        let asked = node.request().await.unwrap();
        assert_eq!(asked.texts(), ["new"]);
        node.store(&asked).await.unwrap();
        assert_eq!(told(answer).await, "B stored new");
        let lanes = || (world.balancer.counters.lanes_begun.get(), world.balancer.counters.lanes_ended.get());
        assert_eq!(lanes(), (2, 0), "the old one still waits for its answer");
        let asked = old_node.request().await.unwrap();
        old_node.store(&asked).await.unwrap();
        assert_eq!(told(old_answer).await, "A stored old");
        sleep(Duration::from_millis(1)).await;
        assert_eq!(lanes(), (2, 1));
    });
}
