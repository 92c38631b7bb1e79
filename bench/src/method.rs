//! The method, the same for every bench: every program under measurement runs at once, on loopback, over the same nodes;
//! cells that are to be compared follow each other directly; a run has several rounds, each with another order; a figure
//! is the median of the rounds with its range.

pub(crate) mod cell;
pub(crate) mod clock;
pub(crate) mod rounds;

use clap::Args;

/// What every bench takes.
#[derive(Args)]
pub(crate) struct Common {
    /// Length of one cell, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Print the tables and leave `docs/benchmarks.md` as it is.
    #[arg(long)]
    pub(crate) dry: bool,
    /// Measure a cell again while programs outside the run take more than so many percent of one core.
    #[arg(long)]
    pub(crate) quiet: Option<u32>,
    /// Measure what was built last instead of building it again.
    #[arg(long)]
    pub(crate) no_build: bool,
}

impl Common {
    /// The command that repeats this run of `bench kind`, as far as every bench has the same flags.
    pub(crate) fn command(&self, kind: &str) -> String {
        let Self { seconds, rounds, quiet, .. } = self;
        let quiet = quiet.map(|most| format!(" --quiet {most}")).unwrap_or_default();
        format!("cargo xtask bench {kind} --seconds {seconds} --rounds {rounds}{quiet}")
    }
}

/// `items` in the order of this round: each round begins one further.
pub(crate) fn rotated<T>(items: &[T], round: u32) -> impl Iterator<Item = &T> {
    let begin = usize::try_from(round).unwrap_or(0) % items.len().max(1);
    items.iter().cycle().skip(begin).take(items.len())
}
