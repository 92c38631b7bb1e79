//! What machines ask before they send anything: health, and the contract. Absent: metrics, which are a file of their own.

use actix_web::HttpResponse;
use wire::NodeState;

use super::{Shared, refuse};
use crate::fleet::{Fleet, Node};
use crate::problem;

/// The contract.
const OPENAPI: &str = include_str!("openapi.json");

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
