//! The nodes and the balancer of a demo: started, watched, started again, ended in order. Absent: what is done with them.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use xtask::command;
use xtask::service::Service;

/// How often a standing system is looked at, whether its servers still live.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where a system comes from and where it goes to.
pub(super) struct Place {
    /// The folder of the programs.
    pub(super) binaries: PathBuf,
    /// The folder of stores and logs.
    pub(super) folder: PathBuf,
    /// The balancer's port; the nodes take the ports after it.
    pub(super) base_port: u16,
}

/// Everything that runs. The balancer is dropped before its nodes.
pub(super) struct System {
    pub(super) balancer: Service,
    pub(super) nodes: Vec<Service>,
    place: Place,
    /// How often a node was started again.
    restarts: u32,
}

impl System {
    /// Starts so many nodes, and the balancer over them.
    pub(super) fn start(place: Place, n_nodes: u16) -> Result<Self> {
        println!("Starting {n_nodes} nodes and the balancer; their logs:");
        let mut nodes = Vec::new();
        for number in 1..=n_nodes {
            let node = place.start_node(number, "")?;
            println!("  {}    {}  {}", node.name(), node.url(), node.log().display());
            nodes.push(node);
        }
        let balancer = place.start_balancer(&nodes)?;
        println!("  balancer  {}  {}", balancer.url(), balancer.log().display());
        Ok(Self { balancer, nodes, place, restarts: 0 })
    }

    /// Fails when a server has died.
    pub(super) fn check(&mut self) -> Result<()> {
        self.nodes.iter_mut().chain([&mut self.balancer]).try_for_each(Service::check)
    }

    /// Waits for a node to die, and says which and its name; nothing when someone wants the demo to end first.
    pub(super) fn await_death(&mut self, stop: &Receiver<i32>) -> Result<Option<(usize, String)>> {
        while matches!(stop.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
            self.balancer.check()?;
            let mut nodes = self.nodes.iter_mut().enumerate();
            let died =
                nodes.find_map(|(at, node)| node.check().is_err().then(|| (at, node.name().to_owned())));
            if died.is_some() {
                return Ok(died);
            }
        }
        Ok(None)
    }

    /// Starts a node that died over its own store, with a new log.
    pub(super) fn start_again(&mut self, at: usize) -> Result<&Service> {
        let number = u16::try_from(at)? + 1;
        let node = self.nodes.get_mut(at).with_context(|| format!("there is no node {number}"))?;
        self.restarts += 1;
        *node = self.place.start_node(number, &format!("-{}", self.restarts + 1))?;
        Ok(node)
    }

    /// Ends the balancer, then its nodes; fails when one did not end in order.
    pub(super) fn stop(self) -> Result<()> {
        println!("\nStopping.");
        let mut outcome = Ok(());
        for service in std::iter::once(self.balancer).chain(self.nodes) {
            let name = service.name().to_owned();
            let status = service.stop()?;
            if outcome.is_ok() && !status.success() {
                outcome = Err(anyhow!("{name} did not end in order ({status})"));
            }
        }
        outcome
    }
}

impl Place {
    fn start_node(&self, number: u16, run: &str) -> Result<Service> {
        let name = node_name(number);
        let node = self.server("balanza-backend", self.base_port + number, &name);
        Service::start(&format!("node {name}"), node, &self.folder.join(format!("{name}{run}.log")))
    }

    fn start_balancer(&self, nodes: &[Service]) -> Result<Service> {
        let mut balancer = self.server("balanza-lb", self.base_port, "balancer");
        for (number, node) in (1..).zip(nodes) {
            balancer.args(["--node", &format!("{}={}", node_name(number), node.url())]);
        }
        Service::start("the balancer", balancer, &self.folder.join("balancer.log"))
    }

    /// One of our servers, in a group of its own: Ctrl-C reaches only this command, which then ends its servers in order.
    fn server(&self, program: &str, port: u16, data: &str) -> Command {
        let mut server = command::program(self.binaries.join(program));
        server.args(["--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(self.folder.join(data));
        server.process_group(0);
        server
    }
}

/// Fails, with a way out, when a port that the system would take is taken.
pub(super) fn check_ports(base: u16, n_nodes: u16) -> Result<()> {
    for port in base..=base.saturating_add(n_nodes) {
        if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
            bail!(
                "port {port} cannot be used ({error}); end what uses it, or move the demo with `--base-port {}`",
                if base < 14_999 { 14_999 } else { 24_999 }
            );
        }
    }
    Ok(())
}

/// A, B, … Z, then N27, N28, ….
fn node_name(number: u16) -> String {
    match u8::try_from(number) {
        Ok(small @ 1..=26) => char::from(b'A' + small - 1).to_string(),
        _ => format!("N{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_ports(port, 0).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port}")) && error.contains("--base-port"), "{error}");
    }

    #[test]
    fn nodes_have_short_names() {
        assert_eq!([1, 2, 26, 27].map(node_name), ["A", "B", "Z", "N27"]);
    }
}
