//! What all threads of the balancer share: the routing state behind one lock, the counters, and the bounds of the node
//! side. The lock is held for single steps only and never across an await. Absent: sockets; choices, which are
//! `routing.rs`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;
use wire::Token;

use crate::clock;
use crate::config::{Config, LaneLimits, NodeConfig};
use crate::counters::Counters;
use crate::doubt::Unreadable;
use crate::endpoint::Endpoint;
use crate::fleet::{Fleet, NodeKey, Turn};
use crate::journal::Journal;
use crate::network::Network;
use crate::routing::Routing;

/// What all threads share.
pub(crate) struct Balancer {
    routing: Mutex<Routing>,
    turns: mpsc::UnboundedSender<Turn>,
    /// What must outlive the process.
    pub(crate) journal: Journal,
    /// Told when sentences in doubt may be asked for.
    pub(crate) doubt_changed: Notify,
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
    /// The identity of this run, by which nodes count their balancers.
    pub(crate) run: Uuid,
    /// Feeds what is drawn at random, so that a run can be repeated.
    pub(crate) seed: u64,
    stopping: AtomicBool,
}

impl Balancer {
    /// A balancer over the configured nodes, all of them down until they are heard, and the turns of its fleet. The records
    /// are what an earlier run left in the journal. `seed` feeds policies that draw.
    ///
    /// # Errors
    /// The journal was not written by this program.
    pub(crate) fn new(
        config: &Config,
        network: Box<dyn Network>,
        (journal, records): (Journal, Vec<Vec<u8>>),
        seed: u64,
        now: Instant,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Turn>), Unreadable> {
        let (turns, told) = mpsc::unbounded_channel();
        let mut routing = Routing::new(Fleet::new(config.fleet, seed), now);
        // A lane looks at its clock between a deadline and the end of what it does then.
        for record in records {
            routing.doubt.replay(&record, &mut routing.homes)?;
        }
        for node in &config.nodes {
            routing.add(&node.name, &node.url, now);
        }
        let balancer = Self {
            routing: Mutex::new(routing),
            turns,
            journal,
            doubt_changed: Notify::new(),
            network,
            node_token: config.node_token.clone(),
            run: clock::fresh_id().0,
            seed,
            counters: Counters::default(),
            lane_limits: config.lane.clone(),
            started: now,
            admin_token: config.admin_token.clone(),
            nodes_changed: Notify::new(),
            stopping: AtomicBool::new(false),
        };
        Ok((Arc::new(balancer), told))
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

    /// Writes the journal anew where most of it is about sentences that are in doubt no more.
    pub(crate) async fn compact_journal(&self) {
        // What is written is read and queued in one step, so that no later record can stand before it.
        let writing = self.step(|routing| {
            let is_worth_it = self.journal.is_worth_compacting(&routing.doubt);
            is_worth_it.then(|| self.journal.rewrite(routing.doubt.records(&routing.homes)))
        });
        if let Some(writing) = writing
            && let Err(error) = writing.end().await
        {
            tracing::warn!(%error, "the in-doubt journal cannot be written anew");
        }
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
        self.step(|routing| routing.follow(nodes, clock::now()));
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
