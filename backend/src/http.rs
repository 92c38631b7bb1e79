//! The node's routes: which path and method goes to which handler, and what every answer carries.
//!
//! Owns the table of routes, which the contract in `openapi.json` is compared with. The handlers lie below: `post`
//! takes sentences, `read` gives them back, `copies` keeps two nodes from having one sentence, `observe` tells of the
//! node. Errors of any kind leave as problems.

mod body;
mod bulk;
mod copies;
mod observe;
mod post;
mod read;
mod route;

use std::sync::Arc;

use actix_web::dev::{Service, ServiceRequest};
use actix_web::http::ConnectionType;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, Error, HttpRequest, HttpResponse, ResponseError, guard, web};
use tokio::sync::watch;
use wire::contract::LOAD_HEADER;

use self::route::RouteName;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::problem::Failure;
use crate::report::{Frame, Reporter};
use crate::store::Store;
use crate::token::Tokens;

/// What the handlers share.
pub struct Node {
    /// The sentences.
    pub store: Arc<dyn Store>,
    /// What keeps posts out that are from before a moment.
    pub fence: Arc<Fence>,
    /// What the node says of itself.
    pub reporter: Arc<Reporter>,
    /// The same as a feed, which ends when the node stops.
    pub frames: watch::Receiver<Frame>,
    /// Who may do what.
    pub tokens: Tokens,
    /// What was counted.
    pub metrics: Metrics,
    /// The store in a word, for `/metrics` and `/readyz`.
    pub store_kind: &'static str,
}

/// What it takes of its clients.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// How long a client may take for what.
    pub guarded: ::guard::Limits,
    /// Most open connections of each worker.
    pub max_connections: usize,
}

/// Every path with its methods. `HEAD` goes wherever `GET` goes, save for the feed.
pub const ROUTES: [(&str, &str); 14] = [
    ("/sentence", "GET, HEAD, POST"),
    ("/sentences", "POST"),
    ("/sentences/held", "POST"),
    ("/sentences/ids", "GET, HEAD"),
    ("/sentences/retract", "POST"),
    ("/fence", "POST"),
    ("/sentence/{id}", "GET, HEAD, DELETE"),
    ("/usage", "GET, HEAD"),
    ("/report", "GET, HEAD"),
    ("/report/stream", "GET"),
    ("/metrics", "GET, HEAD"),
    ("/livez", "GET, HEAD"),
    ("/readyz", "GET, HEAD"),
    ("/openapi.json", "GET, HEAD"),
];

/// The application that each worker runs.
pub fn app(
    node: Arc<Node>,
) -> App<
    impl actix_web::dev::ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = Error,
        InitError = (),
    >,
> {
    let shared = Arc::clone(&node);
    App::new().app_data(web::Data::from(node)).configure(routes).default_service(web::to(no_route)).wrap_fn(
        move |request, service| {
            let node = Arc::clone(&shared);
            let route = RouteName::of(request.path());
            let under_way = route.asks_the_store().then(|| node.reporter.enter());
            let answer = service.call(request);
            async move {
                let mut response = answer.await?;
                node.metrics.answered(route.label(), response.status().as_u16());
                if node.reporter.is_stopping() {
                    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                }
                let headers = response.headers_mut();
                if let Ok(load) = HeaderValue::from_str(&node.reporter.load().orca) {
                    headers.insert(HeaderName::from_static(LOAD_HEADER), load);
                }
                drop(under_way);
                Ok(response)
            }
        },
    )
}

/// Counts a request that no handler sees, and gives what its answer carries as every other.
pub(crate) fn refused(node: &Node, status: u16) -> String {
    node.metrics.answered(RouteName::Other.label(), status);
    format!("{LOAD_HEADER}: {}\r\n", node.reporter.load().orca)
}

fn routes(config: &mut web::ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let refuse = |path: &'static str| {
        let allow = ROUTES.iter().find(|(known, _)| *known == path).map_or("GET", |(_, allow)| allow);
        web::to(move |request: HttpRequest| async move {
            Failure::method(request.method().as_str(), request.path(), allow).error_response()
        })
    };
    let resource = |path: &'static str| web::resource(path).default_service(refuse(path));
    config
        .service(resource("/sentence").route(web::post().to(post::one)).route(read().to(read::list)))
        .service(resource("/sentences").route(web::post().to(post::many)))
        .service(resource("/sentences/held").route(web::post().to(copies::held)))
        .service(resource("/sentences/ids").route(read().to(copies::ids)))
        .service(resource("/sentences/retract").route(web::post().to(copies::retract)))
        .service(resource("/fence").route(web::post().to(copies::fence)))
        .service(resource("/sentence/{id}").route(read().to(read::one)).route(web::delete().to(read::delete)))
        .service(resource("/usage").route(read().to(observe::usage)))
        .service(resource("/report").route(read().to(observe::report)))
        .service(resource("/report/stream").route(web::get().to(observe::stream)))
        .service(resource("/metrics").route(read().to(observe::metrics)))
        .service(resource("/livez").route(read().to(observe::livez)))
        .service(resource("/readyz").route(read().to(observe::readyz)))
        .service(resource("/openapi.json").route(read().to(observe::openapi)));
}

async fn no_route(request: HttpRequest) -> HttpResponse {
    Failure::no_route(request.path()).error_response()
}
