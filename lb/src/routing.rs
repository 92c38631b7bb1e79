//! PURE. Where sentences go: the fleet, the decisions taken over it, the ids that are known to be somewhere, and those that
//! may be in more than one place. Choosing a node, reserving its place and noting both are one step. Absent: the lock
//! around that step; the rule, which is in `policy.rs`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use wire::{Date, FleetView, Problem, Report, SentenceId};

use crate::decisions::Decisions;
use crate::doubt::{self, Doubt};
use crate::fleet::{Assignment, Fleet, NodeKey, Protocol};
use crate::homes::{Home, Homes};
use crate::known_ids::KnownIds;
use crate::problem::Failure;
use crate::sentence::Sentence;

/// An id of version 7 that is younger than this was surely not posted before: this balancer would still know it.
const FRESH: Duration = Duration::from_secs(1);
/// How long another balancer counts as there once no node tells of it any more.
const COMPANY: Duration = Duration::from_secs(60);
/// How long a node that left the fleet is taken for one that may come back, with what it holds.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// How long after its start a balancer takes every client's id for one that an earlier run may have sent somewhere. It
/// is also how far a client's clock may be ahead.
const WARY: Duration = Duration::from_secs(30);

/// The fleet, and what was decided over it.
pub(crate) struct Routing {
    /// The nodes.
    pub(crate) fleet: Fleet,
    /// The newest choices.
    pub(crate) decisions: Decisions,
    /// Where ids have gone that may come again.
    pub(crate) known_ids: KnownIds,
    /// The places where sentences lie.
    pub(crate) homes: Homes,
    /// The sentences that may lie in more than one.
    pub(crate) doubt: Doubt,
    started: Instant,
    /// When a node last told that more than one balancer reads its reports.
    company: Option<Instant>,
    /// The places whose nodes this run has fenced, or is about to.
    acquainted: HashSet<Home>,
}

/// The moment of a choice, on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// For ages and deadlines.
    pub(crate) now: Instant,
    /// For dates.
    pub(crate) wall: Date,
}

/// Where a sentence has been on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journey {
    /// Nodes that do not get it any more: they surely did not store it now, or were left in doubt.
    pub(crate) tried: Vec<NodeKey>,
    /// The place in which it may lie already, by this post or by an earlier one.
    pub(crate) may_lie: Option<Home>,
    /// Whether the sentence was noted as in doubt when it was sent on.
    pub(crate) is_noted: bool,
}

/// What the nodes that can be asked said of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The places that hold it.
    pub(crate) holders: Vec<Home>,
    /// Places that could not be asked.
    pub(crate) away: Vec<Home>,
}

/// What follows for a sentence.
pub(crate) enum Chosen {
    /// It goes to a node, whose place is reserved.
    To(Choice),
    /// The nodes must be asked first whether they hold it.
    AskFirst,
}

/// A node for a sentence, already reserved.
pub(crate) struct Choice {
    /// The reservation.
    pub(crate) assignment: Assignment,
    /// The place in which the sentence may lie already, where the node leads there.
    pub(crate) may_lie: Option<Home>,
    /// Whether the sentence is in doubt, so that the end of this post matters.
    pub(crate) is_noted: bool,
    /// The record that must be on disk before the sentence is sent: it may lie elsewhere too.
    pub(crate) record: Option<Vec<u8>>,
}

impl Routing {
    /// Nothing is decided yet.
    pub(crate) fn new(fleet: Fleet, started: Instant) -> Self {
        Self {
            fleet,
            decisions: Decisions::default(),
            known_ids: KnownIds::default(),
            homes: Homes::default(),
            doubt: Doubt::default(),
            started,
            company: None,
            acquainted: HashSet::new(),
        }
    }

