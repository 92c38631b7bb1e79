//! How many sentences each node took, and for which reason. PURE.

use std::collections::BTreeMap;

use crate::table::Table;

/// Counts of stored sentences by node and by the part of the rule that chose it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Tally {
    by_node: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Tally {
    /// Counts one sentence.
    pub fn add(&mut self, node: &str, filter: &str) {
        let by_filter = self.by_node.entry(node.to_owned()).or_default();
        *by_filter.entry(filter.to_owned()).or_default() += 1;
    }

    /// All sentences counted.
    pub fn total(&self) -> u64 {
        self.by_node.values().flat_map(BTreeMap::values).sum()
    }

    /// Each node with its sentences, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_node.iter().map(|(node, by_filter)| (node.as_str(), by_filter.values().sum()))
    }

    /// Each pair of node and reason with its sentences, by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.by_node.iter().flat_map(|(node, by_filter)| {
            by_filter.iter().map(move |(filter, count)| (node.as_str(), filter.as_str(), *count))
        })
    }

    /// A row per node, a column per reason, and the sums.
    pub fn table(&self) -> Table {
        let mut sums = BTreeMap::<&str, u64>::new();
        for (node, filter, count) in self.pairs() {
            *sums.entry(reason(node, filter)).or_default() += count;
        }
        let head = ["node"].into_iter().chain(sums.keys().copied()).chain(["stored"]);
        let mut table = Table::new(head).numbers_at(1..sums.len() + 2);
        for (node, stored) in self.nodes() {
            let count = |wanted: &str| {
                let counts =
                    self.pairs().filter(|(of, filter, _)| *of == node && reason(node, filter) == wanted);
                counts.map(|(_, _, count)| count).sum::<u64>().to_string()
            };
            let cells = sums.keys().map(|reason| count(reason));
            table.push([node.to_owned()].into_iter().chain(cells).chain([stored.to_string()]));
        }
        if self.by_node.len() > 1 {
            let cells = sums.values().map(u64::to_string);
            table.push(["all".to_owned()].into_iter().chain(cells).chain([self.total().to_string()]));
        }
        table
    }
}

/// What decided, in a word: the wire says a node's own name where all numbers were equal.
pub fn reason<'a>(node: &str, filter: &'a str) -> &'a str {
    if filter == node { "by name" } else { filter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_sums_rows_and_columns() {
        let mut tally = Tally::default();
        for (node, filter) in [("B", "database"), ("A", "ram"), ("A", "A"), ("B", "database")] {
            tally.add(node, filter);
        }
        let expected = "node  by name  database  ram  stored\nA           1         0    1       2\n\
                        B           0         2    0       2\nall         1         2    1       4\n";
        assert_eq!(tally.table().to_string(), expected);
        assert_eq!(tally.total(), 4);
        assert_eq!(serde_json::to_string(&tally).unwrap(), r#"{"A":{"A":1,"ram":1},"B":{"database":2}}"#);
    }
}
