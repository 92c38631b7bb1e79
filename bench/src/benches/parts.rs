//! `bench parts`: the balancer with its two fast parts, and with each of them left out. Owns how a part is left out
//! without another build: a query behind the path keeps a post from the door, so that the full HTTP server serves it;
//! nodes of the old kind know no bulk posts, so that a lane sends every sentence by itself. Two more rows have a build of
//! their own: lanes that post by hyper's client connection, and panics that unwind.

use anyhow::{Context, Result};
use clap::Args;

use crate::load::Load;
use crate::method::cell::{Cell, Figure, measure, short};
use crate::method::rounds::Cells;
use crate::method::{Common, rotated};
use crate::peers::{self, Family, Peer, Started};
use crate::programs::build::Balancer;
use crate::programs::running::Running;
use crate::report::{Report, circumstances};
use crate::stub;

/// What `bench parts` takes.
#[derive(Args)]
pub(crate) struct Parts {
    #[command(flatten)]
    common: Common,
    /// Closed loops of so many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<u32>,
}

/// A row: the balancer with or without each part.
#[derive(Clone, Copy)]
struct Variant {
    title: &'static str,
    build: Balancer,
    door: bool,
    bulk: bool,
}

const VARIANTS: [Variant; 6] = [
    Variant {
        title: "neither: actix-web and a post per sentence",
        build: Balancer::Shipped,
        door: false,
        bulk: false,
    },
    Variant { title: "bulk posts, without the door", build: Balancer::Shipped, door: false, bulk: true },
    Variant { title: "the door, without bulk posts", build: Balancer::Shipped, door: true, bulk: false },
    Variant {
        title: "bulk posts by hyper's client connection, with the door",
        build: Balancer::ByHyper,
        door: true,
        bulk: true,
    },
    Variant { title: "**both, as shipped**", build: Balancer::Shipped, door: true, bulk: true },
    Variant { title: "as shipped, but panics unwind", build: Balancer::Unwinding, door: true, bulk: true },
];

/// Every balancer that a row needs, over nodes that know bulk posts and over nodes that do not.
struct Balancers {
    stubs: Vec<Running>,
    each: Vec<(Balancer, bool, Started)>,
}

impl Parts {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&[Family::Balanza], &self.common)?;
        if !self.common.no_build {
            Balancer::ByHyper.build()?;
            Balancer::Unwinding.build()?;
        }
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            self.round(round, &mut cells)?;
        }
        let rows: Vec<String> = VARIANTS.iter().map(|variant| variant.title.to_owned()).collect();
        let columns = self.connections.iter().map(|&connections| Load::Closed(connections).title()).collect();
        let mut report = Report::new(&cells, rows, columns);
        report.table("CPU of the balancer, µs per sentence", Figure::Cpu, 1);
        report.table("sentences/s", Figure::PerSecond, 0);
        report.table("p99, ms", Figure::P99, 2);
        report.publish("parts", &self.common.command("parts"), &circumstances(&[])?, self.common.dry)
    }

    fn round(&self, round: u32, cells: &mut Cells) -> Result<()> {
        let balancers = start()?;
        let running = balancers.each.iter().filter_map(|(_, _, one)| one.running.as_ref());
        let ours: Vec<u32> = balancers.stubs.iter().chain(running).flat_map(Running::tree).collect();
        for (_, _, balancer) in &balancers.each {
            Load::Closed(16).run(balancer.address, 1)?;
        }
        for &connections in &self.connections {
            for variant in rotated(&VARIANTS, round) {
                let title = variant.title;
                let load = if variant.door { Load::Closed(connections) } else { Load::Queried(connections) };
                let balancer = balancers.of(variant).context("a row has no balancer")?;
                let watched: Vec<&Running> = balancer.running.iter().collect();
                let figures = measure(load, balancer.address, &self.common, &watched, &ours)?;
                println!("round {} · {} · {title}: {}", round + 1, load.title(), short(&figures));
                cells.push(Cell { round, row: title.to_owned(), column: load.title(), figures });
            }
        }
        Ok(())
    }
}

fn start() -> Result<Balancers> {
    let ours = Peer { family: Family::Balanza, workers: 1 };
    let mut balancers = Balancers { stubs: Vec::new(), each: Vec::new() };
    for (kind, bulk) in [("new", true), ("old", false)] {
        let node = stub::Node { old: !bulk, ..stub::Node::default() };
        let (running, nodes) = stub::pair(&format!("stub-{kind}"), node)?;
        balancers.stubs.extend(running);
        for variant in VARIANTS.iter().filter(|variant| variant.bulk == bulk) {
            if balancers.of(variant).is_none() {
                let build = variant.build;
                let name = format!("balanza-{kind}-{build:?}").to_lowercase();
                balancers.each.push((build, bulk, ours.start_ours(build, &name, &nodes, &[])?));
            }
        }
    }
    Ok(balancers)
}

impl Balancers {
    fn of(&self, variant: &Variant) -> Option<&Started> {
        let wanted =
            |(build, bulk, _): &&(Balancer, bool, Started)| (*build, *bulk) == (variant.build, variant.bulk);
        self.each.iter().find(wanted).map(|(_, _, balancer)| balancer)
    }
}
