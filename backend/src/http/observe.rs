//! The handlers that tell of the node itself. None of them changes anything, and none waits for the store.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::watch;
use wire::contract::{BALANCER_HEADER, EVENT_STREAM};

use super::Node;
use crate::metrics;
use crate::problem::Failure;
use crate::report::{Balancer, Frame};

/// The contract of this program.
const OPENAPI: &str = include_str!("openapi.json");

/// `GET /usage`.
pub(super) async fn usage(node: Data<Node>) -> HttpResponse {
    HttpResponse::Ok().json(node.reporter.usage())
}

/// `GET /report`.
pub(super) async fn report(node: Data<Node>) -> HttpResponse {
    HttpResponse::Ok().json(node.reporter.report())
}

/// `GET /report/stream`: one report at once, then the feed, until the node stops.
pub(super) async fn stream(request: HttpRequest, node: Data<Node>) -> HttpResponse {
    let run = request.headers().get(BALANCER_HEADER).and_then(|run| run.to_str().ok()?.parse().ok());
    let reader = Reader {
        // It is counted before it is told of the count.
        _balancer: run.map(|run| node.reporter.read_by(run)),
        first: Some(Frame::of(&node.reporter.report())),
        told: 0,
        frames: node.frames.clone(),
        node: node.into_inner(),
    };
    reader.node.metrics.stream_opened();
    let events = futures_util::stream::unfold(reader, |mut reader| async move {
        let text = reader.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), reader))
    });
    HttpResponse::Ok().content_type(EVENT_STREAM).insert_header((CACHE_CONTROL, "no-cache")).streaming(events)
}

/// One reader of the feed.
struct Reader {
    /// Who reads, where that is a balancer that says so.
    _balancer: Option<Balancer>,
    first: Option<Frame>,
    told: u64,
    frames: watch::Receiver<Frame>,
    node: Arc<Node>,
}

impl Reader {
    /// The next event; `None` once the feed has ended. Events that are older than the first one are left out.
    async fn next(&mut self) -> Option<Bytes> {
        let frame = match self.first.take() {
            Some(first) => first,
            None => loop {
                self.frames.changed().await.ok()?;
                let frame = self.frames.borrow_and_update().clone();
                if frame.seq > self.told {
                    break frame;
                }
            },
        };
        self.told = frame.seq;
        Some(frame.text)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.node.metrics.stream_closed();
    }
}

/// `GET /metrics`.
pub(super) async fn metrics(node: Data<Node>) -> HttpResponse {
    HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(node.metrics.write())
}

/// `GET /livez`: the process answers. Nothing else is asked, so that no outage elsewhere restarts it.
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("ok\n")
}

/// `GET /readyz`: whether the node takes sentences; `?verbose` tells each part.
pub(super) async fn readyz(request: HttpRequest, node: Data<Node>) -> Result<HttpResponse, Failure> {
    let because = node.reporter.not_ready_because();
    if request.query_string().split('&').any(|part| part == "verbose" || part.starts_with("verbose=")) {
        let text = verbose(&node, because.as_deref());
        let mut response =
            if because.is_none() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
        return Ok(response.content_type(ContentType::plaintext()).body(text));
    }
    match because {
        Some(reason) => Err(Failure::not_ready(&reason)),
        None => Ok(HttpResponse::Ok().content_type(ContentType::plaintext()).body("ok\n")),
    }
}

fn verbose(node: &Node, because: Option<&str>) -> String {
    let report = node.reporter.report();
    let store = node.reporter.store().fault.unwrap_or_else(|| "ok".to_owned());
    let known = |share: Option<wire::Share>| {
        share
            .filter(|_| report.valid)
            .map_or_else(|| "unknown".to_owned(), |share| format!("{}%", share.percent()))
    };
    let ready = because.map_or_else(|| "ready".to_owned(), |because| format!("not ready: {because}"));
    let (documents, kind, id) = (report.documents, node.store_kind, node.reporter.store_id());
    let (ram, cpu) = (known(report.ram), known(report.cpu));
    let (ram_source, cpu_source) = (report.ram_source, report.cpu_source);
    format!(
        "store: {store} ({kind}, {documents} documents)\nidentity: {id}\nram: {ram} ({ram_source})\ncpu: {cpu} ({cpu_source})\nnode: {ready}\n"
    )
}

/// `GET /openapi.json`.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(OPENAPI)
}
