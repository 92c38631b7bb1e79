//! One post over one connection, and what is told of it when the node does something else than answer. The node is a
//! closure over its end of a connection in memory, and time is held.

use super::*;
use crate::made_up::{Listener, MadeUp, Peer, ROOM, hold_time};

const TIME: Duration = Duration::from_secs(1);
const HEAD: &str = "POST /sentences HTTP/1.1\r\nhost: a:1\r\n";

fn endpoint() -> Endpoint {
    "http://a:1".parse().unwrap()
}

/// How a post ended, in words.
fn told(answered: Result<Response, Trouble>, connection: &NodeConnection) -> String {
    match answered {
        Ok(response) => {
            let reusable = if response.reusable { "reusable" } else { "used up" };
            format!("{} {}, {reusable}", response.status, String::from_utf8_lossy(connection.body(&response)))
        }
        Err(Trouble::NotSent(why)) => format!("not sent: {why}"),
        Err(Trouble::Unanswered(why)) => format!("unanswered: {why}"),
    }
}

/// A post of `body` ends as `expected` with such a node, which lets go of the connection once it has done its part.
fn check_post(body: &str, node: impl AsyncFnOnce(&mut Peer), expected: &str) {
    hold_time(async {
        let network = MadeUp::default();
        let mut listener = network.listen("a");
        let (mut slot, began) = (None, Cell::new(false));
        let connection = NodeConnection::open(&mut slot, &network, &endpoint(), TIME).await.unwrap();
        let mut peer = listener.accept().await;
        let node = async move {
            node(&mut peer).await;
        };
        let ((), answered) = tokio::join!(node, connection.exchange(HEAD, None, body.as_bytes(), &began));
        assert_eq!(told(answered, connection), expected);
        assert!(began.get());
    });
}

fn check(node: impl AsyncFnOnce(&mut Peer), expected: &str) {
    check_post("body", node, expected);
}

/// The connection that a connect gives, or why there is none.
async fn opened(slot: &mut Option<NodeConnection>, network: &MadeUp) -> Result<(), String> {
    match NodeConnection::open(slot, network, &endpoint(), TIME).await {
        Ok(_) => Ok(()),
        Err(Trouble::NotSent(why)) => Err(format!("not sent: {why}")),
        Err(Trouble::Unanswered(why)) => Err(format!("unanswered: {why}")),
    }
}

/// Posts over the open connection to a node that answers with this body.
async fn exchange(slot: &mut Option<NodeConnection>, peer: &mut Peer, body: &str) -> String {
    let connection = slot.as_mut().unwrap();
    let node = async {
        peer.request().await.unwrap();
        peer.respond(200, "", body).await.unwrap();
    };
    let began = Cell::new(false);
    let ((), answered) = tokio::join!(node, connection.exchange(HEAD, Some(7), b"body", &began));
    told(answered, connection)
}

/// An open connection, the node's end of it, and where the next would arrive.
async fn open() -> (MadeUp, Listener, Option<NodeConnection>, Peer) {
    let network = MadeUp::default();
    let mut listener = network.listen("a");
    let mut slot = None;
    opened(&mut slot, &network).await.unwrap();
    let peer = listener.accept().await;
    (network, listener, slot, peer)
}

#[test]
fn without_a_connection_nothing_was_sent() {
    hold_time(async {
        let (network, mut slot) = (MadeUp::default(), None);
        let told = opened(&mut slot, &network).await;
        assert_eq!(told, Err("not sent: cannot connect: connection refused".to_owned()));
        network.silence("a");
        let told = opened(&mut slot, &network).await;
        assert_eq!(told, Err("not sent: cannot connect within 1s".to_owned()));
        assert!(slot.is_none());
        let _listener = network.listen("a");
        assert_eq!(opened(&mut slot, &network).await, Ok(()));
    });
}

