//! Sentences to an old node: one post each, without ids. Such a node cannot be asked twice, so a post that may have
//! arrived is never repeated, to no node. Absent: batches.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Lane;
use super::batch::{Batch, Item};
use super::connection::{self, NodeConnection, Trouble};
use crate::answer::{Data, Receipt};
use crate::problem::Failure;

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
        let waiting = RefCell::new(std::mem::take(&mut batch.items).into_iter());
        let text = batch.text.as_str();
        let waiting = &waiting;
        join_all(connections.iter_mut().map(|connection| async move {
            loop {
                // The borrow must end before the post begins.
                let item = waiting.borrow_mut().next();
                let Some(item) = item else { break };
                self.post(item, text, connection).await;
            }
        }))
        .await;
        self.recycle(batch);
    }

    async fn post(&self, item: Item, text: &str, slot: &mut Option<NodeConnection>) {
        let limits = &self.balancer().lane_limits;
        let body = format!(r#"{{"author":{},"sentence":{}}}"#, item.author(text), item.sentence(text));
        let head = connection::post_head(&self.endpoint, "/sentence", "application/json");
        let began = Cell::new(false);
        self.balancer().counters.posts.add(1);
        let exchange = async {
            let connection = NodeConnection::open(slot, &self.endpoint, limits.connect_timeout).await?;
            connection.exchange(&head, body.as_bytes(), &began).await
        };
        let answered = timeout(limits.deadline, exchange).await.unwrap_or_else(|_| {
            let why = format!("no answer for {:?}", limits.deadline);
            Err(if began.get() { Trouble::Unanswered(why) } else { Trouble::NotSent(why) })
        });
        let mut keep = false;
        match answered {
            Ok(response) => {
                keep = response.reusable;
                let body = slot.as_ref().map(|connection| connection.body(&response)).unwrap_or_default();
                match response.status {
                    200 | 201 => self.settle_single(item, body),
                    status @ (401 | 403 | 404 | 405 | 429 | 503 | 507) => {
                        self.fell(&format!("the node answered {status}"));
                        self.release(item, text);
                    }
                    400..=499 => self.release(item, text),
                    status => self.doubt(item, format!("it answered {status}")),
                }
            }
            Err(Trouble::NotSent(why)) => {
                self.fell(&why);
                // Whatever comes back under this address may understand more.
                self.protocol.set(None);
                self.release(item, text);
            }
            Err(Trouble::Unanswered(why)) => {
                self.fell_silent(&why);
                self.doubt(item, why);
            }
        }
        if !keep {
            *slot = None;
        }
    }

    fn settle_single(&self, item: Item, body: &[u8]) {
        let object =
            serde_json::from_slice::<&RawValue>(body).ok().filter(|json| json.get().starts_with('{'));
        let Some(json) = object else {
            return self.doubt(item, "it answered 200 without a JSON object".to_owned());
        };
        self.balancer().routing().fleet.stored(self.key, 1, 0, None);
        self.balancer().counters.stored.add(1);
        let receipt = Receipt {
            node: &self.name,
            assignment: &item.assignment,
            data: Data::Whole(json.get().as_bytes()),
        };
        item.reply.settle(Ok(receipt));
    }

    /// Sends a sentence that the node has surely not stored to another node.
    fn release(&self, item: Item, text: &str) {
        self.balancer().routing().fleet.released(self.key, 1, true);
        self.move_on(item, text);
    }

    fn doubt(&self, item: Item, why: String) {
        self.leave_one_in_doubt(item, |_| Failure::InDoubtOnce { node: self.name.clone(), why: why.clone() });
    }
}
