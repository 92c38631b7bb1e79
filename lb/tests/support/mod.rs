//! What the balancer's tests stand on: the program itself, scripted nodes, and a client that writes raw bytes.
//! Absent: assertions about the balancer. Every port is 0 and every wait has a deadline.

#![expect(dead_code, reason = "each test program uses its part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "broken support ends its test")]
#![expect(clippy::print_stdout, reason = "the test runner shows the program's log with a failed test")]
#![expect(clippy::disallowed_methods, reason = "the deadlines of tests read the clock")]

pub(crate) mod client;
pub(crate) mod node;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use client::{Answer, Client, post};
pub(crate) use node::{FakeNode, Script};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running balancer, ended with its test.
pub(crate) struct Balancer {
    pub(crate) address: String,
    child: Child,
    pub(crate) first_line: String,
    log: Arc<Mutex<String>>,
}

impl Balancer {
    /// Starts the program over `nodes`, named A, B, C, …, with further flags.
    pub(crate) fn start(nodes: &[&FakeNode], flags: &[&str]) -> Self {
        let named = nodes.iter().zip('A'..).map(|(node, name)| format!("--node={name}={}", node.url()));
        let named: Vec<String> = named.collect();
        let mut all: Vec<&str> = named.iter().map(String::as_str).collect();
        all.extend(["--listen", "127.0.0.1:0", "--poll-interval", "50ms"]);
        all.extend(flags);
        Self::start_with(&all)
    }

    /// Starts the program with exactly these flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_balanza-lb"))
            .args(flags)
            .env_remove("BALANZA_NODES")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut first_line = String::new();
        errors.read_line(&mut first_line).unwrap();
        let address = first_line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("not ready: {first_line}")).to_owned();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&log);
        // Whoever does not read a program's errors stops it in the end.
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                println!("balanza-lb: {line}");
                lines.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self { address, child, first_line: first_line.trim().to_owned(), log }
    }

    /// Whether `text` was logged.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().contains(text)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Posts one sentence on a connection of its own.
    pub(crate) fn post(&self, sentence: &str) -> Answer {
        let mut client = self.connect();
        client.send(post(sentence).as_bytes());
        client.answer()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut client = self.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: lb\r\n\r\n").as_bytes());
        client.answer()
    }

    /// The node of `GET /fleet` called `name`.
    pub(crate) fn node(&self, name: &str) -> Value {
        let fleet = self.get("/fleet").json();
        let nodes = fleet["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["name"] == name).cloned().unwrap_or(Value::Null)
    }

    /// Sentences under way to all nodes.
    pub(crate) fn in_flight(&self) -> u64 {
        let fleet = self.get("/fleet").json();
        fleet["nodes"].as_array().unwrap().iter().map(|node| node["in_flight"].as_u64().unwrap()).sum()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for the program's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
