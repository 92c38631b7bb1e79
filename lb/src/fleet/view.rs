//! PURE. The fleet as `GET /fleet`, the metrics and the dashboard read it. Absent: writing it for anybody.

use std::time::{Duration, Instant};

use wire::{Date, FleetView, NodeView};

use super::{Fleet, Node, Protocol};
use crate::doubt::Doubt;

impl Fleet {
    /// All that is known of the nodes, and of what is in doubt on them. `now` and `wall` are the same moment on both clocks.
    pub(crate) fn view(&self, doubt: &Doubt, now: Instant, wall: Date) -> FleetView {
        FleetView {
            in_doubt: doubt.len() as u64,
            policy: self.settings.policy.name().to_owned(),
            at: wall,
            nodes: self.nodes.iter().map(|node| self.view_of(node, doubt, now, wall)).collect(),
        }
    }

    fn view_of(&self, node: &Node, doubt: &Doubt, now: Instant, wall: Date) -> NodeView {
        let since = node.home.and_then(|home| doubt.since(home));
        let load = node.fresh_load(now, self.settings.stale_after);
        let age = node.load.as_ref().map(|load| now.saturating_duration_since(load.at));
        NodeView {
            name: node.name.clone(),
            url: node.url.clone(),
            state: node.state(),
            because: node.down_because().map(str::to_owned),
            documents: node.documents(),
            ram: load.and_then(|load| load.ram),
            cpu: load.and_then(|load| load.cpu),
            source: node.load.as_ref().and_then(|load| load.source),
            report_age_ms: age.map(whole_millis),
            in_flight: node.in_flight(),
            stored: node.stored(),
            traffic: self.traffic(node),
            last_error: node.last_error.clone(),
            store: node.store,
            in_doubt: node.home.map_or(0, |home| doubt.count(home) as u64),
            in_doubt_for_ms: since.map(|since| millis_between(since, wall)),
            protocol: node.protocol.map(Protocol::name).map(str::to_owned),
        }
    }
}

fn whole_millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// Between two dates, or none where the second lies before the first.
fn millis_between(first: Date, second: Date) -> u64 {
    let micros = second.unix_micros().saturating_sub(first.unix_micros());
    u64::try_from(micros / 1_000).unwrap_or_default()
}
