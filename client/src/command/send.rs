//! `balanza send`: the sentences of files, sent and accounted for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::say;
use crate::balancer::Balancer;
use crate::cause::Cause;
use crate::cli::Send;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::numbers::{duration_text, grouped, sentences};
use crate::send::author::Seed;
use crate::send::delivery::{self, Manner};
use crate::send::journal::{Journal, JournalError};
use crate::send::pace::Pace;
use crate::send::plan::{Fault, Plan, key};
use crate::send::tally::Tally;
use crate::send::{Done, End, Order, Progress};

/// How often the line of progress is written anew.
const EVERY: Duration = Duration::from_millis(100);
/// Most causes that are told one by one.
const MOST_CAUSES: usize = 10;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// Sentences of the files, also those over the limit.
    sentences: u64,
    /// Sentences that this run has posted and had an answer for.
    sent: u64,
    /// Sentences that are stored now.
    stored: u64,
    /// Those of them that a broken run had stored before.
    resumed: u64,
    /// Sentences that were refused, or are over the limit.
    failed: u64,
    /// Sentences without an answer, because the run ended before.
    unsent: u64,
    by_node: &'a Tally,
    seconds: f64,
    errors: &'a [Fault],
}

/// Runs it; the journal of the run lies in `state`.
pub(crate) async fn run(arguments: Send, state: Option<&Path>) -> Result<Exit, Failure> {
    if let Some(note) = arguments.to.note() {
        say(&note);
    }
    let sources = super::read_files(&arguments.files)?;
    let plan = super::plan(&sources, arguments.split)?;
    if arguments.dry_run {
        return dry_run(&plan, arguments.json);
    }
    let key = key(&sources, &arguments.to, arguments.split, arguments.author.as_deref());
    let run = Run::begin(&arguments, plan, &key, state)?;
    let (end, asked) = run.send(&arguments).await?;
    run.finish(&arguments, &end, asked)
}

