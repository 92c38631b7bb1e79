//! The sentence store: one node behind the balancer.
//!
//! [`run`] serves on what it is handed: a listener, a checked configuration and a token that stops it. It reads no
//! environment and prints nothing; `main.rs` does. A sentence's way is `http` → `store`; a sample's way is `sampler` →
//! `report` → `http`.

pub mod agent;
pub mod clock;
pub mod config;
pub mod fence;
pub mod http;
pub mod inspect;
mod metrics;
pub mod problem;
pub mod report;
pub mod sampler;
mod serve;
pub mod store;
pub mod token;
pub mod transfer;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ebpf_sensor::{Options, Sensor, SensorError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::config::{Config, StoreChoice};
use self::fence::Fence;
use self::report::{Frame, Reporter};
use self::sampler::{Sampler, Sources};
use self::serve::Serving;
use self::store::embedded::EmbeddedStore;
use self::store::mongo::MongoStore;
use self::store::{OpenError, Store};

/// Time for the server to leave its listener.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a stop waits for the store. A database that hangs is left to itself.
const CLOSE_STORE: Duration = Duration::from_secs(2);

/// Why a node does not start. Each message names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {problem}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why, and what to do.
        problem: String,
    },
    /// No source of RAM and CPU.
    #[error("the sensor does not start")]
    Sensor(#[from] SensorError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The operating system refused a thread or a socket.
    #[error("the server does not start: {0}; look at the limits of this process (`ulimit -a`)")]
    Server(std::io::Error),
}

/// By hand, because the message tells the cause already: as a source it would be told twice.
impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self::Server(error)
    }
}

/// A node that serves.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The address that it serves.
    pub address: SocketAddr,
    /// The store in a word.
    pub store: &'static str,
    /// Where RAM and CPU come from.
    pub sources: Sources,
    /// The address that answers agent-checks.
    pub agent: Option<SocketAddr>,
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, store, sources: Sources { ram, cpu }, .. } = self;
        write!(f, "balanza-backend ready on http://{address} (store {store}, ram {ram}, cpu {cpu})")
    }
}

/// Binds `address`.
///
/// # Errors
/// Says why the address cannot be had.
pub fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| {
        let problem = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "the port is in use; stop the program that has it, or give another --listen (port 0 picks a free one)"
                    .to_owned()
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("{error}; give a port above 1023 with --listen, or the right to bind this one")
            }
            _ => format!("{error}; give an address of this machine with --listen"),
        };
        StartError::Listen { address, problem }
    })
}

/// Opens the configured sources of RAM and CPU.
///
/// # Errors
/// Names what is missing and the remedy.
pub fn open_sensor(config: &Config) -> Result<Sensor, StartError> {
    Ok(Sensor::open(&Options {
        choice: config.probe,
        scope: config.scope,
        pin: config.pin.clone(),
        ..Options::default()
    })?)
}

/// Opens the configured store, and names it in a word.
///
/// # Errors
/// Says what keeps it from being used.
pub async fn open_store(choice: &StoreChoice) -> Result<(Arc<dyn Store>, &'static str), OpenError> {
    Ok(match choice {
        StoreChoice::Embedded(data_dir) => (Arc::new(EmbeddedStore::open(data_dir)?), "embedded"),
        StoreChoice::Mongo { uri, collection } => {
            (Arc::new(MongoStore::open(uri, collection).await?), "mongodb")
        }
    })
}

/// Serves until `shutdown` is cancelled, then finishes what is under way. `ready` is called once requests are served.
///
/// # Errors
/// When the store or the server does not start.
pub async fn run(
    listener: TcpListener,
    sensor: Sensor,
    config: Config,
    shutdown: CancellationToken,
    ready: impl FnOnce(&Ready),
) -> Result<(), StartError> {
    let sources = Sources::of(&sensor);
    let sampler = Sampler::start(sensor)?;
    let (store, store_kind) = open_store(&config.store).await?;

    let address = listener.local_addr()?;
    let agent = match config.agent_check {
        Some(address) => Some(agent::listen(address).await.map_err(|error| {
            let problem = format!("{error}; give another --agent-check");
            StartError::Listen { address, problem }
        })?),
        None => None,
    };
    let agent_address = agent.as_ref().map(|agent| agent.local_addr()).transpose()?;
    let fence = Arc::new(Fence::new(clock::new_fence()));
    let reporter = Arc::new(Reporter::new(
        clock::new_epoch(),
        store.id(),
        store.state(),
        Arc::clone(&fence),
        sampler.load(),
        sources,
        config.scope.to_string(),
    ));
    let (frames, newest) = watch::channel(Frame::of(&reporter.report()));
    let stopping = CancellationToken::new();
    let feed = tokio::spawn(report::feed(Arc::clone(&reporter), frames, stopping.clone().cancelled_owned()));
    let node = Arc::new(http::Node {
        store: Arc::clone(&store),
        fence,
        reporter: Arc::clone(&reporter),
        frames: newest,
        tokens: config.tokens,
        metrics: metrics::Metrics::new(Arc::clone(&reporter), store_kind),
        store_kind,
    });

    let closing = CancellationToken::new();
    let Serving { server, listening } =
        serve::serve(listener, &node, config.workers, config.clients, &closing)?;
    let handle = server.handle();
    let mut serving = tokio::spawn(server);
    let agent = agent.map(|listener| tokio::spawn(agent::serve(listener, Arc::clone(&reporter))));
    ready(&Ready { address, store: store_kind, sources, agent: agent_address });

    let ended = tokio::select! {
        () = shutdown.cancelled() => None,
        ended = &mut serving => Some(ended),
    };
    // Unready first, so that the last event of the feed says so, and balancers hear it before anyone is turned away; then
    // nobody new, and nobody left once what has begun is answered.
    reporter.stop();
    stopping.cancel();
    if ended.is_none() {
        tokio::time::sleep(guard::NOTICE).await;
        closing.cancel();
        handle.pause().await;
        tokio::time::sleep(PAUSE).await;
        listening.close().await;
        handle.stop(true).await;
        if reporter.in_flight() > 0 {
            tracing::warn!(requests = reporter.in_flight(), "stopped although requests were under way");
        }
    }
    if let Err(error) = feed.await {
        tracing::error!(%error, "the feed of reports ended by a panic");
    }
    if let Some(agent) = agent {
        agent.abort();
    }
    if tokio::time::timeout(CLOSE_STORE, store.close()).await.is_err() {
        tracing::warn!("the store does not close; what it has answered is durable");
    }
    drop(sampler);
    match ended {
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Err(error)) => Err(std::io::Error::other(error).into()),
        Some(Ok(Ok(()))) | None => Ok(()),
    }
}
