//! `bench observed`: the balancer alone, and while readers look at what it shows of itself. Owns which routes are read and
//! how often, and the bar: what the readers take from the sentences.
//!
//! Both rows are cells of the same balancer, one after the other, twice a round. The reads fall due at a fixed rate,
//! whatever the answers do. On a machine whose cores are all busy, the readers' own work and that of the network between
//! comes on top of what the balancer does for them; CPU per sentence is the balancer's alone, with its answers to them.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::load::Load;
use crate::method::Common;
use crate::method::cell::{ATTEMPTS, Cell, Figure, Figures, measure, short};
use crate::method::rounds::Cells;
use crate::peers::{self, Family, Peer, Started};
use crate::programs::build;
use crate::programs::running::Running;
use crate::report::{Column, Report, circumstances};
use crate::stub;

/// What `bench observed` takes.
#[derive(Args)]
pub(crate) struct Observed {
    #[command(flatten)]
    common: Common,
    /// Closed loops of so many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [64])]
    connections: Vec<u32>,
    /// Reads of each route in a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    reads: u32,
}

/// What the readers read, by turns.
const ROUTES: [&str; 3] = ["/fleet", "/decisions", "/metrics"];
/// The kept-alive connections that the reads go round.
const READ_CONNECTIONS: u32 = 8;
/// How often a round measures both rows. Each pair counts as a round of its own, so that a ratio is one of neighbours.
const PAIRS: u32 = 2;

const ALONE: &str = "alone";
const OBSERVED: &str = "observed";
const READERS: &str = "the readers";

impl Observed {
    /// Measures.
    ///
    /// # Errors
    /// When something cannot be built, started or measured.
    pub(crate) fn run(self) -> Result<()> {
        peers::prepare(&[Family::Balanza], &self.common)?;
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            self.round(round, &mut cells)?;
        }
        self.report(&cells)
    }

    fn round(&self, round: u32, cells: &mut Cells) -> Result<()> {
        let (stubs, nodes) = stub::pair("stub-observed", stub::Node::default())?;
        let balancer =
            Peer { family: Family::Balanza, workers: 1 }.start_as("balanza-observed", &nodes, &[])?;
        Load::Closed(16).run(balancer.address, 1)?;
        for &connections in &self.connections {
            for pair in round * PAIRS..(round + 1) * PAIRS {
                for row in [ALONE, OBSERVED] {
                    let mut readers =
                        (row == OBSERVED).then(|| self.start_readers(balancer.address)).transpose()?;
                    let load = Load::Closed(connections);
                    let figures = self.measure(load, &balancer, &stubs, readers.as_ref())?;
                    println!("round {} · {} · {row}: {}", round + 1, load.title(), short(&figures));
                    let mut push = |row: &str, column: String, figures| {
                        cells.push(Cell { round: pair, row: row.to_owned(), column, figures });
                    };
                    push(row, load.title(), figures);
                    if let Some(readers) = &mut readers {
                        push(READERS, beside(load), figures_of(readers)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn measure(
        &self,
        load: Load,
        balancer: &Started,
        stubs: &[Running],
        readers: Option<&Running>,
    ) -> Result<Figures> {
        let watched: Vec<&Running> = balancer.running.iter().collect();
        let ours = stubs.iter().chain(readers).chain(watched.iter().copied()).flat_map(Running::tree);
        measure(load, balancer.address, &self.common, &watched, &ours.collect::<Vec<_>>())
    }

    /// Readers at their rate. They are ended when the cell is, and outlast it however often it is measured again.
    fn start_readers(&self, address: SocketAddr) -> Result<Running> {
        let mut command = Command::new(build::own("bench-load"));
        let seconds = (self.common.seconds + 5) * u64::from(ATTEMPTS);
        command.args(["read", &address.to_string(), &self.reads.to_string()]);
        command.args([READ_CONNECTIONS.to_string(), seconds.to_string()]).args(ROUTES);
        let mut readers = Running::start("load-read", &command)?;
        readers.wait_for("its first figures", |output| told(output).last())?;
        Ok(readers)
    }

    fn report(&self, cells: &Cells) -> Result<()> {
        let loads: Vec<Load> =
            self.connections.iter().map(|&connections| Load::Closed(connections)).collect();
        let columns: Vec<String> = loads.iter().map(|load| load.title()).collect();
        let bar = vec!["≥ 0.98"; columns.len()];
        let rows = [ALONE, OBSERVED, READERS].map(str::to_owned);
        let mut report = Report::new(cells, rows.to_vec(), columns);
        report.ratios(
            "ratio to the balancer alone",
            &rows[1..2],
            &rows[..1],
            &[
                ("sentences/s", Figure::PerSecond, &bar),
                ("CPU per sentence", Figure::Cpu, &[]),
                ("p99", Figure::P99, &[]),
            ],
        );
        report.table("sentences/s", Figure::PerSecond, 0);
        report.table("CPU of the balancer, µs per sentence", Figure::Cpu, 2);
        report.table("p99, ms", Figure::P99, 2);
        for load in loads {
            let of = beside(load);
            let column = |title: &str, figure, decimals| Column::new(title, &of, figure, decimals);
            report.mixed(
                &format!("{} reads/s of each route, beside {} connections", self.reads, load.title()),
                &[
                    column("reads/s answered", Figure::PerSecond, 0),
                    column("p50, ms", Figure::P50, 2),
                    column("p99, ms", Figure::P99, 2),
                    column("failed", Figure::Failed, 0),
                ],
            );
        }
        let command = format!("{} --reads {}", self.common.command("observed"), self.reads);
        report.publish("observed", &command, &circumstances(&[])?, self.common.dry)
    }
}

/// The column of the reads under a load of sentences.
fn beside(load: Load) -> String {
    format!("reads beside {}", load.title())
}

/// What readers have told so far, one value a second.
fn told(output: &str) -> impl Iterator<Item = Value> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// The figures of readers from their start to the next time that they tell, which covers all that was measured.
fn figures_of(readers: &mut Running) -> Result<Figures> {
    let before = readers.wait_for("its figures", |output| Some(told(output).count()))?;
    let last = readers.wait_for("its last figures", |output| told(output).skip(before).last())?;
    figures(&last).with_context(|| format!("the readers told {last}"))
}

#[expect(clippy::float_arithmetic, reason = "measured values are shown, they decide nothing")]
fn figures(told: &Value) -> Option<Figures> {
    let number = |name: &str| told[name].as_f64();
    Some(vec![
        (Figure::PerSecond, number("answered")? / number("seconds")?),
        (Figure::P50, number("p50_ms")?),
        (Figure::P99, number("p99_ms")?),
        (Figure::Failed, number("refused")? + number("broken")?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::cell::value;

    #[test]
    fn readers_are_read_by_the_last_whole_line() {
        let output = "{\"seconds\":0.5,\"answered\":200}\n\
            {\"seconds\":2,\"answered\":790,\"refused\":3,\"broken\":1,\"p50_ms\":0.5,\"p99_ms\":2.5}\n{\"seconds\":";
        assert_eq!(told(output).count(), 2);
        let figures = figures(&told(output).last().unwrap()).unwrap();
        let values = [Figure::PerSecond, Figure::P99, Figure::Failed].map(|figure| value(&figures, figure));
        assert_eq!(values, [395.0, 2.5, 4.0]);
    }

    #[test]
    fn a_line_that_lacks_a_figure_gives_none() {
        assert!(figures(&serde_json::json!({ "seconds": 1, "answered": 2 })).is_none());
    }
}
