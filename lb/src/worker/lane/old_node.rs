//! Sentences to an old node: one post each, without ids. Such a node cannot be asked twice, so a post that may have
//! arrived is never repeated, to no node. Absent: batches, and the judgement of how a post ended.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use tokio::time::timeout;
use wire::template::Data;

use super::connection::NodeConnection;
use super::judgement::{self, OneSentence, PostEnd};
use super::response::Response;
use super::trouble::Trouble;
use super::{Batch, Item, Lane, old_answer};
use crate::answer::Receipt;
use crate::problem::Failure;
use crate::sentence::Sentence;

/// Posts that are under way to an old node at a time.
const AT_A_TIME: usize = 4;

impl Lane {
    /// Delivers every sentence of a batch by itself, over the connections in `connections`.
    pub(super) async fn deliver_singly(
        &self,
        mut batch: Batch,
        connections: &mut Vec<Option<NodeConnection>>,
    ) {
        connections.resize_with(AT_A_TIME, || None);
        {
            let waiting = RefCell::new(batch.drain());
            let waiting = &waiting;
            join_all(connections.iter_mut().map(|connection| async move {
                loop {
                    // The borrow must end before the post begins.
                    let item = waiting.borrow_mut().next();
                    let Some(item) = item else { break };
                    self.post(item, connection).await;
                }
            }))
            .await;
        }
        self.recycle(batch);
    }

    async fn post(&self, item: Item<'_>, slot: &mut Option<NodeConnection>) {
        // Whether it was stored then, such a node cannot say.
        if item.journey.may_lie.is_some() {
            let why = "an earlier post of this id went there".to_owned();
            return self.leave_one_in_doubt(item, |_| Failure::InDoubtOnce { node: self.name.clone(), why });
        }
        let body = format!(r#"{{"author":{},"sentence":{}}}"#, item.sentence.author, item.sentence.sentence);
        self.balancer().counters.posts.add(1);
        let answered = self.exchange_one(&body, slot).await;
        let is_reusable = answered.as_ref().is_ok_and(|response| response.reusable);
        let is_believed = self.conclude_one(item, answered, slot.as_ref());
        if !(is_reusable && is_believed) {
            *slot = None;
        }
    }

    async fn exchange_one(&self, body: &str, slot: &mut Option<NodeConnection>) -> Result<Response, Trouble> {
        let began = Cell::new(false);
        let exchange = async {
            let connection = self.connection(slot).await?;
            connection.exchange(&self.single_head, None, body.as_bytes(), &began).await
        };
        let deadline = self.balancer().lane_limits.deadline;
        timeout(deadline, exchange).await.unwrap_or_else(|_| {
            let why = format!("no answer for {deadline:?}");
            Err(if began.get() { Trouble::Unanswered(why) } else { Trouble::NotSent(why) })
        })
    }

    /// Settles the sentence by its answer. Gives whether the answer was understood.
    fn conclude_one(
        &self,
        item: Item<'_>,
        answered: Result<Response, Trouble>,
        connection: Option<&NodeConnection>,
    ) -> bool {
        let (end, why) = match answered {
            Err(Trouble::NotSent(why)) => {
                // Whatever comes back under this address may understand more.
                self.protocol.set(None);
                (PostEnd::NotSent, why)
            }
            Err(Trouble::Unanswered(why)) => (PostEnd::Unanswered, why),
            Ok(response) => {
                let body = connection.map(|connection| connection.body(&response)).unwrap_or_default();
                match read(&response, body, &item.sentence) {
                    Ok(document) => {
                        self.settle_one(item, document);
                        return true;
                    }
                    Err(ended) => ended,
                }
            }
        };
        let is_understood = matches!(end, PostEnd::Status { .. });
        let (sentence, node) = judgement::of_single_post(end);
        self.think_of_node(node, &why);
        match sentence {
            OneSentence::InDoubt => {
                self.leave_one_in_doubt(item, |_| Failure::InDoubtOnce { node: self.name.clone(), why });
            }
            OneSentence::Elsewhere => self.move_on(item, true),
        }
        is_understood
    }

    fn settle_one(&self, item: Item<'_>, document: &[u8]) {
        self.balancer().step(|routing| routing.fleet.stored(self.key, 1, 0, None));
        self.balancer().counters.stored.add(1);
        let data = Data::Whole(document);
        item.waiter.settle(Ok(Receipt { node: &self.name, assignment: &item.assignment, data }));
    }
}

/// The document that the node says it stored, or how the post ended without one, and what is told of it.
fn read<'a>(
    response: &Response,
    body: &'a [u8],
    posted: &Sentence<'_>,
) -> Result<&'a [u8], (PostEnd, String)> {
    if !matches!(response.status, 200 | 201) {
        return Err(super::refusal(response.status, body));
    }
    let told = |wrong| format!("it answered {} with {wrong}", response.status);
    old_answer::read(body, posted).map_err(|wrong| (PostEnd::Unreadable, told(wrong)))
}
