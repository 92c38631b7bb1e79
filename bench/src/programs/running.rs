//! A program under measurement: started with its output below `target/bench/logs`, accounted with its children, and
//! ended with them, by the kernel too when this program ends first.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use xtask::process::Process;
use xtask::service::ready_url;

use super::{account, build};

/// How long a program may take to become ready.
const START: Duration = Duration::from_secs(20);
/// How long a program may take to end before it is killed.
const END: Duration = Duration::from_secs(5);

/// A running program. Ended when dropped, and by the kernel when this program ends first.
pub(crate) struct Running {
    process: Process,
}

impl Running {
    /// Starts `command` with its output in `target/bench/logs/NAME.log`.
    pub(crate) fn start(name: &str, command: &Command) -> Result<Self> {
        let folder = build::folder().join("logs");
        std::fs::create_dir_all(&folder)?;
        let process = Process::start(name, bound(command), &folder.join(format!("{name}.log")))?;
        Ok(Self { process })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until `found` finds something in the output.
    pub(crate) fn wait_for<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.process.wait_for(what, START, found)
    }

    /// Waits for the first line of our own programs, and gives the address in it.
    pub(crate) fn wait_for_ready_line(&mut self) -> Result<SocketAddr> {
        let url = self.wait_for("its line `ready on`", ready_url)?;
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        address.with_context(|| format!("{} says that it is ready on {url}", self.process.name()))
    }

    /// Waits until `address` accepts connections.
    pub(crate) fn wait_until_open(&mut self, address: SocketAddr) -> Result<()> {
        self.wait_for(&format!("a listener on {address}"), |_| TcpStream::connect(address).ok().map(drop))
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        self.process.check().is_err()
    }

    /// CPU time used so far by the process, its children, and all their threads.
    pub(crate) fn cpu(&self) -> Duration {
        account::cpu(&self.tree())
    }

    /// Resident memory of the process and its children, in kB.
    pub(crate) fn rss_kb(&self) -> u64 {
        account::rss_kb(&self.tree())
    }

    /// The process and all that descend from it.
    pub(crate) fn tree(&self) -> Vec<u32> {
        account::tree(self.process.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A supervisor such as nginx's master ends its workers itself when asked; killing it would leave them.
        if !matches!(self.process.terminate(END), Ok(Some(_))) {
            let ids = self.tree().into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            for pid in ids {
                // It may have ended meanwhile, which is what was wanted.
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

/// `command`, to be ended by the kernel when this program ends, whatever ends it.
pub(crate) fn bound(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(key, value),
            None => bound.env_remove(key),
        };
    }
    bound.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    bound
}

/// A port that was free a moment ago, for programs that cannot say which port they were given.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_bound_command_is_the_same_command() {
        let mut command = Command::new("nginx");
        command.args(["-p", "a b"]).env("NODE_A", "x").env_remove("BALANZA_NODE").current_dir("/tmp");
        let bound = bound(&command);
        assert_eq!(bound.get_program(), "setpriv");
        assert_eq!(bound.get_args().collect::<Vec<_>>(), ["--pdeathsig", "TERM", "nginx", "-p", "a b"]);
        assert_eq!(bound.get_current_dir(), Some(Path::new("/tmp")));
        let variables = [("BALANZA_NODE", None), ("NODE_A", Some("x"))];
        let expected = variables.map(|(key, value)| (OsStr::new(key), value.map(OsStr::new)));
        assert_eq!(bound.get_envs().collect::<Vec<_>>(), expected);
    }
}
