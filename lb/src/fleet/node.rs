//! PURE. One node: its name, its health, its ledger and its newest load. Absent: the choice among nodes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use wire::{NodeState, Report, Share, Source, StoreId, Usage};

use super::NodeKey;
use super::health::{Health, Hysteresis};
use super::ledger::{Ledger, Mark, PollMark};
use crate::homes::Home;
use crate::policy::Candidate;

/// What a node understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Bulk posts with ids.
    Batch,
    /// One post a sentence, without ids: an old node.
    Single,
}

impl Protocol {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Single => "single",
        }
    }
}

/// RAM and CPU as a node last told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Used share of memory.
    pub ram: Option<Share>,
    /// Busy share of the CPUs.
    pub cpu: Option<Share>,
    /// Where they come from, where the node says so.
    pub source: Option<Source>,
    /// When the balancer got them.
    pub at: Instant,
    /// The node's run and its count of reports: a repeated pair is a frozen reading.
    sequence: Option<(u64, u64)>,
}

/// A node as the balancer sees it.
#[derive(Debug)]
pub struct Node {
    /// Its key.
    pub key: NodeKey,
    /// Its name, unique in the fleet.
    pub name: String,
    /// Where the balancer reaches it.
    pub url: String,
    /// Whether an operator took it out.
    pub draining: bool,
    /// Whether it leaves posts unanswered, as far as was told.
    pub(super) silent: bool,
    /// The newest error, in words.
    pub last_error: Option<String>,
    /// What it understands, once that is known.
    pub protocol: Option<Protocol>,
    /// Its newest load.
    pub load: Option<Load>,
    /// Sentences that were chosen for it.
    pub routed: u64,
    /// The identity of its store, once it has told one.
    pub store: Option<StoreId>,
    /// The place where its sentences lie, once it has told its store.
    pub(crate) home: Option<Home>,
    /// The number that posts to it carry, where it tells one.
    pub fence: Option<u64>,
    /// Whether sentences that may lie on it were sent elsewhere, and it was not asked for them since.
    pub(super) unreconciled: bool,
    /// How often such sentences were sent elsewhere, so that none slips in while the others are asked for.
    pub(super) left_in_doubt: u64,
    pub(super) health: Health,
    pub(super) ledger: Ledger,
}

impl Node {
    pub(super) fn new(key: NodeKey, name: &str, url: &str) -> Self {
        Self {
            key,
            name: name.to_owned(),
            url: url.to_owned(),
            draining: false,
            silent: false,
            last_error: None,
            protocol: None,
            load: None,
            routed: 0,
            store: None,
            home: None,
            fence: None,
            unreconciled: false,
            left_in_doubt: 0,
            health: Health::default(),
            ledger: Ledger::default(),
        }
    }

    /// Its state in `GET /fleet`.
    pub fn state(&self) -> NodeState {
        match (self.is_up(), self.draining) {
            (false, _) => NodeState::Down,
            (true, true) => NodeState::Draining,
            (true, false) => NodeState::Up,
        }
    }

    /// Why it is down.
    pub fn down_because(&self) -> Option<&str> {
        let reconciling = "it is asked for sentences that were sent elsewhere while it was silent";
        self.health.down_because().or(self.unreconciled.then_some(reconciling))
    }

    /// Whether it takes sentences, as far as an operator lets it.
    pub(super) fn is_up(&self) -> bool {
        self.health.is_up() && !self.unreconciled
    }

    /// Whether it answered last, so that it can be asked.
    pub fn is_within_reach(&self) -> bool {
        self.health.is_within_reach()
    }

    /// Whether it can be asked for sentences that may lie on it.
    pub fn must_be_reconciled(&self) -> bool {
        self.unreconciled && self.is_within_reach()
    }

    /// Whether its store has an identity, so that it can be asked later for what it was sent.
    pub fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// Documents as the rule counts them.
    pub fn documents(&self) -> Option<u64> {
        self.ledger.count()
    }

    /// Sentences chosen for it and not yet answered.
    pub fn in_flight(&self) -> u64 {
        self.ledger.in_flight()
    }

    /// Documents that it acknowledged to this balancer.
    pub fn stored(&self) -> u64 {
        self.ledger.stored()
    }

    /// Its load, unless that has expired.
    pub fn fresh_load(&self, now: Instant, stale_after: Duration) -> Option<&Load> {
        self.load.as_ref().filter(|load| now.saturating_duration_since(load.at) <= stale_after)
    }

    pub(super) fn can_be_chosen(&self) -> bool {
        self.is_up() && !self.draining
    }

    /// Whether it can be chosen where no other can.
    pub(super) fn is_last_resort(&self) -> bool {
        self.is_within_reach() && !self.draining
    }

    pub(super) fn candidate(&self, now: Instant, stale_after: Duration) -> Candidate {
        let age = self.load.as_ref().map(|load| now.saturating_duration_since(load.at));
        let load = self.load.as_ref().filter(|_| age.is_some_and(|age| age <= stale_after));
        Candidate {
            node: self.key,
            documents: self.ledger.count(),
            ram: load.and_then(|load| load.ram).map(Share::percent),
            cpu: load.and_then(|load| load.cpu).map(Share::percent),
            in_flight: self.ledger.in_flight(),
            age_ms: age.map(whole_millis),
        }
    }

    pub(super) fn reported(&mut self, report: &Report, now: Instant, hysteresis: Hysteresis) {
        self.store = report.store;
        self.fence = report.fence;
        let epoch = epoch_number(&report.epoch);
        self.ledger.observe(Mark { epoch, revision: report.revision, documents: report.documents });
        let sequence = Some((epoch, report.seq));
        let frozen = self.load.is_some_and(|load| load.sequence == sequence);
        if !frozen {
            let (ram, cpu) = if report.valid { (report.ram, report.cpu) } else { (None, None) };
            self.load = Some(Load { ram, cpu, source: Some(report.source), at: now, sequence });
        }
        if report.ready {
            self.health.good(hysteresis);
        } else {
            let why = report.not_ready_because.as_deref().unwrap_or("the node says that it is not ready");
            self.health.fell(why);
        }
    }

    pub(super) fn polled(&mut self, began: PollMark, usage: &Usage, now: Instant, hysteresis: Hysteresis) {
        // An old node has neither, even if another one was here before it.
        (self.store, self.fence) = (None, None);
        self.ledger.polled(began, usage.database);
        self.load = Some(Load { ram: usage.ram(), cpu: usage.cpu(), source: None, at: now, sequence: None });
        self.health.good(hysteresis);
    }
}

/// In milliseconds, at most what fits. `Duration::as_millis` would divide 128-bit numbers, once for every candidate.
fn whole_millis(age: Duration) -> u32 {
    let millis = age.as_secs().saturating_mul(1_000).saturating_add(u64::from(age.subsec_millis()));
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// Epochs only need to differ, so a number stands for the text.
pub(crate) fn epoch_number(epoch: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    epoch.hash(&mut hasher);
    hasher.finish()
}
