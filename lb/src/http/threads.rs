//! The threads of the full HTTP server. They take connections over from the doors and serve them to their end, so that a
//! slow listing or a hundred open pages never stand before a sentence that comes through a door. Absent: routes.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

use super::make;
use crate::balancer::Balancer;
use crate::config::ClientLimits;
use crate::door::Rewound;
use crate::worker::Worker;

/// How far these threads stand behind those that carry sentences where both want the same core; 19 is the furthest.
const NICENESS: i32 = 10;

/// The threads, and the way to them. Dropping it ends them.
pub(crate) struct FullServer {
    threads: Vec<Thread>,
    next: AtomicUsize,
}

struct Thread {
    connections: mpsc::UnboundedSender<HandedOver>,
    handle: Option<JoinHandle<()>>,
}

/// A connection on its way from one thread to another.
struct HandedOver {
    /// What was read from it already.
    read: Vec<u8>,
    stream: std::net::TcpStream,
    /// Told when it has ended.
    ended: oneshot::Sender<()>,
}

impl FullServer {
    /// Starts `n` threads. Connections end after their present request once `stopping` turns true.
    ///
    /// # Errors
    /// A thread, its runtime or its client for reading from nodes cannot be had.
    pub(crate) fn start(
        n: usize,
        balancer: &Arc<Balancer>,
        limits: &ClientLimits,
        stopping: &watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let mut threads = Vec::with_capacity(n);
        for number in 0..n {
            let (connections, handed_over) = mpsc::unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let reader = reqwest::Client::builder()
                .connect_timeout(balancer.lane_limits.connect_timeout)
                .no_proxy()
                .build()
                .map_err(io::Error::other)?;
            let (balancer, limits, stopping) = (Arc::clone(balancer), limits.clone(), stopping.clone());
            let handle = std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
                // On Linux a thread has its own. Where it may not change, the threads only stand beside the others.
                rustix::process::nice(NICENESS).ok();
                let serving = async {
                    let worker = Worker::new(balancer, limits);
                    tokio::task::spawn_local(Rc::clone(&worker).keep_time());
                    serve(worker, reader, stopping, handed_over).await;
                };
                LocalSet::new().block_on(&runtime, serving);
            })?;
            threads.push(Thread { connections, handle: Some(handle) });
        }
        Ok(Self { threads, next: AtomicUsize::new(0) })
    }

    /// Serves a connection on one of the threads, and returns once it has ended.
    pub(crate) async fn serve(&self, connection: Rewound<TcpStream>) {
        let (read, stream) = connection.into_parts();
        // A socket that cannot change its thread is closed: the client sees a broken connection and may try again.
        let Ok(stream) = stream.into_std() else { return };
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len().max(1);
        let Some(thread) = self.threads.get(turn) else { return };
        let (ended, end) = oneshot::channel();
        if thread.connections.send(HandedOver { read, stream, ended }).is_ok() {
            end.await.ok();
        }
    }
}

impl Drop for FullServer {
    fn drop(&mut self) {
        for Thread { connections, handle } in self.threads.drain(..) {
            drop(connections);
            handle.map(JoinHandle::join);
        }
    }
}

/// Serves every connection that comes, for as long as any can come.
async fn serve(
    worker: Rc<Worker>,
    reader: reqwest::Client,
    stopping: watch::Receiver<bool>,
    mut connections: mpsc::UnboundedReceiver<HandedOver>,
) {
    let Ok(server) = make(worker, reader, stopping).await else {
        return tracing::error!("the full HTTP server cannot be made");
    };
    let server = Rc::new(server);
    while let Some(HandedOver { read, stream, ended }) = connections.recv().await {
        let server = Rc::clone(&server);
        tokio::task::spawn_local(async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                server(Rewound::new(read, stream)).await;
            }
            ended.send(()).ok();
        });
    }
}
