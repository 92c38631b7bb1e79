//! Every key, origin and fault of the configuration, as text in and text out.

use super::*;

fn given(pairs: &[(&str, &str)], nodes: &[&str]) -> Given {
    let mut given = Given::default();
    for (key, value) in pairs {
        given.set(key, *value, Origin::Flag);
    }
    for node in nodes {
        given.add_node(node, Origin::Flag);
    }
    given
}

#[test]
fn defaults_hold_and_every_one_of_them_is_valid() {
    let config = Config::read(&given(&[], &["A=http://a:1", "B=http://b:2"])).unwrap();
    assert_eq!(config.listen, "127.0.0.1:4999");
    assert_eq!(config.nodes.len(), 2);
    assert_eq!(config.lane.deadline, Duration::from_secs(5));
    assert_eq!(config.fleet.max_in_flight, None);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let mut given = given(&[], &[]);
    given.read_file("workers = 2\nrise = 7\npolicy = \"p2c\"\n[nodes]\nA = \"http://a:1\"\n");
    given.set("workers", "3", Origin::Environment);
    given.set("policy", "round-robin", Origin::Environment);
    given.set("workers", "4", Origin::Flag);
    let config = Config::read(&given).unwrap();
    assert_eq!((config.workers, config.fleet.hysteresis.rise), (4, 7));
    assert_eq!(config.fleet.policy.name(), "round-robin");
    given.add_node("X=http://x:1", Origin::Flag);
    let names: Vec<_> = Config::read(&given).unwrap().nodes.into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["X"], "a list given by flag replaces that of the file");
}

#[test]
fn all_faults_are_told_at_once() {
    let mut given = given(
        &[("workers", "0"), ("node-deadline", "5"), ("policy", "best"), ("listen", "4999"), ("rise", "x")],
        &["A", "B=https://b", "C=http://c", "C=http://d", "sp ace=http://e"],
    );
    given.read_file("wokers = 2\n[nodes]\nD = 4\n");
    let errors = Config::read(&given).unwrap_err().join("\n");
    for expected in [
        "workers: `0` is no whole number from 1 on",
        "node-deadline: `5` is no duration; write it with its unit, as 5s or 250ms",
        "policy: `best` is no policy",
        "listen: `4999` is no address",
        "rise: `x` is no whole number",
        "node: `A` is no node; write NAME=URL",
        "node: `B`: `https://b` asks for https",
        "node: `C` is named twice",
        "node: `sp ace` is no name",
        "wokers: no such key",
        "nodes.D: write the node's URL as a text",
    ] {
        assert!(errors.contains(expected), "{expected}\nis missing in\n{errors}");
    }
}

#[test]
fn without_nodes_the_remedy_is_told() {
    let errors = Config::read(&given(&[], &[])).unwrap_err();
    assert_eq!(errors, ["node: no node is named; give at least one, as --node A=http://10.0.0.7:5000"]);
}

#[test]
fn what_is_printed_can_be_read_again() {
    let given = given(&[("max-in-flight", "9")], &["A=http://a:1"]);
    let config = Config::read(&given).unwrap();
    let mut again = Given::default();
    again.read_file(&print(&given, &config));
    assert_eq!(Config::read(&again).unwrap(), config);
}

#[test]
fn every_key_is_documented_with_its_default() {
    let document = include_str!("../../../docs/configuration-lb.md");
    for key in KEYS {
        let default = key.default.map_or_else(|| "–".to_owned(), |value| format!("`{value}`"));
        let row = format!("| `{}` | `{}` | {} | {default} | {}. |", key.name, key.env, key.value, key.help);
        assert!(document.contains(&row), "docs/configuration-lb.md lacks the row\n{row}");
    }
}
