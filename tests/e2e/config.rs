//! Configuration: flags over environment over file, every error at once, and the doors of the machine that are shut.

use std::process::{Command, Output};

use harness::program::Ended;
use harness::{Program, http};
use tempfile::TempDir;

fn backend(arguments: &[&str]) -> Command {
    let mut command = Program::command("balanza-backend");
    command.args(["--probe", "procfs"]).args(arguments);
    command
}

fn balancer(arguments: &[&str]) -> Command {
    let mut command = Program::command("balanza-lb");
    command.args(arguments);
    command
}

/// Runs a program that must end by itself.
fn output(mut command: Command) -> Output {
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Starts a program that must refuse to start and gives what it said.
fn refuses(name: &str, command: Command) -> Ended {
    match Program::start(name, command) {
        Err(ended) => ended,
        Ok(program) => panic!("{name} started: {}", program.log()),
    }
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn data(folder: &TempDir) -> String {
    folder.path().join("data").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = TempDir::new().unwrap();
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (in_file, in_environment, in_flag) = (free(), free(), free());
    let config = file(&folder, "backend.toml", &format!("listen = \"{in_file}\"\n"));
    let data = data(&folder);
    let arguments = ["--config", &config, "--data-dir", &data];

    let program = Program::start("balanza-backend", backend(&arguments)).unwrap();
    assert_eq!(program.address(), in_file);
    drop(program);
    let mut command = backend(&arguments);
    command.env("BALANZA_LISTEN", &in_environment);
    let program = Program::start("balanza-backend", command).unwrap();
    assert_eq!(program.address(), in_environment);
    drop(program);
    let mut command = backend(&arguments);
    command.env("BALANZA_LISTEN", &in_environment).args(["--listen", &in_flag]);
    let program = Program::start("balanza-backend", command).unwrap();
    assert_eq!(program.address(), in_flag);
    assert_eq!(http::get(&format!("{}/livez", program.url())).await.status, 200);
}

#[tokio::test]
async fn the_balancer_takes_its_nodes_from_each_place() {
    let folder = TempDir::new().unwrap();
    let data = data(&folder);
    let names = async |command: Command| {
        let program = Program::start("balanza-lb", command).unwrap_or_else(|ended| panic!("{ended}"));
        let fleet = http::get(&format!("{}/fleet", program.url())).await;
        let nodes = fleet.json["nodes"].as_array().cloned().unwrap_or_else(|| panic!("{}", fleet.text));
        nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let config =
        file(&folder, "lb.toml", "[nodes]\nwest = \"http://127.0.0.1:1\"\neast = \"http://127.0.0.1:2\"\n");
    let listen = ["--listen", "127.0.0.1:0", "--data-dir", &data];
    let mut from_file = balancer(&listen);
    from_file.args(["--config", &config]);
    assert_eq!(names(from_file).await, ["east", "west"]);
    let mut from_flags = balancer(&listen);
    from_flags.args([
        "--node",
        "A=http://127.0.0.1:1",
        "--node",
        "B=http://127.0.0.1:2",
        "--node",
        "C=http://127.0.0.1:3",
    ]);
    assert_eq!(names(from_flags).await, ["A", "B", "C"]);
}

#[test]
fn every_error_is_told_at_once() {
    let folder = TempDir::new().unwrap();
    let config = file(&folder, "bad.toml", "listen = \"nowhere\"\nprobe = \"magic\"\ncolour = \"red\"\n");
    let mut command = Program::command("balanza-backend");
    command.args(["check-config", "--config", &config]).env("BALANZA_LOG_FORMAT", "verse");
    let output = output(command);
    let told = words(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in ["nowhere", "magic", "colour", "verse"] {
        assert!(told.contains(part), "`{part}` is not told: {told}");
    }
    let config = file(&folder, "badlb.toml", "listen = \"nowhere\"\npolicy = \"dice\"\ncolour = \"red\"\n");
    let output = self::output(balancer(&["check-config", "--config", &config, "--node", "A=127.0.0.1:5000"]));
    let told = words(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in ["nowhere", "dice", "colour", "127.0.0.1:5000"] {
        assert!(told.contains(part), "`{part}` is not told: {told}");
    }
}

#[test]
fn a_balancer_without_nodes_or_with_a_name_twice_is_refused() {
    let told = words(&output(balancer(&["check-config"])));
    assert!(told.contains("--node"), "{told}");
    let twice = ["check-config", "--node", "A=http://127.0.0.1:1", "--node", "A=http://127.0.0.1:2"];
    let output = output(balancer(&twice));
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains('A'), "{}", words(&output));
}

#[test]
fn what_is_printed_is_what_is_in_force() {
    let output = output(backend(&["print-config", "--listen", "127.0.0.1:5055"]));
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("127.0.0.1:5055"), "{}", words(&output));
    let output = self::output(balancer(&["print-config", "--node", "A=http://127.0.0.1:5055"]));
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("http://127.0.0.1:5055"), "{}", words(&output));
}

#[test]
fn a_port_in_use_is_named() {
    let folder = TempDir::new().unwrap();
    let data = data(&folder);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["--listen", &address, "--data-dir", &data];
    let ended = refuses("balanza-backend", backend(&arguments));
    assert!(!ended.status.success() && ended.output.contains(&address), "{ended}");
    let mut command = balancer(&arguments);
    command.args(["--node", "A=http://127.0.0.1:1"]);
    let ended = refuses("balanza-lb", command);
    assert!(!ended.status.success() && ended.output.contains(&address), "{ended}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let folder = TempDir::new().unwrap();
    // Below a file, where not even root can make a folder.
    let data = file(&folder, "a-file", "") + "/data";
    let ended = refuses("balanza-backend", backend(&["--listen", "127.0.0.1:0", "--data-dir", &data]));
    assert!(!ended.status.success() && ended.output.contains("a-file"), "{ended}");
}

#[test]
fn a_folder_of_another_node_is_refused() {
    let folder = TempDir::new().unwrap();
    let data = data(&folder);
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", &data];
    let _first = Program::start("balanza-backend", backend(&arguments)).unwrap();
    let ended = refuses("balanza-backend", backend(&arguments));
    assert!(!ended.status.success() && ended.output.contains(&data), "{ended}");
}

#[test]
fn a_mongodb_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let store = format!("mongodb://{address}/balanza");
    let ended = refuses("balanza-backend", backend(&["--listen", "127.0.0.1:0", "--store", &store]));
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(ended.output.contains(&address), "{ended}");
}
