//! `cargo xtask test`: every test of the workspace, with what they need, and one line at the end that counts them.

mod needs;
mod tally;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::command::{self, cargo};

use tally::Tally;

/// What the tests take.
#[derive(Args)]
pub(crate) struct Test {
    /// Install nothing; what is missing is told, and its tests are skipped.
    #[arg(long)]
    no_install: bool,
    /// Only tests whose names contain this.
    filter: Option<String>,
}

impl Test {
    /// Runs them.
    ///
    /// # Errors
    /// When one failed, or none ran.
    pub(crate) fn run(self) -> Result<()> {
        needs::meet(!self.no_install);
        let mongodb = needs::Mongodb::start().unwrap_or_else(|error| {
            println!("Going on without MongoDB: {error:#}");
            None
        });
        // The end-to-end tests run the programs themselves.
        command::run(cargo(&["build", "--workspace", "--bins"]))?;
        let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
        tests.args(self.filter.as_slice());
        // Shows what a test that passes has to say, which is where it says that it was skipped.
        tests.args(["--", "--show-output"]);
        tests.envs(mongodb.as_ref().map(needs::Mongodb::environment));
        let (tally, success) = counted(tests)?;
        for skipped in tally.skipped() {
            println!("{skipped}");
        }
        let outcome = match (success, tally.n_failed(), tally.n_passed()) {
            (true, 0, 1..) => Ok(()),
            (true, 0, 0) => Err("no test ran"),
            (_, 1.., _) => Err("tests failed"),
            (false, 0, _) => Err("a test program could not be built or ended early"),
        };
        // Last on standard output; what reads the outcome of a run looks for this line.
        println!("{}", tally.closing_line(success));
        outcome.or_else(|reason| bail!("{reason}"))
    }
}

/// Runs `command`, shows what it writes, and counts the results in it.
fn counted(mut command: std::process::Command) -> Result<(Tally, bool)> {
    let line = command::shown(&command);
    println!("$ {line}");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{line}` cannot be started"))?;
    let (sender, receiver) = channel();
    if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
        let errors = sender.clone();
        std::thread::spawn(move || pass_on(out, &sender));
        std::thread::spawn(move || pass_on(err, &errors));
    }
    let mut tally = Tally::default();
    for line in receiver {
        println!("{line}");
        tally.read(&line);
    }
    Ok((tally, child.wait()?.success()))
}

fn pass_on(stream: impl Read, to: &Sender<String>) {
    let lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
    for line in lines {
        if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}
