//! All cells of a run together: medians with their ranges over the rounds, and ratios taken within each round. Measures
//! nothing.

use serde_json::{Value, json};

use super::cell::{Cell, Figure};

/// All cells of a run, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Cells(Vec<Cell>);

/// Median, least and most of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Cells {
    pub(crate) fn push(&mut self, cell: Cell) {
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
    pub(crate) fn spread(&self, row: &str, column: &str, figure: Figure) -> Option<Spread> {
        Spread::of(self.values(row, column, figure).into_iter().map(|(_, value)| value).collect())
    }

    /// The figure of `row` as a multiple, round by round, of the one of `references` with the best median.
    #[expect(clippy::float_arithmetic, reason = "measured values are shown, they decide nothing")]
    pub(crate) fn ratio(
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
    pub(crate) fn overall(&self, figure: Figure) -> Option<Spread> {
        let figures = self.0.iter().flat_map(|cell| &cell.figures);
        Spread::of(figures.filter(|(name, _)| *name == figure).map(|&(_, value)| value).collect())
    }

    /// Everything, for a file.
    pub(crate) fn json(&self) -> Value {
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
        let low = *values.get((values.len() - 1) / 2)?;
        let high = *values.get(values.len() / 2)?;
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