    /// Chooses a node for the sentence, none of those tried, and reserves its place. One that may lie somewhere goes there;
    /// where that cannot be had it goes elsewhere, and is in doubt from then on. `finding` is what the nodes said of it,
    /// once they were asked.
    ///
    /// # Errors
    /// Says why no node can take the sentence; nothing is reserved then.
    pub(crate) fn choose(
        &mut self,
        sentence: &Sentence<'_>,
        at: Moment,
        journey: &Journey,
        finding: Option<&Finding>,
    ) -> Result<Chosen, Failure> {
        let id = sentence.id;
        let known = self.known(sentence);
        let is_first = finding.is_none() && journey.tried.is_empty();
        let homes: Vec<Home> = self.doubt.homes(id).chain(known).chain(journey.may_lie).collect();
        if is_first && sentence.is_clients && self.company.is_some() && !homes.is_empty() {
            // Another balancer may have moved it since from where it went by this one, however long ago that has ended.
            return Ok(Chosen::AskFirst);
        }
        let holders = finding.map(|finding| finding.holders.as_slice()).unwrap_or_default();
        let unheard_of: Vec<Home> = holders.iter().filter(|home| !homes.contains(home)).copied().collect();
        if !homes.is_empty()
            && !unheard_of.is_empty()
            && let Some(choice) = self.of_holders(id, at, holders, &homes)
        {
            return Ok(Chosen::To(choice));
        }
        if let Some(choice) = self.first_within_reach(&homes, &unheard_of, id, at, journey) {
            return Ok(Chosen::To(choice));
        }
        let mut left: Vec<Home> = journey.may_lie.into_iter().chain(self.doubt.homes(id).next()).collect();
        // A node that was tried surely does not hold it by that, or it would be where the sentence may lie.
        left.extend(known.filter(|home| {
            let node = self.fleet.at_home(*home);
            !node.is_some_and(|node| journey.tried.contains(&node.key))
        }));
        let is_surely_sent = match finding {
            _ if !left.is_empty() => true,
            None if is_first && self.may_be_repeat(sentence, at) => return Ok(Chosen::AskFirst),
            None => false,
            Some(finding) => {
                if let Some(choice) = self.of_holders(id, at, holders, &[]) {
                    return Ok(Chosen::To(choice));
                }
                let away = finding.away.iter().map(|home| self.known_by_now(*home));
                left = away.chain(finding.holders.iter().copied()).collect();
                !finding.holders.is_empty()
            }
        };
        left.extend(unheard_of.iter().filter(|_| !homes.is_empty()));
        self.by_rule(sentence, at, &journey.tried, &left, is_surely_sent)
    }

    /// Whether a repeat of the sentence was faster than its earlier post, which still waits for the node of `home`, and went
    /// elsewhere.
    pub(crate) fn has_gone_elsewhere(&self, id: SentenceId, home: Home) -> bool {
        let newest = self.doubt.homes(id).next().or_else(|| self.known_ids.of(id));
        newest.is_some_and(|newest| newest != home)
    }

    fn known(&self, sentence: &Sentence<'_>) -> Option<Home> {
        let home = if sentence.is_clients { self.known_ids.of(sentence.id)? } else { return None };
        // What was known by the name of a node alone counts for as long as that node is there.
        let is_store = self.homes.name(home).is_some_and(|name| name.store.is_some());
        (is_store || self.fleet.at_home(home).is_some()).then_some(home)
    }

    /// The place of a node that was asked, which may have told its store since.
    fn known_by_now(&self, home: Home) -> Home {
        let name = self.homes.name(home).filter(|name| name.store.is_none());
        name.and_then(|name| self.fleet.named(&name.node)?.home).unwrap_or(home)
    }

    /// The sentence goes to the first of these places that can be had. It lies in those `unheard_of` too.
    fn first_within_reach(
        &mut self,
        homes: &[Home],
        unheard_of: &[Home],
        id: SentenceId,
        at: Moment,
        journey: &Journey,
    ) -> Option<Choice> {
        homes.iter().find_map(|home| {
            let node = self.fleet.at_home(*home).filter(|node| !journey.tried.contains(&node.key))?.key;
            let left = journey.may_lie.iter().chain(unheard_of).filter(|left| *left != home);
            self.back_to(id, node, at, &left.copied().collect::<Vec<_>>())
        })
    }

