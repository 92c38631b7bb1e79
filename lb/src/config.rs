//! What an operator sets: every key, its default, and every fault of a value, all told at once before a port is
//! bound. Absent: the command line, the environment and the file of keys, which `main.rs` reads.

mod keys;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use wire::Token;

use crate::endpoint::Endpoint;
use crate::fleet::{Hysteresis, Settings};

pub use keys::{KEYS, Key};
pub(crate) use value::check_name;

/// Most threads of a kind.
const MAX_THREADS: usize = 512;

/// Where a value was given. Later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The file named by `--config`.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

/// The values that were given, by key and origin, still as text.
#[derive(Clone, Debug, Default)]
pub struct Given {
    values: BTreeMap<(String, Origin), String>,
    nodes: BTreeMap<Origin, Vec<(String, String)>>,
    errors: Vec<String>,
}

/// One configured node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its name in answers, metrics and logs.
    pub name: String,
    /// Its URL as it was given.
    pub url: String,
}

/// Bounds of the client side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Time from a request's first byte, or from the connect, to the end of its head.
    pub header_timeout: Duration,
    /// Time for a request's body.
    pub body_timeout: Duration,
    /// Time that a connection may rest between requests.
    pub idle_timeout: Duration,
    /// Time that a client may leave an answer unread.
    pub write_timeout: Duration,
    /// Most open client connections per worker.
    pub max_connections: usize,
}

impl ClientLimits {
    /// The same as the guard of a connection keeps them.
    pub(crate) const fn guarded(&self) -> guard::Limits {
        guard::Limits {
            header: self.header_timeout,
            body: self.body_timeout,
            idle: self.idle_timeout,
            write: self.write_timeout,
            last: guard::LAST,
        }
    }
}

/// Bounds of the node side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Time to connect to a node.
    pub connect_timeout: Duration,
    /// Time after which sentences that wait behind a silent post go to another node.
    pub patience: Duration,
    /// Time for which an unanswered post is repeated to its node.
    pub deadline: Duration,
    /// Most sentences that wait in one lane.
    pub max_items: usize,
    /// Most bytes that wait in one lane.
    pub max_bytes: usize,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A configuration without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// The fleet.
    pub nodes: Vec<NodeConfig>,
    /// The rule, its guards, and when nodes turn.
    pub fleet: Settings,
    /// Threads that carry sentences.
    pub workers: usize,
    /// Threads that serve everything but plain posts.
    pub http_threads: usize,
    /// The client side.
    pub client: ClientLimits,
    /// The node side.
    pub lane: LaneLimits,
    /// How often a node without a report stream is asked.
    pub poll_interval: Duration,
    /// The token of the admin routes; without it they are closed.
    pub admin_token: Option<Token>,
    /// The token that nodes are shown, so that they take posts and tell reports.
    pub node_token: Option<Token>,
    /// Folder for what must survive a restart.
    pub data_dir: Option<PathBuf>,
    /// The form of log lines.
    pub log_format: LogFormat,
}

impl Given {
    /// Notes that `key` has `value`.
    pub fn set(&mut self, key: &str, value: impl Into<String>, origin: Origin) {
        self.values.insert((key.to_owned(), origin), value.into());
    }

    /// Notes a node written as `NAME=URL`.
    pub fn add_node(&mut self, text: &str, origin: Origin) {
        match text.split_once('=') {
            Some((name, url)) => {
                self.nodes.entry(origin).or_default().push((name.trim().to_owned(), url.trim().to_owned()));
            }
            None => self
                .errors
                .push(format!("node: `{text}` is no node; write NAME=URL, as in A=http://10.0.0.7:5000")),
        }
    }

