//! Posts by hyper over streams in memory: what is written, what is read, and which trouble is told.

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Mutex;

use super::*;

const TIME: Duration = Duration::from_secs(60);
const HEAD: &str = "POST /base/sentences HTTP/1.1\r\nhost: node:1\r\ncontent-type: application/x-ndjson\r\n\
    accept: application/x-ndjson\r\nauthorization: Bearer t\r\nbalanza-fence: 7\r\ncontent-length: 5\r\n\r\n";

/// A network whose next connection is this one.
struct Next(Mutex<Option<DuplexStream>>);

impl Network for Next {
    fn connect<'a>(&'a self, _: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async {
            let stream = self.0.lock().await.take().ok_or(io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// A connection in its slot, and the node's end of it.
async fn connected() -> (Option<NodeConnection>, DuplexStream) {
    let (near, far) = duplex(1024);
    let mut slot = None;
    let network = Next(Mutex::new(Some(near)));
    NodeConnection::open(&mut slot, &network, &endpoint(), TIME).await.unwrap();
    (slot, far)
}

fn endpoint() -> Endpoint {
    "http://node:1/base".parse().unwrap()
}

async fn post(slot: &mut Option<NodeConnection>) -> Result<Response, Trouble> {
    let head = post_head(&endpoint(), "/sentences", wire::contract::NDJSON, Some("Bearer t"));
    slot.as_mut().unwrap().exchange(&head, Some(7), b"12345", &Cell::new(false)).await
}

/// Reads one whole post at the node's end.
async fn posted(far: &mut DuplexStream) -> String {
    let mut bytes = vec![0; HEAD.len() + 5];
    far.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A node that answers `text`, and ends the connection if `ends`: `status body reusable`, or the trouble.
async fn check(text: &str, ends: bool, expected: &str) {
    let (mut slot, mut far) = connected().await;
    let (answered, far) = tokio::join!(post(&mut slot), async {
        posted(&mut far).await;
        far.write_all(text.as_bytes()).await.unwrap();
        (!ends).then_some(far)
    });
    let told = match answered {
        Ok(response) => {
            let body = String::from_utf8_lossy(slot.as_ref().unwrap().body(&response)).into_owned();
            format!("{} {body} {}", response.status, response.reusable)
        }
        Err(trouble) => format!("{trouble:?}"),
    };
    assert!(told.starts_with(expected), "{text:?}: {told}");
    drop(far);
}

#[tokio::test]
async fn every_framing_is_read() {
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", false, "200 abc true").await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc", false, "200 abc false")
        .await;
    check("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", false, "200 abc false").await;
    check("HTTP/1.1 200 OK\r\n\r\nabc", true, "200 abc false").await;
    check("HTTP/1.1 204 No Content\r\n\r\n", false, "204  true").await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(&format!("{chunked}3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"), false, "200 abc0123456789 true")
        .await;
    let long = "x".repeat(100_000);
    check(
        &format!("HTTP/1.1 507 X\r\ncontent-length: 100000\r\n\r\n{long}"),
        false,
        &format!("507 {long} true"),
    )
    .await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n", false, "200 a false").await;
}

#[tokio::test]
async fn after_a_byte_has_left_no_answer_is_no_word_of_the_post() {
    check("", true, "Unanswered").await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", true, "Unanswered").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", true, "Unanswered").await;
    check("nonsense\r\n\r\n", false, "Unanswered").await;
    check(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX), false, "Unanswered").await;
}

#[tokio::test]
async fn before_a_byte_has_left_the_post_is_not_sent() {
    let (mut slot, far) = connected().await;
    drop(far);
    assert!(matches!(post(&mut slot).await, Err(Trouble::NotSent(_))));
}

#[tokio::test]
async fn an_idle_connection_that_the_node_closes_is_stale() {
    let (mut slot, mut far) = connected().await;
    assert!(!slot.as_mut().unwrap().is_stale());
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (answered, ()) = tokio::join!(post(&mut slot), async {
        assert_eq!(posted(&mut far).await, format!("{HEAD}12345"));
        far.write_all(answer.as_bytes()).await.unwrap();
    });
    assert!(answered.unwrap().reusable);
    assert!(!slot.as_mut().unwrap().is_stale());
    drop(far);
    poll_fn(|cx| slot.as_mut().unwrap().poll_stale(cx)).await;
    assert!(slot.as_mut().unwrap().is_stale());
    let refused = NodeConnection::open(&mut slot, &Next(Mutex::new(None)), &endpoint(), TIME).await;
    assert!(matches!(refused, Err(Trouble::NotSent(_))), "a new connection is tried, and refused");
}

#[tokio::test]
async fn the_mark_is_read_and_a_second_post_is_as_the_first() {
    let (mut slot, mut far) = connected().await;
    for documents in [9, 10] {
        let (answered, ()) = tokio::join!(post(&mut slot), async {
            assert_eq!(posted(&mut far).await, format!("{HEAD}12345"));
            let marks =
                format!("balanza-epoch: e\r\nbalanza-revision: 4\r\nBalanza-Documents: {documents}\r\n");
            let answer = format!("HTTP/1.1 200 OK\r\n{marks}content-length: 0\r\n\r\n");
            far.write_all(answer.as_bytes()).await.unwrap();
        });
        let mark = Mark { epoch: epoch_number("e"), revision: 4, documents };
        assert_eq!(answered.unwrap().mark, Some(mark));
    }
}
