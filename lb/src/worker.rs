//! One thread that carries sentences: the lanes to the nodes, the clock and the buffers of its connections, and the
//! one way that every sentence takes from a body to a lane, whichever door it came through. Absent: sockets; the choice itself.

mod lane;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::buffers::Buffers;
use crate::clock;
use crate::coarse_clock::{CoarseClock, TICK};
use crate::config::ClientLimits;
use crate::fleet::{NoNode, NodeKey};
use crate::problem::Failure;
use crate::routing::Choice;
use crate::sentence::Sentence;
use lane::{Item, Lane};

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
    /// The lane of each node, by its key's slot.
    lanes: RefCell<Vec<Option<Rc<Lane>>>>,
}

/// A sentence for which there is no place.
pub(crate) struct Unplaced {
    /// Nodes that surely did not store it.
    pub(crate) tried: Vec<NodeKey>,
    /// Who waits for the answer.
    pub(crate) reply: Reply,
    /// Why there is none.
    pub(crate) why: Failure,
}

impl Worker {
    /// A worker without lanes; they begin with the first sentence for their node.
    pub(crate) fn new(balancer: Arc<Balancer>, client_limits: ClientLimits) -> Rc<Self> {
        Rc::new(Self {
            balancer,
            client_limits,
            clock: Rc::default(),
            buffers: Rc::default(),
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
        self.place(sentence, Vec::new(), reply);
    }

    /// Chooses a node for the sentence, not one of `tried`, and puts it into that node's lane; fails it when there is
    /// none.
    pub(crate) fn place(self: &Rc<Self>, sentence: Sentence<'_>, tried: Vec<NodeKey>, reply: Reply) {
        if let Err(unplaced) = self.offer(sentence, tried, reply) {
            if sentence.is_clients && !unplaced.tried.is_empty() {
                self.balancer.step(|routing| routing.known_ids.forget(sentence.id));
            }
            self.balancer.counters.refused.add(1);
            unplaced.reply.settle(Err(unplaced.why));
        }
    }

    /// As [`Worker::place`], but gives a sentence back for which there is no place.
    pub(crate) fn offer(
        self: &Rc<Self>,
        sentence: Sentence<'_>,
        tried: Vec<NodeKey>,
        reply: Reply,
    ) -> Result<(), Unplaced> {
        let chosen = self.balancer.step(|routing| routing.choose(&sentence, clock::now(), &tried));
        let Choice { assignment, is_repeat } = match chosen {
            Ok(choice) => choice,
            Err(why) => return Err(Unplaced { tried, reply, why }),
        };
        let why = match self.lane(assignment.node()) {
            Some(lane) if lane.has_room() => {
                lane.push(Item { sentence, assignment, tried, waiter: reply });
                return Ok(());
            }
            Some(lane) => Failure::LaneFull { node: lane.name().to_owned() },
            // Removed between the choice and here.
            None => Failure::NoNode(NoNode::NoneConfigured),
        };
        self.balancer.step(|routing| {
            routing.fleet.released(assignment.node(), 1, false);
            if sentence.is_clients && !is_repeat {
                routing.known_ids.forget(sentence.id);
            }
        });
        Err(Unplaced { tried, reply, why })
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
