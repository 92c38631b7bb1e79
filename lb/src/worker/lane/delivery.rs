//! One batch to a node that knows ids: post, read, judge, and do what the judgement says. A batch that may have been
//! stored is repeated to the same node, with the same ids; then it moves in doubt, or, where no other node can take it, stays
//! until its deadline. Absent: the judgement, which is `judgement.rs`'s; old nodes.

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
use super::{Batch, Ended, Lane};
use crate::answer::Receipt;
use crate::clock;
use crate::fleet::{Mark, Protocol};
use crate::problem::Failure;
use crate::worker::slowest;

/// Pause before the first repetition; each later one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// How often a silent node's post is looked after, once it is silent.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Posts that may have stored a sentence, and did not say so, before another node may take it.
const POSTS_BEFORE_MOVE: u32 = 2;

/// How one post ended.
enum Posted {
    /// With an answer or with trouble.
    Ended(Result<Response, Trouble>),
    /// The node is silent, and there is another that may take the sentences.
    Silent(String),
}

/// What is left to do after a post.
enum Rest {
    /// Every sentence is settled or has gone to another node.
    Nothing,
    /// The node is an old one and has stored none of these.
    OneByOne(Batch),
    /// These may have been stored; in words, what was seen instead of an answer about them. In no words, the node would
    /// have taken a later post.
    Repeat(Batch, Option<String>),
}

