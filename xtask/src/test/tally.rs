//! PURE. Reads what test runs print, and adds up what passed, failed and was skipped.

/// The results of all test programs of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    skipped: Vec<String>,
}

impl Tally {
    /// Takes one line of output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(results) = line.trim_start().strip_prefix("test result: ") {
            let count = |what: &str| {
                let counts = results.split(['.', ';']).map(str::trim);
                counts.filter_map(|part| part.strip_suffix(what)?.trim().parse::<u64>().ok()).sum::<u64>()
            };
            self.passed += count("passed");
            self.failed += count("failed");
            self.ignored += count("ignored");
        }
        // The runner may have begun a line of its own before the test wrote.
        if let Some(at) = line.find("SKIPPED ") {
            self.skipped.push(line[at..].to_owned());
        }
    }

    /// Tests that passed, without those that said that they did nothing.
    pub(crate) fn n_passed(&self) -> u64 {
        self.passed.saturating_sub(self.skipped.len() as u64)
    }

    /// Tests that failed.
    pub(crate) const fn n_failed(&self) -> u64 {
        self.failed
    }

    /// What each skipped test said.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &str> {
        self.skipped.iter().map(String::as_str)
    }

    /// `N passed, N failed, N skipped`. A run that failed without a failed test counts as one failure.
    pub(crate) fn closing_line(&self, success: bool) -> String {
        let failed = if success { self.failed } else { self.failed.max(1) };
        let skipped = self.ignored + self.skipped.len() as u64;
        format!("{} passed, {failed} failed, {skipped} skipped", self.n_passed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_of_all_programs_are_added_up() {
        let tally = tally(&[
            "running 12 tests",
            "test result: ok. 10 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ]);
        assert_eq!(tally.closing_line(false), "11 passed, 4 failed, 2 skipped");
    }

    #[test]
    fn a_skipped_test_has_not_passed() {
        let tally = tally(&[
            "test mongo ... SKIPPED mongo: no server",
            "SKIPPED kernel: no right to load",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ]);
        assert_eq!(tally.closing_line(true), "1 passed, 0 failed, 2 skipped");
        assert_eq!(tally.skipped().count(), 2);
    }

    #[test]
    fn a_run_that_could_not_be_built_is_a_failure() {
        assert_eq!(tally(&["error: could not compile"]).closing_line(false), "0 passed, 1 failed, 0 skipped");
    }
}
