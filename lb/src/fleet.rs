//! PURE. The nodes as the balancer sees them, and the one place where routing state changes. Choosing and reserving
//! are one step here, so whoever shares a fleet puts it behind one lock and holds it across [`Fleet::assign`] only.
//! What turns by an event is a value, kept for [`Fleet::take_turns`]. Absent: sockets, clocks, randomness, logs; the time
//! of every event is an argument.

mod health;
mod keys;
mod ledger;
mod node;
#[cfg(test)]
mod simulation;
mod turn;
mod view;

use std::time::{Duration, Instant};

use wire::{Report, Share, Usage};

pub use health::Hysteresis;
pub use ledger::{Mark, PollMark};
pub(crate) use node::epoch_number;
pub use node::{Load, Node, Protocol};
pub use turn::{Change, Turn};

use crate::homes::Home;
pub use crate::policy::NodeKey;
use crate::policy::{self, Candidate, Policy, Reason};
use crate::random::Random;
use keys::Keys;

/// What an operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How a node is picked.
    pub policy: Policy,
    /// When nodes turn up and down.
    pub hysteresis: Hysteresis,
    /// Age at which a reading of RAM and CPU expires.
    pub stale_after: Duration,
    /// Guard: most sentences under way to one node.
    pub max_in_flight: Option<u64>,
    /// Guard: of all sentences, the percent that a node far behind the others may take.
    pub ramp_percent: Option<u8>,
    /// How many documents behind the next node is far.
    pub ramp_gap: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            hysteresis: Hysteresis::default(),
            stale_after: Duration::from_secs(3),
            max_in_flight: None,
            ramp_percent: None,
            ramp_gap: 1_000,
        }
    }
}

/// A choice that is already reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The chosen node as the policy saw it, before this reservation.
    pub chosen: Candidate,
    /// What made the choice.
    pub reason: Reason,
}

impl Assignment {
    /// The chosen node.
    pub fn node(&self) -> NodeKey {
        self.chosen.node
    }
}

/// Why no node can take a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNode {
    /// The fleet is empty.
    #[error("no node is configured")]
    NoneConfigured,
    /// Every node is down or draining.
    #[error("none of the {configured} nodes can take a sentence: {down} down, {draining} draining")]
    NoneUp {
        /// Nodes in the fleet.
        configured: usize,
        /// Of these, down.
        down: usize,
        /// Of these, up but draining.
        draining: usize,
    },
    /// Every node that is up was tried for this sentence and refused it.
    #[error("each of the {tried} nodes that are up refused the sentence")]
    AllTried {
        /// Nodes tried.
        tried: usize,
    },
}

/// All nodes, and the state of the policy.
#[derive(Debug)]
pub struct Fleet {
    settings: Settings,
    /// In the order of their names, so that ties end on the name by position.
    nodes: Vec<Node>,
    /// Where each key's node stands in `nodes`.
    keys: Keys,
    /// What turned and was not taken yet.
    turns: Vec<Turn>,
    candidates: Vec<Candidate>,
    routed: u64,
    last_picked: Option<NodeKey>,
    random: Random,
    ramp_credit: u64,
}

