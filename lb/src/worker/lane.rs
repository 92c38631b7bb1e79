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

use wire::{SentenceId, Token};

use super::{Unplaced, Worker};
use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::endpoint::Endpoint;
use crate::fleet::{NodeKey, Protocol};
use crate::problem::Failure;
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

    /// Whether the queue takes another sentence.
    pub(super) fn has_room(&self) -> bool {
        let limits = &self.balancer().lane_limits;
        self.queue.borrow().is_below(limits.max_items, limits.max_bytes)
    }

    /// Puts a sentence into the queue.
    pub(super) fn push(&self, item: Item<'_>) {
        self.queue.borrow_mut().push(item);
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
            let n = batch.len() as u64;
            self.balancer().step(|routing| routing.fleet.dispatched(self.key, n));
            let undelivered = match self.protocol.get() {
                Some(Protocol::Single) => Some(batch),
                _ => self.deliver(batch, &mut connection).await,
            };
            if let Some(batch) = undelivered {
                self.deliver_singly(batch, &mut singles).await;
            }
        }
        self.balancer().counters.lanes_ended.add(1);
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

    /// `n` sentences of this lane are surely not stored on its node.
    fn release(&self, n: u64, was_dispatched: bool) {
        self.balancer().step(|routing| routing.fleet.released(self.key, n, was_dispatched));
    }

    /// Sends the sentences of a batch, none of which the node has stored, to other nodes.
    fn give_away(&self, mut batch: Batch, was_dispatched: bool) {
        self.release(batch.len() as u64, was_dispatched);
        for item in batch.drain() {
            self.move_on(item);
        }
        self.recycle(batch);
    }

    /// Sends one sentence, which the node has not stored and which is released already, to another node.
    fn move_on(&self, item: Item<'_>) {
        self.balancer().counters.rerouted.add(1);
        let mut tried = item.tried;
        tried.push(self.key);
        self.worker.place(item.sentence, tried, item.waiter);
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
            for item in batch.drain() {
                self.move_or_keep(item);
            }
            self.recycle(batch);
        }
    }

    fn move_or_keep(&self, item: Item<'_>) {
        let Item { sentence, assignment, mut tried, waiter } = item;
        tried.push(self.key);
        match self.worker.offer(sentence, tried, waiter) {
            Ok(()) => {
                self.release(1, false);
                self.balancer().counters.rerouted.add(1);
            }
            Err(Unplaced { mut tried, reply: waiter, .. }) => {
                tried.pop();
                if sentence.is_clients {
                    self.balancer().step(|routing| routing.known_ids.note(sentence.id, self.key));
                }
                self.queue.borrow_mut().push(Item { sentence, assignment, tried, waiter });
            }
        }
    }

    /// Fails a sentence that may have been stored. Its id is remembered: repeated, it comes to this node again.
    fn leave_one_in_doubt(&self, item: Item<'_>, failure: impl FnOnce(SentenceId) -> Failure) {
        let id = item.sentence.id;
        self.balancer().step(|routing| {
            routing.fleet.in_doubt(self.key, 1);
            routing.known_ids.note_doubt(id, self.key);
        });
        self.balancer().counters.in_doubt.add(1);
        item.waiter.settle(Err(failure(id)));
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

/// How a post ended with another status than success, and what is told of it.
fn refusal(status: u16, body: &[u8]) -> (PostEnd, String) {
    let problem = wire::Problem::read(body);
    let ambiguous = problem.as_ref().is_some_and(|problem| problem.ambiguous);
    let why = match problem {
        Some(problem) => format!("the node answered {status}: {}", problem.detail),
        None => format!("the node answered {status}"),
    };
    (PostEnd::Status { code: status, ambiguous }, why)
}

#[cfg(test)]
mod tests;
