//! A lane: the queue of sentences for one node, and the task that posts them. Whatever has gathered while one post was
//! under way goes out as the next; nothing waits on purpose. Every sentence that enters is settled once: stored, moved
//! to another node, or failed. Absent: the choice of the node; clients.

mod answers;
mod batch;
mod connection;
mod delivery;
mod old_node;
mod response;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use wire::SentenceId;

use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::endpoint::Endpoint;
use crate::fleet::{Assignment, NodeKey, Protocol};
use crate::problem::Failure;
use crate::sentence::Sentence;
use crate::worker::{Unplaced, Worker};
use batch::{Batch, Item};
use connection::NodeConnection;

/// The queue and the connection of one worker to one node.
pub(crate) struct Lane {
    key: NodeKey,
    name: String,
    endpoint: Endpoint,
    /// The head of a bulk post up to its length.
    post_head: String,
    queue: RefCell<Queue>,
    /// What the node understands, once it has answered a post.
    protocol: Cell<Option<Protocol>>,
    worker: Rc<Worker>,
}

#[derive(Default)]
struct Queue {
    /// Batches that wait, oldest first; only the newest takes more.
    batches: VecDeque<Batch>,
    items: usize,
    bytes: usize,
    /// An emptied batch for the next sentences.
    spare: Option<Batch>,
    waker: Option<Waker>,
}

impl Queue {
    fn push(&mut self, sentence: Sentence<'_>, assignment: Assignment, tried: Vec<NodeKey>, reply: Reply) {
        if self.batches.back().is_none_or(Batch::is_full) {
            self.batches.push_back(self.spare.take().unwrap_or_default());
        }
        if let Some(batch) = self.batches.back_mut() {
            let before = batch.text.len();
            batch.push(sentence, assignment, tried, reply);
            self.bytes += batch.text.len() - before;
            self.items += 1;
        }
    }

    fn take_all(&mut self) -> VecDeque<Batch> {
        (self.items, self.bytes) = (0, 0);
        std::mem::take(&mut self.batches)
    }
}

impl Lane {
    /// Starts the lane of a node on this thread.
    pub(crate) fn start(worker: &Rc<Worker>, key: NodeKey, name: &str, endpoint: Endpoint) -> Rc<Self> {
        let lane = Rc::new(Self {
            key,
            name: name.to_owned(),
            post_head: connection::post_head(&endpoint, "/sentences", wire::contract::NDJSON),
            endpoint,
            queue: RefCell::default(),
            protocol: Cell::default(),
            worker: Rc::clone(worker),
        });
        tokio::task::spawn_local(Rc::clone(&lane).run());
        lane
    }

