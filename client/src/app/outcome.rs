//! What the outside world tells, taken into the state. PURE.

use std::path::Path;
use std::time::{Duration, Instant};

use super::data::{Data, Fate};
use super::input::Input;
use super::picker::{Entry, complete};
use super::run::{Run, Stage};
use super::{App, Effect, Look, Screen, sentence_case};
use crate::address::Address;
use crate::cause::Cause;
use crate::numbers::{grouped, sentences};
use crate::send::author::Seed;
use crate::send::plan::{Plan, Source};
use crate::send::{Done, End, Progress};

/// How often a tested balancer's fleet is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl App {
    pub(super) fn completing(&mut self, written: &str, entries: &[Entry]) {
        let unchanged = self.picker.path.as_ref().is_some_and(|path| path.text() == written);
        if unchanged {
            let (completed, names) = complete(written, entries);
            if completed == written && names.len() != 1 {
                let told = if names.is_empty() {
                    "No file or folder begins so.".to_owned()
                } else {
                    names.join("  ")
                };
                self.tell(names.is_empty(), told);
            }
            self.picker.path = Some(Input::new(completed));
        }
    }

    pub(super) fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.now = now;
        if let Some(run) = &mut self.run {
            run.tick(now);
        }
        let shows_fleet = matches!(self.screen, Screen::Menu | Screen::Run | Screen::Address);
        let due = now.duration_since(self.looked_at) >= LOOK_EVERY && !self.is_looking;
        match &self.address {
            Some(address) if shows_fleet && due && self.look.is_some() => {
                self.is_looking = true;
                vec![Effect::Test(address.clone())]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn loaded(&mut self, path: &Path, loaded: Result<(Source, Plan, Seed), String>) {
        let (source, plan, seed) = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => return self.tell(true, format!("{}: {problem}.", path.display())),
        };
        if self.run.as_ref().is_some_and(Run::is_under_way) {
            return self.tell(true, "Not loaded: a run is under way; wait for it, or cancel it first.");
        }
        let notes = plan.files.iter().filter_map(|file| file.encoding.note()).collect::<Vec<_>>();
        for fault in &plan.faults {
            self.tell(true, format!("{}, line {}: {}.", fault.file, fault.line, fault.cause));
        }
        let n_sentences = sentences(plan.items.len() as u64);
        let notes = notes.iter().map(|note| format!(", {note}")).collect::<String>();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.tell(false, format!("{name}: {n_sentences}{notes}."));
        self.data = Some(Data::new(source, plan, seed));
        self.run = None;
        if self.screen == Screen::Picker {
            self.picker.path = None;
            self.screen = Screen::Menu;
            self.entry = if self.address.is_none() { 1 } else { 3 };
        }
    }

    pub(super) fn tested(&mut self, address: &Address, look: Result<Look, Cause>) {
        if self.address.as_ref() != Some(address) {
            return;
        }
        self.is_looking = false;
        self.looked_at = self.now;
        // Told when it changes, not every two seconds.
        let was_well = self.look.as_ref().map(Result::is_ok);
        match &look {
            Err(cause) if was_well != Some(false) => self.tell(true, sentence_case(&format!("{cause}."))),
            Ok(_) if was_well == Some(false) => self.tell(false, format!("{address} answers again.")),
            Ok(look) if was_well.is_none() => {
                let millis = look.millis;
                self.tell(false, format!("{address} answers, in {millis} ms."));
                if self.screen == Screen::Address {
                    self.screen = Screen::Menu;
                    self.entry = if self.data.is_none() { 0 } else { 3 };
                }
            }
            _ => {}
        }
        self.look = Some(look);
    }

    pub(super) fn run_began(&mut self, seed: Seed, done: &[Done]) {
        let (Some(data), Some(run)) = (&mut self.data, &mut self.run) else { return };
        data.reseed(seed);
        for one in done {
            let fate = Fate::Stored(one.node.clone(), one.filter.clone());
            if data.row(one.index).is_some_and(|row| row.fate != fate) {
                data.note(one.index, fate);
                run.tally.add(&one.node, &one.filter);
                run.resumed += 1;
            }
        }
        if run.resumed > 0 {
            let told = format!("Taking up a broken run, with {} stored already.", sentences(run.resumed));
            self.tell(false, told);
        }
    }

    pub(super) fn progress(&mut self, progress: Progress) {
        if let Some(run) = &mut self.run {
            run.note(&progress);
        }
        match progress {
            Progress::Stored(Done { index, node, filter }) => {
                if let Some(data) = &mut self.data {
                    data.note(index, Fate::Stored(node, filter));
                }
            }
            Progress::Failed { index, cause } => {
                let line = self.data.as_ref().and_then(|data| data.row(index));
                let line = line.map_or_else(String::new, |row| format!("Line {}: ", row.line));
                self.tell(true, format!("{line}{cause}."));
                if let Some(data) = &mut self.data {
                    data.note(index, Fate::Failed(cause));
                }
            }
            Progress::Waiting { .. } => {}
        }
    }

    pub(super) fn run_ended(&mut self, end: End) {
        let Some(run) = &mut self.run else { return };
        run.ended = Some(self.now);
        run.trouble = None;
        let (stored, all) = (grouped(run.tally.total()), sentences(run.n_sentences));
        let told = match &end {
            End::Complete => format!("{stored} of {all} stored."),
            End::Cancelled => format!("Cancelled; {stored} of {all} stored."),
            End::Unreachable(cause) | End::Stalled(cause) => {
                format!("Ended with {stored} of {all} stored: {cause}.")
            }
        };
        let is_error = !matches!(end, End::Complete | End::Cancelled) || run.n_failed() > 0;
        run.stage = Stage::Ended(end);
        if let Some(data) = &mut self.data {
            data.refilter();
        }
        self.tell(is_error, told);
    }
}
