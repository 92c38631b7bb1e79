//! A client in memory before a small server that knows no bounds: it answers whatever it reads as a request, and reads on.
//! Time is held.

use std::cell::Cell;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{sleep, timeout};

use super::*;

const LIMITS: Limits = Limits {
    header: Duration::from_secs(10),
    body: Duration::from_secs(30),
    idle: Duration::from_secs(75),
    write: Duration::from_secs(20),
    last: Duration::from_secs(6),
};
/// Held time in which everything that can happen has happened.
const A_WHILE: Duration = Duration::from_millis(10);
const POST: &str = "POST /sentence HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Runs a test to its end under held time.
fn hold_time<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let ended = LocalSet::new().block_on(&runtime, async { timeout(Duration::from_secs(3600), test).await });
    ended.expect("the test waits for what never comes")
}

/// A client and its server.
struct Pair {
    client: DuplexStream,
    stop: Rc<Notify>,
    /// Requests that the server has read whole.
    n_served: Rc<Cell<usize>>,
    serving: JoinHandle<io::Result<()>>,
}

impl Pair {
    /// `room` bytes fit between both, each way. The server answers each request with `length` bytes.
    fn new(room: usize, length: usize) -> Self {
        let (client, far) = tokio::io::duplex(room);
        let (stop, n_served) = (Rc::<Notify>::default(), Rc::<Cell<usize>>::default());
        let (told, count) = (Rc::clone(&stop), Rc::clone(&n_served));
        let stream = Guarded::new(far, LIMITS, async move { told.notified().await });
        let serving = tokio::task::spawn_local(serve(stream, length, count));
        Self { client, stop, n_served, serving }
    }

    async fn send(&mut self, bytes: &str) {
        self.client.write_all(bytes.as_bytes()).await.unwrap();
        sleep(A_WHILE).await;
    }

    /// The statuses that have come and were not told yet, and whether the server has closed.
    async fn told(&mut self) -> String {
        let (mut read, mut closed) = (Vec::new(), "open");
        while let Ok(Ok(n)) = timeout(A_WHILE, self.client.read_buf(&mut read)).await {
            if n == 0 {
                closed = "closed";
                break;
            }
        }
        let text = String::from_utf8_lossy(&read);
        let words = text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next());
        let statuses = words.filter(|word| word.parse::<u16>().is_ok());
        statuses.chain([closed]).collect::<Vec<_>>().join(" ")
    }
}

/// Answers each request with `length` bytes until it reads no more, as a server does that knows no bounds.
async fn serve(
    mut stream: Guarded<DuplexStream>,
    length: usize,
    n_served: Rc<Cell<usize>>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let whole = whole(&bytes);
        if whole > 0 {
            bytes.drain(..whole);
            n_served.set(n_served.get() + 1);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
        } else if stream.read_buf(&mut bytes).await? == 0 {
            if !bytes.is_empty() {
                stream.write_all(b"HTTP/1.1 599 Half\r\ncontent-length: 0\r\n\r\n").await?;
            }
            return stream.shutdown().await;
        }
    }
}

/// Length of the request at the beginning of `bytes`, 0 while it is not whole.
fn whole(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let Some(head) = text.find("\r\n\r\n").map(|at| at + 4) else { return 0 };
    let body = if text.contains("chunked") {
        text[head..].find("0\r\n\r\n").map(|at| at + 5)
    } else {
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        Some(length.map_or(0, |length| length.parse().unwrap()))
    };
    body.map(|body| head + body).filter(|whole| bytes.len() >= *whole).unwrap_or(0)
}

/// What a client is told after these pieces.
fn check(pieces: &[&str], expected: &str) {
    hold_time(async {
        let mut pair = Pair::new(64 * 1024, 2);
        for piece in pieces {
            pair.send(piece).await;
        }
        assert_eq!(pair.told().await, expected, "{pieces:?}");
    });
}

#[test]
fn requests_pass_one_by_one() {
    check(&[POST], "200 open");
    check(&[POST, GET], "200 200 open");
    check(&[&[POST, GET, POST].concat()], "200 200 200 open");
    for at in 1..POST.len() {
        check(&[&POST[..at], &POST[at..], GET], "200 200 open");
    }
    check(&[&POST.repeat(100)], &format!("{}open", "200 ".repeat(100)));
}

#[test]
fn what_is_refused_never_reaches_the_server() {
    check(&["no HTTP\r\n\r\n"], "400 closed");
    check(&[POST, "GET * HTTP/1.1\r\nhost: a\r\n\r\n", GET], "200 400 closed");
    check(&[&format!("{POST}GET / HTTP/1.1\r\n\r\n{GET}")], "200 400 closed");
    let long = POST.replace("content-length: 3", "expect: 100-continue\r\ncontent-length: 99999999");
    check(&[&long], "413 closed");
    check(&[&POST.replace("content-length: 3", "expect: a\r\ncontent-length: 3")], "417 closed");
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    check(&[chunked, "1;\r\na\r\n0\r\n\r\n"], "400 closed");
}

#[test]
fn nothing_behind_the_last_request_is_served() {
    let last = POST.replace("host: a", "host: a\r\nconnection: close");
    check(&[&format!("{last}{POST}")], "200 closed");
    check(&[&last, POST], "200 closed");
    check(&[&format!("POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n{POST}")], "200 closed");
    let kept = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    check(&[&format!("{kept}{POST}")], "200 200 open");
}

