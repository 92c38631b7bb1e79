//! Moves sentences between stores as NDJSON: one stored sentence per line, with its id and its date.
//!
//! An import is repeatable: what is stored already stays as it is.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use wire::contract::{MAX_AUTHOR_BYTES, MAX_SENTENCE_BODY_BYTES, MAX_SENTENCE_BYTES};
use wire::{NewSentence, StoredSentence};

use crate::config::StoreChoice;
use crate::fence::Pass;
use crate::open_store;
use crate::store::{Entry, Outcome, Query, Store};

/// Sentences that are imported at once.
const BATCH: usize = 2_000;

/// Writes every sentence of the store to `file`, or to standard output.
///
/// # Errors
/// When the store cannot be read to its end, or the file not be written.
pub async fn export(choice: &StoreChoice, file: Option<PathBuf>) -> anyhow::Result<()> {
    let (store, _) = open_store(choice).await?;
    let out = output(file)?;
    let written = write_all(&*store, BufWriter::new(out)).await;
    store.close().await;
    written
}

/// Where sentences are written: `file`, or standard output.
pub(crate) fn output(file: Option<PathBuf>) -> anyhow::Result<Box<dyn Write>> {
    Ok(match &file {
        Some(path) => {
            let file = std::fs::File::create(path);
            Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    })
}

/// Stores every sentence of `file`, or of standard input.
///
/// # Errors
/// Names the first line that is no stored sentence; the lines before it are stored.
pub async fn import(choice: &StoreChoice, file: Option<PathBuf>) -> anyhow::Result<()> {
    let (store, _) = open_store(choice).await?;
    let input: Box<dyn Read> = match &file {
        Some(path) => {
            let file = std::fs::File::open(path);
            Box::new(file.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => Box::new(std::io::stdin().lock()),
    };
    let read = read_all(&store, BufReader::new(input)).await;
    store.close().await;
    let Imported { stored, duplicates } = read?;
    writeln!(std::io::stderr(), "{stored} sentences stored, {duplicates} were stored already")?;
    Ok(())
}

/// What became of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Sentences stored now.
    pub stored: u64,
    /// Sentences that the store had already.
    pub duplicates: u64,
}

/// Writes every sentence of `store`, a line each.
///
/// # Errors
/// When the store cannot be read to its end, or `out` not be written.
pub async fn write_all(store: &dyn Store, mut out: impl Write) -> anyhow::Result<()> {
    let mut pages = store.list(Query::default());
    while let Some(page) = pages.recv().await {
        for document in page? {
            serde_json::to_writer(&mut out, &document)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush().context("cannot write all of it")
}

/// Stores every line of `input`.
///
/// # Errors
/// Names the first line at fault; the batches before it are stored.
pub async fn read_all(store: &Arc<dyn Store>, mut input: impl BufRead) -> anyhow::Result<Imported> {
    let mut imported = Imported::default();
    let mut entries = Vec::with_capacity(BATCH);
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let limit = u64::try_from(MAX_SENTENCE_BODY_BYTES).unwrap_or(u64::MAX);
        let length = input.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if length > 0 && !line.iter().all(u8::is_ascii_whitespace) {
            entries.push(read_line(&line).with_context(|| format!("line {number}"))?);
        }
        if entries.len() == BATCH || (length == 0 && !entries.is_empty()) {
            let receipt = store.insert(std::mem::take(&mut entries), Pass::unfenced()).await?;
            for outcome in receipt.outcomes {
                match outcome {
                    Outcome::Stored(_) => imported.stored += 1,
                    Outcome::Duplicate(_) => imported.duplicates += 1,
                    Outcome::Refused(why) => {
                        bail!("before line {number}: the store refused a sentence: {why}")
                    }
                }
            }
        }
        if length == 0 {
            break;
        }
    }
    Ok(imported)
}

fn read_line(line: &[u8]) -> anyhow::Result<Entry> {
    const REMEDY: &str =
        r#"write {"author":"…","date":"2020-10-08 16:51:30.506529","id":"…","sentence":"…"}"#;
    let document: StoredSentence = serde_json::from_slice(line).context(REMEDY)?;
    let id = document.id.context("`id` is missing; give each sentence a UUID")?;
    for (field, text, limit) in
        [("author", &document.author, MAX_AUTHOR_BYTES), ("sentence", &document.sentence, MAX_SENTENCE_BYTES)]
    {
        if text.trim().is_empty() {
            bail!("`{field}` is empty; {REMEDY}");
        }
        if text.len() > limit {
            bail!("`{field}` has {} bytes; the limit is {limit}", text.len());
        }
    }
    let sentence = NewSentence { id, author: document.author, sentence: document.sentence };
    Ok(Entry { sentence, date: Some(document.date) })
}
