//! `cargo xtask demo`: the whole system on this machine, with a real text sent through it.

mod system;
mod tally;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use xtask::command::{self, cargo};
use xtask::web;

use system::{Place, System, check_ports};
use tally::{Tally, aligned, verdict};

const TEXTS: [&str; 2] =
    ["tests/texts/newton-opticks-queries.txt", "tests/texts/eclesiastes-reina-valera.txt"];
/// How long a node that died stays away: long enough to see the balancer go round it.
const AWAY: Duration = Duration::from_secs(5);

/// What the demo takes.
#[derive(Args)]
pub(crate) struct Demo {
    /// End by itself, with a status that says whether everything was stored and balanced.
    #[arg(long)]
    exit: bool,
    /// How many nodes to start.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=50))]
    nodes: u16,
    /// The balancer's port; the nodes take the ports after it.
    #[arg(long, default_value_t = 4999, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: u16,
    /// Build with optimizations, which takes three times as long.
    #[arg(long)]
    release: bool,
}

impl Demo {
    /// Runs it.
    ///
    /// # Errors
    /// When something cannot be built or started, dies, or (with `--exit`) does not keep its promise.
    pub(crate) fn run(self) -> Result<()> {
        check_ports(self.base_port, self.nodes)?;
        let binaries = build(self.release)?;
        let stop = stop_signals()?;
        let folder = std::env::temp_dir().join(format!("balanza-demo-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let place = Place { binaries, folder: folder.clone(), base_port: self.base_port };
        let outcome = self.show(place, &stop);
        if outcome.is_ok() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("{} cannot be removed", folder.display()))?;
        } else {
            println!("\nStores and logs are kept in {}", folder.display());
        }
        outcome
    }

    fn show(&self, place: Place, stop: &Receiver<i32>) -> Result<()> {
        let binaries = place.binaries.clone();
        let mut system = System::start(place, self.nodes)?;
        let outcome = send(&binaries, &system);
        let verdict = match (outcome, system.check()) {
            // The death of a server explains a failed run better than the client's words.
            (_, Err(death)) | (Err(death), Ok(())) => Err(death),
            (Ok((sent, tally)), Ok(())) => report(&system, sent, &tally),
        };
        if self.exit {
            // Why something went wrong comes before how it ended.
            let stopped = system.stop();
            return verdict.and(stopped);
        }
        if let Err(error) = verdict {
            println!("\nSomething went wrong: {error:#}");
        }
        say_what_to_try(&system);
        let end = stay(&mut system, stop);
        let stopped = system.stop();
        end.and(stopped)
    }
}

/// Waits until someone wants the demo to end, or the balancer dies. A node that dies is started again after a while, as
/// a service manager would, so that whoever kills one sees what happens then.
fn stay(system: &mut System, stop: &Receiver<i32>) -> Result<()> {
    while let Some((at, name)) = system.await_death(stop)? {
        println!("\n{name} died. It comes back in {AWAY:?}; the balancer goes round it meanwhile.");
        if !matches!(stop.recv_timeout(AWAY), Err(RecvTimeoutError::Timeout)) {
            break;
        }
        let node = system.start_again(at)?;
        println!("{} is back, with the {} sentences that it held.", node.name(), count(node.url())?);
    }
    Ok(())
}

/// Builds what the tests build too, so that whoever tries the second command after the first does not wait twice.
fn build(release: bool) -> Result<PathBuf> {
    println!("Building the programs; the first time takes a few minutes.");
    let mut build =
        cargo(&["build", "--package", "backend", "--package", "lb", "--package", "client", "--bins"]);
    build.args(release.then_some("--release"));
    command::run(build)?;
    Ok(command::target_dir()?.join(if release { "release" } else { "debug" }))
}

/// Sends the texts with the real client; gives how many sentences they have and where each went.
fn send(binaries: &Path, system: &System) -> Result<(u64, Tally)> {
    println!("\nSending {}", TEXTS.join(" and "));
    let mut send = command::program(binaries.join("balanza"));
    // Fresh: an earlier demo at this address, broken off, had other nodes.
    send.arg("send").args(TEXTS).args(["--to", system.balancer.url(), "--json", "--fresh"]);
    let line = command::shown(&send);
    println!("$ {line}");
    let output = send.stderr(Stdio::inherit()).output().context("the client cannot be started")?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    let report: Value = serde_json::from_slice(&output.stdout).context("the client gave no JSON")?;
    let sentences =
        report.get("sentences").and_then(Value::as_u64).with_context(|| format!("no count in {report}"))?;
    let by_node =
        report.get("by_node").and_then(Value::as_object).with_context(|| format!("no nodes in {report}"))?;
    let mut tally = Tally::default();
    for (node, reasons) in by_node {
        for (reason, count) in reasons.as_object().into_iter().flatten() {
            tally.add(node, reason, count.as_u64().unwrap_or(0));
        }
    }
    Ok((sentences, tally))
}

fn report(system: &System, sent: u64, tally: &Tally) -> Result<()> {
    println!("\nWhere the sentences went, and why:\n{}", tally.table());
    let counts = system.nodes.iter().map(|node| count(node.url())).collect::<Result<Vec<_>>>()?;
    let rows =
        system.nodes.iter().zip(&counts).map(|(node, count)| vec![node.name().to_owned(), count.to_string()]);
    println!("What the nodes hold now:\n{}", aligned(&rows.collect::<Vec<_>>()));
    println!("The fleet, as the balancer sees it:\n{}", fleet(system.balancer.url())?);
    verdict(sent, tally, &counts).map_err(anyhow::Error::msg)?;
    println!("All {sent} sentences are stored, and the counts differ by 1 at most.");
    Ok(())
}

fn count(url: &str) -> Result<u64> {
    let (status, body) = web::get(url, "/usage")?;
    let usage: Value = serde_json::from_str(&body)?;
    usage
        .get("database")
        .and_then(Value::as_u64)
        .with_context(|| format!("{url}/usage answers {status} {body}"))
}

fn fleet(url: &str) -> Result<String> {
    let (status, body) = web::get(url, "/fleet")?;
    let view: Value = serde_json::from_str(&body)?;
    let nodes = view
        .get("nodes")
        .and_then(Value::as_array)
        .with_context(|| format!("{url}/fleet answers {status} {body}"))?;
    let percent =
        |share: &Value| share.as_u64().map_or("?".to_owned(), |points| format!("{}%", points / 100));
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let head = ["node", "state", "documents", "ram", "cpu", "source", "address"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(nodes.iter().map(|node| {
        vec![
            text(&node["name"]),
            text(&node["state"]),
            node["documents"].to_string(),
            percent(&node["ram"]),
            percent(&node["cpu"]),
            text(&node["source"]),
            text(&node["url"]),
        ]
    }));
    Ok(aligned(&rows))
}

fn say_what_to_try(system: &System) {
    let url = system.balancer.url();
    let page = match web::get(url, "/") {
        Ok((200, _)) => format!("The dashboard: {url}/"),
        _ => format!("The fleet: {url}/fleet"),
    };
    println!(
        "\nTry it:\n  curl -X POST {url}/sentence -H 'content-type: application/json' \
         -d '{{\"author\":\"Ana\",\"sentence\":\"Hola, balanza.\"}}'\n\n{page}\n\nCtrl-C ends the demo. A node \
         that you kill is started again."
    );
}

/// A channel that tells of Ctrl-C and of other wishes to end.
fn stop_signals() -> Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(signal)));
    Ok(receiver)
}
