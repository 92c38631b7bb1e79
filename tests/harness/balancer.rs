//! A scripted balancer, for what a client must be shown: answers that are late, wrong, missing or repeated.
//!
//! It stores each sentence once by its id, on two nodes in turn. Absent: bulk posts, posts without an id, pages and
//! filters, decisions, and everything of an operator.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use wire::{Problem, RawSentence};

use crate::script::{Says, Script};
use crate::stub::{Action, Request, Response, Stub};

/// A running balancer.
pub struct ScriptedBalancer {
    stub: Stub,
    url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    script: Script,
    /// As a post is answered, in the order of storing.
    stored: Vec<Value>,
    /// Where a sentence lies in `stored`, by its id.
    places: HashMap<String, usize>,
    /// What a listing is answered with instead of what is stored.
    listing: Option<Response>,
}

impl ScriptedBalancer {
    /// Starts with nothing stored, on a free port.
    pub fn start(script: impl Into<Script>) -> Self {
        let state =
            State { script: script.into(), stored: Vec::new(), places: HashMap::new(), listing: None };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let stub = Stub::start(move |request| lock(&served).act(request));
        Self { url: stub.url(), stub, state }
    }

    /// Where it listens, as a URL without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Follows another script from now on, also for posts that are held.
    pub fn set(&self, script: impl Into<Script>) {
        lock(&self.state).script = script.into();
        self.stub.wake();
    }

    /// Answers every listing with this from now on.
    pub fn answer_listings_with(&self, response: Response) {
        lock(&self.state).listing = Some(response);
    }

    /// Every post, repeats included.
    pub fn posts(&self) -> Vec<Value> {
        let is_post = |request: &Request| request.method == "POST";
        self.stub.requests().iter().filter(|request| is_post(request)).map(Request::json).collect()
    }

    /// What is stored, each as its post is answered.
    pub fn stored(&self) -> Vec<Value> {
        lock(&self.state).stored.clone()
    }

    /// Its port and its connections: closing, not accepting, not reading, and how many there are.
    pub const fn sockets(&self) -> &Stub {
        &self.stub
    }
}

impl State {
    fn act(&mut self, request: &Request) -> Action {
        match (request.method.as_str(), request.route()) {
            ("POST", "/sentence") => self.post(request),
            ("GET", "/sentence") => {
                let listing = self.listing.clone();
                Action::Answer(listing.unwrap_or_else(|| Response::json(200, &self.located())))
            }
            ("GET", "/fleet") => Action::Answer(Response::json(200, &self.fleet())),
            _ => Action::Answer(Response::json(404, &json!({ "message": "not here" }))),
        }
    }

    fn post(&mut self, request: &Request) -> Action {
        let id = match RawSentence::parse(&request.body).map(|sentence| sentence.id) {
            Ok(Some(id)) => id.to_string(),
            Ok(None) => {
                let problem = Problem::new(400, "no-id", "The sentence has no id", "`id` is missing");
                return Action::Answer(Response::problem(&problem));
            }
            Err(invalid) => return Action::Answer(Response::problem(&invalid.into())),
        };
        let turn = self.script.take(&request.text());
        let stored = turn.stores(0).then(|| self.store(id, request.json()));
        match (turn.says.clone(), stored) {
            (Says::Outcomes, stored) => Action::Answer(turn.sent(Response::json(200, &json!(stored)))),
            (Says::Failures(_, problem), _) => Action::Answer(turn.sent(Response::problem(&problem))),
            (Says::Else(response), _) => Action::Answer(turn.sent(response)),
            (Says::Nothing, _) => Action::Close,
            (Says::Silence, _) => Action::Silence,
            (Says::Held, _) => Action::Hold,
        }
    }

    /// Stores once by id, on two nodes in turn, and gives the answer.
    fn store(&mut self, id: String, mut sentence: Value) -> Value {
        let next = self.stored.len();
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            let (server, filter) = if place.is_multiple_of(2) { ("A", "ram") } else { ("B", "database") };
            sentence["date"] = json!("2026-11-23 06:00:00.000001");
            self.stored.push(json!({ "server": server, "filter": filter, "data": sentence }));
        }
        self.stored[place].clone()
    }

    /// All documents, each with its node.
    fn located(&self) -> Value {
        let located = self.stored.iter().map(|routed| {
            let mut document = routed["data"].clone();
            document["server"] = routed["server"].clone();
            document
        });
        located.collect()
    }

    fn fleet(&self) -> Value {
        let node = |name: &str, state: &str, documents: usize| {
            json!({
                "name": name, "url": "http://127.0.0.1:1", "state": state, "because": "connection refused",
                "documents": documents, "ram": 6150, "cpu": null, "source": "procfs", "report_age_ms": 250,
                "in_flight": 2, "stored": documents, "traffic": 5000, "last_error": null, "protocol": "batch",
            })
        };
        let n_stored = self.stored.len();
        let nodes = [node("A", "up", n_stored.div_ceil(2)), node("B", "down", n_stored / 2)];
        json!({ "policy": "count-ram-cpu", "at": "2026-11-23 06:00:00.000001", "nodes": nodes })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Turn, raw};

    const BODY: &str =
        r#"{"id":"0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b","author":"Ana","sentence":"Una vez."}"#;

    fn post(balancer: &ScriptedBalancer, body: &str) -> Option<crate::http::Answer> {
        let request = raw::request("POST", "/sentence", &[], body.as_bytes());
        raw::exchange(&balancer.stub.address().to_string(), &request)
    }

    #[test]
    fn a_sentence_is_stored_once_and_answered_as_the_wire_says() {
        let balancer = ScriptedBalancer::start(Script::once(Turn::close().storing()));
        assert!(post(&balancer, BODY).is_none());
        let answer = post(&balancer, BODY).unwrap();
        assert_eq!((answer.status, &answer.json["server"]), (200, &json!("A")));
        serde_json::from_value::<wire::Routed>(answer.json).unwrap();
        assert_eq!((balancer.posts().len(), balancer.stored().len()), (2, 1));
        serde_json::from_value::<wire::FleetView>(lock(&balancer.state).fleet()).unwrap();
        serde_json::from_value::<Vec<wire::LocatedSentence>>(lock(&balancer.state).located()).unwrap();
    }

    #[test]
    fn what_a_balancer_would_not_take_takes_no_turn() {
        let balancer = ScriptedBalancer::start(Script::once(Turn::refuse(503)));
        for body in ["", "{", r#"{"author":"a","sentence":"b"}"#, r#"{"id":"7","author":"a","sentence":"b"}"#]
        {
            assert_eq!(post(&balancer, body).map(|answer| answer.status), Some(400), "{body}");
        }
        assert_eq!(post(&balancer, BODY).map(|answer| answer.status), Some(503));
        assert_eq!(balancer.stored(), Vec::<Value>::new());
    }
}