    /// Puts a sentence into the queue.
    ///
    /// # Errors
    /// Gives the sentence back when the queue is full.
    pub(crate) fn push(
        &self,
        sentence: Sentence<'_>,
        assignment: Assignment,
        tried: Vec<NodeKey>,
        reply: Reply,
    ) -> Result<(), Unplaced> {
        let queue = &mut *self.queue.borrow_mut();
        let limits = &self.balancer().lane_limits;
        if queue.items >= limits.max_items || queue.bytes >= limits.max_bytes {
            let why = Failure::LaneFull { node: self.name.clone() };
            return Err(Unplaced { tried, reply, why });
        }
        queue.push(sentence, assignment, tried, reply);
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// Posts what comes, one batch after the other, for as long as the worker lives.
    async fn run(self: Rc<Self>) {
        let mut connection = None;
        let mut singles = Vec::new();
        loop {
            let batch = self.next_batch(&mut connection).await;
            self.balancer().routing().fleet.dispatched(self.key, batch.items.len() as u64);
            let undelivered = match self.protocol.get() {
                Some(Protocol::Single) => Some(batch),
                _ => self.deliver(batch, &mut connection).await,
            };
            if let Some(batch) = undelivered {
                self.deliver_singly(batch, &mut singles).await;
            }
        }
    }

    /// Waits for sentences. Meanwhile a connection that the node closes is noticed, so that no post is written to it.
    async fn next_batch(&self, connection: &mut Option<NodeConnection>) -> Batch {
        poll_fn(|cx| {
            let queue = &mut *self.queue.borrow_mut();
            if let Some(batch) = queue.batches.pop_front() {
                queue.items -= batch.items.len();
                queue.bytes -= batch.text.len();
                return Poll::Ready(batch);
            }
            queue.waker = Some(cx.waker().clone());
            if connection.as_ref().is_some_and(|connection| connection.poll_stale(cx).is_ready()) {
                *connection = None;
            }
            Poll::Pending
        })
        .await
    }

    /// Keeps an emptied batch for the next sentences.
    fn recycle(&self, batch: Batch) {
        if let Some(batch) = batch.recycle() {
            self.queue.borrow_mut().spare = Some(batch);
        }
    }

    /// Sends the sentences of a batch, none of which the node has stored, to other nodes.
    fn give_away(&self, mut batch: Batch, was_dispatched: bool) {
        let n = batch.items.len() as u64;
        self.balancer().routing().fleet.released(self.key, n, was_dispatched);
        let Batch { text, items } = &mut batch;
        for item in items.drain(..) {
            self.move_on(item, text);
        }
        self.recycle(batch);
    }

    /// Sends one sentence, which the node has not stored and which is released already, to another node.
    fn move_on(&self, item: Item, text: &str) {
        self.balancer().counters.rerouted.add(1);
        let sentence = item.posted(text);
        let mut tried = item.tried;
        tried.push(self.key);
        self.worker.place(sentence, tried, item.reply);
    }

    /// The node takes nothing now: it leaves the rule, and everything that waits for it goes to other nodes.
    fn fell(&self, why: &str) {
        self.balancer().refused(self.key, why);
        let waiting = self.queue.borrow_mut().take_all();
        for batch in waiting {
            self.give_away(batch, false);
        }
    }

    /// The node is silent, which a slow node is too: it leaves the rule only while another is there, and what waits
    /// for it moves only where another takes it.
    fn fell_silent(&self, why: &str) {
        self.balancer().silent(self.key, why);
        let waiting = self.queue.borrow_mut().take_all();
        for mut batch in waiting {
            let Batch { text, items } = &mut batch;
            for item in items.drain(..) {
                self.move_or_keep(item, text);
            }
            self.recycle(batch);
        }
    }

    fn move_or_keep(&self, item: Item, text: &str) {
        let sentence = item.posted(text);
        let mut tried = item.tried;
        tried.push(self.key);
        match self.worker.offer(sentence, tried, item.reply) {
            Ok(()) => {
                self.balancer().routing().fleet.released(self.key, 1, false);
                self.balancer().counters.rerouted.add(1);
            }
            Err(Unplaced { mut tried, reply, .. }) => {
                tried.pop();
                if sentence.is_clients {
                    self.balancer().routing().known_ids.note(sentence.id, self.key);
                }
                self.queue.borrow_mut().push(sentence, item.assignment, tried, reply);
            }
        }
    }

    /// Fails every sentence of a batch that may have been stored.
    fn leave_in_doubt(&self, mut batch: Batch, failure: impl Fn(SentenceId) -> Failure) {
        // This is where the pairs (id, node) will enter the in-doubt journal, after which the sentences can move to
        // another node; until then a moved sentence could be stored twice, so the client is told instead.
        for item in batch.items.drain(..) {
            self.leave_one_in_doubt(item, &failure);
        }
        self.recycle(batch);
    }

    /// Fails a sentence that may have been stored. Its id is remembered: repeated, it comes to this node again.
    fn leave_one_in_doubt(&self, item: Item, failure: impl Fn(SentenceId) -> Failure) {
        {
            let routing = &mut *self.balancer().routing();
            routing.fleet.in_doubt(self.key, 1);
            routing.known_ids.note_doubt(item.id, self.key);
        }
        self.balancer().counters.in_doubt.add(1);
        item.reply.settle(Err(failure(item.id)));
    }

    fn balancer(&self) -> &Balancer {
        &self.worker.balancer
    }

    /// Notes what the node understands.
    fn learn(&self, protocol: Protocol) {
        if self.protocol.replace(Some(protocol)) != Some(protocol) {
            self.balancer().routing().fleet.speaks(self.key, protocol);
        }
    }
}