    /// The sentence goes to a node that holds it. Where several do, or where it may lie in `homes` too, all copies but one
    /// will be taken back.
    fn of_holders(&mut self, id: SentenceId, at: Moment, holders: &[Home], homes: &[Home]) -> Option<Choice> {
        holders.iter().find_map(|holder| {
            let node = self.fleet.at_home(*holder)?.key;
            let others = holders.iter().chain(homes).filter(|other| *other != holder);
            self.back_to(id, node, at, &others.copied().collect::<Vec<_>>())
        })
    }

    /// The sentence goes to the node that may hold it, although it may lie in the places `left` too.
    fn back_to(&mut self, id: SentenceId, node: NodeKey, at: Moment, left: &[Home]) -> Option<Choice> {
        let assignment = self.fleet.assign_to(node, at.now)?;
        self.decisions.record(id, at.now, &assignment, self.fleet.compared());
        let home = self.home_of(node);
        if let Some(home) = home {
            self.known_ids.note(id, home);
        }
        let is_noted = !left.is_empty() || self.doubt.homes(id).next().is_some();
        // Without a new place there is nothing new to write down, where everything is written.
        let is_news = !left.is_empty() || self.doubt.is_unwritten(id);
        let record = home.filter(|_| is_noted).and_then(|home| {
            self.note_doubt(id, left, home, at);
            is_news.then(|| self.record_of(id))
        });
        Some(Choice { assignment, may_lie: home, is_noted, record })
    }

    /// Notes that the sentence is sent to `to` although it may lie in the places `left`: their nodes are asked for it before
    /// they are up.
    fn note_doubt(&mut self, id: SentenceId, left: &[Home], to: Home, at: Moment) {
        self.doubt.sent(id, left, to, at.wall);
        for left in left {
            let node = self.fleet.at_home(*left).map(|node| node.key);
            node.into_iter().for_each(|node| self.fleet.must_reconcile(node));
        }
    }

    /// The record for the journal that must be written before the sentence is sent.
    fn record_of(&mut self, id: SentenceId) -> Vec<u8> {
        self.doubt.handed_in(id);
        self.doubt.record(&[id], &self.homes)
    }

    /// The sentence goes to the node that the rule chooses, although it may lie in the places `left`.
    fn by_rule(
        &mut self,
        sentence: &Sentence<'_>,
        at: Moment,
        tried: &[NodeKey],
        left: &[Home],
        is_surely_sent: bool,
    ) -> Result<Chosen, Failure> {
        let id = sentence.id;
        let mut avoid = tried.to_vec();
        if !left.is_empty() {
            // A node that cannot be asked later is no place for a sentence of which one copy may have to go.
            let unasked = |home: &Home| self.homes.name(*home).is_none_or(|name| name.store.is_none());
            let why = if self.doubt.is_full() {
                Some("there are too many such sentences")
            } else if is_surely_sent && left.iter().any(unasked) {
                Some("it cannot be asked for it later")
            } else {
                None
            };
            if let Some(why) = why {
                return Err(self.in_doubt(id, left, why));
            }
            avoid.extend(self.fleet.nodes().iter().filter(|node| !node.has_store()).map(|node| node.key));
        }
        let assigned = self.fleet.assign(at.now, &avoid);
        let assignment = assigned.map_err(|no_node| match is_surely_sent {
            true => self.in_doubt(id, left, &no_node.to_string()),
            false => Failure::NoNode(no_node),
        })?;
        self.decisions.record(id, at.now, &assignment, self.fleet.compared());
        let matters = sentence.is_clients || !left.is_empty();
        let home = if matters { self.home_of(assignment.node()) } else { None };
        if sentence.is_clients
            && let Some(home) = home
        {
            self.known_ids.note(id, home);
        }
        let record = home.filter(|_| !left.is_empty()).map(|home| {
            self.note_doubt(id, left, home, at);
            self.record_of(id)
        });
        Ok(Chosen::To(Choice { assignment, may_lie: None, is_noted: record.is_some(), record }))
    }

