//! What a guest printed, as lines, a verdict and a row of the table.

use std::collections::BTreeMap;

/// What one guest reported.
pub(super) struct Report {
    pub(super) name: String,
    version: String,
    passed: BTreeMap<String, String>,
    failed: BTreeMap<String, String>,
    facts: BTreeMap<String, String>,
    done: bool,
}

/// The checks, with their columns in the table.
const COLUMNS: [(&str, &str); 10] = [
    ("both halves", "loads"),
    ("memory", "RAM in the bracket"),
    ("seeded", "busy CPU seeded"),
    ("raw twins", "raw twins"),
    ("file", "so_info"),
    ("hotplug", "CPU unplugged"),
    ("as nobody", "two rights"),
    ("after the drop", "after the drop"),
    ("cgroup", "cgroup v2"),
    ("cost", ""),
];

impl Report {
    pub(super) fn read(name: &str, version: &str, output: &str) -> Self {
        let mut report = Self {
            name: name.to_owned(),
            version: version.to_owned(),
            passed: BTreeMap::new(),
            failed: BTreeMap::new(),
            facts: BTreeMap::new(),
            done: false,
        };
        // The firmware writes control sequences before the kernel's first line, so a mark may stand anywhere.
        for line in output.lines() {
            let after = |mark: &str| line.find(mark).map(|at| line[at + mark.len()..].trim_end());
            if let Some((name, detail)) = after("PASS ").and_then(|rest| rest.split_once(": ")) {
                report.passed.insert(name.to_owned(), detail.to_owned());
            } else if let Some(rest) = after("FAIL ") {
                let (name, detail) = rest.split_once(": ").unwrap_or((rest, ""));
                report.failed.insert(name.to_owned(), detail.to_owned());
            } else if let Some((name, value)) = after("FACT ").and_then(|rest| rest.split_once(' ')) {
                report.facts.insert(name.to_owned(), value.to_owned());
            } else if line.trim_end().ends_with("DONE") {
                report.done = true;
            }
        }
        report
    }

    /// Whether every check ran and none failed.
    pub(super) fn passed(&self) -> bool {
        self.done
            && self.failed.is_empty()
            && COLUMNS.iter().all(|(check, _)| self.passed.contains_key(*check))
    }

    /// Every check on a line.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let passed = self.passed.iter().map(|(name, detail)| format!("pass {name}: {detail}"));
        let failed = self.failed.iter().map(|(name, detail)| format!("FAIL {name}: {detail}"));
        let ended = (!self.done).then(|| "FAIL the guest did not come to its end".to_owned());
        passed.chain(failed).chain(ended)
    }

    fn row(&self) -> String {
        let mark = |check: &str| match (self.passed.get(check), self.failed.contains_key(check)) {
            (Some(_), _) => "ok",
            (None, true) => "**failed**",
            (None, false) => "–",
        };
        let fact = |name: &str| self.facts.get(name).map_or("–", String::as_str);
        let cpu = ["cpu_10", "cpu_50", "cpu_90"].map(|name| hundredths(fact(name))).join(" / ");
        let memory = self.passed.get("memory").map(|detail| detail.split(" inside").next().unwrap_or("ok"));
        let checks = COLUMNS.iter().filter(|(_, column)| !column.is_empty()).map(|(check, _)| {
            match (*check, memory, fact("kept")) {
                ("memory", Some(count), _) => count.to_owned(),
                ("after the drop", _, "Bpf") => "keeps CAP_BPF".to_owned(),
                (check, ..) => mark(check).to_owned(),
            }
        });
        let checks = checks.collect::<Vec<_>>().join(" | ");
        format!("| {} | {} | {checks} | {cpu} | {} |", self.name, self.version, fact("verified"))
    }
}

/// Basis points as percent points.
fn hundredths(text: &str) -> String {
    text.parse::<u64>()
        .map_or_else(|_| text.to_owned(), |value| format!("{}.{:02}", value / 100, value % 100))
}

/// All rows under their heads.
pub(super) fn table(reports: &[Report]) -> String {
    let checks = COLUMNS.iter().map(|(_, column)| *column).filter(|column| !column.is_empty());
    let checks = checks.collect::<Vec<_>>().join(" | ");
    let head = format!("| row | kernel | {checks} | CPU error at 10 / 50 / 90 % | verifier |");
    let rule = format!("|{}", " --- |".repeat(head.matches('|').count() - 1));
    let rows = reports.iter().map(Report::row).collect::<Vec<_>>().join("\n");
    format!("{head}\n{rule}\n{rows}\n")
}

const BEGIN: &str = "<!-- the table of `cargo xtask kernels --save` -->\n";
const END: &str = "<!-- the end of the table -->";

/// The document with the table between its two marks, or nothing where it lacks one.
pub(super) fn with_table(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_stops_early_has_not_passed() {
        let report = Report::read("6.1", "6.1.0", "PASS memory: 100 of 100 inside the bracket\r\n");
        assert!(!report.passed());
        assert!(report.lines().any(|line| line.contains("did not come to its end")));
    }

    #[test]
    fn marks_are_found_behind_control_sequences() {
        let all = COLUMNS.map(|(check, _)| format!("\u{1b}[2JPASS {check}: fine\r\n")).concat();
        assert!(Report::read("6.1", "6.1.0", &format!("{all}FACT cpu_10 37\r\nDONE\r\n")).passed());
        assert!(!Report::read("6.1", "6.1.0", &format!("{all}FAIL file: none\r\nDONE\r\n")).passed());
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let document = format!("a\n{BEGIN}old\n{END}\nb\n");
        let once = with_table(&document, "| new |\n").unwrap();
        assert_eq!(with_table(&once, "| new |\n").unwrap(), once);
        assert!(once.starts_with("a\n") && once.ends_with("\nb\n") && !once.contains("old"), "{once}");
        assert!(with_table("no marks", "").is_none());
    }

    #[test]
    fn the_table_is_square() {
        let table = table(&[Report::read("6.1", "6.1.0", "FACT cpu_10 37\n")]);
        let bars = table.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>();
        assert!(bars.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        assert!(table.contains("0.37 / – / –"), "{table}");
    }
}
