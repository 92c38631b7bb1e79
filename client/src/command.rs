//! The scripted forms, a file each, and what they share: reading files and ending on a signal.

pub(crate) mod fleet;
pub(crate) mod send;
pub(crate) mod sentences;
pub(crate) mod split;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, Failure};
use crate::send::plan::{Plan, Source};
use crate::text::Split;

/// Reads files whole; `-` is standard input.
pub(crate) fn read_files(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match read_file(path) {
            Ok(bytes) => sources.push(Source { name: path.display().to_string(), bytes }),
            Err(problem) => errors.push(format!("{}: {problem}", path.display())),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(Failure { exit: Exit::Usage, lines: errors }) }
}

/// Reads one file whole.
///
/// # Errors
/// In words, with what to do about it.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        if std::io::stdin().is_terminal() {
            return Err("standard input is a terminal; pipe a text into it, or name a file".to_owned());
        }
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| format!("cannot be read: {error}"));
    }
    if path.is_dir() {
        return Err("is a directory; name a text file in it".to_owned());
    }
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
        std::io::ErrorKind::PermissionDenied => "you may not read it; check its permissions".to_owned(),
        _ => format!("cannot be read: {error}"),
    })
}

/// Splits files, and says on standard error what should be known about them.
pub(crate) fn plan(sources: &[Source], rule: Split) -> Result<Plan, Failure> {
    let plan = Plan::new(sources, rule).map_err(|errors| Failure {
        exit: Exit::Usage,
        lines: errors.iter().map(|(name, error)| format!("{name}: {error}")).collect(),
    })?;
    for file in &plan.files {
        if let Some(note) = file.encoding.note() {
            say(&format!("{}: {note}", file.name));
        }
    }
    for fault in &plan.faults {
        say(&format!("{}, line {}: {}", fault.file, fault.line, fault.cause));
    }
    Ok(plan)
}

/// Writes a line on standard error. Where nobody can read it, there is nobody to tell.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "balanza: {}", crate::printable::printable(line)));
}

/// Waits for the first signal that asks the program to end.
pub(crate) async fn asked_to_end() -> Exit {
    let signals =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
        _ = hangup.recv() => Exit::Terminated,
    }
}
