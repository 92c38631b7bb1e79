//! PURE. The numbers of a run, as a row of a table for people and as a line of JSON for programs. Absent: running, and
//! writing it anywhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::check::Verdict;
use crate::health::Health;
use crate::history::{History, Outcome, Purpose};

/// The heads of the columns of [`Summary::row`].
const HEADS: [&str; 15] = [
    "seed",
    "store",
    "nodes",
    "balancers",
    "posts",
    "acknowledged",
    "repeats",
    "faults",
    "lost",
    "twice",
    "wrong",
    "errors",
    "excused",
    "gap",
    "held",
];

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// The seed.
    pub(crate) seed: u64,
    /// `embedded` or `mongodb`.
    pub(crate) store: String,
    /// How many nodes.
    pub(crate) n_nodes: usize,
    /// How many balancers.
    pub(crate) n_balancers: usize,
    /// How long clients posted.
    pub(crate) seconds: u64,
    /// Posts of single sentences, those in bulk posts included.
    pub(crate) posts: u64,
    /// Sentences that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Posts that repeated one without a good answer, or one that had it.
    pub(crate) repeats: u64,
    /// Faults that happened, by kind.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Acknowledged and nowhere.
    pub(crate) lost: u64,
    /// Stored more often than may be.
    pub(crate) twice: u64,
    /// Everything else that the check found, and troubles.
    pub(crate) wrong: u64,
    /// Posts that ended otherwise than well although a node and the balancer were able, by kind, without those that
    /// timed out.
    pub(crate) errors: BTreeMap<String, u64>,
    /// The same with nobody able.
    pub(crate) excused: BTreeMap<String, u64>,
    /// Posts that timed out with somebody able.
    pub(crate) timed_out: u64,
    /// The longest time without an acknowledgement, in milliseconds.
    pub(crate) gap_ms: u64,
    /// The longest such time with a node and a balancer able.
    pub(crate) able_gap_ms: u64,
    /// How long the fleet took to be at rest at the end, in milliseconds.
    pub(crate) calm_ms: u64,
    /// What no fault explains.
    pub(crate) troubles: Vec<String>,
}

impl Summary {
    /// Counts what happened until `end_ms` and what the check found.
    pub(crate) fn count(&mut self, history: &History, health: &Health, verdict: &Verdict, end_ms: u64) {
        let mut acknowledged_ms = Vec::new();
        for (_, post) in history.posts() {
            self.posts += 1;
            self.repeats += u64::from(post.purpose != Purpose::First);
            if post.outcome.is_acknowledged() {
                acknowledged_ms.push(post.ended_ms);
                continue;
            }
            let is_excused = health.excuses(post);
            if post.outcome == Outcome::TimedOut {
                self.timed_out += u64::from(!is_excused);
                continue;
            }
            let kinds = if is_excused { &mut self.excused } else { &mut self.errors };
            *kinds.entry(post.outcome.kind()).or_default() += 1;
        }
        acknowledged_ms.sort_unstable();
        (self.gap_ms, self.able_gap_ms) = health.longest_gaps_ms(&acknowledged_ms, end_ms);
        let acknowledged = history.sentences().iter().filter(|sentence| sentence.is_acknowledged());
        self.acknowledged = acknowledged.count() as u64;
        for disturbance in &health.disturbances {
            *self.faults.entry(disturbance.kind.to_string()).or_default() += 1;
        }
        self.lost = verdict.lost.len() as u64;
        self.twice = verdict.twice.len() as u64;
        self.wrong = (verdict.n_wrong() + self.troubles.len()) as u64;
    }

    /// Whether nothing was lost, twice or wrong.
    pub(crate) const fn held(&self) -> bool {
        self.lost == 0 && self.twice == 0 && self.wrong == 0
    }

    /// How many errors clients saw although somebody was able.
    pub(crate) fn n_errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "seed": self.seed, "store": self.store, "nodes": self.n_nodes, "balancers": self.n_balancers,
            "seconds": self.seconds, "posts": self.posts, "acknowledged": self.acknowledged,
            "repeats": self.repeats, "faults": self.faults, "lost": self.lost, "twice": self.twice,
            "wrong": self.wrong, "errors": self.errors, "excused": self.excused, "timed_out": self.timed_out,
            "gap_ms": self.gap_ms, "able_gap_ms": self.able_gap_ms, "calm_ms": self.calm_ms,
            "troubles": self.troubles, "held": self.held(),
        })
    }

    fn row(&self) -> Vec<String> {
        let sum = |kinds: &BTreeMap<String, u64>| kinds.values().sum::<u64>().to_string();
        vec![
            self.seed.to_string(),
            self.store.clone(),
            self.n_nodes.to_string(),
            self.n_balancers.to_string(),
            self.posts.to_string(),
            self.acknowledged.to_string(),
            self.repeats.to_string(),
            sum(&self.faults),
            self.lost.to_string(),
            self.twice.to_string(),
            self.wrong.to_string(),
            sum(&self.errors),
            sum(&self.excused),
            format!("{} ({}) ms", self.gap_ms, self.able_gap_ms),
            if self.held() { "yes" } else { "NO" }.to_owned(),
        ]
    }
}

