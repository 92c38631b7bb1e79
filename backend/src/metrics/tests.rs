//! The exposition read back as a scraper reads it, and compared with what the reference promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use wire::{Share, Source, StoreId};

use super::Metrics;
use crate::fence::Fence;
use crate::report::Reporter;
use crate::sampler::{Load, Sources};
use crate::store::{Outcome, State, Tally};

/// The reference of the interface.
const REFERENCE: &str = include_str!("../../../docs/http.md");

/// What one scrape said.
#[derive(Debug, Default)]
struct Scrape {
    /// Families with their types.
    types: BTreeMap<String, String>,
    /// Samples, each name with its labels, and their values.
    samples: BTreeMap<String, f64>,
}

/// Reads OpenMetrics text as strictly as its specification asks, for the types that a node has.
fn parse(text: &str) -> Scrape {
    let body = text.strip_suffix("# EOF\n").expect("the text ends with its mark");
    assert!(!body.contains("# EOF"), "nothing follows the mark");
    let mut scrape = Scrape::default();
    let mut helped = BTreeSet::new();
    let mut family = String::new();
    for line in body.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            let (name, help) = described.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()), "{name} is described twice");
            assert!(help.ends_with('.') && !help.ends_with(".."), "{line}");
            family = name.to_owned();
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            assert_eq!(name, family, "type and help of a family stand together");
            assert_eq!(scrape.types.insert(name.to_owned(), kind.to_owned()), None);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffixes: &[&str] = match scrape.types[&family].as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_count", "_sum"],
                "info" => &["_info"],
                other => panic!("a node has no metric of type {other}"),
            };
            let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} in {family}"));
            assert!(suffixes.contains(&suffix), "{line} in {family}");
            assert_eq!(scrape.samples.insert(series.to_owned(), value.parse().unwrap()), None, "{line}");
        }
    }
    scrape
}

/// Families with their types, as the table of a node's metrics in the reference has them.
fn documented() -> BTreeMap<String, String> {
    let (_, table) = REFERENCE.split_once("## Metrics of a node").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (names, kind) = (cells.next().unwrap(), cells.next().unwrap());
        names.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), kind.to_owned()))
    })
    .collect()
}

/// The metrics of a node of which this load is known.
fn metrics(load: Load) -> (Metrics, watch::Sender<State>) {
    let tally = Tally { documents: 7, revision: 9 };
    let (store, state) = watch::channel(State { tally, fault: None });
    let load = watch::channel(Arc::new(load)).1;
    let sources = Sources { ram: Source::Ebpf, cpu: Source::Procfs };
    let fence = Arc::new(Fence::new(1));
    let (epoch, id, scope) = ("e".to_owned(), StoreId(uuid::Uuid::nil()), "host".to_owned());
    let reporter = Reporter::new(epoch, id, state, fence, load, sources, scope);
    (Metrics::new(Arc::new(reporter), "embedded"), store)
}

fn known() -> Load {
    let share = Share::from_basis_points;
    Load { ram: share(3_100), cpu: share(312), steal: share(0), ..Load::unknown() }
}

#[test]
fn every_documented_metric_is_there_with_its_type_and_no_other() {
    let (metrics, _store) = metrics(known());
    metrics.answered("/sentence", 200);
    assert_eq!(parse(&metrics.write()).types, documented());
}

#[test]
fn the_snapshot_tells_the_node_as_it_stands_at_each_scrape() {
    let (metrics, store) = metrics(known());
    let samples = parse(&metrics.write()).samples;
    let expected = [
        (concat!("balanza_backend_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
        ("balanza_backend_store_info{kind=\"embedded\",id=\"00000000-0000-0000-0000-000000000000\"}", 1.0),
        ("balanza_backend_documents{store=\"embedded\"}", 7.0),
        ("balanza_backend_ready", 1.0),
        ("balanza_backend_in_flight_requests", 0.0),
        ("balanza_backend_memory_used_ratio", 0.31),
        ("balanza_backend_cpu_used_ratio", 0.0312),
        ("balanza_backend_cpu_steal_ratio", 0.0),
        ("balanza_backend_probe_source{half=\"ram\",source=\"ebpf\"}", 1.0),
        ("balanza_backend_probe_source{half=\"ram\",source=\"procfs\"}", 0.0),
        ("balanza_backend_probe_source{half=\"cpu\",source=\"ebpf\"}", 0.0),
        ("balanza_backend_probe_source{half=\"cpu\",source=\"procfs\"}", 1.0),
    ];
    for (series, value) in expected {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    store.send_replace(State { fault: Some("the disk is full".to_owned()), ..State::default() });
    let samples = parse(&metrics.write()).samples;
    assert_eq!(samples["balanza_backend_documents{store=\"embedded\"}"], 0.0);
    assert_eq!(samples["balanza_backend_ready"], 0.0);
}

#[test]
fn an_unknown_share_is_left_out_and_not_zero() {
    let (metrics, _store) = metrics(Load { ram: None, ..known() });
    let types = parse(&metrics.write()).types;
    assert!(!types.contains_key("balanza_backend_memory_used_ratio"));
    assert!(types.contains_key("balanza_backend_cpu_used_ratio"));
    let long_ago = known().taken.checked_sub(Duration::from_secs(60)).unwrap();
    let stale = self::metrics(Load { taken: long_ago, ..known() }).0;
    assert!(!parse(&stale.write()).types.contains_key("balanza_backend_cpu_used_ratio"));
}

#[test]
fn what_is_counted_is_told_by_its_labels() {
    let (metrics, _store) = metrics(known());
    metrics.answered("/sentence", 200);
    metrics.answered("/sentence", 201);
    metrics.answered("other", 999);
    metrics.stream_opened();
    metrics.stream_opened();
    metrics.stream_closed();
    metrics.inserted(Duration::ZERO, &[Outcome::Refused(String::new()), Outcome::Refused(String::new())]);
    let samples = parse(&metrics.write()).samples;
    let of = |family: &str| {
        let series = samples.iter().filter(|(series, _)| series.starts_with(family));
        series.map(|(series, value)| (series[family.len()..].to_owned(), *value)).collect::<Vec<_>>()
    };
    let owned = |series: &str, value| (series.to_owned(), value);
    assert_eq!(
        of("balanza_backend_http_requests_total"),
        [owned("{route=\"/sentence\",code=\"2xx\"}", 2.0), owned("{route=\"other\",code=\"5xx\"}", 1.0)]
    );
    assert_eq!(
        of("balanza_backend_inserts_total"),
        [
            owned("{outcome=\"duplicate\"}", 0.0),
            owned("{outcome=\"refused\"}", 2.0),
            owned("{outcome=\"stored\"}", 0.0)
        ]
    );
    assert_eq!(of("balanza_backend_report_streams"), [owned("", 1.0)]);
}

#[test]
fn the_histogram_is_cumulative_and_its_bounds_belong_to_it() {
    let (metrics, _store) = metrics(known());
    for took in [Duration::from_micros(250), Duration::from_micros(300), Duration::from_secs(60)] {
        metrics.inserted(took, &[]);
    }
    let samples = parse(&metrics.write()).samples;
    let name = "balanza_backend_store_insert_duration_seconds";
    let bounds =
        ["0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.1", "1.0", "10.0", "+Inf"];
    let counts = bounds.map(|bound| samples[&format!("{name}_bucket{{le=\"{bound}\"}}")]);
    assert_eq!(counts, [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0]);
    assert_eq!((samples[&format!("{name}_count")], samples[&format!("{name}_sum")]), (3.0, 60.000_55));
}
