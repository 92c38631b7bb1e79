//! `cargo xtask bench …`: builds and becomes the program in `bench/`, with the arguments as they came. What there is to
//! measure, and every flag of it, is known there only.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result};
use clap::Args;
use xtask::command::cargo;

/// What the help of this program can say about another one.
pub(crate) const MORE_HELP: &str = "`cargo xtask bench --help` lists the benches.";

/// What is passed on.
#[derive(Args)]
pub(crate) struct Bench {
    /// The bench, with its flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Bench {
    /// Becomes the bench. Its status is then the status of this command, and a signal reaches it alone.
    ///
    /// # Errors
    /// When cargo cannot be started.
    pub(crate) fn run(self) -> Result<()> {
        let mut bench = cargo(&["run", "--quiet", "--package", "bench", "--"]);
        Err(bench.args(self.arguments).exec()).context("`cargo run --package bench` cannot be started")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    enum Task {
        #[command(disable_help_flag = true)]
        Bench(Bench),
    }

    #[test]
    fn whatever_follows_is_passed_on_as_it_came() {
        for line in ["", "--help", "lb --help", "lb --seconds 2 --quiet 10 --dry", "-- lb", "help lb"] {
            let words = line.split_whitespace();
            let Task::Bench(bench) = Task::parse_from(["xtask", "bench"].into_iter().chain(words.clone()));
            let expected: Vec<&str> = words.filter(|word| *word != "--").collect();
            assert_eq!(bench.arguments, expected, "{line}");
        }
    }
}