    /// The sentence is not sent to the node after all, because what must be on disk before cannot be written.
    pub(crate) fn withdraw(&mut self, id: SentenceId, node: NodeKey, why: &str) -> Failure {
        self.fleet.released(node, 1, false);
        let first = self.doubt.withdraw(id);
        if let Some(home) = first {
            self.known_ids.note_doubt(id, home);
        }
        self.in_doubt(id, first.as_slice(), why)
    }

    /// What is told of a sentence that could not go on, because of `why`, although it may lie somewhere.
    pub(crate) fn in_doubt_because(&self, id: SentenceId, may_lie: Option<Home>, why: Failure) -> Failure {
        if why.is_in_doubt() {
            return why;
        }
        let first = self.doubt.homes(id).last().or(may_lie);
        self.in_doubt(id, first.as_slice(), &Problem::from(why).detail)
    }

    fn in_doubt(&self, id: SentenceId, left: &[Home], why: &str) -> Failure {
        let name = left.last().and_then(|home| self.homes.name(*home));
        let node = name.map(|name| name.node.clone()).unwrap_or_default();
        let why = format!("an earlier post of this id went there, it takes none now, and {why}");
        Failure::InDoubt { id, node, why }
    }

    /// Whether the sentence may have been posted before, by way of an earlier run of this balancer or of another one, or so
    /// long ago that it is forgotten here.
    fn may_be_repeat(&self, sentence: &Sentence<'_>, at: Moment) -> bool {
        let is_alone =
            || self.fleet.nodes().len() < 2 && self.homes.left_within(REMEMBERED, at.now).next().is_none();
        if !sentence.is_clients || is_alone() {
            return false;
        }
        let is_wary = at.now.saturating_duration_since(self.started) < WARY || self.has_company(at.now);
        is_wary || age(sentence.id, at.wall).is_none_or(|age| age > FRESH)
    }

    /// Whether a sentence that may lie in `home` can go elsewhere: the place must be one that can be asked later, and there
    /// must be another node than `key` that can be asked too.
    pub(crate) fn has_refuge(&self, key: NodeKey, home: Home) -> bool {
        let can_be_asked = self.homes.name(home).is_some_and(|name| name.store.is_some());
        can_be_asked && !self.doubt.is_full() && self.fleet.has_refuge(key)
    }

    /// Whether another balancer is in front of the same nodes, or was not long ago.
    pub(crate) fn has_company(&self, now: Instant) -> bool {
        self.company.is_some_and(|last| now.saturating_duration_since(last) < COMPANY)
    }

    /// Where the sentences of a node lie.
    pub(crate) fn home_of(&mut self, key: NodeKey) -> Option<Home> {
        let node = self.fleet.node(key)?;
        if node.home.is_none() {
            let home = self.homes.of_node(&node.name);
            self.fleet.lies_at(key, Some(home));
        }
        self.fleet.node(key)?.home
    }

    /// Which nodes can be asked whether they hold a sentence, each with its place, and the places that cannot be asked now,
    /// those of nodes that left not long ago among them. Old nodes know no ids: they are neither. A node may leave while it
    /// is asked; its place stays.
    pub(crate) fn near_and_away(&mut self, now: Instant) -> (Vec<(NodeKey, Home)>, Vec<Home>) {
        let keys: Vec<NodeKey> = self.fleet.nodes().iter().map(|node| node.key).collect();
        let (mut near, mut away) = (Vec::new(), Vec::new());
        for key in keys {
            let Some(node) = self.fleet.node(key) else { continue };
            let knows_ids = node.has_store() || node.protocol.is_none();
            // One that is not reconciled says nothing final: what was posted to it before may still arrive.
            match node.has_store() && node.is_within_reach() && !node.must_be_reconciled() {
                true => near.extend(node.home.map(|home| (key, home))),
                false if knows_ids && node.protocol != Some(Protocol::Single) => {
                    away.extend(self.home_of(key));
                }
                false => {}
            }
        }
        // A node that left for good must not fill what is in doubt for ever.
        if self.doubt.len() < doubt::MOST / 2 {
            away.extend(self.homes.left_within(REMEMBERED, now));
        }
        (near, away)
    }

