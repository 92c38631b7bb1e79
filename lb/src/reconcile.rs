//! Sees to it that a sentence that may lie in two places lies in one. A node that was left in doubt and answers again is
//! fenced, so that nothing posted to it before can still arrive; then it is asked which of those sentences it holds, the
//! other places are asked too, and all copies but the newest are taken back. Only then is it up. Sentences whose second
//! post ends while every place can be asked are seen to at once. Absent: which copy stays, which is `doubt.rs`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use wire::{Copies, Fenced, Ids, SentenceId, StoreId, StoredCopy};

use crate::balancer::Balancer;
use crate::clock;
use crate::doubt::{Answer, judge};
use crate::fleet::{Node, NodeKey};
use crate::homes::Home;
use crate::node_client::{NodeClient, Unanswered};

/// Most sentences that are asked about at once.
const AT_ONCE: usize = 4_096;
/// Time for an answer about so many sentences.
const TIME: Duration = Duration::from_secs(3);
/// Time for a fence, which waits for what the node has begun.
const FENCE_TIME: Duration = Duration::from_secs(8);
/// How often it is looked whether there is something to do, besides being told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pause after a node did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Reconciles for as long as the balancer lives.
pub(crate) async fn run(balancer: Arc<Balancer>) {
    let mut reconciler = Reconciler { balancer: Arc::clone(&balancer), clients: HashMap::new() };
    loop {
        tokio::select! {
            biased;
            () = balancer.doubt_changed.notified() => {}
            () = sleep(LOOK_EVERY) => {}
        }
        if reconciler.round().await.is_err() {
            sleep(PAUSE).await;
        }
    }
}

/// A node that did not answer; it will be asked again.
struct NoAnswer;

/// A place that can be asked.
#[derive(Clone, Copy)]
struct Place {
    node: NodeKey,
    home: Home,
    store: StoreId,
}

struct Reconciler {
    balancer: Arc<Balancer>,
    clients: HashMap<NodeKey, NodeClient>,
}

impl Reconciler {
    /// Does all that can be done now.
    async fn round(&mut self) -> Result<(), NoAnswer> {
        let mut all = Ok(());
        for (node, as_of) in self.balancer.step(|routing| routing.fleet.to_be_reconciled()) {
            // One node that does not answer keeps no other from coming back.
            if self.reconcile(node, as_of).await.is_err() {
                all = Err(NoAnswer);
            }
        }
        loop {
            let due = self.balancer.step(|routing| routing.doubt.take_due(AT_ONCE, clock::now()));
            if due.is_empty() {
                break;
            }
            self.look_at(&due, None).await?;
        }
        self.balancer.compact_journal().await;
        all
    }

    /// Fences a node that is back and asks for everything that may lie on it.
    async fn reconcile(&mut self, node: NodeKey, as_of: u64) -> Result<(), NoAnswer> {
        let name = self.balancer.node(node).map(|(name, _)| name).unwrap_or_default();
        let fenced = self.ask::<Fenced>(node, "/fence", &Ids::default(), FENCE_TIME).await;
        let Fenced { fence } = fenced.map_err(|error| {
            tracing::warn!(node = name, %error, "a node cannot be fenced; it is asked again");
            let why = format!("it cannot be fenced: {error}");
            self.balancer.step(|routing| routing.fleet.failed(node, &why));
            NoAnswer
        })?;
        let ids = self.balancer.step(|routing| {
            routing.fleet.fenced(node, fence);
            routing.fleet.node(node).and_then(|node| node.home).map(|home| routing.doubt.of_home(home))
        });
        let ids = ids.unwrap_or_default();
        let mut taken_back = 0;
        for ids in ids.chunks(AT_ONCE) {
            taken_back += self.look_at(ids, Some(node)).await?;
        }
        self.balancer.step(|routing| routing.fleet.reconciled(node, as_of));
        tracing::info!(node = name, asked = ids.len(), taken_back, "node reconciled");
        Ok(())
    }

