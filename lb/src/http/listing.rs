//! `GET /sentence`: the sentences of all nodes in the order of their dates, or those of one node. Absent: the merging.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use futures_util::future::join_all;
use futures_util::stream;
use serde::Deserialize;
use wire::Place;
use wire::contract::MAX_PAGE;

use super::merge::{Merge, Piece, Source, Wanted};
use super::{Shared, refuse};
use crate::endpoint::Endpoint;
use crate::problem;

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    server: Option<String>,
    author: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    partial: Option<String>,
}

/// Lists sentences.
pub(super) async fn get(query: Result<web::Query<Query>, actix_web::Error>, state: Shared) -> HttpResponse {
    let query = match query {
        Ok(query) => query.into_inner(),
        Err(error) => {
            let remedy = "use server, author, limit, after and partial";
            return refuse(problem::parameter("query", &error.to_string(), remedy));
        }
    };
    let limit = match query.limit.as_deref().map(str::parse::<usize>) {
        None => None,
        Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => Some(limit),
        Some(_) => {
            let remedy = format!("give a number from 1 to {MAX_PAGE}, or none for everything");
            return refuse(problem::parameter("limit", "`limit` is no usable number", &remedy));
        }
    };
    let after = match query.after.as_deref().map(Place::read) {
        Some(None) => {
            let remedy = "take it from the `link` header of the page before";
            return refuse(problem::parameter("after", "`after` is no cursor", remedy));
        }
        after => after.flatten(),
    };
    let nodes: Vec<(String, Option<Endpoint>)> = state.worker.balancer.step(|routing| {
        let nodes = routing.fleet.nodes().iter();
        let asked = nodes.filter(|node| query.server.as_ref().is_none_or(|name| *name == node.name));
        asked.map(|node| (node.name.clone(), node.url.parse().ok())).collect()
    });
    if let Some(server) = query.server.as_ref().filter(|_| nodes.is_empty()) {
        return refuse(problem::no_node(server));
    }
    let wanted = Wanted { author: query.author.clone(), after, limit };
    let opened = nodes.into_iter().filter_map(|(name, endpoint)| Some((name, endpoint?)));
    let opened = opened.map(|(name, endpoint)| {
        let (state, wanted) = (&state, &wanted);
        async move {
            Source::open(&state.reader, state.worker.balancer.node_token.as_ref(), name, &endpoint, wanted)
                .await
        }
    });
    let mut sources = Vec::new();
    let mut missing = Vec::new();
    for opened in join_all(opened).await {
        match opened {
            Ok(source) => sources.push(source),
            Err(unreadable) if query.partial.as_deref() == Some("true") => missing.push(unreadable.node),
            Err(unreadable) => return refuse(problem::unreadable(&unreadable.to_string())),
        }
    }
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if !missing.is_empty() {
        response.insert_header(("balanza-missing", missing.join(", ")));
    }
    let merge = Merge::new(sources, wanted);
    match limit {
        Some(limit) => page(response, merge, limit, &query).await,
        None => {
            // A node that fails in the middle breaks the stream off, so that nobody takes a part for the whole.
            response.streaming(stream::try_unfold((merge, Piece::First), async |(mut merge, mut state)| {
                let piece = merge.piece(&mut state).await?;
                Ok::<_, super::merge::Unreadable>(piece.map(|bytes| (bytes, (merge, state))))
            }))
        }
    }
}

/// One page with a link to the next.
async fn page(
    mut response: actix_web::HttpResponseBuilder,
    mut merge: Merge,
    limit: usize,
    query: &Query,
) -> HttpResponse {
    let mut body = b"[".to_vec();
    let mut last = None;
    let mut count = 0;
    loop {
        match merge.next().await {
            Ok(Some((node, element))) => {
                if count > 0 {
                    body.push(b',');
                }
                count += 1;
                last = Some(element.place);
                element.write(node, &mut body);
            }
            Ok(None) => break,
            Err(unreadable) => return refuse(problem::unreadable(&unreadable.to_string())),
        }
    }
    body.push(b']');
    if let Some(last) = last.filter(|_| count == limit) {
        let filters = [("server", query.server.as_deref()), ("author", query.author.as_deref())];
        response.insert_header((header::LINK, last.next_page("/sentence", limit, &filters)));
    }
    response.body(body)
}
