//! Sees to it that a sentence that may lie in two places lies in one. A node that was left in doubt and answers again is
//! fenced, so that nothing posted to it before can still arrive; then it is asked which of those sentences it holds, the
//! other places are asked too, and all copies but the newest are taken back. Only then is it up. Sentences whose second
//! post ends while every place can be asked are seen to at once. Absent: which copy stays, which is `doubt.rs`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;
use wire::{Copies, Date, Fenced, Ids, SentenceId, StoreId, StoredCopy};

use crate::balancer::Balancer;
use crate::doubt::{Answer, Verdict, judge};
use crate::fleet::{Node, NodeKey};
use crate::homes::Home;
use crate::journal::Writing;
use crate::node_client::NodeClients;

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
    let reconciler = Reconciler { balancer: Arc::clone(&balancer), clients: NodeClients::default() };
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

/// What nodes hold of the sentences that they were asked about, with the date of each copy.
type Held = HashMap<NodeKey, HashMap<SentenceId, Date>>;

/// What follows for sentences whose places were asked.
#[derive(Default)]
struct Judged {
    /// Each sentence, the places that it may have lain in, and what is thought of those.
    verdicts: Vec<(SentenceId, Vec<Home>, Verdict)>,
    /// The copies that nodes are to take back.
    wanted: BTreeMap<NodeKey, Vec<StoredCopy>>,
    /// The places that did not say.
    away: BTreeSet<Home>,
}

struct Reconciler {
    balancer: Arc<Balancer>,
    clients: NodeClients,
}

impl Reconciler {
    /// Does all that can be done now.
    async fn round(&self) -> Result<(), NoAnswer> {
        let mut all = Ok(());
        let back = self.balancer.step(|routing| routing.fleet.to_be_reconciled());
        // One node that does not answer keeps no other from coming back.
        let fence = |(node, as_of)| async move { (node, as_of, self.fence(node).await) };
        let mut fences: FuturesUnordered<_> = back.into_iter().map(fence).collect();
        while let Some((node, as_of, fenced)) = fences.next().await {
            let reconciled = match fenced {
                Ok(fence) => self.reconcile(node, as_of, fence).await,
                Err(no_answer) => Err(no_answer),
            };
            all = all.and(reconciled);
        }
        loop {
            let due = self.balancer.step(|routing| routing.doubt.take_due(AT_ONCE));
            if due.is_empty() {
                break;
            }
            self.look_at(&due, None).await?;
        }
        self.clients.leave_gone(&self.balancer);
        self.balancer.compact_journal().await;
        all
    }

    /// Fences a node that is back; gives the number that posts to it must carry.
    async fn fence(&self, node: NodeKey) -> Result<u64, NoAnswer> {
        let fenced = self.clients.ask(&self.balancer, node, "/fence", &Ids::default(), FENCE_TIME).await;
        fenced.map(|Fenced { fence }| fence).map_err(|error| {
            tracing::warn!(node = self.name(node), %error, "a node cannot be fenced; it is asked again");
            let why = format!("it cannot be fenced: {error}");
            self.balancer.step(|routing| routing.fleet.failed(node, &why));
            NoAnswer
        })
    }

    /// Asks a node that was fenced for everything that may lie on it; then it is up.
    async fn reconcile(&self, node: NodeKey, as_of: u64, fence: u64) -> Result<(), NoAnswer> {
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
        tracing::info!(node = self.name(node), asked = ids.len(), taken_back, "node reconciled");
        Ok(())
    }

