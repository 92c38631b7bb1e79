//! A balancer over nodes, all real programs on free ports with temporary folders.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tempfile::TempDir;

use crate::program::{Ended, Program};
use crate::wait::eventually;
use crate::{Ledger, http};

/// A running balancer and its nodes. Dropping it kills all of them and removes their folders.
pub struct Cluster {
    // In this order: the balancer ends before its nodes, the nodes before their folders.
    balancer: Program,
    nodes: Vec<Node>,
    folder: TempDir,
}

/// One real node of a cluster.
pub struct Node {
    /// Its name: A, B, C, ….
    pub name: String,
    arguments: Vec<String>,
    program: Program,
}

/// How a cluster is made.
pub struct ClusterBuilder {
    n_nodes: u8,
    node_arguments: Vec<String>,
    stores: Vec<String>,
    balancer_arguments: Vec<String>,
}

impl Cluster {
    /// Two nodes on embedded stores with the procfs sensor, so that no test depends on the rights of its user.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            n_nodes: 2,
            node_arguments: vec!["--probe".to_owned(), "procfs".to_owned()],
            stores: Vec::new(),
            balancer_arguments: Vec::new(),
        }
    }

    /// [`Self::builder`] as it is.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The balancer's URL, without a slash at the end.
    pub fn url(&self) -> &str {
        self.balancer.url()
    }

    /// The balancer's process.
    pub const fn balancer(&mut self) -> &mut Program {
        &mut self.balancer
    }

    /// The nodes by name.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node by its number.
    pub fn node(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// A folder of this cluster's, for files of a test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until the balancer sees the named state on every node that `states` names.
    pub async fn sees(&self, states: &[(&str, &str)]) {
        sees(self.url(), states).await;
    }

    /// Compares the stores of all nodes with `ledger`.
    ///
    /// # Errors
    /// See [`Ledger::check`].
    pub async fn check(&self, ledger: &Ledger) -> Result<(), String> {
        let mut stores = Vec::new();
        for node in &self.nodes {
            stores.push((node.name.clone(), http::ids(node.url()).await));
        }
        ledger.check(&stores)
    }

    /// How many sentences each node holds, as its `/usage` says.
    ///
    /// # Panics
    /// When a node does not say.
    pub async fn counts(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for node in &self.nodes {
            let usage = http::get(&format!("{}/usage", node.url())).await;
            counts
                .push(usage.json["database"].as_u64().unwrap_or_else(|| panic!("no count: {}", usage.text)));
        }
        counts
    }
}

/// Waits until the balancer at `url` sees the named state on every node that `states` names.
pub async fn sees(url: &str, states: &[(&str, &str)]) {
    let fleet = format!("{url}/fleet");
    let client = http::client();
    eventually(&format!("the balancer sees {states:?}"), async || {
        let answer = http::send(client.get(&fleet)).await?;
        let nodes = answer.json["nodes"].as_array().cloned().unwrap_or_default();
        let as_wanted = states
            .iter()
            .all(|(name, state)| nodes.iter().any(|node| node["name"] == **name && node["state"] == **state));
        if as_wanted { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

impl ClusterBuilder {
    /// How many nodes, named A, B, C, ….
    #[must_use]
    pub const fn nodes(mut self, n_nodes: u8) -> Self {
        self.n_nodes = n_nodes;
        self
    }

    /// One more argument of every node.
    #[must_use]
    pub fn node_argument(mut self, argument: &str) -> Self {
        self.node_arguments.push(argument.to_owned());
        self
    }

    /// The `--store` of each node, by number; embedded where there is none.
    #[must_use]
    pub fn stores(mut self, stores: Vec<String>) -> Self {
        self.stores = stores;
        self
    }

    /// One more argument of the balancer.
    #[must_use]
    pub fn balancer_argument(mut self, argument: &str) -> Self {
        self.balancer_arguments.push(argument.to_owned());
        self
    }

    /// Starts all programs and waits until the balancer sees every node up.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn start(self) -> Cluster {
        let folder = TempDir::new().unwrap();
        let nodes = (0..self.n_nodes)
            .map(|number| {
                let name = char::from(b'A' + number).to_string();
                let mut arguments = self.node_arguments.clone();
                arguments.extend(["--data-dir".to_owned(), text(&folder.path().join(&name))]);
                if let Some(store) = self.stores.get(usize::from(number)) {
                    arguments.extend(["--store".to_owned(), store.clone()]);
                }
                let program = start("balanza-backend", &arguments, "127.0.0.1:0")
                    .unwrap_or_else(|ended| panic!("node {name} did not start: {ended}"));
                Node { name, arguments, program }
            })
            .collect::<Vec<_>>();
        let mut arguments = self.balancer_arguments;
        arguments.extend(["--data-dir".to_owned(), text(&folder.path().join("balancer"))]);
        for node in &nodes {
            arguments.extend(["--node".to_owned(), format!("{}={}", node.name, node.url())]);
        }
        let balancer = start("balanza-lb", &arguments, "127.0.0.1:0")
            .unwrap_or_else(|ended| panic!("the balancer did not start: {ended}"));
        let cluster = Cluster { balancer, nodes, folder };
        let up = cluster.nodes.iter().map(|node| (node.name.as_str(), "up")).collect::<Vec<_>>();
        cluster.sees(&up).await;
        cluster
    }
}

/// A balancer over any nodes, named A, B, … in the order of their URLs.
///
/// # Panics
/// When it does not start.
pub fn balancer_over(urls: &[&str], folder: &Path) -> Program {
    let mut arguments = vec!["--data-dir".to_owned(), text(&folder.join("balancer"))];
    for (name, url) in ('A'..='Z').zip(urls) {
        arguments.extend(["--node".to_owned(), format!("{name}={url}")]);
    }
    start("balanza-lb", &arguments, "127.0.0.1:0")
        .unwrap_or_else(|ended| panic!("the balancer did not start: {ended}"))
}

impl Node {
    /// Its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        self.program.url()
    }

    /// Its process.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Ends it at once, as a power cut would.
    pub fn kill_9(&mut self) {
        self.program.kill_9();
    }

    /// Asks it to end and waits.
    pub fn terminate(&mut self) -> ExitStatus {
        self.program.terminate()
    }

    /// Starts it again on its old port and its old data.
    ///
    /// A connection of another test may hold the port for a moment, which is waited for.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        let address = self.program.address().to_owned();
        let (name, arguments) = (&self.name, &self.arguments);
        self.program = eventually(&format!("node {name} comes back"), async || {
            match start("balanza-backend", arguments, &address) {
                Ok(program) => Ok(program),
                Err(ended) if ended.output.contains("in use") => Err(ended.to_string()),
                Err(ended) => panic!("node {name} did not come back: {ended}"),
            }
        })
        .await;
    }
}

fn start(name: &str, arguments: &[String], listen: &str) -> Result<Program, Ended> {
    let mut command = Program::command(name);
    command.args(arguments).args(["--listen", listen]);
    Program::start(name, command)
}

fn text(path: &Path) -> String {
    PathBuf::from(path).into_os_string().into_string().expect("a temporary folder has a UTF-8 name")
}
