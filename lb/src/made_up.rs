//! A network in memory for tests, and what a test needs to be a node on it: it listens on a host, accepts connections,
//! reads requests and says what it likes. The test is the node, so that what is asked and what is answered stand in one
//! place, in their order. `world` puts a balancer and a worker before it; a `holder` answers questions by itself. Absent: faults drawn at random, which are
//! `simulation`'s; sockets.

mod holder;
mod world;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use wire::{Date, RawSentence, Report, Source};

use crate::endpoint::Endpoint;
use crate::network::{Network, Stream};
pub(crate) use holder::{Failing, Holder, read_json, to_json};
pub(crate) use world::{AUTHORIZATION, World, hold_time, in_real_time, told, until};

/// Bytes that a connection carries before its writer has to wait.
pub(crate) const ROOM: usize = 64 * 1024;
/// When made-up nodes store everything.
pub(crate) const DATE: &str = "2026-11-23 10:00:00.000000";

/// The hosts of a network. One that nobody listens on refuses connections. Clones are the same network.
#[derive(Clone, Default)]
pub(crate) struct MadeUp(Arc<Mutex<BTreeMap<String, Host>>>);

#[derive(Clone)]
enum Host {
    /// Connections go here; once the listener is gone they are refused.
    Listens(mpsc::UnboundedSender<DuplexStream>),
    /// Connects are never answered.
    Silent,
}

impl MadeUp {
    /// Listens on a host, in place of whoever listened there.
    pub(crate) fn listen(&self, host: &str) -> Listener {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        self.0.lock().insert(host.to_owned(), Host::Listens(arrivals));
        Listener(arrived)
    }

    /// From now on connects to the host are never answered.
    pub(crate) fn silence(&self, host: &str) {
        self.0.lock().insert(host.to_owned(), Host::Silent);
    }
}

impl Network for MadeUp {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let host = self.0.lock().get(&endpoint.host).cloned();
            let (near, far) = tokio::io::duplex(ROOM);
            let is_accepted = match host {
                Some(Host::Listens(arrivals)) => arrivals.send(far).is_ok(),
                Some(Host::Silent) => pending().await,
                None => false,
            };
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            is_accepted.then(|| Box::new(near) as Box<dyn Stream>).ok_or_else(refused)
        })
    }
}

/// Where the connections to one host arrive.
pub(crate) struct Listener(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener {
    /// The next connection.
    pub(crate) async fn accept(&mut self) -> Peer {
        Peer::new(self.0.recv().await.unwrap())
    }

    /// The next connection, if one has arrived.
    pub(crate) fn try_accept(&mut self) -> Option<Peer> {
        self.0.try_recv().ok().map(Peer::new)
    }

    /// Stores whatever is posted, over every connection that arrives, for as long as the test lasts.
    pub(crate) fn store_everything(mut self) {
        tokio::task::spawn_local(async move {
            loop {
                let mut peer = self.accept().await;
                tokio::task::spawn_local(async move {
                    while let Some(asked) = peer.request().await {
                        if peer.store(&asked).await.is_none() {
                            break;
                        }
                    }
                });
            }
        });
    }
}

/// The node's end of a connection.
pub(crate) struct Peer {
    stream: DuplexStream,
    /// What was read and belongs to the next request.
    unread: Vec<u8>,
}

/// A request as a node reads it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) what: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    /// As long as `content-length` says.
    pub(crate) body: String,
}

impl Asked {
    /// The sentences of a bulk body, each as its id and its text.
    pub(crate) fn sentences(&self) -> Vec<(String, String)> {
        let read = |line: &str| {
            let sentence = RawSentence::parse(line.as_bytes()).unwrap();
            (sentence.id.unwrap().to_string(), sentence.sentence.text().to_owned())
        };
        self.body.lines().map(read).collect()
    }

    /// The texts of a bulk body.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.sentences().into_iter().map(|(_, text)| text).collect()
    }
}

impl Peer {
    /// The node's end of `stream`.
    pub(crate) fn new(stream: DuplexStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// The next request; `None` once the connection has ended.
    pub(crate) async fn request(&mut self) -> Option<Asked> {
        loop {
            if let Some((asked, length)) = read(&self.unread) {
                self.unread.drain(..length);
                return Some(asked);
            }
            if self.stream.read_buf(&mut self.unread).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Reads `n` bytes, whatever they are.
    pub(crate) async fn take(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Sends these bytes; `None` once the connection has ended.
    pub(crate) async fn say(&mut self, bytes: &str) -> Option<()> {
        self.stream.write_all(bytes.as_bytes()).await.ok()
    }

    /// Answers with this status, these header lines, each with its end, and this body.
    pub(crate) async fn respond(&mut self, status: u16, headers: &str, body: &str) -> Option<()> {
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        self.say(&format!("{head}{body}")).await
    }

    /// Answers a bulk post: everything is stored.
    pub(crate) async fn store(&mut self, asked: &Asked) -> Option<()> {
        let lines = asked.sentences().into_iter().map(|(id, _)| stored(&id)).collect::<String>();
        self.respond(200, "", &lines).await
    }
}

/// The answer's line of a sentence that is stored now.
pub(crate) fn stored(id: &str) -> String {
    format!("{{\"status\":\"stored\",\"id\":\"{id}\",\"date\":\"{DATE}\"}}\n")
}

/// A report of a node that is ready and says nothing of its load.
pub(crate) fn report(epoch: &str, seq: u64, documents: u64, revision: u64) -> Report {
    Report {
        epoch: epoch.to_owned(),
        seq,
        sampled_at: Date::from_unix_micros(0),
        valid: true,
        ram: None,
        cpu: None,
        ram_total_bytes: None,
        ram_available_bytes: None,
        per_cpu: Vec::new(),
        steal: None,
        window_ms: None,
        source: Source::Procfs,
        ram_source: Source::Procfs,
        cpu_source: Source::Procfs,
        scope: "host".to_owned(),
        store: None,
        fence: None,
        balancers: None,
        documents,
        revision,
        in_flight: 0,
        ready: true,
        not_ready_because: None,
    }
}

/// The request at the beginning of `bytes` and its length, once it is whole.
fn read(bytes: &[u8]) -> Option<(Asked, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).unwrap() else { return None };
    let what = format!("{} {}", request.method.unwrap(), request.path.unwrap());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = request.headers.iter();
    let headers: BTreeMap<String, String> =
        headers.map(|header| (header.name.to_ascii_lowercase(), text(header.value))).collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let body = bytes.get(head..head + length)?;
    Some((Asked { what, headers, body: text(body) }, head + length))
}
