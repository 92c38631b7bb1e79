//! One batch to a node that knows ids: post, read, judge, and do what the judgement says. A batch that may have been
//! stored is repeated to the same node, with the same ids, until the node's deadline. Absent: the judgement, which is
//! `judgement.rs`'s; old nodes.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use wire::SentenceId;
use wire::template::{Data, Fresh};

use super::answers::{self, Verdict};
use super::connection::NodeConnection;
use super::judgement::{self, FailedItem, PostEnd, Sentences};
use super::response::Response;
use super::trouble::Trouble;
use super::{Batch, Lane};
use crate::answer::Receipt;
use crate::clock;
use crate::fleet::{Mark, Protocol};
use crate::problem::Failure;

/// Pause before the first repetition; each later one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// What is left to do after a post.
enum Rest {
    /// Every sentence is settled or has gone to another node.
    Nothing,
    /// The node is an old one and has stored none of these.
    OneByOne(Batch),
    /// These may have been stored; in words, what was seen instead of an answer about them.
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
            let answered = self.attempt(&batch, connection, deadline).await;
            let is_reusable = answered.as_ref().is_ok_and(|response| response.reusable);
            let rest = self.conclude(batch, answered, connection.as_ref(), doubt.as_deref());
            if !is_reusable || matches!(rest, Rest::Repeat(..)) {
                *connection = None;
            }
            match rest {
                Rest::Nothing => return None,
                Rest::OneByOne(batch) => return Some(batch),
                Rest::Repeat(same, why) => {
                    batch = same;
                    doubt = Some(why);
                }
            }
            if Instant::from_std(clock::now()) + pause >= deadline {
                let (node, why) = (self.name.clone(), doubt.unwrap_or_default());
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
        let reused = slot.is_some();
        let connection = self.connection(slot).await?;
        match connection.exchange(&self.bulk_head, batch.text().as_bytes(), began).await {
            // An idle connection that ended unseen says nothing about the node.
            Err(Trouble::NotSent(_)) if reused => {
                *slot = None;
                let connection = self.connection(slot).await?;
                connection.exchange(&self.bulk_head, batch.text().as_bytes(), began).await
            }
            done => done,
        }
    }

    /// Does what follows from the end of a post. `doubt` tells what was seen of an earlier post that may have stored the
    /// batch.
    fn conclude(
        &self,
        batch: Batch,
        answered: Result<Response, Trouble>,
        connection: Option<&NodeConnection>,
        doubt: Option<&str>,
    ) -> Rest {
        let (end, why) = match answered {
            Err(Trouble::NotSent(why)) => (PostEnd::NotSent, why),
            Err(Trouble::Unanswered(why)) => (PostEnd::Unanswered, why),
            Ok(response) => {
                let body = connection.map(|connection| connection.body(&response)).unwrap_or_default();
                match self.read(&batch, &response, body) {
                    Ok(verdicts) => return self.settle(batch, verdicts, response.mark, doubt.is_some()),
                    Err(ended) => ended,
                }
            }
        };
        let (sentences, node) = judgement::of_bulk_post(end, doubt.is_some());
        self.think_of_node(node, &why);
        match sentences {
            Sentences::Elsewhere => self.give_away(batch, true),
            Sentences::OneByOne => {
                self.learn(Protocol::Single);
                return Rest::OneByOne(batch);
            }
            // A post that never left says nothing of the earlier one.
            Sentences::Again if end == PostEnd::NotSent => {
                return Rest::Repeat(batch, doubt.unwrap_or(&why).to_owned());
            }
            Sentences::Again => return Rest::Repeat(batch, why),
            Sentences::InDoubt => {
                let node = self.name.clone();
                self.leave_in_doubt(batch, |id| Failure::BadAnswer {
                    id,
                    node: node.clone(),
                    why: why.clone(),
                });
            }
        }
        Rest::Nothing
    }

    /// What the node says of each sentence, or how the post ended without that, and what is told of it.
    fn read<'a>(
        &self,
        batch: &Batch,
        response: &Response,
        body: &'a [u8],
    ) -> Result<Vec<Verdict<'a>>, (PostEnd, String)> {
        if response.status == 200 {
            return answers::read(body, batch).map_err(|why| (PostEnd::Unreadable, why));
        }
        Err(super::refusal(response.status, body))
    }

    /// Settles the sentences of an answered batch; those that the node cannot tell of are left.
    fn settle(
        &self,
        mut batch: Batch,
        verdicts: Vec<Verdict<'_>>,
        mark: Option<Mark>,
        in_doubt: bool,
    ) -> Rest {
        self.learn(Protocol::Batch);
        let count = |wanted: fn(&Verdict<'_>) -> bool| verdicts.iter().filter(|v| wanted(v)).count() as u64;
        let fresh = count(|verdict| matches!(verdict, Verdict::Fresh { .. }));
        let known = count(|verdict| matches!(verdict, Verdict::Known { .. }));
        self.balancer().step(|routing| routing.fleet.stored(self.key, fresh, known, mark));
        self.balancer().counters.stored.add(fresh + known);
        let (mut again, mut unsure, mut down) = (Batch::default(), None, None);
        for (item, verdict) in batch.drain().zip(verdicts) {
            let stored = |data| Ok(Receipt { node: &self.name, assignment: &item.assignment, data });
            match verdict {
                Verdict::Fresh { id, date } => {
                    let (author, sentence) = (item.sentence.author, item.sentence.sentence);
                    item.waiter.settle(stored(Data::Fresh(Fresh { author, date, id, sentence })));
                }
                Verdict::Known { stored: json } => item.waiter.settle(stored(Data::Whole(&json))),
                Verdict::Failed(problem) => {
                    match judgement::of_failed_item(problem.status, problem.ambiguous, in_doubt) {
                        FailedItem::Refused => {
                            self.release(1, true);
                            self.balancer().counters.invalid.add(1);
                            item.waiter.settle(Err(Failure::Rejected(problem)));
                        }
                        FailedItem::Elsewhere => {
                            self.release(1, true);
                            self.move_on(item);
                            down = Some(problem.detail);
                        }
                        FailedItem::Again => {
                            again.push(item);
                            unsure = Some(problem.detail);
                        }
                    }
                }
            }
        }
        self.recycle(batch);
        if let Some(why) = down {
            self.think_of_node(judgement::Node::Down, &why);
        }
        match unsure {
            Some(why) => {
                self.think_of_node(judgement::Node::Silent, &why);
                Rest::Repeat(again, why)
            }
            None => Rest::Nothing,
        }
    }

    /// Fails every sentence of a batch that may have been stored.
    fn leave_in_doubt(&self, mut batch: Batch, failure: impl Fn(SentenceId) -> Failure) {
        // This is where the pairs (id, node) will enter the in-doubt journal, after which the sentences can move to
        // another node; until then a moved sentence could be stored twice, so the client is told instead.
        for item in batch.drain() {
            self.leave_one_in_doubt(item, &failure);
        }
        self.recycle(batch);
    }
}

#[cfg(test)]
mod tests;
