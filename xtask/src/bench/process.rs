//! A program under measurement: started with its output in a log, watched from outside through `/proc`, and ended by
//! its id. Owns CPU time and memory of a process with its children. Measures nothing inside the process.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::clock;

/// How long a program may take to become ready.
const START: Duration = Duration::from_secs(20);
/// How long a program may take to end before it is killed.
const END: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);
/// The unit of the times in `/proc/PID/stat`; fixed at 100 a second by the kernel's interface.
const TICK_NS: u64 = 10_000_000;

/// A running program. Ended when dropped, and by the kernel when this program ends first.
pub(super) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with its output in `target/bench/logs/NAME.log`.
    pub(super) fn start(name: &str, command: &Command) -> Result<Self> {
        let folder = super::build::folder().join("logs");
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = bound(command)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("`{name}` cannot be started through `setpriv`"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The output so far.
    pub(super) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `found` finds something in the output.
    pub(super) fn wait_for<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.wait(what, |running| found(&running.output()))
    }

    /// Waits for the first line of our own programs, and gives the address in it.
    pub(super) fn wait_for_ready_line(&mut self) -> Result<SocketAddr> {
        self.wait_for("its line `ready on`", |output| {
            // Only whole lines: the log may end in the middle of one.
            let mut lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let (_, rest) = lines.find_map(|line| line.split_once(" ready on http://"))?;
            rest.split_whitespace().next()?.trim_end_matches('/').parse().ok()
        })
    }

    /// Waits until `address` accepts connections.
    pub(super) fn wait_until_open(&mut self, address: SocketAddr) -> Result<()> {
        self.wait(&format!("a listener on {address}"), |_| TcpStream::connect(address).ok().map(drop))
    }

    fn wait<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> Result<T> {
        let deadline = clock::now() + START;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                // What it said last may have come since the look.
                if let Some(found) = look(self) {
                    return Ok(found);
                }
                bail!("{} ended ({status}) before {what}:\n{}", self.name, self.output());
            }
            if clock::now() > deadline {
                bail!("{} gave no sign of {what} in {START:?}:\n{}", self.name, self.output());
            }
            clock::pause(LOOK);
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// CPU time used so far by the process, its children, and all their threads.
    pub(super) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.tree().into_iter().map(cpu_ns).sum())
    }

    /// Resident memory of the process and its children, in kB.
    pub(super) fn rss_kb(&self) -> u64 {
        self.tree().into_iter().map(|pid| status_kb(pid, "VmRSS:")).sum()
    }

    /// The process and all that descend from it.
    pub(super) fn tree(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut at = 0;
        while let Some(&pid) = found.get(at) {
            found.extend(children(pid));
            at += 1;
        }
        found
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // A supervisor such as nginx's master ends its workers itself when asked; killing it would leave them.
        signal(self.child.id(), Signal::TERM);
        let deadline = clock::now() + END;
        while clock::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            clock::pause(LOOK);
        }
        for pid in self.tree() {
            signal(pid, Signal::KILL);
        }
        drop(self.child.wait());
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile, which is what was wanted.
        kill_process(pid, signal).ok();
    }
}

/// `command`, to be ended by the kernel when this program ends, whatever ends it.
pub(super) fn bound(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
    bound.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    bound.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    bound
}

/// CPU time of one process in nanoseconds.
///
/// The scheduler's own sums are exact but forget threads that have ended; `stat` remembers them, to a tick.
fn cpu_ns(pid: u32) -> u64 {
    let mut living = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        living += text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    }
    living.max(stat_ticks(pid, 2) * TICK_NS)
}

/// The first `fields` of: user and system time of the process, user and system time of the children it has buried.
fn stat_ticks(pid: u32, fields: usize) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; the times are fields 14 to 17 of the whole.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(fields)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}

fn status_kb(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// CPU time so far of every process on the machine but this one and those in `ours`, to the tick.
///
/// The buried children belong to it, or a compiler's time would vanish with each of its processes.
pub(super) fn cpu_of_others(ours: &[u32]) -> Duration {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Duration::from_nanos(
        pids.filter(|pid| !ours.contains(pid) && *pid != std::process::id())
            .map(|pid| stat_ticks(pid, 4) * TICK_NS)
            .sum(),
    )
}

/// A port that was free a moment ago, for programs that cannot say which port they were given.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
