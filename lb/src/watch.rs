//! Watches the nodes: a report stream for each, or polls of `GET /usage` where a node is too old for streams. Runs
//! beside the workers and wakes them for nothing. Absent: what a report means, which is the fleet's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wire::events;
use wire::{Report, Usage};

use crate::balancer::Balancer;
use crate::clock;
use crate::endpoint::Endpoint;
use crate::fleet::{Node, NodeKey, Protocol};
use crate::node_client::{NodeClient, Unanswered};
use crate::random::Random;

/// Longest report, in bytes.
const MAX_REPORT_BYTES: usize = 1024 * 1024;
/// Longest answer of an old node to `GET /usage`, in bytes.
const MAX_USAGE_BYTES: usize = 64 * 1024;
/// Pause before the first reconnect; each later one is twice as long, up to the last, and each is jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Polls after which an old node is asked for a report stream again: it may have been replaced.
const POLLS_PER_TRY: u32 = 60;

/// The watches of all nodes.
pub(crate) struct Watches {
    balancer: Arc<Balancer>,
    times: Times,
    running: BTreeMap<NodeKey, JoinHandle<()>>,
}

#[derive(Clone, Copy)]
struct Times {
    connect: Duration,
    /// Silence after which a stream or a poll counts as failed.
    silence: Duration,
    poll: Duration,
}

impl Watches {
    /// Watches nothing yet; see [`Watches::follow`].
    pub(crate) fn new(balancer: Arc<Balancer>, poll: Duration) -> Self {
        let silence = balancer.step(|routing| routing.fleet.settings().stale_after);
        let connect = balancer.lane_limits.connect_timeout;
        Self { balancer, times: Times { connect, silence, poll }, running: BTreeMap::new() }
    }

    /// Begins to watch the nodes that are new in the fleet and forgets those that left it. The receiver ends once
    /// each new node has been heard or has failed.
    pub(crate) fn follow(&mut self) -> mpsc::Receiver<()> {
        let (heard, all_heard) = mpsc::channel(1);
        let nodes: BTreeMap<NodeKey, Option<Endpoint>> = self.balancer.step(|routing| {
            routing.fleet.nodes().iter().map(|node| (node.key, node.url.parse().ok())).collect()
        });
        self.running.retain(|key, watch| {
            let stays = nodes.contains_key(key);
            if !stays {
                watch.abort();
            }
            stays
        });
        for (key, endpoint) in nodes {
            let Some(endpoint) = endpoint.filter(|_| !self.running.contains_key(&key)) else { continue };
            let watch = Watch {
                balancer: Arc::clone(&self.balancer),
                times: self.times,
                key,
                endpoint,
                client: NodeClient::default(),
                random: Random::new(self.balancer.seed ^ u64::from(key.slot) << 32 ^ u64::from(key.life)),
                heard: Some(heard.clone()),
            };
            self.running.insert(key, tokio::spawn(watch.run()));
        }
        all_heard
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for watch in self.running.values() {
            watch.abort();
        }
    }
}

/// The watch of one node.
struct Watch {
    balancer: Arc<Balancer>,
    times: Times,
    key: NodeKey,
    endpoint: Endpoint,
    client: NodeClient,
    random: Random,
    /// Dropped with the first word from the node, or about it.
    heard: Option<mpsc::Sender<()>>,
}

/// How a reading ended.
enum Ended {
    /// The node has no such route.
    Unsupported,
    /// Nobody listens there.
    Refused(String),
    Failed(String),
}

impl From<Unanswered> for Ended {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refused(why) => Self::Refused(why),
            Unanswered::Failed(_) | Unanswered::Status(_) => Self::Failed(unanswered.to_string()),
        }
    }
}

