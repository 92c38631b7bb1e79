//! `bench profile`: where the balancer's CPU time goes. Owns the stages and which kernel entry or function belongs to
//! which. `perf` samples the running balancer; the shares are scaled to the CPU time per sentence of the same run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::load::Load;
use crate::method::Common;
use crate::method::cell::{Cell, Figure, measure, short, value};
use crate::method::rounds::Cells;
use crate::peers::{self, Family, Peer};
use crate::programs::build;
use crate::programs::running::{Running, bound};
use crate::report::{Report, circumstances};
use crate::stub;

/// What `bench profile` takes.
#[derive(Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    common: Common,
    /// Closed loops of so many connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    connections: Vec<u32>,
    /// Stub nodes behind the balancer.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
}

/// Samples a second; no round number, so that they do not fall into step with timers.
const FREQUENCY: &str = "1999";

/// The stages, and how a sample is told to belong to one: the first that matches any frame of its stack, innermost
/// frames first. System calls come first: the functions of ours that make them stand further out.
const STAGES: [(&str, &[&str]); 13] = [
    ("system call: wait for something to do (epoll_wait)", &["__x64_sys_epoll", "epoll_wait"]),
    ("system call: send to clients (send)", &["__x64_sys_sendto", "__send"]),
    ("system call: send to nodes (writev)", &["do_writev", "__GI___writev"]),
    ("system call: receive, both sides (recv)", &["__x64_sys_recvfrom", "__libc_recv"]),
    ("read the request's head", &["lb::door::head", "httparse"]),
    ("client connection", &["lb::door"]),
    ("read and check the JSON", &["wire::", "serde_json", "serde_core"]),
    ("make the id", &["uuid::"]),
    ("choose, reserve, record", &["lb::fleet", "lb::policy", "lb::balancer", "lb::decisions"]),
    ("lane: gather, post, read the node's answer", &["lb::lane", "lb::worker"]),
    ("write the answer", &["lb::reply"]),
    ("memory", &["malloc", "free", "realloc", "calloc", "mem", "_int_"]),
    ("runtime (tokio, mio, actix)", &["tokio::", "mio::", "actix", "core::", "std::", "alloc::"]),
];
const REST: &str = "rest (clock, interrupts)";

impl Profile {
    pub(crate) fn run(self) -> Result<()> {
        build::require(&[("perf", "linux-perf")])?;
        peers::prepare(&[Family::Balanza], &self.common)?;
        let mut cells = Cells::default();
        for round in 0..self.common.rounds {
            for &connections in &self.connections {
                self.cell(round, Load::Closed(connections), &mut cells)?;
            }
        }
        let rows = STAGES.iter().map(|(stage, _)| *stage).chain([REST, ALL]).map(str::to_owned).collect();
        let columns = self.connections.iter().map(|&connections| Load::Closed(connections).title()).collect();
        let mut report = Report::new(&cells, rows, columns);
        report.table("CPU of the balancer, µs per sentence", Figure::Cpu, 2);
        let command = format!("{} --nodes {}", self.common.command("profile"), self.nodes);
        report.publish("profile", &command, &circumstances(&[])?, self.common.dry)
    }

    fn cell(&self, round: u32, load: Load, cells: &mut Cells) -> Result<()> {
        let (stub, nodes) = stub::start("stub-profile", &vec![stub::Node::default(); self.nodes])?;
        let ours = Peer { family: Family::Balanza, workers: 1 };
        let started = ours.start_as("balanza-profile", &nodes, &[])?;
        let running = started.running.as_ref().context("our balancer is a process")?;
        load.run(started.address, 1)?;
        let data = build::folder().join("perf.data");
        let seconds = self.common.seconds;
        let mut perf = Command::new("perf");
        perf.args(["record", "--quiet", "--event", "cpu-clock", "--freq", FREQUENCY, "-g", "--output"])
            .arg(&data);
        perf.args(["--pid", &running.id().to_string(), "--", "sleep", &seconds.to_string()]);
        let mut sampling = bound(&perf).stdin(Stdio::null()).spawn().context("`perf` did not start")?;
        let ids: Vec<u32> = [&stub, running].into_iter().flat_map(Running::tree).collect();
        let figures = measure(load, started.address, &self.common, &[running], &ids);
        ensure!(
            sampling.wait()?.success(),
            "`perf record` failed; it needs the right to sample other processes"
        );
        let figures = figures?;
        println!("round {} · {}: {}", round + 1, load.title(), short(&figures));
        let all = value(&figures, Figure::Cpu);
        let counts = samples_by_stage(&data)?;
        let total = counts.values().sum::<u32>().max(1);
        let column = load.title();
        for (stage, count) in counts {
            let figures = vec![(Figure::Cpu, part(all, count, total))];
            cells.push(Cell { round, row: stage.to_owned(), column: column.clone(), figures });
        }
        cells.push(Cell { round, row: ALL.to_owned(), column, figures });
        Ok(())
    }
}

const ALL: &str = "**all**";

fn samples_by_stage(data: &Path) -> Result<BTreeMap<&'static str, u32>> {
    let mut script = Command::new("perf");
    script.args(["script", "--fields", "ip,sym", "--input"]).arg(data).stderr(Stdio::null());
    let output = script.output().context("`perf script` did not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counts = BTreeMap::new();
    for sample in text.split("\n\n").filter(|sample| !sample.trim().is_empty()) {
        *counts.entry(stage(sample)).or_default() += 1;
    }
    ensure!(!counts.is_empty(), "`perf` took no samples");
    Ok(counts)
}

/// The stage of one sample, a frame a line, innermost first.
fn stage(sample: &str) -> &'static str {
    let symbols = sample.lines().filter_map(|line| line.trim().split_once(' ').map(|(_, symbol)| symbol));
    // A type's path stands behind `<`, or behind `<&mut `.
    let plain =
        |symbol: &str| symbol.trim_start_matches(['<', '&', '_']).trim_start_matches("mut ").to_owned();
    for symbol in symbols {
        let known = |(_, beginnings): &&(&str, &[&str])| {
            beginnings.iter().any(|start| symbol.starts_with(start) || plain(symbol).starts_with(start))
        };
        if let Some((stage, _)) = STAGES.iter().find(known) {
            return stage;
        }
    }
    REST
}

#[expect(clippy::float_arithmetic, reason = "a part of a measured value, for people")]
fn part(all: f64, count: u32, total: u32) -> f64 {
    all * f64::from(count) / f64::from(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_belongs_to_the_innermost_frame_that_is_known() {
        let sample = "  ffffffff81 _raw_spin_unlock_irqrestore\n  ffffffff82 __x64_sys_sendto\n  55d0 lb::door::connection::Connection::poll";
        assert_eq!(stage(sample), "system call: send to clients (send)");
        assert_eq!(stage("  55d0 lb::door::head::read"), "read the request's head");
        assert_eq!(stage("  55d0 <&mut serde_json::de::Deserializer<R> as X>::y"), "read and check the JSON");
        assert_eq!(stage("  55d0 __memmove_avx512_unaligned_erms"), "memory");
        assert_eq!(stage("  ffffffff81 asm_sysvec_apic_timer_interrupt"), REST);
    }
}
