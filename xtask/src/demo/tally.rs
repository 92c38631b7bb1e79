//! PURE. What a run through the balancer gave: where each sentence went and why, as a table and as a verdict.

use std::collections::{BTreeMap, BTreeSet};

/// The reasons of the rule.
const ORDER: [&str; 3] = ["database", "ram", "cpu"];

/// Sentences by node and by the reason for which they went there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    cells: BTreeMap<(String, String), u64>,
}

impl Tally {
    /// Counts `count` sentences.
    pub(crate) fn add(&mut self, node: &str, reason: &str, count: u64) {
        *self.cells.entry((node.to_owned(), reason.to_owned())).or_default() += count;
    }

    /// Sentences in all.
    pub(crate) fn total(&self) -> u64 {
        self.cells.values().sum()
    }

    /// A row per node, a column per reason, and the sums of both.
    pub(crate) fn table(&self) -> String {
        let nodes = self.cells.keys().map(|(node, _)| node.as_str()).collect::<BTreeSet<_>>();
        // In the order in which the rule asks, then by name.
        let rank = |reason: &str| ORDER.iter().position(|known| *known == reason).unwrap_or(ORDER.len());
        let reasons = self.cells.keys().map(|(_, reason)| (rank(reason), reason.as_str()));
        let reasons =
            reasons.collect::<BTreeSet<_>>().into_iter().map(|(_, reason)| reason).collect::<Vec<_>>();
        let sum = |node: Option<&str>, reason: Option<&str>| {
            let wanted = |cell: &(String, String)| {
                node.is_none_or(|node| node == cell.0) && reason.is_none_or(|reason| reason == cell.1)
            };
            self.cells
                .iter()
                .filter(|(cell, _)| wanted(cell))
                .map(|(_, count)| count)
                .sum::<u64>()
                .to_string()
        };
        let row = |title: &str, node: Option<&str>| {
            let cells = reasons.iter().map(|reason| sum(node, Some(reason)));
            std::iter::once(title.to_owned()).chain(cells).chain([sum(node, None)]).collect::<Vec<_>>()
        };
        let head = std::iter::once("node").chain(reasons.iter().copied()).chain(["all"]);
        let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
        rows.extend(nodes.iter().map(|node| row(node, Some(node))));
        rows.push(row("all", None));
        aligned(&rows)
    }
}

/// What is wrong with the outcome of a run: `sent` sentences over empty nodes that hold `counts` now.
///
/// # Errors
/// Says which promise was not kept.
pub(crate) fn verdict(sent: u64, tally: &Tally, counts: &[u64]) -> Result<(), String> {
    let stored = counts.iter().sum::<u64>();
    let (least, most) =
        (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    if tally.total() != sent {
        return Err(format!("{sent} sentences were sent and {} were acknowledged", tally.total()));
    }
    if stored != sent {
        return Err(format!("{sent} sentences were sent and the nodes hold {stored}"));
    }
    if most - least > 1 {
        return Err(format!("the counts differ by {}, not by 1 at most: {counts:?}", most - least));
    }
    if sent == 0 {
        return Err("no sentence was sent".to_owned());
    }
    Ok(())
}

/// Rows as columns: the first to the left, the others to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths = (0..n_columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect::<Vec<_>>();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("  {cell:<width$}"),
                _ => format!("   {cell:>width$}"),
            });
            format!("{}\n", cells.collect::<String>().trim_end())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(cells: &[(&str, &str, u64)]) -> Tally {
        let mut tally = Tally::default();
        for (node, reason, count) in cells {
            tally.add(node, reason, *count);
        }
        tally
    }

    #[test]
    fn the_table_has_a_row_per_node_and_sums() {
        let table =
            tally(&[("A", "database", 9), ("B", "database", 10), ("A", "ram", 1), ("A", "A", 2)]).table();
        let expected = "
  node   database   ram   A   all
  A             9     1   2    12
  B            10     0   0    10
  all          19     1   2    22
";
        assert_eq!(format!("\n{table}"), expected);
    }

    #[test]
    fn the_verdict_names_each_broken_promise() {
        let three = tally(&[("A", "ram", 2), ("B", "database", 1)]);
        assert_eq!(verdict(3, &three, &[2, 1]), Ok(()));
        assert!(verdict(4, &three, &[2, 2]).unwrap_err().contains("3 were acknowledged"));
        assert!(verdict(3, &three, &[1, 1]).unwrap_err().contains("hold 2"));
        assert!(verdict(3, &three, &[3, 0]).unwrap_err().contains("differ by 3"));
        assert!(verdict(0, &Tally::default(), &[0, 0]).unwrap_err().contains("no sentence"));
    }
}
