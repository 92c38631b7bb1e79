//! `cargo xtask bench …`: measures the balancer beside its peers, interleaved in one run.
//!
//! Owns the method: every program under measurement runs at once, on loopback, over the same nodes; cells that are to be
//! compared follow each other directly; a run has several rounds, each with another order; a figure is the median of
//! the rounds with its range. Raw figures go to `target/bench`, tables to `docs/benchmarks.md`.

mod account;
mod build;
mod cell;
mod clock;
mod idle;
mod lb;
mod load;
mod parts;
mod peer;
mod probe;
mod profile;
mod report;
mod routing;
mod running;
mod scale;
mod store;
mod stub;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Measure the balancer beside its peers.
#[derive(Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The balancer and its peers over two stub nodes: throughput, latency, CPU per request, memory.
    Lb(lb::Lb),
    /// The balancer and its peers over two real nodes: durable acknowledgements, CPU of the whole system.
    Store(store::Store),
    /// The balancer over 2 to 128 stub nodes: CPU per sentence.
    Scale(scale::Scale),
    /// The routing policies with one node slowed and with one node empty: counts, shares, latency.
    Routing(routing::Routing),
    /// The kernel probe: exactness and cost.
    Probe(probe::Probe),
    /// Where the balancer's CPU time goes, by stage of a sentence's way.
    Profile(profile::Profile),
    /// The balancer with its fast parts, and with each of them left out.
    Parts(parts::Parts),
    /// Memory under idle connections and under clients that never read.
    Idle(idle::Idle),
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self.what {
            What::Lb(lb) => lb.run(),
            What::Store(store) => store.run(),
            What::Scale(scale) => scale.run(),
            What::Routing(routing) => routing.run(),
            What::Probe(probe) => probe.run(),
            What::Profile(profile) => profile.run(),
            What::Parts(parts) => parts.run(),
            What::Idle(idle) => idle.run(),
        }
    }
}

/// What every bench takes.
#[derive(Args)]
struct Common {
    /// Length of one cell, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Print the tables and leave `docs/benchmarks.md` as it is.
    #[arg(long)]
    dry: bool,
    /// Measure a cell again while programs outside the run take more than so many percent of one core.
    #[arg(long)]
    quiet: Option<u32>,
    /// Measure what was built last instead of building it again.
    #[arg(long)]
    no_build: bool,
}

impl Common {
    /// The command that repeats this run of `bench kind`, as far as every bench has the same flags.
    fn command(&self, kind: &str) -> String {
        let Self { seconds, rounds, quiet, .. } = self;
        let quiet = quiet.map(|most| format!(" --quiet {most}")).unwrap_or_default();
        format!("cargo xtask bench {kind} --seconds {seconds} --rounds {rounds}{quiet}")
    }
}

/// `items` in the order of this round: each round begins one further.
fn rotated<T>(items: &[T], round: u32) -> impl Iterator<Item = &T> {
    let begin = usize::try_from(round).unwrap_or(0) % items.len().max(1);
    items[begin..].iter().chain(&items[..begin])
}
