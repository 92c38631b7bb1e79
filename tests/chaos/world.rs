//! Everything that runs: nodes with their lines, disks and databases, and balancers over them. Owns their start, their
//! addresses, and the record of what was done to them. Absent: doing it, and the clients.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::Database;
use crate::disk::Disk;
use crate::fault::Kind;
use crate::health::{Disturbance, Health};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::server::Server;

/// The token of the operator's calls.
const TOKEN: &str = "chaos-admin-token-0123456789";
/// How long an operator's call may take.
const CALL: Duration = Duration::from_secs(2);
/// Ports of each line, so that a node has several addresses.
const N_PORTS: usize = 2;

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The balancer's program.
    pub(crate) lb: PathBuf,
    /// The node's program.
    pub(crate) backend: PathBuf,
    /// The database's program, where nodes keep their sentences in one.
    pub(crate) database: Option<PathBuf>,
    /// How many nodes.
    pub(crate) n_nodes: usize,
    /// How many balancers.
    pub(crate) n_balancers: usize,
    /// More arguments of each balancer.
    pub(crate) lb_arguments: Vec<String>,
    /// More arguments of each node.
    pub(crate) backend_arguments: Vec<String>,
    /// Mebibytes of each node's own disk; `None` for the disk of the machine.
    pub(crate) disk_mebibytes: Option<u64>,
}

/// A node and what belongs to it.
pub(crate) struct Node {
    // In this order: the program ends before what it stands on.
    /// Its program.
    pub(crate) server: tokio::sync::Mutex<Server>,
    /// Its database.
    pub(crate) database: Option<tokio::sync::Mutex<Database>>,
    /// Its disk.
    pub(crate) disk: Option<Disk>,
    /// The line to it.
    pub(crate) line: Proxy,
    /// Its name: A, B, C, ….
    pub(crate) name: String,
    /// Where it listens itself.
    pub(crate) address: SocketAddr,
    /// All the URLs by which it can be reached; only the last passes by the line.
    urls: Vec<String>,
}

/// A balancer.
pub(crate) struct Balancer {
    /// Its program.
    pub(crate) server: tokio::sync::Mutex<Server>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    list: PathBuf,
}

/// All of them, and when the run began. Dropping it kills them and removes their folder.
pub(crate) struct World {
    /// By number.
    pub(crate) balancers: Vec<Balancer>,
    /// By number.
    pub(crate) nodes: Vec<Node>,
    operator: reqwest::Client,
    start: Instant,
    /// For each node, which of its URLs the lists of the balancers have.
    listed: Mutex<Vec<usize>>,
    disturbances: Mutex<Vec<Disturbance>>,
    troubles: Mutex<Vec<String>>,
    folder: Folder,
}

/// Where everything lies.
enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

