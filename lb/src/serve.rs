//! Runs the balancer: workers on a listener, watches beside them, and an end that loses nothing. Absent: flags,
//! environment, signals.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_server::Server;
use actix_service::{fn_factory, fn_service};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::balancer::{self, Balancer};
use crate::clock;
use crate::coarse_clock::TICK;
use crate::config::{Config, NodeConfig};
use crate::door;
use crate::http;
use crate::watch::Watches;
use crate::worker::Worker;

/// Longest time that the first reports are waited for before the balancer calls itself ready.
const FIRST_REPORTS: Duration = Duration::from_secs(1);
/// Longest time, in seconds, that open requests may take once the end has begun.
const LAST_REQUESTS_SECS: u64 = 8;

/// What reaches a running balancer from outside.
#[derive(Debug)]
pub enum Event {
    /// The node list was read anew.
    Nodes(Vec<NodeConfig>),
    /// Finish what is under way, and end.
    Stop,
}

/// Serves until [`Event::Stop`], or until `events` is closed. `ready` is told the bound address.
///
/// # Errors
/// The listener cannot be served, or the workers cannot be started.
pub async fn run(
    listener: TcpListener,
    config: Config,
    mut events: mpsc::Receiver<Event>,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let seed = u64::try_from(clock::wall().unix_micros()).unwrap_or(1);
    let balancer = Arc::new(Balancer::new(&config, seed, clock::now()));
    let mut watches = Watches::new(Arc::clone(&balancer), config.poll_interval).map_err(io::Error::other)?;
    let mut first_reports = watches.follow();
    // Whoever is told that the balancer is ready may post at once. A node that stays silent does not hold it up.
    tokio::time::timeout(FIRST_REPORTS, first_reports.recv()).await.ok();

    let builder = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.client.max_connections)
        .shutdown_timeout(LAST_REQUESTS_SECS)
        .disable_signals();
    let ending = builder.graceful_shutdown_signal();
    let shared = Arc::clone(&balancer);
    let limits = config.client.clone();
    let server = builder
        .listen("door", listener, move || {
            let (balancer, limits, ending) = (Arc::clone(&shared), limits.clone(), ending.clone());
            // Once per worker, on its own thread.
            fn_factory(move || {
                let worker = Worker::new(Arc::clone(&balancer), limits.clone());
                tokio::task::spawn_local(keep_time(Rc::clone(&worker)));
                let full_server = http::make(Rc::clone(&worker), ending.clone());
                async move {
                    let full_server = Rc::new(full_server.await?);
                    Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                        let (worker, full_server) = (Rc::clone(&worker), Rc::clone(&full_server));
                        async move {
                            if let Some(replay) = door::serve(stream, worker).await {
                                full_server(replay).await;
                            }
                            Ok::<_, ()>(())
                        }
                    }))
                }
            })
        })?
        .run();
    let handle = server.handle();
    let served = tokio::spawn(server);
    ready(address);
    for node in balancer.routing().fleet.nodes() {
        balancer::announce(Some(node));
    }

    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Nodes(nodes)) => balancer.set_nodes(&nodes),
                Some(Event::Stop) | None => break,
            },
            () = balancer.nodes_changed.notified() => {}
        }
        watches.follow();
    }
    balancer.stop();
    handle.stop(true).await;
    served.await.map_err(io::Error::other)?
}

/// The worker's coarse clock.
async fn keep_time(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        worker.clock.tick(clock::http_date(), worker.balancer.is_stopping());
    }
}
