//! A made-up node: it stores by id in memory that outlives its process, reports honestly, and answers posts over any
//! stream with the faults that its seed draws. Absent: time of its own; it sleeps by tokio's, which the run holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use wire::{Copies, Date, Fenced, Ids, RawSentence, Report, StoreId, StoredCopy};

use crate::clock;
use crate::made_up::{self, Asked, DATE, Peer};
use crate::random::Random;

/// How often a node reports.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a node does with one post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing is wrong.
    None,
    /// It takes its time, before storing and before answering.
    Late,
    /// It closes before it stores anything.
    LostPost,
    /// It stores and closes instead of answering.
    LostAnswer,
    /// It stores and closes in the middle of its answer.
    Truncated,
    /// It stores and answers twice.
    Doubled,
    /// It stores and answers what is no answer.
    Garbled,
    /// It stores, or not, and never answers.
    Silent { stores: bool },
    /// It answers with this status and stores nothing.
    Refused(u16),
    /// It stores, or not, and answers that it cannot tell.
    Ambiguous { stores: bool },
    /// It stores, or not, and breaks down with a status that says nothing of storing.
    Broken { stores: bool },
    /// It fails every other sentence; whether it stored those it cannot tell.
    AmbiguousItems { stores: bool },
    /// It surely did not store every other sentence.
    FailedItems,
}

/// A node that can be killed, frozen and asked.
pub(super) struct Node {
    state: Mutex<State>,
    /// Counts the runs of its process; odd while it runs.
    life: Told<u32>,
    frozen: Told<bool>,
}

/// A value whose changes wake everybody who waits for one, in the order in which they came. tokio's own `watch` wakes
/// them in an order that it draws, so that no run could be repeated.
struct Told<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Told<T> {
    fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    fn get(&self) -> T {
        *self.value.lock()
    }

    fn set(&self, value: T) {
        *self.value.lock() = value;
        self.changed.notify_waiters();
    }

    /// Waits until the value is as wanted.
    async fn until(&self, is_wanted: impl Fn(T) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_wanted(self.get()) {
                return;
            }
            changed.await;
        }
    }
}

struct State {
    /// The texts by their ids, as JSON, each with when it was stored.
    documents: BTreeMap<String, (String, i64)>,
    /// When the run began; dates count from there.
    born: Instant,
    /// The identity of the store.
    store: StoreId,
    /// What posts must carry to be let in.
    fence: u64,
    revision: u64,
    seq: u64,
    random: Random,
    /// Of a hundred posts, how many meet a fault.
    faults: u64,
}

impl Node {
    /// A running node. `faults` of a hundred posts go wrong.
    pub(super) fn new(seed: u64, faults: u64) -> Arc<Self> {
        let mut random = Random::new(seed);
        let store = StoreId(uuid::Uuid::from_u128(u128::from(random.draw())));
        let state = State {
            documents: BTreeMap::new(),
            born: clock::now(),
            store,
            fence: 1,
            revision: 0,
            seq: 0,
            random,
            faults,
        };
        Arc::new(Self { state: Mutex::new(state), life: Told::new(1), frozen: Told::new(false) })
    }

    /// Whether its process runs.
    pub(super) fn is_alive(&self) -> bool {
        self.life.get() % 2 == 1
    }

    /// Ends its process, and every connection with it.
    pub(super) fn kill(&self) {
        if self.is_alive() {
            self.life.set(self.life.get() + 1);
        }
    }

    /// Starts its process again, over what it had stored.
    pub(super) fn start(&self) {
        let mut state = self.state.lock();
        if !self.is_alive() {
            // Revisions and reports are counted anew in each run.
            (state.revision, state.seq, state.fence) = (0, 0, state.fence + 1);
            self.life.set(self.life.get() + 1);
        }
    }

    /// Stops its process in its tracks, or lets it go on.
    pub(super) fn freeze(&self, frozen: bool) {
        self.frozen.set(frozen);
    }

    /// From now on nothing goes wrong.
    pub(super) fn heal(&self) {
        self.state.lock().faults = 0;
        self.freeze(false);
        if !self.is_alive() {
            self.start();
        }
    }

    /// The texts that it holds, as JSON.
    pub(super) fn texts(&self) -> Vec<String> {
        self.state.lock().documents.values().map(|(text, _)| text.clone()).collect()
    }

