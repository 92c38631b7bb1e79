//! The real thing in a made-up world: the balancer's own worker, lanes, watches, reconciliation and fleet among nodes in
//! memory, over a network of in-memory streams, under time that is held. Clients repeat, nodes and balancers die and come
//! back, nodes leave and join, and some runs have two balancers. One seed is one run. A failing run prints its seed, and
//! `BALANZA_SIMULATION_SEED=n` replays it alone; `BALANZA_SIMULATION_SEEDS=n` runs so many instead of a few.
//!
//! The tool is tokio's own held time with its in-memory streams: it is kept by those who keep the runtime, it needs no
//! other types in the code under test, and time moves only when every task waits, so that hours pass in milliseconds.
//! turmoil and madsim bring their own sockets and would have the balancer written against those.
//!
//! `fleet/simulation.rs` beside it tries the counting alone, with many more interleavings.

mod client;
mod fault;
mod node;
mod run;
mod told;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::{advance, sleep};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use wire::NodeState;

use crate::answer::Answer;
use crate::clock;
use crate::fleet::{Change, Turn};
use crate::journal::made_up::Disk;
use crate::made_up::hold_time;
use crate::random::Random;
use crate::routing::Routing;
use client::{Client, Said};
use node::Node;
use run::Run;

const SEEDS: u64 = 200;
const NODES: [&str; 3] = ["A", "B", "C"];
const SENTENCES: u64 = 60;
/// Held time within which everything must be settled once nothing goes wrong any more.
const SETTLES_WITHIN: u32 = 120;

/// The nodes and the balancers before them.
struct World {
    seed: u64,
    nodes: BTreeMap<char, Arc<Node>>,
    seats: Vec<Seat>,
    /// How many runs of balancers have died.
    deaths: Cell<u64>,
    /// What turned in the fleet of each run.
    turns: RefCell<Vec<Vec<Turn>>>,
}

/// Where a balancer runs, dies and runs again, over the same disk.
struct Seat {
    disk: Disk,
    run: RefCell<Option<Run>>,
}

/// The outcome of one run, which the next run of the same seed must repeat.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: BTreeMap<u64, Vec<Said>>,
    turns: Vec<Vec<Turn>>,
}

/// Runs the world of a seed.
fn run(seed: u64) -> Outcome {
    hold_time(async move {
        let _wall = clock::held::hold(seed);
        outcome(seed).await
    })
}

async fn outcome(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let world = Rc::new(World::new(seed, &mut random));
    for seat in 0..world.n_seats() {
        world.start(seat, random.draw()).await;
    }
    let mut clients = Vec::new();
    for n in 0..SENTENCES {
        for _ in 0..random.below(3) {
            world.disturb(&mut random).await;
        }
        clients.push(spawn_local(Client::new(&world, n, random.draw()).live()));
        // Most sentences come in bursts.
        if random.below(4) == 0 {
            sleep(Duration::from_millis(random.below(3_000))).await;
        }
    }
    world.heal(&mut random).await;
    let mut lived = Vec::new();
    for client in clients {
        lived.push(client.await.unwrap());
    }
    world.settle().await;
    world.check_told(&lived);
    // Whatever has an id is posted again, however long ago it was acknowledged.
    let (insisting, once): (Vec<Client>, Vec<Client>) =
        lived.into_iter().partition(|client| client.id.is_some());
    let insisting: Vec<_> = insisting.into_iter().map(|client| spawn_local(client.insist())).collect();
    let mut ended = Vec::new();
    for client in insisting {
        ended.push(client.await.unwrap());
    }
    world.settle().await;
    world.check_stored_once(&ended);
    for seat in 0..world.n_seats() {
        world.kill(seat, false).await;
    }
    let said = ended.into_iter().chain(once).map(|client| (client.n, client.said)).collect();
    Outcome { said, turns: world.turns.take() }
}

impl World {
    fn new(seed: u64, random: &mut Random) -> Self {
        // Some runs are nearly whole, some are all but broken.
        let faults = [3, 15, 40][usize::try_from(random.below(3)).unwrap()];
        let nodes = ('A'..).zip(NODES).map(|(name, _)| (name, Node::new(random.draw(), faults))).collect();
        let n_seats = if random.below(3) == 0 { 2 } else { 1 };
        let seats = (0..n_seats).map(|_| Seat { disk: Disk::default(), run: RefCell::default() }).collect();
        Self { seed, nodes, seats, deaths: Cell::default(), turns: RefCell::default() }
    }

    fn n_seats(&self) -> u64 {
        self.seats.len() as u64
    }