fn dry_run(plan: &Plan, json: bool) -> Result<Exit, Failure> {
    let mut out = std::io::stdout();
    if json {
        let report = serde_json::json!({ "dry_run": true, "sentences": plan.items.len() + plan.faults.len(), "errors": plan.faults });
        writeln!(out, "{report}")?;
    } else {
        for file in &plan.files {
            let n = sentences(file.n_sentences as u64);
            writeln!(out, "{}: {n} ({}), not sent", file.name, file.encoding)?;
        }
    }
    Ok(if plan.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// A run and its accounts.
struct Run {
    plan: Plan,
    seed: Seed,
    journal: RefCell<Option<Journal>>,
    began: Instant,
    resumed: u64,
    accounts: RefCell<Accounts>,
}

#[derive(Default)]
struct Accounts {
    tally: Tally,
    faults: Vec<Fault>,
    is_done: Vec<bool>,
    answered: u64,
    trouble: Option<Cause>,
}

impl Run {
    fn begin(arguments: &Send, plan: Plan, key: &str, state: Option<&Path>) -> Result<Self, Failure> {
        let fresh = clock::new_seed();
        let accounts = Accounts {
            faults: plan.faults.clone(),
            is_done: vec![false; plan.items.len()],
            ..Accounts::default()
        };
        let mut run = Self {
            plan,
            seed: fresh,
            journal: RefCell::new(None),
            began: clock::instant(),
            resumed: 0,
            accounts: RefCell::new(accounts),
        };
        let Some(state) = state else {
            say("neither XDG_STATE_HOME nor HOME is set; a broken run could not be taken up");
            return Ok(run);
        };
        let to = arguments.to.to_string();
        match Journal::open(state, key, &to, run.plan.items.len(), fresh, arguments.fresh) {
            Ok(opened) => {
                let accounts = run.accounts.get_mut();
                for done in &opened.done {
                    accounts.tally.add(&done.node, &done.filter);
                    if let Some(is_done) = accounts.is_done.get_mut(done.index) {
                        *is_done = true;
                    }
                }
                run.resumed = opened.done.len() as u64;
                run.seed = opened.seed;
                run.journal = RefCell::new(Some(opened.journal));
            }
            Err(error @ JournalError::Busy) => return Err(Failure::usage(error.to_string())),
            Err(error) => say(&format!("a broken run could not be taken up: {error}")),
        }
        if run.resumed > 0 {
            let all = sentences(run.plan.items.len() as u64);
            let resumed = grouped(run.resumed);
            say(&format!("taking up a broken run: {resumed} of {all} stored already (--fresh begins anew)"));
        }
        Ok(run)
    }

    async fn send(&self, arguments: &Send) -> Result<(End, Option<Exit>), Failure> {
        let balancer = Balancer::new(arguments.to.clone()).map_err(super::sentences::failed)?;
        let author = arguments.author.as_deref();
        let is_done = self.accounts.borrow().is_done.clone();
        let missing = is_done.iter().enumerate().filter(|(_, is_done)| !**is_done).map(|(index, _)| index);
        let work = missing.filter_map(|index| Some((index, self.plan.sentence(index, self.seed, author)?)));
        let work = work.collect();
        let manner =
            Manner { jobs: usize::from(arguments.jobs), patience: arguments.patience, seed: self.seed };
        let (order, orders) = watch::channel(Order::Run);
        let tell = |progress| self.note(progress);
        let shows = std::io::stderr().is_terminal() && !arguments.json;
        let sending = delivery::deliver(&balancer, work, manner, orders, &tell);
        tokio::pin!(sending);
        let mut ticks = tokio::time::interval(EVERY);
        let mut pace = Pace::default();
        let mut asked = None;
        let end = loop {
            tokio::select! {
                end = &mut sending => break end,
                _ = ticks.tick() => {
                    if shows {
                        let accounts = self.accounts.borrow();
                        pace.note(clock::instant(), accounts.answered);
                        show(&line(&accounts, self.resumed, self.plan.items.len() as u64, &pace));
                    }
                }
                exit = super::asked_to_end(), if asked.is_none() => {
                    asked = Some(exit);
                    order.send_replace(Order::Cancel);
                }
            }
        };
        if shows {
            show("");
        }
        Ok((end, asked))
    }

    fn note(&self, progress: Progress) {
        let mut accounts = self.accounts.borrow_mut();
        match progress {
            Progress::Stored(done) => {
                accounts.answered += 1;
                accounts.trouble = None;
                accounts.tally.add(&done.node, &done.filter);
                self.write_down(&done);
            }
            Progress::Failed { index, cause } => {
                accounts.answered += 1;
                accounts.faults.extend(self.plan.fault(index, cause));
            }
            Progress::Waiting { cause } => accounts.trouble = Some(cause),
        }
    }

    /// At once, so that a run that is killed the next moment has it.
    fn write_down(&self, done: &Done) {
        let mut journal = self.journal.borrow_mut();
        if let Some(Err(error)) = journal.as_mut().map(|journal| journal.note(done)) {
            say(&format!(
                "the journal cannot be written ({error}); a broken run would be sent again under the same ids"
            ));
            *journal = None;
        }
    }

    fn finish(self, arguments: &Send, end: &End, asked: Option<Exit>) -> Result<Exit, Failure> {
        let accounts = self.accounts.into_inner();
        let stored = accounts.tally.total();
        let failed = accounts.faults.len() as u64;
        let n_sentences = (self.plan.items.len() + self.plan.faults.len()) as u64;
        let unsent = n_sentences.saturating_sub(stored + failed);
        let elapsed = clock::instant().duration_since(self.began);
        if stored == self.plan.items.len() as u64
            && let Some(Err(error)) = self.journal.borrow_mut().take().map(Journal::remove)
        {
            say(&format!("the journal of this run cannot be removed: {error}"));
        }
        let mut out = std::io::stdout();
        if arguments.json {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let report = Report {
                sentences: n_sentences,
                sent: accounts.answered,
                stored,
                resumed: self.resumed,
                failed,
                unsent,
                by_node: &accounts.tally,
                seconds: Duration::from_millis(millis).as_secs_f64(),
                errors: &accounts.faults,
            };
            writeln!(out, "{}", serde_json::to_string(&report).map_err(std::io::Error::from)?)?;
        } else if stored > 0 {
            write!(out, "{}", accounts.tally.table())?;
        }
        tell_causes(&accounts.faults);
        let (seconds, tenths) = (elapsed.as_secs(), elapsed.subsec_millis() / 100);
        say(&format!("{} of {} stored in {seconds}.{tenths} s", grouped(stored), sentences(n_sentences)));
        let exit = match end {
            _ if asked.is_some() => asked.unwrap_or(Exit::Interrupted),
            End::Unreachable(cause) => {
                say(&cause.to_string());
                Exit::Unreachable
            }
            End::Stalled(cause) => {
                say(&cause.to_string());
                Exit::Failed
            }
            End::Complete | End::Cancelled if failed + unsent > 0 => Exit::Failed,
            End::Complete | End::Cancelled => Exit::Done,
        };
        if self.journal.borrow().is_some() && stored > 0 && n_sentences > stored {
            say("run the same command again to send only what is missing");
        }
        Ok(exit)
    }
}

fn line(accounts: &Accounts, resumed: u64, all: u64, pace: &Pace) -> String {
    let done = resumed + accounts.answered;
    let percent = (done * 100).checked_div(all).unwrap_or(100);
    let mut text = format!("{} of {}  {percent}%", grouped(done), grouped(all));
    if let Some(rate) = pace.per_second() {
        text += &format!("  {}/s", grouped(rate));
    }
    if let Some(seconds) = pace.seconds_left(all.saturating_sub(done)) {
        text += &format!("  {} left", duration_text(seconds));
    }
    if let Some(cause) = &accounts.trouble {
        text += &format!("  waiting: {}", cause.detail);
    }
    text
}

/// Writes the line of progress over the one before.
fn show(text: &str) {
    let mut err = std::io::stderr();
    let text = crate::printable::fitted(text, 78);
    drop(write!(err, "\r\x1b[K{text}"));
    drop(err.flush());
}

/// Failures by their cause, the most frequent first, each with its first place.
fn tell_causes(faults: &[Fault]) {
    let mut by_cause = BTreeMap::<&Cause, (u64, &Fault)>::new();
    for fault in faults {
        by_cause.entry(&fault.cause).or_insert((0, fault)).0 += 1;
    }
    let mut causes = by_cause.into_iter().collect::<Vec<_>>();
    causes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let n_more = causes.len().saturating_sub(MOST_CAUSES);
    for (cause, (count, first)) in causes.into_iter().take(MOST_CAUSES) {
        say(&format!("{} not stored: {cause} (first: {}, line {})", grouped(count), first.file, first.line));
    }
    if n_more > 0 {
        say(&format!("and {n_more} other causes; --json lists all"));
    }
}
