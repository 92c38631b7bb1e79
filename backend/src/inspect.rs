//! What an operator asks of a store that no node runs on: whether it is whole, and what can still be read of it.
//!
//! Both leave the store as it is. Absent: MongoDB, which has means of its own.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::config::StoreChoice;
use crate::store::embedded::{self, Checked, Salvaged};
use crate::transfer;

/// Checks the whole store and prints what it counted.
///
/// # Errors
/// Names what is damaged, and the remedy.
pub fn verify(choice: &StoreChoice) -> anyhow::Result<()> {
    let Checked { documents, commits, id, torn, witnessed } = embedded::verify(data_dir(choice)?)?;
    let id = id.map_or_else(|| "none yet".to_owned(), |id| id.to_string());
    let mut told = format!("whole: {documents} sentences, {commits} commits, identity {id}\n");
    if torn {
        told.push_str("a crash has torn the newest commit, and the store goes on from the one before\n");
    }
    if !witnessed {
        told.push_str("nothing beside the store tells its last commit, so that a lost one would not show\n");
    }
    std::io::stdout().write_all(told.as_bytes()).context("cannot write to standard output")
}

/// Writes what is readable to `file`, or to standard output, as `import` takes it, and tells what is lost.
///
/// # Errors
/// When nothing can be read, or `file` not be written.
pub fn salvage(choice: &StoreChoice, file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(transfer::output(file)?);
    let mut written = Ok(());
    let salvaged = embedded::salvage(data_dir(choice)?, |document| {
        if written.is_ok() {
            written = serde_json::to_writer(&mut out, &document).map_err(Into::into);
            written = std::mem::replace(&mut written, Ok(())).and_then(|()| out.write_all(b"\n"));
        }
    })?;
    written.and_then(|()| out.flush()).context("cannot write all of it")?;
    let Salvaged { documents, lost, damages, n_damages } = salvaged;
    let mut told = String::new();
    for damage in &damages {
        told.push_str(&format!("damaged: {damage}\n"));
    }
    let untold = n_damages.saturating_sub(damages.len() as u64);
    if untold > 0 {
        told.push_str(&format!("damaged: {untold} places more\n"));
    }
    let lost =
        lost.map_or_else(|| "how many are lost cannot be told".to_owned(), |lost| format!("{lost} lost"));
    told.push_str(&format!("{documents} sentences written, {lost}\n"));
    std::io::stderr().write_all(told.as_bytes()).context("cannot write to standard error")
}

fn data_dir(choice: &StoreChoice) -> anyhow::Result<&Path> {
    match choice {
        StoreChoice::Embedded(data_dir) => Ok(data_dir),
        StoreChoice::Mongo { .. } => {
            bail!("this is for the embedded store; MongoDB has `validate`, and `mongodump` for backups")
        }
    }
}
