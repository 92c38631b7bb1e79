//! An HTTP/1.1 server for stubs: keep-alive, a record of what it was asked, and every way in which an answer can fail
//! to come. Runs on a thread and a runtime of its own, so that a test which blocks does not starve it.
//!
//! Owns the port, its connections and the record. Absent: what is answered; that is for who starts it, such as
//! [`crate::ScriptedNode`].

mod connection;
mod response;

pub use connection::Request;
pub use response::{Manner, Response};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::wait::{DEADLINE, eventually};

/// What a stub does with a request.
pub enum Action {
    /// Answers.
    Answer(Response),
    /// Sends the text now and again and again as an event stream, until there is none or the reader leaves.
    Events(Box<dyn Fn() -> Option<String> + Send + Sync>),
    /// Closes the connection without a word.
    Close,
    /// Says nothing and keeps the connection open until the other side gives up.
    Silence,
    /// Keeps the request, and asks again what to do with it after [`Stub::wake`].
    Hold,
}

/// A running stub. Dropping it closes its port and all its connections.
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the test and the stub's own thread both reach.
struct Shared {
    record: Mutex<Vec<Request>>,
    sockets: Mutex<Sockets>,
    sockets_changed: Condvar,
    orders: watch::Sender<Orders>,
}

#[derive(Default)]
struct Sockets {
    is_listening: bool,
    open: BTreeSet<u64>,
    /// Connections that were ever accepted.
    n_accepted: u64,
}

/// What the test wants of the stub's sockets.
#[derive(Clone, Copy, Debug)]
struct Orders {
    accepts: bool,
    reads: bool,
    /// How often held requests were woken.
    n_wakes: u64,
    /// How often all connections were closed.
    n_closures: u64,
}

impl Stub {
    /// Starts on a free port of 127.0.0.1. `act` is asked once for each request, and again for one that it holds.
    pub fn start(act: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), act)
    }

    /// Starts on a given address, as a stub that comes back does.
    ///
    /// A connection of another test may hold the port for a moment, which is waited for.
    ///
    /// # Panics
    /// When the address stays taken.
    pub fn start_at(address: SocketAddr, act: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        let orders = Orders { accepts: true, reads: true, n_wakes: 0, n_closures: 0 };
        let shared = Arc::new(Shared {
            record: Mutex::default(),
            sockets: Mutex::default(),
            sockets_changed: Condvar::new(),
            orders: watch::Sender::new(orders),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, told) = mpsc::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = listen(address, Arc::new(act), served, bound) => (),
                    _ = stopped => (),
                }
            });
        });
        let address = told.recv().unwrap_or_else(|_| panic!("no stub can listen on {address}"));
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it was asked so far, in the order in which it was read.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks again what to do with the requests that are held.
    pub fn wake(&self) {
        self.shared.orders.send_modify(|orders| orders.n_wakes += 1);
    }

    /// How many connections are open on its side, also those whose other side has left and was not yet noticed.
    pub fn n_connections(&self) -> usize {
        self.shared.sockets().open.len()
    }

    /// Closes every open connection, and returns when they are closed. New ones are accepted as before.
    pub fn close_connections(&self) {
        let sockets = self.shared.sockets();
        let open = sockets.open.clone();
        // Given under the lock: whoever is accepted later does not see the order.
        self.shared.orders.send_modify(|orders| orders.n_closures += 1);
        self.shared.await_sockets(sockets, |now| now.open.is_disjoint(&open));
    }

    /// Whether it accepts connections. Without that its port is closed: who connects is refused, and the connections
    /// that are open stay so. Returns when it is so.
    pub fn accept(&self, accepts: bool) {
        self.shared.orders.send_modify(|orders| orders.accepts = accepts);
        let sockets = self.shared.sockets();
        self.shared.await_sockets(sockets, |now| now.is_listening == accepts);
    }

    /// Whether it reads from its connections. Without that they are accepted and what is sent to them stays unread;
    /// what it has read is answered.
    pub fn read(&self, reads: bool) {
        self.shared.orders.send_modify(|orders| orders.reads = reads);
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_sockets<T>(&self, change: impl FnOnce(&mut Sockets) -> T) -> T {
        let changed = change(&mut self.sockets());
        self.sockets_changed.notify_all();
        changed
    }

    fn await_sockets(&self, sockets: MutexGuard<'_, Sockets>, wanted: impl Fn(&Sockets) -> bool) {
        let waited = self.sockets_changed.wait_timeout_while(sockets, DEADLINE, |sockets| !wanted(sockets));
        let waited = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.1.timed_out(), "the stub's sockets are not as ordered within {DEADLINE:?}");
    }
}

/// Waits until the orders are as wanted, or for ever once the stub is gone: its runtime ends with it.
async fn ordered(orders: &mut watch::Receiver<Orders>, wanted: impl FnMut(&Orders) -> bool) {
    if orders.wait_for(wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Listens while it is to accept. Tells the address each time that the port is open.
async fn listen<A>(mut address: SocketAddr, act: Arc<A>, shared: Arc<Shared>, bound: mpsc::Sender<SocketAddr>)
where
    A: Fn(&Request) -> Action + Send + Sync + 'static,
{
    let mut orders = shared.orders.subscribe();
    loop {
        let listener = eventually(&format!("{address} is free"), async || {
            TcpListener::bind(address).await.map_err(|error| error.to_string())
        })
        .await;
        address = listener.local_addr().unwrap();
        shared.change_sockets(|sockets| sockets.is_listening = true);
        // Only the first is awaited: a port that opens again is the same.
        bound.send(address).ok();
        tokio::select! {
            () = accept(&listener, &act, &shared) => (),
            () = ordered(&mut orders, |orders| !orders.accepts) => (),
        }
        drop(listener);
        shared.change_sockets(|sockets| sockets.is_listening = false);
        ordered(&mut orders, |orders| orders.accepts).await;
    }
}

async fn accept<A>(listener: &TcpListener, act: &Arc<A>, shared: &Arc<Shared>)
where
    A: Fn(&Request) -> Action + Send + Sync + 'static,
{
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let place = Place::take(shared);
            tokio::spawn(serve(stream, place, Arc::clone(act)));
        }
    }
}

async fn serve<A>(stream: TcpStream, place: Place, act: Arc<A>)
where
    A: Fn(&Request) -> Action + Send + Sync + 'static,
{
    let mut orders = place.shared.orders.subscribe();
    tokio::select! {
        _ = connection::converse(stream, act.as_ref(), &place.shared) => (),
        () = ordered(&mut orders, |orders| orders.n_closures > place.n_closures) => (),
    }
}

/// An open connection's place among the sockets, given back when it is dropped.
struct Place {
    shared: Arc<Shared>,
    number: u64,
    /// Closures that were ordered before it was accepted.
    n_closures: u64,
}

impl Place {
    fn take(shared: &Arc<Shared>) -> Self {
        let (number, n_closures) = shared.change_sockets(|sockets| {
            sockets.n_accepted += 1;
            sockets.open.insert(sockets.n_accepted);
            (sockets.n_accepted, shared.orders.borrow().n_closures)
        });
        Self { shared: Arc::clone(shared), number, n_closures }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.change_sockets(|sockets| sockets.open.remove(&self.number));
    }
}

#[cfg(test)]
mod tests;
