//! The node's HTTP server: the application on a listener, each connection under guard. Absent: routes, and when it stops.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::Server;
use actix_service::{Service, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use futures_util::future::{LocalBoxFuture, join_all};
use guard::Guarded;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::http::{self, ClientLimits, Node};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long a stop waits for connections that no worker had accepted.
const LATE: Duration = Duration::from_secs(1);
/// How long a stop then waits for what has begun on all others, in seconds.
const CLOSE_SECONDS: u64 = 6;

/// A connection that no worker has accepted, and who is told once it has ended.
type Late = (std::net::TcpStream, oneshot::Sender<()>);
/// Where the workers take such connections.
type Waiting = Arc<Mutex<mpsc::UnboundedReceiver<Late>>>;

/// The server, and the way to its workers beside the listener.
pub(crate) struct Serving {
    /// To be awaited.
    pub(crate) server: Server,
    /// To be closed once the server has been paused.
    pub(crate) listening: Listening,
}

/// The listener, and who serves what is found in it at its end.
pub(crate) struct Listening {
    listener: TcpListener,
    late: mpsc::UnboundedSender<Late>,
}

/// Serves `listener` on `workers` threads. Once `closing` is cancelled, connections end after what has begun on them.
///
/// # Errors
/// When the listener cannot be served.
pub(crate) fn serve(
    listener: TcpListener,
    node: &Arc<Node>,
    workers: usize,
    limits: ClientLimits,
    closing: &CancellationToken,
) -> std::io::Result<Serving> {
    let (node, closing) = (Arc::clone(node), closing.clone());
    let (late, waiting) = mpsc::unbounded_channel();
    let waiting: Waiting = Arc::new(Mutex::new(waiting));
    let last = listener.try_clone()?;
    let server = Server::build()
        .backlog(BACKLOG)
        .workers(workers)
        .max_concurrent_connections(limits.max_connections)
        .shutdown_timeout(CLOSE_SECONDS)
        .disable_signals()
        .listen("node", listener, move || {
            let (node, closing, waiting) = (Arc::clone(&node), closing.clone(), Arc::clone(&waiting));
            // Once per worker, on its own thread.
            fn_factory(move || {
                let (node, closing, waiting) = (Arc::clone(&node), closing.clone(), Arc::clone(&waiting));
                async move {
                    let serve = make(node, limits, closing).await?;
                    tokio::task::spawn_local(serve_late(Rc::clone(&serve), waiting));
                    Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                        let served = serve(stream);
                        async move {
                            served.await;
                            Ok::<_, ()>(())
                        }
                    }))
                }
            })
        })?;
    Ok(Serving { server: server.run(), listening: Listening { listener: last, late } })
}

impl Listening {
    /// Listens no more. Whoever has connected is served all the same.
    pub(crate) async fn close(self) {
        let Self { listener, late } = self;
        let ends = guard::listener::close(listener).into_iter().filter_map(|stream| {
            let (ended, end) = oneshot::channel();
            late.send((stream, ended)).ok()?;
            Some(end)
        });
        let ends: Vec<_> = ends.collect();
        tokio::time::timeout(LATE, join_all(ends)).await.ok();
    }
}

/// Serves one connection to its end.
type Serve = Rc<dyn Fn(TcpStream) -> LocalBoxFuture<'static, ()>>;

/// The server of one worker.
async fn make(node: Arc<Node>, limits: ClientLimits, closing: CancellationToken) -> Result<Serve, ()> {
    // The guard keeps all the time that there is to keep, and lingers.
    let server = HttpService::build()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(Duration::ZERO)
        .h1(map_config(http::app(Arc::clone(&node)), |_: ()| AppConfig::default()))
        .new_service(())
        .await?;
    let refusing = Arc::clone(&node);
    let on_refusal: Rc<dyn Fn(u16) -> String> = Rc::new(move |status| http::refused(&refusing, status));
    Ok(Rc::new(move |stream| {
        // Answers are written whole, so waiting for more to send can only delay them. A socket without this still works.
        stream.set_nodelay(true).ok();
        let open = node.metrics.connection();
        let stream = Guarded::new(stream, limits.guarded, closing.clone().cancelled_owned());
        let served = server.call((stream.on_refusal(Rc::clone(&on_refusal)), None));
        Box::pin(async move {
            // How a client's connection ended is the client's affair.
            drop(served.await);
            drop(open);
        })
    }))
}

/// Serves the connections that come beside the listener.
async fn serve_late(serve: Serve, waiting: Waiting) {
    loop {
        let Some((stream, ended)) = waiting.lock().await.recv().await else { return };
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        let Ok(stream) = stream else { continue };
        let served = serve(stream);
        tokio::task::spawn_local(async move {
            served.await;
            ended.send(()).ok();
        });
    }
}