    /// Asks the places of these sentences, takes back what lies there twice, and notes what is settled. Gives the number
    /// of copies taken back.
    async fn look_at(&mut self, ids: &[SentenceId], back: Option<NodeKey>) -> Result<u64, NoAnswer> {
        let (sentences, places) = self.balancer.step(|routing| {
            let at_rest = |id: &SentenceId| Some((*id, routing.doubt.at_rest(*id, clock::now())?.to_vec()));
            let sentences: Vec<(SentenceId, Vec<Home>)> = ids.iter().filter_map(at_rest).collect();
            (sentences, places(routing.fleet.nodes(), back))
        });
        if sentences.is_empty() {
            return Ok(0);
        }
        let held = self.ask_places(&sentences, &places).await;
        if let Some(back) = back
            && !held.contains_key(&back)
        {
            return Err(NoAnswer);
        }
        let mut verdicts = Vec::with_capacity(sentences.len());
        let mut wanted: BTreeMap<NodeKey, Vec<StoredCopy>> = BTreeMap::new();
        let mut away: BTreeSet<Home> = BTreeSet::new();
        for (id, homes) in sentences {
            let answer = |home: &Home| {
                let place = places.iter().find(|place| place.home == *home);
                let held = place.and_then(|place| Some((place, held.get(&place.node)?)));
                let answer = held.map_or(Answer::Away, |(place, held)| {
                    held.get(&id).map_or(Answer::HoldsNone, |date| Answer::Holds(*date, place.store))
                });
                (*home, answer)
            };
            let answers: Vec<(Home, Answer)> = homes.iter().map(answer).collect();
            let verdict = judge(&answers);
            for (home, date) in &verdict.taken_back {
                if let Some(place) = places.iter().find(|place| place.home == *home) {
                    wanted.entry(place.node).or_default().push(StoredCopy { date: *date, id });
                }
            }
            let is_away = |(home, answer): &(Home, Answer)| (*answer == Answer::Away).then_some(*home);
            away.extend(answers.iter().filter_map(is_away));
            verdicts.push((id, homes, verdict));
        }
        let taken = self.take_back(wanted).await;
        let n = taken.values().map(HashSet::len).sum::<usize>() as u64;
        self.balancer.counters.taken_back.add(n);
        let writing = self.balancer.step(|routing| {
            away.iter().for_each(|home| routing.fleet.was_not_asked(*home));
            let mut settled = Vec::with_capacity(verdicts.len());
            for (id, homes, mut verdict) in verdicts {
                for (home, _) in &verdict.taken_back {
                    let node = routing.fleet.at_home(*home).map(|node| node.key);
                    let is_gone = node.and_then(|node| taken.get(&node)).is_some_and(|ids| ids.contains(&id));
                    if !is_gone {
                        // It may be gone all the same; it is asked for again.
                        verdict.rest.push(*home);
                        node.into_iter().for_each(|node| routing.fleet.must_reconcile(node));
                    }
                }
                if routing.doubt.settle(id, &homes, &verdict.rest, clock::now()) {
                    // A repeat goes to the one place in which it may lie, whether or not that could be asked.
                    let only = (verdict.rest.len() == 1).then(|| verdict.rest.first().copied()).flatten();
                    if let Some(stays) = only.or(verdict.kept) {
                        routing.known_ids.stays(id, stays);
                    }
                    settled.push(id);
                }
            }
            let record = routing.doubt.record(&settled, &routing.homes);
            self.balancer.journal.append(record)
        });
        if let Err(error) = writing.end().await {
            // The next run asks once more for what is settled already.
            tracing::warn!(%error, "what is settled cannot be written down");
        }
        Ok(n)
    }

