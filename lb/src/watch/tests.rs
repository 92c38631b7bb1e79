//! The watch of a node that the test plays: what the fleet thinks of a node by what it says, or does not say. Time is held.

use proptest::prelude::*;
use wire::NodeState;

use super::*;
use crate::fleet::{Change, Turn};
use crate::made_up::{AUTHORIZATION, Listener, Peer, World, hold_time, report};

/// Held time in which everything that can happen at once has happened.
const A_WHILE: Duration = Duration::from_millis(1);
/// Two failures do not take a node down, three do.
const FALL: usize = 3;

/// The watches of a world, and where those of `A` arrive.
fn watched(names: &[&str]) -> (World, Watches, Listener) {
    let world = World::new(names, &[("fall", "3"), ("rise", "2"), ("stale-after", "3s")]);
    let watches = Watches::new(Arc::clone(&world.balancer), Duration::from_millis(500));
    let listener = world.network.listen("a");
    (world, watches, listener)
}

/// What turned since this was last called.
fn turned(world: &mut World) -> Vec<String> {
    let told = |Turn { node, change }| match change {
        Change::Down { because } => format!("{node} down {because}"),
        other => format!("{node} {}", format!("{other:?}").split(' ').next().unwrap().to_lowercase()),
    };
    let all = std::iter::from_fn(|| world.turns.try_recv().ok()).map(told);
    all.filter(|turn| !turn.ends_with("joined")).collect()
}

async fn begin_stream(node: &mut Peer) {
    assert_eq!(node.request().await.unwrap().what, "GET /report/stream");
    node.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await.unwrap();
}

fn event(seq: u64, documents: u64) -> String {
    let report = serde_json::to_string(&report("first", seq, documents, seq)).unwrap();
    format!("event: report\ndata: {report}\n\n")
}

/// The next connection to a node that begins a stream over it, and reports once.
async fn up(world: &mut World, listener: &mut Listener) -> Peer {
    let mut node = listener.accept().await;
    begin_stream(&mut node).await;
    node.say(&event(1, 5)).await.unwrap();
    sleep(A_WHILE).await;
    assert_eq!(turned(world), ["A up"]);
    node
}

