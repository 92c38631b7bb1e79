//! A lane: the queue of sentences for one node, and the task that posts them. Whatever has gathered while one post was
//! under way goes out as the next; nothing waits on purpose. Every sentence that enters is settled once: stored, moved
//! to another node, or failed. A lane begins with the first sentence for its node and ends once the node has left the
//! fleet and nothing waits. Absent: the choice of the node; clients.
//!
//! `queue` and `batch` hold what waits; `delivery` posts a batch, `old_node` single sentences, both over a `connection`
//! that reads a `response` or tells the `trouble`; `answers` reads what became of each sentence, and `judgement` says
//! what follows. `connection_by_hyper` takes the place of `connection` in the build that `cargo xtask bench parts`
//! compares with.

mod answers;
mod batch;
#[cfg(not(feature = "hyper-lane"))]
mod connection;
#[cfg(feature = "hyper-lane")]
mod connection_by_hyper;
mod delivery;
mod judgement;
mod old_answer;
mod old_node;
mod queue;
#[cfg_attr(all(feature = "hyper-lane", not(test)), expect(dead_code, reason = "hyper reads the answers"))]
mod response;
mod trouble;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use wire::problem::Kind;
use wire::{SentenceId, Token};

use super::slowest::Slowest;
use super::{Unplaced, Worker};
use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::clock;
use crate::endpoint::Endpoint;
use crate::fleet::{NodeKey, Protocol};
use crate::homes::Home;
use crate::problem::Failure;
use crate::routing::Routing;
use connection::{NodeConnection, PostHead, post_head};
#[cfg(feature = "hyper-lane")]
use connection_by_hyper as connection;
use judgement::PostEnd;
use queue::Queue;
use trouble::Trouble;

/// A sentence in a lane.
pub(super) type Item<'a> = batch::Item<'a, Reply>;
type Batch = batch::Batch<Reply>;

/// The queue and the connection of one worker to one node.
pub(super) struct Lane {
    key: NodeKey,
    name: String,
    endpoint: Endpoint,
    /// The head of a bulk post.
    bulk_head: PostHead,
    /// The head of a post of one sentence.
    single_head: PostHead,
    queue: RefCell<Queue<Reply>>,
    /// Wakes the lane's task for a sentence, or for the end.
    waker: RefCell<Option<Waker>>,
    /// Whether the node has left the fleet.
    retired: Cell<bool>,
    /// The place where its sentences lie, once something was posted.
    home: Cell<Option<Home>>,
    /// The longest that the node took for an answer, of late.
    slowest: Slowest,
    /// What the node understands, once it has answered a post.
    protocol: Cell<Option<Protocol>>,
    worker: Rc<Worker>,
}

impl Lane {
    /// Starts the lane of a node on this thread.
    pub(super) fn start(worker: &Rc<Worker>, key: NodeKey, name: &str, endpoint: Endpoint) -> Rc<Self> {
        let balancer = &worker.balancer;
        let token = balancer.node_token.as_ref().map(Token::header_value);
        let head = |path, media| post_head(&endpoint, path, media, token.as_deref());
        let lane = Rc::new(Self {
            key,
            name: name.to_owned(),
            bulk_head: head("/sentences", wire::contract::NDJSON),
            single_head: head("/sentence", "application/json"),
            endpoint,
            queue: RefCell::default(),
            waker: RefCell::default(),
            retired: Cell::new(false),
            home: Cell::default(),
            slowest: Slowest::default(),
            protocol: Cell::default(),
            worker: Rc::clone(worker),
        });
        balancer.counters.lanes_begun.add(1);
        tokio::task::spawn_local(Rc::clone(&lane).run());
        lane
    }

    /// The node that it leads to.
    pub(super) fn key(&self) -> NodeKey {
        self.key
    }

    /// The node's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The longest that the node took for an answer, of late.
    pub(super) fn slowest_answer(&self) -> Option<Duration> {
        self.slowest.of_late()
    }

    /// Whether the queue takes another sentence.
    pub(super) fn has_room(&self) -> bool {
        let limits = &self.balancer().lane_limits;
        self.queue.borrow().is_below(limits.max_items, limits.max_bytes)
    }

    /// Puts a sentence into the queue.
    pub(super) fn push(&self, item: Item<'_>) {
        self.queue.borrow_mut().push(item, clock::now);
        self.wake();
    }

    /// The node has left the fleet: the lane ends once nothing waits.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Posts what comes, one batch after the other, until the lane is retired.
    async fn run(self: Rc<Self>) {
        let mut connection = None;
        let mut singles = Vec::new();
        while let Some(batch) = self.next_batch(&mut connection).await {
            let (batch, fence) = self.dispatch(batch);
            let undelivered = match self.protocol.get() {
                _ if batch.len() == 0 => {
                    self.recycle(batch);
                    None
                }
                Some(Protocol::Single) => Some(batch),
                _ => self.deliver(batch, fence, &mut connection).await,
            };
            if let Some(batch) = undelivered {
                self.deliver_singly(batch, &mut singles).await;
            }
        }
        self.balancer().counters.lanes_ended.add(1);
    }