    /// Adds a node, or gives a known name another address; see [`Fleet::add`].
    pub(crate) fn add(&mut self, name: &str, url: &str, now: Instant) -> NodeKey {
        let key = self.change(now, |fleet| fleet.add(name, url));
        // A node that leaves before it was heard has a place all the same.
        self.home_of(key);
        key
    }

    /// Removes a node; see [`Fleet::remove`].
    pub(crate) fn remove(&mut self, key: NodeKey, now: Instant) {
        self.change(now, |fleet| fleet.remove(key));
    }

    /// Makes the fleet that of `nodes`; see [`Fleet::follow`].
    pub(crate) fn follow<'a>(
        &mut self,
        nodes: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        now: Instant,
    ) {
        let keys = self.change(now, |fleet| {
            fleet.follow(nodes);
            fleet.nodes().iter().map(|node| node.key).collect::<Vec<_>>()
        });
        for key in keys {
            self.home_of(key);
        }
    }

    /// Changes which nodes there are, and notes which places are left by that.
    fn change<T>(&mut self, now: Instant, change: impl FnOnce(&mut Fleet) -> T) -> T {
        let changed = change(&mut self.fleet);
        let fleet = &self.fleet;
        self.homes.follow(now, |home, name| match name.store {
            Some(_) => fleet.at_home(home).is_some(),
            None => fleet.named(&name.node).is_some(),
        });
        changed
    }

    /// The fleet as `GET /fleet` tells it.
    pub(crate) fn view(&self, at: Moment) -> FleetView {
        self.fleet.view(&self.doubt, at.now, at.wall)
    }

    /// A node reported. A store that sentences in doubt may lie on is asked for them before its node is up.
    pub(crate) fn reported(&mut self, key: NodeKey, report: &Report, now: Instant) {
        let Some(node) = self.fleet.node(key) else { return };
        let (name, before) = (node.name.clone(), node.home);
        let home = match report.store {
            Some(store) => self.homes.of_store(store, &name),
            None => self.homes.of_node(&name),
        };
        if before != Some(home) {
            if let Some(unheard) = self.homes.unheard(&name).filter(|unheard| *unheard != home) {
                self.doubt.rename(unheard, home);
                self.homes.resolve(unheard);
            }
            self.change(now, |fleet| fleet.lies_at(key, Some(home)));
            // Posts of an earlier run may still be under way to a node that this run meets first.
            let is_new = report.store.is_some() && self.acquainted.insert(home);
            if is_new || self.doubt.count(home) > 0 {
                self.fleet.must_reconcile(key);
            }
        }
        if report.balancers.is_some_and(|balancers| balancers > 1) {
            self.company = Some(now);
        }
        self.fleet.reported(key, report, now);
    }
}

/// The age of an id of version 7, by the clock of whoever made it; `None` for another one, and for one that lies ahead.
fn age(id: SentenceId, wall: Date) -> Option<Duration> {
    /// Clocks that agree to a second make ids of version 7 that are fresh.
    const AHEAD_MICROS: i64 = 1_000_000;
    let timestamp = id.0.get_timestamp().filter(|_| id.0.get_version_num() == 7)?;
    let (seconds, nanos) = timestamp.to_unix();
    let made = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1_000))?;
    let age = wall.unix_micros().checked_sub(made)?;
    (age > -AHEAD_MICROS).then(|| Duration::from_micros(u64::try_from(age).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
