//! One run of a balancer in the made-up world: its worker, its watches, and what mends doubt, from its start to its sudden
//! death. What it wrote down outlives it, and so does what it has sent. Absent: what is posted; the nodes.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{sleep, timeout};

use super::node::Node;
use crate::answer::{Answer, Reply};
use crate::balancer::Balancer;
use crate::clock;
use crate::config::{Config, Given, Origin};
use crate::endpoint::Endpoint;
use crate::fleet::Turn;
use crate::journal::made_up::Disk;
use crate::made_up::ROOM;
use crate::network::{Network, Stream};
use crate::routing::Routing;
use crate::watch::Watches;
use crate::worker::Worker;
use crate::{reconcile, sweep};

/// The nodes by the first letter of their hosts, so that each has as many addresses as wanted.
struct Hosts(BTreeMap<char, Arc<Node>>);

impl Network for Hosts {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let name = endpoint.host.chars().next().unwrap_or_default().to_ascii_uppercase();
            let node = self.0.get(&name).filter(|node| node.is_alive());
            let node = node.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            sleep(Duration::from_millis(1)).await;
            let (near, far) = tokio::io::duplex(ROOM);
            tokio::spawn(Arc::clone(node).serve(far));
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

/// A balancer that runs.
pub(super) struct Run {
    pub(super) balancer: Arc<Balancer>,
    worker: Rc<Worker>,
    watches: Watches,
    posts: mpsc::UnboundedSender<(String, oneshot::Sender<Answer>)>,
    /// Everything that the run does, so that it ends at once.
    life: JoinHandle<()>,
    turns: mpsc::UnboundedReceiver<Turn>,
}

impl Run {
    /// Starts a balancer over all the nodes, with what the runs before it have written down.
    pub(super) async fn begin(nodes: &BTreeMap<char, Arc<Node>>, disk: &Disk, seed: u64) -> Self {
        let mut given = Given::default();
        for name in nodes.keys() {
            given.add_node(&format!("{name}=http://{name}:1"), Origin::Flag);
        }
        let config = Config::read(&given).unwrap();
        let network = Box::new(Hosts(nodes.clone()));
        let (balancer, turns) = Balancer::new(&config, network, disk.open(), seed, clock::now()).unwrap();
        let mut watches = Watches::new(Arc::clone(&balancer), config.poll_interval);
        timeout(Duration::from_secs(1), watches.follow().recv()).await.ok();
        let worker = Worker::new(Arc::clone(&balancer), config.client);
        let (posts, mut posted) = mpsc::unbounded_channel::<(String, oneshot::Sender<Answer>)>();
        let tasks = LocalSet::new();
        tasks.spawn_local(Rc::clone(&worker).keep_time());
        tasks.spawn_local(reconcile::run(Arc::clone(&balancer)));
        tasks.spawn_local(sweep::run(Arc::clone(&balancer)));
        let receiver = Rc::clone(&worker);
        tasks.spawn_local(async move {
            while let Some((body, sender)) = posted.recv().await {
                receiver.receive(body.as_bytes(), None, Reply::Handler(sender));
            }
        });
        let life = tokio::task::spawn_local(tasks);
        Self { balancer, worker, watches, posts, life, turns }
    }

    /// Posts this body.
    pub(super) fn post(&self, body: String) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        self.posts.send((body, sender)).unwrap_or_else(|_| panic!("a balancer has ended by itself"));
        answer
    }

    /// Does what an operator does.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Routing)) {
        self.balancer.step(change);
        self.watches.follow();
    }

    /// Ends in the midst of everything. Gives what turned in its fleet.
    pub(super) async fn die(mut self) -> Vec<Turn> {
        self.life.abort();
        self.life.await.ok();
        self.worker.let_go();
        drop(self.watches);
        std::iter::from_fn(|| self.turns.try_recv().ok()).collect()
    }
}
