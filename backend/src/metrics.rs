//! What the node counts, and how it is written for a scraper: OpenMetrics text.
//!
//! Owns the counters and the registry of all metrics; what is not counted but known is read from one report at each
//! scrape, in `snapshot`. The text is written by `prometheus-client`, the official library, as in the balancer:
//! escaping, suffixes and histograms are a standard's business, and a writer of ours in a place for both programs would
//! be a crate that no rule of the house asks for.
//!
//! Labels come from closed sets, so that no client can make the output grow.

mod snapshot;

/// A client connection that is open.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::snapshot::Snapshot;
use crate::report::Reporter;
use crate::store::Outcome;

/// The media type of [`Metrics::write`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the histogram of insert times, in seconds. The one without a bound is the library's.
const INSERT_BOUNDS: [f64; 10] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0];

/// `N` labels with their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The counters, and the registry that writes them. A counter here and its copy in the registry are one.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<Labels<2>, Counter>,
    stored: Counter,
    duplicates: Counter,
    refused: Counter,
    insert_durations: Histogram,
    streams: Gauge,
    connections: Gauge,
    registry: Registry,
}

impl Metrics {
    /// The metrics of a node that reports by `reporter` and keeps its sentences in a store of this kind.
    pub fn new(reporter: Arc<Reporter>, store_kind: &'static str) -> Self {
        let requests = Family::<Labels<2>, Counter>::default();
        let inserts = Family::<Labels<1>, Counter>::default();
        let insert_durations = Histogram::new(INSERT_BOUNDS);
        let streams = Gauge::default();
        let connections = Gauge::default();

        // The library ends each text with a full stop.
        let mut registry = Registry::default();
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("balanza_backend_build", "The program", version);
        let identity = Info::new([("kind", store_kind.to_owned()), ("id", reporter.store_id().to_string())]);
        registry.register("balanza_backend_store", "The store and its identity", identity);
        registry.register("balanza_backend_http_requests", "Requests answered", requests.clone());
        registry.register(
            "balanza_backend_inserts",
            "Sentences that reached the store, by outcome",
            inserts.clone(),
        );
        registry.register(
            "balanza_backend_store_insert_duration_seconds",
            "Time until an insert was durable",
            insert_durations.clone(),
        );
        registry.register("balanza_backend_report_streams", "Readers of the event feed", streams.clone());
        registry.register(
            "balanza_backend_connections_open",
            "Client connections that are open",
            connections.clone(),
        );
        registry.register_collector(Box::new(Snapshot { reporter, store_kind }));

        // Made here, each is written from the start, and an insert looks nothing up.
        let by_outcome = |outcome| inserts.get_or_create_owned(&[("outcome", outcome)]);
        Self {
            stored: by_outcome("stored"),
            duplicates: by_outcome("duplicate"),
            refused: by_outcome("refused"),
            requests,
            insert_durations,
            streams,
            connections,
            registry,
        }
    }

    /// A request to `route` was answered.
    pub fn answered(&self, route: &'static str, status: u16) {
        let class = match status / 100 {
            0 | 1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&[("route", route), ("code", class)]).inc();
    }

    /// An insert was answered after `took`.
    pub fn inserted(&self, took: Duration, outcomes: &[Outcome]) {
        self.insert_durations.observe(took.as_secs_f64());
        for outcome in outcomes {
            let counter = match outcome {
                Outcome::Stored(_) => &self.stored,
                Outcome::Duplicate(_) => &self.duplicates,
                Outcome::Refused(_) => &self.refused,
            };
            counter.inc();
        }
    }

    /// A reader of the feed came.
    pub fn stream_opened(&self) {
        self.streams.inc();
    }

    /// A reader of the feed went.
    pub fn stream_closed(&self) {
        self.streams.dec();
    }

    /// A client connection, counted as open for as long as what is returned lives.
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Everything as OpenMetrics text, with the report of this moment.
    pub fn write(&self) -> String {
        let mut text = String::with_capacity(4096);
        // Writing to a string cannot fail.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }
}
