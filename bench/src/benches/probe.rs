//! `cargo xtask bench probe`: how exact the sensor's figures are, and what they cost.
//!
//! Runs the example `measure` of the sensor part by part, since no bench depends on a crate of the product;
//! prints its tables, keeps them in `docs/benchmarks/probe.md`, and every single figure in `target/bench/probe.txt`.
//! Needs root.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::command::{self, cargo, program, root};

/// What the bench of the probe takes.
#[derive(Args)]
pub(crate) struct Probe {
    /// Only these parts, separated by commas: ram, cpu, cost, hooks, softirq.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the tables and leave docs/benchmarks/probe.md as it is.
    #[arg(long)]
    dry: bool,
}

/// Each part with its title.
const PARTS: [(&str, &str); 5] = [
    ("ram", "RAM against `/proc/meminfo`"),
    ("cpu", "CPU against the true duty of a load"),
    ("cost", "Time and memory"),
    ("hooks", "What the hooks cost"),
    ("softirq", "Softirqs on an idle CPU"),
];

const TABLES: &str = "docs/benchmarks/probe.md";

const HEAD: &str = "\
# The probe: figures

Made by `cargo xtask bench probe`, as root. What the figures mean is in `docs/probe.md`; the kernels that the probe
was checked on are in `docs/kernels.md`.
";

impl Probe {
    /// Measures.
    ///
    /// # Errors
    /// When a part cannot be measured on this machine.
    pub(crate) fn run(&self) -> Result<()> {
        if let Some(unknown) = self.only.iter().find(|name| !PARTS.iter().any(|(part, _)| part == name)) {
            bail!("there is no part `{unknown}`; there are ram, cpu, cost, hooks and softirq");
        }
        command::run(cargo(&["build", "--release", "--package", "ebpf-sensor", "--example", "measure"]))?;
        let target = command::target_dir()?;
        let measure = target.join("release/examples/measure");
        let raw = target.join("bench/probe.txt");
        fs::create_dir_all(target.join("bench"))?;
        if raw.is_file() {
            fs::remove_file(&raw)?;
        }
        let mut text = format!("{HEAD}\n{}\n", machine()?);
        for (part, title) in PARTS {
            if self.only.is_empty() || self.only.iter().any(|name| name == part) {
                let table = measured(part, &measure, &raw)?;
                println!("\n## {title}\n\n{table}");
                text.push_str(&format!("\n## {title}\n\n{table}"));
            }
        }
        println!("\nEvery single figure is in {}.", raw.display());
        if !self.dry {
            fs::create_dir_all(root().join("docs/benchmarks"))?;
            fs::write(root().join(TABLES), text)?;
        }
        Ok(())
    }
}

fn measured(part: &str, measure: &Path, raw: &Path) -> Result<String> {
    let mut command = if part == "softirq" { in_a_network_of_its_own(measure) } else { program(measure) };
    let output = command.arg(part).arg(raw).output().context("the measuring program cannot be started")?;
    if !output.status.success() {
        bail!("`measure {part}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A network namespace whose loopback hands its packets to CPU 1. Its devices show in a sysfs of its own only.
fn in_a_network_of_its_own(measure: &Path) -> Command {
    const SCRIPT: &str = "mount -t sysfs none /mnt && ip link set lo up && \
        echo 2 > /mnt/class/net/lo/queues/rx-0/rps_cpus && exec \"$@\"";
    let mut command = program("unshare");
    command.args(["--net", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(measure);
    command
}

/// What the figures were measured on.
fn machine() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpus = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().unwrap_or_default();
    Ok(format!("Linux {}, {cpus} CPUs, load average {load} at the begin.", release.trim()))
}
