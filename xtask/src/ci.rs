//! `cargo xtask ci`: the checks that need no running system. Formatting, lints, what the design forbids, what comes from
//! elsewhere, and spelling.
//!
//! Every check runs, whatever the ones before it found; the end names those that failed.

mod crates;
mod documents;
mod purity;
mod sources;
mod spelling;
mod supply;
mod tables;
mod tool;
mod tree;
mod unused;

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use xtask::command::{self, cargo, root};

use tree::Tree;

/// What the checks take.
#[derive(Args)]
pub(crate) struct Ci {
    /// Only the checks of sources, crates and documents, without formatting and lints.
    #[arg(long, conflicts_with = "only")]
    tidy: bool,
    /// Only these checks.
    #[arg(long, value_name = "CHECK,…", value_delimiter = ',', value_parser = PossibleValuesParser::new(CHECKS))]
    only: Vec<String>,
}

/// Every check, in the order in which they run.
const CHECKS: [&str; 12] = [
    "format",
    "lints",
    "sources",
    "purity",
    "crates",
    "tables",
    "paths",
    "documented",
    "others",
    "advisories",
    "unused",
    "spelling",
];
/// Those that look at text alone, or nearly so.
const TIDY: [&str; 6] = ["sources", "purity", "crates", "tables", "paths", "documented"];

/// How a check ended that did not fail.
enum Outcome {
    /// What it checks is so.
    Held,
    /// It could not be made, and why.
    Skipped(String),
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
        let tree = Tree::read(&root())?;
        let (mut failed, mut skipped) = (Vec::new(), Vec::new());
        for name in CHECKS.into_iter().filter(|name| self.wants(name)) {
            match run_one(name, &tree) {
                Ok(Outcome::Held) => {}
                Ok(Outcome::Skipped(why)) => {
                    println!("{name}: SKIPPED: {why}");
                    skipped.push(name);
                }
                Err(error) => {
                    println!("{name}: {error:#}");
                    failed.push(name);
                }
            }
        }
        if !failed.is_empty() {
            bail!("these checks failed: {}", failed.join(", "))
        }
        match &skipped[..] {
            [] => println!("ci: all checks passed"),
            _ => println!("ci: all checks passed but these, which were SKIPPED: {}", skipped.join(", ")),
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        if self.tidy {
            TIDY.contains(&name)
        } else {
            self.only.is_empty() || self.only.iter().any(|only| only == name)
        }
    }
}

fn run_one(name: &str, tree: &Tree) -> Result<Outcome> {
    match name {
        "format" => command::run(cargo(&["fmt", "--all", "--check"]))?,
        "lints" => {
            command::run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
            // What the benchmark compares with is built otherwise and must not rot.
            let other = ["clippy", "--package", "lb", "--features", "hyper-lane"];
            command::run(cargo(&[&other[..], &["--", "-D", "warnings"]].concat()))?;
        }
        "sources" => tell(sources::check(tree))?,
        "purity" => tell(purity::check(tree, &metadata()?))?,
        "crates" => tell(crates::check(tree, &metadata()?))?,
        "tables" => tell(tables::check(tree))?,
        "paths" => tell(documents::paths_exist(tree))?,
        "documented" => tell(documents::all_documented(tree, &helps()?))?,
        "others" => return supply::crates_of_others(),
        "advisories" => return supply::advisories(),
        "unused" => return unused::dependencies(),
        "spelling" => return spelling::everywhere(),
        other => bail!("`{other}` is no check"),
    }
    Ok(Outcome::Held)
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
