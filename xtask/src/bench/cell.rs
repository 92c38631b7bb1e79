//! One cell of a run: a load on one balancer, with what it cost. Owns the names of the figures; `Cells` holds a whole
//! run and answers with medians, ranges and ratios.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};

use super::account::cpu_of_others;
use super::load::Load;
use super::running::Running;
use super::{Common, clock};

/// A measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
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
    pub(super) const fn less_is_better(self) -> bool {
        !matches!(self, Self::PerSecond | Self::Batch)
    }

    const fn name(self) -> &'static str {
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
pub(super) type Figures = Vec<(Figure, f64)>;

/// One cell: where it stands in the tables, and its figures.
pub(super) struct Cell {
    pub(super) round: u32,
    pub(super) row: String,
    pub(super) column: String,
    pub(super) figures: Figures,
}

/// How often a cell is measured at most when others keep disturbing it.
const ATTEMPTS: u32 = 5;

/// Puts `load` on `target` and accounts the CPU time and memory of `watched` to its requests. `ours` are all the
/// processes of the run, so that the rest of the machine can be told apart.
///
/// A cell that others disturbed more than `--quiet` allows is measured again; of several attempts the least disturbed
/// one counts, whatever its figures.
pub(super) fn measure(
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
pub(super) fn value(figures: &[(Figure, f64)], figure: Figure) -> f64 {
    figures.iter().find(|(name, _)| *name == figure).map_or(f64::NAN, |&(_, value)| value)
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

/// All cells of a run, in the order in which they were measured.
#[derive(Default)]
pub(super) struct Cells(Vec<Cell>);

/// Median, least and most of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Cells {
    pub(super) fn push(&mut self, cell: Cell) {
        self.0.push(cell);
    }

    /// The figure of a cell, one value a round.
    fn values(&self, row: &str, column: &str, figure: Figure) -> Vec<(u32, f64)> {
        let of_cell = |cell: &&Cell| cell.row == row && cell.column == column;
        let value =
            |cell: &Cell| cell.figures.iter().find(|(name, _)| *name == figure).map(|&(_, value)| value);
        self.0.iter().filter(of_cell).filter_map(|cell| Some((cell.round, value(cell)?))).collect()
    }

    /// The figure of a cell over the rounds.
    pub(super) fn spread(&self, row: &str, column: &str, figure: Figure) -> Option<Spread> {
        Spread::of(self.values(row, column, figure).into_iter().map(|(_, value)| value).collect())
    }

    /// The figure of `row` as a multiple, round by round, of the one of `references` with the best median.
    #[expect(clippy::float_arithmetic, reason = "measured values are shown, they decide nothing")]
    pub(super) fn ratio(
        &self,
        row: &str,
        references: &[String],
        column: &str,
        figure: Figure,
    ) -> Option<Spread> {
        let median = |reference: &&String| Some(self.spread(reference, column, figure)?.median);
        let by_median = |a: &(f64, _), b: &(f64, _)| a.0.total_cmp(&b.0);
        let known = references.iter().filter_map(|reference| Some((median(&reference)?, reference)));
        let (_, best) =
            if figure.less_is_better() { known.min_by(by_median) } else { known.max_by(by_median) }?;
        let of_best = self.values(best, column, figure);
        let in_round = |round| of_best.iter().find(|&&(of, _)| of == round).map(|&(_, value)| value);
        let ratios = self.values(row, column, figure).into_iter();
        Spread::of(ratios.filter_map(|(round, value)| Some(value / in_round(round)?)).collect())
    }

    /// The spread of a figure over every cell of the run.
    pub(super) fn overall(&self, figure: Figure) -> Option<Spread> {
        let figures = self.0.iter().flat_map(|cell| &cell.figures);
        Spread::of(figures.filter(|(name, _)| *name == figure).map(|&(_, value)| value).collect())
    }

    /// Everything, for a file.
    pub(super) fn json(&self) -> Value {
        let cell = |cell: &Cell| {
            let figures = cell.figures.iter().map(|(figure, value)| (figure.name().to_owned(), json!(value)));
            let figures: serde_json::Map<String, Value> = figures.collect();
            json!({ "round": cell.round, "row": cell.row, "column": cell.column, "figures": figures })
        };
        self.0.iter().map(cell).collect()
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let low = values[(values.len() - 1) / 2];
        let high = values[values.len() / 2];
        Some(Self { median: f64::midpoint(low, high), least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(rows: &[(&str, u32, f64)]) -> Cells {
        let cell = |&(row, round, value): &(&str, u32, f64)| Cell {
            round,
            row: row.to_owned(),
            column: "64".to_owned(),
            figures: vec![(Figure::Cpu, value), (Figure::PerSecond, value)],
        };
        Cells(rows.iter().map(cell).collect())
    }

    #[test]
    fn a_spread_is_the_median_with_its_range() {
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(vec![4.0, 1.0]), Some(Spread { median: 2.5, least: 1.0, most: 4.0 }));
    }

    #[test]
    fn a_ratio_is_taken_round_by_round_against_the_row_with_the_best_median() {
        let cells = cells(&[
            ("ours", 0, 8.0),
            ("x", 0, 16.0),
            ("y", 0, 32.0),
            ("ours", 1, 10.0),
            ("x", 1, 40.0),
            ("y", 1, 20.0),
            ("ours", 2, 10.0),
            ("x", 2, 10.0),
            ("y", 2, 20.0),
        ]);
        let references = ["x".to_owned(), "y".to_owned()];
        let ratio = |figure| cells.ratio("ours", &references, "64", figure);
        // Of x (16, 40, 10) and y (32, 20, 20) x has the least median and y the most.
        assert_eq!(ratio(Figure::Cpu), Some(Spread { median: 0.5, least: 0.25, most: 1.0 }));
        assert_eq!(ratio(Figure::PerSecond), Some(Spread { median: 0.5, least: 0.25, most: 0.5 }));
        assert_eq!(cells.ratio("ours", &["z".to_owned()], "64", Figure::Cpu), None);
    }
}
