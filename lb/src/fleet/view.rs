//! PURE. The fleet as `GET /fleet`, the metrics and the dashboard read it. Absent: writing it for anybody.

use std::time::{Duration, Instant};

use wire::{Date, FleetView, NodeView};

use super::{Fleet, Node, Protocol};

impl Fleet {
    /// All that is known of the nodes. `now` and `wall` are the same moment on both clocks.
    pub fn view(&self, now: Instant, wall: Date) -> FleetView {
        FleetView {
            policy: self.settings.policy.name().to_owned(),
            at: wall,
            nodes: self.nodes.iter().map(|node| self.view_of(node, now)).collect(),
        }
    }

    fn view_of(&self, node: &Node, now: Instant) -> NodeView {
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
            protocol: node.protocol.map(Protocol::name).map(str::to_owned),
        }
    }
}

fn whole_millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