    /// What each place holds of the sentences that may lie there. A node that does not answer is left out.
    async fn ask_places(
        &mut self,
        sentences: &[(SentenceId, Vec<Home>)],
        places: &[Place],
    ) -> HashMap<NodeKey, HashMap<SentenceId, wire::Date>> {
        let mut clients = std::mem::take(&mut self.clients);
        let questions = places.iter().filter_map(|place| {
            let of_place = sentences.iter().filter(|(_, homes)| homes.contains(&place.home));
            let ids: Vec<SentenceId> = of_place.map(|(id, _)| *id).collect();
            (!ids.is_empty()).then(|| {
                let client = clients.remove(&place.node).unwrap_or_default();
                ask_alone::<Copies>(&self.balancer, place.node, client, "/sentences/held", Ids { ids })
            })
        });
        let answers = join_all(questions.collect::<Vec<_>>()).await;
        let mut held = HashMap::new();
        for (node, answer) in answers {
            match answer {
                Ok((copies, client)) => {
                    clients.insert(node, client);
                    held.insert(node, copies.copies.into_iter().map(|copy| (copy.id, copy.date)).collect());
                }
                Err(error) => {
                    let name = self.balancer.node(node).map(|(name, _)| name).unwrap_or_default();
                    tracing::warn!(node = name, %error, "a node does not say which sentences it holds");
                    self.balancer.step(|routing| routing.fleet.must_reconcile(node));
                }
            }
        }
        self.clients = clients;
        held
    }

    /// Has nodes take back copies; gives the ids that each took back.
    async fn take_back(
        &mut self,
        wanted: BTreeMap<NodeKey, Vec<StoredCopy>>,
    ) -> HashMap<NodeKey, HashSet<SentenceId>> {
        let mut taken = HashMap::new();
        for (node, copies) in wanted {
            let (question, n) = (Copies { copies }, taken.len());
            match self.ask::<Ids>(node, "/sentences/retract", &question, TIME).await {
                Ok(Ids { ids }) => drop(taken.insert(node, ids.into_iter().collect())),
                Err(error) => {
                    let name = self.balancer.node(node).map(|(name, _)| name).unwrap_or_default();
                    tracing::warn!(node = name, copies = n, %error, "a node does not take back second copies");
                }
            }
        }
        taken
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        node: NodeKey,
        path: &str,
        question: &impl Serialize,
        time: Duration,
    ) -> Result<T, Unanswered> {
        let gone = || Unanswered::Failed("it has left the fleet".to_owned());
        let (_, endpoint) = self.balancer.node(node).ok_or_else(gone)?;
        let mut client = self.clients.remove(&node).unwrap_or_default();
        let asked = client.ask(&self.balancer, &endpoint, path, question);
        let late = |_| Unanswered::Failed(format!("no answer to POST {path} within {time:?}"));
        let answer = timeout(time, asked).await.map_err(late)??;
        self.clients.insert(node, client);
        Ok(answer)
    }
}

/// Asks one node with a client of its own, which it gives back.
async fn ask_alone<T: DeserializeOwned>(
    balancer: &Balancer,
    node: NodeKey,
    mut client: NodeClient,
    path: &str,
    question: Ids,
) -> (NodeKey, Result<(T, NodeClient), Unanswered>) {
    let asked = async {
        let gone = || Unanswered::Failed("it has left the fleet".to_owned());
        let (_, endpoint) = balancer.node(node).ok_or_else(gone)?;
        client.ask(balancer, &endpoint, path, &question).await
    };
    let answered = timeout(TIME, asked).await;
    let late = Unanswered::Failed(format!("no answer to POST {path} within {TIME:?}"));
    (node, answered.unwrap_or(Err(late)).map(|answer| (answer, client)))
}

/// The places that can be asked. A node that is not reconciled says nothing final: what was posted to it before may still
/// arrive. `back` is the node that was fenced for this.
fn places(nodes: &[Node], back: Option<NodeKey>) -> Vec<Place> {
    let is_final =
        |node: &&Node| node.is_within_reach() && (!node.must_be_reconciled() || Some(node.key) == back);
    let place = |node: &Node| Some(Place { node: node.key, home: node.home?, store: node.store? });
    nodes.iter().filter(is_final).filter_map(place).collect()
}
