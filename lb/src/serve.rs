//! Runs the balancer: workers on a listener, watches beside them, and an end that loses nothing. Absent: flags,
//! environment, signals.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_server::Server;
use actix_service::{fn_factory, fn_service};
use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::balancer::Balancer;
use crate::clock;
use crate::config::{Config, NodeConfig};
use crate::door::{self, Rewound};
use crate::doubt::Unreadable;
use crate::http::FullServer;
use crate::journal::{self, Journal};
use crate::network::Tcp;
use crate::reconcile;
use crate::sweep;
use crate::turns;
use crate::watch::Watches;
use crate::worker::Worker;

/// How often it is looked whether every node that reported is up.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest time that the first reports are waited for before the balancer calls itself ready.
const FIRST_REPORTS: Duration = Duration::from_secs(1);
/// Longest time, in seconds, that open requests may take once the end has begun.
const LAST_REQUESTS_SECS: u64 = 8;
/// Time for the doors to leave the listener.
const LAST_CONNECTIONS: Duration = Duration::from_millis(50);

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
    let journal = Journal::open(config.data_dir.as_deref());
    // In its own words alone: they name the cause, which would be told again as one.
    let journal = journal.map_err(|error| io::Error::other(error.to_string()))?;
    let balancer = Balancer::new(&config, Box::new(Tcp), journal, seed, clock::now());
    let (balancer, mut turns) = balancer.map_err(|error| unreadable(&error, config.data_dir.as_deref()))?;
    let mut watches = Watches::new(Arc::clone(&balancer), config.poll_interval);
    let mut first_reports = watches.follow();
    tokio::spawn(reconcile::run(Arc::clone(&balancer)));
    tokio::spawn(sweep::run(Arc::clone(&balancer)));
    // Whoever is told that the balancer is ready may post at once. A node that stays silent does not hold it up.
    let all_are_up = async {
        first_reports.recv().await;
        while balancer.step(|routing| !routing.fleet.to_be_reconciled().is_empty()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(FIRST_REPORTS, all_are_up).await.ok();

    let (stop, stopping) = watch::channel(false);
    let full_server = Arc::new(FullServer::start(config.http_threads, &balancer, &config.client, &stopping)?);
    let last = listener.try_clone()?;
    let doors = open_doors(listener, &config, &balancer, &full_server)?;
    let door_handle = doors.handle();
    let serving = tokio::spawn(doors);
    ready(address);
    if config.data_dir.is_none() {
        tracing::warn!(
            "without --data-dir the in-doubt journal is in memory: a restart forgets what is in doubt"
        );
    }
    turns::tell_start(&mut turns, &balancer);
    tokio::spawn(turns::tell_all(turns, Arc::clone(&balancer)));

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
    // Whoever posts meanwhile is answered, and told to go.
    tokio::time::sleep(guard::NOTICE).await;
    stop.send_replace(true);
    door_handle.pause().await;
    tokio::time::sleep(LAST_CONNECTIONS).await;
    let waiting = guard::listener::close(last);
    tokio::join!(serve_last(waiting, &full_server), door_handle.stop(true));
    serving.await.map_err(io::Error::other)?
}

/// Serves the connections that the system had accepted and no door had taken.
async fn serve_last(waiting: Vec<std::net::TcpStream>, full_server: &FullServer) {
    let streams = waiting.into_iter().filter_map(|stream| {
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    });
    let served = join_all(streams.map(|stream| full_server.serve(Rewound::new(Vec::new(), stream))));
    tokio::time::timeout(Duration::from_secs(LAST_REQUESTS_SECS), served).await.ok();
}

/// What is told of a journal with records that mean nothing to this program.
fn unreadable(error: &Unreadable, data_dir: Option<&Path>) -> io::Error {
    let directory = journal::directory(data_dir.unwrap_or(Path::new("")));
    io::Error::other(format!(
        "{error}. The journal is in {}: start the program that wrote it, or move it away to begin without its records",
        directory.display()
    ))
}

/// Serves the listener on threads of its own, each with its worker.
fn open_doors(
    listener: TcpListener,
    config: &Config,
    balancer: &Arc<Balancer>,
    full_server: &Arc<FullServer>,
) -> io::Result<Server> {
    let (balancer, full_server) = (Arc::clone(balancer), Arc::clone(full_server));
    let limits = config.client.clone();
    let doors = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.client.max_connections)
        .shutdown_timeout(LAST_REQUESTS_SECS)
        .disable_signals()
        .listen("door", listener, move || {
            let (balancer, full_server) = (Arc::clone(&balancer), Arc::clone(&full_server));
            let limits = limits.clone();
            // Once per worker, on its own thread.
            fn_factory(move || {
                let worker = Worker::new(Arc::clone(&balancer), limits.clone());
                tokio::task::spawn_local(Rc::clone(&worker).keep_time());
                let full_server = Arc::clone(&full_server);
                let serve = fn_service(move |stream: TcpStream| {
                    let (worker, full_server) = (Rc::clone(&worker), Arc::clone(&full_server));
                    async move {
                        let _open = worker.balancer.counters.open();
                        // Answers are written whole, so waiting for more to send can only delay them. A socket without
                        // this still works.
                        stream.set_nodelay(true).ok();
                        if let Some(connection) = door::serve(stream, Rc::clone(&worker)).await {
                            full_server.serve(connection).await;
                        }
                        Ok::<_, ()>(())
                    }
                });
                async move { Ok::<_, ()>(serve) }
            })
        })?;
    Ok(doors.run())
}