    /// Serves one connection until it or the process ends.
    pub(super) async fn serve(self: Arc<Self>, stream: DuplexStream) {
        let born = self.life.get();
        tokio::select! {
            biased;
            () = self.life.until(|life| life != born) => {}
            _ = self.talk(Peer::new(stream)) => {}
        }
    }

    /// Answers requests; `None` ends the connection.
    async fn talk(&self, mut peer: Peer) -> Option<()> {
        loop {
            let asked = peer.request().await?;
            self.is_thawed().await;
            match asked.what.as_str() {
                "GET /report/stream" => self.report(&mut peer).await?,
                "POST /sentences" => self.take(&mut peer, &asked).await?,
                "POST /sentences/held" | "POST /sentences/retract" | "POST /fence" => {
                    let answer = self.tell_of_copies(&asked);
                    peer.respond(200, "", &answer).await?;
                }
                _ => peer.respond(404, "", "{}").await?,
            }
        }
    }

    async fn is_thawed(&self) {
        self.frozen.until(|frozen| !frozen).await;
    }

    async fn report(&self, peer: &mut Peer) -> Option<()> {
        peer.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await?;
        loop {
            self.is_thawed().await;
            let report = serde_json::to_string(&self.next_report()).unwrap();
            peer.say(&format!("data: {report}\n\n")).await?;
            sleep(HEARTBEAT).await;
        }
    }

    fn next_report(&self) -> Report {
        let state = &mut *self.state.lock();
        state.seq += 1;
        let epoch = self.life.get().to_string();
        let report = made_up::report(&epoch, state.seq, state.documents.len() as u64, state.revision);
        Report { store: Some(state.store), fence: Some(state.fence), ..report }
    }

    /// Answers what a balancer asks of copies.
    fn tell_of_copies(&self, asked: &Asked) -> String {
        let state = &mut *self.state.lock();
        match asked.what.as_str() {
            "POST /sentences/held" => {
                let Ids { ids } = serde_json::from_str(&asked.body).unwrap();
                let held = ids.into_iter().filter_map(|id| {
                    let (_, micros) = state.documents.get(&id.to_string())?;
                    Some(StoredCopy { date: Date::from_unix_micros(*micros), id })
                });
                serde_json::to_string(&Copies { copies: held.collect() }).unwrap()
            }
            "POST /sentences/retract" => {
                let Copies { copies } = serde_json::from_str(&asked.body).unwrap();
                let mut ids = Vec::new();
                for StoredCopy { date, id } in copies {
                    let is_that = |(_, micros): &(String, i64)| *micros == date.unix_micros();
                    if state.documents.get(&id.to_string()).is_some_and(is_that) {
                        state.documents.remove(&id.to_string());
                        ids.push(id);
                    }
                }
                state.revision += 1;
                serde_json::to_string(&Ids { ids }).unwrap()
            }
            _ => {
                state.fence += 1;
                serde_json::to_string(&Fenced { fence: state.fence }).unwrap()
            }
        }
    }

    async fn take(&self, peer: &mut Peer, asked: &Asked) -> Option<()> {
        let (body, fence) = (asked.body.as_str(), asked.headers.get("balanza-fence"));
        let (fault, pause) = {
            let state = &mut *self.state.lock();
            (state.draw_fault(), Duration::from_millis(1 + state.random.below(4_000)))
        };
        if fault == Fault::Late {
            sleep(pause).await;
        }
        // What comes late is let in by the fence that holds then.
        let is_let_in = fence.is_some_and(|fence| fence.parse() == Ok(self.state.lock().fence));
        if !is_let_in {
            let problem = wire::Problem::of(wire::problem::Kind::Fenced, "the post is from before the fence");
            return peer.respond(409, "", &serde_json::to_string(&problem).unwrap()).await;
        }
        let (status, marks, answer) = match fault {
            Fault::LostPost => return None,
            Fault::Refused(status) => (status, String::new(), "{}".to_owned()),
            Fault::Ambiguous { stores } => {
                self.store(body, |_| stores);
                let problem =
                    wire::Problem::new(503, "store-unavailable", "x", "the commit failed").with_doubt();
                (503, String::new(), serde_json::to_string(&problem).unwrap())
            }
            Fault::Broken { stores } => {
                self.store(body, |_| stores);
                (500, String::new(), String::new())
            }
            Fault::Silent { stores } => {
                self.store(body, |_| stores);
                return std::future::pending().await;
            }
            Fault::AmbiguousItems { stores } => {
                let lines = self.store(body, |n| stores || n % 2 == 0);
                (200, self.marks(), failed_items(&lines, true))
            }
            Fault::FailedItems => {
                let lines = self.store(body, |n| n % 2 == 0);
                (200, self.marks(), failed_items(&lines, false))
            }
            _ => {
                let lines = self.store(body, |_| true);
                (200, self.marks(), lines.into_iter().map(|(_, line)| line).collect())
            }
        };
        if fault == Fault::Late {
            sleep(pause / 2).await;
        }
        self.is_thawed().await;
        match fault {
            Fault::LostAnswer => None,
            Fault::Garbled => peer.respond(200, "", "{\"status\":\"stored\"}\n").await,
            Fault::Truncated => {
                let half = answer.get(..answer.len() / 2).unwrap_or_default();
                let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n{half}", answer.len());
                peer.say(&head).await?;
                None
            }
            Fault::Doubled => {
                peer.respond(status, &marks, &answer).await?;
                peer.respond(status, &marks, &answer).await
            }
            _ => peer.respond(status, &marks, &answer).await,
        }
    }

