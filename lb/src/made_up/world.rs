//! A balancer and one worker in front of a made-up network, under time that is held: it moves only when every task
//! waits, so that seconds pass at once and a test may wait for as long as it likes. Absent: what the nodes do.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};
use wire::{Date, NodeState, Problem, Report, Routed, SentenceId, StoreId};

use super::{MadeUp, report};
use crate::answer::{Answer, Reply};
use crate::balancer::Balancer;
use crate::clock;
use crate::config::{Config, Given, Origin};
use crate::fleet::{NodeKey, Turn};
use crate::homes::Home;
use crate::journal::Journal;
use crate::worker::Worker;

/// How the balancer of every world shows its token to nodes.
pub(crate) const AUTHORIZATION: &str = "Bearer a-token-of-sixteen-or-more";
/// Held time after which a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often [`until`] looks, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Runs a test to its end under held time.
pub(crate) fn hold_time<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let ended = LocalSet::new().block_on(&runtime, async { timeout(PATIENCE, test).await });
    ended.expect("the test waits for what never comes")
}

/// Runs a test to its end by the system's time, where it waits for what is outside of the process.
pub(crate) fn in_real_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ended = LocalSet::new().block_on(&runtime, async { timeout(LONGEST, test).await });
    ended.expect("the test waits for what never comes")
}

/// Waits until the condition holds, which the test says in words.
pub(crate) async fn until(awaited: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(LONGEST, holds).await.unwrap_or_else(|_| panic!("never: {awaited}"));
}

/// A balancer, its one worker, and the network before them.
pub(crate) struct World {
    pub(crate) network: MadeUp,
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) worker: Rc<Worker>,
    /// What turned in the fleet.
    pub(crate) turns: mpsc::UnboundedReceiver<Turn>,
}

impl World {
    /// A world with nodes of these names, each on a host of its name in small letters and down until it is heard.
    /// `settings` are keys and values as an operator gives them. The worker's clock goes.
    pub(crate) fn new(names: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::over(Journal::open(None).unwrap(), names, settings)
    }

    /// As [`World::new`], over a journal and what it tells of an earlier run.
    pub(crate) fn over(journal: (Journal, Vec<Vec<u8>>), names: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut given = Given::default();
        for name in names {
            given.add_node(&format!("{name}=http://{name}:1"), Origin::Flag);
        }
        for (key, value) in settings {
            given.set(key, *value, Origin::Flag);
        }
        // A fleet that is empty is no configuration, but a fleet can become so.
        let nodes = names.is_empty().then(|| given.add_node("none=http://none:1", Origin::Flag));
        let mut config = Config::read(&given).unwrap();
        if nodes.is_some() {
            config.nodes.clear();
        }
        config.node_token = AUTHORIZATION.strip_prefix("Bearer ").and_then(|token| token.parse().ok());
        let network = MadeUp::default();
        let balancer = Balancer::new(&config, Box::new(network.clone()), journal, 7, clock::now());
        let (balancer, turns) = balancer.unwrap();
        let worker = Worker::new(Arc::clone(&balancer), config.client);
        tokio::task::spawn_local(Rc::clone(&worker).keep_time());
        Self { network, balancer, worker, turns }
    }

    /// The key of a node.
    pub(crate) fn key(&self, name: &str) -> NodeKey {
        self.balancer.step(|routing| routing.fleet.named(name).unwrap().key)
    }

    /// The node reports that it is ready and holds so many documents.
    pub(crate) fn report(&self, name: &str, documents: u64) {
        let report = report("first", 1, documents, 1);
        let key = self.key(name);
        self.balancer.step(|routing| routing.fleet.reported(key, &report, clock::now()));
    }

    /// As [`World::report`], of a node that tells the identity of its store, so that it can be asked later for what it was
    /// sent; it tells `fence`, too. One that is met for the first time is down until it was fenced.
    pub(crate) fn report_with_store(&self, name: &str, documents: u64, fence: u64) {
        let store = StoreId(uuid::Uuid::from_u128(u128::from(name.as_bytes()[0])));
        let report =
            Report { store: Some(store), fence: Some(fence), ..report("first", 1, documents, documents) };
        let key = self.key(name);
        self.balancer.step(|routing| routing.reported(key, &report, clock::now()));
    }

    /// As [`World::report_with_store`], of a node that was asked for all that may lie on it: it is up.
    pub(crate) fn report_reconciled(&self, name: &str, documents: u64) {
        self.report_with_store(name, documents, 1);
        let key = self.key(name);
        self.balancer.step(|routing| {
            let due = routing.fleet.to_be_reconciled().into_iter().find(|(node, _)| *node == key);
            due.into_iter().for_each(|(node, as_of)| routing.fleet.reconciled(node, as_of));
        });
    }

    /// As [`World::report_with_store`], of a node whose reports so many balancers read.
    pub(crate) fn report_beside(&self, name: &str, balancers: u64) {
        let key = self.key(name);
        self.balancer.step(|routing| {
            let store = routing.fleet.node(key).and_then(|node| node.store);
            let report = Report { store, balancers: Some(balancers), ..report("first", 1, 0, 0) };
            routing.reported(key, &report, clock::now());
        });
    }

    /// The place where the sentences of a node lie.
    pub(crate) fn home(&self, name: &str) -> Home {
        let key = self.key(name);
        self.balancer.step(|routing| routing.home_of(key)).unwrap()
    }

    /// The names of the nodes on which the sentence may lie, as far as it is in doubt; that to which it was sent last comes
    /// first.
    pub(crate) fn in_doubt_at(&self, id: SentenceId) -> Vec<String> {
        self.balancer.step(|routing| {
            let name = |home| routing.homes.name(home).unwrap().node.clone();
            routing.doubt.homes(id).map(name).collect()
        })
    }

    /// The sentence moved from one node to another, and its post there has ended.
    pub(crate) fn moved(&self, id: SentenceId, from: &str, to: &str) {
        let (from, to) = (self.home(from), self.home(to));
        self.balancer.step(|routing| {
            routing.doubt.sent(id, &[from], to, Date::from_unix_micros(0));
            routing.doubt.ended(id);
        });
    }

    /// State of a node, and how many sentences are under way to it.
    pub(crate) fn seen(&self, name: &str) -> (NodeState, u64) {
        self.balancer.step(|routing| {
            let node = routing.fleet.named(name).unwrap();
            (node.state(), node.in_flight())
        })
    }

    /// Posts a sentence of this text.
    pub(crate) fn post(&self, text: &str) -> oneshot::Receiver<Answer> {
        self.receive(&format!(r#"{{"author":"a","sentence":"{text}"}}"#))
    }

    /// Posts this body.
    pub(crate) fn receive(&self, body: &str) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        self.worker.receive(body.as_bytes(), None, Reply::Handler(sender));
        answer
    }
}

/// What a client is told: `A stored text`, or the kind of its problem, with `!` when the sentence may be stored.
pub(crate) async fn told(answer: oneshot::Receiver<Answer>) -> String {
    match answer.await.unwrap() {
        Ok(written) => {
            let routed: Routed = serde_json::from_slice(&written.body).unwrap();
            format!("{} stored {}", routed.server, routed.data.sentence)
        }
        Err(failure) => {
            let problem = Problem::from(failure);
            let doubt = if problem.ambiguous { "!" } else { "" };
            format!("{}{doubt}", problem.kind.trim_start_matches("urn:balanza:"))
        }
    }
}
