//! `bench routing`: the policies side by side, with one node slowed and with one node starting empty. Owns the
//! scenarios. It shows where the rule (the fewest documents first) is worse than policies that look at latency.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::load::Load;
use crate::method::cell::{Cell, Figure, measure, short};
use crate::method::rounds::Cells;
use crate::method::{Common, rotated};
use crate::peers::{self, Family, Peer, node_name};
use crate::programs::running::Running;
use crate::report::{Column, Report, circumstances};
use crate::stub::{self, Node, Taken};

/// What `bench routing` takes.
#[derive(Args)]
pub(crate) struct Routing {
    #[command(flatten)]
    common: Common,
    /// Which policies; all when none is given.
    #[arg(long)]
    policy: Vec<String>,
    /// The fixed rate, in sentences a second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Connections of the closed loop.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// What the slowed node waits before each answer, in milliseconds.
    #[arg(long, default_value_t = 20)]
    delay_ms: u64,
    /// Documents that the others hold when one node starts empty.
    #[arg(long, default_value_t = 1_000_000)]
    documents: u64,
}

/// The policies, and the rule with its guards.
const VARIANTS: [(&str, &[&str]); 6] = [
    ("count-ram-cpu", &[]),
    ("count-ram-cpu", &["--max-in-flight", "32"]),
    ("count-ram-cpu", &["--ramp-percent", "50", "--ramp-gap", "1000"]),
    ("round-robin", &[]),
    ("least-in-flight", &[]),
    ("p2c", &[]),
];
const NODES: usize = 3;

impl Routing {
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&[Family::Balanza], &self.common)?;
        let wanted = |(policy, _): &&(&str, &[&str])| {
            self.policy.is_empty() || self.policy.iter().any(|wanted| wanted == policy)
        };
        let variants: Vec<_> = VARIANTS.iter().filter(wanted).collect();
        anyhow::ensure!(!variants.is_empty(), "no policy is named {}", self.policy.join(" or "));
        let loads = [Load::Rate(self.rate), Load::Closed(self.connections)];
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            for (scenario, nodes) in self.scenarios() {
                for load in loads {
                    for (policy, guards) in rotated(&variants, round) {
                        let row = row(policy, guards);
                        println!("round {} · {scenario} · {} · {row}", round + 1, load.title());
                        self.cell(
                            round,
                            &title(&scenario, load),
                            &row,
                            (policy, guards),
                            &nodes,
                            load,
                            &mut cells,
                        )?;
                    }
                }
            }
        }
        self.report(&cells, &variants, &loads)
    }

    /// Each scenario with the nodes it begins with.
    fn scenarios(&self) -> [(String, [Node; NODES]); 3] {
        let mut slowed = [Node::default(); NODES];
        slowed[1].delay = Duration::from_millis(self.delay_ms);
        let mut empty = [Node { documents: self.documents, ..Node::default() }; NODES];
        empty[2].documents = 0;
        [
            ("three equal nodes".to_owned(), [Node::default(); NODES]),
            (format!("B answers {} ms late", self.delay_ms), slowed),
            (format!("C starts empty, the others with {}", self.documents), empty),
        ]
    }

    /// One run of its own: fresh nodes, a fresh balancer. The figures of each node stand in its own column.
    #[expect(clippy::too_many_arguments, reason = "the coordinates of one cell")]
    fn cell(
        &self,
        round: u32,
        scenario: &str,
        row: &str,
        (policy, guards): (&str, &[&str]),
        nodes: &[Node],
        load: Load,
        cells: &mut Cells,
    ) -> Result<()> {
        let (stub, addresses) = stub::start("stub-routing", nodes)?;
        let ours = Peer { family: Family::Balanza, workers: 1 };
        let arguments: Vec<&str> = ["--policy", policy].iter().chain(guards.iter()).copied().collect();
        let started = ours.start_as("balanza-routing", &addresses, &arguments)?;
        let before = taken(&addresses)?;
        let watched: Vec<&Running> = started.running.iter().collect();
        let tree: Vec<u32> = watched.iter().copied().chain([&stub]).flat_map(Running::tree).collect();
        let mut figures = measure(load, started.address, &self.common, &watched, &tree)?;
        println!("    {}", short(&figures));
        let after = taken(&addresses)?;
        let sent: Vec<u64> =
            after.iter().zip(&before).map(|(after, before)| after.documents - before.documents).collect();
        let all = sent.iter().sum::<u64>().max(1);
        for (at, &sent) in sent.iter().enumerate() {
            let figures = vec![(Figure::Share, percent(sent, all))];
            let column = format!("{scenario} {}", node_name(at));
            cells.push(Cell { round, row: row.to_owned(), column, figures });
        }
        let counts = || after.iter().map(|taken| taken.documents);
        let skew = counts().max().unwrap_or(0) - counts().min().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a count of documents is far below 2^52")]
        figures.push((Figure::Skew, skew as f64));
        cells.push(Cell { round, row: row.to_owned(), column: scenario.to_owned(), figures });
        Ok(())
    }

    fn report(&self, cells: &Cells, variants: &[&(&str, &[&str])], loads: &[Load]) -> Result<()> {
        let rows = variants.iter().map(|(policy, guards)| row(policy, guards)).collect();
        let mut report = Report::new(cells, rows, Vec::new());
        for (scenario, _) in self.scenarios() {
            for &load in loads {
                let title = title(&scenario, load);
                let column = |name: &str, figure, decimals| Column::new(name, &title, figure, decimals);
                let mut columns = vec![
                    column("sentences/s", Figure::PerSecond, 0),
                    column("p50, ms", Figure::P50, 2),
                    column("p99, ms", Figure::P99, 2),
                    column("p99.9, ms", Figure::P999, 2),
                    column("most less fewest documents at the end", Figure::Skew, 0),
                ];
                columns.extend((0..NODES).map(|at| {
                    let node = node_name(at);
                    Column::new(&format!("share of {node}, %"), &format!("{title} {node}"), Figure::Share, 1)
                }));
                report.mixed(&title, &columns);
            }
        }
        let command = self.common.command("routing");
        report.publish("routing", &command, &circumstances(&[])?, self.common.dry)
    }
}

fn row(policy: &str, guards: &[&str]) -> String {
    if guards.is_empty() { policy.to_owned() } else { format!("{policy} {}", guards.join(" ")) }
}

fn title(scenario: &str, load: Load) -> String {
    match load {
        Load::Rate(rate) => format!("{scenario}; {rate} sentences/s"),
        Load::Closed(connections) | Load::Queried(connections) => {
            format!("{scenario}; {connections} connections")
        }
    }
}

fn taken(nodes: &[SocketAddr]) -> Result<Vec<Taken>> {
    nodes.iter().map(|&node| stub::taken(node)).collect()
}

#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a share for people, of counts below 2^52"
)]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
