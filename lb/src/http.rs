//! The full HTTP server behind the door: every route but the plain post, and that one too for clients that frame it
//! otherwise. Absent: the choice of nodes, which is `Worker`'s; the words of problems, which are `problem.rs`'s.

mod bulk;
mod fleet;
mod listing;
mod merge;
mod metrics;
mod observe;
mod sentence;
mod threads;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::guard::Guarded;
use actix_http::{ConnectionType, HttpService, KeepAlive};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::dev::AppConfig;
use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, Resource, guard, web};
use futures_util::future::LocalBoxFuture;
use prometheus_client::registry::Registry;
use tokio::net::TcpStream;
use tokio::sync::watch;
use wire::Problem;
use wire::media::Announced;

use crate::door::Rewound;
use crate::problem::{self, Failure};
use crate::worker::Worker;

pub(crate) use threads::FullServer;

/// Serves one connection to its end, under guard.
type Serve = Box<dyn Fn(Rewound<TcpStream>) -> LocalBoxFuture<'static, ()>>;

/// What the handlers of one thread share.
struct State {
    worker: Rc<Worker>,
    /// For reading from nodes; posts go through the lanes.
    reader: reqwest::Client,
    metrics: Registry,
}

type Shared = web::Data<State>;

/// The server of one thread. Its connections end after what has begun on them once `stopping` turns true.
async fn make(
    worker: Rc<Worker>,
    reader: reqwest::Client,
    stopping: watch::Receiver<bool>,
) -> Result<Serve, ()> {
    let limits = worker.client_limits.guarded();
    let metrics = metrics::registry(Arc::clone(&worker.balancer));
    let balancer = Arc::clone(&worker.balancer);
    let counting = Arc::clone(&balancer);
    let on_refusal: Rc<dyn Fn(u16) -> String> = Rc::new(move |_| {
        counting.counters.invalid.add(1);
        String::new()
    });
    let app = App::new()
        .app_data(web::Data::new(State { worker, reader, metrics }))
        .configure(routes)
        .wrap_fn(move |request, service| {
            let balancer = Arc::clone(&balancer);
            let answer = service.call(request);
            async move {
                let mut answer = answer.await?;
                if balancer.is_stopping() {
                    answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                }
                Ok(answer)
            }
        });
    // The guard keeps all the time that there is to keep, and lingers.
    let server = HttpService::build()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(Duration::ZERO)
        .h1(map_config(app, |_: ()| AppConfig::default()))
        .new_service(())
        .await?;
    Ok(Box::new(move |connection| {
        let mut stopping = stopping.clone();
        let stop = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
        let connection = Guarded::new(connection, limits, stop).on_refusal(Rc::clone(&on_refusal));
        let served = server.call((connection, None));
        Box::pin(async move {
            // How a client's connection ended is the client's affair.
            drop(served.await);
        })
    }))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(at("/sentence").route(read().to(listing::get)).route(web::post().to(sentence::post)))
        .service(at("/sentences").route(web::post().to(bulk::post)))
        .service(at("/fleet").route(read().to(fleet::get)))
        .service(at("/fleet/{node}").route(web::put().to(fleet::put)).route(web::delete().to(fleet::delete)))
        .service(at("/fleet/{node}/drain").route(web::post().to(fleet::drain)))
        .service(at("/fleet/{node}/ready").route(web::post().to(fleet::ready)))
        .service(at("/decisions").route(read().to(fleet::decisions)))
        .service(at("/metrics").route(read().to(metrics::get)))
        .service(at("/livez").route(read().to(observe::livez)))
        .service(at("/readyz").route(read().to(observe::readyz)))
        .service(at("/openapi.json").route(read().to(observe::openapi)))
        .default_service(web::to(async |request: HttpRequest| refuse(problem::no_route(request.path()))));
}

fn at(path: &str) -> Resource {
    web::resource(path).default_service(web::to(async |request: HttpRequest| {
        refuse(problem::wrong_method(request.method().as_str(), request.path()))
    }))
}

/// GET, and HEAD as RFC 9110 wants it.
fn read() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Answers with a problem.
fn refuse(problem: impl Into<Problem>) -> HttpResponse {
    let problem = problem.into();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    HttpResponse::build(status).content_type(wire::contract::PROBLEM_JSON).body(body)
}

/// Answers with why a sentence was not stored.
fn fail(failure: Failure) -> HttpResponse {
    let retry_after = failure.retry_after();
    let mut response = refuse(failure);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The whole body, at most `limit` bytes of it. How long it may take is the guard's.
async fn whole(body: web::Payload, limit: usize) -> Result<web::Bytes, Problem> {
    match body.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(problem::broken_body(&error.to_string())),
        Err(_) => Err(problem::too_large(limit)),
    }
}

/// What the headers say of the body.
fn announced(request: &HttpRequest) -> Announced<'_> {
    let values = |name| request.headers().get_all(name).map(|value| value.as_bytes());
    Announced::of(values(header::CONTENT_TYPE), values(header::CONTENT_ENCODING))
}
