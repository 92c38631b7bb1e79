//! Stub nodes: they answer as a node does, from memory, so that a run measures the balancer and not a store.
//! Owns the shapes of those answers. There is no validation, no store and no telemetry: RAM and CPU are constants.
//!
//! Usage: `bench-stub NODES [DOCUMENTS… [DELAY_US… [OLD…]]]`, each list comma-separated and one value per node (0 where
//! it is short). OLD is 1 for a node that knows no bulk posts and no report stream. Prints one line `node URL` per node,
//! then serves on one worker thread until it is ended.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, get, post};
use futures_util::stream;
use tokio::sync::watch;

/// Beside the documents each node counts its answers and the posts they came in, for the mean batch.
struct Node {
    documents: watch::Sender<u64>,
    posts: AtomicU64,
    delay: Duration,
    old: bool,
}

type Nodes = HashMap<u16, Arc<Node>>;

const EPOCH: &str = "bench";
const DATE: &str = "2026-11-23 00:00:00.000000";
/// A report stream speaks at least this often, and of a new count at most once in the second time, as a node's does.
const HEARTBEAT: Duration = Duration::from_secs(1);
const COUNT_PACE: Duration = Duration::from_millis(200);

fn node(request: &HttpRequest, nodes: &Data<Nodes>) -> Arc<Node> {
    Arc::clone(&nodes[&request.app_config().local_addr().port()])
}

impl Node {
    /// Counts a post of `items` sentences after the node's delay, and begins its answer.
    async fn take(&self, items: u64) -> actix_web::HttpResponseBuilder {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.documents.send_modify(|documents| *documents += items);
        let documents = *self.documents.borrow();
        self.posts.fetch_add(1, Ordering::Relaxed);
        let mut answer = HttpResponse::Ok();
        answer
            .insert_header(("balanza-documents", documents))
            .insert_header(("balanza-revision", documents))
            .insert_header(("balanza-epoch", EPOCH));
        answer
    }

    fn report(&self, seq: u64) -> String {
        let documents = *self.documents.borrow();
        format!(
            r#"{{"epoch":"{EPOCH}","seq":{seq},"sampled_at":"{DATE}","valid":true,"ram":5000,"cpu":1000,"ram_total_bytes":8589934592,"ram_available_bytes":4294967296,"per_cpu":[1000],"steal":null,"window_ms":1000,"source":"procfs","ram_source":"procfs","cpu_source":"procfs","scope":"host","documents":{documents},"revision":{documents},"in_flight":0,"ready":true,"not_ready_because":null}}"#
        )
    }
}

#[post("/sentence")]
async fn one(request: HttpRequest, nodes: Data<Nodes>, _body: Bytes) -> impl Responder {
    node(&request, &nodes).take(1).await.content_type("application/json").body(
        r#"{"author":"User1","date":"2026-11-23 00:00:00.000000","id":"019a0000-0000-7000-8000-000000000000","sentence":"Massa id neque aliquam vestibulum morbi"}"#,
    )
}

/// One answer line per line of the post, each with the id that the line carries.
#[post("/sentences")]
async fn many(request: HttpRequest, nodes: Data<Nodes>, body: Bytes) -> impl Responder {
    if node(&request, &nodes).old {
        return HttpResponse::NotFound().finish();
    }
    let Ok(text) = std::str::from_utf8(&body) else {
        return HttpResponse::BadRequest().body("the body is not UTF-8");
    };
    let mut answers = String::with_capacity(text.len());
    let mut items = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let id = line.split_once(r#""id":""#).and_then(|(_, rest)| rest.get(..36));
        let Some(id) = id else {
            return HttpResponse::BadRequest().body("an item has no id");
        };
        items += 1;
        if writeln!(answers, r#"{{"status":"stored","id":"{id}","date":"{DATE}"}}"#).is_err() {
            return HttpResponse::InternalServerError().finish();
        }
    }
    node(&request, &nodes).take(items).await.content_type("application/x-ndjson").body(answers)
}

#[get("/usage")]
async fn usage(request: HttpRequest, nodes: Data<Nodes>) -> impl Responder {
    let documents = *node(&request, &nodes).documents.borrow();
    HttpResponse::Ok()
        .content_type("application/json")
        .body(format!(r#"{{"cpu":"10","database":{documents},"ram":"50"}}"#))
}

#[get("/report")]
async fn report(request: HttpRequest, nodes: Data<Nodes>) -> impl Responder {
    let node = node(&request, &nodes);
    let seq = *node.documents.borrow();
    HttpResponse::Ok().content_type("application/json").body(node.report(seq))
}

/// The report as server-sent events: at once, on change, and as a heartbeat.
#[get("/report/stream")]
async fn report_stream(request: HttpRequest, nodes: Data<Nodes>) -> impl Responder {
    let node = node(&request, &nodes);
    if node.old {
        return HttpResponse::NotFound().finish();
    }
    let changes = node.documents.subscribe();
    let events = stream::unfold((node, changes, 0u64), |(node, mut changes, seq)| async move {
        if seq > 0 {
            tokio::time::sleep(COUNT_PACE).await;
            // Whether it was a change or the heartbeat: the next report is due.
            tokio::time::timeout(HEARTBEAT, changes.changed()).await.ok();
        }
        changes.mark_unchanged();
        let event = Bytes::from(format!("data: {}\n\n", node.report(seq)));
        Some((Ok::<_, Infallible>(event), (node, changes, seq + 1)))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

/// What the node took, for the harness: documents and the posts that brought them.
#[get("/bench")]
async fn bench(request: HttpRequest, nodes: Data<Nodes>) -> impl Responder {
    let node = node(&request, &nodes);
    let (documents, posts) = (*node.documents.borrow(), node.posts.load(Ordering::Relaxed));
    HttpResponse::Ok()
        .content_type("application/json")
        .body(format!(r#"{{"documents":{documents},"posts":{posts}}}"#))
}

#[get("/readyz")]
async fn readyz() -> impl Responder {
    "ready"
}

fn list(argument: Option<String>) -> Result<Vec<u64>, std::num::ParseIntError> {
    argument.unwrap_or_default().split(',').filter(|value| !value.is_empty()).map(str::parse).collect()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().ok_or("NODES is missing")?.parse()?;
    let documents = list(arguments.next())?;
    let delays = list(arguments.next())?;
    let old = list(arguments.next())?;

    let listeners = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let mut nodes = Nodes::new();
    let mut urls = String::new();
    for (at, listener) in listeners.iter().enumerate() {
        let address = listener.local_addr()?;
        writeln!(urls, "node http://{address}")?;
        let node = Node {
            documents: watch::Sender::new(documents.get(at).copied().unwrap_or(0)),
            posts: AtomicU64::new(0),
            delay: Duration::from_micros(delays.get(at).copied().unwrap_or(0)),
            old: old.get(at).is_some_and(|&old| old != 0),
        };
        nodes.insert(address.port(), Arc::new(node));
    }
    let nodes = Data::new(nodes);
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&nodes))
            .app_data(web::PayloadConfig::new(32 * 1024 * 1024))
            .service(one)
            .service(many)
            .service(usage)
            .service(report)
            .service(report_stream)
            .service(bench)
            .service(readyz)
    })
    .workers(1)
    // Report streams never end by themselves: nothing is gained by waiting for them.
    .shutdown_timeout(0)
    .keep_alive(Duration::from_secs(3600));
    for listener in listeners {
        server = server.listen(listener)?;
    }
    let server = server.run();
    std::io::stdout().write_all(urls.as_bytes())?;
    std::io::stdout().flush()?;
    server.await?;
    Ok(())
}
