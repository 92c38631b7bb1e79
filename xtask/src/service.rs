//! A server that a command starts: its log goes to a file, it is awaited until ready, and it is ended in order.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A server may take this long to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// A server that is asked to end has ten seconds by its own rule; after this it is killed.
const ENDED_WITHIN: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(20);
/// How much of a log is shown with a failure.
const LAST_LINES: usize = 15;

/// A running server. Dropping it kills it; [`Service::stop`] ends it in order.
pub(crate) struct Service {
    name: String,
    child: Child,
    log: PathBuf,
    url: String,
}

impl Service {
    /// Starts `command` with its output in `log` and waits for its ready line.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        // A group of its own, so that Ctrl-C reaches only this command, which then ends its servers in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("BALANZA_") {
                command.env_remove(key);
            }
        }
        let file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let mut service = Self { name: name.to_owned(), child, log: log.to_path_buf(), url: String::new() };
        service.url = service.await_ready()?;
        Ok(service)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens, as its ready line says.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The file that its output goes to.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Fails with the last lines of its log when it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status}); {}", self.name, self.last_lines()),
        }
    }

    /// Asks it to end and waits; kills it when it does not.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already, which `try_wait` tells.
            kill_process(pid, Signal::TERM).ok();
        }
        let start = now();
        while start.elapsed() < ENDED_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            pause();
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    fn await_ready(&mut self) -> Result<String> {
        let start = now();
        while start.elapsed() < READY_WITHIN {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            // Only whole lines: the file may end in the middle of one.
            let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let url = lines.filter_map(|line| line.split_once(" ready on ")).find_map(|(_, rest)| {
                rest.split_whitespace().next().map(|url| url.trim_end_matches('/').to_owned())
            });
            if let Some(url) = url {
                return Ok(url);
            }
            self.check()?;
            pause();
        }
        bail!("{} was not ready within {READY_WITHIN:?}; {}", self.name, self.last_lines())
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let n_before = log.lines().count().saturating_sub(LAST_LINES);
        let last = log.lines().skip(n_before).collect::<Vec<_>>().join("\n  ");
        format!("the last lines of {}:\n  {last}", self.log.display())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // After `stop` both fail, which is as it should be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines for child processes")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "no runtime thread is here to be blocked")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<Service> {
        let log = std::env::temp_dir().join(format!("xtask-service-{}-{}", std::process::id(), script.len()));
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Service::start("sh", command, &log)
    }

    #[test]
    fn a_server_that_dies_early_is_told_with_its_last_lines() {
        let error = start("echo the port is taken >&2; exit 3").err().unwrap().to_string();
        assert!(error.contains("exit status: 3") && error.contains("the port is taken"), "{error}");
    }

    #[test]
    fn a_server_is_ready_when_it_says_so_and_ends_when_asked() {
        let script =
            "trap 'exit 7' TERM; echo x ready on http://127.0.0.1:1/ >&2; while :; do sleep 0.01; done";
        let mut service = start(script).unwrap();
        assert_eq!(service.url(), "http://127.0.0.1:1");
        service.check().unwrap();
        let log = service.log().to_path_buf();
        assert_eq!(service.stop().unwrap().code(), Some(7));
        std::fs::remove_file(log).unwrap();
    }
}
