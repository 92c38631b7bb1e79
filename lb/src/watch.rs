//! Watches the nodes: a report stream for each, or polls of `GET /usage` where a node is too old for streams. Runs
//! beside the workers and wakes them for nothing. Absent: what a report means, which is the fleet's.

mod events;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, header};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wire::{Report, Usage};

use crate::balancer::{self, Balancer};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::fleet::{NodeKey, Protocol};

/// Pause before the first reconnect; each later one is twice as long, up to the last, and each is jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Polls after which an old node is asked for a report stream again: it may have been replaced.
const POLLS_PER_TRY: u32 = 60;

/// The watches of all nodes.
pub(crate) struct Watches {
    balancer: Arc<Balancer>,
    client: Client,
    times: Times,
    running: HashMap<NodeKey, JoinHandle<()>>,
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
    pub(crate) fn new(balancer: Arc<Balancer>, poll: Duration) -> reqwest::Result<Self> {
        let connect = balancer.lane_limits.connect_timeout;
        let silence = balancer.routing().fleet.settings().stale_after;
        let client = Client::builder().connect_timeout(connect).no_proxy().build()?;
        Ok(Self { balancer, client, times: Times { connect, silence, poll }, running: HashMap::new() })
    }

    /// Begins to watch the nodes that are new in the fleet and forgets those that left it. The receiver ends once
    /// each new node has been heard or has failed.
    pub(crate) fn follow(&mut self) -> mpsc::Receiver<()> {
        let (heard, all_heard) = mpsc::channel(1);
        let nodes: HashMap<NodeKey, Option<Endpoint>> = self
            .balancer
            .routing()
            .fleet
            .nodes()
            .iter()
            .map(|node| (node.key, node.url.parse().ok()))
            .collect();
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
                client: self.client.clone(),
                times: self.times,
                key,
                endpoint,
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
    client: Client,
    times: Times,
    key: NodeKey,
    endpoint: Endpoint,
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

impl From<reqwest::Error> for Ended {
    fn from(error: reqwest::Error) -> Self {
        // reqwest hides the cause behind its own words.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        if error.is_connect() && !error.is_timeout() {
            Self::Refused(format!("cannot connect: {cause}"))
        } else {
            Self::Failed(cause.to_string())
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
                Ended::Refused(why) => self.note(Health::Refused, &why),
                Ended::Failed(why) => self.note(Health::Failed, &why),
            }
            // A stream that lasted shows that the node is there: it is asked again soon.
            let lasted = clock::now().saturating_duration_since(began) > LAST_PAUSE;
            pause = if lasted { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
            sleep(jittered(pause)).await;
        }
    }

    /// Reads the node's report stream to its end.
    async fn stream(&mut self) -> Ended {
        let request =
            self.client.get(self.endpoint.url("/report/stream")).header(header::ACCEPT, "text/event-stream");
        let mut response = match timeout(self.times.connect + self.times.silence, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ended::Failed("no answer to GET /report/stream".to_owned()),
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ended::Unsupported,
            other => return Ended::Failed(format!("GET /report/stream answered {other}")),
        }
        let mut events = events::Events::default();
        loop {
            let bytes = match timeout(self.times.silence, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return Ended::Failed("the report stream ended".to_owned()),
                Ok(Err(error)) => return error.into(),
                Err(_) => return Ended::Failed(format!("no report for {:?}", self.times.silence)),
            };
            if events.push(&bytes).is_err() {
                return Ended::Failed("a report is longer than any report can be".to_owned());
            }
            while let Some(data) = events.next() {
                match serde_json::from_str::<Report>(&data) {
                    Ok(report) => self.take(&report),
                    Err(error) => return Ended::Failed(format!("a report is not usable: {error}")),
                }
            }
        }
    }

    fn take(&mut self, report: &Report) {
        self.heard = None;
        let fleet = &mut self.balancer.routing().fleet;
        fleet.speaks(self.key, Protocol::Batch);
        if fleet.reported(self.key, report, clock::now()) {
            balancer::announce(fleet.node(self.key));
        }
    }

    /// Polls an old node, until it is time to see whether it still is one.
    async fn poll_for_a_while(&mut self) {
        for _ in 0..POLLS_PER_TRY {
            match self.poll().await {
                Ok(()) => self.heard = None,
                Err(Ended::Failed(why)) => self.note(Health::Failed, &why),
                Err(Ended::Refused(why)) => return self.note(Health::Refused, &why),
                Err(Ended::Unsupported) => {
                    return self.note(Health::Failed, "it knows neither GET /report/stream nor GET /usage");
                }
            }
            sleep(self.times.poll).await;
        }
    }

    async fn poll(&self) -> Result<(), Ended> {
        let began = self.balancer.routing().fleet.poll_began(self.key);
        let read = async {
            let response = self.client.get(self.endpoint.url("/usage")).send().await?;
            match response.status() {
                StatusCode::OK => Ok(response.json::<Usage>().await?),
                StatusCode::NOT_FOUND => Err(Ended::Unsupported),
                other => Err(Ended::Failed(format!("GET /usage answered {other}"))),
            }
        };
        let late = || Ended::Failed(format!("no answer to GET /usage for {:?}", self.times.silence));
        let usage = timeout(self.times.silence, read).await.map_err(|_| late())??;
        let Some(began) = began else { return Ok(()) };
        let fleet = &mut self.balancer.routing().fleet;
        if fleet.polled(self.key, began, &usage, clock::now()) {
            balancer::announce(fleet.node(self.key));
        }
        Ok(())
    }

    fn note(&mut self, health: Health, why: &str) {
        self.heard = None;
        match health {
            Health::Refused => self.balancer.refused(self.key, why),
            Health::Failed => self.balancer.unreachable(self.key, why),
        }
    }
}

enum Health {
    Refused,
    Failed,
}

/// Between half of `pause` and all of it, so that watches do not reconnect in step.
fn jittered(pause: Duration) -> Duration {
    // Each RandomState is keyed anew: the standard library's own source of randomness.
    let random = RandomState::new().build_hasher().finish();
    let half = pause / 2;
    let most = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % most)
}
