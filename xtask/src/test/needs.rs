//! What the tests need beside Rust, and getting it: Debian packages where this user may install them.
//!
//! Nothing here fails for a missing piece. The tests that need it say that they are skipped, or fail where
//! `BALANZA_TEST_REQUIRE` lists it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{self, program, root, target_dir};

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
    if !install || !command::exists("apt-get") || !rustix::process::geteuid().is_root() {
        println!("Install it with: apt-get install {}", packages.join(" "));
        return;
    }
    let apt = |arguments: &[&str]| {
        let mut apt = program("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command::run(apt)
    };
    let installed = apt(&["update", "--quiet"]).and_then(|()| {
        let arguments = ["install", "--yes", "--quiet", "--no-install-recommends"];
        apt(&[&arguments[..], &packages].concat())
    });
    if let Err(error) = installed {
        println!("Going on without: {error:#}");
    }
}

/// A server that speaks MongoDB's protocol, for all tests of a run. It ends when its input closes, so with this
/// process at the latest.
pub(super) struct Mongodb {
    uri: String,
    state: PathBuf,
    child: Child,
}

impl Mongodb {
    /// Builds and starts it, unless the environment names one already.
    ///
    /// # Errors
    /// When Go is missing or the server does not start.
    pub(super) fn start() -> Result<Option<Self>> {
        if std::env::var_os(MONGODB).is_some_and(|uri| !uri.is_empty()) {
            println!("{MONGODB} names a MongoDB; the tests use it");
            return Ok(None);
        }
        let server = target_dir()?.join("mongo-wire/mongo-wire");
        let mut build = program("go");
        build.current_dir(root().join("tests/mongo-wire")).args(["build", "-o"]).arg(&server).arg(".");
        command::run(build)?;
        let state = std::env::temp_dir().join(format!("balanza-mongodb-{}", std::process::id()));
        let mut child = program(server)
            .args(["--until-stdin-closes", "--state"])
            .arg(&state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the MongoDB-wire server cannot be started")?;
        let mut uri = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut uri)?;
        let uri = uri.trim().trim_end_matches('/').to_owned();
        if uri.is_empty() {
            bail!("the MongoDB-wire server ended early ({})", child.wait()?);
        }
        println!("Started a server that speaks MongoDB's protocol: {uri}");
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
