//! The program: what it prints, what it refuses, and how it ends.

use std::path::Path;
use std::process::Stdio;

use crate::support::{self, Node, get, id, line, post_json, post_lines};

/// Runs the program to its end; gives exit code, standard output and standard error.
fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    run_with(arguments, &[], input)
}

fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("input");
    std::fs::write(&file, input).unwrap();
    let output = support::command(arguments)
        .envs(variables.iter().copied())
        .current_dir(dir.path())
        .stdin(Stdio::from(std::fs::File::open(file).unwrap()))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The program refuses with this code and with one line that holds every part.
fn refuses(arguments: &[&str], code: i32, parts: &[&str]) {
    let (found, _, errors) = run(arguments, "");
    assert_eq!(found, code, "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for part in parts {
        assert!(errors.contains(part), "no {part} in {errors}");
    }
    let told = errors.trim_end().trim_start_matches("balanza-backend: ");
    let problem = told.split(';').next().unwrap();
    assert_eq!(told.matches(problem).count(), 1, "told twice: {errors}");
}

#[test]
fn what_keeps_a_node_from_starting_is_one_line_with_its_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(&["--listen", &address], 1, &[&address, "the port is in use", "--listen"]);
    refuses(&["--listen", "127.0.0.1:0", "--data-dir", "/proc/nowhere"], 1, &["/proc/nowhere", "--data-dir"]);
    let absent = format!("mongodb://{address}/x?serverSelectionTimeoutMS=200");
    drop(taken);
    refuses(
        &["--listen", "127.0.0.1:0", "--store", &absent],
        1,
        &[&format!("no MongoDB answers at {address}"), "--store"],
    );
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sentences.redb");
    std::fs::write(&file, "my thesis").unwrap();
    let data_dir = dir.path().to_str().unwrap();
    refuses(&["--listen", "127.0.0.1:0", "--data-dir", data_dir], 1, &["no database", "--data-dir"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "my thesis");
}

#[test]
fn two_nodes_do_not_share_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let _first = support::start(&["--data-dir", data_dir]);
    refuses(&["--listen", "127.0.0.1:0", "--data-dir", data_dir], 1, &["another process uses", "--data-dir"]);
}

#[test]
fn a_wrong_configuration_is_told_whole_and_binds_nothing() {
    let (code, _, errors) = run(&["--probe", "x", "--workers", "0", "--store", "y", "check-config"], "");
    assert_eq!(code, 2);
    let keys: Vec<_> = errors.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(keys, ["store", "probe", "workers"], "{errors}");
    assert_eq!(run(&["--no-such-flag"], "").0, 2);
    assert_eq!(run(&["--tls-cert", "x"], "").0, 2, "TLS is not there, and nobody is left to believe it is");
    refuses(&["--config", "/nowhere.toml"], 2, &["/nowhere.toml"]);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, "workers = 1\nlog-format = \"json\"\nlog-level = \"warn\"\n").unwrap();
    let arguments = ["--config", file.to_str().unwrap(), "--workers", "3", "print-config"];
    let variables = [("BALANZA_WORKERS", "2"), ("BALANZA_LOG_LEVEL", "debug"), ("BALANZA_OTHER", "x")];
    let (code, printed, errors) = run_with(&arguments, &variables, "");
    assert_eq!(code, 0, "{errors}");
    for expected in [
        "workers = \"3\"  # flag --workers\n",
        "log-level = \"debug\"  # BALANZA_LOG_LEVEL\n",
        "log-format = \"json\"  # file\n",
        "listen = \"127.0.0.1:5000\"  # default\n",
    ] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
    assert_eq!(run(&["check-config"], "").0, 0);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_node_with_success_although_a_reader_stays() {
    use std::io::Read;
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let mut node = support::start(&["--data-dir", dir.path().to_str().unwrap()]);
        let address = node.address();
        let mut reader = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut reader, b"GET /report/stream HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut begun = [0; 16];
        reader.read_exact(&mut begun).unwrap();
        let kill =
            std::process::Command::new("kill").args([format!("-{signal}"), node.pid().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(node.ended().code(), Some(0), "{signal}");
    }
}

async fn fill(node: &Node, count: usize) {
    let items: Vec<String> = (0..count).map(|_| line(id(), "Ana", "Qué \"tal\"\n")).collect();
    assert_eq!(post_lines(&format!("{}/sentences", node.url), items.join("\n")).await.status, 200);
}

/// Exports from one store and imports into the other, twice; both then list the same.
async fn moves(from: &[&str], to: &[&str]) {
    let (code, exported, errors) = run(&[from, &["export"]].concat(), "");
    assert_eq!((code, exported.lines().count()), (0, 2_500), "{errors}");
    let (code, _, errors) = run(&[to, &["import"]].concat(), &exported);
    assert_eq!((code, errors.as_str()), (0, "2500 sentences stored, 0 were stored already\n"));
    let (code, _, errors) = run(&[to, &["import", "-"]].concat(), &exported);
    assert_eq!((code, errors.as_str()), (0, "0 sentences stored, 2500 were stored already\n"));
    assert_eq!(run(&[to, &["export"]].concat(), "").1, exported);
}

fn data_dir(dir: &Path) -> [&str; 2] {
    ["--data-dir", dir.to_str().unwrap()]
}

#[tokio::test]
async fn sentences_move_between_the_stores() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = support::config(&[("data-dir", dir.path().to_str().unwrap())]);
    let mut node = Node::start(config);
    fill(&node, 2_500).await;
    node.stop();
    moves(&data_dir(dir.path()), &data_dir(other.path())).await;
    if let Some(uri) = support::mongo() {
        let (store, collection) = (format!("{uri}/moves"), format!("m{}", id().0.simple()));
        moves(&data_dir(dir.path()), &["--store", &store, "--mongo-collection", &collection]).await;
    }
}

#[test]
fn an_import_names_the_line_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let input = "\n{\"author\":\"a\"}\n";
    let (code, _, errors) = run(&[&data_dir(dir.path())[..], &["import"]].concat(), input);
    assert_eq!(code, 1);
    assert!(errors.contains("line 2: write {\"author\""), "{errors}");
}

/// A node on MongoDB serves the same routes.
#[tokio::test]
async fn a_node_serves_from_mongodb() {
    let Some(uri) = support::mongo() else { return };
    let store = format!("{uri}/serves");
    let config =
        support::config(&[("store", &store), ("mongo-collection", &format!("s{}", id().0.simple()))]);
    let node = Node::start(config);
    let posted = post_json(&format!("{}/sentence", node.url), line(id(), "Ana", "text")).await;
    assert_eq!((posted.status, posted.number("balanza-documents")), (200, 1));
    let listed = get(&format!("{}/sentence", node.url)).await;
    assert_eq!(listed.body, format!("[{}]", posted.body));
    assert!(get(&format!("{}/readyz?verbose", node.url)).await.body.contains("mongodb, 1 documents"));
}
