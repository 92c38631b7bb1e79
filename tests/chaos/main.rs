//! `cargo xtask chaos`: real balancers and nodes on real disks under a seeded schedule of faults, clients that repeat
//! whatever they were not told the end of, and a check at the end that nothing was lost, stored twice, changed or made up.
//! `docs/reliability.md` says what that promises.
//!
//! The schedule, the ids and the texts follow from the seed; what meets what does not, since processes and sockets have
//! their own time. A failing seed is run again by the same command, and may need a few tries. Absent: starting this
//! program, which is xtask's.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to the person who typed the command"
)]
#![expect(clippy::disallowed_methods, reason = "a run reads the clock and makes ids by it")]

mod answers;
mod caller;
mod calm;
mod check;
mod clients;
mod database;
mod disk;
mod draws;
mod fault;
mod faults;
mod health;
mod history;
mod message;
mod proxy;
mod random;
mod run;
mod schedule;
mod server;
mod settle;
mod story;
mod summary;
mod world;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use fault::{Kind, Target};
use run::{Outcome, Plan};
use summary::Summary;
use world::Setup;

/// How much of the stories is shown; all of them are in the file.
const SHOWN_LINES: usize = 60;

/// Real balancers and nodes under a seeded schedule of faults, and a check that nothing is lost or stored twice.
#[derive(Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos", disable_version_flag = true)]
struct Cli {
    /// The seed of the schedule and of the clients' draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Several seeds instead, as `0..10`, the last one left out.
    #[arg(long, value_name = "A..B", value_parser = seeds_of, conflicts_with = "seed")]
    seeds: Option<std::ops::Range<u64>>,
    /// How long clients post in each run; each also takes some seconds to come to rest.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Where nodes keep their sentences.
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// How many nodes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// How many balancers over the same nodes; a client repeats at any of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    balancers: u8,
    /// How many clients; the last of several posts in bulk.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// Only these faults, or `none`. A disk of its own, which can be full, has every second seed, or every one where
    /// `disk-full` is named.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    faults: Vec<String>,
    /// Keep stores, lists and logs in DIR/seed-N, which must not be there yet. A small disk that can be full is not kept.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The balancer's program, instead of the one built beside this.
    #[arg(long, value_name = "PATH")]
    lb: Option<PathBuf>,
    /// The node's program, instead of the one built beside this.
    #[arg(long, value_name = "PATH")]
    backend: Option<PathBuf>,
    /// The database's program for `--store mongodb`, instead of the one built beside this.
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
    /// One more argument of each balancer, repeatable.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    lb_argument: Vec<String>,
    /// One more argument of each node, repeatable.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    backend_argument: Vec<String>,
    /// Fail also where a client saw an error although a node and its balancer were able.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Embedded,
    Mongodb,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // What was started is ended by the guards that the runtime drops with its tasks, so it is dropped in any case.
    let outcome = runtime.context("no runtime").and_then(|runtime| runtime.block_on(until_stopped(&cli)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn until_stopped(cli: &Cli) -> Result<bool> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        outcome = run_all(cli) => outcome,
        _ = interrupt.recv() => bail!("interrupted; everything that was started is ended"),
        _ = terminate.recv() => bail!("asked to end; everything that was started is ended"),
    }
}

/// Runs every seed; says whether all held.
async fn run_all(cli: &Cli) -> Result<bool> {
    let beside = std::env::current_exe()?;
    let programs = beside.parent().context("this program lies in no folder")?;
    let target = programs.parent().unwrap_or(programs);
    let out = target.join("chaos");
    std::fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    let seeds = cli.seeds.clone().unwrap_or(cli.seed..cli.seed + 1);
    let mut runs = Vec::new();
    for seed in seeds {
        let plan =
            Plan { seed, seconds: cli.seconds, n_clients: cli.clients.into(), kinds: kinds(cli, seed)? };
        let (plan, setup) = with_disk(plan, setup(cli, programs, target)?)?;
        let keep = cli.keep.as_ref().map(|keep| keep.join(format!("seed-{seed}")));
        let outcome = match run::run(&plan, &setup, keep.as_deref()).await {
            Ok(outcome) => outcome,
            // One that could not be judged is not one that held; the others are run all the same.
            Err(error) => Outcome::unjudged(&plan, &setup, &error),
        };
        tell(&outcome, &out)?;
        runs.push(outcome.summary);
    }
    if runs.len() > 1 {
        println!("{}", summary::table(&runs));
    }
    let held = runs.iter().all(Summary::held);
    let pleased = runs.iter().all(|run| run.n_errors() == 0);
    println!("{}", if held { "chaos: every run held" } else { "chaos: NOT every run held" });
    Ok(held && (pleased || !cli.strict))
}

/// Shows a run, and writes its numbers and stories below the target folder.
fn tell(outcome: &Outcome, out: &Path) -> Result<()> {
    let Outcome { summary, stories } = outcome;
    println!("{}{}", summary::table(std::slice::from_ref(summary)), summary::details(summary));
    let mut lines = std::fs::File::options().create(true).append(true).open(out.join("runs.jsonl"))?;
    writeln!(lines, "{}", summary.json())?;
    if !stories.is_empty() {
        let path = out.join(format!("seed-{}.txt", summary.seed));
        std::fs::write(&path, stories)?;
        println!("{}", stories.lines().take(SHOWN_LINES).collect::<Vec<_>>().join("\n"));
        println!("The whole stories: {}\n", path.display());
    }
    Ok(())
}

/// The faults that may happen in a run of this seed.
fn kinds(cli: &Cli, seed: u64) -> Result<Vec<Kind>> {
    let named = cli.faults.iter().filter(|name| *name != "none").map(|name| name.parse::<Kind>());
    let named = named.collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::msg)?;
    let all = if cli.faults.is_empty() { Kind::ALL.to_vec() } else { named.clone() };
    let has_disk = named.contains(&Kind::DiskFull) || seed % 2 == 1;
    let may_be = |kind: &Kind| match kind.target() {
        Target::Database => cli.store == Store::Mongodb,
        Target::Disk => cli.store == Store::Embedded && has_disk,
        _ => true,
    };
    Ok(all.into_iter().filter(may_be).collect())
}

