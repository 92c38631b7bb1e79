//! Does what the schedule says, and undoes it. Absent: the schedule, and what the lines do.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;

use crate::fault::{Kind, Target};
use crate::proxy::trick::Window;
use crate::random::Random;
use crate::schedule::Planned;
use crate::world::World;

/// A program that was killed may need so long to be back: its database may be gone, its disk full, the machine busy.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Waits for a fault's time, lets it happen, and ends it. What goes wrong in that is noted as a trouble of the run.
pub(crate) async fn suffer(world: Arc<World>, fault: Planned, mut random: Random) {
    world.until_ms(fault.at_ms).await;
    let done = match fault.kind.target() {
        Target::Node => node(&world, &fault).await,
        Target::Balancer => balancer(&world, &fault).await,
        Target::Fleet => fleet(&world, &fault, &mut random).await,
        Target::Database => database(&world, &fault).await,
        Target::Disk => disk(&world, &fault).await,
        Target::Line => line(&world, &fault).await,
    };
    if let Err(error) = done {
        world.trouble(format!("{} of {}: {error:#}", fault.kind, fault.target));
    }
}

async fn node(world: &World, fault: &Planned) -> Result<()> {
    let Some(node) = world.nodes.get(fault.target) else { return Ok(()) };
    let mut server = node.server.lock().await;
    server.check()?;
    let place = world.disturb(fault.kind, fault.target);
    match fault.kind {
        Kind::NodeStop => {
            server.pause();
            world.until_ms(fault.until_ms).await;
            server.resume();
        }
        kind => {
            node.line.accept(false);
            if kind == Kind::NodeKill {
                server.kill();
            } else if let Some(status) = server.terminate().await?
                && !status.success()
            {
                world.trouble(format!("node {} ended with {status} on SIGTERM", node.name));
            }
            world.until_ms(fault.until_ms).await;
            server.start_again(BACK_WITHIN).await?;
            node.line.accept(true);
        }
    }
    world.relieve(place);
    Ok(())
}

async fn balancer(world: &World, fault: &Planned) -> Result<()> {
    let Some(balancer) = world.balancers.get(fault.target) else { return Ok(()) };
    let mut server = balancer.server.lock().await;
    server.check()?;
    let place = world.disturb(fault.kind, fault.target);
    match fault.kind {
        Kind::LbStop => {
            server.pause();
            world.until_ms(fault.until_ms).await;
            server.resume();
        }
        kind => {
            if kind == Kind::LbKill {
                server.kill();
            } else if let Some(status) = server.terminate().await?
                && !status.success()
            {
                world.trouble(format!("{} ended with {status} on SIGTERM", server.name()));
            }
            world.until_ms(fault.until_ms).await;
            server.start_again(BACK_WITHIN).await?;
        }
    }
    world.relieve(place);
    Ok(())
}

async fn fleet(world: &World, fault: &Planned, random: &mut Random) -> Result<()> {
    let Some(node) = world.nodes.get(fault.target) else { return Ok(()) };
    let path = format!("/fleet/{}", node.name);
    let place = world.disturb(fault.kind, fault.target);
    match fault.kind {
        Kind::Reload => {
            world.readdress(fault.target, true, random);
            world.reload().await?;
        }
        Kind::Readdress => {
            if let Some(url) = world.readdress(fault.target, false, random) {
                world.order(Method::PUT, &path, Some(World::put_of(&url))).await;
            }
        }
        Kind::Readd => {
            world.order(Method::DELETE, &path, None).await;
            world.until_ms(fault.until_ms).await;
            if let Some(url) = world.readdress(fault.target, false, random) {
                world.order(Method::PUT, &path, Some(World::put_of(&url))).await;
            }
        }
        _ => {
            world.order(Method::POST, &format!("{path}/drain"), None).await;
            world.until_ms(fault.until_ms).await;
            world.order(Method::POST, &format!("{path}/ready"), None).await;
        }
    }
    world.relieve(place);
    Ok(())
}

async fn database(world: &World, fault: &Planned) -> Result<()> {
    let Some(node) = world.nodes.get(fault.target) else { return Ok(()) };
    let Some(database) = &node.database else { return Ok(()) };
    let mut database = database.lock().await;
    let place = world.disturb(fault.kind, fault.target);
    if fault.kind == Kind::DatabaseStop {
        database.pause(true);
        world.until_ms(fault.until_ms).await;
        database.pause(false);
    } else {
        database.kill();
        world.until_ms(fault.until_ms).await;
        database.start_again().await?;
    }
    world.relieve(place);
    Ok(())
}

async fn disk(world: &World, fault: &Planned) -> Result<()> {
    let Some(disk) = world.nodes.get(fault.target).and_then(|node| node.disk.as_ref()) else { return Ok(()) };
    let place = world.disturb(fault.kind, fault.target);
    let filled = disk.fill();
    world.until_ms(fault.until_ms).await;
    disk.empty();
    world.relieve(place);
    filled
}

async fn line(world: &World, fault: &Planned) -> Result<()> {
    let Some(node) = world.nodes.get(fault.target) else { return Ok(()) };
    let place = world.disturb(fault.kind, fault.target);
    node.line.set(Some(Window { kind: fault.kind, percent: fault.percent }));
    world.until_ms(fault.until_ms).await;
    node.line.set(None);
    world.relieve(place);
    Ok(())
}
