//! A program that runs on beside this one: its output goes to a log, it is looked at until it shows what is waited for,
//! and it is ended by its id. Absent: what its output means, and what becomes of the programs that it starts.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// Between two looks at a program.
const PAUSE: Duration = Duration::from_millis(10);
/// How much of a log is shown with a failure.
const LAST_LINES: usize = 15;

/// A running program. Dropping it kills it; [`Process::terminate`] lets it end in order.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A program that ended by itself. An error of this module is one when [`anyhow::Error::downcast_ref`] finds it.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// All that it wrote.
    pub output: String,
    log: PathBuf,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.status, last_lines(&self.output, &self.log))
    }
}

impl std::error::Error for Ended {}

impl Process {
    /// Starts `command` with both its outputs in the file `log`, which is made anew, and with no input.
    ///
    /// It gets the `BALANZA_…` variables that `command` sets, and none that this process happens to have: a run must be
    /// the same in every shell.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        for key in strangers(std::env::vars_os().map(|(key, _)| key), &command) {
            command.env_remove(key);
        }
        let file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that its output goes to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// All that it has written so far; its last line may be half of one.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Looks at its output again and again until `look` finds something in it, or elsewhere.
    ///
    /// # Errors
    /// [`Ended`] when it ended first; another error when nothing was found `within` the time.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let start = now();
        loop {
            // The status first, so that the look sees all that an ended program wrote.
            let ended = self.child.try_wait()?;
            let output = self.output();
            if let Some(found) = look(&output) {
                return Ok(found);
            }
            if let Some(status) = ended {
                let ended = Ended { status, output, log: self.log.clone() };
                return Err(ended).with_context(|| format!("{} ended before {what}", self.name));
            }
            if start.elapsed() >= within {
                let last = last_lines(&output, &self.log);
                bail!("{} gave no sign of {what} within {within:?}; {last}", self.name);
            }
            pause();
        }
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    /// [`Ended`], with the last lines of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let ended = Ended { status, output: self.output(), log: self.log.clone() };
                Err(ended).with_context(|| format!("{} ended by itself", self.name))
            }
        }
    }

    /// Sends it a signal. It may have ended already, which is no failure: [`Self::check`] tells.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal).ok();
        }
    }

    /// Asks it to end and waits for that; `None` when it still runs after `within`.
    ///
    /// # Errors
    /// When its status cannot be had.
    pub fn terminate(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        // An id that was waited for may be another program's by now.
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        self.signal(Signal::TERM);
        let start = now();
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            pause();
        }
        Ok(None)
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// When its status cannot be had.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has been waited for is neither killed nor waited for again.
        self.kill().ok();
    }
}

/// The variables of ours among `inherited` that `command` says nothing about.
fn strangers(inherited: impl Iterator<Item = OsString>, command: &Command) -> Vec<OsString> {
    let own: Vec<&OsStr> = command.get_envs().map(|(key, _)| key).collect();
    inherited
        .filter(|key| key.to_string_lossy().starts_with("BALANZA_") && !own.contains(&key.as_os_str()))
        .collect()
}

fn last_lines(output: &str, log: &Path) -> String {
    let before = output.lines().count().saturating_sub(LAST_LINES);
    let last = output.lines().skip(before).collect::<Vec<_>>().join("\n  ");
    format!("the last lines of {}:\n  {last}", log.display())
}

#[expect(clippy::disallowed_methods, reason = "deadlines for other programs")]
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

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> (Process, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Process::start("sh", command, &folder.path().join("log")).unwrap(), folder)
    }

    fn said(word: &str) -> impl Fn(&str) -> Option<()> {
        move |output| output.contains(word).then_some(())
    }

    #[test]
    fn a_program_that_ends_is_told_with_its_status_and_what_it_wrote() {
        let (mut process, _folder) = shell("echo the port is taken >&2; exit 3");
        let error = process.wait_for("its word", LONG, said("ready")).unwrap_err();
        let shown = format!("{error:#}");
        assert!(shown.contains("sh ended before its word") && shown.contains("the port is taken"), "{shown}");
        let ended = error.downcast_ref::<Ended>().unwrap();
        assert_eq!((ended.status.code(), ended.output.as_str()), (Some(3), "the port is taken\n"));
        assert!(process.check().unwrap_err().downcast_ref::<Ended>().is_some());
    }

    #[test]
    fn the_last_word_of_a_program_that_ended_counts() {
        let (mut process, _folder) = shell("echo ready");
        process.wait_for("its end", LONG, |_| None::<()>).unwrap_err();
        process.wait_for("its word", LONG, said("ready")).unwrap();
    }

    #[test]
    fn a_silent_program_is_not_waited_for_without_end() {
        let (mut process, _folder) = shell("while :; do sleep 0.01; done");
        let error = process.wait_for("its word", Duration::ZERO, said("ready")).unwrap_err();
        assert!(error.to_string().contains("no sign of its word"), "{error}");
        assert!(error.downcast_ref::<Ended>().is_none());
    }

    #[test]
    fn a_program_ends_as_it_is_asked_to() {
        let (mut process, _folder) = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        process.wait_for("its word", LONG, said("ready")).unwrap();
        process.check().unwrap();
        assert_eq!(process.terminate(LONG).unwrap().unwrap().code(), Some(7));
    }

    #[test]
    fn a_deaf_program_is_killed() {
        let (mut process, _folder) = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        process.wait_for("its word", LONG, said("ready")).unwrap();
        assert!(process.terminate(Duration::ZERO).unwrap().is_none());
        assert_eq!(process.kill().unwrap().code(), None);
        assert!(!Path::new(&format!("/proc/{}", process.id())).exists(), "it was waited for");
    }

    #[test]
    fn a_program_does_not_inherit_our_settings_but_gets_its_own() {
        let mut command = Command::new("sh");
        command.env("BALANZA_POLICY", "p2c").env_remove("BALANZA_NODE");
        let inherited = ["PATH", "BALANZA_POLICY", "BALANZA_NODE", "BALANZA_LISTEN"].map(OsString::from);
        assert_eq!(strangers(inherited.into_iter(), &command), ["BALANZA_LISTEN"]);
    }
}
