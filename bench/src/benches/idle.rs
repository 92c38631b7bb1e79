//! `bench idle`: memory of the balancer and two peers under idle kept-alive connections, and under clients that send
//! without end and never read an answer. Owns the bar: 10,000 idle connections in 100 MB.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::load::Load;
use crate::method::Common;
use crate::method::cell::{Cell, Figure, Figures};
use crate::method::clock;
use crate::method::rounds::Cells;
use crate::peers::{self, Family, Peer, Started};
use crate::programs::build;
use crate::programs::running::Running;
use crate::report::{Column, Report, circumstances};
use crate::stub;

/// What `bench idle` takes.
#[derive(Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    common: Common,
    /// Which balancers to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = FAMILIES)]
    peers: Vec<Family>,
    /// Idle connections.
    #[arg(long, default_value_t = 10_000)]
    connections: u32,
    /// Clients that never read.
    #[arg(long, default_value_t = 64)]
    deaf: u32,
}

const FAMILIES: [Family; 3] = [Family::Balanza, Family::Haproxy, Family::Nginx];
const LOOK: Duration = Duration::from_millis(100);
/// The load of others while some never read.
const BESIDES: Load = Load::Rate(500);

impl Idle {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&self.peers, &self.common)?;
        let peers: Vec<Peer> = self.peers.iter().map(|&family| Peer { family, workers: 1 }).collect();
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            for peer in &peers {
                let (_stub, nodes) = stub::start("stub-idle", &[stub::Node::default(); 2])?;
                let balancer = peer.start_as(&format!("{}-idle", peer.name()), &nodes, &[])?;
                for (column, figures) in self.measure(&balancer)? {
                    println!("round {} · {} · {column}: {figures:?}", round + 1, peer.title());
                    cells.push(Cell { round, row: peer.title(), column, figures });
                }
            }
        }
        self.report(&cells, &peers)
    }

    /// The columns of one balancer, in the order of the trial.
    fn measure(&self, balancer: &Started) -> Result<Vec<(String, Figures)>> {
        let Started { running: Some(running), address, .. } = balancer else {
            anyhow::bail!("only a balancer has memory to measure");
        };
        let mut columns = Vec::new();
        BESIDES.run(*address, 1)?;
        columns.push(("before".to_owned(), vec![(Figure::Rss, megabytes(running))]));

        let mut idle = self.generator("idle", self.connections, *address)?;
        let open = idle.wait_for("its connections", |output| said(output, "open"))?;
        anyhow::ensure!(open == u64::from(self.connections), "only {open} connections were taken");
        let held = megabytes(running);
        let besides = BESIDES.run(*address, 1)?;
        let ended = idle.wait_for("its end", |output| said(output, "ended_by_the_server"))?;
        #[expect(clippy::cast_precision_loss, reason = "a count of connections")]
        let figures = vec![
            (Figure::Rss, held),
            (Figure::P99, besides.p99_ms),
            (Figure::Failed, (ended + besides.failed) as f64),
        ];
        columns.push(("idle".to_owned(), figures));

        let mut deaf = self.generator("deaf", self.deaf, *address)?;
        let besides = BESIDES.run(*address, 1)?;
        let mut most = megabytes(running);
        while !deaf.ended() {
            most = most.max(megabytes(running));
            clock::pause(LOOK);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let failed = besides.failed as f64;
        let figures = vec![(Figure::Rss, most), (Figure::P99, besides.p99_ms), (Figure::Failed, failed)];
        columns.push(("deaf".to_owned(), figures));
        columns.push(("after".to_owned(), vec![(Figure::Rss, megabytes(running))]));
        Ok(columns)
    }

    fn generator(&self, mode: &str, connections: u32, address: SocketAddr) -> Result<Running> {
        let mut command = Command::new(build::own("bench-load"));
        // Time for the load besides, which comes on top of its own length.
        let seconds = self.common.seconds + 3;
        command.args([mode, &address.to_string(), &connections.to_string(), &seconds.to_string()]);
        Running::start(&format!("load-{mode}"), &command)
    }

    fn report(&self, cells: &Cells, peers: &[Peer]) -> Result<()> {
        let rows = peers.iter().map(|peer| peer.title()).collect();
        let mut report = Report::new(cells, rows, Vec::new());
        let Self { connections, deaf, .. } = self;
        let columns = [
            Column::new("RSS after a little load, MB", "before", Figure::Rss, 1),
            Column::new(
                &format!("with {connections} idle connections, MB (bar: ≤ 100)"),
                "idle",
                Figure::Rss,
                1,
            ),
            Column::new("p99 of others meanwhile, ms", "idle", Figure::P99, 2),
            Column::new("connections it ended, requests it failed", "idle", Figure::Failed, 0),
            Column::new(&format!("with {deaf} clients that never read, most, MB"), "deaf", Figure::Rss, 1),
            Column::new("p99 of others beside them, ms", "deaf", Figure::P99, 2),
            Column::new("RSS afterwards, MB", "after", Figure::Rss, 1),
        ];
        report.mixed("balancer", &columns);
        let command = self.common.command("idle");
        report.publish("idle", &command, &circumstances(&peers::versions(&self.peers)?)?, self.common.dry)
    }
}

/// The number under `name` in the first line of `output` that has it.
fn said(output: &str, name: &str) -> Option<u64> {
    output.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()?.get(name)?.as_u64())
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "memory for people, below 2^52 kB")]
fn megabytes(running: &Running) -> f64 {
    running.rss_kb() as f64 / 1024.0
}