impl Lane {
    /// Delivers a batch; gives it back, not stored, when the node turns out to be an old one.
    pub(super) async fn deliver(
        &self,
        mut batch: Batch,
        mut fence: Option<u64>,
        connection: &mut Option<NodeConnection>,
    ) -> Option<Batch> {
        // What waited behind a silent post has that much less time.
        let since = batch.since().unwrap_or_else(clock::now);
        let deadline = Instant::from_std(since) + self.balancer().lane_limits.deadline;
        let mut pause = FIRST_PAUSE;
        let mut unsure_posts = 0;
        let mut doubt: Option<String> = None;
        while Instant::from_std(clock::now()) < deadline {
            self.balancer().counters.posts.add(1);
            let posted = self.attempt(&batch, fence, connection, deadline).await;
            let is_reusable = matches!(&posted, Posted::Ended(Ok(response)) if response.reusable);
            let is_out_of_reach =
                matches!(posted, Posted::Silent(_) | Posted::Ended(Err(Trouble::NotSent(_))));
            let rest = match posted {
                Posted::Ended(answered) => {
                    self.conclude(batch, answered, connection.as_ref(), doubt.as_deref())
                }
                Posted::Silent(why) => Rest::Repeat(batch, Some(why)),
            };
            if !is_reusable || matches!(rest, Rest::Repeat(_, Some(_))) {
                *connection = None;
            }
            match rest {
                Rest::Nothing => return None,
                Rest::OneByOne(batch) => return Some(batch),
                Rest::Repeat(same, why) => {
                    batch = same;
                    unsure_posts += u32::from(why.is_some());
                    doubt = why.or(doubt);
                }
            }
            if doubt.is_none() {
                // The post was not let in; its sentences may have gone elsewhere since.
                batch = self.dispatch_again(batch);
            } else if is_out_of_reach || unsure_posts >= POSTS_BEFORE_MOVE {
                batch = self.move_in_doubt(batch);
            }
            if batch.len() == 0 {
                self.recycle(batch);
                return None;
            }
            if Instant::from_std(clock::now()) + pause >= deadline {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            self.balancer().counters.repeated.add(1);
            fence = self.balancer().step(|routing| routing.fleet.fence(self.key));
        }
        self.give_up(batch, doubt);
        None
    }

    /// Moves those sentences of a batch in doubt to other nodes that other nodes take; gives the others back.
    fn move_in_doubt(&self, batch: Batch) -> Batch {
        if !self.has_refuge() {
            return batch;
        }
        self.sift(batch, |item| {
            let (item, _) = *self.offer_elsewhere(item, self.home.get(), true).err()?;
            self.remember(&item);
            Some(item)
        })
    }

    /// Whether sentences that may lie on the node can go elsewhere.
    fn has_refuge(&self) -> bool {
        let home = self.home.get();
        self.balancer().step(|routing| home.is_some_and(|home| routing.has_refuge(self.key, home)))
    }

    /// Fails what could not be delivered in its time.
    fn give_up(&self, mut batch: Batch, doubt: Option<String>) {
        let node = &self.name;
        for item in batch.drain() {
            match doubt.clone() {
                Some(why) => {
                    self.leave_one_in_doubt(item, |id| Failure::InDoubt { id, node: node.clone(), why });
                }
                None => {
                    self.end(&item, Ended::Released { was_dispatched: true });
                    self.worker.fail_waited(item, node);
                }
            }
        }
        self.recycle(batch);
    }

    /// Posts the batch once and reads the answer.
    async fn attempt(
        &self,
        batch: &Batch,
        fence: Option<u64>,
        connection: &mut Option<NodeConnection>,
        deadline: Instant,
    ) -> Posted {
        let patience = self.balancer().lane_limits.patience;
        let began = Cell::new(false);
        let exchange = self.exchange(batch, fence, connection, &began);
        tokio::pin!(exchange);
        let begun = Instant::from_std(clock::now());
        let mut look_at = begun + slowest::LEAST.min(patience);
        let mut is_silent = false;
        loop {
            if let Ok(answered) = timeout_at(look_at.min(deadline), &mut exchange).await {
                if answered.is_ok() {
                    self.slowest.took(Instant::from_std(clock::now()) - begun);
                }
                return Posted::Ended(answered);
            }
            let now = Instant::from_std(clock::now());
            // Most posts are answered long before this is asked.
            let may_take = self.slowest.may_take(self.worker.slowest_answer(), batch.len(), patience);
            if now < (begun + may_take).min(deadline) {
                look_at = begun + may_take;
                continue;
            }
            let took = now - begun;
            let has_refuge = self.has_refuge();
            let allowed = look_at.min(deadline) - begun;
            if !is_silent && (has_refuge || took >= patience) {
                is_silent = true;
                self.fell_silent(&format!("no answer for {allowed:?}"));
            }
            let why = format!("no answer for {allowed:?}");
            if now >= deadline {
                let trouble = if began.get() { Trouble::Unanswered(why) } else { Trouble::NotSent(why) };
                return Posted::Ended(Err(trouble));
            }
            if is_silent && has_refuge {
                return if began.get() {
                    Posted::Silent(why)
                } else {
                    Posted::Ended(Err(Trouble::NotSent(why)))
                };
            }
            look_at += LOOK_EVERY;
        }
    }

    async fn exchange(
        &self,
        batch: &Batch,
        fence: Option<u64>,
        slot: &mut Option<NodeConnection>,
        began: &Cell<bool>,
    ) -> Result<Response, Trouble> {
        let reused = slot.is_some();
        let connection = self.connection(slot).await?;
        match connection.exchange(&self.bulk_head, fence, batch.text().as_bytes(), began).await {
            // An idle connection that ended unseen says nothing about the node.
            Err(Trouble::NotSent(_)) if reused => {
                *slot = None;
                let connection = self.connection(slot).await?;
                connection.exchange(&self.bulk_head, fence, batch.text().as_bytes(), began).await
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
            // A post that never left, or was never let in, says nothing of an earlier one.
            Sentences::Again if matches!(end, PostEnd::NotSent | PostEnd::Fenced) => {
                return Rest::Repeat(batch, None);
            }
            Sentences::Again => return Rest::Repeat(batch, Some(why)),
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
        self.end_noted(&batch, &verdicts);
        let since = batch.since();
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
                    let in_doubt = in_doubt || item.journey.may_lie.is_some();
                    match judgement::of_failed_item(problem.status, problem.ambiguous, in_doubt) {
                        FailedItem::Refused => {
                            self.end(&item, Ended::Released { was_dispatched: true });
                            self.balancer().counters.invalid.add(1);
                            item.waiter.settle(Err(Failure::Rejected(problem)));
                        }
                        FailedItem::Elsewhere => {
                            self.move_on(item, true);
                            down = Some(problem.detail);
                        }
                        FailedItem::Again => {
                            again.push(item, || since.unwrap_or_else(clock::now));
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
                Rest::Repeat(again, Some(why))
            }
            None => Rest::Nothing,
        }
    }

    /// Those sentences of an answered batch that were noted as in doubt are stored here: the rest can be seen to.
    fn end_noted(&self, batch: &Batch, verdicts: &[Verdict<'_>]) {
        let is_stored = |verdict: &Verdict<'_>| !matches!(verdict, Verdict::Failed(_));
        let noted: Vec<SentenceId> = batch
            .noted()
            .zip(verdicts)
            .filter_map(|(noted, verdict)| noted.filter(|_| is_stored(verdict)))
            .collect();
        if noted.is_empty() {
            return;
        }
        self.balancer().step(|routing| noted.iter().for_each(|id| routing.doubt.ended(*id)));
        self.balancer().doubt_changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
