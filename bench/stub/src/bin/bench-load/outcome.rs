//! The figures of an open loop: counts and latencies, and how they are printed.

use std::time::Duration;

/// What came of the requests that were due after the warm-up.
#[derive(Default)]
pub(crate) struct Outcome {
    /// From due time to answer, of the requests answered with 200.
    pub(crate) latencies_ns: Vec<u64>,
    /// Answers of any status, those of the warm-up included.
    pub(crate) answered_in_all: u64,
    /// Requests that fell due.
    pub(crate) due: u64,
    /// Answers of another status.
    pub(crate) refused: u64,
    /// Requests lost with their connection.
    pub(crate) broken: u64,
    /// The most requests that had fallen due and found no free connection.
    pub(crate) most_waiting: usize,
}

impl Outcome {
    /// Prints one line of JSON about the `length` that has been counted.
    #[expect(
        clippy::float_arithmetic,
        reason = "milliseconds for a table; a latency in nanoseconds is below 2^52"
    )]
    pub(crate) fn print(&mut self, length: Duration) {
        self.latencies_ns.sort_unstable();
        let answered = self.latencies_ns.len();
        let at = |permille: usize| {
            let rank = (answered * permille).div_ceil(1000).saturating_sub(1);
            self.latencies_ns.get(rank).map_or(0.0, |&ns| ns as f64 / 1e6)
        };
        println!(
            r#"{{"seconds":{},"due":{},"answered":{answered},"answered_in_all":{},"refused":{},"broken":{},"most_waiting":{},"p50_ms":{},"p99_ms":{},"p999_ms":{},"max_ms":{}}}"#,
            length.as_secs_f64(),
            self.due,
            self.answered_in_all,
            self.refused,
            self.broken,
            self.most_waiting,
            at(500),
            at(990),
            at(999),
            at(1000)
        );
    }
}
