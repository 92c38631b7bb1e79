//! One batch to a node that knows ids. A batch that surely did not arrive moves to other nodes at once; one that may
//! have arrived is repeated to the same node, with the same ids, until the node's deadline. Absent: old nodes.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Lane;
use super::answers::{self, Verdict};
use super::batch::Batch;
use super::connection::{NodeConnection, Trouble};
use super::response::Response;
use crate::answer::{Data, Receipt};
use crate::clock;
use crate::fleet::Protocol;
use crate::problem::Failure;

/// Pause before the first repetition; each later one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// What to do after an answer.
enum Next {
    /// The batch is settled.
    Done,
    /// The node is an old one.
    Singly(Batch),
    /// The answer does not tell what was stored.
    Repeat(Batch, String),
}

impl Lane {
    /// Delivers a batch; gives it back, not stored, when the node turns out to be an old one.
    pub(super) async fn deliver(
        &self,
        mut batch: Batch,
        connection: &mut Option<NodeConnection>,
    ) -> Option<Batch> {
        let deadline = Instant::from_std(clock::now()) + self.balancer().lane_limits.deadline;
        let mut pause = FIRST_PAUSE;
        let mut doubt: Option<String> = None;
        loop {
            self.balancer().counters.posts.add(1);
            match self.attempt(&batch, connection, deadline).await {
                Ok(response) => match self.judge(batch, &response, connection, doubt.is_some()) {
                    Next::Done => return None,
                    Next::Singly(batch) => return Some(batch),
                    Next::Repeat(same, why) => {
                        batch = same;
                        self.fell_silent(&why);
                        doubt = Some(why);
                    }
                },
                Err(Trouble::NotSent(why)) => {
                    self.fell(&why);
                    if doubt.is_none() {
                        self.give_away(batch, true);
                        return None;
                    }
                }
                Err(Trouble::Unanswered(why)) => {
                    self.fell_silent(&why);
                    doubt = Some(why);
                }
            }
            *connection = None;
            if Instant::from_std(clock::now()) + pause >= deadline {
                let why = doubt.unwrap_or_default();
                let node = &self.name;
                self.leave_in_doubt(batch, |id| Failure::InDoubt {
                    id,
                    node: node.clone(),
                    why: why.clone(),
                });
                return None;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            self.balancer().counters.repeated.add(1);
        }
    }

    /// Posts the batch once and reads the answer.
    async fn attempt(
        &self,
        batch: &Batch,
        connection: &mut Option<NodeConnection>,
        deadline: Instant,
    ) -> Result<Response, Trouble> {
        let limits = &self.balancer().lane_limits;
        let began = Cell::new(false);
        let exchange = self.exchange(batch, connection, &began);
        tokio::pin!(exchange);
        let patience = Instant::from_std(clock::now()) + limits.patience;
        if let Ok(answered) = timeout_at(patience.min(deadline), &mut exchange).await {
            return answered;
        }
        self.fell_silent(&format!("no answer for {:?}", limits.patience));
        timeout_at(deadline, exchange).await.unwrap_or_else(|_| {
            let why = format!("no answer for {:?}", limits.deadline);
            Err(if began.get() { Trouble::Unanswered(why) } else { Trouble::NotSent(why) })
        })
    }

    async fn exchange(
        &self,
        batch: &Batch,
        slot: &mut Option<NodeConnection>,
        began: &Cell<bool>,
    ) -> Result<Response, Trouble> {
        let connect_timeout = self.balancer().lane_limits.connect_timeout;
        let reused = slot.is_some();
        let connection = NodeConnection::open(slot, &self.endpoint, connect_timeout).await?;
        match connection.exchange(&self.post_head, batch.text.as_bytes(), began).await {
            // An idle connection that ended unseen says nothing about the node.
            Err(Trouble::NotSent(_)) if reused => {
                *slot = None;
                let connection = NodeConnection::open(slot, &self.endpoint, connect_timeout).await?;
                connection.exchange(&self.post_head, batch.text.as_bytes(), began).await
            }
            done => done,
        }
    }

    /// What follows from an answer. `in_doubt` says that an earlier post of the batch may have been stored: then nothing
    /// but an answer about each sentence settles it.
    fn judge(
        &self,
        batch: Batch,
        response: &Response,
        connection: &mut Option<NodeConnection>,
        in_doubt: bool,
    ) -> Next {
        let status = response.status;
        let body = connection.as_ref().map(|connection| connection.body(response)).unwrap_or_default();
        let next = match status {
            200 => match answers::read(body, &batch) {
                Ok(verdicts) => {
                    self.learn(Protocol::Batch);
                    self.settle(batch, verdicts, response, in_doubt);
                    Next::Done
                }
                Err(why) => {
                    self.fell_silent(&why);
                    let node = &self.name;
                    self.leave_in_doubt(batch, |id| Failure::BadAnswer {
                        id,
                        node: node.clone(),
                        why: why.clone(),
                    });
                    *connection = None;
                    return Next::Done;
                }
            },
            _ if in_doubt => Next::Repeat(batch, format!("the node answered {status} to the repeated post")),
            404 | 405 => {
                self.learn(Protocol::Single);
                Next::Singly(batch)
            }
            // The node does not take sentences now, whichever they are.
            401 | 403 | 429 | 503 | 507 => {
                self.fell(&format!("the node answered {status}"));
                self.give_away(batch, true);
                Next::Done
            }
            400..=499 => {
                self.fell_silent(&format!("the node answered {status}"));
                self.give_away(batch, true);
                Next::Done
            }
            _ => Next::Repeat(batch, format!("the node answered {status}")),
        };
        if !response.reusable {
            *connection = None;
        }
        next
    }

    fn settle(&self, mut batch: Batch, verdicts: Vec<Verdict<'_>>, response: &Response, in_doubt: bool) {
        let count = |wanted: fn(&Verdict<'_>) -> bool| verdicts.iter().filter(|v| wanted(v)).count() as u64;
        let fresh = count(|verdict| matches!(verdict, Verdict::Fresh { .. }));
        let known = count(|verdict| matches!(verdict, Verdict::Known { .. }));
        self.balancer().routing().fleet.stored(self.key, fresh, known, response.mark);
        self.balancer().counters.stored.add(fresh + known);
        let mut sick = None;
        let Batch { text, items } = &mut batch;
        for (item, verdict) in items.drain(..).zip(verdicts) {
            let stored = |data| Receipt { node: &self.name, assignment: &item.assignment, data };
            match verdict {
                Verdict::Fresh { date } => {
                    let (author, sentence, id) = (item.author(text), item.sentence(text), item.id_text(text));
                    let receipt = stored(Data::Fresh { author, date, id, sentence });
                    item.reply.settle(Ok(receipt));
                }
                Verdict::Known { stored: json } => {
                    let receipt = stored(Data::Whole(&json));
                    item.reply.settle(Ok(receipt));
                }
                Verdict::Failed(problem) if problem.status < 500 => {
                    self.balancer().routing().fleet.released(self.key, 1, true);
                    self.balancer().counters.invalid.add(1);
                    item.reply.settle(Err(Failure::Rejected(problem)));
                }
                Verdict::Failed(problem) if in_doubt => {
                    let (node, why) = (&self.name, &problem.detail);
                    self.leave_one_in_doubt(item, |id| Failure::InDoubt {
                        id,
                        node: node.clone(),
                        why: why.clone(),
                    });
                }
                Verdict::Failed(problem) => {
                    self.balancer().routing().fleet.released(self.key, 1, true);
                    self.move_on(item, text);
                    sick = Some(problem);
                }
            }
        }
        if let Some(problem) = sick {
            self.fell(&problem.detail);
        }
        self.recycle(batch);
    }
}
