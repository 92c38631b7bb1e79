//! What all threads of the balancer share: the routing state behind one lock, the counters, and the bounds of the node
//! side. The lock is held for single steps only and never across an await. Absent: sockets; choices, which are
//! `routing.rs`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use wire::Token;

use crate::config::{Config, LaneLimits, NodeConfig};
use crate::counters::Counters;
use crate::endpoint::Endpoint;
use crate::fleet::{Fleet, NodeKey, Turn};
use crate::network::Network;
use crate::routing::Routing;

/// What all threads share.
pub(crate) struct Balancer {
    routing: Mutex<Routing>,
    turns: mpsc::UnboundedSender<Turn>,
    /// The way to the nodes.
    pub(crate) network: Box<dyn Network>,
    /// What the nodes are shown, so that they take posts.
    pub(crate) node_token: Option<Token>,
    /// What happened since the start.
    pub(crate) counters: Counters,
    /// Bounds of the node side.
    pub(crate) lane_limits: LaneLimits,
    /// When the process came up.
    pub(crate) started: Instant,
    /// Opens the admin routes; without it they are closed.
    pub(crate) admin_token: Option<Token>,
    /// Told when nodes joined or left, so that the watches follow.
    pub(crate) nodes_changed: Notify,
    /// Feeds what is drawn at random, so that a run can be repeated.
    pub(crate) seed: u64,
    stopping: AtomicBool,
}

impl Balancer {
    /// A balancer over the configured nodes, all of them down until they are heard, and the turns of its fleet. `seed`
    /// feeds policies that draw.
    pub(crate) fn new(
        config: &Config,
        network: Box<dyn Network>,
        seed: u64,
        now: Instant,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Turn>) {
        let (turns, told) = mpsc::unbounded_channel();
        let mut fleet = Fleet::new(config.fleet, seed);
        for node in &config.nodes {
            fleet.add(&node.name, &node.url);
        }
        let balancer = Self {
            routing: Mutex::new(Routing::new(fleet)),
            turns,
            network,
            node_token: config.node_token.clone(),
            seed,
            counters: Counters::default(),
            lane_limits: config.lane.clone(),
            started: now,
            admin_token: config.admin_token.clone(),
            nodes_changed: Notify::new(),
            stopping: AtomicBool::new(false),
        };
        (Arc::new(balancer), told)
    }

    /// Does one step over the routing state, and hands on what turned by it, in the order in which it turned. Whoever
    /// needs time for what a step gives takes it afterwards: the lock is held for the step alone.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&mut Routing) -> T) -> T {
        let routing = &mut *self.routing.lock();
        let outcome = step(routing);
        for turn in routing.fleet.take_turns() {
            // Without anybody to tell it to, a turn is only not told.
            self.turns.send(turn).ok();
        }
        outcome
    }

    /// Name and address of a node, unless it was removed.
    pub(crate) fn node(&self, key: NodeKey) -> Option<(String, Endpoint)> {
        self.step(|routing| {
            let node = routing.fleet.node(key)?;
            Some((node.name.clone(), node.url.parse().ok()?))
        })
    }

    /// Makes the fleet that of `nodes`.
    pub(crate) fn set_nodes(&self, nodes: &[NodeConfig]) {
        let nodes = nodes.iter().map(|node| (node.name.as_str(), node.url.as_str()));
        self.step(|routing| routing.fleet.follow(nodes));
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
