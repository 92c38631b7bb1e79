//! Asks the nodes whether they hold sentences that may have been posted before, many at a time: what has gathered while
//! one round of questions was under way goes out with the next. A node that does not answer in time counts as away, and
//! the sentence as one that may lie there. Absent: when a sentence needs this, and what follows, which is `routing.rs`'s.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use wire::{Copies, Ids, SentenceId};

use super::Worker;
use super::parked::Parked;
use crate::answer::Reply;
use crate::clock;
use crate::fleet::NodeKey;
use crate::homes::Home;
use crate::node_client::NodeClient;
use crate::routing::Finding;

/// Most sentences in one round.
const AT_ONCE: usize = 4_096;
/// Time for one round. A node that is up answers within a fraction of it.
const TIME: Duration = Duration::from_millis(250);

/// The sentences of one worker that wait for the nodes' word.
#[derive(Default)]
pub(super) struct Lookup {
    waiting: RefCell<Vec<Parked<Reply>>>,
    is_asking: Cell<bool>,
    clients: RefCell<HashMap<NodeKey, NodeClient>>,
}

impl Lookup {
    /// Sends the sentence on its way once the nodes were asked.
    pub(super) fn ask(&self, worker: &Rc<Worker>, parked: Parked<Reply>) {
        self.waiting.borrow_mut().push(parked);
        if !self.is_asking.replace(true) {
            let worker = Rc::clone(worker);
            tokio::task::spawn_local(async move {
                while let Some(round) = worker.lookup.next_round() {
                    worker.ask_nodes(round).await;
                }
                worker.lookup.is_asking.set(false);
            });
        }
    }

    fn next_round(&self) -> Option<Vec<Parked<Reply>>> {
        let mut waiting = self.waiting.borrow_mut();
        let n = waiting.len().min(AT_ONCE);
        let rest = waiting.split_off(n);
        let round = std::mem::replace(&mut *waiting, rest);
        (!round.is_empty()).then_some(round)
    }
}

impl Worker {
    /// Asks all nodes about these sentences, and sends each on its way.
    async fn ask_nodes(self: &Rc<Self>, round: Vec<Parked<Reply>>) {
        let question = Ids { ids: round.iter().map(Parked::id).collect() };
        self.balancer.counters.looked_up.add(question.ids.len() as u64);
        let (near, mut away) = self.balancer.step(|routing| routing.near_and_away(clock::now()));
        let answers = join_all(near.iter().map(|(node, _)| self.ask_node(*node, &question))).await;
        let mut holders: HashMap<SentenceId, Vec<Home>> = HashMap::new();
        for ((node, home), held) in near.into_iter().zip(answers) {
            match held {
                Some(held) => held.into_iter().for_each(|id| holders.entry(id).or_default().push(home)),
                None => {
                    self.is_silent(node);
                    away.push(home);
                }
            }
        }
        for parked in round {
            let holders = holders.remove(&parked.id()).unwrap_or_default();
            let finding = Finding { holders, away: away.clone() };
            self.place_found(parked, &finding);
        }
    }

    /// Which of these sentences a node holds; `None` when it does not say.
    async fn ask_node(&self, node: NodeKey, question: &Ids) -> Option<HashSet<SentenceId>> {
        let (_, endpoint) = self.balancer.node(node)?;
        let mut client = self.lookup.clients.borrow_mut().remove(&node).unwrap_or_default();
        let asked = client.ask::<Copies>(&self.balancer, &endpoint, "/sentences/held", question);
        match timeout(TIME, asked).await {
            Ok(Ok(held)) => {
                self.lookup.clients.borrow_mut().insert(node, client);
                Some(held.copies.into_iter().map(|copy| copy.id).collect())
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// A node that was near does not answer.
    fn is_silent(&self, node: NodeKey) {
        let why = format!("no answer to POST /sentences/held within {TIME:?}");
        self.balancer.step(|routing| routing.fleet.silent(node, &why));
    }
}
