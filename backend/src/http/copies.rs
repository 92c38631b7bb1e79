//! The handlers by which a balancer makes sure that no sentence lies on two nodes: which ids this one holds, which it
//! stored since when, taking copies back, and the fence. What they are asked is judged elsewhere; they give no texts.
//!
//! All need the write token where there is one: they are between balancers and nodes, and for no reader. Those that only
//! read answer also while the store takes no writes.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue, LINK};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use wire::contract::MAX_BULK_ITEMS;
use wire::{Copies, Fenced, Ids, InvalidSentence, Place, StoredCopy};

use super::post::{admit, finish};
use super::{Node, body, read};
use crate::problem::Failure;
use crate::store::{Query, Tally};

/// How long the fence waits for the posts that were let in before it.
const FENCE_PATIENCE: Duration = Duration::from_secs(5);
/// Longest body: an item of the longest kind, a copy, takes 93 bytes as it is usually written.
const MAX_BODY_BYTES: usize = MAX_BULK_ITEMS * 256;

/// `POST /sentences/held`.
pub(super) async fn held(
    request: HttpRequest,
    payload: Payload,
    node: Data<Node>,
) -> Result<HttpResponse, Failure> {
    node.tokens.admit_write(request.headers())?;
    let Ids { mut ids } = read_json(&request, payload, r#"send {"ids":["…"]}"#).await?;
    bounded(ids.len(), "ids")?;
    ids.sort_unstable();
    ids.dedup();
    let held = node.store.held(ids).await?;
    Ok(HttpResponse::Ok().json(Copies { copies: held.into_iter().map(StoredCopy::from).collect() }))
}

/// `GET /sentences/ids`.
pub(super) async fn ids(request: HttpRequest, node: Data<Node>) -> Result<HttpResponse, Failure> {
    node.tokens.admit_write(request.headers())?;
    let Query { after, limit, .. } =
        read::query(request.query_string(), MAX_BULK_ITEMS, &["limit", "after"])?;
    let limit = limit.unwrap_or(MAX_BULK_ITEMS);
    // One more than asked tells whether there is a next page.
    let mut places = node.store.places(after, limit + 1).await?;
    let more = places.len() > limit;
    places.truncate(limit);
    let copies = places.into_iter().map(StoredCopy::from).collect::<Vec<_>>();
    let mut response = HttpResponse::Ok();
    if let Some(last) = copies.last().filter(|_| more) {
        let last = Place::new(last.date, Some(last.id));
        let next = [
            (LINK, last.next_page("/sentences/ids", limit, &[])),
            (HeaderName::from_static(read::NEXT_HEADER), last.cursor()),
        ];
        for (name, value) in next {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.insert_header((name, value));
            }
        }
    }
    Ok(response.json(Copies { copies }))
}

/// `POST /sentences/retract`.
pub(super) async fn retract(request: HttpRequest, payload: Payload, node: Data<Node>) -> HttpResponse {
    let answer = retract_copies(&request, payload, &node).await;
    finish(&node, answer)
}

async fn retract_copies(
    request: &HttpRequest,
    payload: Payload,
    node: &Node,
) -> Result<(HttpResponse, Tally), Failure> {
    admit(request, node)?;
    let Copies { copies } = read_json(
        request,
        payload,
        r#"send {"copies":[{"date":"…","id":"…"}]} as POST /sentences/held gave them"#,
    )
    .await?;
    bounded(copies.len(), "copies")?;
    let (ids, tally) = node.store.retract(copies.into_iter().map(Into::into).collect()).await?;
    if !ids.is_empty() {
        tracing::info!(copies = ids.len(), "took copies back that another node holds");
    }
    Ok((HttpResponse::Ok().json(Ids { ids }), tally))
}

/// `POST /fence`.
pub(super) async fn fence(request: HttpRequest, node: Data<Node>) -> Result<HttpResponse, Failure> {
    node.tokens.admit_write(request.headers())?;
    match tokio::time::timeout(FENCE_PATIENCE, node.fence.raise()).await {
        Ok(fence) => Ok(HttpResponse::Ok().json(Fenced { fence })),
        Err(_) => Err(Failure::fence_waits(FENCE_PATIENCE.as_secs(), node.fence.number())),
    }
}

async fn read_json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    remedy: &'static str,
) -> Result<T, Failure> {
    body::announced(request.headers()).json()?;
    let body = body::read(request, payload, MAX_BODY_BYTES).await?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(InvalidSentence::EmptyBody.into());
    }
    serde_json::from_slice(&body).map_err(|error| Failure::not_json(&error.to_string(), remedy))
}

fn bounded(found: usize, what: &str) -> Result<(), Failure> {
    if found > MAX_BULK_ITEMS { Err(Failure::too_many(found, what, MAX_BULK_ITEMS)) } else { Ok(()) }
}
