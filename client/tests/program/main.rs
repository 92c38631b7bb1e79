//! The real program against a scripted balancer: scripted forms, the menu by lines, and the full screen in tmux.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits with a deadline, and reads what it requires from the environment"
)]

mod plain;
mod screen;
mod scripted;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A place of its own for one test: a folder for files and for journals.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The journals of broken runs.
    pub(crate) fn journals(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("balanza")).map_or(0, Iterator::count)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program, with this place as its state and nothing of the tester's environment.
    pub(crate) fn balanza(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_balanza"));
        command
            .args(arguments)
            .env_clear()
            .env("XDG_STATE_HOME", self.folder.path())
            .current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.balanza(arguments).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        use std::io::Write;
        let mut child = self.balanza(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A program that ends before it has read everything is no fault of the test.
        drop(child.stdin.take().unwrap().write_all(input));
        Ended::from(child.wait_with_output().unwrap())
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(
            !ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'),
            "no escape without a terminal: {ended:?}"
        );
        ended
    }
}