impl Fleet {
    /// An empty fleet. `seed` feeds the policies that draw.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            nodes: Vec::new(),
            keys: Keys::default(),
            turns: Vec::new(),
            candidates: Vec::new(),
            routed: 0,
            last_picked: None,
            random: Random::new(seed),
            ramp_credit: 0,
        }
    }

    /// What the operator set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Adds a node, down until its first report. A name that is there already under this URL keeps its node; under
    /// another URL it is another node, and nothing that is known of the old one holds for it.
    pub fn add(&mut self, name: &str, url: &str) -> NodeKey {
        if let Some(known) = self.named(name) {
            let key = known.key;
            if known.url == url {
                return key;
            }
            self.remove(key);
        }
        let key = self.keys.fresh();
        let place = self.nodes.partition_point(|node| node.name.as_str() < name);
        self.nodes.insert(place, Node::new(key, name, url));
        self.keys.renumber(self.nodes.iter().map(|node| node.key));
        self.tell(name, Change::Joined { url: url.to_owned() });
        key
    }

    /// Removes a node. What is under way to it is still answered by its lane.
    pub fn remove(&mut self, key: NodeKey) {
        let Some(place) = self.keys.place(key).filter(|place| *place < self.nodes.len()) else { return };
        let gone = self.nodes.remove(place);
        self.keys.renumber(self.nodes.iter().map(|node| node.key));
        self.tell(&gone.name, Change::Left);
    }

    /// Makes the fleet that of `nodes`, each a name and its URL: what is gone leaves, what is new joins, the rest keeps
    /// its state.
    pub fn follow<'a>(&mut self, nodes: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        let stays = |node: &Node| nodes.clone().any(|new| new == (node.name.as_str(), node.url.as_str()));
        let gone: Vec<NodeKey> = self.nodes.iter().filter(|node| !stays(node)).map(|node| node.key).collect();
        for key in gone {
            self.remove(key);
        }
        for (name, url) in nodes {
            self.add(name, url);
        }
    }

    /// What has turned since this was last called.
    pub fn take_turns(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }

    /// How every node stands, as the turns that would have brought it there.
    pub fn standing(&self) -> Vec<Turn> {
        let change = |node: &Node| match node.down_because() {
            Some(because) => Change::Down { because: because.to_owned() },
            None if node.draining => Change::Draining,
            None => Change::Up,
        };
        self.nodes.iter().map(|node| Turn { node: node.name.clone(), change: change(node) }).collect()
    }

    fn tell(&mut self, node: &str, change: Change) {
        self.turns.push(Turn { node: node.to_owned(), change });
    }

    /// The nodes by name.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of `key`, unless it was removed.
    pub fn node(&self, key: NodeKey) -> Option<&Node> {
        self.nodes.get(self.keys.place(key)?)
    }

    fn node_mut(&mut self, key: NodeKey) -> Option<&mut Node> {
        self.nodes.get_mut(self.keys.place(key)?)
    }

    /// The node called `name`.
    pub fn named(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// `node`'s part of all sentences routed since the start.
    pub fn traffic(&self, node: &Node) -> Share {
        Share::of(node.routed, self.routed).unwrap_or(Share::NONE)
    }

    /// The numbers that the last [`Fleet::assign`] compared, by name.
    pub fn compared(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Chooses a node and reserves its place in one step, passing over the nodes in `avoid`.
    ///
    /// # Errors
    /// Says why no node can take a sentence; nothing is reserved then.
    pub fn assign(&mut self, now: Instant, avoid: &[NodeKey]) -> Result<Assignment, NoNode> {
        self.gather(now, avoid)?;
        let (chosen, reason) = self.pick().ok_or(NoNode::NoneConfigured)?;
        let only_one = self.candidates.len() == 1 && self.nodes.len() > 1;
        let reason = if only_one { Reason::Down } else { reason };
        self.routed += 1;
        if let Some(node) = self.node_mut(chosen.node) {
            node.routed += 1;
            node.ledger.reserve();
        }
        Ok(Assignment { chosen, reason })
    }

    /// Reserves a place on this node, which an operator may have taken out for new sentences; `None` where it cannot be
    /// asked.
    pub fn assign_to(&mut self, key: NodeKey, now: Instant) -> Option<Assignment> {
        let (stale_after, is_alone) = (self.settings.stale_after, self.nodes.len() == 1);
        let node = self.node_mut(key).filter(|node| node.is_within_reach())?;
        let chosen = node.candidate(now, stale_after);
        node.routed += 1;
        node.ledger.reserve();
        self.routed += 1;
        self.candidates.clear();
        self.candidates.push(chosen);
        let reason = if is_alone { Reason::FirstByName } else { Reason::Down };
        Some(Assignment { chosen, reason })
    }

    /// Whether a node has joined from which a first report may come at any moment.
    pub fn is_expecting(&self) -> bool {
        self.nodes.iter().any(|node| node.health.is_new() && !node.draining)
    }

    /// Whether a node other than `key` can be chosen for a sentence that may lie on `key`: one that can be asked for it
    /// later.
    pub fn has_refuge(&self, key: NodeKey) -> bool {
        self.nodes.iter().any(|node| node.key != key && node.is_last_resort() && node.has_store())
    }

    /// Sentences that may lie on the node are sent elsewhere: it is passed over until it was asked for them.
    pub fn must_reconcile(&mut self, key: NodeKey) {
        self.observe(key, |node| {
            node.unreconciled = true;
            node.left_in_doubt += 1;
        });
    }

    /// The node that leads to `home` could not be asked for a sentence that may lie there: it will be.
    pub(crate) fn was_not_asked(&mut self, home: Home) {
        let node = self.at_home(home).filter(|node| !node.unreconciled).map(|node| node.key);
        if let Some(node) = node {
            self.must_reconcile(node);
        }
    }

    /// The nodes that can be asked for sentences that may lie on them, and must be; each with a number for
    /// [`Fleet::reconciled`].
    pub fn to_be_reconciled(&self) -> Vec<(NodeKey, u64)> {
        let wanting = self.nodes.iter().filter(|node| node.must_be_reconciled());
        wanting.map(|node| (node.key, node.left_in_doubt)).collect()
    }

    /// Notes an error of the node that says nothing of its health.
    pub fn failed(&mut self, key: NodeKey, why: &str) {
        if let Some(node) = self.node_mut(key) {
            node.last_error = Some(why.to_owned());
        }
    }

    /// The node was asked for all sentences that may have lain on it when `as_of` was read.
    pub fn reconciled(&mut self, key: NodeKey, as_of: u64) {
        self.observe(key, |node| node.unreconciled &= node.left_in_doubt != as_of);
    }

    /// Posts to the node carry this number from now on.
    pub fn fenced(&mut self, key: NodeKey, fence: u64) {
        if let Some(node) = self.node_mut(key) {
            node.fence = Some(fence);
        }
    }

    /// Where the sentences of the node lie.
    pub(crate) fn lies_at(&mut self, key: NodeKey, home: Option<Home>) {
        if let Some(node) = self.node_mut(key) {
            node.home = home;
        }
    }

    /// The node whose sentences lie in `home`.
    pub(crate) fn at_home(&self, home: Home) -> Option<&Node> {
        self.nodes.iter().find(|node| node.home == Some(home))
    }

    /// Collects the nodes that can be chosen.
    fn gather(&mut self, now: Instant, avoid: &[NodeKey]) -> Result<(), NoNode> {
        self.candidates.clear();
        let stale_after = self.settings.stale_after;
        // A node that answers and is not up yet is better than none.
        for able in [Node::can_be_chosen, Node::is_last_resort] {
            let able = self.nodes.iter().filter(|node| able(node) && !avoid.contains(&node.key));
            self.candidates.extend(able.map(|node| node.candidate(now, stale_after)));
            if !self.candidates.is_empty() {
                return Ok(());
            }
        }
        let tried = self.nodes.iter().filter(|node| node.is_last_resort()).count();
        Err(match self.nodes.len() {
            0 => NoNode::NoneConfigured,
            _ if tried > 0 => NoNode::AllTried { tried },
            configured => {
                let draining = self.nodes.iter().filter(|node| node.is_within_reach()).count();
                NoNode::NoneUp { configured, down: configured - draining, draining }
            }
        })
    }

    fn pick(&mut self) -> Option<(Candidate, Reason)> {
        let policy = self.settings.policy;
        let chosen = match policy {
            Policy::CountRamCpu => return self.pick_by_rule(),
            Policy::RoundRobin => {
                // The last one may be gone or down by now: its turn ends where its name stood.
                let last = self.last_picked.and_then(|last| {
                    let place = self.keys.place(last)?;
                    self.candidates
                        .iter()
                        .rposition(|c| self.keys.place(c.node).is_some_and(|other| other <= place))
                });
                policy::in_turn(&self.candidates, last)
            }
            Policy::LeastInFlight => policy::least_in_flight(&self.candidates),
            Policy::P2c => policy::best_of_two(&self.candidates, self.random.draw()),
        };
        let chosen = *chosen?;
        self.last_picked = Some(chosen.node);
        Some((chosen, Reason::Policy(policy)))
    }

    /// The rule, and its guards where they are set.
    fn pick_by_rule(&mut self) -> Option<(Candidate, Reason)> {
        let (first, reason) = policy::by_rule(&self.candidates)?;
        let first = *first;
        let held_back = if self.is_overloaded(&first) {
            Reason::Overload
        } else if self.must_ramp(&first) {
            Reason::Ramp
        } else {
            return Some((first, reason));
        };
        let others: Vec<Candidate> = self
            .candidates
            .iter()
            .filter(|c| c.node != first.node && !self.is_overloaded(c))
            .copied()
            .collect();
        let next = policy::by_rule(&others).map(|(next, _)| (*next, held_back));
        // A guard only moves sentences: with no other place to go they go where the rule says.
        Some(next.unwrap_or((first, reason)))
    }

    fn is_overloaded(&self, candidate: &Candidate) -> bool {
        self.settings.max_in_flight.is_some_and(|most| candidate.in_flight >= most)
    }

    /// Whether the rule's first choice is far behind and has had its share for now.
    fn must_ramp(&mut self, first: &Candidate) -> bool {
        let Some(percent) = self.settings.ramp_percent else { return false };
        let others = self.candidates.iter().filter(|c| c.node != first.node);
        let next = others.filter_map(|c| c.documents).min();
        let far = match (first.documents, next) {
            (Some(own), Some(next)) => next.saturating_sub(own) > self.settings.ramp_gap,
            _ => false,
        };
        if !far {
            self.ramp_credit = 0;
            return false;
        }
        self.ramp_credit += u64::from(percent);
        if self.ramp_credit < 100 {
            return true;
        }
        self.ramp_credit -= 100;
        false
    }

    /// `n` sentences reserved for the node went on the wire.
    pub fn dispatched(&mut self, key: NodeKey, n: u64) {
        if let Some(node) = self.node_mut(key) {
            node.ledger.dispatch(n);
        }
    }

    /// The number that posts to the node carry.
    pub fn fence(&self, key: NodeKey) -> Option<u64> {
        self.node(key)?.fence
    }

    /// The node answered: `new` documents are stored, `known` were there before.
    pub fn stored(&mut self, key: NodeKey, new: u64, known: u64, mark: Option<Mark>) {
        self.settle(key, |node| {
            node.silent = false;
            node.ledger.settle(new, known, mark);
        });
    }

    /// `n` sentences are surely not stored on the node; `dispatched` says whether they had gone on the wire.
    pub fn released(&mut self, key: NodeKey, n: u64, dispatched: bool) {
        self.settle(key, |node| node.ledger.release(n, dispatched));
    }

    /// `n` sentences went on the wire and were given up without an answer.
    pub fn in_doubt(&mut self, key: NodeKey, n: u64) {
        self.settle(key, |node| node.ledger.doubt(n));
    }

    /// Ends what was under way to the node; the last of it finishes a drain.
    fn settle(&mut self, key: NodeKey, settle: impl FnOnce(&mut Node)) {
        let Some(node) = self.node_mut(key) else { return };
        let was_busy = node.in_flight() > 0;
        settle(node);
        if node.draining && was_busy && node.in_flight() == 0 {
            let name = node.name.clone();
            self.tell(&name, Change::Drained);
        }
    }

    /// A report came.
    pub fn reported(&mut self, key: NodeKey, report: &Report, now: Instant) {
        let hysteresis = self.settings.hysteresis;
        self.observe(key, |node| node.reported(report, now, hysteresis));
    }

    /// A poll of an old node begins.
    pub fn poll_began(&self, key: NodeKey) -> Option<PollMark> {
        self.node(key).map(|node| node.ledger.poll_began())
    }

    /// The poll of an old node ended.
    pub fn polled(&mut self, key: NodeKey, began: PollMark, usage: &Usage, now: Instant) {
        let hysteresis = self.settings.hysteresis;
        self.observe(key, |node| node.polled(began, usage, now, hysteresis));
    }

    /// The node could not be read.
    pub fn unreachable(&mut self, key: NodeKey, why: &str) {
        let hysteresis = self.settings.hysteresis;
        self.observe(key, |node| {
            node.last_error = Some(why.to_owned());
            node.health.failed(why, hysteresis);
        });
    }

    /// The node surely takes nothing now: it refused the connection.
    pub fn refused(&mut self, key: NodeKey, why: &str) {
        self.observe(key, |node| {
            node.last_error = Some(why.to_owned());
            node.health.fell(why);
        });
    }

    /// The node does not answer posts, which a slow node does not either: it leaves the rule, but only while another node
    /// is there.
    pub fn silent(&mut self, key: NodeKey, why: &str) {
        if self.nodes.iter().any(|node| node.key != key && node.can_be_chosen()) {
            return self.refused(key, why);
        }
        let Some(node) = self.node_mut(key) else { return };
        node.last_error = Some(why.to_owned());
        if !std::mem::replace(&mut node.silent, true) {
            let name = node.name.clone();
            self.tell(&name, Change::Silent { because: why.to_owned() });
        }
    }

    /// Takes in an event of the node's health, and tells it where the node turns by it.
    fn observe(&mut self, key: NodeKey, event: impl FnOnce(&mut Node)) {
        let Some(node) = self.node_mut(key) else { return };
        let was_up = node.is_up();
        event(node);
        if node.is_up() != was_up {
            let change = match node.down_because() {
                Some(because) => Change::Down { because: because.to_owned() },
                None => Change::Up,
            };
            let name = node.name.clone();
            self.tell(&name, change);
        }
    }

    /// Takes the node out for new sentences, or back in.
    pub fn set_draining(&mut self, key: NodeKey, draining: bool) {
        let Some(node) = self.node_mut(key) else { return };
        if std::mem::replace(&mut node.draining, draining) == draining {
            return;
        }
        let (name, is_idle) = (node.name.clone(), node.in_flight() == 0);
        self.tell(&name, if draining { Change::Draining } else { Change::Ready });
        if draining && is_idle {
            self.tell(&name, Change::Drained);
        }
    }

    /// Notes what the node understands.
    pub fn speaks(&mut self, key: NodeKey, protocol: Protocol) {
        if let Some(node) = self.node_mut(key) {
            node.protocol = Some(protocol);
        }
    }
}

#[cfg(test)]
mod tests;
