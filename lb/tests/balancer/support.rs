//! The program under test over scripted nodes, and the posts that it is sent. Absent: assertions about it. Every port
//! is 0 and every wait has a deadline.

use std::process::Command;

use harness::http::Answer;
use harness::{Connection, Program, ScriptedNode};
use serde_json::Value;

/// A command for the program under test.
pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Program::command_at(env!("CARGO_BIN_EXE_balanza-lb"));
    command.args(flags);
    command
}

/// A post of `sentence` as the door serves it.
pub(crate) fn post(sentence: &str) -> String {
    post_body(&serde_json::json!({ "author": "User1", "sentence": sentence }).to_string(), "")
}

/// A post of `body` with further header lines, each with its line end.
pub(crate) fn post_body(body: &str, headers: &str) -> String {
    format!(
        "POST /sentence HTTP/1.1\r\nhost: lb\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A running balancer, ended with its test.
pub(crate) struct Balancer {
    pub(crate) program: Program,
}

impl Balancer {
    /// Starts the program over `nodes`, named A, B, C, …, with further flags.
    pub(crate) fn start(nodes: &[&ScriptedNode], flags: &[&str]) -> Self {
        let named = nodes.iter().zip('A'..).map(|(node, name)| format!("--node={name}={}", node.url()));
        let named: Vec<String> = named.collect();
        let mut all: Vec<&str> = named.iter().map(String::as_str).collect();
        all.extend(["--listen", "127.0.0.1:0", "--poll-interval", "50ms"]);
        all.extend(flags);
        Self::start_with(&all)
    }

    /// Starts the program with exactly these flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let started = Program::start("balanza-lb", command(flags));
        Self { program: started.unwrap_or_else(|ended| panic!("not ready: {ended}")) }
    }

    /// The first line that it wrote.
    pub(crate) fn first_line(&self) -> String {
        self.program.log().lines().next().unwrap().to_owned()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.program.address())
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

    /// Asks for a change of the fleet, showing `token`.
    pub(crate) fn admin(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let mut client = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: lb\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
        );
        client.send(format!("{head}{body}").as_bytes());
        client.answer()
    }

    /// The node of `GET /fleet` called `name`.
    pub(crate) fn node(&self, name: &str) -> Value {
        let fleet = self.get("/fleet").json;
        let nodes = fleet["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["name"] == name).cloned().unwrap_or(Value::Null)
    }

    /// Sentences under way to all nodes.
    pub(crate) fn in_flight(&self) -> u64 {
        let fleet = self.get("/fleet").json;
        fleet["nodes"].as_array().unwrap().iter().map(|node| node["in_flight"].as_u64().unwrap()).sum()
    }
}
