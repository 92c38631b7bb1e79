//! The program itself: its flags, its exit codes, its signals. Absent: what it routes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

use harness::{Connection, ScriptedNode, Turn, until};

use crate::support::{Balancer, command, post};

fn run(flags: &[&str]) -> Output {
    command(flags).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_faulty_configuration_is_told_whole_and_ends_with_2() {
    let output = run(&["--node", "A", "--workers", "x", "--node-deadline", "5"]);
    let told = errors(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for expected in
        ["node: `A` is no node", "workers: `x` is no whole number", "node-deadline: `5` is no duration"]
    {
        assert!(told.contains(expected), "{expected} is missing in {told}");
    }
    assert_eq!(run(&["--config", "/nowhere/lb.toml"]).status.code(), Some(2));
    assert_eq!(
        run(&["--node", "A=http://a:1", "--admin-token-file", "/nowhere/token"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_port_in_use_is_told_and_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--node", "A=http://127.0.0.1:1", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains(&format!("listen: cannot listen on {address}")), "{}", errors(&output));
}

#[test]
fn the_configuration_can_be_checked_and_printed() {
    let nodes = ["--node", "A=http://a:1,B=http://b:2"];
    let output = run(&[&["check-config"], &nodes[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let printed = run(&[&["print-config", "--policy", "p2c"], &nodes[..]].concat());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = run(&["print-config", "--config", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", errors(&again));
    assert_eq!(again.stdout, printed.stdout, "what is printed is a configuration file");
    assert!(String::from_utf8_lossy(&printed.stdout).contains("policy = \"p2c\""));
}

#[test]
fn sigterm_finishes_what_is_under_way() {
    let a = ScriptedNode::start(Turn::hold());
    let mut lb = Balancer::start(&[&a], &["--node-patience", "20s", "--node-deadline", "20s"]);
    let mut idle = lb.connect();
    let mut busy = lb.connect();
    busy.send(post("under way").as_bytes());
    let mut handed_over = lb.connect();
    handed_over.send(b"GET /livez HTTP/1.1\r\nhost: lb\r\n\r\n");
    assert_eq!(handed_over.answer().status, 200);
    until("the post has arrived", || a.posts().len() == 1);
    lb.program.ask_to_end();
    assert!(idle.is_closed());
    a.set(Turn::store());
    let answer = busy.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(busy.is_closed());
    assert!(lb.program.ended().success());
    assert_eq!(a.sentences(), ["under way"]);
}

#[test]
fn sighup_reads_the_nodes_anew_and_loses_no_request() {
    let (a, b) = (ScriptedNode::start(Turn::store()), ScriptedNode::start(Turn::store()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.toml");
    let listen = "listen = \"127.0.0.1:0\"\n";
    std::fs::write(&file, format!("{listen}[nodes]\nA = \"{}\"\n", a.url())).unwrap();
    let lb = Balancer::start_with(&["--config", file.to_str().unwrap()]);
    let mut client = lb.connect();
    let mut posted = 0;
    let mut post_one = || {
        posted += 1;
        client.send(post(&format!("{posted}")).as_bytes());
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json["server"].as_str().unwrap().to_owned()
    };
    assert_eq!(post_one(), "A");
    std::fs::write(&file, format!("{listen}[nodes]\nA = \"{}\"\nB = \"{}\"\n", a.url(), b.url())).unwrap();
    lb.program.ask_to_reload();
    until("B takes sentences", || post_one() == "B");
    // A faulty file changes nothing.
    std::fs::write(&file, "nodes = 3\n").unwrap();
    lb.program.ask_to_reload();
    until("the fault is told", || lb.program.log().contains("the new configuration is not usable"));
    assert_eq!(lb.get("/fleet").json["nodes"].as_array().unwrap().len(), 2);
    std::fs::write(&file, format!("{listen}[nodes]\nB = \"{}\"\n", b.url())).unwrap();
    lb.program.ask_to_reload();
    until("A is gone", || lb.node("A").is_null());
    for _ in 0..5 {
        assert_eq!(post_one(), "B");
    }
    assert_eq!(a.documents().len() + b.documents().len(), posted);
}

#[test]
fn the_log_tells_once_how_each_node_stands_at_the_start() {
    let a = ScriptedNode::start(Turn::store());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (a_url, b_url) = (format!("--node=A={}", a.url()), format!("--node=B=http://{nobody}"));
    let lb = Balancer::start_with(&["--listen", "127.0.0.1:0", &a_url, &b_url]);
    until("both are told", || lb.program.log().contains("node=\"B\""));
    let log = lb.program.log();
    let lines = |node: &str| log.lines().filter(|line| line.contains(&format!("node=\"{node}\""))).count();
    assert_eq!((lines("A"), lines("B")), (1, 1), "{log}");
    assert!(log.contains("node up node=\"A\"") && log.contains("node down node=\"B\""), "{log}");
}

#[test]
fn everything_but_plain_posts_has_threads_of_its_own() {
    let a = ScriptedNode::start(Turn::store());
    for (flags, expected) in [(&[][..], 1), (&["--http-threads", "3"][..], 3)] {
        let lb = Balancer::start(&[&a], flags);
        assert_eq!(lb.get("/fleet").status, 200);
        let count = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", lb.program.pid())).unwrap();
            let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
            names.filter(|name| name.starts_with("http-")).count()
        };
        // A thread takes its name once it runs.
        until(&format!("{expected} threads with {flags:?}"), || count() == expected);
    }
}

/// A program whose log the test reads itself. It ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_sentence() {
    let a = ScriptedNode::start(Turn::store());
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-secret-of-this-test").unwrap();
    let node = format!("--node=A={}", a.url());
    let flags = ["--listen=127.0.0.1:0", &node, "--admin-token-file", token.to_str().unwrap()];
    let mut running = Killed(command(&flags).stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::with_capacity(1, running.0.stderr.take().unwrap());
    let mut ready = String::new();
    log.read_line(&mut ready).unwrap();
    let address = ready.split("http://").nth(1).unwrap().split(' ').next().unwrap();
    // The last line of the start: a pipe that was never emptied has less room than its size.
    let mut started = String::new();
    while !started.contains("node=\"A\"") {
        started.clear();
        log.read_line(&mut started).unwrap();
    }
    // A pipe of one page is full after some forty lines.
    let pipe = log.get_ref();
    rustix::pipe::fcntl_setpipe_size(pipe, 4096).unwrap();
    let mut clients = Vec::new();
    until("the log is full", || {
        for change in ["drain", "ready"] {
            let mut client = Connection::open(address);
            let head =
                "HTTP/1.1\r\nhost: lb\r\nauthorization: Bearer a-secret-of-this-test\r\ncontent-length: 0";
            client.send(format!("POST /fleet/A/{change} {head}\r\n\r\n").as_bytes());
            clients.push(client);
        }
        // Shorter than the longest line is what is left then, and that is what waits.
        rustix::io::ioctl_fionread(pipe).unwrap() > 4096 - 128
    });
    // Whoever changes the fleet waits for the log; the last change may have been a drain.
    let answers: Vec<u16> = (0..10)
        .map(|n| {
            let mut client = Connection::open(address);
            client.send(post(&format!("{n}")).as_bytes());
            client.answer().status
        })
        .collect();
    assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    assert_eq!(a.documents().len(), answers.iter().filter(|status| **status == 200).count());
}
