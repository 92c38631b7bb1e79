//! One real program as a child process: started, awaited until ready, paused, killed, ended, and its log kept.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::DEADLINE;

/// A running program. Dropping it kills it.
pub struct Program {
    name: String,
    child: Child,
    log: Arc<Log>,
    url: String,
}

/// How a program ended that was to become ready.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// All that it wrote to standard error and standard output.
    pub output: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; it wrote:\n{}", self.status, self.output)
    }
}

#[derive(Default)]
struct Log {
    written: Mutex<Written>,
    more: Condvar,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    /// Streams that have not ended.
    open: u8,
}

impl Log {
    fn follow(self: &Arc<Self>, stream: impl std::io::Read + Send + 'static) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).open += 1;
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                log.written.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
                log.more.notify_all();
            }
            log.written.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
            log.more.notify_all();
        });
    }

    fn text(&self) -> String {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }

    /// The address in the ready line, or `None` when the streams ended or the deadline passed without one.
    fn ready_url(&self) -> Option<String> {
        let start = Instant::now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(url) = written.lines.iter().find_map(|line| url_of_ready_line(line)) {
                return Some(url);
            }
            let left = DEADLINE.checked_sub(start.elapsed())?;
            if written.open == 0 {
                return None;
            }
            written = self.more.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// `http://127.0.0.1:5000` of `balanza-backend ready on http://127.0.0.1:5000 (…)`.
fn url_of_ready_line(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" ready on ")?;
    let url = rest.split_whitespace().next()?;
    url.starts_with("http").then(|| url.trim_end_matches(['/', ',', ';']).to_owned())
}

/// The built program of this name, from the target directory that this test runs from.
///
/// # Panics
/// When it was not built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(|deps| deps.parent());
    let path = profile.unwrap_or_else(|| panic!("{} lies in no deps folder", test.display())).join(name);
    assert!(path.is_file(), "{} is not built; run `cargo build --workspace --bins` first", path.display());
    path
}

impl Program {
    /// A command for the built program of this name, without this process's `BALANZA_…` variables.
    ///
    /// The tests of one crate know their program's path from cargo, which builds it for them: [`Self::command_at`].
    pub fn command(name: &str) -> Command {
        Self::command_at(binary(name))
    }

    /// A command for the program at `path`, without this process's `BALANZA_…` variables.
    pub fn command_at(path: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(path);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("BALANZA_") {
                command.env_remove(key);
            }
        }
        command
    }

    /// Starts `command` and waits for its ready line.
    ///
    /// # Errors
    /// When it ends before it is ready.
    ///
    /// # Panics
    /// When it does neither within the deadline.
    pub fn start(name: &str, mut command: Command) -> Result<Self, Ended> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let log = Arc::new(Log::default());
        log.follow(child.stderr.take().unwrap());
        log.follow(child.stdout.take().unwrap());
        match log.ready_url() {
            Some(url) => Ok(Self { name: name.to_owned(), child, log, url }),
            None if log.written.lock().unwrap_or_else(PoisonError::into_inner).open == 0 => {
                Err(Ended { status: child.wait().unwrap(), output: log.text() })
            }
            None => {
                drop(child.kill());
                drop(child.wait());
                panic!("{name} was not ready within {DEADLINE:?}; it wrote:\n{}", log.text())
            }
        }
    }

    /// Where it listens, as its ready line says, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port of [`Self::url`].
    pub fn address(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill_9(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Stops it without a word; it keeps its sockets and answers nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    /// When it has not ended within the deadline.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.ended()
    }

    /// Asks it to end, and does not wait.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to read its configuration anew.
    pub fn ask_to_reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it has not within the deadline.
    pub fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "{} does not end:\n{}", self.name, self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("{} takes no {signal:?}: {error}", self.name));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            // Through the print macro, so that the test runner shows it with the failed test.
            println!("--- {} ({}) wrote:\n{}\n", self.name, self.url, self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;

    #[test]
    fn the_ready_line_gives_the_address() {
        let url = |line: &str| url_of_ready_line(line);
        assert_eq!(
            url("balanza-backend ready on http://127.0.0.1:5000 (store embedded)").as_deref(),
            Some("http://127.0.0.1:5000")
        );
        assert_eq!(url("balanza-lb ready on http://[::1]:4999").as_deref(), Some("http://[::1]:4999"));
        assert_eq!(url("listening"), None);
    }

    #[test]
    fn a_program_that_ends_is_told_with_what_it_wrote() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no port >&2; exit 3"]);
        let ended = Program::start("sh", command).err().unwrap();
        assert_eq!((ended.status.code(), ended.output.as_str()), (Some(3), "no port"));
    }

    #[tokio::test]
    async fn a_ready_program_is_paused_resumed_and_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'exit 7' TERM; echo x ready on http://127.0.0.1:1/ >&2; while :; do read x </dev/zero; done"]);
        let mut program = Program::start("sh", command).unwrap();
        assert_eq!((program.url(), program.address()), ("http://127.0.0.1:1", "127.0.0.1:1"));
        let stat = format!("/proc/{}/stat", program.pid());
        let stopped = || std::fs::read_to_string(&stat).unwrap().contains(") T ");
        program.pause();
        eventually("stopped", async || stopped().then_some(()).ok_or_else(String::new)).await;
        program.resume();
        eventually("running", async || (!stopped()).then_some(()).ok_or_else(String::new)).await;
        program.kill_9();
        assert!(!std::fs::exists(&stat).unwrap(), "it is gone and was waited for");
    }

    #[test]
    fn a_program_that_is_asked_to_end_gives_its_status() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "trap 'exit 7' TERM; echo x ready on http://127.0.0.1:1 >&2; while :; do sleep 0.01; done",
        ]);
        let mut program = Program::start("sh", command).unwrap();
        assert_eq!(program.terminate().code(), Some(7));
    }
}