fn setup(cli: &Cli, programs: &Path, target: &Path) -> Result<Setup> {
    let found = |given: &Option<PathBuf>, beside: PathBuf| {
        let path = given.clone().unwrap_or(beside);
        let path = path.canonicalize().with_context(|| format!("{} is not built", path.display()))?;
        anyhow::Ok(path)
    };
    let database = match cli.store {
        Store::Embedded => None,
        Store::Mongodb => Some(found(&cli.database, target.join("mongo-wire/mongo-wire"))?),
    };
    Ok(Setup {
        lb: found(&cli.lb, programs.join("balanza-lb"))?,
        backend: found(&cli.backend, programs.join("balanza-backend"))?,
        database,
        n_nodes: cli.nodes.into(),
        n_balancers: cli.balancers.into(),
        lb_arguments: cli.lb_argument.clone(),
        backend_arguments: cli.backend_argument.clone(),
        disk_mebibytes: None,
    })
}

/// Gives the nodes disks of their own where they are to be filled, or takes that fault out, loudly, where none can be
/// mounted.
fn with_disk(mut plan: Plan, mut setup: Setup) -> Result<(Plan, Setup)> {
    if plan.kinds.contains(&Kind::DiskFull) {
        let probe = tempfile::TempDir::new()?;
        match disk::Disk::mount(probe.path(), 1) {
            Ok(_) => setup.disk_mebibytes = Some(64 + 4 * plan.seconds),
            Err(error) => {
                println!("SKIPPED disk-full: {error:#}");
                plan.kinds.retain(|kind| *kind != Kind::DiskFull);
            }
        }
    }
    Ok((plan, setup))
}

fn seeds_of(text: &str) -> Result<std::ops::Range<u64>, String> {
    let numbers = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    numbers.filter(|seeds| !seeds.is_empty()).ok_or_else(|| format!("`{text}` is no range such as 0..10"))
}
