//! `bench scale`: the balancer over 2 to 128 stub nodes. Owns the bar: from the fewest nodes to the most, CPU per
//! sentence grows by at most a fifth.

use anyhow::{Context, Result};
use clap::Args;

use crate::load::Load;
use crate::method::cell::{Cell, Figure, measure, short};
use crate::method::rounds::Cells;
use crate::method::{Common, rotated};
use crate::peers::{self, Family, Peer, Started};
use crate::programs::running::Running;
use crate::report::{Report, circumstances};
use crate::stub;

/// What `bench scale` takes.
#[derive(Args)]
pub(crate) struct Scale {
    #[command(flatten)]
    common: Common,
    /// Which balancers to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = FAMILIES)]
    peers: Vec<Family>,
    /// How many nodes.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 8, 32, 128])]
    nodes: Vec<usize>,
    /// Closed loops of so many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    connections: Vec<u32>,
    /// A fixed rate besides, in requests a second; 0 for none.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
}

/// Peers beside ours, for what is the proxies' own growth.
const FAMILIES: [Family; 2] = [Family::Balanza, Family::Haproxy];

/// A fleet of stub nodes with the balancers over it.
struct Fleet {
    row: String,
    stub: Running,
    balancers: Vec<Started>,
}

impl Scale {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&self.peers, &self.common)?;
        let peers: Vec<Peer> = self.peers.iter().map(|&family| Peer { family, workers: 1 }).collect();
        let mut loads: Vec<Load> =
            self.connections.iter().map(|&connections| Load::Closed(connections)).collect();
        loads.extend((self.rate > 0).then_some(Load::Rate(self.rate)));
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            let fleets = self.nodes.iter().map(|&nodes| start(nodes, &peers)).collect::<Result<Vec<_>>>()?;
            self.round(round, &fleets, &loads, &mut cells)?;
        }
        self.report(&cells, &peers, &loads)
    }

    fn round(&self, round: u32, fleets: &[Fleet], loads: &[Load], cells: &mut Cells) -> Result<()> {
        let running = |fleet: &Fleet| -> Vec<u32> {
            let balancers = fleet.balancers.iter().filter_map(|balancer| balancer.running.as_ref());
            std::iter::once(&fleet.stub).chain(balancers).flat_map(Running::tree).collect()
        };
        let ours: Vec<u32> = fleets.iter().flat_map(running).collect();
        for balancer in fleets.iter().flat_map(|fleet| &fleet.balancers) {
            Load::Closed(16).run(balancer.address, 1)?;
        }
        let peers = fleets.first().map_or(0, |fleet| fleet.balancers.len());
        for &load in loads {
            for at in 0..peers {
                for fleet in rotated(fleets, round) {
                    let balancer = fleet.balancers.get(at);
                    let Started { peer, running, address } =
                        balancer.context("a fleet lacks the balancer of a peer")?;
                    let watched: Vec<&Running> = running.iter().collect();
                    let figures = measure(load, *address, &self.common, &watched, &ours)?;
                    let (row, column) = (fleet.row.clone(), column(*peer, load));
                    println!("round {} · {column} · {row}: {}", round + 1, short(&figures));
                    cells.push(Cell { round, row, column, figures });
                }
            }
        }
        Ok(())
    }

    fn report(&self, cells: &Cells, peers: &[Peer], loads: &[Load]) -> Result<()> {
        let rows: Vec<String> = self.nodes.iter().map(|&nodes| row(nodes)).collect();
        let columns = |peer: &Peer| loads.iter().map(|&load| column(*peer, load)).collect::<Vec<_>>();
        let columns: Vec<String> = peers.iter().flat_map(columns).collect();
        let bar = vec!["≤ 1.2"; loads.len()];
        let (first, others) = rows.split_first().context("no number of nodes is given")?;
        let mut report = Report::new(cells, rows.clone(), columns);
        report.ratios(
            &format!("ratio to {first}"),
            others,
            std::slice::from_ref(first),
            &[("CPU", Figure::Cpu, &bar)],
        );
        report.table("CPU of the balancer, µs per sentence", Figure::Cpu, 1);
        report.table("requests/s", Figure::PerSecond, 0);
        report.table("p99, ms", Figure::P99, 2);
        report.table("RSS after the cell, MB", Figure::Rss, 0);
        let command = self.common.command("scale");
        report.publish("scale", &command, &circumstances(&peers::versions(&self.peers)?)?, self.common.dry)
    }
}

fn start(nodes: usize, peers: &[Peer]) -> Result<Fleet> {
    let (stub, addresses) = stub::start(&format!("stub-{nodes}"), &vec![stub::Node::default(); nodes])?;
    let start = |peer: &Peer| peer.start_as(&format!("{}-over-{nodes}", peer.name()), &addresses, &[]);
    let balancers = peers.iter().map(start).collect::<Result<_>>()?;
    Ok(Fleet { row: row(nodes), stub, balancers })
}

fn row(nodes: usize) -> String {
    format!("{nodes} nodes")
}

fn column(peer: Peer, load: Load) -> String {
    format!("{} at {}", peer.title(), load.title())
}
