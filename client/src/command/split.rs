//! `balanza split`: the sentences of files, one on a line.

use std::io::Write;

use serde_json::json;

use crate::cli::SplitFiles;
use crate::exit::{Exit, Failure};

/// Runs it.
pub(crate) fn run(arguments: &SplitFiles) -> Result<Exit, Failure> {
    let plan = super::plan(&super::read_files(&arguments.files)?, arguments.split)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for item in &plan.items {
        if arguments.json {
            let file = plan.files.get(item.file).map(|file| &file.name);
            writeln!(out, "{}", json!({ "file": file, "line": item.line, "sentence": item.text }))?;
        } else {
            // The old rule keeps line breaks inside a sentence; here each sentence is one line.
            writeln!(out, "{}", item.text.split_whitespace().collect::<Vec<_>>().join(" "))?;
        }
    }
    out.flush()?;
    Ok(if plan.faults.is_empty() { Exit::Done } else { Exit::Failed })
}
