//! Looks for sentences that two balancers have sent to two nodes: a client that gave up on one balancer and repeats at
//! another may be faster than its first post. While more than one balancer reads the reports of a node, every copy that a
//! node stores is compared with what the others have stored of late; what lies twice is in doubt from then on. With one
//! balancer nothing is done, for then every repeat passes by what it knows. Absent: which copy stays, and taking back,
//! which are `doubt.rs`'s and `reconcile.rs`'s.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use wire::contract::MAX_BULK_ITEMS;
use wire::{Copies, Date, Ids, Place, SentenceId, StoredCopy};

use crate::balancer::Balancer;
use crate::clock;
use crate::fleet::NodeKey;
use crate::homes::Home;
use crate::node_client::{NodeClients, Unanswered};

/// How often the newest copies are read.
const EVERY: Duration = Duration::from_millis(500);
/// How long a copy is compared with those that come.
const WINDOW: Duration = Duration::from_secs(60);
/// Most sentences kept for that, some 150 bytes each.
const MOST: usize = 1_000_000;
/// A node whose copies were not read for so long is asked about each of them at the others, since those may have left the
/// window.
const STALE: Duration = Duration::from_secs(20);
/// How far back the first reading of a node goes, in microseconds; clocks differ.
const FIRST_MICROS: i64 = 30_000_000;
/// How far back each later one goes: where inserts run side by side, a copy can be stored behind a newer one.
const OVERLAP_MICROS: i64 = 3_000_000;
/// Time for one answer.
const TIME: Duration = Duration::from_secs(3);

/// Sweeps for as long as the balancer lives.
pub(crate) async fn run(balancer: Arc<Balancer>) {
    let mut sweep = Sweep {
        balancer,
        clients: NodeClients::default(),
        readings: HashMap::new(),
        seen: HashMap::new(),
        order: VecDeque::new(),
    };
    loop {
        sleep(EVERY).await;
        if sweep.balancer.step(|routing| routing.has_company(clock::now())) {
            sweep.round().await;
        } else {
            sweep.clients = NodeClients::default();
            sweep.readings.clear();
            sweep.seen.clear();
            sweep.order.clear();
        }
    }
}

struct Sweep {
    balancer: Arc<Balancer>,
    clients: NodeClients,
    readings: HashMap<Home, Reading>,
    /// The copies of each sentence of late: where each was seen, and its date. A copy that was taken back and stored anew
    /// has another.
    seen: HashMap<SentenceId, Vec<(Home, Date)>>,
    order: VecDeque<(Instant, SentenceId)>,
}

/// How far the copies of a place were read.
struct Reading {
    newest: Date,
    /// The copies that were new here since it was last read to its end.
    fresh: Vec<SentenceId>,
    at: Instant,
}

/// A sentence that lies in two places.
struct Twice(SentenceId, [Home; 2]);

impl Sweep {
    async fn round(&mut self) {
        let now = clock::now();
        self.clients.leave_gone(&self.balancer);
        while let Some((at, id)) = self.order.front().copied()
            && (now.saturating_duration_since(at) > WINDOW || self.order.len() > MOST)
        {
            self.order.pop_front();
            self.seen.remove(&id);
        }
        let (near, _) = self.balancer.step(|routing| routing.near_and_away(now));
        let mut twice = Vec::new();
        for (node, home) in &near {
            let before = self.readings.remove(home);
            let was_stale = before.as_ref().is_none_or(|read| now.saturating_duration_since(read.at) > STALE);
            let first = || Reading {
                newest: Date::from_unix_micros(clock::wall().unix_micros().saturating_sub(FIRST_MICROS)),
                fresh: Vec::new(),
                at: now,
            };
            let mut reading = before.unwrap_or_else(first);
            // A node that does not answer is read from where it was, when it does.
            if self.read(*node, *home, &mut reading, &mut twice).await.is_ok() {
                reading.at = now;
                let fresh = std::mem::take(&mut reading.fresh);
                if was_stale {
                    self.ask_others(&near, *home, &fresh, &mut twice).await;
                }
            }
            self.readings.insert(*home, reading);
        }
        if !twice.is_empty() {
            let wall = clock::wall();
            let writing = self.balancer.step(|routing| {
                for Twice(id, homes) in &twice {
                    routing.doubt.suspect(*id, homes, wall);
                }
                let ids: Vec<SentenceId> = twice.iter().map(|Twice(id, _)| *id).collect();
                self.balancer.journal.append(routing.doubt.record(&ids, &routing.homes))
            });
            if let Err(error) = writing.end().await {
                tracing::warn!(%error, "what lies twice cannot be written down");
            }
            self.balancer.counters.found_twice.add(twice.len() as u64);
            self.balancer.doubt_changed.notify_one();
        }
    }

    /// Reads the newest copies of a node, page by page, to their end.
    async fn read(
        &mut self,
        node: NodeKey,
        home: Home,
        reading: &mut Reading,
        twice: &mut Vec<Twice>,
    ) -> Result<(), Unanswered> {
        let from = reading.newest.unix_micros().saturating_sub(OVERLAP_MICROS);
        let mut after = Place::new(Date::from_unix_micros(from), None);
        loop {
            let path = format!("/sentences/ids?after={}&limit={MAX_BULK_ITEMS}", after.cursor());
            let Copies { copies } = self.clients.fetch(&self.balancer, node, &path, TIME).await?;
            let fresh = copies.iter().filter(|copy| self.see(copy, home, twice));
            reading.fresh.extend(fresh.map(|copy| copy.id));
            let Some(last) = copies.last().filter(|_| copies.len() == MAX_BULK_ITEMS) else {
                reading.newest = copies.last().map_or(reading.newest, |last| last.date.max(reading.newest));
                return Ok(());
            };
            after = Place::new(last.date, Some(last.id));
            reading.newest = last.date.max(reading.newest);
        }
    }

    /// Asks the other nodes for copies that one node has stored since it was last read.
    async fn ask_others(
        &mut self,
        near: &[(NodeKey, Home)],
        home: Home,
        fresh: &[SentenceId],
        twice: &mut Vec<Twice>,
    ) {
        for (other, other_home) in near.iter().filter(|(_, other)| *other != home) {
            for ids in fresh.chunks(MAX_BULK_ITEMS) {
                let question = Ids { ids: ids.to_vec() };
                let asked =
                    self.clients.ask(&self.balancer, *other, "/sentences/held", &question, TIME).await;
                // One that does not answer is read anew, and compares its own copies then.
                let Ok(Copies { copies }) = asked else { break };
                for copy in &copies {
                    self.see(copy, *other_home, twice);
                }
            }
        }
    }

    /// Notes a copy, and that it is a second one where it is. Gives whether it was not seen yet.
    fn see(&mut self, copy: &StoredCopy, home: Home, twice: &mut Vec<Twice>) -> bool {
        let seen = self.seen.entry(copy.id).or_default();
        if seen.contains(&(home, copy.date)) {
            return false;
        }
        if seen.is_empty() {
            self.order.push_back((clock::now(), copy.id));
        }
        if let Some((other, _)) = seen.iter().find(|(other, _)| *other != home) {
            twice.push(Twice(copy.id, [*other, home]));
        }
        seen.retain(|(other, _)| *other != home);
        seen.push((home, copy.date));
        true
    }
}

#[cfg(test)]
mod tests;
