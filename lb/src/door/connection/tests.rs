//! A client's connection through its states: what is sent in which pieces, what is answered, and how the connection leaves
//! the door. The client is in memory and time is held.

use std::cell::RefCell;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wire::{Problem, Routed};

use super::*;
use crate::coarse_clock::TICK;
use crate::made_up::{Listener, ROOM, World, hold_time};

/// Held time in which everything that can happen has happened.
const A_WHILE: Duration = Duration::from_millis(10);

/// A client in front of a door behind which one node, `A`, has its place.
struct Client {
    from: ReadHalf<DuplexStream>,
    to: Rc<Mutex<WriteHalf<DuplexStream>>>,
    /// What was read and not told yet.
    read: Vec<u8>,
    world: World,
    /// How the connection left the door, once it has.
    left: Rc<RefCell<Option<String>>>,
}

impl Client {
    /// `room` bytes fit between client and door, each way.
    fn new(room: usize) -> (Self, Listener) {
        let world = World::new(&["A"], &[]);
        let listener = world.network.listen("a");
        world.report("A", 0);
        let (near, far) = tokio::io::duplex(room);
        let connection = Connection::new(far, Rc::clone(&world.worker));
        let left = Rc::<RefCell<Option<String>>>::default();
        let note = Rc::clone(&left);
        tokio::task::spawn_local(async move {
            let (end, stream) = connection.run().await;
            let end = match end {
                End::Gone => "gone".to_owned(),
                End::Linger => "linger".to_owned(),
                End::HandOver(read) => format!("handed over {}", String::from_utf8_lossy(&read)),
            };
            note.replace(Some(end));
            drop(stream);
        });
        let (from, to) = tokio::io::split(near);
        (Self { from, to: Rc::new(Mutex::new(to)), read: Vec::new(), world, left }, listener)
    }

    async fn send(&mut self, bytes: &str) {
        self.to.lock().await.write_all(bytes.as_bytes()).await.unwrap();
        sleep(A_WHILE).await;
    }

    /// Sends on while the client does something else.
    fn send_in_background(&self, bytes: String) -> JoinHandle<()> {
        let to = Rc::clone(&self.to);
        tokio::task::spawn_local(async move { to.lock().await.write_all(bytes.as_bytes()).await.unwrap() })
    }

    /// The answers that have come and were not told yet, each as its status, its text or code, and whether it is the
    /// last; and how the connection left the door.
    async fn told(&mut self) -> String {
        while let Ok(Ok(1..)) = timeout(A_WHILE, self.from.read_buf(&mut self.read)).await {}
        let mut told = Vec::new();
        while let Some((answer, length)) = answer(&self.read) {
            self.read.drain(..length);
            told.push(answer);
        }
        told.push(self.left.borrow().clone().unwrap_or("open".to_owned()));
        told.join(" | ")
    }
}

/// The answer at the beginning of `bytes`, in words, and its length.
fn answer(bytes: &[u8]) -> Option<(String, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).unwrap() else { return None };
    let header = |name: &str| response.headers.iter().find(|header| header.name == name);
    let length: usize =
        std::str::from_utf8(header("content-length").unwrap().value).unwrap().parse().unwrap();
    let body = bytes.get(head..head + length)?;
    let text = match response.code.unwrap() {
        200 => serde_json::from_slice::<Routed>(body).unwrap().data.sentence,
        _ => Problem::read(body).unwrap().kind.replace("urn:balanza:", ""),
    };
    let last = if header("connection").is_some() { " last" } else { "" };
    Some((format!("{} {text}{last}", response.code.unwrap()), head + length))
}

