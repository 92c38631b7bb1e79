//! `cargo xtask ci`: the checks that need no running system. Formatting, lints, and what the design forbids.
//!
//! Every check runs, whatever the ones before it found; the end names those that failed.

mod crates;
mod documents;
mod purity;
mod sources;
mod tree;

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use crate::command::{self, cargo, root};
use tree::Tree;

/// What the checks take.
#[derive(Args)]
pub(crate) struct Ci {
    /// Only the checks of sources, crates and documents, without formatting and lints.
    #[arg(long)]
    tidy: bool,
}

/// What is wrong, with its place, and for how it is judged.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// Must be put right.
    Fault(String),
    /// Should be.
    Warning(String),
}

impl Finding {
    fn fault(text: impl Into<String>) -> Self {
        Self::Fault(text.into())
    }
}

impl Ci {
    /// Runs the checks.
    ///
    /// # Errors
    /// Names the checks that failed.
    pub(crate) fn run(self) -> Result<()> {
        let mut failed = Vec::new();
        let mut step = |name: &'static str, outcome: Result<()>| {
            if let Err(error) = outcome {
                println!("{name}: {error:#}");
                failed.push(name);
            }
        };
        if !self.tidy {
            step("format", command::run(cargo(&["fmt", "--all", "--check"])));
            let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            step("lints", command::run(cargo(&lints)));
        }
        let tree = Tree::read(&root())?;
        step("sources", tell(sources::check(&tree)));
        step("purity", metadata().and_then(|metadata| tell(purity::check(&tree, &metadata))));
        step("crates", metadata().and_then(|metadata| tell(crates::check(&tree, &metadata))));
        step("paths", tell(documents::paths_exist(&tree)));
        step("documented", helps().and_then(|helps| tell(documents::all_documented(&tree, &helps))));
        if failed.is_empty() {
            println!("ci: all checks passed");
            return Ok(());
        }
        bail!("these checks failed: {}", failed.join(", "))
    }
}

fn tell(findings: Vec<Finding>) -> Result<()> {
    let mut n_faults = 0;
    for finding in findings {
        match finding {
            Finding::Fault(text) => {
                n_faults += 1;
                println!("  fault: {text}");
            }
            Finding::Warning(text) => println!("  warning: {text}"),
        }
    }
    if n_faults > 0 {
        bail!("{n_faults} faults");
    }
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The help of every program and of each of its commands, as the programs print it.
fn helps() -> Result<Vec<documents::Help>> {
    command::run(cargo(&["build", "--workspace", "--bins"]))?;
    let folder = command::target_dir()?.join("debug");
    let mut helps = Vec::new();
    for program in ["balanza", "balanza-lb", "balanza-backend"] {
        let help = help_of(Command::new(folder.join(program)))?;
        for name in documents::commands_of(&help) {
            let mut command = Command::new(folder.join(program));
            command.arg(&name);
            helps.push(documents::Help { of: program.to_owned(), text: help_of(command)? });
        }
        helps.push(documents::Help { of: program.to_owned(), text: help });
    }
    Ok(helps)
}

fn help_of(mut command: Command) -> Result<String> {
    let output = command.arg("--help").output()?;
    if !output.status.success() {
        bail!("`{}` failed ({})", command::shown(&command), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