    /// Counts a batch as sent, and gives the fence that its post must carry. Those of its sentences whose clients were
    /// faster than this lane are left out: repeated, they went elsewhere, and what is posted here now would be a second
    /// copy of which nobody knows.
    fn dispatch(&self, batch: Batch) -> (Batch, Option<u64>) {
        let (overtaken, fence) = self.balancer().step(|routing| {
            // A node that has left still has its place.
            self.home.set(routing.home_of(self.key).or(self.home.get()));
            let overtaken = self.overtaken(&batch, routing);
            routing.fleet.dispatched(self.key, batch.len() as u64);
            (overtaken, routing.fleet.fence(self.key))
        });
        (self.without(batch, &overtaken), fence)
    }

    /// The same for a batch whose post was not let in.
    fn dispatch_again(&self, batch: Batch) -> Batch {
        let overtaken = self.balancer().step(|routing| self.overtaken(&batch, routing));
        self.without(batch, &overtaken)
    }

    /// The places in the batch of those sentences that went elsewhere since they came into this lane; mostly none.
    fn overtaken(&self, batch: &Batch, routing: &Routing) -> Vec<usize> {
        let Some(home) = self.home.get() else { return Vec::new() };
        let unnoted = batch.unnoted().enumerate().filter_map(|(place, id)| Some((place, id?)));
        unnoted.filter(|(_, id)| routing.has_gone_elsewhere(*id, home)).map(|(place, _)| place).collect()
    }

    /// Sends the sentences in these places of the batch on; gives the others back.
    fn without(&self, batch: Batch, overtaken: &[usize]) -> Batch {
        if overtaken.is_empty() {
            return batch;
        }
        let mut places = 0..;
        self.sift(batch, |item| {
            if places.next().is_some_and(|place| overtaken.binary_search(&place).is_err()) {
                return Some(item);
            }
            self.move_on(item, true);
            None
        })
    }

