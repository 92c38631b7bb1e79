//! What all threads of the balancer share: the fleet with its decisions behind one lock, and the counters. The lock is
//! held for single steps only and never across an await. Absent: sockets; the rule, which is in `policy.rs`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use wire::NodeState;

use crate::config::{Config, LaneLimits, NodeConfig};
use crate::decisions::Decisions;
use crate::endpoint::Endpoint;
use crate::fleet::{Assignment, Fleet, Node, NodeKey};
use crate::line::Line;
use crate::problem::Failure;
use crate::whereabouts::Whereabouts;

/// The fleet, and the decisions taken over it.
pub(crate) struct Routing {
    /// The nodes.
    pub(crate) fleet: Fleet,
    /// The newest choices.
    pub(crate) decisions: Decisions,
    /// Where ids have gone that may come again.
    pub(crate) whereabouts: Whereabouts,
}

/// A node for a sentence, already reserved.
pub(crate) struct Choice {
    /// The reservation.
    pub(crate) assignment: Assignment,
    /// Whether an earlier post of the same id went there.
    pub(crate) is_repeat: bool,
}

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

/// Counts since the start. They are read one by one, so two of them need not agree to the sentence.
#[derive(Default)]
pub(crate) struct Counters {
    /// Sentences answered as stored.
    pub(crate) stored: Counter,
    /// Sentences refused as faulty.
    pub(crate) invalid: Counter,
    /// Sentences refused because no node or no room was there.
    pub(crate) refused: Counter,
    /// Sentences given up in doubt.
    pub(crate) in_doubt: Counter,
    /// Sentences that went to another node after one did not store them.
    pub(crate) rerouted: Counter,
    /// Posts repeated to the same node after a silence or a broken connection.
    pub(crate) repeated: Counter,
    /// Posts to nodes; `stored / posts` is the mean batch.
    pub(crate) posts: Counter,
    /// Client connections accepted.
    pub(crate) connections: Counter,
    /// Client connections handed to the full HTTP server.
    pub(crate) handed_over: Counter,
}

/// One count.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Balancer {
    /// A balancer over the configured nodes, all of them down until they are heard. `seed` feeds policies that draw.
    pub(crate) fn new(config: &Config, seed: u64, now: Instant) -> Self {
        let mut fleet = Fleet::new(config.fleet, seed);
        for node in &config.nodes {
            fleet.add(&node.name, &node.url);
        }
        Self {
            routing: Mutex::new(Routing {
                fleet,
                decisions: Decisions::default(),
                whereabouts: Whereabouts::default(),
            }),
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

    /// Chooses a node for the sentence, reserves its place and records the decision, in one step. A client's id that
    /// has come before goes where it went then.
    pub(crate) fn choose(&self, line: &Line<'_>, now: Instant, tried: &[NodeKey]) -> Result<Choice, Failure> {
        let Routing { fleet, decisions, whereabouts } = &mut *self.routing();
        // A sentence that was tried somewhere is on its way already, and surely not stored there.
        let is_first = line.is_clients && tried.is_empty();
        let before = is_first.then(|| whereabouts.of(line.id)).flatten().and_then(|key| fleet.node(key));
        let before = before.map(|node| (node.key, node.name.clone()));
        let is_repeat = before.is_some();
        let assignment = match before {
            None => fleet.assign(now, tried).map_err(Failure::NoNode)?,
            Some((key, node)) => {
                let others: Vec<NodeKey> =
                    fleet.nodes().iter().map(|node| node.key).filter(|other| *other != key).collect();
                fleet.assign(now, &others).map_err(|_| Failure::InDoubt {
                    id: line.id,
                    node,
                    why: "an earlier post of this id went there, and it takes none now".to_owned(),
                })?
            }
        };
        if line.is_clients {
            whereabouts.note(line.id, assignment.node());
        }
        decisions.record(line.id, now, &assignment, fleet.compared());
        Ok(Choice { assignment, is_repeat })
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
