//! The line between the balancers and one node: ports of its own that pass everything on, and do to it what the line's
//! fault says. What is asked for first decides how a connection is read: a report stream byte by byte, all else request
//! by request.
//!
//! Owns the ports and the connections. Absent: what is done to an exchange, which `trick.rs` draws, and when, which the
//! schedule says.

mod exchange;
mod stream;
pub(crate) mod trick;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::random::Random;
use trick::Window;

/// What the first bytes of a connection must be for it to be a report stream.
const STREAM: &[u8] = b"GET /report/stream";
/// Between two tries to listen on a port that is not free yet.
const PAUSE: Duration = Duration::from_millis(20);

/// A running line. Dropping it closes its ports.
pub(crate) struct Proxy {
    line: Arc<Line>,
    addresses: Vec<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
}

/// What all connections of a line share.
struct Line {
    node: SocketAddr,
    window: watch::Sender<Option<Window>>,
    accepts: watch::Sender<bool>,
    random: Mutex<Random>,
    n_held: AtomicUsize,
}

impl Proxy {
    /// A line to `node` with so many free ports, whole at first.
    ///
    /// # Errors
    /// When no port can be had.
    pub(crate) async fn start(node: SocketAddr, n_ports: usize, random: Random) -> io::Result<Self> {
        let line = Arc::new(Line {
            node,
            window: watch::Sender::new(None),
            accepts: watch::Sender::new(true),
            random: Mutex::new(random),
            n_held: AtomicUsize::new(0),
        });
        let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
        for _ in 0..n_ports {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?);
            listeners.push(tokio::spawn(listen(listener, Arc::clone(&line))));
        }
        Ok(Self { line, addresses, listeners })
    }

    /// Its ports.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Gives the line a fault, or makes it whole.
    pub(crate) fn set(&self, window: Option<Window>) {
        self.line.window.send_replace(window);
    }

    /// Whether it takes connections: while its node is gone it refuses them, as the node's own port does.
    pub(crate) fn accept(&self, accepts: bool) {
        self.line.accepts.send_replace(accepts);
    }

    /// Requests that may still reach the node: under way, held back, or late.
    pub(crate) fn n_held(&self) -> usize {
        self.line.n_held.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

impl Line {
    fn window(&self) -> Option<Window> {
        *self.window.borrow()
    }

    /// Counts a request as under way until what it gives is dropped.
    fn hold(self: &Arc<Self>) -> Held {
        self.n_held.fetch_add(1, Ordering::AcqRel);
        Held(Arc::clone(self))
    }
}

/// A request that may still reach the node.
struct Held(Arc<Line>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.n_held.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    let Ok(address) = listener.local_addr() else { return };
    let mut accepts = line.accepts.subscribe();
    let mut open = Some(listener);
    loop {
        if let Some(listener) = &open {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(serve(stream, Arc::clone(&line)));
                    }
                }
                _ = accepts.wait_for(|accepts| !accepts) => open = None,
            }
        } else {
            if accepts.wait_for(|accepts| *accepts).await.is_err() {
                return;
            }
            match TcpListener::bind(address).await {
                Ok(listener) => open = Some(listener),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

async fn serve(mut stream: TcpStream, line: Arc<Line>) {
    stream.set_nodelay(true).ok();
    let mut begun = Vec::new();
    while begun.len() < STREAM.len() {
        match stream.read_buf(&mut begun).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    if begun.starts_with(STREAM) {
        stream::pass(stream, begun, &line).await;
    } else {
        exchange::converse(stream, begun, &line).await;
    }
}

/// A connection to the node.
async fn reach(line: &Line) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(line.node).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Closes a connection the hard way: the other side gets a reset, and what it has not read yet is gone.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().ok();
    drop(stream);
}
