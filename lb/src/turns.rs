//! The one place that tells what turns in the fleet: the log and the counters today, readers of events and alerts when
//! they come. Turns arrive in their order, and telling them holds up nobody. Absent: what turns, which is the fleet's.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::balancer::Balancer;
use crate::counters::Counters;
use crate::fleet::{Change, Turn};

/// Tells how every node stands at the start. What turned until then is counted and is in there.
pub(crate) fn tell_start(turns: &mut UnboundedReceiver<Turn>, balancer: &Balancer) {
    while let Ok(turn) = turns.try_recv() {
        count(&turn, &balancer.counters);
    }
    for turn in balancer.step(|routing| routing.fleet.standing()) {
        log(&turn);
    }
}

/// Tells turns for as long as the balancer lives.
pub(crate) async fn tell_all(mut turns: UnboundedReceiver<Turn>, balancer: Arc<Balancer>) {
    while let Some(turn) = turns.recv().await {
        count(&turn, &balancer.counters);
        log(&turn);
    }
}

fn count(turn: &Turn, counters: &Counters) {
    match turn.change {
        Change::Up => counters.rises.add(1),
        Change::Down { .. } => counters.falls.add(1),
        _ => {}
    }
}

/// Writes a turn into the log. Only turns are logged; the readings in between are in `GET /fleet`.
fn log(turn: &Turn) {
    let node = turn.node.as_str();
    match &turn.change {
        Change::Joined { url } => tracing::info!(node, url, "node joined"),
        Change::Left => tracing::info!(node, "node left"),
        Change::Up => tracing::info!(node, "node up"),
        Change::Down { because } => tracing::warn!(node, why = because, "node down"),
        Change::Silent { because } => {
            tracing::warn!(node, why = because, "node silent, and kept because no other is up");
        }
        Change::Draining => tracing::info!(node, "node draining"),
        Change::Drained => tracing::info!(node, "node drained: nothing is under way to it"),
        Change::Ready => tracing::info!(node, "node ready again"),
    }
}
