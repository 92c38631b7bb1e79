//! What a run leaves behind: tables in Markdown, the circumstances, the raw figures. Owns the form of all three and
//! the places they go to. Measures nothing.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;
use xtask::command;

use crate::method::cell::Figure;
use crate::method::clock;
use crate::method::rounds::{Cells, Spread};
use crate::programs::build;

/// A report in the making.
pub(crate) struct Report<'a> {
    cells: &'a Cells,
    rows: Vec<String>,
    columns: Vec<String>,
    text: String,
}

/// A column of a table of different figures.
pub(crate) struct Column {
    title: String,
    of: String,
    figure: Figure,
    decimals: usize,
}

impl Column {
    /// The column `title`, which shows `figure` of the cells in column `of`.
    pub(crate) fn new(title: &str, of: &str, figure: Figure, decimals: usize) -> Self {
        Self { title: title.to_owned(), of: of.to_owned(), figure, decimals }
    }
}

impl<'a> Report<'a> {
    /// A report whose tables have these rows and columns.
    pub(crate) fn new(cells: &'a Cells, rows: Vec<String>, columns: Vec<String>) -> Self {
        Self { cells, rows, columns, text: String::new() }
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Adds a table of `figure`, median with range, the rows beside the columns.
    pub(crate) fn table(&mut self, title: &str, figure: Figure, decimals: usize) {
        let cells = self.cells;
        let cell =
            |row: &str, column: &str| cells.spread(row, column, figure).map(|spread| spread.shown(decimals));
        let text = grid(title, &self.rows, &self.columns, cell);
        self.say(&text);
    }

    /// Adds a table of different figures, each from a column of its own.
    pub(crate) fn mixed(&mut self, title: &str, columns: &[Column]) {
        let cells = self.cells;
        let titles: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
        let cell = |row: &str, title: &str| {
            let Column { of, figure, decimals, .. } = columns.iter().find(|column| column.title == title)?;
            cells.spread(row, of, *figure).map(|spread| spread.shown(*decimals))
        };
        let text = grid(title, &self.rows, &titles, cell);
        self.say(&text);
    }

    /// Adds a table of what `rows` are to the best of `references`, for each figure, with the bar for each column.
    pub(crate) fn ratios(
        &mut self,
        title: &str,
        rows: &[String],
        references: &[String],
        figures: &[(&str, Figure, &[&str])],
    ) {
        let mut bars = Vec::new();
        let mut lines = Vec::new();
        for (name, figure, bar) in figures {
            bars.push((format!("bar: {name}"), *bar));
            lines.extend(rows.iter().map(|row| (format!("{row}: {name}"), row, *figure)));
        }
        let titles: Vec<String> = figures
            .iter()
            .flat_map(|(name, ..)| {
                std::iter::once(format!("bar: {name}"))
                    .chain(rows.iter().map(move |row| format!("{row}: {name}")))
            })
            .collect();
        let cell = |line: &str, column: &str| {
            if let Some((_, bar)) = bars.iter().find(|(title, _)| title == line) {
                let at = self.columns.iter().position(|known| known == column)?;
                return bar.get(at).map(|bar| (*bar).to_owned());
            }
            let (_, row, figure) = lines.iter().find(|(title, ..)| title == line)?;
            self.cells.ratio(row, references, column, *figure).map(|spread| spread.shown(2))
        };
        let text = grid(title, &titles, &self.columns, cell);
        self.say(&text);
    }

    /// Prints the report, keeps the raw figures, and unless `dry` puts the tables into `docs/benchmarks.md`.
    pub(crate) fn publish(self, kind: &str, command: &str, circumstances: &str, dry: bool) -> Result<()> {
        let mut text = format!("Command: `{command}`\n\n{circumstances}\n\n{}", self.text);
        if let Some(others) = self.cells.overall(Figure::Others) {
            writeln!(
                text,
                "Programs outside the run took {} % of one core while it ran (median and range over its cells).\n",
                others.shown(0)
            )?;
        }
        if let Some(failed) = self.cells.overall(Figure::Failed).filter(|failed| failed.most > 0.0) {
            writeln!(text, "**Requests failed** in this run: up to {} in a cell.\n", failed.most)?;
        }
        println!("\n{text}");
        let file = build::folder().join(format!("{kind}-{}.json", clock::date("+%Y%m%dT%H%M%SZ")?));
        let raw = json!({ "command": command, "circumstances": circumstances, "cells": self.cells.json() });
        std::fs::write(&file, serde_json::to_string_pretty(&raw)?)?;
        println!("raw figures: {}", file.display());
        if dry {
            return Ok(());
        }
        let docs = command::root().join("docs/benchmarks.md");
        let page =
            std::fs::read_to_string(&docs).with_context(|| format!("{} cannot be read", docs.display()))?;
        std::fs::write(&docs, replaced(&page, kind, &text)?)?;
        println!("tables: {}", docs.display());
        Ok(())
    }
}

/// `page` with `text` between the markers of `kind`.
fn replaced(page: &str, kind: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- bench {kind}: begin -->"), format!("<!-- bench {kind}: end -->"));
    let missing = || format!("docs/benchmarks.md has no `{begin}` … `{end}`");
    let (before, rest) = page.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", text.trim_end()))
}

fn grid(
    title: &str,
    rows: &[String],
    columns: &[String],
    cell: impl Fn(&str, &str) -> Option<String>,
) -> String {
    let mut text = format!("| {title} | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<Option<String>> = columns.iter().map(|column| cell(row, column)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells: Vec<String> =
            cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".to_owned())).collect();
        text.push_str(&format!("\n| {row} | {} |", cells.join(" | ")));
    }
    text
}

impl Spread {
    /// `median (least–most)`, or the one value when there is no range to show.
    fn shown(self, decimals: usize) -> String {
        let Self { median, least, most } = self;
        let (least, most) = (grouped(least, decimals), grouped(most, decimals));
        let median = grouped(median, decimals);
        if least == most { median } else { format!("{median} ({least}–{most})") }
    }
}

/// A number with its thousands apart.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or_else(|| grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

/// The machine, the date, the commit, and `versions`.
pub(crate) fn circumstances(versions: &[String]) -> Result<String> {
    let cpu = field("/proc/cpuinfo", "model name")?;
    let memory = field("/proc/meminfo", "MemTotal")?;
    let cores = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.split('-').next().unwrap_or_default().trim().to_owned();
    let date = clock::date("+%Y-%m-%d %H:%M UTC")?;
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let dirty = if git(&["status", "--porcelain", "--", "lb", "wire", "backend"])?.is_empty() {
        ""
    } else {
        " with changes"
    };
    let versions =
        if versions.is_empty() { String::new() } else { format!(" Versions: {}.", versions.join(", ")) };
    Ok(format!(
        "Machine: {cores} shared cores of {cpu}, {memory}, Linux {kernel}. Date: {date}. Commit: {commit}{dirty}.{versions}"
    ))
}

fn field(file: &str, name: &str) -> Result<String> {
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    Ok(line.split_once(':').map_or("", |(_, value)| value).trim().to_owned())
}

fn git(arguments: &[&str]) -> Result<String> {
    let mut git: Command = command::program("git");
    let output = git.args(arguments).output().context("`git` did not run")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_between_its_markers_and_nowhere_else() {
        let page = "a\n<!-- bench lb: begin -->\nold\n<!-- bench lb: end -->\nb";
        let expected = "a\n<!-- bench lb: begin -->\nnew\n<!-- bench lb: end -->\nb";
        assert_eq!(replaced(page, "lb", "new\n\n").unwrap(), expected);
        assert!(replaced(page, "store", "new").is_err());
    }

    #[test]
    fn numbers_are_written_for_reading() {
        assert_eq!(grouped(120_682.4, 0), "120,682");
        assert_eq!(grouped(1_234.56, 1), "1,234.6");
        assert_eq!(grouped(0.123, 2), "0.12");
        assert_eq!(grouped(-123_456.0, 0), "-123,456");
    }
}
