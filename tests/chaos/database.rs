//! The server behind one node's `--store mongodb://…`: the one of `tests/mongo-wire`, over all its lives. Absent: what is
//! in it.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// How long a start may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A database; it may be between two lives. Dropping it kills it.
pub(crate) struct Database {
    program: PathBuf,
    state: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Database {
    /// Starts one over an empty folder, on a free port.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(program: &Path, state: &Path) -> Result<Self> {
        // It names its port only once it listens; one that is free now is free a moment later.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (program, state) = (program.to_path_buf(), state.to_path_buf());
        let mut database = Self { program, state, address, child: None };
        database.start_again().await?;
        Ok(database)
    }

    /// Its connection string, with a database.
    pub(crate) fn uri(&self) -> String {
        format!("mongodb://{}/chaos", self.address)
    }

    /// Starts it over its folder, on its port, if it does not run; returns when it takes connections.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.args(["--until-stdin-closes", "--port", &self.address.port().to_string(), "--state"]);
        command.arg(&self.state).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        let start = Instant::now();
        let child =
            command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))?;
        let child = self.child.insert(child);
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("the database ended early ({status})");
            }
            if start.elapsed() > DEADLINE {
                return Err(anyhow!("the database takes no connection within {DEADLINE:?}"));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Stops it without a word, or lets it go on.
    pub(crate) fn pause(&self, pauses: bool) {
        let pid =
            self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, if pauses { Signal::STOP } else { Signal::CONT }).ok();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.kill();
    }
}
