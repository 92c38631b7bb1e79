//! One cell of a run: a load on one balancer, with what it cost. Owns the names of the figures, and when a cell that
//! others disturbed is measured again. Absent: what several cells say together.

use std::net::SocketAddr;

use anyhow::Result;

use super::{Common, clock};
use crate::load::Load;
use crate::programs::account::cpu_of_others;
use crate::programs::running::Running;

/// A measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Answers a second.
    PerSecond,
    /// Median latency, milliseconds.
    P50,
    /// 99 % of latencies are no longer, milliseconds.
    P99,
    /// 99.9 % of latencies are no longer, milliseconds.
    P999,
    /// CPU time of the watched processes per request, microseconds.
    Cpu,
    /// Resident memory of the watched processes after the cell, megabytes.
    Rss,
    /// CPU time that programs outside the run took meanwhile, in percent of one core.
    Others,
    /// Requests that were not answered with 200.
    Failed,
    /// Sentences per post to a node.
    Batch,
    /// Share of the sentences that went to the node of the column, percent.
    Share,
    /// Largest less smallest count at the end, in documents.
    Skew,
}

impl Figure {
    /// Whether a smaller value is the better one.
    pub(crate) const fn less_is_better(self) -> bool {
        !matches!(self, Self::PerSecond | Self::Batch)
    }

    /// As a key in the raw figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per_second",
            Self::P50 => "p50_ms",
            Self::P99 => "p99_ms",
            Self::P999 => "p999_ms",
            Self::Cpu => "cpu_us_per_request",
            Self::Rss => "rss_mb",
            Self::Others => "others_percent_of_a_core",
            Self::Failed => "failed",
            Self::Batch => "sentences_per_post",
            Self::Share => "share_percent",
            Self::Skew => "skew_documents",
        }
    }
}

/// The figures of one cell.
pub(crate) type Figures = Vec<(Figure, f64)>;

/// One cell: where it stands in the tables, and its figures.
pub(crate) struct Cell {
    pub(crate) round: u32,
    pub(crate) row: String,
    pub(crate) column: String,
    pub(crate) figures: Figures,
}

/// How often a cell is measured at most when others keep disturbing it.
pub(crate) const ATTEMPTS: u32 = 5;

/// Puts `load` on `target` and accounts the CPU time and memory of `watched` to its requests. `ours` are all the
/// processes of the run, so that the rest of the machine can be told apart.
///
/// A cell that others disturbed more than `--quiet` allows is measured again; of several attempts the least disturbed
/// one counts, whatever its figures.
pub(crate) fn measure(
    load: Load,
    target: SocketAddr,
    common: &Common,
    watched: &[&Running],
    ours: &[u32],
) -> Result<Figures> {
    let mut calmest = attempt(load, target, common.seconds, watched, ours)?;
    let Some(most) = common.quiet.map(f64::from) else { return Ok(calmest) };
    for _ in 1..ATTEMPTS {
        if value(&calmest, Figure::Others) <= most {
            break;
        }
        let next = attempt(load, target, common.seconds, watched, ours)?;
        if value(&next, Figure::Others) < value(&calmest, Figure::Others) {
            calmest = next;
        }
    }
    Ok(calmest)
}

/// One figure of a cell; NaN where it was not measured.
pub(crate) fn value(figures: &[(Figure, f64)], figure: Figure) -> f64 {
    figures.iter().find(|(name, _)| *name == figure).map_or(f64::NAN, |&(_, value)| value)
}

/// A cell on one line, for whoever watches the run.
pub(crate) fn short(figures: &[(Figure, f64)]) -> String {
    let value = |figure| value(figures, figure);
    format!(
        "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms, CPU {:.1} µs, failed {}, others {:.0} %",
        value(Figure::PerSecond),
        value(Figure::P50),
        value(Figure::P99),
        value(Figure::Cpu),
        value(Figure::Failed),
        value(Figure::Others)
    )
}

#[expect(clippy::float_arithmetic, reason = "measured values are shown, they decide nothing")]
fn attempt(
    load: Load,
    target: SocketAddr,
    seconds: u64,
    watched: &[&Running],
    ours: &[u32],
) -> Result<Figures> {
    let cpu = || watched.iter().map(|running| running.cpu()).sum::<std::time::Duration>();
    let (begin, others_before, before) = (clock::now(), cpu_of_others(ours), cpu());
    let figures = load.run(target, seconds)?;
    let (used, others) = (cpu() - before, cpu_of_others(ours).saturating_sub(others_before));
    let took = clock::now() - begin;
    let rss_kb: u64 = watched.iter().map(|running| running.rss_kb()).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of a run of seconds are far below 2^52")]
    let (answered, failed, rss_kb) = (figures.answered as f64, figures.failed as f64, rss_kb as f64);
    let mut measured = vec![
        (Figure::PerSecond, figures.per_second),
        (Figure::P50, figures.p50_ms),
        (Figure::P99, figures.p99_ms),
        (Figure::P999, figures.p999_ms),
        (Figure::Failed, failed),
        (Figure::Others, others.as_secs_f64() / took.as_secs_f64() * 100.0),
    ];
    if !watched.is_empty() {
        measured.push((Figure::Cpu, used.as_secs_f64() * 1e6 / answered.max(1.0)));
        measured.push((Figure::Rss, rss_kb / 1024.0));
    }
    Ok(measured)
}