/// The runs as a table in Markdown, with a row of sums below more than one.
pub(crate) fn table(runs: &[Summary]) -> String {
    let mut rows: Vec<Vec<String>> = runs.iter().map(Summary::row).collect();
    if runs.len() > 1 {
        rows.push(sums(runs));
    }
    let head = HEADS.map(str::to_owned).to_vec();
    let all: Vec<&Vec<String>> = [&head].into_iter().chain(&rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &[String]| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!(" {cell:>0$} |", width(column)));
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = (0..HEADS.len()).map(|column| format!("{}:|", "-".repeat(width(column) + 1)));
    let rule = format!("|{}\n", rule.collect::<String>());
    line(&head) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// What the figures of one run are made of, for whoever looks at one.
pub(crate) fn details(run: &Summary) -> String {
    let list = |kinds: &BTreeMap<String, u64>| {
        let each = kinds.iter().map(|(kind, n)| format!("{kind} {n}"));
        let each = each.collect::<Vec<_>>().join(", ");
        if each.is_empty() { "none".to_owned() } else { each }
    };
    let mut text = format!(
        "faults: {}\nerrors with somebody able: {}\nerrors with nobody able: {}\ntimed out with somebody able: {}\n\
         longest time without an acknowledgement: {} ms, with somebody able {} ms; at rest after {} ms\n",
        list(&run.faults),
        list(&run.errors),
        list(&run.excused),
        run.timed_out,
        run.gap_ms,
        run.able_gap_ms,
        run.calm_ms,
    );
    for trouble in &run.troubles {
        text += &format!("trouble at {trouble}\n");
    }
    text
}

fn sums(runs: &[Summary]) -> Vec<String> {
    let sum = |of: fn(&Summary) -> u64| runs.iter().map(of).sum::<u64>().to_string();
    let most = |of: fn(&Summary) -> u64| runs.iter().map(of).max().unwrap_or(0);
    let held = runs.iter().filter(|run| run.held()).count();
    vec![
        "all".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        sum(|run| run.posts),
        sum(|run| run.acknowledged),
        sum(|run| run.repeats),
        sum(|run| run.faults.values().sum()),
        sum(|run| run.lost),
        sum(|run| run.twice),
        sum(|run| run.wrong),
        sum(Summary::n_errors),
        sum(|run| run.excused.values().sum()),
        format!("{} ({}) ms", most(|run| run.gap_ms), most(|run| run.able_gap_ms)),
        format!("{held} of {}", runs.len()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use crate::health::Disturbance;
    use crate::history::tests::{acknowledged, id, post};

    fn counted() -> Summary {
        let mut history = History::default();
        let one = history.add(Some(id(1)), "Ana", "one");
        let down = Outcome::Problem { status: 503, code: "down".to_owned(), ambiguous: false };
        history.note(one, post(0, 100, down.clone()));
        history.note(one, crate::history::Post { purpose: Purpose::Repeat, ..post(5_000, 5_100, down) });
        history.note(one, post(5_100, 5_200, Outcome::TimedOut));
        history.note(one, post(5_300, 5_400, acknowledged(1)));
        let disturbances =
            vec![Disturbance { kind: Kind::NodeKill, target: 0, from_ms: 4_900, until_ms: 5_050 }];
        let health = Health { n_nodes: 1, n_balancers: 1, disturbances };
        let mut summary = Summary { seed: 7, store: "embedded".to_owned(), ..Summary::default() };
        let verdict = Verdict { twice: vec![0], ..Verdict::default() };
        summary.count(&history, &health, &verdict, 6_000);
        summary
    }

    #[test]
    fn errors_are_told_from_those_that_nobody_could_help() {
        let summary = counted();
        let one = BTreeMap::from([("503 down".to_owned(), 1)]);
        assert_eq!((&summary.errors, &summary.excused, summary.timed_out), (&one, &one, 0));
        assert_eq!((summary.posts, summary.acknowledged, summary.repeats), (4, 1, 1));
        assert_eq!((summary.gap_ms, summary.able_gap_ms), (5_400, 4_900));
        assert!(!summary.held());
    }

    #[test]
    fn the_table_has_a_row_for_each_run_and_one_for_all() {
        let table = table(&[counted(), Summary::default()]);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 5);
        assert!(rows[2].contains("|    7 | embedded |") && rows[2].ends_with("|     NO |"), "{table}");
        assert!(rows[4].contains("  all |") && rows[4].ends_with("| 1 of 2 |"), "{table}");
        assert!(rows.iter().all(|row| row.chars().count() == rows[0].chars().count()), "{table}");
        assert_eq!(counted().json()["errors"]["503 down"], 1);
        assert!(details(&counted()).contains("faults: node-kill 1\n"));
    }
}
