//! Nodes that ask for a token: what the balancer shows them. Absent: the balancer's own admin token, which is a matter
//! of `routing`.

use harness::node::{Admission, Dialect};
use harness::{ScriptedNode, Turn, until};

use crate::support::Balancer;

const TOKEN: &str = "what-a-node-wants-to-see";

fn asking(dialect: Dialect, reads_too: bool) -> ScriptedNode {
    let node = ScriptedNode::start(Turn::store());
    node.speak(dialect);
    node.admit_only(Admission { token: TOKEN.to_owned(), reads_too });
    node
}

/// A balancer that shows `token`.
fn showing(token: &str, nodes: &[&ScriptedNode]) -> Balancer {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    Balancer::start(nodes, &["--node-token-file", file.to_str().unwrap()])
}

#[test]
fn a_node_with_a_write_token_takes_sentences() {
    for (dialect, reads_too) in
        [(Dialect::Today, false), (Dialect::Today, true), (Dialect::Old, false), (Dialect::Old, true)]
    {
        let (a, b) = (asking(dialect, reads_too), ScriptedNode::start(Turn::store()));
        let lb = showing(TOKEN, &[&a, &b]);
        for n in 0..4 {
            assert_eq!(lb.post(&format!("{n}")).status, 200, "{dialect:?}, reads too: {reads_too}");
        }
        let counts = (a.documents().len(), b.documents().len());
        assert_eq!(counts, (2, 2), "{dialect:?}, reads too: {reads_too}: A takes its part");
        assert_eq!(lb.node("A")["state"], "up");
        let listed = lb.get("/sentence").json;
        assert_eq!(listed.as_array().map(Vec::len), Some(4), "{dialect:?}, reads too: {reads_too}: {listed}");
    }
}

#[test]
fn a_wrong_token_takes_the_node_out_and_loses_nothing() {
    let (a, b) = (asking(Dialect::Today, false), ScriptedNode::start(Turn::store()));
    let lb = showing("something-else-altogether", &[&a, &b]);
    for n in 0..4 {
        assert_eq!(lb.post(&format!("{n}")).json["server"], "B");
    }
    until("A says why it is down", || {
        let why = lb.node("A")["last_error"].to_string();
        why.contains("the node answered 403") || why.contains("the node answered 401")
    });
    assert_eq!((a.documents().len(), b.documents().len(), lb.in_flight()), (0, 4, 0));
}

#[test]
fn the_token_is_told_to_nobody() {
    let a = asking(Dialect::Today, false);
    let lb = showing(TOKEN, &[&a]);
    assert_eq!(lb.post("x").status, 200);
    for path in ["/fleet", "/decisions", "/metrics"] {
        assert!(!lb.get(path).text.contains(TOKEN), "{path}");
    }
    assert!(!lb.program.log().contains(TOKEN), "{}", lb.program.log());
}
