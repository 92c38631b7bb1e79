//! What the tests share: a running node, the program under test, and a MongoDB or the reason why there is none.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;

use backend::Ready;
use backend::config::{Config, Origin, Settings};
pub(crate) use harness::wait::DEADLINE;
use harness::{Program, need};
use tokio_util::sync::CancellationToken;
use wire::SentenceId;

/// A new identity.
pub(crate) fn id() -> SentenceId {
    backend::clock::new_id()
}

/// A checked configuration from keys and values; the port is always free and the probe needs no rights.
pub(crate) fn config(keys: &[(&str, &str)]) -> Config {
    let given = |name: &str| {
        let chosen = keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let value = chosen.or(match name {
            "listen" => Some("127.0.0.1:0"),
            "probe" => Some("procfs"),
            _ => None,
        })?;
        Some((value.to_owned(), Origin::Flag))
    };
    Config::check(&Settings::gather(given, None).unwrap()).unwrap()
}

/// A node that runs inside the test, on a thread with a runtime of its own. Dropping it stops it.
pub(crate) struct Node {
    pub(crate) url: String,
    pub(crate) agent: Option<SocketAddr>,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
    _dir: Option<tempfile::TempDir>,
}

impl Node {
    /// A node on an empty embedded store.
    pub(crate) fn embedded(keys: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut keys = keys.to_vec();
        keys.push(("data-dir", dir.path().to_str().unwrap()));
        let config = config(&keys);
        let mut node = Self::start(config);
        node._dir = Some(dir);
        node
    }

    pub(crate) fn start(config: Config) -> Self {
        let listener = backend::listen(config.listen).unwrap();
        let shutdown = CancellationToken::new();
        let (told, ready) = mpsc::channel();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let sensor = backend::open_sensor(&config).unwrap();
            let run = backend::run(listener, sensor, config, stop, |ready| told.send(ready.clone()).unwrap());
            runtime.block_on(run).unwrap();
        });
        let Ready { address, agent, .. } = ready.recv_timeout(DEADLINE).unwrap();
        Self { url: format!("http://{address}"), agent, shutdown, thread: Some(thread), _dir: None }
    }

    /// Stops the node as a signal would, and waits for its end.
    pub(crate) fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the node ended by a panic");
        }
    }
}

/// A command for the program under test, with nothing of the tester's environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Program::command_at(env!("CARGO_BIN_EXE_balanza-backend"));
    command.args(arguments).env_clear();
    command
}

/// Starts a node as a child process, on a free port and with a probe that needs no rights.
pub(crate) fn start(arguments: &[&str]) -> Program {
    let mut command = command(arguments);
    command.args(["--listen", "127.0.0.1:0", "--probe", "procfs"]);
    Program::start("balanza-backend", command).unwrap_or_else(|ended| panic!("not ready: {ended}"))
}

/// The first line of a child's output; the rest is read and thrown away, so that the child never waits for a reader.
fn first_line(output: impl std::io::Read + Send + 'static) -> String {
    let (told, line) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            drop(told.send(line));
        }
    });
    line.recv_timeout(DEADLINE).expect("the child says nothing")
}

/// A MongoDB for tests: a URI without a database. `None` after saying why there is none.
///
/// `BALANZA_TEST_MONGODB` names one that runs; else `mongod` is started where it is installed; else the server in
/// `tests/mongo-wire` is built with Go.
pub(crate) fn mongo() -> Option<&'static str> {
    static SERVER: OnceLock<Result<MongoServer, String>> = OnceLock::new();
    match SERVER.get_or_init(MongoServer::find) {
        Ok(server) => Some(&server.uri),
        Err(reason) => {
            no_mongo(reason);
            None
        }
    }
}

/// Says that there is no MongoDB to test with, or fails where there must be one.
pub(crate) fn no_mongo(reason: &str) {
    need::or_skip::<()>("MongoDB", "mongodb", Err(reason.to_owned()));
}

