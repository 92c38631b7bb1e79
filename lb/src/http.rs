//! The full HTTP server behind the door: every route but the plain post, and that one too for clients that frame it
//! otherwise. Absent: the choice of nodes, which is `Worker`'s; the words of problems, which are `problem.rs`'s.

mod bulk;
mod elements;
mod fleet;
mod listing;
mod merge;
mod observe;
mod sentence;

use std::rc::Rc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::dev::AppConfig;
use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, Resource, guard, web};
use futures_util::future::LocalBoxFuture;
use wire::Problem;

use crate::door::Rewound;
use crate::problem::{self, Failure};
use crate::request_head::{HeadError, check_media};
use crate::worker::Worker;

/// Serves one connection to its end.
pub(crate) type FullServer = Box<dyn Fn(Rewound) -> LocalBoxFuture<'static, ()>>;

/// What the handlers of one worker share.
struct State {
    worker: Rc<Worker>,
    /// For reading from nodes; posts go through the lanes.
    reader: reqwest::Client,
}

type Shared = web::Data<State>;

/// The full server of one worker.
pub(crate) async fn make(worker: Rc<Worker>, ending: GracefulShutdownSignal) -> Result<FullServer, ()> {
    let limits = worker.client_limits.clone();
    let connect = worker.balancer.lane_limits.connect_timeout;
    let reader = reqwest::Client::builder().connect_timeout(connect).no_proxy().build().map_err(|error| {
        tracing::error!(%error, "no client for reading from nodes");
    })?;
    let app = App::new().app_data(web::Data::new(State { worker, reader })).configure(routes);
    let server = HttpService::build()
        .keep_alive(KeepAlive::Timeout(limits.idle_timeout))
        .client_request_timeout(limits.header_timeout)
        .client_disconnect_timeout(Duration::from_secs(2))
        .graceful_shutdown_signal(move || {
            let ending = ending.clone();
            async move { ending.notified().await }
        })
        .h1(map_config(app, |_: ()| AppConfig::default()))
        .new_service(())
        .await?;
    Ok(Box::new(move |replay| {
        let served = server.call((replay, None));
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
        .service(at("/metrics").route(read().to(observe::metrics)))
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

/// The whole body, at most `limit` bytes of it.
async fn whole(body: web::Payload, limit: usize, time: Duration) -> Result<web::Bytes, Problem> {
    match tokio::time::timeout(time, body.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(problem::broken_body(&error.to_string())),
        Ok(Err(_)) => Err(HeadError::BodyTooLarge { bytes: limit + 1, limit }.into()),
        Err(_) => Err(HeadError::TimedOut.into()),
    }
}

/// Refuses a body that is announced as anything but plain JSON, or lines of it where `lines` are taken.
fn check_type(request: &HttpRequest, lines: bool) -> Result<(), HeadError> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let is_lines = |(name, value): &(&str, &[u8])| {
        lines && *name == "content-type" && value.starts_with(wire::contract::NDJSON.as_bytes())
    };
    check_media(headers.filter(|header| !is_lines(header)))
}