    fn seat(&self, seat: u64) -> &Seat {
        &self.seats[usize::try_from(seat).unwrap()]
    }

    /// Posts at a balancer; `None` while it is dead.
    fn post(&self, seat: u64, body: String) -> Option<oneshot::Receiver<Answer>> {
        Some(self.seat(seat).run.borrow().as_ref()?.post(body))
    }

    /// Starts a balancer, unless it runs.
    async fn start(&self, seat: u64, seed: u64) {
        let seat = self.seat(seat);
        if seat.run.borrow().is_none() {
            let run = Run::begin(&self.nodes, &seat.disk, seed).await;
            seat.run.replace(Some(run));
        }
    }

    /// Ends a balancer in the midst of everything; what it has not written yet may be lost.
    async fn kill(&self, seat: u64, is_lost: bool) {
        let seat = self.seat(seat);
        let Some(run) = seat.run.take() else { return };
        self.deaths.set(self.deaths.get() + 1);
        tracing::debug!(in_doubt = run.balancer.step(|routing| routing.doubt.told()), "dies");
        let turns = run.die().await;
        seat.disk.cut_off(is_lost);
        self.turns.borrow_mut().push(turns);
    }

    /// Does at every balancer what an operator does.
    fn change(&self, change: impl Fn(&mut Routing)) {
        for seat in &self.seats {
            if let Some(run) = &mut *seat.run.borrow_mut() {
                run.change(&change);
            }
        }
    }

    /// One event from outside.
    async fn disturb(&self, random: &mut Random) {
        let name = NODES[usize::try_from(random.below(3)).unwrap()];
        let node = &self.nodes[&name.chars().next().unwrap()];
        let seat = random.below(self.n_seats());
        let event = random.below(32);
        tracing::debug!(event, name, seat, "disturb");
        match event {
            0 => node.kill(),
            1..4 => node.start(),
            4 => node.freeze(true),
            5..8 => node.freeze(false),
            // Two balancers find what both have stored if neither stands still for as long as a sweep looks back.
            8 => advance(Duration::from_secs(random.below(if self.n_seats() > 1 { 15 } else { 90 }))).await,
            9 => {
                // Another address of the same node, which joins by that where it had left.
                let url = format!("http://{name}{}:1", random.below(3));
                self.change(|routing| {
                    routing.add(name, &url, clock::now());
                });
            }
            10..12 => {
                let draining = random.below(3) == 0;
                self.change(|routing| drain(routing, name, draining));
            }
            12 => self.change(|routing| {
                if let Some(node) = routing.fleet.named(name) {
                    routing.remove(node.key, clock::now());
                }
            }),
            13..15 => self.change(|routing| join(routing, name)),
            15 => {
                self.kill(seat, random.below(2) == 0).await;
                if random.below(2) == 0 {
                    self.start(seat, random.draw()).await;
                }
            }
            16..18 => self.start(seat, random.draw()).await,
            18 => self.seat(seat).disk.fill(random.below(2) == 0),
            _ => sleep(Duration::from_millis(random.below(200))).await,
        }
    }

    /// From now on nothing goes wrong.
    async fn heal(&self, random: &mut Random) {
        self.nodes.values().for_each(|node| node.heal());
        for seat in 0..self.n_seats() {
            self.seat(seat).disk.fill(false);
            self.start(seat, random.draw()).await;
        }
        for name in NODES {
            self.change(|routing| {
                join(routing, name);
                drain(routing, name, false);
            });
        }
    }

