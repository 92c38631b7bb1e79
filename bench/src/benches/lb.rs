//! `bench lb`: the balancer and its peers over the same two stub nodes. Owns the bars of that comparison.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;

use crate::load::Load;
use crate::method::cell::{Cell, Figure, measure, short};
use crate::method::rounds::Cells;
use crate::method::{Common, rotated};
use crate::peers::{self, Family, Peer, Started};
use crate::programs::running::Running;
use crate::report::{Report, circumstances};
use crate::stub::{self, Taken};

/// What `bench lb` takes.
#[derive(Args)]
pub(crate) struct Lb {
    #[command(flatten)]
    common: Common,
    /// Which balancers to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = ALL)]
    peers: Vec<Family>,
    /// Closed loops of so many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<u32>,
    /// A fixed rate besides, in requests a second; 0 for none.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
}

const ALL: [Family; 7] = [
    Family::Straight,
    Family::Balanza,
    Family::Haproxy,
    Family::Nginx,
    Family::Envoy,
    Family::Pingora,
    Family::Old,
];

/// The bars against the better HAProxy row, by the titles of the columns.
const BARS: [(&str, [&str; 3]); 5] = [
    // CPU, throughput, p99.
    ("1 conn", ["≤ 1.0", "≥ 1.0", "≤ 1.0"]),
    ("16", ["≤ 0.8", "≥ 1.3", "≤ 1.0"]),
    ("64", ["≤ 0.6", "≥ 1.6", "≤ 1.0"]),
    ("256", ["≤ 0.5", "≥ 2.0", "≤ 1.0"]),
    ("2000/s", ["≤ 1.0", "–", "≤ 1.0"]),
];

impl Lb {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&self.peers, &self.common)?;
        let mut loads: Vec<Load> =
            self.connections.iter().map(|&connections| Load::Closed(connections)).collect();
        loads.extend((self.rate > 0).then_some(Load::Rate(self.rate)));
        let peers = Peer::all(&self.peers);
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            self.round(round, &peers, &loads, &mut cells)?;
        }
        self.report(&cells, &peers, &loads)
    }

    fn round(&self, round: u32, peers: &[Peer], loads: &[Load], cells: &mut Cells) -> Result<()> {
        let (stubs, nodes) = stub::pair("stub", stub::Node::default())?;
        let started = peers.iter().map(|peer| peer.start(&nodes)).collect::<Result<Vec<_>>>()?;
        let ours: Vec<u32> = stubs
            .iter()
            .chain(started.iter().filter_map(|peer| peer.running.as_ref()))
            .flat_map(Running::tree)
            .collect();
        for peer in &started {
            Load::Closed(16).run(peer.address, 1)?;
        }
        for &load in loads {
            for Started { peer, running, address } in rotated(&started, round) {
                // The old balancer cannot follow a rate at all.
                if peer.family == Family::Old && matches!(load, Load::Rate(_)) {
                    continue;
                }
                let watched: Vec<&Running> = running.iter().collect();
                let before = taken(&nodes)?;
                let mut figures = measure(load, *address, &self.common, &watched, &ours)?;
                if peer.family == Family::Balanza {
                    figures.push((Figure::Batch, sentences_per_post(before, taken(&nodes)?)));
                }
                let (row, column) = (peer.title(), load.title());
                println!("round {} · {column} · {row}: {}", round + 1, short(&figures));
                cells.push(Cell { round, row, column, figures });
            }
        }
        Ok(())
    }

    fn report(&self, cells: &Cells, peers: &[Peer], loads: &[Load]) -> Result<()> {
        let rows = peers.iter().map(|peer| peer.title()).collect();
        let columns: Vec<String> = loads.iter().map(|load| load.title()).collect();
        let titles = |family: Family| -> Vec<String> {
            peers.iter().filter(|peer| peer.family == family).map(|peer| peer.title()).collect()
        };
        let bar = |figure: usize| -> Vec<&str> {
            let of_column = |column: &String| {
                BARS.iter().find(|(known, _)| known == column).and_then(|(_, bars)| bars.get(figure).copied())
            };
            columns.iter().map(|column| of_column(column).unwrap_or("–")).collect()
        };
        let mut report = Report::new(cells, rows, columns.clone());
        report.ratios(
            "ratio to the better HAProxy row",
            &titles(Family::Balanza),
            &titles(Family::Haproxy),
            &[
                ("CPU", Figure::Cpu, &bar(0)),
                ("throughput", Figure::PerSecond, &bar(1)),
                ("p99", Figure::P99, &bar(2)),
            ],
        );
        report.table("CPU of the balancer, µs per request", Figure::Cpu, 1);
        report.table("requests/s", Figure::PerSecond, 0);
        report.table("p50, ms", Figure::P50, 2);
        report.table("p99, ms", Figure::P99, 2);
        report.table("p99.9, ms", Figure::P999, 2);
        report.table("RSS after the cell, MB", Figure::Rss, 0);
        report.table("sentences per post to a node", Figure::Batch, 1);
        let command = self.common.command("lb");
        report.publish("lb", &command, &circumstances(&peers::versions(&self.peers)?)?, self.common.dry)
    }
}

/// What the nodes took together.
fn taken(nodes: &[SocketAddr]) -> Result<Taken> {
    let mut all = Taken::default();
    for &node in nodes {
        let taken = stub::taken(node)?;
        all.documents += taken.documents;
        all.posts += taken.posts;
    }
    Ok(all)
}

#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a mean for people, of counts below 2^52"
)]
fn sentences_per_post(before: Taken, after: Taken) -> f64 {
    let posts = after.posts - before.posts;
    (after.documents - before.documents) as f64 / posts.max(1) as f64
}
