//! `cargo xtask chaos …`: builds the programs and becomes the one in `tests/chaos`, with the arguments as they came. What
//! a run is, and every flag of it, is known there only.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result};
use clap::Args;
use xtask::command::{self, cargo};

use crate::mongo_wire;

/// What the help of this program can say about another one.
pub(crate) const MORE_HELP: &str = "`cargo xtask chaos --help` lists the flags.";

/// What is passed on.
#[derive(Args)]
pub(crate) struct Chaos {
    /// The flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Chaos {
    /// Becomes the run. Its status is then the status of this command, and a signal reaches it alone.
    ///
    /// # Errors
    /// When something cannot be built, or cargo cannot be started.
    pub(crate) fn run(self) -> Result<()> {
        // What is given may be of another tree; building ours beside it would be for nothing.
        if !(self.gives("--lb") && self.gives("--backend")) {
            command::run(cargo(&["build", "--package", "lb", "--package", "backend", "--bins"]))?;
        }
        if self.arguments.iter().any(|argument| ends_in(argument, "mongodb")) && !self.gives("--database") {
            mongo_wire::build()?;
        }
        let mut chaos = cargo(&["run", "--quiet", "--package", "tests", "--bin", "chaos", "--"]);
        Err(chaos.args(self.arguments).exec()).context("`cargo run --bin chaos` cannot be started")
    }

    fn gives(&self, flag: &str) -> bool {
        let with_value = format!("{flag}=");
        self.arguments
            .iter()
            .filter_map(|argument| argument.to_str())
            .any(|argument| argument == flag || argument.starts_with(&with_value))
    }
}

/// Whether an argument is this value, alone or behind its flag.
fn ends_in(argument: &OsStr, value: &str) -> bool {
    argument.to_str().is_some_and(|text| text.rsplit('=').next() == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_not_built() {
        let chaos = |line: &str| Chaos { arguments: line.split_whitespace().map(OsString::from).collect() };
        let given = chaos("--lb a --backend=b --store mongodb");
        assert!(given.gives("--lb") && given.gives("--backend") && !given.gives("--database"));
        assert!(!chaos("--lb-argument --lbx").gives("--lb"));
        assert!(
            ends_in(OsStr::new("--store=mongodb"), "mongodb") && ends_in(OsStr::new("mongodb"), "mongodb")
        );
        assert!(!ends_in(OsStr::new("embedded"), "mongodb"));
    }
}
