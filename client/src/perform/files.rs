//! Folders and files for the screen: listed, looked into, loaded. These calls may wait for a slow disk; the one who
//! asks makes them on a thread that may wait.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::app::picker::{Entry, Preview};
use crate::clock;
use crate::command::read_file;
use crate::send::author::Seed;
use crate::send::plan::{Plan, Source};
use crate::text::{self, Split};

/// Larger files are not counted on the way, and not loaded by accident.
const LARGEST_PREVIEW: u64 = 8 * 1024 * 1024;
/// What is read of them for the preview.
const BEGINNING: u64 = 64 * 1024;
/// Lines of a preview.
const PREVIEW_LINES: usize = 60;

/// The entries of a folder.
///
/// # Errors
/// In words, when it cannot be read.
pub(super) fn list(folder: &Path) -> Result<Vec<Entry>, String> {
    let entries = fs::read_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => "You may not read this folder.".to_owned(),
        ErrorKind::NotFound => "There is no such folder.".to_owned(),
        _ => format!("This folder cannot be read: {error}."),
    })?;
    let entry = |entry: fs::DirEntry| {
        // A link counts as what it leads to; one that leads nowhere counts as a file and says so when opened.
        let metadata = fs::metadata(entry.path()).ok();
        Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_folder: metadata.as_ref().is_some_and(fs::Metadata::is_dir),
            size: metadata.map_or(0, |metadata| metadata.len()),
        }
    };
    Ok(entries.filter_map(Result::ok).map(entry).collect())
}

/// A file's encoding and first lines, and how many sentences it has unless it is very large.
///
/// # Errors
/// In words, when it is no text or cannot be read.
pub(super) fn look_into(path: &Path) -> Result<Preview, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is no plain file".to_owned());
    }
    let size = metadata.len();
    let whole = size <= LARGEST_PREVIEW;
    let bytes = if whole { read_file(path)? } else { beginning(path)? };
    let text = text::read(&bytes).map_err(|error| error.to_string())?;
    let lines = text.content.lines().filter(|line| !line.trim().is_empty()).take(PREVIEW_LINES);
    Ok(Preview {
        encoding: text.encoding,
        size,
        lines: lines.map(str::to_owned).collect(),
        n_sentences: whole.then(|| text::split(&text.content, Split::Unicode).kept.len()),
    })
}

/// The first part of a large file, up to its last whole line.
fn beginning(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    file.take(BEGINNING).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
        bytes.truncate(end);
    }
    Ok(bytes)
}

/// A text file whole, cut into sentences, with the seed of a run of its own.
///
/// # Errors
/// In words, when it is no text or cannot be read.
pub(super) fn load(path: &Path) -> Result<(Source, Plan, Seed), String> {
    let is_plain = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if is_plain {
        // A pipe or device may never end.
        return Err("is no plain file; choose a text file".to_owned());
    }
    let source = Source { name: path.display().to_string(), bytes: read_file(path)? };
    match Plan::new(std::slice::from_ref(&source), Split::Unicode) {
        Ok(plan) => Ok((source, plan, clock::new_seed())),
        Err(errors) => Err(errors.into_iter().map(|(_, error)| error.to_string()).collect()),
    }
}
