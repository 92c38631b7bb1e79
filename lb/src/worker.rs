//! One thread that carries sentences: the lanes to the nodes, the connections' pulse, and the one way that every
//! sentence takes from a body to a lane, whichever door it came through. Absent: sockets; the choice itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use wire::{RawSentence, SentenceId};

use crate::balancer::{Balancer, Choice};
use crate::clock;
use crate::config::ClientLimits;
use crate::door::pulse::Pulse;
use crate::fleet::{NoNode, NodeKey};
use crate::lane::Lane;
use crate::line::Line;
use crate::problem::Failure;
use crate::reply::Reply;

/// What one thread owns.
pub(crate) struct Worker {
    /// What it shares with the other threads.
    pub(crate) balancer: Arc<Balancer>,
    /// Bounds of the client side.
    pub(crate) client_limits: ClientLimits,
    /// Its connections' clock and buffers.
    pub(crate) pulse: Rc<Pulse>,
    /// The lane of each node, by key.
    lanes: RefCell<Vec<Option<Rc<Lane>>>>,
}

/// A posted sentence and its identity.
pub(crate) struct Identified<'a> {
    /// The sentence.
    pub(crate) sentence: RawSentence<'a>,
    /// Its identity.
    pub(crate) id: SentenceId,
    /// Whether the client made the id, and so may post it again.
    pub(crate) is_clients: bool,
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
        let worker = Self { balancer, client_limits, pulse: Rc::default(), lanes: RefCell::default() };
        Rc::new(worker)
    }

    /// Takes a posted body, and sees to it that `reply` is settled once, whatever happens.
    pub(crate) fn receive(self: &Rc<Self>, body: &[u8], key: Option<&[u8]>, reply: Reply) {
        match self.identify(body, key) {
            Ok(identified) => self.route(&identified, reply),
            Err(failure) => reply.settle(Err(failure)),
        }
    }

    /// Reads a posted body, and finds the sentence's id: the client's, from the body or the header, else a new one.
    pub(crate) fn identify<'a>(&self, body: &'a [u8], key: Option<&[u8]>) -> Result<Identified<'a>, Failure> {
        identified(body, key).inspect_err(|_| self.balancer.counters.invalid.add(1))
    }

    /// Sends a sentence on its way.
    pub(crate) fn route(self: &Rc<Self>, identified: &Identified<'_>, reply: Reply) {
        let Identified { sentence, id, is_clients } = identified;
        let (author, sentence) = (sentence.author.raw(), sentence.sentence.raw());
        let line = Line { id: *id, is_clients: *is_clients, author, sentence };
        self.place(line, Vec::new(), reply);
    }

    /// Chooses a node for the sentence, not one of `tried`, and puts it into that node's lane; fails it when there is
    /// none.
    pub(crate) fn place(self: &Rc<Self>, line: Line<'_>, tried: Vec<NodeKey>, reply: Reply) {
        if let Err(unplaced) = self.offer(line, tried, reply) {
            if line.is_clients && !unplaced.tried.is_empty() {
                self.balancer.routing().whereabouts.forget(line.id);
            }
            self.balancer.counters.refused.add(1);
            unplaced.reply.settle(Err(unplaced.why));
        }
    }

    /// As [`Worker::place`], but gives a sentence back for which there is no place.
    pub(crate) fn offer(
        self: &Rc<Self>,
        line: Line<'_>,
        tried: Vec<NodeKey>,
        reply: Reply,
    ) -> Result<(), Unplaced> {
        let Choice { assignment, is_repeat } = match self.balancer.choose(&line, clock::now(), &tried) {
            Ok(choice) => choice,
            Err(why) => return Err(Unplaced { tried, reply, why }),
        };
        let pushed = match self.lane(assignment.node()) {
            Some(lane) => lane.push(line, assignment, tried, reply),
            // Removed between the choice and here.
            None => Err(Unplaced { tried, reply, why: Failure::NoNode(NoNode::NoneConfigured) }),
        };
        pushed.inspect_err(|_| {
            let routing = &mut *self.balancer.routing();
            routing.fleet.released(assignment.node(), 1, false);
            if line.is_clients && !is_repeat {
                routing.whereabouts.forget(line.id);
            }
        })
    }

    /// The lane of a node; it begins here.
    fn lane(self: &Rc<Self>, key: NodeKey) -> Option<Rc<Lane>> {
        let place = usize::try_from(key.0).ok()?;
        if let Some(Some(lane)) = self.lanes.borrow().get(place) {
            return Some(Rc::clone(lane));
        }
        let (name, endpoint) = self.balancer.node(key)?;
        let lane = Lane::start(self, key, &name, endpoint);
        let mut lanes = self.lanes.borrow_mut();
        if lanes.len() <= place {
            lanes.resize(place + 1, None);
        }
        lanes[place] = Some(Rc::clone(&lane));
        Some(lane)
    }
}

fn identified<'a>(body: &'a [u8], key: Option<&[u8]>) -> Result<Identified<'a>, Failure> {
    let sentence = RawSentence::parse(body).map_err(Failure::Invalid)?;
    let key = key.map(read_key).transpose()?;
    let clients = match (sentence.id, key) {
        (Some(id), Some(key)) if id != key => {
            return Err(Failure::BadKey("the Idempotency-Key header and the body's id differ"));
        }
        (given, key) => given.or(key),
    };
    let id = clients.unwrap_or_else(clock::fresh_id);
    Ok(Identified { sentence, id, is_clients: clients.is_some() })
}

/// A UUID, with or without the quotes of a structured field.
fn read_key(value: &[u8]) -> Result<SentenceId, Failure> {
    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    bare.parse().map_err(|_| Failure::BadKey("the Idempotency-Key header is no UUID"))
}
