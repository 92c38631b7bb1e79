//! The nodes and the decisions over them, to be read by anybody and changed with the admin token. Absent: the fleet's
//! own rules.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use wire::{FleetView, NodeView};

use super::{Shared, State, refuse, whole};
use crate::clock;
use crate::config::check_name;
use crate::decisions::KEPT;
use crate::endpoint::Endpoint;
use crate::fleet::{Fleet, Node, NodeKey, Protocol};
use crate::problem;

/// Longest body of an admin request, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// `GET /fleet`.
pub(super) async fn get(state: Shared) -> HttpResponse {
    HttpResponse::Ok().json(view(&state.worker.balancer.routing().fleet))
}

fn view(fleet: &Fleet) -> FleetView {
    let now = clock::now();
    let stale_after = fleet.settings().stale_after;
    let node = |node: &Node| {
        let load = node.fresh_load(now, stale_after);
        let age = node.load.as_ref().map(|load| now.saturating_duration_since(load.at).as_millis());
        NodeView {
            name: node.name.clone(),
            url: node.url.clone(),
            state: node.state(),
            because: node.down_because().map(str::to_owned),
            documents: node.documents(),
            ram: load.and_then(|load| load.ram),
            cpu: load.and_then(|load| load.cpu),
            source: node.load.as_ref().and_then(|load| load.source),
            report_age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
            in_flight: node.in_flight(),
            stored: node.stored(),
            traffic: fleet.traffic(node),
            last_error: node.last_error.clone(),
            protocol: node.protocol.map(Protocol::name).map(str::to_owned),
        }
    };
    FleetView {
        policy: fleet.settings().policy.name().to_owned(),
        at: clock::wall(),
        nodes: fleet.nodes().iter().map(node).collect(),
    }
}

/// The parameters of `GET /decisions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    limit: Option<usize>,
}

/// `GET /decisions`.
pub(super) async fn decisions(
    query: Result<web::Query<Newest>, actix_web::Error>,
    state: Shared,
) -> HttpResponse {
    let limit = match query {
        Ok(query) => query.limit.unwrap_or(100),
        Err(error) => {
            let remedy = format!("give a number up to {KEPT}, or none");
            return refuse(problem::parameter("limit", &error.to_string(), &remedy));
        }
    };
    let routing = state.worker.balancer.routing();
    let views = routing.decisions.view(limit, &routing.fleet, clock::now(), clock::wall());
    HttpResponse::Ok().json(views)
}

/// `POST /fleet/{node}/drain`: no new sentences for the node; what is under way is finished.
pub(super) async fn drain(request: HttpRequest, node: web::Path<String>, state: Shared) -> HttpResponse {
    change(&request, &node, &state, |fleet, key| fleet.set_draining(key, true))
}

/// `POST /fleet/{node}/ready`: sentences again.
pub(super) async fn ready(request: HttpRequest, node: web::Path<String>, state: Shared) -> HttpResponse {
    change(&request, &node, &state, |fleet, key| fleet.set_draining(key, false))
}

/// `DELETE /fleet/{node}`: what is under way is finished.
pub(super) async fn delete(request: HttpRequest, node: web::Path<String>, state: Shared) -> HttpResponse {
    change(&request, &node, &state, Fleet::remove)
}

/// `PUT /fleet/{node}` with `{"url":"http://…"}`: a new node, or a new address for a known name.
pub(super) async fn put(
    request: HttpRequest,
    body: web::Payload,
    node: web::Path<String>,
    state: Shared,
) -> HttpResponse {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Put {
        url: String,
    }
    if let Some(refusal) = forbid(&request, &state) {
        return refusal;
    }
    let body = match whole(body, MAX_BODY_BYTES, state.worker.client_limits.body_timeout).await {
        Ok(body) => body,
        Err(problem) => return refuse(problem),
    };
    let url = match serde_json::from_slice::<Put>(&body) {
        Ok(put) => put.url,
        Err(error) => {
            return refuse(problem::parameter("url", &error.to_string(), r#"send {"url":"http://…"}"#));
        }
    };
    if let Err(why) = check_name(&node) {
        return refuse(problem::parameter("node", &why, "choose another name"));
    }
    if let Err(error) = url.parse::<Endpoint>() {
        return refuse(problem::parameter("url", &error.to_string(), "send the node's plain http URL"));
    }
    let balancer = &state.worker.balancer;
    {
        let fleet = &mut balancer.routing().fleet;
        // Another address is another node: nothing that is known of the old one holds for it.
        let moved = fleet.named(&node).filter(|known| known.url != url).map(|known| known.key);
        if let Some(key) = moved {
            fleet.remove(key);
        }
        fleet.add(&node, &url);
    }
    balancer.nodes_changed.notify_one();
    tracing::info!(node = node.as_str(), url, "node set");
    HttpResponse::Ok().json(view(&balancer.routing().fleet))
}

fn change(
    request: &HttpRequest,
    name: &str,
    state: &State,
    change: impl FnOnce(&mut Fleet, NodeKey),
) -> HttpResponse {
    if let Some(refusal) = forbid(request, state) {
        return refusal;
    }
    let balancer = &state.worker.balancer;
    {
        let fleet = &mut balancer.routing().fleet;
        let Some(key) = fleet.named(name).map(|node| node.key) else { return refuse(problem::no_node(name)) };
        change(fleet, key);
    }
    balancer.nodes_changed.notify_one();
    tracing::info!(node = name, request = request.path(), method = request.method().as_str(), "node changed");
    HttpResponse::Ok().json(view(&balancer.routing().fleet))
}

/// The answer to a request that may change nothing; `None` when it may.
fn forbid(request: &HttpRequest, state: &State) -> Option<HttpResponse> {
    let Some(token) = &state.worker.balancer.admin_token else {
        return Some(refuse(problem::no_admin_token()));
    };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| same(given, token.as_bytes())) {
        return None;
    }
    let mut refusal = refuse(problem::unauthorized(given.is_some()));
    refusal.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    Some(refusal)
}

/// Compares without telling by its time how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}
