//! Asks the nodes whether they hold sentences that may have been posted before, many at a time: what has gathered while
//! one round of questions was under way goes out with the next. A node that does not answer in time counts as away, and
//! the sentence as one that may lie there. Absent: when a sentence needs this, and what follows, which is `routing.rs`'s.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use wire::{Copies, Ids, SentenceId};

use super::Worker;
use super::parked::Parked;
use super::slowest::Slowest;
use crate::answer::Reply;
use crate::balancer::Balancer;
use crate::clock;
use crate::homes::Home;
use crate::node_client::NodeClients;
use crate::routing::Finding;

/// Most sentences in one round.
const AT_ONCE: usize = 4_096;
/// The question.
const HELD: &str = "/sentences/held";

/// The sentences of one worker that wait for the nodes' word.
#[derive(Default)]
pub(super) struct Lookup {
    waiting: RefCell<Vec<Parked<Reply>>>,
    is_asking: Cell<bool>,
    clients: NodeClients,
    slowest: Slowest,
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

    /// Ends the connections to nodes that have left the fleet.
    pub(super) fn leave_gone(&self, balancer: &Balancer) {
        self.clients.leave_gone(balancer);
    }

    /// The longest that any node took for an answer, of late.
    pub(super) fn slowest_answer(&self) -> Option<Duration> {
        self.slowest.of_late()
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
        let slowest = &self.lookup.slowest;
        let patience = self.balancer.lane_limits.patience;
        let time = slowest.may_take(self.slowest_answer(), question.ids.len(), patience);
        let question = &question;
        let ask = async |node| {
            let begun = clock::now();
            let held = self.lookup.clients.ask::<Copies>(&self.balancer, node, HELD, question, time).await;
            if held.is_ok() {
                slowest.took(clock::now().saturating_duration_since(begun));
            }
            held
        };
        let answers = join_all(near.iter().map(|(node, _)| ask(*node))).await;
        let mut holders: HashMap<SentenceId, Vec<Home>> = HashMap::new();
        for ((node, home), held) in near.into_iter().zip(answers) {
            match held {
                Ok(Copies { copies }) => {
                    copies.iter().for_each(|copy| holders.entry(copy.id).or_default().push(home));
                }
                Err(why) => {
                    self.balancer.step(|routing| routing.fleet.silent(node, &why.to_string()));
                    away.push(home);
                }
            }
        }
        for parked in round {
            let holders = holders.remove(&parked.id()).unwrap_or_default();
            let finding = Finding { holders, away: away.clone() };
            let Parked { text, journey, waiter } = parked;
            self.place(text.sentence(), journey, waiter, Some(&finding));
        }
    }
}

#[cfg(test)]
mod tests;
