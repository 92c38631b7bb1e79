//! `GET /metrics`: what the balancer counts and what it knows of its nodes, as OpenMetrics text. Written by
//! `prometheus-client`, the official library, as on the node. Everything is read at the scrape, from counters that exist
//! anyway and from one view of the fleet, so that sentences pay nothing for it. Absent: the counting.

use std::fmt;
use std::sync::Arc;

use actix_web::HttpResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use wire::{FleetView, NodeState, NodeView};

use super::Shared;
use crate::balancer::Balancer;
use crate::clock;
use crate::counters::{Counter, Counters};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The counters: name, help, and where each is counted.
type Counts = [(&'static str, &'static str, fn(&Counters) -> &Counter); 17];
const COUNTS: Counts = [
    ("balanza_lb_sentences_stored", "Sentences answered as stored.", |c| &c.stored),
    ("balanza_lb_sentences_invalid", "Sentences refused as faulty.", |c| &c.invalid),
    ("balanza_lb_sentences_refused", "Sentences refused because no node or no room was there.", |c| {
        &c.refused
    }),
    ("balanza_lb_sentences_in_doubt", "Sentences given up in doubt.", |c| &c.in_doubt),
    (
        "balanza_lb_sentences_rerouted",
        "Sentences that went to another node after one did not store them.",
        |c| &c.rerouted,
    ),
    (
        "balanza_lb_sentences_moved_in_doubt",
        "Sentences that went to another node although one may hold them.",
        |c| &c.moved_in_doubt,
    ),
    ("balanza_lb_sentences_looked_up", "Sentences about which the nodes were asked first.", |c| &c.looked_up),
    (
        "balanza_lb_sentences_found_twice",
        "Sentences that were found on two nodes, sent there by two balancers.",
        |c| &c.found_twice,
    ),
    ("balanza_lb_copies_taken_back", "Second copies that nodes took back.", |c| &c.taken_back),
    ("balanza_lb_posts_repeated", "Posts repeated to the same node.", |c| &c.repeated),
    ("balanza_lb_posts", "Posts to nodes.", |c| &c.posts),
    ("balanza_lb_node_rises", "Times that a node came up.", |c| &c.rises),
    ("balanza_lb_node_falls", "Times that a node went down.", |c| &c.falls),
    ("balanza_lb_lanes_begun", "Lanes begun, one for each node and thread that has sentences for it.", |c| {
        &c.lanes_begun
    }),
    ("balanza_lb_lanes_ended", "Lanes ended, because their nodes have left.", |c| &c.lanes_ended),
    ("balanza_lb_connections", "Client connections accepted.", |c| &c.connections),
    ("balanza_lb_connections_handed_over", "Client connections handed to the full HTTP server.", |c| {
        &c.handed_over
    }),
];

/// The figures of each node: name, help, and the figure; one that is unknown or expired is left out, never zero.
type Figures = [(&'static str, &'static str, fn(&NodeView) -> Option<u64>); 7];
const FIGURES: Figures = [
    ("balanza_lb_node_up", "Whether the node can be chosen.", |node| {
        Some(u64::from(node.state == NodeState::Up))
    }),
    ("balanza_lb_node_documents", "Documents as the rule counts them.", |node| node.documents),
    ("balanza_lb_node_in_flight", "Sentences sent to the node and not yet answered.", |node| {
        Some(node.in_flight)
    }),
    ("balanza_lb_node_stored", "Sentences that the node acknowledged to this balancer.", |node| {
        Some(node.stored)
    }),
    ("balanza_lb_node_in_doubt", "Sentences that may lie on the node and on another one.", |node| {
        Some(node.in_doubt)
    }),
    ("balanza_lb_node_ram_basis_points", "Used share of memory, 10000 for all of it.", |node| {
        node.ram.map(|share| u64::from(share.basis_points()))
    }),
    ("balanza_lb_node_cpu_basis_points", "Busy share of the CPUs, 10000 for all of it.", |node| {
        node.cpu.map(|share| u64::from(share.basis_points()))
    }),
];

/// All metrics of the balancer.
pub(super) fn registry(balancer: Arc<Balancer>) -> Registry {
    let mut registry = Registry::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("balanza_lb_build", "The program", Info::new(version));
    registry.register_collector(Box::new(Snapshot(balancer)));
    registry
}

/// Writes them.
pub(super) async fn get(state: Shared) -> HttpResponse {
    let mut text = String::with_capacity(8 * 1024);
    // Writing to a string cannot fail.
    encode(&mut text, &state.metrics).unwrap_or_default();
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(text)
}

/// The balancer as it is at the scrape.
struct Snapshot(Arc<Balancer>);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(balancer) = self;
        for (name, help, counter) in COUNTS {
            let counted = ConstCounter::new(counter(&balancer.counters).get());
            counted.encode(out.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let open = out.encode_descriptor(
            "balanza_lb_connections_open",
            "Client connections that are open.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(balancer.counters.n_open()).encode(open)?;
        let view = balancer.step(|routing| routing.view(clock::moment()));
        encode_nodes(&view, &mut out)?;
        let age = clock::now().saturating_duration_since(balancer.started).as_secs();
        let uptime = out.encode_descriptor(
            "balanza_lb_uptime_seconds",
            "Age of the process.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(age).encode(uptime)
    }
}

fn encode_nodes(view: &FleetView, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, figure) in FIGURES {
        let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for node in &view.nodes {
            if let Some(figure) = figure(node) {
                ConstGauge::new(figure).encode(family.encode_family(&[("node", node.name.as_str())])?)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Given, Origin};
    use crate::journal::Journal;
    use crate::network::Tcp;
    use std::collections::BTreeMap;

    const REFERENCE: &str = include_str!("../../../docs/http.md");

    fn scrape() -> String {
        let mut given = Given::default();
        given.add_node("A=http://a:1", Origin::Flag);
        let config = Config::read(&given).unwrap();
        let journal = Journal::open(None).unwrap();
        let (balancer, _turns) = Balancer::new(&config, Box::new(Tcp), journal, 1, clock::now()).unwrap();
        balancer.counters.stored.add(7);
        let mut text = String::new();
        encode(&mut text, &registry(balancer)).unwrap();
        text
    }

    #[test]
    fn the_text_is_whole_and_an_unknown_figure_is_left_out() {
        let text = scrape();
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(text.contains("\nbalanza_lb_sentences_stored_total 7\n"), "{text}");
        assert!(text.contains("\nbalanza_lb_node_up{node=\"A\"} 0\n"), "{text}");
        assert!(!text.contains("balanza_lb_node_documents{"), "{text}");
    }

    #[test]
    fn the_reference_has_every_metric_with_its_type() {
        let (_, table) = REFERENCE.split_once("## Metrics of the balancer").unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
        let mut documented = BTreeMap::new();
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            for name in cells[0].split('`').skip(1).step_by(2) {
                documented.insert(name.to_owned(), cells[1].to_owned());
            }
        }
        let text = scrape();
        let told = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let told: BTreeMap<_, _> = told.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        assert_eq!(told, documented);
    }
}
