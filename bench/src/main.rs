//! The list of benches, one file each in `benches`. Run as `cargo xtask bench`, which builds this program first.
//!
//! Owns nothing but the list. How a figure comes about is in `method`, what is measured in `peers` over `stub` nodes and
//! under which `load`, and what a run leaves behind in `report`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to the person who measures"
)]

mod benches;
mod load;
mod method;
mod peers;
mod programs;
mod report;
mod stub;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use benches::{idle, lb, observed, parts, probe, profile, routing, scale, store};

/// Measure the balancer beside its peers.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
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
    /// The balancer with its fast parts, with each of them left out, and in two other builds.
    Parts(parts::Parts),
    /// The balancer alone, and while readers look at its fleet, its decisions and its metrics.
    Observed(observed::Observed),
    /// Memory under idle connections and under clients that never read.
    Idle(idle::Idle),
}

fn main() -> ExitCode {
    let done = match Cli::parse().bench {
        Bench::Lb(lb) => lb.run(),
        Bench::Store(store) => store.run(),
        Bench::Scale(scale) => scale.run(),
        Bench::Routing(routing) => routing.run(),
        Bench::Probe(probe) => probe.run(),
        Bench::Profile(profile) => profile.run(),
        Bench::Parts(parts) => parts.run(),
        Bench::Observed(observed) => observed.run(),
        Bench::Idle(idle) => idle.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes in one line, never a backtrace: most failures here are of other programs.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
