//! The stub nodes of `bench/stub`: how they are started and asked what they took.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::web;

use crate::programs::build;
use crate::programs::running::Running;

/// How one stub node begins and behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    /// Documents it says it holds at the start.
    pub(crate) documents: u64,
    /// What it waits before it answers a post.
    pub(crate) delay: Duration,
    /// Whether it knows only what a node of the old system knows.
    pub(crate) old: bool,
}

/// What a stub node took since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Documents it holds, those of the start included.
    pub(crate) documents: u64,
    /// Posts, single and bulk.
    pub(crate) posts: u64,
}

/// Starts `nodes` in one process with one worker thread.
pub(crate) fn start(name: &str, nodes: &[Node]) -> Result<(Running, Vec<SocketAddr>)> {
    let list = |value: fn(&Node) -> u128| {
        nodes.iter().map(|node| value(node).to_string()).collect::<Vec<_>>().join(",")
    };
    let mut command = Command::new(build::own("bench-stub"));
    command.arg(nodes.len().to_string());
    command.args([list(|node| node.documents.into()), list(|node| node.delay.as_micros())]);
    command.arg(list(|node| node.old.into()));
    let mut running = Running::start(name, &command)?;
    let addresses = running.wait_for("the addresses of its nodes", |output| {
        let addresses = output.lines().map(|line| line.strip_prefix("node http://")?.parse().ok());
        addresses.collect::<Option<Vec<SocketAddr>>>().filter(|addresses| addresses.len() == nodes.len())
    })?;
    Ok((running, addresses))
}

/// Starts two nodes of a kind, a process each.
pub(crate) fn pair(name: &str, node: Node) -> Result<(Vec<Running>, Vec<SocketAddr>)> {
    let (mut running, mut addresses) = (Vec::new(), Vec::new());
    for at in ["a", "b"] {
        let (stub, its) = start(&format!("{name}-{at}"), &[node])?;
        running.push(stub);
        addresses.extend(its);
    }
    Ok((running, addresses))
}

/// Asks the stub node at `address` what it took.
pub(crate) fn taken(address: SocketAddr) -> Result<Taken> {
    let (_, body) = web::get(&format!("http://{address}"), "/bench")?;
    let taken: Value = serde_json::from_str(&body).with_context(|| format!("{address} answered {body:?}"))?;
    let field = |name: &str| {
        taken.get(name).and_then(Value::as_u64).with_context(|| format!("no `{name}` in {taken}"))
    };
    Ok(Taken { documents: field("documents")?, posts: field("posts")? })
}
