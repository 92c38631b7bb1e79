//! `bench parts`: the balancer with its two fast parts, and with each of them left out. Owns how a part is left out
//! without another build: a query behind the path keeps a post from the door, so that the full HTTP server serves it;
//! nodes of the old kind know no bulk posts, so that a lane sends every sentence by itself.

use anyhow::Result;
use clap::Args;

use crate::load::Load;
use crate::method::cell::{Cell, Figure, measure, short};
use crate::method::rounds::Cells;
use crate::method::{Common, rotated};
use crate::peers::{self, Family, Peer, Started};
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
    door: bool,
    bulk: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant { title: "neither: actix-web and a post per sentence", door: false, bulk: false },
    Variant { title: "bulk posts, without the door", door: false, bulk: true },
    Variant { title: "the door, without bulk posts", door: true, bulk: false },
    Variant { title: "**both, as shipped**", door: true, bulk: true },
];

/// A balancer over new nodes, and one over old nodes.
struct Balancers {
    stubs: Vec<Running>,
    new: Started,
    old: Started,
}

impl Parts {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&[Family::Balanza], &self.common)?;
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
        let running = [&balancers.new, &balancers.old].into_iter().filter_map(|one| one.running.as_ref());
        let ours: Vec<u32> = balancers.stubs.iter().chain(running).flat_map(Running::tree).collect();
        for balancer in [&balancers.new, &balancers.old] {
            Load::Closed(16).run(balancer.address, 1)?;
        }
        for &connections in &self.connections {
            for variant in rotated(&VARIANTS, round) {
                let Variant { title, door, bulk } = *variant;
                let load = if door { Load::Closed(connections) } else { Load::Queried(connections) };
                let balancer = if bulk { &balancers.new } else { &balancers.old };
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
    let mut stubs = Vec::new();
    let mut over = |name: &str, old: bool| -> Result<Started> {
        let node = stub::Node { old, ..stub::Node::default() };
        let (running, nodes) = stub::pair(&format!("stub-{name}"), node)?;
        stubs.extend(running);
        ours.start_as(&format!("balanza-{name}"), &nodes, &[])
    };
    let (new, old) = (over("new", false)?, over("old", true)?);
    Ok(Balancers { stubs, new, old })
}