#[test]
fn a_stream_of_reports_makes_the_node_up_and_keeps_its_count() {
    hold_time(async {
        let (mut world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let mut node = up(&mut world, &mut listener).await;
        let seen = |world: &World| {
            world.balancer.step(|routing| {
                let node = routing.fleet.named("A").unwrap();
                (node.documents(), node.protocol)
            })
        };
        assert_eq!(seen(&world), (Some(5), Some(Protocol::Batch)));
        // Reports come in any pieces, and several at once.
        let events = event(2, 6) + &event(3, 7);
        let (part, rest) = events.split_at(events.len() / 3);
        node.say(part).await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(seen(&world).0, Some(5));
        node.say(rest).await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(seen(&world).0, Some(7));
        assert!(turned(&mut world).is_empty());
    });
}

/// A node that was up, and then fails like this on every connection, is down with the third failure, because of
/// `because`. `fail` gets each connection behind the head of a stream.
fn check_failing(fail: impl AsyncFn(&mut Peer), because: &str) {
    hold_time(async {
        let (mut world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let mut node = up(&mut world, &mut listener).await;
        for failures in 1..=FALL {
            fail(&mut node).await;
            drop(node);
            node = listener.accept().await;
            let expected = if failures < FALL { vec![] } else { vec![format!("A down {because}")] };
            assert_eq!(turned(&mut world), expected, "after {failures}");
            begin_stream(&mut node).await;
        }
        // One good report does not bring it back, a second does.
        node.say(&event(2, 5)).await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(world.seen("A").0, NodeState::Down);
        node.say(&event(3, 5)).await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(turned(&mut world), ["A up"]);
    });
}

#[test]
fn a_stream_that_fails_takes_the_node_down_in_the_end() {
    let silence = Duration::from_secs(4);
    check_failing(async |_| {}, "the report stream ended");
    check_failing(async |_| sleep(silence).await, "no report for 3s");
    check_failing(
        async |node| node.say("data: {\"epoch\":7}\n\n").await.unwrap(),
        "a report is not usable: invalid type: integer `7`, expected a string at line 1 column 10",
    );
    let endless = format!("data: {}", "x".repeat(MAX_REPORT_BYTES));
    check_failing(
        // The reader may leave before it has been told all of it.
        async |node| node.say(&endless).await.unwrap_or_default(),
        "an event of the stream is longer than 1048576 bytes",
    );
}

#[test]
fn an_answer_that_is_no_stream_is_a_failure_too() {
    hold_time(async {
        let (mut world, mut watches, mut listener) = watched(&["A"]);
        let mut all_heard = watches.follow();
        let mut node = listener.accept().await;
        node.request().await.unwrap();
        node.respond(503, "", "").await.unwrap();
        assert_eq!(all_heard.recv().await, None);
        let why = world.balancer.step(|routing| routing.fleet.named("A").unwrap().last_error.clone());
        assert_eq!(why.unwrap(), "GET /report/stream answered 503 Service Unavailable");
        assert!(turned(&mut world).is_empty(), "it was not up");
    });
}

#[test]
fn a_node_that_refuses_connections_is_down_at_once() {
    hold_time(async {
        let (mut world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let node = up(&mut world, &mut listener).await;
        drop((node, listener));
        // One connect and no second one.
        sleep(FIRST_PAUSE + A_WHILE).await;
        assert_eq!(turned(&mut world), ["A down cannot connect: connection refused"]);
    });
}

#[test]
fn an_old_node_is_asked_for_its_usage() {
    hold_time(async {
        let (mut world, mut watches, mut listener) = watched(&["A"]);
        let mut all_heard = watches.follow();
        let mut node = listener.accept().await;
        assert_eq!(node.request().await.unwrap().what, "GET /report/stream");
        node.respond(404, "", "").await.unwrap();
        for documents in [7, 8] {
            // Over the same connection.
            assert_eq!(node.request().await.unwrap().what, "GET /usage");
            let usage = format!(r#"{{"cpu":"1","database":{documents},"ram":"2"}}"#);
            node.respond(200, "", &usage).await.unwrap();
            sleep(A_WHILE).await;
            let seen = world.balancer.step(|routing| routing.fleet.named("A").unwrap().documents());
            assert_eq!(seen, Some(documents));
        }
        assert_eq!(turned(&mut world), ["A up"]);
        assert_eq!(timeout(A_WHILE, all_heard.recv()).await, Ok(None));
        // It goes on being asked after one bad answer, and is down after several.
        for failures in 1..=FALL {
            assert_eq!(node.request().await.unwrap().what, "GET /usage");
            node.respond(200, "", "[]").await.unwrap();
            sleep(A_WHILE).await;
            assert_eq!(world.seen("A").0 == NodeState::Down, failures == FALL);
        }
    });
}

#[test]
fn an_old_node_is_asked_for_a_stream_again_after_a_while() {
    hold_time(async {
        let (mut world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let mut node = listener.accept().await;
        node.request().await.unwrap();
        node.respond(404, "", "").await.unwrap();
        let mut polls = 0;
        while node.request().await.unwrap().what == "GET /usage" {
            polls += 1;
            node.respond(200, "", r#"{"cpu":"1","database":7,"ram":"2"}"#).await.unwrap();
        }
        assert_eq!(polls, POLLS_PER_TRY);
        // It was replaced by a newer one.
        node.say("HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        node.say(&event(1, 9)).await.unwrap();
        sleep(A_WHILE).await;
        let protocol = world.balancer.step(|routing| routing.fleet.named("A").unwrap().protocol);
        assert_eq!((protocol, turned(&mut world)), (Some(Protocol::Batch), vec!["A up".to_owned()]));
    });
}

#[test]
fn a_node_that_knows_neither_route_is_not_up() {
    hold_time(async {
        let (world, mut watches, mut listener) = watched(&["A"]);
        let mut all_heard = watches.follow();
        let mut node = listener.accept().await;
        for what in ["GET /report/stream", "GET /usage"] {
            assert_eq!(node.request().await.unwrap().what, what);
            node.respond(404, "", "").await.unwrap();
        }
        assert_eq!(all_heard.recv().await, None);
        let why = world.balancer.step(|routing| routing.fleet.named("A").unwrap().last_error.clone());
        assert_eq!(why.unwrap(), "it knows neither GET /report/stream nor GET /usage");
        assert_eq!(world.seen("A").0, NodeState::Down);
    });
}

#[test]
fn only_a_connection_that_was_idle_is_given_another_try() {
    hold_time(async {
        let (world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let mut node = listener.accept().await;
        node.request().await.unwrap();
        node.respond(404, "", "").await.unwrap();
        let usage = r#"{"cpu":"1","database":7,"ram":"2"}"#;
        node.request().await.unwrap();
        node.respond(200, "", usage).await.unwrap();
        let last_error =
            || world.balancer.step(|routing| routing.fleet.named("A").unwrap().last_error.clone());
        // It closes what it thinks is idle while the next request is on its way.
        node.request().await.unwrap();
        drop(node);
        let mut node = listener.accept().await;
        node.request().await.unwrap();
        node.respond(200, "", usage).await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(last_error(), None);
        // It closes the connection, and the next one too, which was never idle.
        drop(node);
        drop(listener.accept().await);
        sleep(A_WHILE).await;
        assert!(last_error().is_some());
        assert!(listener.try_accept().is_none(), "it is asked again at its time, not at once");
    });
}

/// Lets go of the connection; gives the next one, and how long it took to come.
async fn reconnect(node: Peer, listener: &mut Listener) -> (Peer, Duration) {
    let left = clock::now();
    drop(node);
    let node = listener.accept().await;
    (node, clock::now().duration_since(left))
}

#[test]
fn pauses_grow_from_the_first_to_the_last_and_begin_anew_after_a_stream_that_lasted() {
    hold_time(async {
        let (_world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let mut node = listener.accept().await;
        for _ in 0..2 {
            let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
            for _ in 0..8 {
                (node, waited) = reconnect(node, &mut listener).await;
                // Held time runs in whole milliseconds.
                let most = pause + A_WHILE;
                assert!(
                    (pause / 2..=most).contains(&waited),
                    "{waited:?} is not within {pause:?} and its half"
                );
                pause = (pause * 2).min(LAST_PAUSE);
            }
            assert!(waited >= LAST_PAUSE / 2);
            begin_stream(&mut node).await;
            sleep(LAST_PAUSE + A_WHILE).await;
        }
    });
}

#[test]
fn all_are_heard_once_each_new_node_has_spoken_or_failed() {
    hold_time(async {
        let (world, mut watches, mut listener) = watched(&["A", "B", "C"]);
        world.network.silence("c");
        let mut all_heard = watches.follow();
        let mut node = listener.accept().await;
        begin_stream(&mut node).await;
        // B refuses connections and C lets a connect wait until its time is over.
        let connect = world.balancer.lane_limits.connect_timeout;
        assert!(timeout(connect * 2, all_heard.recv()).await.is_err(), "A has said nothing yet");
        node.say(&event(1, 0)).await.unwrap();
        assert_eq!(timeout(A_WHILE, all_heard.recv()).await, Ok(None));
        // Those that are watched already are not waited for again.
        assert_eq!(timeout(A_WHILE, watches.follow().recv()).await, Ok(None));
        world.balancer.step(|routing| routing.fleet.add("D", "http://d:1"));
        let mut new_heard = watches.follow();
        assert_eq!(timeout(A_WHILE, new_heard.recv()).await, Ok(None), "D refused");
    });
}

#[test]
fn the_watch_of_a_node_that_left_ends_and_the_others_go_on() {
    hold_time(async {
        let (world, mut watches, mut listener) = watched(&["A", "B"]);
        let mut other = world.network.listen("b");
        watches.follow();
        let (mut node, mut stays) = (listener.accept().await, other.accept().await);
        begin_stream(&mut node).await;
        begin_stream(&mut stays).await;
        let key = world.key("A");
        world.balancer.step(|routing| routing.fleet.remove(key));
        watches.follow();
        assert!(node.request().await.is_none(), "its connection ends");
        sleep(LAST_PAUSE * 2).await;
        assert!(listener.try_accept().is_none());
        stays.say(&event(1, 0)).await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(world.seen("B").0, NodeState::Up);
        drop(watches);
        assert!(stays.request().await.is_none(), "without watches nobody listens");
    });
}

#[test]
fn nodes_are_shown_the_token() {
    hold_time(async {
        let (_world, mut watches, mut listener) = watched(&["A"]);
        watches.follow();
        let mut node = listener.accept().await;
        for path in ["GET /report/stream", "GET /usage"] {
            let asked = node.request().await.unwrap();
            assert_eq!((asked.what.as_str(), &asked.headers["authorization"][..]), (path, AUTHORIZATION));
            assert_eq!(asked.headers["host"], "a:1");
            node.respond(404, "", "").await.unwrap();
        }
    });
}

proptest! {
    #[test]
    fn a_jittered_pause_is_at_least_half_and_never_more(micros in 0..10_000_000_u64, seed: u64) {
        let pause = Duration::from_micros(micros);
        let jittered = jittered(pause, &mut Random::new(seed));
        prop_assert!((pause / 2..=pause).contains(&jittered), "{:?} of {:?}", jittered, pause);
    }
}
