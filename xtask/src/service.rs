//! A server of ours: it is awaited until it says that it is ready, and where, and it is ended in order.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Result;

use crate::process::Process;

/// A server may take this long to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// A server that is asked to end has ten seconds by its own rule; after this it is killed.
const ENDED_WITHIN: Duration = Duration::from_secs(12);

/// A server that was ready. Dropping it kills it; [`Service::stop`] ends it in order.
#[derive(Debug)]
pub struct Service {
    process: Process,
    url: String,
}

impl Service {
    /// Starts `command` with its output in `log` and waits for its ready line.
    ///
    /// # Errors
    /// [`crate::process::Ended`] when it ends before; another error when it cannot be started or says nothing.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        let mut process = Process::start(name, command, log)?;
        let url = process.wait_for("its line `ready on`", READY_WITHIN, ready_url)?;
        Ok(Self { process, url })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Where it listens, as its ready line says, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file that its output goes to.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Fails with the last lines of its log when it has ended by itself.
    ///
    /// # Errors
    /// [`crate::process::Ended`].
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// The program itself, to pause it or to kill it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it to end and waits; kills it when it does not.
    ///
    /// # Errors
    /// When its status cannot be had.
    pub fn stop(mut self) -> Result<ExitStatus> {
        match self.process.terminate(ENDED_WITHIN)? {
            Some(status) => Ok(status),
            None => self.process.kill(),
        }
    }
}

/// `http://127.0.0.1:5000` of `balanza-backend ready on http://127.0.0.1:5000/ (…)`, which stands on a line of its own.
pub fn ready_url(output: &str) -> Option<String> {
    // Only whole lines: what was written so far may end in the middle of one.
    let lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let words = lines.filter_map(|line| line.split_once(" ready on ")?.1.split_whitespace().next());
    let mut urls = words.filter(|word| word.starts_with("http"));
    urls.next().map(|url| url.trim_end_matches(['/', ',', ';']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_it_says_so_and_ends_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let script =
            "trap 'exit 7' TERM; echo x ready on http://127.0.0.1:1/ >&2; while :; do sleep 0.01; done";
        command.args(["-c", script]);
        let mut service = Service::start("sh", command, &folder.path().join("log")).unwrap();
        assert_eq!(service.url(), "http://127.0.0.1:1");
        service.check().unwrap();
        assert_eq!(service.stop().unwrap().code(), Some(7));
    }

    #[test]
    fn the_ready_line_gives_the_address_once_it_is_whole() {
        let url = |output: &str| ready_url(output);
        assert_eq!(url("x ready on http://127.0.0.1:50"), None);
        assert_eq!(
            url("started\nbalanza-backend ready on http://127.0.0.1:5000 (store embedded)\nmore").as_deref(),
            Some("http://127.0.0.1:5000")
        );
        assert_eq!(url("balanza-lb ready on http://[::1]:4999/\n").as_deref(), Some("http://[::1]:4999"));
        assert_eq!(url("not ready on a disk that is full\n"), None);
    }
}
