//! A run as the screen shows it: counts, causes and pace. PURE.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::cause::Cause;
use crate::send::pace::Pace;
use crate::send::tally::Tally;
use crate::send::{Done, End, Progress};

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Sentences go out.
    Running,
    /// None go out until the user says so.
    Paused,
    /// Answers under way are awaited, nothing new goes out.
    Cancelling,
    /// Over.
    Ended(End),
}

/// A run under way, or the last one.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where it goes to.
    pub to: String,
    /// Where it stands.
    pub stage: Stage,
    /// Sentences of the run, with those that were stored before.
    pub n_sentences: u64,
    /// Sentences that a broken run had stored before.
    pub resumed: u64,
    /// What is stored, by node and reason.
    pub tally: Tally,
    /// Sentences that failed, by cause.
    pub failed: BTreeMap<Cause, u64>,
    /// Why sentences wait right now.
    pub trouble: Option<Cause>,
    /// How fast it goes.
    pub pace: Pace,
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Option<Instant>,
}

impl Run {
    /// A run that begins now.
    pub fn new(to: String, n_sentences: u64, now: Instant) -> Self {
        Self {
            to,
            stage: Stage::Running,
            n_sentences,
            resumed: 0,
            tally: Tally::default(),
            failed: BTreeMap::new(),
            trouble: None,
            pace: Pace::default(),
            began: now,
            ended: None,
        }
    }

    /// Whether it is not over.
    pub fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Ended(_))
    }

    /// Sentences with an answer.
    pub fn done(&self) -> u64 {
        self.tally.total() + self.n_failed()
    }

    /// Sentences that failed.
    pub fn n_failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Counts what happened to a sentence.
    pub fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Stored(Done { node, filter, .. }) => {
                self.tally.add(node, filter);
                self.trouble = None;
            }
            Progress::Failed { cause, .. } => *self.failed.entry(cause.clone()).or_default() += 1,
            Progress::Waiting { cause } => self.trouble = Some(cause.clone()),
        }
    }

    /// Reads the clock.
    pub fn tick(&mut self, now: Instant) {
        if self.stage == Stage::Running {
            let done = self.done();
            self.pace.note(now, done);
        }
    }

    /// Whole seconds and tenths that it has taken by `now`.
    pub fn taken(&self, now: Instant) -> (u64, u32) {
        let taken = self.ended.unwrap_or(now).duration_since(self.began);
        (taken.as_secs(), taken.subsec_millis() / 100)
    }
}