/// What a client is told once `limit` is over after these pieces, and that it is told nothing before.
fn check_deadline(pieces: &[&str], limit: Duration, expected: &str) {
    hold_time(async {
        let mut pair = Pair::new(64 * 1024, 2);
        for piece in pieces {
            pair.send(piece).await;
        }
        let before = pair.told().await;
        sleep(limit - A_WHILE * 4).await;
        assert_eq!(pair.told().await, "open", "{pieces:?}");
        sleep(A_WHILE * 4).await;
        assert_eq!(format!("{before} | {}", pair.told().await), expected, "{pieces:?}");
        sleep(LINGER).await;
        assert!(pair.serving.is_finished(), "{pieces:?}");
    });
}

#[test]
fn each_phase_has_its_deadline() {
    check_deadline(&[], LIMITS.header, "open | closed");
    check_deadline(&[&POST[..9]], LIMITS.header, "open | 408 closed");
    check_deadline(&[&POST[..POST.len() - 1]], LIMITS.body, "open | 408 closed");
    check_deadline(&[POST], LIMITS.idle, "200 open | closed");
    check_deadline(&[&[POST, &GET[..9]].concat()], LIMITS.header, "200 open | 408 closed");
    check_deadline(&[POST, POST, &POST[..POST.len() - 1]], LIMITS.body, "200 200 open | 408 closed");
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
    check_deadline(&[GET, chunked], LIMITS.body, "200 open | 408 closed");
}

#[test]
fn drops_do_not_put_a_deadline_off() {
    hold_time(async {
        let mut pair = Pair::new(64 * 1024, 2);
        pair.send(POST).await;
        for byte in 0..11 {
            pair.send(&GET[byte..=byte]).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(pair.told().await, "200 408 closed");
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    hold_time(async {
        let mut pair = Pair::new(64, 100_000);
        pair.send(GET).await;
        sleep(LIMITS.write - A_WHILE * 4).await;
        assert!(!pair.serving.is_finished());
        sleep(A_WHILE * 8).await;
        assert_eq!(pair.serving.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn reading_in_drops_does_not_hold_an_answer_back() {
    hold_time(async {
        let mut pair = Pair::new(64, 100_000);
        pair.send(GET).await;
        let mut drop = [0; 64];
        let mut n_drops = 0;
        while !pair.serving.is_finished() {
            n_drops += 1;
            assert!(n_drops < 100, "it goes on and on");
            pair.client.read_exact(&mut drop).await.ok();
            sleep(Duration::from_secs(1)).await;
        }
        assert!(n_drops >= 19, "{n_drops}");
    });
    // Whoever takes enough may take long.
    hold_time(async {
        let mut pair = Pair::new(1024, 100_000);
        pair.send(GET).await;
        let mut read = Vec::new();
        while read.len() < 100_000 {
            assert!(!pair.serving.is_finished(), "after {}", read.len());
            pair.client.read_buf(&mut read).await.unwrap();
            sleep(Duration::from_millis(500)).await;
        }
    });
}

#[test]
fn a_client_that_sends_no_more_gets_what_it_is_owed() {
    hold_time(async {
        let mut pair = Pair::new(64 * 1024, 2);
        pair.client.write_all([POST, POST, &POST[..9]].concat().as_bytes()).await.unwrap();
        pair.client.shutdown().await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!((pair.told().await.as_str(), pair.n_served.get()), ("200 200 closed", 2));
        assert!(pair.serving.is_finished(), "it does not linger for who sends no more");
    });
    hold_time(async {
        let mut pair = Pair::new(64 * 1024, 2);
        pair.send(&POST[..POST.len() - 1]).await;
        pair.client.shutdown().await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(pair.told().await, "closed", "what is not whole was never posted");
    });
}

/// What a client is told who has sent `before` when the server stops, and `after` a second later.
fn check_stop(before: &str, after: &str, expected: &str) {
    hold_time(async {
        let mut pair = Pair::new(64 * 1024, 2);
        pair.send(before).await;
        pair.stop.notify_one();
        sleep(Duration::from_secs(1)).await;
        if !after.is_empty() {
            pair.send(after).await;
        }
        sleep(LIMITS.last).await;
        assert_eq!(pair.told().await, expected, "{before:?}, then {after:?}");
    });
}

#[test]
fn a_stopping_server_finishes_what_has_begun() {
    check_stop("", "", "closed");
    check_stop(POST, "", "200 closed");
    check_stop(&POST[..9], &POST[9..], "200 closed");
    check_stop(&POST[..POST.len() - 1], &POST[POST.len() - 1..], "200 closed");
    check_stop(&POST[..9], &[&POST[9..], POST].concat(), "200 closed");
    check_stop(&POST[..9], "", "408 closed");
    check_stop(&POST[..POST.len() - 1], "", "408 closed");
}

#[test]
fn whoever_is_refused_may_send_on_for_a_while() {
    hold_time(async {
        let mut pair = Pair::new(1024, 2);
        pair.send("no HTTP\r\n\r\n").await;
        assert_eq!(pair.told().await, "400 closed");
        sleep(LINGER / 2).await;
        pair.send(&"x".repeat(5000)).await;
        assert!(!pair.serving.is_finished());
        sleep(LINGER).await;
        assert!(pair.client.write_all(b"x").await.is_err(), "it is cut off");
    });
}
