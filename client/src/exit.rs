//! How the program ends. PURE.

use std::process::ExitCode;

/// The exit statuses that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Something was not: a sentence was not stored, or the balancer refused.
    Failed,
    /// The command line or a file is at fault; nothing was sent.
    Usage,
    /// The balancer cannot be reached.
    Unreachable,
    /// Ended by Ctrl-C.
    Interrupted,
    /// Ended by SIGTERM.
    Terminated,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}

/// Why a command ended early: what to say on standard error, and with which status to end.
#[derive(Debug)]
pub struct Failure {
    /// The status.
    pub exit: Exit,
    /// Problem and remedy, a line each; empty when there is nothing to say.
    pub lines: Vec<String>,
}

impl Failure {
    /// The command line or a file is at fault.
    pub fn usage(line: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, lines: vec![line.into()] }
    }
}

impl From<std::io::Error> for Failure {
    /// Standard output cannot be written. A reader that has seen enough, such as `head`, is no failure.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, lines: Vec::new() };
        }
        Self { exit: Exit::Failed, lines: vec![format!("the output cannot be written: {error}")] }
    }
}
