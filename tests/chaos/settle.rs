//! The end of a run: everything is made whole and awaited, and the nodes are read. Absent: comparing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::Value;
use wire::StoredSentence;
use wire::array::Cutter;

use crate::calm;
use crate::check::Held;
use crate::world::World;

/// How long a program may take to be back at the end.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How long a fleet may take to be at rest once everything is whole.
const CALM_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest sentence of a listing, in bytes.
const MAX_ELEMENT: usize = 1 << 20;

/// Makes everything whole: lines, programs, lists, orders. What does not come back is a trouble of the run.
pub(crate) async fn heal(world: &World) {
    for node in &world.nodes {
        node.line.set(None);
        node.line.accept(true);
        let mut server = node.server.lock().await;
        if let Err(error) = server.check() {
            world.trouble(format!("{error:#}"));
            server.kill();
        }
        if let Err(error) = server.start_again(BACK_WITHIN).await {
            world.trouble(format!("{error:#}"));
        }
    }
    for balancer in &world.balancers {
        let mut server = balancer.server.lock().await;
        if let Err(error) = server.check() {
            world.trouble(format!("{error:#}"));
            server.kill();
        }
        if let Err(error) = server.start_again(BACK_WITHIN).await {
            world.trouble(format!("{error:#}"));
        }
    }
    if let Err(error) = world.reload().await {
        world.trouble(format!("{error:#}"));
    }
    for (number, node) in world.nodes.iter().enumerate() {
        // The signal is taken at some time; the call is answered when it is done.
        if let Some(url) = world.listed_url(number) {
            world.order(Method::PUT, &format!("/fleet/{}", node.name), Some(World::put_of(&url))).await;
        }
        world.order(Method::POST, &format!("/fleet/{}/ready", node.name), None).await;
    }
}

/// Waits until every balancer sees a fleet at rest and no line holds a request back. That it takes too long is a trouble
/// of the run. Gives the milliseconds that it took.
pub(crate) async fn await_calm(world: &World) -> u64 {
    let start = Instant::now();
    while let Some(unrest) = unrest(world).await {
        if start.elapsed() > CALM_WITHIN {
            world.trouble(format!("the fleet is not at rest within {CALM_WITHIN:?}: {unrest}"));
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

async fn unrest(world: &World) -> Option<String> {
    if let Some(node) = world.nodes.iter().find(|node| node.line.n_held() > 0) {
        return Some(format!("on the line to {} are {} requests", node.name, node.line.n_held()));
    }
    for (number, balancer) in (1..).zip(&world.balancers) {
        match world.get(balancer.address, "/fleet").await {
            Ok(fleet) => {
                if let Some(unrest) = calm::unrest(&fleet, world.nodes.len()) {
                    return Some(format!("balancer {number}: {unrest}"));
                }
            }
            Err(error) => return Some(format!("balancer {number}: {error:#}")),
        }
    }
    None
}

/// Reads every node itself: its whole listing, and how many documents its report counts.
///
/// # Errors
/// When a node cannot be read to its end.
pub(crate) async fn read(world: &World) -> Result<Vec<Held>> {
    let client = reqwest::Client::new();
    let mut all = Vec::new();
    for node in &world.nodes {
        let copies = listing(&client, &format!("http://{}/sentence", node.address)).await;
        let copies = copies.with_context(|| format!("node {} cannot be read", node.name))?;
        let report = world.get(node.address, "/report").await?;
        let reported = report.get("documents").and_then(Value::as_u64).context("a report counts nothing")?;
        all.push(Held { node: node.name.clone(), copies, reported });
    }
    Ok(all)
}

async fn listing(client: &reqwest::Client, url: &str) -> Result<Vec<StoredSentence>> {
    let mut answer = client.get(url).send().await?.error_for_status()?;
    let (mut cutter, mut copies) = (Cutter::new(MAX_ELEMENT), Vec::new());
    while let Some(bytes) = answer.chunk().await? {
        cutter.push(&bytes);
        while let Some(element) = cutter.next_element()? {
            copies.push(serde_json::from_slice(element)?);
        }
    }
    if !cutter.is_whole() {
        bail!("its listing breaks off");
    }
    Ok(copies)
}