    /// Stores the sentences of a bulk body for whose places `stores` holds, and gives the answer's line of each with
    /// whether it is stored now.
    fn store(&self, body: &str, stores: impl Fn(usize) -> bool) -> Vec<(bool, String)> {
        let state = &mut *self.state.lock();
        state.revision += 1;
        let now = i64::try_from(clock::now().duration_since(state.born).as_micros()).unwrap();
        let mut lines = Vec::new();
        for (place, line) in body.lines().enumerate() {
            let sentence = RawSentence::parse(line.as_bytes()).unwrap();
            let (id, text) = (sentence.id.unwrap().to_string(), sentence.sentence.raw().to_owned());
            let known = state.documents.get(&id).cloned();
            if known.is_none() && stores(place) {
                state.documents.insert(id.clone(), (text.clone(), now));
            }
            let line = match &known {
                Some((text, _)) => {
                    let author: serde_json::Value = serde_json::from_str(sentence.author.raw()).unwrap();
                    let text: serde_json::Value = serde_json::from_str(text).unwrap();
                    let stored = json!({"author": author, "date": DATE, "id": id, "sentence": text});
                    format!("{}\n", json!({"status": "duplicate", "id": id, "date": DATE, "stored": stored}))
                }
                None => made_up::stored(&id),
            };
            lines.push((state.documents.contains_key(&id), line));
        }
        lines
    }

    fn marks(&self) -> String {
        let state = self.state.lock();
        let (epoch, revision, documents) = (self.life.get(), state.revision, state.documents.len());
        format!(
            "balanza-epoch: {epoch}\r\nbalanza-revision: {revision}\r\nbalanza-documents: {documents}\r\n"
        )
    }
}

/// The answer's lines with every other sentence failed. What is stored and was known before is told as a duplicate all
/// the same, unless the node cannot tell.
fn failed_items(lines: &[(bool, String)], ambiguous: bool) -> String {
    let mut answer = String::new();
    for (place, (is_stored, line)) in lines.iter().enumerate() {
        if place % 2 == 0 || (*is_stored && !ambiguous) {
            answer.push_str(line);
            continue;
        }
        let id: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut error = wire::Problem::new(503, "store-unavailable", "x", "the store failed");
        error.ambiguous = ambiguous;
        let failed = json!({"status": "failed", "id": id["id"], "error": error});
        answer.push_str(&format!("{failed}\n"));
    }
    answer
}

impl State {
    fn draw_fault(&mut self) -> Fault {
        if self.random.below(100) >= self.faults {
            return Fault::None;
        }
        let stores = self.random.below(2) == 0;
        match self.random.below(12) {
            0 => Fault::Late,
            1 => Fault::LostPost,
            2 => Fault::LostAnswer,
            3 => Fault::Truncated,
            4 => Fault::Doubled,
            5 => Fault::Garbled,
            6 => Fault::Silent { stores },
            7 => Fault::Refused([429, 503, 507, 413][usize::try_from(self.random.below(4)).unwrap()]),
            8 => Fault::Ambiguous { stores },
            9 => Fault::Broken { stores },
            10 => Fault::AmbiguousItems { stores },
            _ => Fault::FailedItems,
        }
    }
}
