//! A scripted node: it stores in memory, reports honestly, and answers posts as its script says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::eventually;

/// How a node treats posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Stores and says so.
    Store,
    /// Knows only `GET /usage`, `POST /sentence` and `GET /sentence`, and no ids.
    Old,
    /// As [`Script::Old`], but stores and then closes instead of answering.
    OldStoreThenClose,
    /// Answers with this status and stores nothing.
    Refuse(u16),
    /// Answers 200, and every item failed with this status.
    FailItems(u16),
    /// Reads the post, stores it, and closes instead of answering; the next post is answered.
    StoreThenCloseOnce,
    /// Reads the post, stores it, and closes instead of answering; further posts are answered with 503.
    StoreThenRefuse,
    /// Reads the post, stores nothing, and closes instead of answering; the next post is stored.
    CloseOnce,
    /// Reads the post and never answers.
    Silent,
    /// Holds its answer until the script changes.
    Hold,
    /// Stores and answers with this body instead.
    Say(&'static str),
    /// Stores and answers chunked, with a content-length beside it.
    BothFramings,
    /// Stores and answers in HTTP/1.0, closing.
    Http10,
}

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) id: Option<String>,
    pub(crate) author: String,
    pub(crate) sentence: String,
    pub(crate) date: String,
}

struct Inner {
    script: Script,
    documents: Vec<Document>,
    posts: Vec<String>,
    heads: Vec<String>,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    stopped: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

/// A running node.
pub(crate) struct FakeNode {
    address: String,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl FakeNode {
    pub(crate) fn start(script: Script) -> Self {
        Self::start_at("127.0.0.1:0", script)
    }

    /// Starts at an address, as a node that comes back.
    pub(crate) fn start_at(address: &str, script: Script) -> Self {
        let mut bound = None;
        // The address of a node that has just gone may be taken for a moment longer.
        eventually("the address is free", || {
            bound = TcpListener::bind(address).ok();
            bound.is_some()
        });
        let listener = bound.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner { script, documents: Vec::new(), posts: Vec::new(), heads: Vec::new() }),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.stopped.load(Ordering::SeqCst) {
                    break;
                }
                serving.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Changes the script, also for posts that are held.
    pub(crate) fn set(&self, script: Script) {
        self.shared.inner.lock().unwrap().script = script;
        self.shared.changed.notify_all();
    }

    pub(crate) fn documents(&self) -> Vec<Document> {
        self.shared.inner.lock().unwrap().documents.clone()
    }

    pub(crate) fn sentences(&self) -> Vec<String> {
        self.documents().into_iter().map(|document| document.sentence).collect()
    }

    /// The bodies of all posts, whether they were stored or not.
    pub(crate) fn posts(&self) -> Vec<String> {
        self.shared.inner.lock().unwrap().posts.clone()
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.inner.lock().unwrap().heads.clone()
    }

    /// Closes every open connection.
    pub(crate) fn close_connections(&self) {
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    }

    /// Puts a document there by another way than the balancer.
    pub(crate) fn put(&self, author: &str, sentence: &str, date: &str) {
        let document =
            Document { id: None, author: author.into(), sentence: sentence.into(), date: date.into() };
        self.shared.inner.lock().unwrap().documents.push(document);
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        for stream in self.shared.connections.lock().unwrap().iter() {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
        // The listening thread wakes, sees the end and closes the port.
        TcpStream::connect(&self.address).ok();
        self.listening.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut out = stream.try_clone().unwrap();
        let mut input = BufReader::new(stream);
        while let Some((head, method, path, body)) = request(&mut input) {
            self.inner.lock().unwrap().heads.push(head);
            if self.answer(&mut out, &method, &path, &body).is_none() {
                break;
            }
        }
        out.shutdown(std::net::Shutdown::Both).ok();
    }

    /// Answers one request; `None` ends the connection.
    fn answer(&self, out: &mut TcpStream, method: &str, path: &str, body: &str) -> Option<()> {
        let route = path.split('?').next().unwrap();
        let script = self.inner.lock().unwrap().script;
        let is_old = matches!(script, Script::Old | Script::OldStoreThenClose);
        match (method, route) {
            ("GET", "/report/stream") if !is_old => self.report(out),
            ("GET", "/usage") => {
                let documents = self.inner.lock().unwrap().documents.len();
                respond(out, 200, "", &json!({ "cpu": "7", "database": documents, "ram": "40" }).to_string())
            }
            ("GET", "/sentence") => {
                let documents = self.inner.lock().unwrap().documents.clone();
                let list: Vec<Value> = documents.iter().map(as_json).collect();
                respond(out, 200, "", &Value::from(list).to_string())
            }
            ("POST", "/sentence") if is_old => {
                self.inner.lock().unwrap().posts.push(body.to_owned());
                let stored = self.store(&serde_json::from_str(body).unwrap(), false);
                if script == Script::OldStoreThenClose {
                    return None;
                }
                respond(out, 200, "", &as_json(&stored).to_string())
            }
            ("POST", "/sentences") if !is_old => {
                self.inner.lock().unwrap().posts.push(body.to_owned());
                self.bulk(out, body)
            }
            _ => respond(out, 404, "", "{}"),
        }
    }

    fn bulk(&self, out: &mut TcpStream, body: &str) -> Option<()> {
        let script = self.released_script()?;
        let items: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        match script {
            Script::Refuse(status) => return respond(out, status, "", "{}"),
            Script::FailItems(status) => {
                let error = json!({"type": "urn:balanza:x", "title": "t", "status": status, "detail": "full", "message": "m"});
                let lines =
                    items.iter().map(|item| json!({"status": "failed", "id": item["id"], "error": error}));
                return respond(out, 200, "", &lines.map(|line| format!("{line}\n")).collect::<String>());
            }
            Script::CloseOnce => {
                self.inner.lock().unwrap().script = Script::Store;
                return None;
            }
            _ => {}
        }
        let answers: Vec<String> = items.iter().map(|item| self.item(item)).collect();
        let text = answers.concat();
        let marks = {
            let inner = self.inner.lock().unwrap();
            let (documents, revision) = (inner.documents.len(), inner.posts.len());
            format!("balanza-epoch: e\r\nbalanza-revision: {revision}\r\nbalanza-documents: {documents}\r\n")
        };
        match script {
            Script::StoreThenCloseOnce => {
                self.inner.lock().unwrap().script = Script::Store;
                None
            }
            Script::StoreThenRefuse => {
                self.inner.lock().unwrap().script = Script::Refuse(503);
                None
            }
            Script::Say(body) => respond(out, 200, "", body),
            Script::BothFramings => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n";
                out.write_all(format!("{head}{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).as_bytes()).ok()
            }
            Script::Http10 => {
                out.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{text}").as_bytes()).ok()?;
                None
            }
            _ => respond(out, 200, &marks, &text),
        }
    }

    /// The script once it does not hold answers any more.
    fn released_script(&self) -> Option<Script> {
        let mut inner = self.inner.lock().unwrap();
        while matches!(inner.script, Script::Hold | Script::Silent) {
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            inner = self.changed.wait_timeout(inner, Duration::from_millis(100)).unwrap().0;
        }
        Some(inner.script)
    }

    fn item(&self, item: &Value) -> String {
        let id = item["id"].as_str().unwrap();
        let known = {
            let inner = self.inner.lock().unwrap();
            inner.documents.iter().find(|document| document.id.as_deref() == Some(id)).cloned()
        };
        match known {
            Some(known) => {
                let answer =
                    json!({"status": "duplicate", "id": id, "date": known.date, "stored": as_json(&known)});
                format!("{answer}\n")
            }
            None => {
                let date = self.store(item, true).date;
                format!("{{\"status\":\"stored\",\"id\":\"{id}\",\"date\":\"{date}\"}}\n")
            }
        }
    }

    fn store(&self, item: &Value, with_id: bool) -> Document {
        let mut inner = self.inner.lock().unwrap();
        let text = |key: &str| item[key].as_str().unwrap().to_owned();
        let document = Document {
            id: with_id.then(|| text("id")),
            author: text("author"),
            sentence: text("sentence"),
            date: format!("2026-11-23 10:00:00.{:06}", inner.documents.len()),
        };
        inner.documents.push(document.clone());
        document
    }

    /// Reports every 50 ms, until the node stops or turns old.
    fn report(&self, out: &mut TcpStream) -> Option<()> {
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").ok()?;
        for seq in 0u64.. {
            let (documents, revision) = {
                let inner = self.inner.lock().unwrap();
                (inner.documents.len(), inner.posts.len())
            };
            let report = json!({
                "epoch": "e", "seq": seq, "sampled_at": "2026-11-23 10:00:00.000000", "valid": true,
                "ram": 4000, "cpu": 700, "ram_total_bytes": 1, "ram_available_bytes": 1, "per_cpu": [],
                "steal": null, "window_ms": 1, "source": "procfs", "ram_source": "procfs",
                "cpu_source": "procfs", "scope": "host", "documents": documents, "revision": revision,
                "in_flight": 0, "ready": true, "not_ready_because": null,
            });
            out.write_all(format!("data: {report}\n\n").as_bytes()).ok()?;
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        None
    }
}

fn as_json(document: &Document) -> Value {
    let mut json = json!({"author": document.author, "date": document.date, "sentence": document.sentence});
    if let Some(id) = &document.id {
        json["id"] = id.as_str().into();
    }
    json
}

fn respond(out: &mut TcpStream, status: u16, headers: &str, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
    out.write_all(format!("{head}{body}").as_bytes()).ok()
}

/// Head, method, path and body of the next request.
fn request(input: &mut BufReader<TcpStream>) -> Option<(String, String, String, String)> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut head = line.clone();
    let mut length = 0;
    loop {
        let mut header = String::new();
        input.read_line(&mut header).ok().filter(|n| *n > 0)?;
        head.push_str(&header);
        match header.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some((head, method, path, String::from_utf8(body).ok()?))
}
