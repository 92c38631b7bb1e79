//! What the node says of itself: the report, on demand and as a feed of events.
//!
//! A report joins the newest load with the store's state. Count and revision come from one read of the store's cell,
//! and the sequence number is drawn under a lock around that read, so that a later number never shows an older state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;
use wire::{Report, StoreId, Usage, events};

use crate::clock;
use crate::fence::Fence;
use crate::sampler::{Load, Sources};
use crate::store::State;

/// Longest silence between two reports of the feed.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Shortest time between two reports of the feed: changes that come closer are told together.
const COALESCE: Duration = Duration::from_millis(20);
/// Shortest time between two reports that differ in counts only. Every answer to a post carries the counts as well, so
/// a balancer needs these for other writers alone, and a fleet of a hundred nodes would drown it in them.
const COUNT_PACE: Duration = Duration::from_millis(200);

/// Makes reports.
#[derive(Debug)]
pub struct Reporter {
    epoch: String,
    store_id: StoreId,
    store: watch::Receiver<State>,
    fence: Arc<Fence>,
    balancers: watch::Sender<BTreeMap<Uuid, usize>>,
    load: watch::Receiver<Arc<Load>>,
    sources: Sources,
    scope: String,
    seq: Mutex<u64>,
    stopping: AtomicBool,
    in_flight: Arc<AtomicU64>,
}

impl Reporter {
    /// A reporter of this run, named `epoch`.
    pub fn new(
        epoch: String,
        store_id: StoreId,
        store: watch::Receiver<State>,
        fence: Arc<Fence>,
        load: watch::Receiver<Arc<Load>>,
        sources: Sources,
        scope: String,
    ) -> Self {
        Self {
            epoch,
            store_id,
            store,
            fence,
            balancers: watch::Sender::default(),
            load,
            sources,
            scope,
            seq: Mutex::new(0),
            stopping: AtomicBool::new(false),
            in_flight: Arc::default(),
        }
    }

    /// The name of this run of the process.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The identity of the store.
    pub fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// Where the readings come from.
    pub fn sources(&self) -> Sources {
        self.sources
    }

    /// The newest load.
    pub fn load(&self) -> Arc<Load> {
        Arc::clone(&self.load.borrow())
    }

    /// The store as it stands.
    pub fn store(&self) -> State {
        self.store.borrow().clone()
    }

    /// From now on the node says that it is stopping.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the node is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Why the node takes no sentences; `None` when it does.
    pub fn not_ready_because(&self) -> Option<String> {
        self.reason(&self.store.borrow())
    }

    fn reason(&self, store: &State) -> Option<String> {
        if self.is_stopping() { Some("stopping".to_owned()) } else { store.fault.clone() }
    }

    /// Requests under way that ask the store.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a request as under way until the guard is dropped.
    pub fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// A balancer reads the feed until the guard is dropped. `run` is of its choice, and the same for all of its streams.
    pub fn read_by(self: &Arc<Self>, run: Uuid) -> Balancer {
        self.balancers.send_modify(|readers| *readers.entry(run).or_default() += 1);
        Balancer { run, reporter: Arc::clone(self) }
    }

    /// Everything that the node knows of itself, now.
    pub fn report(&self) -> Report {
        let load = self.load();
        let (seq, store, fence) = {
            let mut seq = self.seq.lock();
            *seq += 1;
            (*seq, self.store(), self.fence.number())
        };
        let valid = load.is_valid(clock::instant());
        let because = self.reason(&store);
        Report {
            epoch: self.epoch.clone(),
            seq,
            sampled_at: load.sampled_at,
            valid,
            ram: load.ram,
            cpu: load.cpu,
            ram_total_bytes: load.ram_total_bytes,
            ram_available_bytes: load.ram_available_bytes,
            per_cpu: load.per_cpu.clone(),
            steal: load.steal,
            window_ms: load.window_ms,
            source: self.sources.together(),
            ram_source: self.sources.ram,
            cpu_source: self.sources.cpu,
            scope: self.scope.clone(),
            store: Some(self.store_id),
            fence: Some(fence),
            balancers: Some(self.balancers.borrow().len() as u64),
            documents: store.tally.documents,
            revision: store.tally.revision,
            in_flight: self.in_flight(),
            ready: because.is_none(),
            not_ready_because: because,
        }
    }

    /// The old form: count, RAM and CPU. A load that is not fresh is unknown.
    pub fn usage(&self) -> Usage {
        let load = self.load();
        let valid = load.is_valid(clock::instant());
        let documents = self.store.borrow().tally.documents;
        Usage::new(documents, load.ram.filter(|_| valid), load.cpu.filter(|_| valid))
    }
}

/// Counts a balancer as a reader of the feed while it lives.
pub struct Balancer {
    run: Uuid,
    reporter: Arc<Reporter>,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.reporter.balancers.send_modify(|readers| {
            if let Some(streams) = readers.get_mut(&self.run) {
                *streams -= 1;
                if *streams == 0 {
                    readers.remove(&self.run);
                }
            }
        });
    }
}

/// Counts one request as under way while it lives.
pub struct InFlight(Arc<AtomicU64>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One event of the feed, made once for all its readers.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The report's sequence number.
    pub seq: u64,
    /// The event as server-sent events are written.
    pub text: Bytes,
}

impl Frame {
    /// The report as an event.
    pub fn of(report: &Report) -> Self {
        let seq = report.seq;
        // A report is plain data with string keys: writing it cannot fail.
        let data = serde_json::to_string(report).unwrap_or_default();
        let mut text = String::with_capacity(data.len() + 64);
        events::write(&mut text, "report", seq, &data);
        Self { seq, text: Bytes::from(text) }
    }
}

/// Publishes a frame whenever count, revision, readiness, the fence or a percent changes, and at every heartbeat.
///
/// Ends when `frames` has no reader left to come, or after a last frame once the node stops.
pub async fn feed(reporter: Arc<Reporter>, frames: watch::Sender<Frame>, stop: impl Future<Output = ()>) {
    let (mut store, mut load) = (reporter.store.clone(), reporter.load.clone());
    let mut fence = reporter.fence.subscribe();
    let mut balancers = reporter.balancers.subscribe();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    let mut told = reporter.load().percents();
    let mut ready = true;
    let mut count_due = tokio::time::interval(COUNT_PACE);
    let mut uncounted = false;
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            changed = store.changed() => {
                if changed.is_err() { break }
                uncounted = true;
                if ready == reporter.reason(&store.borrow_and_update()).is_none() { continue }
            }
            _ = count_due.tick(), if uncounted => {}
            raised = fence.changed() => if raised.is_err() { break },
            came = balancers.changed() => if came.is_err() { break },
            changed = load.changed() => {
                let percents = load.borrow_and_update().percents();
                if changed.is_err() { break }
                if percents == told { continue }
            }
            _ = heartbeat.tick() => {}
        }
        told = reporter.load().percents();
        let report = reporter.report();
        ready = report.ready;
        uncounted = false;
        frames.send_replace(Frame::of(&report));
        heartbeat.reset();
        count_due.reset();
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(COALESCE) => {}
        }
    }
    frames.send_replace(Frame::of(&reporter.report()));
}
