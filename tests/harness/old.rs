//! The old system as its neighbours saw it: a backend that knows no ids, and a balancer that asks before each post.
//!
//! Written from what the old programs did on the wire, faults included. Absent: their kernel module and their page.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stub::{Answer, Request, Response, Stub};

/// An old backend: `GET /usage` with percents as strings, `POST /sentence`, `GET /sentence`, and no id anywhere.
pub struct OldNode {
    stub: Stub,
    state: Arc<Mutex<OldState>>,
}

/// What a test can set on an [`OldNode`].
pub struct OldState {
    /// RAM as the kernel module wrote it.
    pub ram: String,
    /// CPU as the kernel module wrote it.
    pub cpu: String,
    /// Documents that were there before the first post.
    pub before: u64,
    /// How long it thinks before it answers a post.
    pub delay: Duration,
    /// What it does wrong.
    pub fault: Option<OldFault>,
    sentences: Vec<Value>,
}

/// What an old node can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldFault {
    /// Answers a post with 500 and a page, and stores nothing: its database is away.
    DatabaseAway,
    /// Stores a post and closes the connection without an answer.
    StoresAndCloses,
    /// Closes the connection of a post before it stores anything.
    Closes,
}

impl OldNode {
    /// Starts with nothing stored and the given percents.
    pub fn start(ram: &str, cpu: &str) -> Self {
        let state = OldState {
            ram: ram.to_owned(),
            cpu: cpu.to_owned(),
            before: 0,
            delay: Duration::ZERO,
            fault: None,
            sentences: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let stub =
            Stub::start(move |request| served.lock().unwrap_or_else(PoisonError::into_inner).answer(request));
        Self { stub, state }
    }

    /// Changes its numbers or faults.
    pub fn set(&self, change: impl FnOnce(&mut OldState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What it has stored, in order: objects with `author`, `date` and `sentence`.
    pub fn sentences(&self) -> Vec<Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).sentences.clone()
    }

    /// All that it was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.stub.requests()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.stub.url()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.stub.address()
    }
}

impl OldState {
    fn answer(&mut self, request: &Request) -> Answer {
        let ok = |body: &Value| Answer::Now(Response::json(200, body));
        // It never looked at a query.
        let path = request.path.split('?').next().unwrap_or_default();
        match (request.method.as_str(), path) {
            ("GET", "/usage") => {
                let database = self.before + self.sentences.len() as u64;
                ok(&json!({ "cpu": self.cpu, "database": database, "ram": self.ram }))
            }
            ("GET", "/sentence") => ok(&Value::Array(self.sentences.clone())),
            ("POST", "/sentence") => self.post(&request.json()),
            (_, "/usage" | "/sentence") => page(405, "Method Not Allowed"),
            _ => page(404, "Not Found"),
        }
    }

    fn post(&mut self, body: &Value) -> Answer {
        let (Some(author), Some(sentence)) = (body.get("author"), body.get("sentence")) else {
            return page(400, "Bad Request");
        };
        match self.fault {
            Some(OldFault::DatabaseAway) => return page(500, "Internal Server Error"),
            Some(OldFault::Closes) => return Answer::Close,
            Some(OldFault::StoresAndCloses) | None => {}
        }
        let stored = json!({ "author": author, "date": "2020-10-08 16:51:30.506529", "sentence": sentence });
        self.sentences.push(stored.clone());
        if self.fault == Some(OldFault::StoresAndCloses) {
            return Answer::Close;
        }
        let response = Response::json(200, &stored);
        if self.delay.is_zero() { Answer::Now(response) } else { Answer::After(self.delay, response) }
    }
}

fn page(status: u16, title: &str) -> Answer {
    Answer::Now(Response::text(
        status,
        "text/html",
        format!("<!DOCTYPE HTML>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n"),
    ))
}

/// The old balancer over two nodes, A and B: asks both for `/usage` before each post, compares, posts to one.
pub struct OldBalancer {
    http: reqwest::Client,
    a: String,
    b: String,
}

impl OldBalancer {
    /// Over two nodes by their URLs.
    pub fn new(a: &str, b: &str) -> Self {
        Self { http: reqwest::Client::new(), a: a.to_owned(), b: b.to_owned() }
    }

    /// Routes one sentence as the old balancer did and gives its answer, `{"message":"down"}` when both are away.
    pub async fn post(&self, sentence: &Value) -> Value {
        let (a, b) = (self.usage(&self.a).await, self.usage(&self.b).await);
        let (server, filter) = match (a, b) {
            (None, _) => ("B", "down"),
            (_, None) => ("A", "down"),
            (Some(a), Some(b)) => Self::choose(&a, &b),
        };
        let url = if server == "A" { &self.a } else { &self.b };
        match self.http.post(format!("{url}/sentence")).json(sentence).send().await {
            Ok(answer) => {
                json!({ "server": server, "filter": filter, "data": answer.json::<Value>().await.unwrap() })
            }
            Err(_) => json!({ "message": "down" }),
        }
    }

    async fn usage(&self, url: &str) -> Option<Value> {
        self.http.get(format!("{url}/usage")).send().await.ok()?.json().await.ok()
    }

    /// Its comparison, faults included: percents are compared as texts, and fewer CPU on A never decides.
    fn choose(a: &Value, b: &Value) -> (&'static str, &'static str) {
        let (a_count, b_count) = (a["database"].as_u64().unwrap(), b["database"].as_u64().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (a_ram, b_ram) = (text(&a["ram"]), text(&b["ram"]));
        if a_count != b_count {
            (if a_count > b_count { "B" } else { "A" }, "database")
        } else if a_ram != b_ram {
            (if a_ram > b_ram { "B" } else { "A" }, "ram")
        } else if text(&a["cpu"]) > text(&b["cpu"]) {
            ("B", "cpu")
        } else {
            ("A", "A")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_old_pair_work_together() {
        let (a, b) = (OldNode::start("9", "3"), OldNode::start("10", "3"));
        let balancer = OldBalancer::new(&a.url(), &b.url());
        let sentence = json!({ "author": "User1", "sentence": "Massa id neque" });
        let first = balancer.post(&sentence).await;
        // "9" > "10" as texts: the old fault.
        assert_eq!((&first["server"], &first["filter"]), (&json!("B"), &json!("ram")));
        assert_eq!(first["data"]["sentence"], "Massa id neque");
        let second = balancer.post(&sentence).await;
        assert_eq!((&second["server"], &second["filter"]), (&json!("A"), &json!("database")));
        drop(a);
        assert_eq!(balancer.post(&sentence).await["filter"], "down");
        drop(b);
        assert_eq!(balancer.post(&sentence).await, json!({ "message": "down" }));
    }
}
