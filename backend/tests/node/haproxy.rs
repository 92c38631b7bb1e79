//! The real HAProxy reads the node's load: under CPU load the node's weight falls, a fault or a stop takes it out.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backend::report::Reporter;
use backend::sampler::{Load, Sources};
use backend::store::State;
use harness::need;
use tokio::sync::watch;

use crate::support::{DEADLINE, Node};

/// HAProxy as a child. Dropping it kills it.
struct Haproxy {
    child: Child,
    socket: std::path::PathBuf,
}

impl Haproxy {
    fn start(dir: &Path, http: SocketAddr, agent: SocketAddr) -> Option<Self> {
        let found = ["haproxy", "/usr/sbin/haproxy"]
            .into_iter()
            .find(|program| Command::new(program).arg("-v").output().is_ok_and(|told| told.status.success()));
        let missing = || "it is not installed (apt-get install haproxy)".to_owned();
        let program = need::or_skip("HAProxy", "haproxy", found.ok_or_else(missing))?;
        let (socket, config) = (dir.join("stats.sock"), dir.join("haproxy.cfg"));
        let text = format!(
            "global\n    stats socket {socket} mode 600 level admin\n\
             defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n\
             backend nodes\n    server a {http} weight 100 check inter 200ms \
             agent-check agent-addr {ip} agent-port {port} agent-inter 100ms\n",
            socket = socket.display(),
            ip = agent.ip(),
            port = agent.port(),
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(program)
            .args(["-db", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, socket })
    }

    /// Weight and status of the server; `None` before HAProxy answers.
    fn server(&self) -> Option<(u32, String)> {
        let mut socket = UnixStream::connect(&self.socket).ok()?;
        socket.write_all(b"show stat\n").ok()?;
        let mut table = String::new();
        socket.read_to_string(&mut table).ok()?;
        let header: Vec<&str> = table.lines().next()?.trim_start_matches("# ").split(',').collect();
        let row: Vec<&str> = table.lines().find(|line| line.starts_with("nodes,a,"))?.split(',').collect();
        let field = |name| row[header.iter().position(|known| *known == name).unwrap()];
        Some((field("weight").parse().unwrap(), field("status").to_owned()))
    }

    /// Does something again and again until the server is as wanted.
    async fn until(&self, what: &str, again: impl Fn(), wanted: impl Fn(u32, &str) -> bool) {
        let mut last = None;
        let seen = tokio::time::timeout(DEADLINE, async {
            loop {
                again();
                last = self.server();
                if last.as_ref().is_some_and(|(weight, status)| wanted(*weight, status)) {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        assert!(seen.await.is_ok(), "{what}: never seen, but {last:?}");
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The agent over a load and a store's state that the test sets.
#[tokio::test]
async fn each_state_of_the_node_is_understood() {
    let (load, loads) = watch::channel(Arc::new(busy(5)));
    let (store, states) = watch::channel(State::default());
    let sources = Sources { ram: wire::Source::Procfs, cpu: wire::Source::Procfs };
    let fence = Arc::new(backend::fence::Fence::new(1));
    let (epoch, id, scope) = ("test".to_owned(), backend::clock::new_store_id(), "host".to_owned());
    let reporter = Arc::new(Reporter::new(epoch, id, states, fence, loads, sources, scope));
    let listener = backend::agent::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let agent = listener.local_addr().unwrap();
    tokio::spawn(backend::agent::serve(listener, Arc::clone(&reporter)));
    let dir = tempfile::tempdir().unwrap();
    let Some(haproxy) = Haproxy::start(dir.path(), agent, agent) else { return };

    // A load is valid for a while only, so it is sampled again and again.
    let set = |percent| load.send_replace(Arc::new(busy(percent)));
    haproxy.until("an idle node", || drop(set(5)), |weight, status| weight == 95 && status == "UP").await;
    haproxy.until("a busy node", || drop(set(93)), |weight, status| weight == 7 && status == "UP").await;
    store.send_modify(|state| state.fault = Some("the disk is full".to_owned()));
    haproxy.until("a full disk", || drop(set(93)), |_, status| status == "MAINT").await;
    store.send_modify(|state| state.fault = None);
    haproxy.until("room again", || drop(set(20)), |weight, status| weight == 80 && status == "UP").await;
    reporter.stop();
    haproxy.until("a stop", || drop(set(20)), |_, status| status.starts_with("DRAIN")).await;
}

fn busy(percent: u8) -> Load {
    Load { cpu: wire::Share::from_percent(percent), ..Load::unknown() }
}

/// The whole node: real CPU load takes its weight away. Nothing is said of the weight without load, because other
/// programs may keep the machine busy.
#[tokio::test]
async fn cpu_load_takes_the_weight_of_a_node() {
    let node = Node::embedded(&[("agent-check", "127.0.0.1:0")]);
    let http = node.url.strip_prefix("http://").unwrap().parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let Some(haproxy) = Haproxy::start(dir.path(), http, node.agent.unwrap()) else { return };
    haproxy.until("a node that is up", || (), |_, status| status == "UP").await;
    let busy = Arc::new(AtomicBool::new(true));
    let burners: Vec<_> = (0..std::thread::available_parallelism().unwrap().get())
        .map(|_| {
            let busy = Arc::clone(&busy);
            std::thread::spawn(move || while busy.load(Ordering::Relaxed) {})
        })
        .collect();
    haproxy.until("a low weight", || (), |weight, status| weight <= 10 && status == "UP").await;
    busy.store(false, Ordering::Relaxed);
    for burner in burners {
        burner.join().unwrap();
    }
}