/// A MongoDB that runs for as long as this lives.
pub(crate) struct MongoServer {
    pub(crate) uri: String,
    pid: Option<u32>,
    /// The server ends when this closes, so with the test process at the latest.
    _stdin: Option<ChildStdin>,
    _state: Option<tempfile::TempDir>,
}

impl MongoServer {
    fn find() -> Result<Self, String> {
        if let Some(uri) = variable("BALANZA_TEST_MONGODB") {
            return Ok(Self {
                uri: uri.trim_end_matches('/').to_owned(),
                pid: None,
                _stdin: None,
                _state: None,
            });
        }
        let state = tempfile::tempdir().map_err(|error| error.to_string())?;
        if Command::new("mongod").arg("--version").output().is_ok_and(|told| told.status.success()) {
            return Self::start_mongod(state);
        }
        Ok(Self::start_wire(state.path(), 0)?.keep(state))
    }

    fn keep(self, state: tempfile::TempDir) -> Self {
        Self { _state: Some(state), ..self }
    }

    /// Starts the server in `tests/mongo-wire` on a directory and a port; 0 is any free one. It ends when it is dropped.
    pub(crate) fn start_wire(state: &Path, port: u16) -> Result<Self, String> {
        let program = build_mongo_wire()?;
        let mut child = Command::new(&program)
            .args(["--until-stdin-closes", "--port", &port.to_string(), "--state"])
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let stdin = child.stdin.take();
        let uri = first_line(child.stdout.take().ok_or("no output")?);
        let pid = Some(child.id());
        Ok(Self { uri: uri.trim_end_matches('/').to_owned(), pid, _stdin: stdin, _state: None })
    }

    /// Sends the server a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid.unwrap().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.uri.rsplit_once(':').unwrap().1.parse().unwrap()
    }
}

impl MongoServer {
    /// `mongod` takes no port 0 and does not watch its input, so a shell watches for it.
    fn start_mongod(state: tempfile::TempDir) -> Result<Self, String> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| error.to_string())?;
        const SCRIPT: &str =
            r#"mongod --quiet --bind_ip 127.0.0.1 --port "$1" --dbpath "$2" >/dev/null & cat; kill $!"#;
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "mongod", &address.port().to_string()])
            .arg(state.path())
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("mongod does not start: {error}"))?;
        let stdin = child.stdin.take();
        // The driver waits for a server that is still starting.
        let uri = format!("mongodb://{address}");
        Ok(Self { uri, pid: None, _stdin: stdin, _state: Some(state) })
    }
}

/// Builds the wire server below `target`; Go keeps what has not changed.
fn build_mongo_wire() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
    let program = target.join("mongo-wire").join("mongo-wire");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mongo-wire");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output()
        .map_err(|error| format!("there is no BALANZA_TEST_MONGODB and no Go to build a server: {error}"))?;
    if built.status.success() {
        Ok(program)
    } else {
        Err(format!("the wire server does not build: {}", String::from_utf8_lossy(&built.stderr)))
    }
}

#[expect(clippy::disallowed_methods, reason = "how a test run is told of its surroundings")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An answer as tests compare it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.header(name).parse().unwrap()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = tokio::time::timeout(DEADLINE, request.send()).await.unwrap().unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}

pub(crate) async fn get(url: &str) -> Answer {
    answer(reqwest::Client::new().get(url)).await
}

pub(crate) async fn post_json(url: &str, body: impl Into<reqwest::Body>) -> Answer {
    answer(reqwest::Client::new().post(url).header("content-type", "application/json").body(body)).await
}

pub(crate) async fn post_lines(url: &str, body: impl Into<reqwest::Body>) -> Answer {
    answer(reqwest::Client::new().post(url).header("content-type", "application/x-ndjson").body(body)).await
}

/// A sentence as a client writes it.
pub(crate) fn line(id: SentenceId, author: &str, text: &str) -> String {
    serde_json::json!({ "id": id, "author": author, "sentence": text }).to_string()
}
