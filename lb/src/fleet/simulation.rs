//! The fleet among simulated nodes, lanes and networks: sends, answers, reports and failures in any order. One seed is
//! one run; a failing run prints its seed, and `BALANZA_SIMULATION_SEED=n` replays it alone.

use std::collections::VecDeque;

use super::tests::{report, start};
use super::*;

const SEEDS: u64 = 400;
const STEPS: usize = 3_000;

/// A node and everything between it and the balancer.
struct World {
    key: NodeKey,
    epoch: u32,
    revision: u64,
    documents: u64,
    seq: u64,
    /// Reserved, in the lane.
    queued: u64,
    /// On the wire: how many, and whether the node has stored them already.
    batch: Option<(u64, bool)>,
    /// The answer on its way back: stored now, known before, and the mark.
    answer: Option<(u64, u64, Mark)>,
    reports: VecDeque<Report>,
}

struct Simulation {
    random: Random,
    faults: bool,
    now: Instant,
    fleet: Fleet,
    worlds: Vec<World>,
}

impl Simulation {
    fn new(seed: u64, nodes: u32, faults: bool) -> Self {
        let mut simulation = Self {
            random: Random::new(seed),
            faults,
            now: start(),
            fleet: Fleet::new(Settings::default(), seed),
            worlds: Vec::new(),
        };
        for node in 0..nodes {
            let key = simulation.fleet.add(&format!("n{node:03}"), "http://127.0.0.1:1");
            let world = World {
                key,
                epoch: 0,
                revision: 0,
                documents: 0,
                seq: 0,
                queued: 0,
                batch: None,
                answer: None,
                reports: VecDeque::new(),
            };
            simulation.worlds.push(world);
            simulation.emit_report(simulation.worlds.len() - 1);
            simulation.deliver_report(simulation.worlds.len() - 1);
        }
        simulation
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random.below(below)
    }

    fn step(&mut self) {
        let nodes = u64::try_from(self.worlds.len()).unwrap();
        let at = usize::try_from(self.draw(nodes)).unwrap();
        let kinds = if self.faults { 100 } else { 88 };
        match self.draw(kinds) {
            0..24 => self.post(&[]),
            24..40 => self.dispatch(at),
            40..56 => self.commit(at),
            56..72 => self.deliver_answer(at),
            72..78 => self.emit_report(at),
            78..86 => self.deliver_report(at),
            86..88 => self.now += Duration::from_millis(200),
            88..90 => self.lose_answer(at),
            90..92 => self.refuse(at),
            92..94 => self.give_up(at),
            94..96 => self.restart(at),
            96..98 => self.fleet.unreachable(self.worlds[at].key, "time-out"),
            _ => self.now += Duration::from_secs(60),
        }
    }

    fn post(&mut self, avoid: &[NodeKey]) {
        if let Ok(assignment) = self.fleet.assign(self.now, avoid) {
            let world = self.worlds.iter_mut().find(|world| world.key == assignment.node()).unwrap();
            world.queued += 1;
        }
    }

    /// The lane sends what has gathered, unless a batch is under way.
    fn dispatch(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        if world.batch.is_none() && world.answer.is_none() && world.queued > 0 {
            world.batch = Some((std::mem::take(&mut world.queued), false));
            self.fleet.dispatched(world.key, world.batch.unwrap().0);
        }
    }

    /// The node stores the batch, or finds that it has it already, and answers.
    fn commit(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        let Some((n, known)) = world.batch.take() else { return };
        if !known {
            world.documents += n;
            world.revision += 1;
        }
        let mark = Mark {
            epoch: epoch_number(&world.epoch.to_string()),
            revision: world.revision,
            documents: world.documents,
        };
        world.answer = Some(if known { (0, n, mark) } else { (n, 0, mark) });
    }

    fn deliver_answer(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        if let Some((new, known, mark)) = world.answer.take() {
            self.fleet.stored(world.key, new, known, Some(mark));
        }
    }