    /// Waits until nothing is under way or in doubt.
    async fn settle(&self) {
        // Two balancers need a moment to see what both have stored.
        sleep(Duration::from_secs(10)).await;
        for _ in 0..SETTLES_WITHIN {
            if self.unsettled().is_empty() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        panic!("seed {}: it never settles: {}", self.seed, self.unsettled());
    }

    /// What is not as it should be in a world that is whole, in words.
    fn unsettled(&self) -> String {
        let mut unsettled = String::new();
        for seat in &self.seats {
            let run = seat.run.borrow();
            let Some(Run { balancer, .. }) = &*run else { return "a balancer is dead".to_owned() };
            let (in_doubt, told) = balancer.step(|routing| (routing.doubt.len(), routing.doubt.told()));
            if in_doubt > 0 {
                unsettled.push_str(&format!("in doubt: {told}; "));
            }
            let view = balancer.step(|routing| routing.view(clock::moment()));
            for node in &view.nodes {
                let holds = self.nodes[&node.name.chars().next().unwrap()].texts().len() as u64;
                let seen = (node.state, node.documents, node.in_flight);
                if seen != (NodeState::Up, Some(holds), 0) {
                    unsettled.push_str(&format!("{} holds {holds}, and is seen as {node:?}; ", node.name));
                }
            }
            let lanes = balancer.counters.lanes_begun.get() - balancer.counters.lanes_ended.get();
            if lanes > NODES.len() as u64 {
                unsettled.push_str(&format!("{lanes} lanes; "));
            }
        }
        unsettled
    }

    /// The nodes that hold each text.
    fn places(&self) -> BTreeMap<String, Vec<char>> {
        let mut places: BTreeMap<String, Vec<char>> = BTreeMap::new();
        for (name, node) in &self.nodes {
            for text in node.texts() {
                places.entry(text).or_default().push(*name);
            }
        }
        places
    }

    /// What every client was told is so.
    fn check_told(&self, clients: &[Client]) {
        let mut places = self.places();
        for Client { n, said, .. } in clients {
            let stored = places.remove(&format!("\"{n}\"")).unwrap_or_default();
            let is_acknowledged = said.iter().any(|said| matches!(said, Said::Stored { .. }));
            let is_surely_not = |said: &Said| matches!(said, Said::Failed { ambiguous: false, .. });
            let as_told = match stored.len() {
                0 => !is_acknowledged,
                // A sentence that moved in doubt may lie where it was first.
                1 => !said.iter().all(is_surely_not),
                _ => false,
            };
            assert!(as_told, "seed {}: sentence {n} was told {said:?} and lies on {stored:?}", self.seed);
        }
        assert!(places.is_empty(), "seed {}: never sent: {places:?}", self.seed);
    }

    /// Every one of these sentences lies on one node.
    fn check_stored_once(&self, clients: &[Client]) {
        let places = self.places();
        for Client { n, said, .. } in clients {
            let stored = places.get(&format!("\"{n}\"")).map(Vec::as_slice).unwrap_or_default();
            assert!(
                stored.len() == 1,
                "seed {}: sentence {n} was told {said:?} and lies on {stored:?}",
                self.seed
            );
        }
    }
}

fn join(routing: &mut Routing, name: &str) {
    if routing.fleet.named(name).is_none() {
        routing.add(name, &format!("http://{name}:1"), clock::now());
    }
}

fn drain(routing: &mut Routing, name: &str, draining: bool) {
    if let Some(node) = routing.fleet.named(name) {
        let key = node.key;
        routing.fleet.set_draining(key, draining);
    }
}

/// The number in a variable of the environment.
fn named(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test runs the seeds that its operator names")]
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap())
}

/// The held wall clock, for logs.
struct HeldTime;

impl FormatTime for HeldTime {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        write!(line, "{}", clock::wall())
    }
}

fn seeds() -> Vec<u64> {
    match named("BALANZA_SIMULATION_SEED") {
        Some(seed) => {
            // Whoever replays one wants to see what happens in it.
            let logs = tracing_subscriber::fmt().with_timer(HeldTime).with_max_level(tracing::Level::DEBUG);
            logs.with_test_writer().init();
            vec![seed]
        }
        None => (0..named("BALANZA_SIMULATION_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs the worlds of these seeds on all processors, and gives what was said in each.
fn run_all(seeds: &[u64]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut outcomes, mut failed) = (Vec::new(), Vec::new());
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            match catch_unwind(AssertUnwindSafe(|| run(*seed))) {
                Ok(outcome) => outcomes.push(outcome),
                Err(_) => failed.push(*seed),
            }
        }
        (outcomes, failed)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut outcomes, mut failed) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in working {
            let (more_outcomes, more_failed) = thread.join().unwrap();
            outcomes.extend(more_outcomes);
            failed.extend(more_failed);
        }
    });
    failed.sort_unstable();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}; BALANZA_SIMULATION_SEED=n replays one");
    outcomes
}

#[test]
fn whatever_happens_each_sentence_is_answered_truly_and_stored_once() {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let seeds = seeds();
    for said in run_all(&seeds).into_iter().flat_map(|outcome| outcome.said.into_values().flatten()) {
        let kind = match said {
            Said::Stored { .. } => "stored".to_owned(),
            Said::Failed { kind, .. } => kind,
            Said::Late => "late".to_owned(),
            Said::Died => "died".to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    if seeds.len() > 1 {
        // A world in which nothing goes wrong, or everything, would prove nothing.
        for kind in ["stored", "late", "died", "urn:balanza:in-doubt", "urn:balanza:down"] {
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
        for turns in run(seed).turns {
            let mut up: BTreeMap<String, bool> = BTreeMap::new();
            for Turn { node, change } in turns {
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
}
