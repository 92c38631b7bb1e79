//! A scripted node: it keeps sentences in memory, reports honestly, and treats posts as its script says.
//!
//! It speaks as a node of today or as one of the old system, and refuses what that one would not take. Absent: pages
//! and filters (a listing is always whole), `GET /sentence/{id}`, deletion, and single posts to a node of today.

mod old;
mod today;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use wire::Problem;

use crate::script::Script;
use crate::stub::{Action, Request, Response, Stub};

/// A running node.
pub struct ScriptedNode {
    stub: Stub,
    state: Arc<Mutex<State>>,
}

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is known by; an old node knows no ids.
    pub id: Option<String>,
    /// Who said it.
    pub author: String,
    /// What was said.
    pub sentence: String,
    /// When it was stored.
    pub date: String,
}

/// Which of the two systems a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Bulk posts with ids, a report stream, and on every bulk answer the marks of its store.
    Today,
    /// Only `GET /usage`, `POST /sentence` and `GET /sentence`, and no id anywhere.
    Old,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// What a post must show as `Authorization: Bearer …`.
    pub token: String,
    /// Whether reads need it too, as behind a proxy that guards everything. A real node asks for it on posts only.
    pub reads_too: bool,
}

struct State {
    dialect: Dialect,
    script: Script,
    admission: Option<Admission>,
    epoch: String,
    documents: Vec<Document>,
    /// Where a document lies, by its id.
    places: HashMap<String, usize>,
    /// Counts the changes of the store.
    revision: u64,
    n_reports: u64,
    readings: Readings,
}

/// What a node says of itself beside its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readings {
    /// Documents that were there before the first post, which no listing shows.
    pub before: u64,
    /// RAM in percent as `/usage` writes it; empty where it is unknown.
    pub ram: String,
    /// CPU in percent as `/usage` writes it; empty where it is unknown.
    pub cpu: String,
}

impl ScriptedNode {
    /// Starts a node of today, with nothing stored, on a free port.
    pub fn start(script: impl Into<Script>) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), script)
    }

    /// Starts at an address, as a node that comes back with an empty store.
    pub fn start_at(address: SocketAddr, script: impl Into<Script>) -> Self {
        Self::start_with(address, Dialect::Today, script.into())
    }

    /// Starts a node of the old system, with nothing stored, on a free port.
    pub fn start_old(script: impl Into<Script>) -> Self {
        Self::start_with(([127, 0, 0, 1], 0).into(), Dialect::Old, script.into())
    }

    fn start_with(address: SocketAddr, dialect: Dialect, script: Script) -> Self {
        let state = Arc::new(Mutex::new(State::new(dialect, script)));
        let served = Arc::clone(&state);
        let stub = Stub::start_at(address, move |request| act(&served, request));
        Self { stub, state }
    }

    /// Where it listens, as a URL without a slash at the end.
    pub fn url(&self) -> String {
        self.stub.url()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.stub.address()
    }

    /// Follows another script from now on, also for posts that are held.
    pub fn set(&self, script: impl Into<Script>) {
        lock(&self.state).script = script.into();
        self.stub.wake();
    }

    /// Speaks as a node of the other system from now on, as after an update or a step back.
    pub fn speak(&self, dialect: Dialect) {
        lock(&self.state).dialect = dialect;
    }

    /// Says other numbers of itself from now on.
    pub fn set_readings(&self, before: u64, ram: &str, cpu: &str) {
        lock(&self.state).readings = Readings { before, ram: ram.to_owned(), cpu: cpu.to_owned() };
    }

    /// Asks for a token from now on, or for none.
    pub fn admit_only(&self, admission: impl Into<Option<Admission>>) {
        lock(&self.state).admission = admission.into();
    }

    /// Puts a document there by another way than a post.
    pub fn put(&self, author: &str, sentence: &str, date: &str) {
        let document =
            Document { id: None, author: author.into(), sentence: sentence.into(), date: date.into() };
        let mut state = lock(&self.state);
        state.documents.push(document);
        state.revision += 1;
    }

    /// All that it has stored, in order.
    pub fn documents(&self) -> Vec<Document> {
        lock(&self.state).documents.clone()
    }

    /// The texts of [`Self::documents`].
    pub fn sentences(&self) -> Vec<String> {
        self.documents().into_iter().map(|document| document.sentence).collect()
    }

    /// The bodies of all posts of sentences, whether they were stored or not.
    pub fn posts(&self) -> Vec<String> {
        let route = match lock(&self.state).dialect {
            Dialect::Today => "/sentences",
            Dialect::Old => "/sentence",
        };
        let is_post = |request: &Request| request.method == "POST" && request.route() == route;
        self.stub.requests().iter().filter(|request| is_post(request)).map(Request::text).collect()
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.stub.requests().into_iter().map(|request| request.head).collect()
    }

    /// Its port and its connections: closing, not accepting, not reading, and how many there are.
    pub const fn sockets(&self) -> &Stub {
        &self.stub
    }
}

