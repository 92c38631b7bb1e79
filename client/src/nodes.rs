//! A node of the fleet in words, for tables on every kind of terminal. PURE.

use wire::{NodeState, NodeView, Share};

use crate::numbers::grouped;

/// The names of the cells.
pub const HEAD: [&str; 10] =
    ["node", "state", "documents", "ram", "cpu", "source", "age", "in flight", "share", "last error"];

/// The cells of one node.
pub fn cells(node: &NodeView) -> [String; 10] {
    let unknown = || "?".to_owned();
    let percent = |share: Option<Share>| share.map_or_else(unknown, |share| format!("{}%", share.percent()));
    let state = match node.state {
        NodeState::Up => "up",
        NodeState::Down => "down",
        NodeState::Draining => "draining",
    };
    let error = node.because.as_ref().filter(|_| node.state == NodeState::Down).or(node.last_error.as_ref());
    [
        node.name.clone(),
        state.to_owned(),
        node.documents.map_or_else(unknown, grouped),
        percent(node.ram),
        percent(node.cpu),
        node.source.map_or_else(unknown, |source| source.to_string()),
        node.report_age_ms.map_or_else(unknown, age),
        grouped(node.in_flight),
        percent(Some(node.traffic)),
        error.cloned().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn age(millis: u64) -> String {
    if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", millis / 1000) }
}
