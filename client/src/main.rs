//! `balanza`: reads the command line and the environment, and runs the client.

use std::env::var_os;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use client::Environment;

fn main() -> ExitCode {
    let cli = client::cli::Cli::parse();
    let set = |name| var_os(name).filter(|value| !value.is_empty());
    let home = || Some(PathBuf::from(set("HOME")?).join(".local/state"));
    let state = set("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
    let environment = Environment {
        state: state.map(|folder| folder.join("balanza")),
        home: set("HOME").map(PathBuf::from),
        no_color: set("NO_COLOR").is_some(),
        dumb: set("TERM").is_some_and(|term| term == "dumb"),
    };
    client::run(cli, &environment).into()
}
