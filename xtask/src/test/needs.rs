//! What the tests need beside Rust, and getting it: Debian packages where this user may install them.
//!
//! Nothing here fails for a missing piece. The tests that need it say that they are skipped, or fail where
//! `BALANZA_TEST_REQUIRE` lists it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask::command::{self, program};

use crate::{apt, mongo_wire};

/// A program that some tests run.
struct Need {
    program: &'static str,
    package: &'static str,
    what_for: &'static str,
}

const NEEDS: [Need; 6] = [
    Need { program: "tmux", package: "tmux", what_for: "driving the terminal client" },
    Need { program: "haproxy", package: "haproxy", what_for: "the agent check against the real HAProxy" },
    Need { program: "ip", package: "iproute2", what_for: "a network of its own for the softirq test" },
    Need { program: "unshare", package: "util-linux", what_for: "a network of its own for the softirq test" },
    Need { program: "curl", package: "curl", what_for: "the command lines of the README" },
    Need {
        program: "go",
        package: "golang-go",
        what_for: "building the server that speaks MongoDB's protocol",
    },
];

/// The variable that tells the tests where a MongoDB is.
const MONGODB: &str = "BALANZA_TEST_MONGODB";

/// Installs what is missing, where that can be done.
pub(super) fn meet(install: bool) {
    let missing = NEEDS.iter().filter(|need| !command::exists(need.program)).collect::<Vec<_>>();
    for need in &missing {
        println!("{} is missing; it is for {}", need.program, need.what_for);
    }
    let packages = missing.iter().map(|need| need.package).collect::<Vec<_>>();
    if packages.is_empty() {
        return;
    }
    if !install || !apt::can_install() {
        println!("Install it with: apt-get install {}", packages.join(" "));
        return;
    }
    if let Err(error) = apt::install(&packages) {
        println!("Going on without: {error:#}");
    }
}

/// A MongoDB for all tests of a run: a real `mongod` where it is installed, else a server that speaks its protocol. It
/// ends when its input closes, so with this process at the latest.
pub(super) struct Mongodb {
    uri: String,
    state: PathBuf,
    child: Child,
}

impl Mongodb {
    /// Starts it, unless the environment names one already.
    ///
    /// # Errors
    /// When both `mongod` and Go are missing, or the server does not start.
    pub(super) fn start() -> Result<Option<Self>> {
        if std::env::var_os(MONGODB).is_some_and(|uri| !uri.is_empty()) {
            println!("{MONGODB} names a MongoDB; the tests use it");
            return Ok(None);
        }
        let state = std::env::temp_dir().join(format!("balanza-mongodb-{}", std::process::id()));
        let (what, mut server) = if command::exists("mongod") {
            ("mongod", mongod(&state)?)
        } else {
            ("a server that speaks MongoDB's protocol", wire_server(&state)?)
        };
        let mut child = server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the MongoDB server cannot be started")?;
        let mut uri = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut uri)?;
        let uri = uri.trim().trim_end_matches('/').to_owned();
        if uri.is_empty() {
            bail!("the MongoDB server ended early ({})", child.wait()?);
        }
        println!("Started {what}: {uri}");
        Ok(Some(Self { uri, state, child }))
    }

    /// What the tests are told through their environment.
    pub(super) fn environment(&self) -> (&'static str, &str) {
        (MONGODB, &self.uri)
    }
}

impl Drop for Mongodb {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.state));
    }
}

/// The server in `tests/mongo-wire`, built first.
fn wire_server(state: &Path) -> Result<Command> {
    let mut server = program(mongo_wire::build()?);
    server.args(["--until-stdin-closes", "--state"]).arg(state);
    Ok(server)
}

/// A real `mongod`. It takes no port 0, does not say where it listens and does not watch its input: a shell does.
fn mongod(state: &Path) -> Result<Command> {
    const SCRIPT: &str = r#"echo "mongodb://127.0.0.1:$1"
        mongod --quiet --bind_ip 127.0.0.1 --port "$1" --dbpath "$2" >/dev/null & cat >/dev/null; kill $!; wait"#;
    std::fs::create_dir_all(state)?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut shell = program("sh");
    // The driver waits for a server that is still starting.
    shell.args(["-c", SCRIPT, "mongod", &free.port().to_string()]).arg(state);
    Ok(shell)
}
