//! The terminal client: turns text files into sentences, sends them to a balancer, shows where they went.
//!
//! `text` cuts a file into sentences, `send` is a run from its plan to its sums, `balancer` is the other end of the
//! wire; `command` holds the scripted forms, `plain` the menu by lines. The full-screen program is `app` (the state and
//! what changes it), `view` (what it looks like), `perform` (what it does outside) and `screen` (the loop). The client
//! talks to a balancer, never to a node.

pub mod address;
pub mod answer;
pub mod app;
pub mod balancer;
pub mod cause;
pub mod cli;
pub mod clock;
mod command;
pub mod exit;
pub mod nodes;
pub mod numbers;
mod perform;
pub mod plain;
pub mod printable;
mod screen;
pub mod send;
pub mod table;
mod terminal;
pub mod text;
pub mod view;

use std::io::IsTerminal;
use std::path::PathBuf;

use cli::{Cli, Command};
use exit::{Exit, Failure};

/// What the program takes from its environment, apart from the flags.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Where journals lie; `None` when there is no home.
    pub state: Option<PathBuf>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// Whether `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// Whether the terminal can show no more than lines.
    pub dumb: bool,
}

/// Runs the program and says on standard error why it failed, if it did.
pub fn run(cli: Cli, environment: &Environment) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli, environment)),
        Err(error) => Err(Failure::usage(format!("the runtime cannot be started: {error}"))),
    };
    outcome.unwrap_or_else(|failure| {
        failure.lines.iter().for_each(|line| command::say(line));
        failure.exit
    })
}

async fn dispatch(cli: Cli, environment: &Environment) -> Result<Exit, Failure> {
    match cli.command {
        Some(Command::Send(arguments)) => command::send::run(arguments, environment.state.as_deref()).await,
        Some(Command::Split(arguments)) => command::split::run(&arguments),
        Some(Command::Sentences(arguments)) => command::sentences::run(arguments).await,
        Some(Command::Fleet(arguments)) => command::fleet::run(arguments).await,
        None => {
            let is_screen = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
            if cli.no_tui || environment.dumb || !is_screen {
                let start = plain::Start { file: cli.file, to: cli.to };
                return plain::run(start, environment.state.as_deref()).await;
            }
            screen::run(cli, environment).await
        }
    }
}
