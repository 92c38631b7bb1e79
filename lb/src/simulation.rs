//! The real thing in a made-up world: the balancer's own worker, lanes, watches and fleet among nodes in memory, over a
//! network of in-memory streams, under time that is held. One seed is one run. A failing run prints its seed, and
//! `BALANZA_SIMULATION_SEED=n` replays it alone.
//!
//! The tool is tokio's own held time with its in-memory streams: it is kept by those who keep the runtime, it needs no
//! other types in the code under test, and time moves only when every task waits, so that hours pass in milliseconds.
//! turmoil and madsim bring their own sockets and would have the balancer written against those.
//!
//! `fleet/simulation.rs` beside it tries the counting alone, with many more interleavings.

mod node;

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{advance, sleep, timeout};
use wire::{NodeState, Problem, Routed};

use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::clock;
use crate::config::{Config, Given, Origin};
use crate::endpoint::Endpoint;
use crate::fleet::{Change, Turn};
use crate::journal::Journal;
use crate::made_up::{ROOM, hold_time};
use crate::network::{Network, Stream};
use crate::random::Random;
use crate::reconcile;
use crate::watch::Watches;
use crate::worker::Worker;
use node::Node;

const SEEDS: u64 = 200;
const NODES: [&str; 3] = ["A", "B", "C"];
const SENTENCES: u64 = 60;

/// The nodes by the first letter of their hosts, so that each has as many addresses as wanted.
struct Hosts(BTreeMap<char, Arc<Node>>);

impl Network for Hosts {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let name = endpoint.host.chars().next().unwrap_or_default().to_ascii_uppercase();
            let node = self.0.get(&name).filter(|node| node.is_alive());
            let node = node.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            sleep(Duration::from_millis(1)).await;
            let (near, far) = tokio::io::duplex(ROOM);
            tokio::spawn(Arc::clone(node).serve(far));
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

/// What a client was told of one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Stored { by: String },
    Failed { kind: String, ambiguous: bool },
}

/// The outcome of one run, which the next run of the same seed must repeat.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    told: BTreeMap<u64, Told>,
    turns: Vec<Turn>,
}

/// Runs the world of a seed.
fn run(seed: u64) -> Outcome {
    hold_time(world(seed))
}

async fn world(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    // Some runs are nearly whole, some are all but broken.
    let faults = [3, 15, 40][usize::try_from(random.below(3)).unwrap()];
    let nodes: BTreeMap<char, Arc<Node>> =
        ('A'..).zip(NODES).map(|(name, _)| (name, Node::new(random.draw(), faults))).collect();
    let mut given = Given::default();
    for name in NODES {
        given.add_node(&format!("{name}=http://{name}:1"), Origin::Flag);
    }
    let config = Config::read(&given).unwrap();
    let network = Box::new(Hosts(nodes.clone()));
    let journal = Journal::open(None).unwrap();
    let (balancer, mut turns) = Balancer::new(&config, network, journal, seed, clock::now()).unwrap();
    let mut watches = Watches::new(Arc::clone(&balancer), config.poll_interval);
    timeout(Duration::from_secs(1), watches.follow().recv()).await.ok();
    let worker = Worker::new(Arc::clone(&balancer), config.client);
    let keeping_time = tokio::task::spawn_local(Rc::clone(&worker).keep_time());
    let reconciling = tokio::spawn(reconcile::run(Arc::clone(&balancer)));

    let mut answers = BTreeMap::new();
    for n in 0..SENTENCES {
        for _ in 0..random.below(3) {
            disturb(&mut random, &nodes, &balancer, &mut watches).await;
        }
        answers.insert(n, post(&worker, n, random.below(2) == 0));
        // Most sentences come in bursts.
        if random.below(4) == 0 {
            sleep(Duration::from_millis(random.below(3_000))).await;
        }
    }
    nodes.values().for_each(|node| node.heal());
    for name in NODES {
        balancer.step(|routing| {
            let key = routing.fleet.named(name).unwrap().key;
            routing.fleet.set_draining(key, false);
        });
    }
    let mut told = BTreeMap::new();
    for (n, answer) in answers {
        let answer = timeout(Duration::from_secs(120), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("seed {seed}: sentence {n} was never answered"));
        let answer = answer.unwrap_or_else(|_| panic!("seed {seed}: sentence {n} was dropped unanswered"));
        told.insert(n, answer.map_or_else(failed, stored));
    }
    sleep(Duration::from_secs(10)).await;
    check(seed, &told, &nodes, &balancer);
    keeping_time.abort();
    reconciling.abort();
    let turns = std::iter::from_fn(|| turns.try_recv().ok()).collect();
    Outcome { told, turns }
}

