//! Aligned columns of text for a terminal. PURE.

use unicode_width::UnicodeWidthStr;

use crate::printable::printable;

/// Rows of cells below a head, printed with two spaces between columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
    numbers: Vec<usize>,
}

impl Table {
    /// A table with this head and no rows.
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { rows: vec![head.into_iter().map(Into::into).collect()], numbers: Vec::new() }
    }

    /// Sets these columns to the right, as numbers are read.
    #[must_use]
    pub fn numbers_at(self, columns: impl IntoIterator<Item = usize>) -> Self {
        Self { numbers: columns.into_iter().collect(), ..self }
    }

    /// Adds a row.
    pub fn push(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n_columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| {
            row.get(column).map_or_else(String::new, |text| printable(text).into_owned())
        };
        let width = |column| self.rows.iter().map(|row| cell(row, column).width()).max().unwrap_or(0);
        let widths = (0..n_columns).map(width).collect::<Vec<_>>();
        for row in &self.rows {
            let mut line = String::new();
            for (column, width) in widths.iter().enumerate() {
                let text = cell(row, column);
                let room = " ".repeat(width.saturating_sub(text.width()));
                line.push_str(if column > 0 { "  " } else { "" });
                let (left, right) = if self.numbers.contains(&column) { (room, text) } else { (text, room) };
                line.push_str(&left);
                line.push_str(&right);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_shows() {
        let mut table = Table::new(["node", "n"]).numbers_at([1]);
        table.push(["世界", "10"]);
        table.push(["a\u{1b}b", "7"]);
        assert_eq!(table.to_string(), "node   n\n世界  10\na\u{fffd}b    7\n");
    }
}