    fn emit_report(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        world.seq += 1;
        let report = Report {
            epoch: world.epoch.to_string(),
            revision: world.revision,
            ..report(world.documents, 50, 5, world.seq)
        };
        world.reports.push_back(report);
    }

    fn deliver_report(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        if let Some(report) = world.reports.pop_front() {
            self.fleet.reported(world.key, &report, self.now);
        }
    }

    /// The connection breaks after the node has stored the batch: the lane repeats it with the same ids.
    fn lose_answer(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        if let Some((new, known, _)) = world.answer.take() {
            world.batch = Some((new + known, true));
        }
    }

    /// The node refuses a connection: what is queued is surely not stored and goes to another node.
    fn refuse(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        let (key, queued) = (world.key, std::mem::take(&mut world.queued));
        self.fleet.refused(key, "connection refused");
        self.fleet.released(key, queued, false);
        for _ in 0..queued {
            self.post(&[key]);
        }
    }

    /// The deadline passes without an answer; what was stored of it is known only to the node.
    fn give_up(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        let batch = world.batch.take().map(|(n, _)| n);
        let answered = world.answer.take().map(|(new, known, _)| new + known);
        self.fleet.in_doubt(world.key, batch.or(answered).unwrap_or(0));
    }

    /// The process starts anew: its revisions begin again and its report stream is cut.
    fn restart(&mut self, at: usize) {
        self.lose_answer(at);
        let world = &mut self.worlds[at];
        world.epoch += 1;
        world.revision = 0;
        world.seq = 0;
        world.reports.clear();
    }

    /// What the count must be: the truth, and all that is still on its way there.
    fn expected(world: &World) -> u64 {
        let on_the_way = world.batch.filter(|(_, stored)| !stored).map_or(0, |(n, _)| n);
        world.documents + on_the_way + world.queued
    }

    fn counts(&self) -> Vec<u64> {
        self.worlds.iter().map(|world| self.fleet.node(world.key).unwrap().documents().unwrap()).collect()
    }

    fn settle_all(&mut self) {
        for at in 0..self.worlds.len() {
            self.deliver_answer(at);
            self.commit(at);
            self.deliver_answer(at);
            self.dispatch(at);
            self.commit(at);
            self.deliver_answer(at);
            self.worlds[at].reports.clear();
            self.emit_report(at);
            self.deliver_report(at);
        }
    }
}

fn seeds() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test replays the seed that its operator names")]
    let named = std::env::var("BALANZA_SIMULATION_SEED").ok();
    named.map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed.parse().unwrap()])
}

#[test]
fn without_faults_the_count_is_exact_at_every_moment() {
    for seed in seeds() {
        let nodes = [2, 3, 10][usize::try_from(seed % 3).unwrap()];
        let mut simulation = Simulation::new(seed, nodes, false);
        for step in 0..STEPS {
            simulation.step();
            let expected: Vec<u64> = simulation.worlds.iter().map(Simulation::expected).collect();
            assert_eq!(simulation.counts(), expected, "seed {seed}, step {step}");
            let (most, least) = (expected.iter().max().unwrap(), expected.iter().min().unwrap());
            assert!(most - least <= 1, "seed {seed}, step {step}: {expected:?}");
        }
    }
}

#[test]
fn after_any_faults_the_next_reports_tell_the_truth() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 3, true);
        for step in 0..STEPS {
            simulation.step();
            for world in &simulation.worlds {
                let node = simulation.fleet.node(world.key).unwrap();
                let held = world.queued
                    + world.batch.map_or(0, |(n, _)| n)
                    + world.answer.map_or(0, |(new, known, _)| new + known);
                assert_eq!(node.in_flight(), held, "seed {seed}, step {step}: a reservation leaked");
            }
        }
        simulation.settle_all();
        let truth: Vec<u64> = simulation.worlds.iter().map(|world| world.documents).collect();
        assert_eq!(simulation.counts(), truth, "seed {seed}");
        let under_way: u64 = simulation.fleet.nodes().iter().map(Node::in_flight).sum();
        assert_eq!(under_way, 0, "seed {seed}");
    }
}
