//! What machines read: metrics in OpenMetrics form, health, the contract. Absent: the counting.

use std::fmt::Write;

use actix_web::HttpResponse;
use wire::{NodeState, NodeView};

use super::{Shared, refuse};
use crate::balancer::Balancer;
use crate::clock;
use crate::counters::{Counter, Counters};
use crate::fleet::{Fleet, Node};
use crate::problem;

/// The contract.
const OPENAPI: &str = include_str!("openapi.json");

/// The counters by their names.
type Counts = [(&'static str, &'static str, fn(&Counters) -> &Counter); 13];
const COUNTS: Counts = [
    ("sentences_stored", "Sentences answered as stored.", |c| &c.stored),
    ("sentences_invalid", "Sentences refused as faulty.", |c| &c.invalid),
    ("sentences_refused", "Sentences refused because no node or no room was there.", |c| &c.refused),
    ("sentences_in_doubt", "Sentences given up in doubt.", |c| &c.in_doubt),
    ("sentences_rerouted", "Sentences that went to another node after one did not store them.", |c| {
        &c.rerouted
    }),
    ("posts_repeated", "Posts repeated to the same node.", |c| &c.repeated),
    ("posts", "Posts to nodes.", |c| &c.posts),
    ("node_rises", "Times that a node came up.", |c| &c.rises),
    ("node_falls", "Times that a node went down.", |c| &c.falls),
    ("lanes_begun", "Lanes begun, one for each node and thread that carries sentences to it.", |c| {
        &c.lanes_begun
    }),
    ("lanes_ended", "Lanes ended, since their nodes have left.", |c| &c.lanes_ended),
    ("connections", "Client connections accepted.", |c| &c.connections),
    ("connections_handed_over", "Client connections handed to the full HTTP server.", |c| &c.handed_over),
];

/// The figures of each node by their names; an unknown or expired figure is left out, never zero.
type Figures = [(&'static str, &'static str, fn(&NodeView) -> Option<u64>); 6];
const FIGURES: Figures = [
    ("node_up", "Whether the node can be chosen.", |node| Some(u64::from(node.state == NodeState::Up))),
    ("node_documents", "Documents as the rule counts them.", |node| node.documents),
    ("node_in_flight", "Sentences sent to the node and not yet answered.", |node| Some(node.in_flight)),
    ("node_stored", "Sentences that the node acknowledged to this balancer.", |node| Some(node.stored)),
    ("node_ram_basis_points", "Used share of memory, 10000 for all of it.", |node| {
        node.ram.map(|share| u64::from(share.basis_points()))
    }),
    ("node_cpu_basis_points", "Busy share of the CPUs, 10000 for all of it.", |node| {
        node.cpu.map(|share| u64::from(share.basis_points()))
    }),
];

/// `GET /metrics`.
pub(super) async fn metrics(state: Shared) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(written(&state.worker.balancer))
}

fn written(balancer: &Balancer) -> String {
    let view = balancer.step(|routing| routing.fleet.view(clock::now(), clock::wall()));
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        writeln!(text, "{line}").ok();
    };
    for (name, help, counter) in COUNTS {
        line(format_args!("# TYPE balanza_lb_{name} counter"));
        line(format_args!("# HELP balanza_lb_{name} {help}"));
        line(format_args!("balanza_lb_{name}_total {}", counter(&balancer.counters).get()));
    }
    for (name, help, figure) in FIGURES {
        line(format_args!("# TYPE balanza_lb_{name} gauge"));
        line(format_args!("# HELP balanza_lb_{name} {help}"));
        for node in &view.nodes {
            if let Some(figure) = figure(node) {
                line(format_args!("balanza_lb_{name}{{node=\"{}\"}} {figure}", node.name));
            }
        }
    }
    let up = clock::now().saturating_duration_since(balancer.started).as_secs();
    line(format_args!("# TYPE balanza_lb_uptime_seconds gauge"));
    line(format_args!("# UNIT balanza_lb_uptime_seconds seconds"));
    line(format_args!("balanza_lb_uptime_seconds {up}"));
    line(format_args!("# TYPE balanza_lb_build info"));
    line(format_args!("balanza_lb_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")));
    line(format_args!("# EOF"));
    text
}

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// `GET /readyz`: a sentence posted now would find a node.
pub(super) async fn readyz(state: Shared) -> HttpResponse {
    let balancer = &state.worker.balancer;
    if balancer.is_stopping() {
        return refuse(problem::stopping());
    }
    match balancer.step(|routing| why_not_ready(&routing.fleet)) {
        None => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n"),
        Some(why) => refuse(problem::not_ready(&why)),
    }
}

fn why_not_ready(fleet: &Fleet) -> Option<String> {
    if fleet.nodes().iter().any(|node| node.state() == NodeState::Up) {
        return None;
    }
    let told = |node: &Node| format!("{}: {}", node.name, node.down_because().unwrap_or("draining"));
    Some(fleet.nodes().iter().map(told).collect::<Vec<_>>().join("; "))
}

/// `GET /openapi.json`.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}