    /// Hands every sentence of a batch to `send`, and keeps those that it gives back.
    fn sift(&self, mut batch: Batch, mut send: impl for<'a> FnMut(Item<'a>) -> Option<Item<'a>>) -> Batch {
        let since = batch.since();
        let mut rest = Batch::default();
        for item in batch.drain() {
            if let Some(item) = send(item) {
                rest.push(item, || since.unwrap_or_else(clock::now));
            }
        }
        self.recycle(batch);
        rest
    }

    /// Waits for sentences; `None` once the lane is retired and empty. Meanwhile a connection that the node closes is
    /// noticed, so that no post is written to it.
    async fn next_batch(&self, connection: &mut Option<NodeConnection>) -> Option<Batch> {
        poll_fn(|cx| {
            if let Some(batch) = self.queue.borrow_mut().pop() {
                return Poll::Ready(Some(batch));
            }
            if self.retired.get() {
                return Poll::Ready(None);
            }
            self.waker.replace(Some(cx.waker().clone()));
            if connection.as_mut().is_some_and(|open| open.poll_stale(cx).is_ready()) {
                *connection = None;
            }
            Poll::Pending
        })
        .await
    }

    /// The open connection in `slot`, or a new one put there.
    async fn connection<'a>(
        &self,
        slot: &'a mut Option<NodeConnection>,
    ) -> Result<&'a mut NodeConnection, Trouble> {
        let balancer = self.balancer();
        let time = balancer.lane_limits.connect_timeout;
        NodeConnection::open(slot, &*balancer.network, &self.endpoint, time).await
    }

    /// Keeps an emptied batch for the next sentences.
    fn recycle(&self, batch: Batch) {
        self.queue.borrow_mut().recycle(batch);
    }

    /// Sends the sentences of a batch, which the node did not take, to other nodes.
    fn give_away(&self, mut batch: Batch, was_dispatched: bool) {
        for item in batch.drain() {
            self.move_on(item, was_dispatched);
        }
        self.recycle(batch);
    }

    /// Sends one sentence, which the node did not take, to another node; fails it when there is none.
    fn move_on(&self, item: Item<'_>, was_dispatched: bool) {
        let may_lie = item.journey.may_lie;
        if let Err(stays) = self.offer_elsewhere(item, may_lie, was_dispatched) {
            let (item, why) = *stays;
            self.end(&item, Ended::Released { was_dispatched });
            let Item { sentence, journey, waiter, .. } = item;
            self.worker.fail(&sentence, Unplaced { journey, reply: waiter, why });
        }
    }

    /// Sends one sentence to another node, where there is one. `may_lie` is the place in which it may be stored.
    fn offer_elsewhere<'a>(
        &self,
        item: Item<'a>,
        may_lie: Option<Home>,
        was_dispatched: bool,
    ) -> Result<(), Box<(Item<'a>, Failure)>> {
        let Item { sentence, assignment, journey, waiter } = item;
        let mut beyond = journey.clone();
        beyond.tried.push(self.key);
        beyond.may_lie = may_lie;
        match self.worker.offer(sentence, beyond, waiter, None) {
            Ok(()) => {
                let ended = match may_lie.is_some() && was_dispatched {
                    true => Ended::InDoubt,
                    false => Ended::Released { was_dispatched },
                };
                self.end_of(sentence.id, journey.is_noted, ended);
                self.balancer().counters.rerouted.add(1);
                self.balancer().counters.moved_in_doubt.add(u64::from(may_lie.is_some()));
                Ok(())
            }
            Err(Unplaced { reply: waiter, why, .. }) => {
                let item = Item { sentence, assignment, journey, waiter };
                Err(Box::new((item, why)))
            }
        }
    }

    /// Notes what is thought of the node, and moves what waits for it where that follows.
    fn think_of_node(&self, node: judgement::Node, why: &str) {
        match node {
            judgement::Node::AsBefore => {}
            judgement::Node::Silent => self.fell_silent(why),
            judgement::Node::Down => self.fell(why),
        }
    }

    /// The node takes nothing now: it leaves the rule, and everything that waits for it goes to other nodes.
    fn fell(&self, why: &str) {
        self.balancer().step(|routing| routing.fleet.refused(self.key, why));
        let waiting = self.queue.borrow_mut().take_all();
        for batch in waiting {
            self.give_away(batch, false);
        }
    }

    /// The node is silent, which a slow node is too: it leaves the rule only while another is there, and what waits
    /// for it moves only where another takes it.
    fn fell_silent(&self, why: &str) {
        self.balancer().step(|routing| routing.fleet.silent(self.key, why));
        let waiting = self.queue.borrow_mut().take_all();
        for mut batch in waiting {
            let since = batch.since();
            for item in batch.drain() {
                let may_lie = item.journey.may_lie;
                if let Err(stays) = self.offer_elsewhere(item, may_lie, false) {
                    let (item, _) = *stays;
                    self.remember(&item);
                    self.queue.borrow_mut().push(item, || since.unwrap_or_else(clock::now));
                }
            }
            self.recycle(batch);
        }
    }

    /// A sentence that was offered elsewhere stays after all: repeated, it comes here again.
    fn remember(&self, item: &Item<'_>) {
        if item.sentence.is_clients
            && let Some(home) = self.home.get()
        {
            self.balancer().step(|routing| routing.known_ids.note(item.sentence.id, home));
        }
    }

    /// Fails a sentence that may have been stored. Its id is remembered: repeated, it comes to this node again.
    fn leave_one_in_doubt(&self, item: Item<'_>, failure: impl FnOnce(SentenceId) -> Failure) {
        let id = item.sentence.id;
        if let Some(home) = self.home.get() {
            self.balancer().step(|routing| routing.known_ids.note_doubt(id, home));
        }
        self.end(&item, Ended::InDoubt);
        self.balancer().counters.in_doubt.add(1);
        item.waiter.settle(Err(failure(id)));
    }

    /// The way of a sentence over this lane has ended without an answer about it.
    fn end(&self, item: &Item<'_>, ended: Ended) {
        self.end_of(item.sentence.id, item.journey.is_noted, ended);
    }

    fn end_of(&self, id: SentenceId, is_noted: bool, ended: Ended) {
        self.balancer().step(|routing| {
            match ended {
                Ended::Released { was_dispatched } => routing.fleet.released(self.key, 1, was_dispatched),
                Ended::InDoubt => routing.fleet.in_doubt(self.key, 1),
            }
            if is_noted {
                routing.doubt.ended(id);
            }
        });
        if is_noted {
            self.balancer().doubt_changed.notify_one();
        }
    }

    fn balancer(&self) -> &Balancer {
        &self.worker.balancer
    }

    /// Notes what the node understands.
    fn learn(&self, protocol: Protocol) {
        if self.protocol.replace(Some(protocol)) != Some(protocol) {
            self.balancer().step(|routing| routing.fleet.speaks(self.key, protocol));
        }
    }
}

/// How the way of a sentence over a lane ends without an answer about it.
#[derive(Clone, Copy)]
enum Ended {
    /// It is surely not stored by this.
    Released {
        /// Whether it had gone on the wire.
        was_dispatched: bool,
    },
    /// It went on the wire, and may be stored.
    InDoubt,
}

/// How a post ended with another status than success, and what is told of it.
fn refusal(status: u16, body: &[u8]) -> (PostEnd, String) {
    let problem = wire::Problem::read(body);
    if problem.as_ref().is_some_and(|problem| problem.is(Kind::Fenced)) {
        return (PostEnd::Fenced, "the node was fenced".to_owned());
    }
    let ambiguous = problem.as_ref().is_some_and(|problem| problem.ambiguous);
    let why = match problem {
        Some(problem) => format!("the node answered {status}: {}", problem.detail),
        None => format!("the node answered {status}"),
    };
    (PostEnd::Status { code: status, ambiguous }, why)
}

#[cfg(test)]
mod tests;