impl State {
    fn new(dialect: Dialect, script: Script) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        Self {
            dialect,
            script,
            admission: None,
            // Each start of a real node is an epoch of its own.
            epoch: format!("scripted-{}", STARTED.fetch_add(1, Ordering::Relaxed)),
            documents: Vec::new(),
            places: HashMap::new(),
            revision: 0,
            n_reports: 0,
            readings: Readings { before: 0, ram: "40".to_owned(), cpu: "7".to_owned() },
        }
    }

    fn n_documents(&self) -> u64 {
        self.readings.before + self.documents.len() as u64
    }

    /// Stores a document, once for each id. Gives the one that is stored, and whether it was stored now.
    fn store(&mut self, id: Option<String>, author: &str, sentence: &str) -> (Document, bool) {
        if let Some(place) = id.as_ref().and_then(|id| self.places.get(id)) {
            return (self.documents[*place].clone(), false);
        }
        let place = self.documents.len();
        let document = Document {
            id,
            author: author.to_owned(),
            sentence: sentence.to_owned(),
            date: format!("2026-11-23 10:00:00.{place:06}"),
        };
        self.places.extend(document.id.clone().map(|id| (id, place)));
        self.documents.push(document.clone());
        (document, true)
    }

    fn usage(&self) -> Action {
        let Readings { ram, cpu, .. } = &self.readings;
        answer(&json!({ "cpu": cpu, "database": self.n_documents(), "ram": ram }))
    }

    fn listing(&self) -> Action {
        answer(&self.documents.iter().map(as_json).collect())
    }

    /// Whether a request shows what it must: a token is missing, or it is the wrong one.
    fn admit(&self, request: &Request) -> Result<(), Response> {
        let Some(Admission { token, reads_too }) = &self.admission else { return Ok(()) };
        if request.method != "POST" && !reads_too {
            return Ok(());
        }
        let shown = request.header("authorization").and_then(|value| value.split_once(' '));
        match shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
            Some((_, shown)) if shown.trim() == token => Ok(()),
            Some(_) => Err(Response::problem(&Problem::new(
                403,
                "wrong-token",
                "The token is wrong",
                "this is not the write token",
            ))),
            None => {
                let problem =
                    Problem::new(401, "no-token", "A token is needed", "this needs the write token");
                Err(Response::problem(&problem.with_field("authorization"))
                    .with_header("www-authenticate", "Bearer"))
            }
        }
    }
}

fn act(shared: &Arc<Mutex<State>>, request: &Request) -> Action {
    let mut state = lock(shared);
    if let Err(refusal) = state.admit(request) {
        return Action::Answer(refusal);
    }
    match (state.dialect, request.method.as_str(), request.route()) {
        (_, "GET", "/usage") => state.usage(),
        (_, "GET", "/sentence") => state.listing(),
        (Dialect::Today, "GET", "/report/stream") => today::reports(Arc::clone(shared)),
        (Dialect::Today, "POST", "/sentences") => today::bulk(&mut state, request),
        (Dialect::Today, _, _) => Action::Answer(Response::json(404, &json!({}))),
        (Dialect::Old, "POST", "/sentence") => old::post(&mut state, request),
        (Dialect::Old, _, route) => old::refuse(route),
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(body: &Value) -> Action {
    Action::Answer(Response::json(200, body))
}

fn as_json(document: &Document) -> Value {
    let Document { id, author, sentence, date } = document;
    let mut json = json!({ "author": author, "date": date, "sentence": sentence });
    if let Some(id) = id {
        json["id"] = id.as_str().into();
    }
    json
}

#[cfg(test)]
mod tests;