#[test]
fn a_post_arrives_whole_and_its_answer_is_read_whole() {
    let reads_and = async |peer: &mut Peer, answer: &str| {
        let asked = peer.request().await.unwrap();
        assert_eq!((asked.what.as_str(), asked.body.as_str()), ("POST /sentences", "body"));
        for byte in answer.split("").filter(|byte| !byte.is_empty()) {
            peer.say(byte).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let head = "HTTP/1.1 200 OK\r\n";
    for (answer, expected) in [
        (format!("{head}content-length: 2\r\n\r\nok"), "200 ok, reusable"),
        (format!("{head}connection: close\r\ncontent-length: 2\r\n\r\nok"), "200 ok, used up"),
        (format!("{head}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "200 ok, reusable"),
        (format!("{head}\r\nok"), "200 ok, used up"),
        (
            format!("{head}content-length: 2\r\n\r\no"),
            "unanswered: the connection ended before the whole answer",
        ),
        (head.to_owned(), "unanswered: the connection ended before the whole answer"),
        (String::new(), "unanswered: the connection ended before the whole answer"),
        (
            format!("{head}content-length: x\r\n\r\n"),
            "unanswered: the answer's length is not to be understood",
        ),
        ("no HTTP".to_owned(), "unanswered: the answer is no HTTP: invalid HTTP version"),
    ] {
        check(async |peer| reads_and(peer, &answer).await, expected);
    }
}

#[test]
fn an_answer_that_comes_twice_uses_the_connection_up() {
    let twice = async |peer: &mut Peer| {
        peer.request().await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        peer.say(&answer.repeat(2)).await.unwrap();
    };
    check(twice, "200 ok, used up");
}

#[test]
fn only_what_broke_before_the_first_byte_was_surely_not_sent() {
    let broken = "the connection broke while sending: broken pipe";
    check(async |_| {}, &format!("not sent: {broken}"));
    // More than fits on the way: the node leaves while the rest waits.
    let long = "x".repeat(ROOM * 2);
    let reads_some = async |peer: &mut Peer| assert_eq!(peer.take(4).await, b"POST");
    check_post(&long, reads_some, &format!("unanswered: {broken}"));
    let reads_the_head = async |peer: &mut Peer| assert_eq!(peer.take(200).await.last(), Some(&b'x'));
    check_post(&long, reads_the_head, &format!("unanswered: {broken}"));
}

#[test]
fn an_idle_connection_is_used_again_unless_the_node_left_it_or_spoke_unasked() {
    hold_time(async {
        let (network, mut listener, mut slot, mut peer) = open().await;
        for _ in 0..2 {
            assert_eq!(exchange(&mut slot, &mut peer, "ok").await, "200 ok, reusable");
            opened(&mut slot, &network).await.unwrap();
            assert!(listener.try_accept().is_none());
        }
        drop(peer);
        opened(&mut slot, &network).await.unwrap();
        let mut peer = listener.try_accept().expect("the node left the connection: there is a new one");
        assert_eq!(exchange(&mut slot, &mut peer, "ok").await, "200 ok, reusable");
        peer.respond(200, "", "unasked").await.unwrap();
        opened(&mut slot, &network).await.unwrap();
        let mut peer = listener.try_accept().expect("nobody knows what that answered: there is a new one");
        assert_eq!(exchange(&mut slot, &mut peer, "ok").await, "200 ok, reusable");
    });
}

#[test]
fn whoever_waits_beside_an_idle_connection_is_woken_when_it_ends() {
    hold_time(async {
        let (_network, _listener, slot, peer) = open().await;
        let mut connection = slot.unwrap();
        let stale = tokio::task::spawn_local(async move {
            std::future::poll_fn(|cx| connection.poll_stale(cx)).await;
        });
        tokio::time::sleep(TIME).await;
        assert!(!stale.is_finished());
        drop(peer);
        stale.await.unwrap();
    });
}

#[test]
fn a_buffer_is_kept_for_the_next_answer_unless_it_grew_much() {
    hold_time(async {
        let (_network, _listener, mut slot, mut peer) = open().await;
        exchange(&mut slot, &mut peer, "a").await;
        let place = |slot: &Option<NodeConnection>| slot.as_ref().unwrap().answer.as_ptr();
        let before = place(&slot);
        exchange(&mut slot, &mut peer, "b").await;
        assert_eq!(place(&slot), before);
        let long = "x".repeat(KEPT_BYTES);
        assert_eq!(exchange(&mut slot, &mut peer, &long).await, format!("200 {long}, reusable"));
        let room = |slot: &Option<NodeConnection>| slot.as_ref().unwrap().answer.capacity();
        assert!(room(&slot) > KEPT_BYTES);
        assert_eq!(exchange(&mut slot, &mut peer, "ok").await, "200 ok, reusable");
        assert!(room(&slot) <= KEPT_BYTES);
    });
}
