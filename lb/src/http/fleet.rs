//! The nodes and the decisions over them, to be read by anybody and changed with the admin token. Absent: the fleet's
//! own rules.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use wire::token;

use super::{Shared, State, refuse, whole};
use crate::clock;
use crate::config::check_name;
use crate::decisions::KEPT;
use crate::endpoint::Endpoint;
use crate::fleet::NodeKey;
use crate::problem;
use crate::routing::Routing;

/// Longest body of an admin request, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// `GET /fleet`.
pub(super) async fn get(state: Shared) -> HttpResponse {
    shown(&state)
}

/// The fleet as it is now. It is copied under the lock and written outside.
fn shown(state: &State) -> HttpResponse {
    let view = state.worker.balancer.step(|routing| routing.view(clock::moment()));
    HttpResponse::Ok().json(view)
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
    let newest = state.worker.balancer.step(|routing| routing.decisions.newest(limit, &routing.fleet));
    HttpResponse::Ok().json(newest.view(clock::now(), clock::wall()))
}

/// `POST /fleet/{node}/drain`: no new sentences for the node; what is under way is finished.
pub(super) async fn drain(request: HttpRequest, node: web::Path<String>, state: Shared) -> HttpResponse {
    change(&request, &node, &state, |routing, key| routing.fleet.set_draining(key, true))
}

/// `POST /fleet/{node}/ready`: sentences again.
pub(super) async fn ready(request: HttpRequest, node: web::Path<String>, state: Shared) -> HttpResponse {
    change(&request, &node, &state, |routing, key| routing.fleet.set_draining(key, false))
}

/// `DELETE /fleet/{node}`: what is under way is finished.
pub(super) async fn delete(request: HttpRequest, node: web::Path<String>, state: Shared) -> HttpResponse {
    change(&request, &node, &state, |routing, key| routing.remove(key, clock::now()))
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
    let body = match whole(body, MAX_BODY_BYTES).await {
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
    balancer.step(|routing| routing.add(&node, &url, clock::now()));
    balancer.nodes_changed.notify_one();
    tracing::info!(node = node.as_str(), url, "node set");
    shown(&state)
}

fn change(
    request: &HttpRequest,
    name: &str,
    state: &State,
    change: impl FnOnce(&mut Routing, NodeKey),
) -> HttpResponse {
    if let Some(refusal) = forbid(request, state) {
        return refusal;
    }
    let balancer = &state.worker.balancer;
    let changed = balancer.step(|routing| {
        let key = routing.fleet.named(name)?.key;
        change(routing, key);
        Some(())
    });
    if changed.is_none() {
        return refuse(problem::no_node(name));
    }
    balancer.nodes_changed.notify_one();
    tracing::info!(node = name, request = request.path(), method = request.method().as_str(), "node changed");
    shown(state)
}

/// The answer to a request that may change nothing; `None` when it may.
fn forbid(request: &HttpRequest, state: &State) -> Option<HttpResponse> {
    let Some(admin) = &state.worker.balancer.admin_token else {
        return Some(refuse(problem::no_admin_token()));
    };
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match given.and_then(token::bearer) {
        Some(shown) if admin.is(shown) => None,
        Some(_) => Some(refuse(problem::wrong_token())),
        None => {
            let mut refusal = refuse(problem::no_token());
            let bearer = header::HeaderValue::from_static("Bearer");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            Some(refusal)
        }
    }
}
