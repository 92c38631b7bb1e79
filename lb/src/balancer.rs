//! What all threads of the balancer share: the routing state behind one lock, the counters, and the bounds of the node
//! side. The lock is held for single steps only and never across an await. Absent: sockets; choices, which are
//! `routing.rs`'s.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use wire::NodeState;

use crate::config::{Config, LaneLimits, NodeConfig};
use crate::counters::Counters;
use crate::endpoint::Endpoint;
use crate::fleet::{Fleet, Node, NodeKey};
use crate::routing::Routing;

/// What all threads share.
pub(crate) struct Balancer {
    routing: Mutex<Routing>,
    /// What happened since the start.
    pub(crate) counters: Counters,
    /// Bounds of the node side.
    pub(crate) lane_limits: LaneLimits,
    /// When the process came up.
    pub(crate) started: Instant,
    /// Opens the admin routes; without it they are closed.
    pub(crate) admin_token: Option<String>,
    /// Told when nodes joined or left, so that the watches follow.
    pub(crate) nodes_changed: Notify,
    stopping: AtomicBool,
}

impl Balancer {
    /// A balancer over the configured nodes, all of them down until they are heard. `seed` feeds policies that draw.
    pub(crate) fn new(config: &Config, seed: u64, now: Instant) -> Self {
        let mut fleet = Fleet::new(config.fleet, seed);
        for node in &config.nodes {
            fleet.add(&node.name, &node.url);
        }
        Self {
            routing: Mutex::new(Routing::new(fleet)),
            counters: Counters::default(),
            lane_limits: config.lane.clone(),
            started: now,
            admin_token: config.admin_token.clone(),
            nodes_changed: Notify::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// The fleet and its decisions, for one step.
    pub(crate) fn routing(&self) -> MutexGuard<'_, Routing> {
        // A poisoned lock means a panic in pure code; the state is still the best there is.
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node surely takes nothing now.
    pub(crate) fn refused(&self, key: NodeKey, why: &str) {
        let fleet = &mut self.routing().fleet;
        if fleet.refused(key, why) {
            announce(fleet.node(key));
        }
    }

    /// The node could not be read.
    pub(crate) fn unreachable(&self, key: NodeKey, why: &str) {
        let fleet = &mut self.routing().fleet;
        if fleet.unreachable(key, why) {
            announce(fleet.node(key));
        }
    }

    /// The node does not answer posts: it leaves the rule, but only while another node is there.
    pub(crate) fn silent(&self, key: NodeKey, why: &str) {
        let fleet = &mut self.routing().fleet;
        let is_other = |node: &Node| node.key != key && node.state() == NodeState::Up;
        if !fleet.nodes().iter().any(is_other) {
            fleet.note_error(key, why);
        } else if fleet.refused(key, why) {
            announce(fleet.node(key));
        }
    }

    /// Name and address of a node, unless it was removed.
    pub(crate) fn node(&self, key: NodeKey) -> Option<(String, Endpoint)> {
        let routing = self.routing();
        let node = routing.fleet.node(key)?;
        Some((node.name.clone(), node.url.parse().ok()?))
    }

    /// Makes the fleet that of `nodes`: what is gone leaves, what is new joins, the rest keeps its state. A node whose
    /// URL has changed is another node.
    pub(crate) fn set_nodes(&self, nodes: &[NodeConfig]) {
        let fleet = &mut self.routing().fleet;
        let stays = |node: &Node| nodes.iter().any(|new| new.name == node.name && new.url == node.url);
        let gone: Vec<NodeKey> =
            fleet.nodes().iter().filter(|node| !stays(node)).map(|node| node.key).collect();
        for key in gone {
            fleet.remove(key);
        }
        for node in nodes {
            fleet.add(&node.name, &node.url);
        }
    }

    /// From now on connections are finished, not begun.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the balancer is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Logs the state of a node. Only turns are logged; the readings in between are in `GET /fleet`.
pub(crate) fn announce(node: Option<&Node>) {
    match node.map(|node| (node.name.as_str(), node.down_because())) {
        Some((node, None)) => tracing::info!(node, "node up"),
        Some((node, Some(why))) => tracing::warn!(node, why, "node down"),
        None => {}
    }
}
