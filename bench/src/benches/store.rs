//! `bench store`: the balancer and two peers over two real nodes, on the embedded store and on a MongoDB wire server.
//! Owns the bars: twice the durable acknowledgements of HAProxy, half the CPU of the whole system per sentence.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};
use xtask::command;

use crate::load::Load;
use crate::method::cell::{Cell, Figure, measure, short};
use crate::method::rounds::Cells;
use crate::method::{Common, rotated};
use crate::peers::{self, Family, Peer, Started, node_name};
use crate::programs::build;
use crate::programs::running::Running;
use crate::report::{Report, circumstances};

/// What `bench store` takes.
#[derive(Args)]
pub(crate) struct Store {
    #[command(flatten)]
    common: Common,
    /// Which stores.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Engine::Embedded, Engine::Mongo])]
    stores: Vec<Engine>,
    /// Which balancers.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = FAMILIES)]
    peers: Vec<Family>,
    /// Closed loops of so many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<u32>,
}

const FAMILIES: [Family; 3] = [Family::Balanza, Family::Haproxy, Family::Nginx];

/// Where the nodes keep their sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// The store inside each node.
    Embedded,
    /// The MongoDB wire server in `tests/mongo-wire`, one for both nodes, a database each.
    Mongo,
}

impl Store {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&self.peers, &self.common)?;
        if !self.common.no_build {
            build::product(&["backend"])?;
            if self.stores.contains(&Engine::Mongo) {
                build_mongo_wire()?;
            }
        }
        let peers: Vec<Peer> = self.peers.iter().map(|&family| Peer { family, workers: 1 }).collect();
        let loads: Vec<Load> =
            self.connections.iter().map(|&connections| Load::Closed(connections)).collect();
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            for &engine in &self.stores {
                self.round(round, engine, &peers, &loads, &mut cells)?;
            }
        }
        self.report(&cells, &peers, &loads)
    }

    fn round(
        &self,
        round: u32,
        engine: Engine,
        peers: &[Peer],
        loads: &[Load],
        cells: &mut Cells,
    ) -> Result<()> {
        let (system, nodes) = start(engine)?;
        let started = peers.iter().map(|peer| peer.start(&nodes)).collect::<Result<Vec<_>>>()?;
        let balancers = started.iter().filter_map(|peer| peer.running.as_ref());
        let ours: Vec<u32> = system.iter().chain(balancers).flat_map(Running::tree).collect();
        for peer in &started {
            Load::Closed(16).run(peer.address, 1)?;
        }
        for &load in loads {
            for Started { peer, running, address } in rotated(&started, round) {
                let watched: Vec<&Running> = system.iter().chain(running).collect();
                let figures = measure(load, *address, &self.common, &watched, &ours)?;
                let (row, column) = (peer.title(), column(engine, load));
                println!("round {} · {column} · {row}: {}", round + 1, short(&figures));
                cells.push(Cell { round, row, column, figures });
            }
        }
        Ok(())
    }

    fn report(&self, cells: &Cells, peers: &[Peer], loads: &[Load]) -> Result<()> {
        let rows = peers.iter().map(|peer| peer.title()).collect();
        let columns = |engine: &Engine| loads.iter().map(|&load| column(*engine, load)).collect::<Vec<_>>();
        let columns: Vec<String> = self.stores.iter().flat_map(columns).collect();
        let titles = |family: Family| -> Vec<String> {
            peers.iter().filter(|peer| peer.family == family).map(|peer| peer.title()).collect()
        };
        let bar = |at: &'static str| -> Vec<&str> {
            columns.iter().map(|column| if column.ends_with(" 64") { at } else { "–" }).collect()
        };
        let mut report = Report::new(cells, rows, columns.clone());
        report.ratios(
            "ratio to HAProxy",
            &titles(Family::Balanza),
            &titles(Family::Haproxy),
            &[
                ("acknowledged/s", Figure::PerSecond, &bar("≥ 2.0")),
                ("CPU of the whole system", Figure::Cpu, &bar("≤ 0.5")),
                ("p99", Figure::P99, &[]),
            ],
        );
        report.table("durable acknowledgements/s", Figure::PerSecond, 0);
        report.table("CPU of balancer, nodes and database, µs per sentence", Figure::Cpu, 1);
        report.table("p50, ms", Figure::P50, 2);
        report.table("p99, ms", Figure::P99, 2);
        let command = self.common.command("store");
        report.publish("store", &command, &circumstances(&peers::versions(&self.peers)?)?, self.common.dry)
    }
}

fn column(engine: Engine, load: Load) -> String {
    format!("{} {}", format!("{engine:?}").to_lowercase(), load.title())
}

fn build_mongo_wire() -> Result<()> {
    build::require(&[("go", "golang-go")])?;
    let mut go = command::program("go");
    go.current_dir(command::root().join("tests/mongo-wire"));
    go.args(["build", "-o"]).arg(build::own("mongo-wire")).arg(".");
    command::run(go)
}

/// Starts two nodes with empty stores, and the database where there is one; all of them are watched.
fn start(engine: Engine) -> Result<(Vec<Running>, Vec<SocketAddr>)> {
    let data = build::folder().join("store-data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(&data)?;
    let mut system = Vec::new();
    let database = match engine {
        Engine::Embedded => None,
        Engine::Mongo => {
            let (running, uri) = start_mongo_wire(&data)?;
            system.push(running);
            Some(uri)
        }
    };
    let mut nodes = Vec::new();
    for at in 0..2 {
        let name = node_name(at);
        let store = database
            .as_ref()
            .map_or_else(|| "embedded".to_owned(), |uri| format!("{uri}/bench_{}", name.to_lowercase()));
        let mut command = Command::new(build::release("balanza-backend"));
        command.args(["--listen", "127.0.0.1:0", "--probe", "procfs", "--store", &store, "--data-dir"]);
        command.arg(data.join(&name));
        let mut running = Running::start(&format!("backend-{name}"), &command)?;
        nodes.push(running.wait_for_ready_line()?);
        system.push(running);
    }
    Ok((system, nodes))
}

fn start_mongo_wire(data: &Path) -> Result<(Running, String)> {
    let mut command = Command::new(build::own("mongo-wire"));
    command.arg("--state").arg(data.join("database"));
    let mut running = Running::start("mongo-wire", &command)?;
    let uri = running.wait_for("its URI", |output| {
        let uri = output.split_ascii_whitespace().find(|word| word.starts_with("mongodb://"))?;
        Some(uri.trim_end_matches('/').to_owned())
    })?;
    Ok((running, uri))
}