    /// Reads a file's text: `key = value` lines and a `[nodes]` table of `NAME = "URL"`.
    pub fn read_file(&mut self, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => return self.errors.push(format!("the file is no TOML: {error}")),
        };
        for (key, value) in table {
            match value {
                toml::Value::Table(nodes) if key == "nodes" => self.read_nodes(nodes),
                toml::Value::String(text) if known(&key) => self.set(&key, text, Origin::File),
                toml::Value::Integer(number) if known(&key) => {
                    self.set(&key, number.to_string(), Origin::File)
                }
                _ if known(&key) => self.errors.push(format!("{key}: write a text or a whole number")),
                _ => {
                    self.errors.push(format!("{key}: no such key; `balanza-lb print-config` shows them all"))
                }
            }
        }
    }

    fn read_nodes(&mut self, nodes: toml::Table) {
        for (name, url) in nodes {
            match url {
                toml::Value::String(url) => {
                    self.nodes.entry(Origin::File).or_default().push((name, url));
                }
                _ => self.errors.push(format!("nodes.{name}: write the node's URL as a text")),
            }
        }
    }

    /// The winning value of `key`.
    fn get(&self, key: &str) -> Option<&str> {
        [Origin::Flag, Origin::Environment, Origin::File]
            .into_iter()
            .find_map(|origin| self.values.get(&(key.to_owned(), origin)))
            .map(String::as_str)
            .or_else(|| keys::default_of(key))
    }
}

fn known(key: &str) -> bool {
    KEYS.iter().any(|known| known.name == key)
}

impl Config {
    /// Checks everything that was given.
    ///
    /// # Errors
    /// All faults, a line each: the key, the problem and the remedy.
    pub fn read(given: &Given) -> Result<Self, Vec<String>> {
        let mut read = value::Reader::new(given);
        let fleet = Settings {
            policy: read.parsed("policy"),
            hysteresis: Hysteresis { rise: read.number("rise", 1), fall: read.number("fall", 1) },
            stale_after: read.duration("stale-after"),
            max_in_flight: read.optional_number("max-in-flight", 1),
            ramp_percent: read.optional_number("ramp-percent", 1),
            ramp_gap: read.number("ramp-gap", 1),
        };
        if fleet.ramp_percent.is_some_and(|percent: u8| percent > 100) {
            read.fault("ramp-percent", "a share is at most 100 percent");
        }
        let config = Self {
            listen: read.listen("listen"),
            nodes: read.nodes(&given.nodes),
            fleet,
            workers: read.number("workers", 1),
            http_threads: read.number("http-threads", 1),
            client: ClientLimits {
                header_timeout: read.duration("header-timeout"),
                body_timeout: read.duration("body-timeout"),
                idle_timeout: read.duration("idle-timeout"),
                write_timeout: read.duration("write-timeout"),
                max_connections: read.number("max-connections", 1),
            },
            lane: LaneLimits {
                connect_timeout: read.duration("connect-timeout"),
                patience: read.duration("node-patience"),
                deadline: read.duration("node-deadline"),
                max_items: read.number("lane-items", 1),
                max_bytes: read.number("lane-bytes", wire::contract::MAX_SENTENCE_BODY_BYTES),
            },
            poll_interval: read.duration("poll-interval"),
            admin_token: read.token("admin-token-file"),
            node_token: read.token("node-token-file"),
            data_dir: read.path("data-dir"),
            log_format: match read.text("log-format") {
                "json" => LogFormat::Json,
                "text" => LogFormat::Text,
                other => {
                    let problem = format!("`{other}` is no log format; use text or json");
                    read.fault("log-format", &problem);
                    LogFormat::Text
                }
            },
        };
        for (key, threads) in [("workers", config.workers), ("http-threads", config.http_threads)] {
            if threads > MAX_THREADS {
                read.fault(key, &format!("at most {MAX_THREADS} threads"));
            }
        }
        let errors = read.into_errors();
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// The addresses of the nodes.
    pub fn endpoints(&self) -> Vec<(String, Endpoint)> {
        let read = |node: &NodeConfig| Some((node.name.clone(), node.url.parse().ok()?));
        self.nodes.iter().filter_map(read).collect()
    }
}

/// The winning values as a TOML file, for `print-config`.
pub fn print(given: &Given, config: &Config) -> String {
    let mut text = String::new();
    for key in KEYS {
        let value = given.get(key.name);
        let line = match value {
            Some(value) => format!("{} = {}\n", key.name, toml::Value::String(value.to_owned())),
            None => format!("# {} = {}\n", key.name, toml::Value::String(key.value.to_owned())),
        };
        text.push_str(&format!("# {}\n{line}", key.help));
    }
    text.push_str("\n[nodes]\n");
    for node in &config.nodes {
        let (name, url) = (toml::Value::String(node.name.clone()), toml::Value::String(node.url.clone()));
        text.push_str(&format!("{name} = {url}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
