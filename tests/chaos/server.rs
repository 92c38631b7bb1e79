//! One of our programs over all its lives: started on a free port, started again on the same one, killed, stopped, ended
//! in order. Absent: when and why.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use harness::Program;

/// Between two tries to start.
const PAUSE: Duration = Duration::from_millis(50);

/// A program with its arguments; it may be between two lives. Dropping it kills it.
pub(crate) struct Server {
    name: String,
    path: PathBuf,
    arguments: Vec<OsString>,
    address: SocketAddr,
    program: Option<Program>,
    /// What its former lives wrote.
    logs: Vec<String>,
}

impl Server {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it ends before it is ready, or is not ready in time.
    pub(crate) async fn start(name: &str, path: &Path, arguments: Vec<OsString>) -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let program = launch(name, path, &arguments, any).await?;
        let address = program.address().parse().with_context(|| format!("{name} is on {}", program.url()))?;
        let (name, path) = (name.to_owned(), path.to_path_buf());
        Ok(Self { name, path, arguments, address, program: Some(program), logs: Vec::new() })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens in all its lives.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it on its port, if it does not run. What it needs may be gone for a moment, so that is tried for a while.
    ///
    /// # Errors
    /// With what it wrote, when it does not start `within` the time.
    pub(crate) async fn start_again(&mut self, within: Duration) -> Result<()> {
        let start = Instant::now();
        while self.program.is_none() {
            match launch(&self.name, &self.path, &self.arguments, self.address).await {
                Ok(program) => self.program = Some(program),
                Err(error) if start.elapsed() > within => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Ok(())
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.kill_9();
            self.logs.push(program.log());
        }
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) async fn terminate(&mut self) -> Result<Option<ExitStatus>> {
        let Some(mut program) = self.program.take() else { return Ok(None) };
        let ended = tokio::task::spawn_blocking(move || {
            let status = program.terminate();
            (status, program.log())
        });
        let (status, log) = ended.await.map_err(|_| anyhow!("{} does not end on SIGTERM", self.name))?;
        self.logs.push(log);
        Ok(Some(status))
    }

    /// Stops it without a word.
    pub(crate) fn pause(&self) {
        self.program.iter().for_each(Program::pause);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.program.iter().for_each(Program::resume);
    }

    /// Asks it to read its configuration anew.
    pub(crate) fn reload(&self) {
        self.program.iter().for_each(Program::ask_to_reload);
    }

    /// Fails when it runs by our will and not by its own.
    ///
    /// # Errors
    /// With the end of what it wrote.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(program) = &self.program else { return Ok(()) };
        // One that ended and was not waited for is a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            let log = program.log();
            let before = log.lines().count().saturating_sub(15);
            bail!(
                "{} died by itself; it wrote:\n{}",
                self.name,
                log.lines().skip(before).collect::<Vec<_>>().join("\n")
            );
        }
        Ok(())
    }

    /// What it wrote in all its lives.
    pub(crate) fn log(&self) -> String {
        let now = self.program.iter().map(Program::log);
        let lives: Vec<String> = self.logs.iter().cloned().chain(now).collect();
        lives.join("\n--- killed or ended, and started again ---\n")
    }
}

async fn launch(name: &str, path: &Path, arguments: &[OsString], listen: SocketAddr) -> Result<Program> {
    let mut command = Program::command_at(path);
    command.args(arguments).args(["--listen", &listen.to_string()]);
    // A group of its own: Ctrl-C reaches only this program, which then ends all it started.
    command.process_group(0);
    let own = name.to_owned();
    let started = tokio::task::spawn_blocking(move || Program::start(&own, command)).await;
    match started {
        Ok(Ok(program)) => Ok(program),
        Ok(Err(ended)) => bail!("{name} did not start: {ended}"),
        Err(_) => bail!("{name} was not ready in time"),
    }
}
