//! What the node counts, and how it is written for a scraper: OpenMetrics text.
//!
//! Owns atomic counters and nothing else; gauges are read from the report at the moment of the scrape. Labels come from
//! closed sets, so that no client can make the output grow.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wire::{Report, Share, Source};

use crate::sampler::ratio;
use crate::store::Outcome;

/// The media type of [`Metrics::write`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A route as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum RouteName {
    /// `/sentence`
    Sentence,
    /// `/sentences`
    Sentences,
    /// `/sentence/{id}`
    SentenceById,
    /// `/usage`
    Usage,
    /// `/report`
    Report,
    /// `/report/stream`
    ReportStream,
    /// Everything that tells of the node's health and contract.
    Health,
    /// What is none of these.
    Other,
}

const ROUTE_LABELS: [&str; 8] =
    ["/sentence", "/sentences", "/sentence/{id}", "/usage", "/report", "/report/stream", "health", "other"];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the histogram of insert times: microseconds, and the same in seconds as text.
const BUCKETS: [(u64, &str); 10] = [
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (1_000_000, "1.0"),
    (10_000_000, "10.0"),
];

impl RouteName {
    /// The route of a request's path.
    pub fn of(path: &str) -> Self {
        match path {
            "/sentence" => Self::Sentence,
            "/sentences" => Self::Sentences,
            "/usage" => Self::Usage,
            "/report" => Self::Report,
            "/report/stream" => Self::ReportStream,
            "/metrics" | "/livez" | "/readyz" | "/openapi.json" => Self::Health,
            _ if path.starts_with("/sentence/") => Self::SentenceById,
            _ => Self::Other,
        }
    }

    /// Whether requests to it wait for the store. The others are answered at once.
    pub fn asks_the_store(self) -> bool {
        matches!(self, Self::Sentence | Self::Sentences | Self::SentenceById)
    }
}

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; ROUTE_LABELS.len()],
    stored: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    insert_buckets: [AtomicU64; BUCKETS.len() + 1],
    insert_micros: AtomicU64,
    streams: AtomicU64,
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, route: RouteName, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[route as usize][class].fetch_add(1, Ordering::Relaxed);
    }

    /// An insert was answered after `took`.
    pub fn inserted(&self, took: Duration, outcomes: &[Outcome]) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(bound, _)| micros <= *bound).unwrap_or(BUCKETS.len());
        self.insert_buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.insert_micros.fetch_add(micros, Ordering::Relaxed);
        for outcome in outcomes {
            let counter = match outcome {
                Outcome::Stored(_) => &self.stored,
                Outcome::Duplicate(_) => &self.duplicates,
                Outcome::Refused(_) => &self.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A reader of the feed came.
    pub fn stream_opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// A reader of the feed went.
    pub fn stream_closed(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// Everything as OpenMetrics text.
    pub fn write(&self, report: &Report, store_kind: &str) -> String {
        let mut text = String::with_capacity(4096);
        // Writing to a string cannot fail.
        self.write_into(&mut text, report, store_kind).unwrap_or_default();
        text
    }

    fn write_into(&self, out: &mut String, report: &Report, store_kind: &str) -> std::fmt::Result {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);

        describe(out, "balanza_backend_build", "info", "The program.")?;
        writeln!(out, "balanza_backend_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;

        describe(out, "balanza_backend_http_requests", "counter", "Requests answered.")?;
        for (route, classes) in ROUTE_LABELS.iter().zip(&self.requests) {
            for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| read(count) > 0) {
                let count = read(count);
                writeln!(
                    out,
                    "balanza_backend_http_requests_total{{route=\"{route}\",code=\"{class}\"}} {count}"
                )?;
            }
        }

        describe(out, "balanza_backend_inserts", "counter", "Sentences that reached the store, by outcome.")?;
        for (outcome, count) in
            [("stored", &self.stored), ("duplicate", &self.duplicates), ("refused", &self.refused)]
        {
            writeln!(out, "balanza_backend_inserts_total{{outcome=\"{outcome}\"}} {}", read(count))?;
        }

        let name = "balanza_backend_store_insert_duration_seconds";
        describe(out, name, "histogram", "Time until an insert was durable.")?;
        let mut seen = 0;
        for (index, count) in self.insert_buckets.iter().enumerate() {
            seen += read(count);
            let bound = BUCKETS.get(index).map_or("+Inf", |(_, bound)| bound);
            writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {seen}")?;
        }
        let micros = read(&self.insert_micros);
        writeln!(out, "{name}_count {seen}\n{name}_sum {}.{:06}", micros / 1_000_000, micros % 1_000_000)?;

        gauge(out, "documents", "Documents in the store.", &[("store", store_kind)], report.documents)?;
        gauge(out, "ready", "Whether the node takes sentences.", &[], u8::from(report.ready))?;
        gauge(out, "in_flight_requests", "Requests that wait for the store.", &[], report.in_flight)?;
        gauge(out, "report_streams", "Readers of the event feed.", &[], read(&self.streams))?;
        shares(out, report)?;
        out.write_str("# EOF\n")
    }
}

fn shares(out: &mut String, report: &Report) -> std::fmt::Result {
    let fresh = |share: Option<Share>| share.filter(|_| report.valid).map(ratio);
    if let Some(ram) = fresh(report.ram) {
        gauge(out, "memory_used_ratio", "Used share of memory.", &[], ram)?;
    }
    if let Some(cpu) = fresh(report.cpu) {
        gauge(out, "cpu_used_ratio", "Busy share of all CPUs over the last second.", &[], cpu)?;
    }
    if let Some(steal) = fresh(report.steal) {
        gauge(out, "cpu_steal_ratio", "Share of the CPUs that the hypervisor took.", &[], steal)?;
    }
    let name = "balanza_backend_probe_source";
    describe(out, name, "gauge", "Where each reading comes from.")?;
    for (half, source) in [("ram", report.ram_source), ("cpu", report.cpu_source)] {
        for known in [Source::Ebpf, Source::Procfs] {
            let is = u8::from(source == known);
            writeln!(out, "{name}{{half=\"{half}\",source=\"{known}\"}} {is}")?;
        }
    }
    Ok(())
}

fn describe(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}")
}

fn gauge(
    out: &mut String,
    name: &str,
    help: &str,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) -> std::fmt::Result {
    let name = format!("balanza_backend_{name}");
    describe(out, &name, "gauge", help)?;
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    writeln!(out, "{name}{labels} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_name() {
        assert_eq!(RouteName::of("/sentence"), RouteName::Sentence);
        assert_eq!(RouteName::of("/sentence/7"), RouteName::SentenceById);
        assert_eq!(RouteName::of("/favicon.ico"), RouteName::Other);
        assert_eq!(ROUTE_LABELS[RouteName::Other as usize], "other");
        assert_eq!(ROUTE_LABELS[RouteName::Health as usize], "health");
    }

    #[test]
    fn the_histogram_is_cumulative() {
        let metrics = Metrics::default();
        metrics.inserted(Duration::from_micros(300), &[Outcome::Refused(String::new())]);
        metrics.inserted(Duration::from_secs(60), &[]);
        let counts: Vec<u64> =
            metrics.insert_buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(metrics.refused.load(Ordering::Relaxed), 1);
    }
}