impl Watch {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = clock::now();
            match self.stream().await {
                Ended::Unsupported => self.poll_for_a_while().await,
                failed => self.note(&failed),
            }
            // A stream that lasted shows that the node is there: it is asked again soon.
            if clock::now().saturating_duration_since(began) > LAST_PAUSE {
                pause = FIRST_PAUSE;
            }
            sleep(jittered(pause, &mut self.random)).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Reads the node's report stream to its end.
    async fn stream(&mut self) -> Ended {
        let asked = self.client.get(&self.balancer, &self.endpoint, "/report/stream", "text/event-stream");
        let response = match timeout(self.times.connect + self.times.silence, asked).await {
            Ok(Ok(response)) => response,
            Ok(Err(ended)) => return ended.into(),
            Err(_) => return Ended::Failed("no answer to GET /report/stream".to_owned()),
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ended::Unsupported,
            other => return Ended::Failed(format!("GET /report/stream answered {other}")),
        }
        let mut body = response.into_body();
        let mut events = events::Reader::new(MAX_REPORT_BYTES);
        loop {
            let bytes = match timeout(self.times.silence, body.frame()).await {
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(None) => return Ended::Failed("the report stream ended".to_owned()),
                Ok(Some(Err(error))) => return Unanswered::from(error).into(),
                Err(_) => return Ended::Failed(format!("no report for {:?}", self.times.silence)),
            };
            if let Err(error) = events.push(&bytes) {
                return Ended::Failed(error.to_string());
            }
            while let Some(data) = events.next_data() {
                match serde_json::from_str::<Report>(&data) {
                    Ok(report) => self.take(&report),
                    Err(error) => return Ended::Failed(format!("a report is not usable: {error}")),
                }
            }
        }
    }

    fn take(&mut self, report: &Report) {
        self.heard = None;
        let must_be_asked = self.balancer.step(|routing| {
            routing.fleet.speaks(self.key, Protocol::Batch);
            routing.reported(self.key, report, clock::now());
            routing.fleet.node(self.key).is_some_and(Node::must_be_reconciled)
        });
        if must_be_asked {
            self.balancer.doubt_changed.notify_one();
        }
    }

    /// Polls an old node, until it is time to see whether it still is one.
    async fn poll_for_a_while(&mut self) {
        for _ in 0..POLLS_PER_TRY {
            match self.poll().await {
                Ok(()) => self.heard = None,
                Err(failed) => {
                    self.note(&failed);
                    // Nobody is there, or somebody else: both are found out by asking for the stream.
                    if !matches!(failed, Ended::Failed(_)) {
                        return;
                    }
                }
            }
            sleep(self.times.poll).await;
        }
    }

    async fn poll(&mut self) -> Result<(), Ended> {
        let began = self.balancer.step(|routing| routing.fleet.poll_began(self.key));
        let silence = self.times.silence;
        let read = async {
            let response =
                self.client.get(&self.balancer, &self.endpoint, "/usage", "application/json").await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Err(Ended::Unsupported),
                other => return Err(Ended::Failed(format!("GET /usage answered {other}"))),
            }
            let body = Limited::new(response.into_body(), MAX_USAGE_BYTES).collect().await;
            let bytes = body.map_err(|error| Ended::Failed(error.to_string()))?.to_bytes();
            serde_json::from_slice::<Usage>(&bytes)
                .map_err(|error| Ended::Failed(format!("GET /usage: {error}")))
        };
        let late = || Ended::Failed(format!("no answer to GET /usage for {silence:?}"));
        let usage = timeout(silence, read).await.map_err(|_| late())??;
        if let Some(began) = began {
            self.balancer.step(|routing| routing.fleet.polled(self.key, began, &usage, clock::now()));
        }
        Ok(())
    }

    fn note(&mut self, ended: &Ended) {
        self.heard = None;
        self.balancer.step(|routing| match ended {
            Ended::Refused(why) => routing.fleet.refused(self.key, why),
            Ended::Failed(why) => routing.fleet.unreachable(self.key, why),
            Ended::Unsupported => {
                let why = "it knows neither GET /report/stream nor GET /usage";
                routing.fleet.unreachable(self.key, why);
            }
        });
    }
}

/// Between half of `pause` and all of it, so that watches do not reconnect in step.
fn jittered(pause: Duration, random: &mut Random) -> Duration {
    let half = pause / 2;
    half + Duration::from_micros(random.below(u64::try_from(half.as_micros()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