impl World {
    /// Starts everything, in `keep` or in a folder that goes with it. The run begins now.
    ///
    /// # Errors
    /// When something does not start.
    pub(crate) async fn start(setup: &Setup, seed: u64, keep: Option<&Path>) -> Result<Self> {
        let folder = match keep {
            Some(keep) => {
                keep.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                // What another run left would be found at the end and taken for made up.
                std::fs::create_dir(keep)
                    .with_context(|| format!("{} cannot be made, or is there already", keep.display()))?;
                Folder::Kept(keep.to_path_buf())
            }
            None => Folder::Temporary(TempDir::new()?),
        };
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN)?;
        let mut nodes = Vec::new();
        for (number, name) in (0..setup.n_nodes).zip('A'..='Z') {
            let random = Random::of(seed, 1_000 + number as u64);
            nodes.push(Node::start(setup, &name.to_string(), folder.path(), &token, random).await?);
        }
        let listed = vec![0; nodes.len()];
        let mut balancers = Vec::new();
        for number in 1..=setup.n_balancers {
            let list = folder.path().join(format!("balancer-{number}.toml"));
            std::fs::write(&list, list_of(&nodes, &listed))?;
            let data = folder.path().join(format!("balancer-{number}"));
            let mut arguments = flags(&[
                ("--config", list.as_os_str()),
                ("--data-dir", data.as_os_str()),
                ("--admin-token-file", token.as_os_str()),
            ]);
            arguments.extend(setup.lb_arguments.iter().map(OsString::from));
            let server = Server::start(&format!("balancer {number}"), &setup.lb, arguments).await?;
            balancers.push(Balancer { address: server.address(), server: server.into(), list });
        }
        Ok(Self {
            balancers,
            nodes,
            operator: reqwest::Client::builder().timeout(CALL).build()?,
            start: Instant::now(),
            listed: Mutex::new(listed),
            disturbances: Mutex::default(),
            troubles: Mutex::default(),
            folder,
        })
    }

    /// Milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for a time of the run.
    pub(crate) async fn until_ms(&self, at_ms: u64) {
        tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(self.now_ms()))).await;
    }

    /// Notes that a fault begins, and gives its place in the record.
    pub(crate) fn disturb(&self, kind: Kind, target: usize) -> usize {
        let mut all = self.disturbances.lock();
        all.push(Disturbance { kind, target, from_ms: self.now_ms(), until_ms: u64::MAX });
        all.len() - 1
    }

    /// Notes that a fault is over.
    pub(crate) fn relieve(&self, place: usize) {
        let now_ms = self.now_ms();
        if let Some(disturbance) = self.disturbances.lock().get_mut(place) {
            disturbance.until_ms = now_ms;
        }
    }

    /// What was done so far.
    pub(crate) fn health(&self) -> Health {
        let disturbances = self.disturbances.lock().clone();
        Health { n_nodes: self.nodes.len(), n_balancers: self.balancers.len(), disturbances }
    }

    /// Notes what no fault explains: a program that died by itself, or did not start again.
    pub(crate) fn trouble(&self, what: String) {
        self.troubles.lock().push(format!("{} ms: {what}", self.now_ms()));
    }

    /// All that no fault explains.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().clone()
    }

    /// Gives a node another of its URLs, and says which it is now. Its list has it from now on.
    pub(crate) fn readdress(&self, node: usize, listed: bool, random: &mut Random) -> Option<String> {
        let urls = &self.nodes.get(node)?.urls;
        let mut all = self.listed.lock();
        let place = all.get_mut(node)?;
        let next = (*place + 1 + random.place(urls.len().saturating_sub(1))) % urls.len().max(1);
        if listed {
            *place = next;
        }
        urls.get(next).cloned()
    }

    /// The URL of a node in the balancers' lists.
    pub(crate) fn listed_url(&self, node: usize) -> Option<String> {
        let place = *self.listed.lock().get(node)?;
        self.nodes.get(node)?.urls.get(place).cloned()
    }

    /// Writes the lists of all balancers anew and has them read.
    ///
    /// # Errors
    /// When a list cannot be written.
    pub(crate) async fn reload(&self) -> Result<()> {
        let text = list_of(&self.nodes, &self.listed.lock());
        for balancer in &self.balancers {
            std::fs::write(&balancer.list, &text)?;
            balancer.server.lock().await.reload();
        }
        Ok(())
    }

    /// An operator's call to every balancer; one that is gone misses it.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<Value>) {
        for balancer in &self.balancers {
            let url = format!("http://{}{path}", balancer.address);
            let mut request = self.operator.request(method.clone(), url).bearer_auth(TOKEN);
            if let Some(body) = &body {
                request = request.json(body);
            }
            request.send().await.ok();
        }
    }

    /// The answer to a `GET`, as JSON.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> Result<Value> {
        let answer = self.operator.get(format!("http://{address}{path}")).send().await?;
        if !answer.status().is_success() {
            bail!("GET {path} of {address} answers {}", answer.status());
        }
        Ok(answer.json().await?)
    }

    /// What a node's `PUT` says.
    pub(crate) fn put_of(url: &str) -> Value {
        json!({ "url": url })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Folder::Kept(folder) = &self.folder {
            for server in
                self.balancers.iter().map(|one| &one.server).chain(self.nodes.iter().map(|one| &one.server))
            {
                if let Ok(server) = server.try_lock() {
                    let name = server.name().replace(' ', "-");
                    std::fs::write(folder.join(format!("{name}.log")), server.log()).ok();
                }
            }
        }
    }
}

impl Node {
    async fn start(setup: &Setup, name: &str, folder: &Path, token: &Path, random: Random) -> Result<Self> {
        let data = folder.join(name);
        std::fs::create_dir_all(&data)?;
        let disk = setup.disk_mebibytes.map(|mebibytes| Disk::mount(&data, mebibytes)).transpose()?;
        let database = match &setup.database {
            Some(program) => Some(Database::start(program, &folder.join(format!("{name}-db"))).await?),
            None => None,
        };
        let mut arguments = flags(&[
            ("--data-dir", data.join("store").as_os_str()),
            ("--admin-token-file", token.as_os_str()),
        ]);
        arguments.extend(["--probe", "procfs"].map(OsString::from));
        if let Some(database) = &database {
            arguments.extend(["--store".into(), OsString::from(database.uri())]);
        }
        arguments.extend(setup.backend_arguments.iter().map(OsString::from));
        let server = Server::start(&format!("node {name}"), &setup.backend, arguments).await?;
        let address = server.address();
        let line = Proxy::start(address, N_PORTS, random).await?;
        let mut urls: Vec<String> = line.addresses().iter().map(|port| format!("http://{port}")).collect();
        urls.extend(line.addresses().first().map(|port| format!("http://localhost:{}", port.port())));
        urls.push(format!("http://{address}"));
        let (name, database) = (name.to_owned(), database.map(Into::into));
        Ok(Self { server: server.into(), database, disk, line, name, address, urls })
    }
}

fn flags(pairs: &[(&str, &std::ffi::OsStr)]) -> Vec<OsString> {
    pairs.iter().flat_map(|(flag, value)| [OsString::from(flag), (*value).to_owned()]).collect()
}

fn list_of(nodes: &[Node], listed: &[usize]) -> String {
    let rows = nodes
        .iter()
        .zip(listed)
        .filter_map(|(node, place)| node.urls.get(*place).map(|url| format!("{} = \"{url}\"\n", node.name)));
    format!("[nodes]\n{}", rows.collect::<String>())
}
