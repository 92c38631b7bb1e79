//! One thread that carries sentences: the lanes to the nodes, the clock and the buffers of its connections, and the
//! one way that every sentence takes from a body to a lane, whichever door it came through. Absent: sockets; the choice itself.

mod lane;
mod lookup;
mod parked;
mod slowest;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::buffers::Buffers;
use crate::clock;
use crate::coarse_clock::{CoarseClock, TICK};
use crate::config::ClientLimits;
use crate::fleet::{Assignment, NoNode, NodeKey};
use crate::journal::{NotWritten, Writing};
use crate::problem::Failure;
use crate::routing::{Choice, Chosen, Finding, Journey};
use crate::sentence::Sentence;
use lane::{Item, Lane};
use lookup::Lookup;
use parked::Parked;

/// Longest time that a sentence waits for the first report of a node that has just joined, and how often it looks.
const FIRST_REPORT: Duration = Duration::from_secs(1);
const FIRST_REPORT_LOOK: Duration = Duration::from_millis(10);

/// What one thread owns.
pub(crate) struct Worker {
    /// What it shares with the other threads.
    pub(crate) balancer: Arc<Balancer>,
    /// Bounds of the client side.
    pub(crate) client_limits: ClientLimits,
    /// The clock of its connections' deadlines.
    pub(crate) clock: Rc<CoarseClock>,
    /// Its connections' buffers.
    pub(crate) buffers: Rc<Buffers>,
    /// The sentences about which the nodes are asked first.
    lookup: Lookup,
    /// The lane of each node, by its key's slot.
    lanes: RefCell<Vec<Option<Rc<Lane>>>>,
}

/// A sentence for which there is no place.
struct Unplaced {
    /// Where it has been.
    journey: Journey,
    /// Who waits for the answer.
    reply: Reply,
    /// Why there is none.
    why: Failure,
}

impl Worker {
    /// A worker without lanes; they begin with the first sentence for their node.
    pub(crate) fn new(balancer: Arc<Balancer>, client_limits: ClientLimits) -> Rc<Self> {
        Rc::new(Self {
            balancer,
            client_limits,
            clock: Rc::default(),
            buffers: Rc::default(),
            lookup: Lookup::default(),
            lanes: RefCell::default(),
        })
    }

