//! A made-up node: it stores by id in memory that outlives its process, reports honestly, and answers posts over any
//! stream with the faults that its seed draws. Absent: time of its own; it sleeps by tokio's, which the run holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::time::{sleep, timeout};
use wire::contract::BALANCER_HEADER;
use wire::{Copies, Date, Fenced, Ids, Place, RawSentence, Report, SentenceId, StoreId, StoredCopy};

use super::fault::{Fault, failed_items};
use super::told::Told;
use crate::clock;
use crate::made_up::{self, Asked, DATE, Peer};
use crate::random::Random;

/// How often a node reports.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A node that can be killed, frozen and asked.
pub(super) struct Node {
    state: Mutex<State>,
    /// Counts the runs of its process; odd while it runs.
    life: Told<u32>,
    frozen: Told<bool>,
    /// Counts how often a balancer came or went.
    balancers_changed: Told<u64>,
}

struct State {
    /// The texts by their ids, as JSON, each with when it was stored.
    documents: BTreeMap<SentenceId, (String, Date)>,
    /// How far its wall clock is ahead, in microseconds.
    ahead: i64,
    /// The balancers that read its reports, each with the number of its streams.
    balancers: BTreeMap<String, u64>,
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
            ahead: i64::try_from(random.below(2_000_000)).unwrap() - 1_000_000,
            balancers: BTreeMap::new(),
            store,
            fence: 1,
            revision: 0,
            seq: 0,
            random,
            faults,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            life: Told::new(1),
            frozen: Told::new(false),
            balancers_changed: Told::new(0),
        })
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
                "GET /report/stream" => {
                    let balancer = self.is_read_by(asked.headers.get(BALANCER_HEADER)?);
                    self.report(&mut peer).await?;
                    drop(balancer);
                }
                "POST /sentences" => self.take(&mut peer, &asked).await?,
                "POST /sentences/held" | "POST /sentences/retract" | "POST /fence" => {
                    let answer = self.tell_of_copies(&asked);
                    peer.respond(200, "", &answer).await?;
                }
                what => match what.strip_prefix("GET /sentences/ids?") {
                    Some(query) => peer.respond(200, "", &self.page(query)).await?,
                    None => peer.respond(404, "", "{}").await?,
                },
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
            let told = self.balancers_changed.get();
            timeout(HEARTBEAT, self.balancers_changed.until(|changed| changed != told)).await.ok();
        }
    }

    /// Counts a balancer until what is given is dropped.
    fn is_read_by(&self, run: &str) -> Reader<'_> {
        *self.state.lock().balancers.entry(run.to_owned()).or_default() += 1;
        self.balancers_changed.set(self.balancers_changed.get() + 1);
        Reader { node: self, run: run.to_owned() }
    }

    fn next_report(&self) -> Report {
        let state = &mut *self.state.lock();
        state.seq += 1;
        let epoch = self.life.get().to_string();
        let report = made_up::report(&epoch, state.seq, state.documents.len() as u64, state.revision);
        let balancers = Some(state.balancers.len() as u64);
        Report { store: Some(state.store), fence: Some(state.fence), balancers, ..report }
    }

    /// Answers what a balancer asks of copies.
    fn tell_of_copies(&self, asked: &Asked) -> String {
        let state = &mut *self.state.lock();
        match asked.what.as_str() {
            "POST /sentences/held" => {
                let Ids { ids } = serde_json::from_str(&asked.body).unwrap();
                let held = ids.into_iter().filter_map(|id| {
                    let (_, date) = state.documents.get(&id)?;
                    Some(StoredCopy { date: *date, id })
                });
                serde_json::to_string(&Copies { copies: held.collect() }).unwrap()
            }
            "POST /sentences/retract" => {
                let Copies { copies } = serde_json::from_str(&asked.body).unwrap();
                let mut ids = Vec::new();
                for StoredCopy { date, id } in copies {
                    if state.documents.get(&id).is_some_and(|(_, stored)| *stored == date) {
                        tracing::debug!(node = %state.store.0, %id, "taken back");
                        state.documents.remove(&id);
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

    /// A page of the copies in the order of their places.
    fn page(&self, query: &str) -> String {
        let of = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let (after, limit) =
            (Place::read(of("after").unwrap()).unwrap(), of("limit").unwrap().parse().unwrap());
        let state = self.state.lock();
        let copies = state.documents.iter().map(|(id, (_, date))| StoredCopy { date: *date, id: *id });
        let mut copies: Vec<StoredCopy> =
            copies.filter(|copy| Place::new(copy.date, Some(copy.id)) > after).collect();
        copies.sort_unstable_by_key(|copy| Place::new(copy.date, Some(copy.id)));
        copies.truncate(limit);
        serde_json::to_string(&Copies { copies }).unwrap()
    }

    async fn take(&self, peer: &mut Peer, asked: &Asked) -> Option<()> {
        let (body, fence) = (asked.body.as_str(), asked.headers.get("balanza-fence"));
        let (fault, pause) = {
            let state = &mut *self.state.lock();
            (
                Fault::draw(&mut state.random, state.faults),
                Duration::from_millis(1 + state.random.below(4_000)),
            )
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
        let now = Date::from_unix_micros(clock::wall().unix_micros() + state.ahead);
        let mut lines = Vec::new();
        for (place, line) in body.lines().enumerate() {
            let sentence = RawSentence::parse(line.as_bytes()).unwrap();
            let (id, text) = (sentence.id.unwrap(), sentence.sentence.raw().to_owned());
            let known = state.documents.get(&id).cloned();
            let is_new = known.is_none() && stores(place);
            tracing::debug!(node = %state.store.0, text, %id, is_new, "post");
            if is_new {
                state.documents.insert(id, (text.clone(), now));
            }
            let line = match &known {
                Some((text, _)) => {
                    let author: serde_json::Value = serde_json::from_str(sentence.author.raw()).unwrap();
                    let text: serde_json::Value = serde_json::from_str(text).unwrap();
                    let stored = json!({"author": author, "date": DATE, "id": id, "sentence": text});
                    format!("{}\n", json!({"status": "duplicate", "id": id, "date": DATE, "stored": stored}))
                }
                None => made_up::stored(&id.to_string()),
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

/// A balancer that reads the reports of a node.
struct Reader<'a> {
    node: &'a Node,
    run: String,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let balancers = &mut self.node.state.lock().balancers;
        if let Some(streams) = balancers.get_mut(&self.run) {
            *streams -= 1;
            if *streams == 0 {
                balancers.remove(&self.run);
            }
        }
        self.node.balancers_changed.set(self.node.balancers_changed.get() + 1);
    }
}
