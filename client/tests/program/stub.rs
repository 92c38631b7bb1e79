//! A balancer in a few lines, for what the client must be shown: answers that are late, wrong, missing or repeated.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the stub does with the `n`th post, from 0.
pub(crate) enum Reply {
    /// Stores and answers.
    Store,
    /// Stores, and breaks the connection instead of answering.
    StoreAndBreak,
    /// Answers with this status, header lines and body.
    Say(u16, &'static str, Value),
    /// Does nothing for as long as the stub lives.
    Silence,
}

type Script = Box<dyn Fn(usize, &Value) -> Reply + Send + Sync>;

#[derive(Default)]
struct Memory {
    /// By id, in the order of storing.
    stored: Vec<Value>,
    places: BTreeMap<String, usize>,
    posts: Vec<Value>,
}

/// A running stub.
pub(crate) struct Stub {
    url: String,
    memory: Arc<(Mutex<Memory>, Condvar)>,
    script: Arc<Mutex<Script>>,
}

impl Stub {
    /// A stub that stores everything.
    pub(crate) fn start() -> Self {
        Self::scripted(|_, _| Reply::Store)
    }

    /// A stub that follows a script.
    pub(crate) fn scripted(script: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let memory = Arc::<(Mutex<Memory>, Condvar)>::default();
        let script = Arc::new(Mutex::new(Box::new(script) as Script));
        let (shared, followed) = (Arc::clone(&memory), Arc::clone(&script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (memory, script) = (Arc::clone(&shared), Arc::clone(&followed));
                std::thread::spawn(move || serve(&stream, &memory, &script));
            }
        });
        Self { url, memory, script }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Follows another script from now on.
    pub(crate) fn now(&self, script: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Every post, repeats included.
    pub(crate) fn posts(&self) -> Vec<Value> {
        self.memory.0.lock().unwrap().posts.clone()
    }

    /// What is stored.
    pub(crate) fn stored(&self) -> Vec<Value> {
        self.memory.0.lock().unwrap().stored.clone()
    }

    /// Waits until so many posts came.
    pub(crate) fn await_posts(&self, n_posts: usize) {
        let (memory, more) = &*self.memory;
        let start = Instant::now();
        let mut memory = memory.lock().unwrap();
        while memory.posts.len() < n_posts {
            assert!(start.elapsed() < Duration::from_secs(30), "only {} posts came", memory.posts.len());
            memory = more.wait_timeout(memory, Duration::from_secs(1)).unwrap().0;
        }
    }
}

fn serve(stream: &TcpStream, memory: &(Mutex<Memory>, Condvar), script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream);
    while let Some((method, path, body)) = request(&mut reader) {
        if method == "GET" {
            let (status, body) = look(&path, &memory.0.lock().unwrap());
            answer(stream, status, "", &body);
            continue;
        }
        let body = serde_json::from_slice::<Value>(&body).unwrap();
        let reply = {
            let mut memory_now = memory.0.lock().unwrap();
            let n_posts = memory_now.posts.len();
            memory_now.posts.push(body.clone());
            memory.1.notify_all();
            script.lock().unwrap()(n_posts, &body)
        };
        match reply {
            Reply::Store => {
                let routed = store(&mut memory.0.lock().unwrap(), &body);
                answer(stream, 200, "", &routed.to_string());
            }
            Reply::StoreAndBreak => {
                store(&mut memory.0.lock().unwrap(), &body);
                return;
            }
            Reply::Say(status, headers, body) => answer(stream, status, headers, &body.to_string()),
            Reply::Silence => loop {
                std::thread::park();
            },
        }
    }
}

/// Stores once by id, on two nodes in turn.
fn store(memory: &mut Memory, body: &Value) -> Value {
    let id = body["id"].as_str().unwrap().to_owned();
    let next = memory.stored.len();
    let place = *memory.places.entry(id).or_insert(next);
    if place == next {
        let (server, filter) = if place.is_multiple_of(2) { ("A", "ram") } else { ("B", "database") };
        let mut document = body.clone();
        document["date"] = json!("2026-11-23 06:00:00.000001");
        memory.stored.push(json!({ "server": server, "filter": filter, "data": document }));
    }
    memory.stored[place].clone()
}

fn look(path: &str, memory: &Memory) -> (u16, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match path {
        "/sentence" if query.contains("author=Nadie") => (200, "[{\"author\":\"a\",\"sentence\":".to_owned()),
        "/sentence" => {
            let listed = memory.stored.iter().map(|routed| {
                let mut document = routed["data"].clone();
                document["server"] = routed["server"].clone();
                document
            });
            (200, Value::from(listed.collect::<Vec<_>>()).to_string())
        }
        "/fleet" => (200, fleet(memory).to_string()),
        _ => (404, json!({ "message": "not here" }).to_string()),
    }
}

fn fleet(memory: &Memory) -> Value {
    let node = |name: &str, state: &str, documents: usize| {
        json!({
            "name": name, "url": "http://127.0.0.1:1", "state": state, "because": "connection refused",
            "documents": documents, "ram": 6150, "cpu": null, "source": "procfs", "report_age_ms": 250,
            "in_flight": 2, "stored": documents, "traffic": 5000, "last_error": null, "protocol": "batch",
        })
    };
    let n_stored = memory.stored.len();
    let nodes = [node("A", "up", n_stored.div_ceil(2)), node("B", "down", n_stored / 2)];
    json!({ "policy": "count-ram-cpu", "at": "2026-11-23 06:00:00.000001", "nodes": nodes })
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

fn answer(mut stream: &TcpStream, status: u16, headers: &str, body: &str) {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    // A client that has left needs no answer.
    drop(stream.write_all(text.as_bytes()));
}