    /// Moves the coarse clock on, and looks after the lanes, for as long as the thread lives.
    pub(crate) async fn keep_time(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            self.clock.tick(clock::http_date(), self.balancer.is_stopping());
            self.retire_lanes();
            self.lookup.leave_gone(&self.balancer);
        }
    }

    /// Takes a posted body, and sees to it that `reply` is settled once, whatever happens.
    pub(crate) fn receive(self: &Rc<Self>, body: &[u8], key: Option<&[u8]>, reply: Reply) {
        match self.read(body, key) {
            Ok(sentence) => self.route(sentence, reply),
            Err(failure) => reply.settle(Err(failure)),
        }
    }

    /// Reads a posted body; `key` is the value of its `Idempotency-Key` header.
    pub(crate) fn read<'a>(&self, body: &'a [u8], key: Option<&[u8]>) -> Result<Sentence<'a>, Failure> {
        Sentence::read(body, key, clock::fresh_id).inspect_err(|_| self.balancer.counters.invalid.add(1))
    }

    /// Sends a sentence on its way.
    pub(crate) fn route(self: &Rc<Self>, sentence: Sentence<'_>, reply: Reply) {
        self.place(sentence, Journey::default(), reply, None);
    }

    /// Chooses a node for the sentence and puts it into that node's lane; fails it when there is none. `finding` is what
    /// the nodes said of it, where they were asked.
    fn place(
        self: &Rc<Self>,
        sentence: Sentence<'_>,
        journey: Journey,
        reply: Reply,
        finding: Option<&Finding>,
    ) {
        if let Err(unplaced) = self.offer(sentence, journey, reply, finding) {
            self.wait_or_fail(&sentence, unplaced);
        }
    }

    /// A sentence for which there is no node waits a moment where one has just joined the fleet, or was given another
    /// address: its first report is on the way.
    fn wait_or_fail(self: &Rc<Self>, sentence: &Sentence<'_>, unplaced: Unplaced) {
        let may_wait = matches!(unplaced.why, Failure::NoNode(_))
            && self.balancer.step(|routing| routing.fleet.is_expecting());
        if !may_wait {
            return self.fail(sentence, unplaced);
        }
        let Unplaced { journey, reply, .. } = unplaced;
        let (worker, Parked { text, mut journey, waiter: mut reply }) =
            (Rc::clone(self), Parked::new(sentence, journey, reply));
        tokio::task::spawn_local(async move {
            let mut waited = Duration::ZERO;
            loop {
                tokio::time::sleep(FIRST_REPORT_LOOK).await;
                waited += FIRST_REPORT_LOOK;
                let Err(unplaced) = worker.offer(text.sentence(), journey, reply, None) else { return };
                if waited >= FIRST_REPORT || !worker.balancer.step(|routing| routing.fleet.is_expecting()) {
                    return worker.fail(&text.sentence(), unplaced);
                }
                Unplaced { journey, reply, .. } = unplaced;
            }
        });
    }

    /// As [`Worker::place`], but gives a sentence back for which there is no place.
    fn offer(
        self: &Rc<Self>,
        sentence: Sentence<'_>,
        journey: Journey,
        reply: Reply,
        finding: Option<&Finding>,
    ) -> Result<(), Unplaced> {
        let at = clock::moment();
        let chosen = self.balancer.step(|routing| {
            let chosen = routing.choose(&sentence, at, &journey, finding)?;
            // Records stand in the journal in the order of what they tell.
            Ok(match chosen {
                Chosen::To(mut choice) => {
                    let record = choice.record.take();
                    let writing = record.map(|record| self.balancer.journal.append(record));
                    Some((choice, writing))
                }
                Chosen::AskFirst => None,
            })
        });
        match chosen {
            Ok(Some((choice, writing))) => self.enter(sentence, journey, reply, choice, writing),
            Ok(None) => {
                self.lookup.ask(self, Parked::new(&sentence, journey, reply));
                Ok(())
            }
            Err(why) => Err(Unplaced { journey, reply, why }),
        }
    }

    /// Puts a sentence into the lane of the node that was chosen for it, once what must be on disk before is there.
    fn enter(
        self: &Rc<Self>,
        sentence: Sentence<'_>,
        journey: Journey,
        reply: Reply,
        choice: Choice,
        writing: Option<Writing>,
    ) -> Result<(), Unplaced> {
        let Choice { assignment, may_lie, is_noted, .. } = choice;
        let here = Journey { tried: journey.tried.clone(), may_lie, is_noted };
        let Some(writing) = writing else {
            return self.push(sentence, assignment, here, reply).map_err(|(reply, why)| Unplaced {
                journey,
                reply,
                why,
            });
        };
        let (worker, parked) = (Rc::clone(self), Parked::new(&sentence, here, reply));
        tokio::task::spawn_local(async move {
            let written = writing.end().await;
            worker.enter_noted(parked, assignment, written);
        });
        Ok(())
    }

    /// The record of a sentence that is in doubt is written, or cannot be.
    fn enter_noted(
        self: &Rc<Self>,
        parked: Parked<Reply>,
        assignment: Assignment,
        written: Result<(), NotWritten>,
    ) {
        let Parked { text, journey: here, waiter: reply } = parked;
        let sentence = text.sentence();
        let unplaced = match written {
            Ok(()) => {
                self.balancer.step(|routing| routing.doubt.written(sentence.id));
                match self.push(sentence, assignment, here.clone(), reply) {
                    Ok(()) => return,
                    Err((reply, why)) => Unplaced { journey: here, reply, why },
                }
            }
            Err(error) => {
                let why = self
                    .balancer
                    .step(|routing| routing.withdraw(sentence.id, assignment.node(), &error.to_string()));
                Unplaced { journey: here, reply, why }
            }
        };
        self.fail(&sentence, unplaced);
    }

    /// Puts a sentence into the lane of its node. Where there is no place its reservation ends.
    fn push(
        self: &Rc<Self>,
        sentence: Sentence<'_>,
        assignment: Assignment,
        journey: Journey,
        waiter: Reply,
    ) -> Result<(), (Reply, Failure)> {
        let why = match self.lane(assignment.node()) {
            Some(lane) if lane.has_room() => {
                lane.push(Item { sentence, assignment, journey, waiter });
                return Ok(());
            }
            Some(lane) => Failure::LaneFull { node: lane.name().to_owned() },
            // Removed between the choice and here.
            None => Failure::NoNode(NoNode::NoneConfigured),
        };
        let is_first = journey.may_lie.is_none() && !journey.is_noted;
        self.balancer.step(|routing| {
            routing.fleet.released(assignment.node(), 1, false);
            if journey.is_noted {
                routing.doubt.ended(sentence.id);
            }
            if sentence.is_clients && is_first {
                routing.known_ids.forget(sentence.id);
            }
        });
        Err((waiter, why))
    }

    /// Fails a sentence that waited in a lane for all of its time, and was never sent.
    fn fail_waited(&self, item: Item<'_>, node: &str) {
        let Item { sentence, journey, waiter: reply, .. } = item;
        let why = Failure::Waited { node: node.to_owned() };
        self.fail(&sentence, Unplaced { journey, reply, why });
    }

    /// Fails a sentence for which there is no place.
    fn fail(&self, sentence: &Sentence<'_>, unplaced: Unplaced) {
        let Unplaced { journey, reply, why } = unplaced;
        let why = self.balancer.step(|routing| {
            if journey.may_lie.is_some() || journey.is_noted {
                return routing.in_doubt_because(sentence.id, journey.may_lie, why);
            }
            if sentence.is_clients && !why.is_in_doubt() {
                routing.known_ids.forget(sentence.id);
            }
            why
        });
        self.balancer.counters.refused.add(1);
        reply.settle(Err(why));
    }

    /// The longest that any node took for an answer, of late.
    fn slowest_answer(&self) -> Duration {
        let lanes = self.lanes.borrow();
        let of_lanes = lanes.iter().flatten().filter_map(|lane| lane.slowest_answer());
        of_lanes.chain(self.lookup.slowest_answer()).max().unwrap_or_default()
    }

    /// The lane of a node; it begins here.
    fn lane(self: &Rc<Self>, key: NodeKey) -> Option<Rc<Lane>> {
        let slot = usize::try_from(key.slot).ok()?;
        if let Some(Some(lane)) = self.lanes.borrow().get(slot)
            && lane.key() == key
        {
            return Some(Rc::clone(lane));
        }
        let (name, endpoint) = self.balancer.node(key)?;
        let lane = Lane::start(self, key, &name, endpoint);
        let mut lanes = self.lanes.borrow_mut();
        if lanes.len() <= slot {
            lanes.resize(slot + 1, None);
        }
        let before = lanes.get_mut(slot)?.replace(Rc::clone(&lane));
        if let Some(before) = before {
            before.retire();
        }
        Some(lane)
    }

    /// Lets go of the lanes, which hold the worker in turn: without this, neither would ever be freed by a test that makes
    /// one worker after the other.
    #[cfg(test)]
    pub(crate) fn let_go(&self) {
        self.lanes.borrow_mut().clear();
    }

    /// Ends the lanes of nodes that have left the fleet, each once nothing waits in it.
    fn retire_lanes(&self) {
        let mut lanes = self.lanes.borrow_mut();
        let gone = self.balancer.step(|routing| {
            let has_left = |lane: &mut Rc<Lane>| routing.fleet.node(lane.key()).is_none();
            lanes.iter_mut().filter_map(|slot| slot.take_if(has_left)).collect::<Vec<_>>()
        });
        drop(lanes);
        for lane in gone {
            lane.retire();
        }
    }
}

#[cfg(test)]
mod tests;
