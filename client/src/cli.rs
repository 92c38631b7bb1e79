//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::address::Address;
use crate::send::author;
use crate::text::Split;

/// Turns text files into sentences, sends them to a balancer, and shows where they went.
///
/// Without a command it is a full-screen program; where standard input or output is no terminal, a menu by lines.
#[derive(Debug, Parser)]
#[command(name = "balanza", version, after_help = AFTER)]
pub struct Cli {
    /// What to do; without one, the menu.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// When to use colours; `auto` uses them on a terminal unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Use the menu by lines on a terminal too.
    #[arg(long)]
    pub no_tui: bool,
    /// The text file that the menu begins with.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The balancer that the menu begins with.
    #[arg(long, value_name = "URL", value_parser = Address::parse, env = "BALANZA_URL")]
    pub to: Option<Address>,
}

/// Sentences under way at once, unless the user says otherwise.
pub const JOBS: u16 = 16;
/// How long a run waits while nothing moves, unless the user says otherwise. The flag's default is the same.
pub const PATIENCE: Duration = Duration::from_secs(30);

const AFTER: &str = "\
Exit status: 0 all done, 1 something failed, 2 usage or an unreadable file, 3 balancer unreachable, 130 Ctrl-C.
Data goes to standard output; progress and errors go to standard error.";

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The scripted forms.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send the sentences of text files to a balancer.
    Send(Send),
    /// Print the sentences of text files, one on a line.
    Split(SplitFiles),
    /// Print the sentences that are stored.
    Sentences(Sentences),
    /// Print the balancer's nodes.
    Fleet(Fleet),
}

/// `balanza send`.
#[derive(Debug, Args)]
pub struct Send {
    /// Text files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The balancer.
    #[arg(long, value_name = "URL", value_parser = Address::parse, env = "BALANZA_URL")]
    pub to: Address,
    /// Who says every sentence; otherwise drawn from User1 to User5.
    #[arg(long, value_name = "NAME", value_parser = author::check)]
    pub author: Option<String>,
    /// Where a sentence ends: `unicode` by UAX #29, `period` at each ". ".
    #[arg(long, value_enum, default_value_t = Split::Unicode, value_name = "RULE", hide_possible_values = true)]
    pub split: Split,
    /// Most sentences under way at once.
    #[arg(long, default_value_t = JOBS, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub json: bool,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Begin anew, even where a broken run of the same text could be taken up.
    #[arg(long)]
    pub fresh: bool,
    /// End when nothing was stored for so many seconds.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub patience: Duration,
}

impl Send {
    /// `balanza send FILE --to URL`, with nothing else said.
    pub fn of_file(file: PathBuf, to: Address) -> Self {
        Self {
            files: vec![file],
            to,
            author: None,
            split: Split::Unicode,
            jobs: JOBS,
            json: false,
            dry_run: false,
            fresh: false,
            patience: PATIENCE,
        }
    }
}

/// `balanza split`.
#[derive(Debug, Args)]
pub struct SplitFiles {
    /// Text files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where a sentence ends: `unicode` by UAX #29, `period` at each ". ".
    #[arg(long, value_enum, default_value_t = Split::Unicode, value_name = "RULE", hide_possible_values = true)]
    pub split: Split,
    /// Print one JSON object a line: file, line and sentence.
    #[arg(long)]
    pub json: bool,
}

/// `balanza sentences`.
#[derive(Debug, Args)]
pub struct Sentences {
    /// The balancer.
    #[arg(long, value_name = "URL", value_parser = Address::parse, env = "BALANZA_URL")]
    pub from: Address,
    /// Only those of this author.
    #[arg(long, value_name = "NAME", value_parser = author::check)]
    pub author: Option<String>,
    /// Only those on this node.
    #[arg(long, value_name = "NODE")]
    pub server: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Print one JSON object a line, as the balancer wrote it.
    #[arg(long)]
    pub json: bool,
}

/// `balanza fleet`.
#[derive(Debug, Args)]
pub struct Fleet {
    /// The balancer.
    #[arg(long, value_name = "URL", value_parser = Address::parse, env = "BALANZA_URL")]
    pub from: Address,
    /// Print the fleet as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Print it again every second, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("write whole seconds, from 1 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