/// One event from outside.
async fn disturb(
    random: &mut Random,
    nodes: &BTreeMap<char, Arc<Node>>,
    balancer: &Arc<Balancer>,
    watches: &mut Watches,
) {
    let name = NODES[usize::try_from(random.below(3)).unwrap()];
    let node = &nodes[&name.chars().next().unwrap()];
    match random.below(24) {
        0 => node.kill(),
        1..4 => node.start(),
        4 => node.freeze(true),
        5..8 => node.freeze(false),
        8 => advance(Duration::from_secs(random.below(90))).await,
        9 => {
            // Another address of the same node.
            let url = format!("http://{name}{}:1", random.below(3));
            balancer.step(|routing| routing.add(name, &url, clock::now()));
            watches.follow();
        }
        10..12 => balancer.step(|routing| {
            let key = routing.fleet.named(name).unwrap().key;
            routing.fleet.set_draining(key, random.below(3) == 0);
        }),
        _ => sleep(Duration::from_millis(random.below(200))).await,
    }
}

/// Posts sentence `n`, the text of which is its number.
fn post(worker: &Rc<Worker>, n: u64, with_id: bool) -> oneshot::Receiver<crate::answer::Answer> {
    let id = if with_id { format!(r#""id":"0192f0c1-2b3c-7def-8a9b-{n:012}","#) } else { String::new() };
    let body = format!(r#"{{{id}"author":"a","sentence":"{n}"}}"#);
    let (sender, answer) = oneshot::channel();
    worker.receive(body.as_bytes(), None, Reply::Handler(sender));
    answer
}

fn stored(written: crate::answer::Written) -> Told {
    let routed: Routed = serde_json::from_slice(&written.body).unwrap();
    Told::Stored { by: routed.server }
}

fn failed(failure: crate::problem::Failure) -> Told {
    let problem = Problem::from(failure);
    Told::Failed { kind: problem.kind, ambiguous: problem.ambiguous }
}

/// What must hold once the world is whole again and everything is answered.
fn check(seed: u64, told: &BTreeMap<u64, Told>, nodes: &BTreeMap<char, Arc<Node>>, balancer: &Balancer) {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, node) in nodes {
        for text in node.texts() {
            places.entry(text).or_default().push(name.to_string());
        }
    }
    for (n, told) in told {
        let stored = places.remove(&format!("\"{n}\"")).unwrap_or_default();
        let as_told = match told {
            // A sentence that moved in doubt may lie where it was first.
            Told::Stored { .. } => stored.len() == 1,
            Told::Failed { ambiguous: true, .. } => stored.len() <= 1,
            Told::Failed { ambiguous: false, .. } => stored.is_empty(),
        };
        assert!(as_told, "seed {seed}: sentence {n} was told {told:?} and lies on {stored:?}");
    }
    assert!(places.is_empty(), "seed {seed}: never sent: {places:?}");
    let (in_doubt, told) = balancer.step(|routing| (routing.doubt.len(), routing.doubt.told()));
    assert_eq!(in_doubt, 0, "seed {seed}: everybody can be asked, and nobody was: {told}");
    let view = balancer.step(|routing| routing.view(clock::moment()));
    for node in &view.nodes {
        let holds = nodes[&node.name.chars().next().unwrap()].texts().len() as u64;
        let seen = (node.state, node.documents, node.in_flight);
        assert_eq!(seen, (NodeState::Up, Some(holds), 0), "seed {seed}: {node:?}");
    }
    let lanes = balancer.counters.lanes_begun.get() - balancer.counters.lanes_ended.get();
    assert!(lanes <= NODES.len() as u64, "seed {seed}: {lanes} lanes for {} nodes", NODES.len());
}

fn seeds() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test replays the seed that its operator names")]
    let named = std::env::var("BALANZA_SIMULATION_SEED").ok();
    named.map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed.parse().unwrap()])
}

#[test]
fn whatever_happens_each_sentence_is_answered_truly_and_stored_once() {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let seeds = seeds();
    for &seed in &seeds {
        for told in run(seed).told.into_values() {
            let kind = match told {
                Told::Stored { .. } => "stored".to_owned(),
                Told::Failed { kind, .. } => kind,
            };
            *kinds.entry(kind).or_default() += 1;
        }
    }
    if seeds.len() > 1 {
        // A world in which nothing goes wrong, or everything, would prove nothing.
        for kind in ["stored", "urn:balanza:in-doubt", "urn:balanza:overloaded", "urn:balanza:down"] {
            assert!(kinds.get(kind).is_some_and(|n| *n >= 20), "{kind}: {kinds:?}");
        }
    }
}

#[test]
fn a_seed_is_one_run() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn turns_tell_one_story() {
    for seed in 0..20 {
        let mut up: BTreeMap<String, bool> = BTreeMap::new();
        for Turn { node, change } in run(seed).turns {
            let before = up.get(&node).copied().unwrap_or(false);
            let after = match change {
                Change::Up => true,
                Change::Down { .. } | Change::Joined { .. } | Change::Left => false,
                _ => before,
            };
            let turned = matches!(change, Change::Up | Change::Down { .. });
            assert!(!turned || after != before, "seed {seed}: {node} was told {change:?} twice");
            up.insert(node, after);
        }
    }
}