    /// Asks the places of these sentences, takes back what lies there twice, and notes what is settled. Gives the number
    /// of copies taken back.
    async fn look_at(&self, ids: &[SentenceId], back: Option<NodeKey>) -> Result<u64, NoAnswer> {
        let (sentences, places) = self.balancer.step(|routing| {
            let at_rest = |id: &SentenceId| Some((*id, routing.doubt.at_rest(*id)?.to_vec()));
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
        let Judged { verdicts, wanted, away } = judge_all(sentences, &places, &held);
        let taken = self.take_back(wanted).await;
        let n = taken.values().map(HashSet::len).sum::<usize>() as u64;
        self.balancer.counters.taken_back.add(n);
        if let Some(writing) = self.note(verdicts, &away, &taken)
            && let Err(error) = writing.end().await
        {
            // The next run asks once more for what is settled already.
            tracing::warn!(%error, "what is settled cannot be written down");
        }
        Ok(n)
    }

    /// Notes where the sentences may lie still, now that the nodes have `taken` back copies, and writes it down where that
    /// is news.
    fn note(
        &self,
        verdicts: Vec<(SentenceId, Vec<Home>, Verdict)>,
        away: &BTreeSet<Home>,
        taken: &HashMap<NodeKey, HashSet<SentenceId>>,
    ) -> Option<Writing> {
        self.balancer.step(|routing| {
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
                if routing.doubt.settle(id, &homes, &verdict.rest) {
                    // A repeat goes to the one place in which it may lie, whether or not that could be asked.
                    let stays = if let [only] = verdict.rest[..] { Some(only) } else { verdict.kept };
                    if let Some(stays) = stays {
                        routing.known_ids.stays(id, stays);
                    }
                    settled.push(id);
                }
            }
            let record = || routing.doubt.record(&settled, &routing.homes);
            (!settled.is_empty()).then(|| self.balancer.journal.append(record()))
        })
    }

    /// What each place holds of the sentences that may lie there. A node that does not answer is left out.
    async fn ask_places(&self, sentences: &[(SentenceId, Vec<Home>)], places: &[Place]) -> Held {
        let questions = places.iter().filter_map(|place| {
            let of_place = sentences.iter().filter(|(_, homes)| homes.contains(&place.home));
            let ids: Vec<SentenceId> = of_place.map(|(id, _)| *id).collect();
            (!ids.is_empty()).then(|| self.ask_place(place.node, Ids { ids }))
        });
        let answers = join_all(questions).await;
        answers.into_iter().flatten().collect()
    }

    /// Which of these sentences a node holds, each with the date of its copy; `None` when it does not say.
    async fn ask_place(&self, node: NodeKey, question: Ids) -> Option<(NodeKey, HashMap<SentenceId, Date>)> {
        match self.clients.ask(&self.balancer, node, "/sentences/held", &question, TIME).await {
            Ok(Copies { copies }) => {
                Some((node, copies.into_iter().map(|copy| (copy.id, copy.date)).collect()))
            }
            Err(error) => {
                let name = self.name(node);
                tracing::warn!(node = name, %error, "a node does not say which sentences it holds");
                self.balancer.step(|routing| routing.fleet.must_reconcile(node));
                None
            }
        }
    }

    /// Has nodes take back copies; gives the ids that each took back.
    async fn take_back(
        &self,
        wanted: BTreeMap<NodeKey, Vec<StoredCopy>>,
    ) -> HashMap<NodeKey, HashSet<SentenceId>> {
        let mut taken = HashMap::new();
        for (node, copies) in wanted {
            let (n, question) = (copies.len(), Copies { copies });
            match self.clients.ask(&self.balancer, node, "/sentences/retract", &question, TIME).await {
                Ok(Ids { ids }) => drop(taken.insert(node, ids.into_iter().collect())),
                Err(error) => {
                    let name = self.name(node);
                    tracing::warn!(node = name, copies = n, %error, "a node does not take back second copies");
                }
            }
        }
        taken
    }

    /// What the node is called in the log.
    fn name(&self, node: NodeKey) -> String {
        self.balancer.node(node).map(|(name, _)| name).unwrap_or_default()
    }
}

/// Judges sentences by what the places hold that were asked and have answered.
fn judge_all(sentences: Vec<(SentenceId, Vec<Home>)>, places: &[Place], held: &Held) -> Judged {
    let mut judged = Judged::default();
    for (id, homes) in sentences {
        let place_of = |home: Home| places.iter().find(|place| place.home == home);
        let answer = |home: &Home| {
            let held = place_of(*home).and_then(|place| Some((place.store, held.get(&place.node)?)));
            let answer = held.map_or(Answer::Away, |(store, held)| {
                held.get(&id).map_or(Answer::HoldsNone, |date| Answer::Holds(*date, store))
            });
            (*home, answer)
        };
        let answers: Vec<(Home, Answer)> = homes.iter().map(answer).collect();
        let is_away = |(home, answer): &(Home, Answer)| (*answer == Answer::Away).then_some(*home);
        judged.away.extend(answers.iter().filter_map(is_away));
        let verdict = judge(&answers);
        for (home, date) in &verdict.taken_back {
            if let Some(place) = place_of(*home) {
                judged.wanted.entry(place.node).or_default().push(StoredCopy { date: *date, id });
            }
        }
        judged.verdicts.push((id, homes, verdict));
    }
    judged
}

/// The places that can be asked. A node that is not reconciled says nothing final: what was posted to it before may still
/// arrive. `back` is the node that was fenced for this.
fn places(nodes: &[Node], back: Option<NodeKey>) -> Vec<Place> {
    let is_final =
        |node: &&Node| node.is_within_reach() && (!node.must_be_reconciled() || Some(node.key) == back);
    let place = |node: &Node| Some(Place { node: node.key, home: node.home?, store: node.store? });
    nodes.iter().filter(is_final).filter_map(place).collect()
}

#[cfg(test)]
mod tests;