/// A post of the sentence `text`, with these header lines.
fn post(text: &str, headers: &str) -> String {
    let body = format!(r#"{{"author":"a","sentence":"{text}"}}"#);
    let length = body.len();
    format!(
        "POST /sentence HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// What a client is told who sends these pieces, each once the door has taken what it takes of the one before, and whose
/// sentences are all stored.
fn check(pieces: &[&str], expected: &str) {
    hold_time(async {
        let (mut client, listener) = Client::new(ROOM);
        listener.store_everything();
        for piece in pieces {
            client.send(piece).await;
        }
        assert_eq!(client.told().await, expected, "{pieces:?}");
    });
}

#[test]
fn each_request_is_answered_in_its_turn() {
    let (one, two, bad) = (post("one", ""), post("two", ""), post(" ", ""));
    check(&[], "open");
    check(&[&one], "200 one | open");
    check(&[&one, &two], "200 one | 200 two | open");
    check(&[&format!("{one}{two}{one}")], "200 one | 200 two | 200 one | open");
    // What is refused at once waits for the answers before it.
    check(&[&format!("{one}{bad}{two}")], "200 one | 400 invalid-sentence | 200 two | open");
}

#[test]
fn requests_may_come_in_any_pieces() {
    let both = post("one", "") + &post("two", "");
    for cut in 0..both.len() {
        let (head, rest) = both.split_at(cut);
        check(&[head, rest], "200 one | 200 two | open");
    }
    let bytes: Vec<&str> = both.split("").filter(|byte| !byte.is_empty()).collect();
    check(&bytes, "200 one | 200 two | open");
}

#[test]
fn the_last_request_ends_the_connection_whatever_comes_behind() {
    let last = post("last", "connection: close\r\n");
    check(&[&last], "200 last last | linger");
    check(&[&format!("{last}{}", post("never", ""))], "200 last last | linger");
    check(&[&format!("{}{last}no HTTP", post("one", ""))], "200 one | 200 last last | linger");
}

#[test]
fn what_is_no_plain_post_is_handed_over_with_every_byte() {
    let get = "GET /fleet HTTP/1.1\r\nhost: b\r\n\r\n";
    let one = post("one", "");
    check(&[get], &format!("handed over {get}"));
    check(&[&get[..9]], "open");
    check(&[&get[..9], &get[9..]], &format!("handed over {get}"));
    check(&[&format!("{one}{get}{one}")], &format!("200 one | handed over {get}{one}"));
    let chunked = "POST /sentence HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{";
    check(&[chunked], &format!("handed over {chunked}"));
}

#[test]
fn what_two_readers_could_understand_differently_is_refused_last() {
    let twice = post("one", "content-length: 3\r\n");
    check(&[&twice], "400 bad-request last | linger");
    check(&["no HTTP\r\n\r\n"], "400 bad-request last | linger");
    check(
        &[&format!("{}{twice}{}", post("one", ""), post("two", ""))],
        "200 one | 400 bad-request last | linger",
    );
    let head = "POST /sentence HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n";
    check(&[&format!("{head}content-length: 99999999\r\n\r\n")], "413 too-large last | linger");
    check(&[&format!("{head}\r\n")], "400 empty-body | open");
    check(&[&format!("{head}x: {}", "y".repeat(20_000))], "431 head-too-large last | linger");
}

#[test]
fn a_foreign_request_waits_for_the_answers_before_it() {
    hold_time(async {
        let (mut client, mut listener) = Client::new(ROOM);
        let get = "GET / HTTP/1.1\r\nhost: b\r\n\r\n";
        client.send(&format!("{}{get}", post("one", ""))).await;
        let mut node = listener.accept().await;
        let asked = node.request().await.unwrap();
        assert_eq!(client.told().await, "open", "the node has not answered yet");
        client.send("more").await;
        node.store(&asked).await;
        // What came after the connection stopped reading is still in the stream.
        assert_eq!(client.told().await, format!("200 one | handed over {get}"));
    });
}

#[test]
fn a_client_that_leaves_ends_its_connection() {
    hold_time(async {
        let (mut client, listener) = Client::new(ROOM);
        listener.store_everything();
        client.send(&(post("one", "") + &post("half", "")[..50])).await;
        client.to.lock().await.shutdown().await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(client.told().await, "200 one | gone", "what is not whole was never posted");
        assert_eq!(client.world.balancer.counters.invalid.get(), 0);
    });
}

/// What a client is told after these pieces once `limit`, an operator's key, is over, and not before.
fn check_deadline(pieces: &[&str], room: usize, limit: fn(&Worker) -> Duration, expected: &str) {
    hold_time(async {
        let (mut client, listener) = Client::new(room);
        listener.store_everything();
        for piece in pieces {
            client.send(piece).await;
        }
        let time = limit(&client.world.worker);
        sleep(time - A_WHILE * 2).await;
        assert_eq!(*client.left.borrow(), None, "{pieces:?}");
        sleep(TICK * 3).await;
        assert_eq!(client.told().await, expected, "{pieces:?}");
    });
}

#[test]
fn each_phase_has_its_deadline() {
    let (one, header) = (post("one", ""), |worker: &Worker| worker.client_limits.header_timeout);
    let body = one.len() - 1;
    check_deadline(&[], ROOM, header, "linger");
    check_deadline(&[&one[..9]], ROOM, header, "408 timed-out last | linger");
    check_deadline(
        &[&one[..body]],
        ROOM,
        |worker| worker.client_limits.body_timeout,
        "408 timed-out last | linger",
    );
    check_deadline(&[&one], ROOM, |worker| worker.client_limits.idle_timeout, "200 one | linger");
    check_deadline(&[&(one.clone() + &one[..9])], ROOM, header, "200 one | 408 timed-out last | linger");
    // A client that does not read its answer, of which only the beginning fits.
    check_deadline(&[&one], 64, |worker| worker.client_limits.write_timeout, "gone");
}

#[test]
fn drops_of_a_head_do_not_put_its_deadline_off() {
    hold_time(async {
        let (mut client, _listener) = Client::new(ROOM);
        let one = post("one", "");
        for byte in 0..6 {
            client.send(&one[byte..=byte]).await;
            sleep(Duration::from_secs(2)).await;
        }
        assert_eq!(client.told().await, "408 timed-out last | linger");
    });
}

#[test]
fn reading_in_drops_does_not_hold_an_answer_back() {
    hold_time(async {
        let (mut client, listener) = Client::new(64);
        listener.store_everything();
        client.send(&post(&"x".repeat(60_000), "")).await;
        let limit = client.world.worker.client_limits.write_timeout;
        let (mut drop, mut n_drops) = ([0; 64], 0);
        while client.left.borrow().is_none() {
            n_drops += 1;
            assert!(n_drops < 2 * limit.as_secs(), "it goes on and on");
            client.from.read_exact(&mut drop).await.ok();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(client.left.borrow().as_deref(), Some("gone"));
        assert!(n_drops >= limit.as_secs() - 1, "{n_drops}");
    });
}

/// What a client is told who has sent `sent` when the program ends, before the node answers and after, and who then sends
/// `more`, and once all time is over.
fn check_stop(sent: &str, more: &str, expected: [&str; 3]) {
    hold_time(async {
        let (mut client, listener) = Client::new(ROOM);
        client.send(sent).await;
        client.world.balancer.stop();
        sleep(TICK * 6).await;
        let before = client.told().await;
        listener.store_everything();
        if !more.is_empty() {
            client.send(more).await;
        }
        let after = client.told().await;
        sleep(Duration::from_secs(7)).await;
        assert_eq!([before, after, client.told().await], expected, "{sent:?}");
    });
}

#[test]
fn the_end_of_the_program_finishes_what_has_begun_and_begins_nothing() {
    let one = post("one", "");
    let (half, rest) = one.split_at(one.len() - 1);
    check_stop("", "", ["linger"; 3]);
    check_stop(half, rest, ["open", "200 one last | linger", "linger"]);
    check_stop(&one[..9], &one[9..], ["open", "200 one last | linger", "linger"]);
    let with_more = one[9..].to_owned() + &one;
    check_stop(&one[..9], &with_more, ["open", "200 one | 200 one last | linger", "linger"]);
    check_stop(half, "", ["open", "open", "408 timed-out last | linger"]);
    check_stop(&one, "", ["open", "200 one last | linger", "linger"]);
    check_stop(&(one.clone() + &one[..9]), "", ["open", "200 one last | linger", "linger"]);
    check_stop(&(one.clone() + &one), "", ["open", "200 one | 200 one last | linger", "linger"]);
    hold_time(async {
        let (mut client, listener) = Client::new(ROOM);
        listener.store_everything();
        client.send(&one).await;
        client.world.balancer.stop();
        sleep(TICK * 2).await;
        assert_eq!(client.told().await, "200 one | open", "it may just be sending its next request");
        sleep(TICK * 2).await;
        assert_eq!(client.told().await, "linger", "an idle connection ends");
    });
}

/// Of these posts that all come at once, `taken` are taken before the first is answered; then all are.
fn check_owed(posts: &[String], taken: u64) {
    hold_time(async {
        let (mut client, listener) = Client::new(4096);
        let sending = client.send_in_background(posts.concat());
        sleep(A_WHILE).await;
        assert!(!sending.is_finished(), "whoever is not read from can send only what fits on the way");
        assert_eq!(client.world.seen("A").1, taken);
        listener.store_everything();
        let told = client.told().await;
        assert_eq!(told.matches("200 ").count(), posts.len(), "{told}");
        assert!(sending.is_finished());
    });
}

#[test]
fn a_client_that_is_owed_much_is_not_read_from() {
    // Counted in answers, and counted in the bytes of their bodies.
    check_owed(&vec![post("short", ""); MAX_OWED * 4], MAX_OWED as u64);
    let (long, envelope) = ("x".repeat(60_000), r#"{"author":"a","sentence":""}"#.len());
    let taken = MAX_OWED_BYTES.div_ceil(long.len() + envelope);
    assert!(taken < MAX_OWED);
    check_owed(&vec![post(&long, ""); taken * 2], taken as u64);
}

#[test]
fn a_client_that_leaves_much_unread_is_not_read_from() {
    hold_time(async {
        let (mut client, listener) = Client::new(64);
        listener.store_everything();
        let (long, mut sent) = ("x".repeat(60_000), 0);
        let stored = |client: &Client| client.world.balancer.counters.stored.get();
        let stuck = loop {
            let sending = client.send_in_background(post(&long, ""));
            sent += 1;
            assert!(sent < 100, "everything is read");
            sleep(A_WHILE).await;
            if !sending.is_finished() {
                break sending;
            }
        };
        assert_eq!(stored(&client), sent - 1, "one is under way and not taken");
        let unread = usize::try_from(sent - 1).unwrap() * long.len();
        assert!((MAX_UNSENT..MAX_UNSENT + 2 * long.len()).contains(&unread), "{unread}");
        let told = client.told().await;
        assert_eq!((told.matches("200 ").count() as u64, stuck.is_finished()), (sent, true));
    });
}
