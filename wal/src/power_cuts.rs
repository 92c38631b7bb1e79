//! Seeded runs of a log on a disk that fails, loses power and loses what was not synced: after each opening everything
//! that was told to be durable is there, in order, and of the rest a beginning. A seed repeats its run.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::faulty::{Fault, FaultyDisk, Operation};
use crate::log::{Job, serve};
use crate::writer::Writer;
use crate::{AppendError, OpenError, Options, open};

const OPTIONS: Options = Options { segment_bytes: 4096, max_bytes: 6 * 4096 };

#[test]
fn what_was_told_to_be_durable_survives_whatever_happens() {
    let mut seen = Seen::default();
    for seed in 0..500 {
        Run::new(seed).go(&mut seen);
    }
    // A run in which nothing happens shows nothing.
    let Seen { told, in_doubt, rewritten, full, no_room, cuts, half_kept } = seen;
    for n in [told, in_doubt, rewritten, full, no_room, cuts, half_kept] {
        assert!(n > 50, "{seen:?}");
    }
}

/// How often what happened in all runs.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    told: u64,
    in_doubt: u64,
    rewritten: u64,
    full: u64,
    no_room: u64,
    cuts: u64,
    /// Openings that found a beginning of what was in doubt, neither nothing nor all.
    half_kept: u64,
}

struct Run {
    seed: u64,
    random: u64,
    disk: FaultyDisk,
    /// What the log may hold: the certain state, then with one more change in doubt each.
    states: Vec<Vec<Vec<u8>>>,
    n_records: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { seed, random, disk: FaultyDisk::default(), states: vec![Vec::new()], n_records: 0 }
    }

    fn go(mut self, seen: &mut Seen) {
        for _ in 0..6 {
            let mut writer = self.open(seen);
            self.plan_a_fault();
            for _ in 0..self.draw(12) {
                if self.step(&mut writer, seen) {
                    break;
                }
            }
            drop(writer);
            // Without a cut it is only the process that ends, and the kernel keeps what it has.
            if self.draw(3) > 0 {
                self.cut(seen);
            }
        }
        self.disk.mend();
        self.open(seen);
    }

    /// Opens the log, as often as the power goes off meanwhile.
    fn open(&mut self, seen: &mut Seen) -> Writer<FaultyDisk> {
        self.disk.mend();
        if self.draw(4) == 0 {
            self.disk.fail(Operation::Any, self.random % 12, Fault::PowerOff);
        }
        loop {
            match open::open(self.disk.clone(), OPTIONS) {
                Ok((writer, records)) => {
                    self.check(&records, seen);
                    self.states = vec![records];
                    return writer;
                }
                Err(OpenError::Damaged { file, offset, what }) => {
                    panic!("seed {}: {} at {offset}: {what}", self.seed, file.display())
                }
                Err(_) => self.cut(seen),
            }
        }
    }

    fn cut(&mut self, seen: &mut Seen) {
        seen.cuts += 1;
        let chance = self.draw(u64::MAX);
        self.disk.cut_power(chance);
    }

    fn check(&self, records: &[Vec<u8>], seen: &mut Seen) {
        let at = self.states.iter().position(|state| state == records);
        let numbers = |state: &[Vec<u8>]| state.iter().map(|record| record.len()).collect::<Vec<_>>();
        let at = at.unwrap_or_else(|| {
            let allowed = self.states.iter().map(|state| numbers(state)).collect::<Vec<_>>();
            panic!("seed {}: found {:?}, allowed {allowed:?}", self.seed, numbers(records))
        });
        seen.half_kept += u64::from(at > 0 && at + 1 < self.states.len());
    }

    fn plan_a_fault(&mut self) {
        let later = self.draw(20);
        match self.draw(8) {
            0..3 => self.disk.fail(Operation::Any, later, Fault::PowerOff),
            3 => self.disk.fail(Operation::Sync, later, Fault::Device),
            4 => self.disk.fail(Operation::Write, later, Fault::Device),
            5 => self.disk.fail(Operation::SyncNames, later % 3, Fault::Device),
            6 => self.disk.fail(Operation::Rename, later % 3, Fault::Device),
            _ => {}
        }
        for _ in 0..self.draw(4) {
            let (later, many) = (self.draw(20), self.draw(4));
            match self.draw(3) {
                0 => self.disk.fail(Operation::Write, later, Fault::Short),
                1 => self.disk.fail(Operation::Write, later, Fault::NoRoom),
                _ => self.disk.fail(Operation::Create, many, Fault::NoRoom),
            }
        }
    }

    /// Hands in what gathered while a sync was under way; tells whether the log has stopped.
    fn step(&mut self, writer: &mut Writer<FaultyDisk>, seen: &mut Seen) -> bool {
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut handed_in = Vec::new();
        for n in 0..=self.draw(6) {
            let change =
                if self.draw(9) == 0 { Change::Anew(self.survivors()) } else { Change::One(self.record()) };
            let told = Arc::clone(&told);
            let done = Box::new(move |result| told.lock().push((n, result)));
            handed_in.push((
                change.clone(),
                match change {
                    Change::One(record) => Job::Append(record, done),
                    Change::Anew(records) => Job::Rewrite(records, done),
                },
            ));
        }
        let (changes, jobs): (Vec<_>, Vec<_>) = handed_in.into_iter().unzip();
        serve(writer, jobs.into_iter());
        let mut told = std::mem::take(&mut *told.lock());
        told.sort_by_key(|(n, _)| *n);
        assert_eq!(told.len(), changes.len(), "seed {}: each is told once", self.seed);
        let mut has_stopped = false;
        for (change, (_, result)) in changes.into_iter().zip(told) {
            let mut state = self.states.last().unwrap().clone();
            match &change {
                Change::One(record) => state.push(record.clone()),
                Change::Anew(records) => state.clone_from(records),
            }
            match result {
                Ok(()) => {
                    assert!(!has_stopped, "seed {}: nothing is durable behind what is in doubt", self.seed);
                    seen.rewritten += u64::from(matches!(change, Change::Anew(_)));
                    seen.told += 1;
                    self.states = vec![state];
                }
                Err(AppendError::Stopped { .. }) => {
                    has_stopped = true;
                    seen.in_doubt += 1;
                    self.states.push(state);
                }
                Err(AppendError::Full { .. }) => seen.full += 1,
                Err(AppendError::NoRoom { .. }) => seen.no_room += 1,
                Err(AppendError::TooLong { .. }) => {}
            }
        }
        has_stopped
    }

    /// Some of what is there, as an owner keeps it, mostly the newest.
    fn survivors(&mut self) -> Vec<Vec<u8>> {
        let mut kept = self.states.last().unwrap().clone();
        let n_gone = self.draw(kept.len() as u64 + 1);
        kept.drain(..usize::try_from(n_gone).unwrap());
        kept
    }

    /// A record that is like no other, of a length that is sometimes none's.
    fn record(&mut self) -> Vec<u8> {
        self.n_records += 1;
        let length = match self.draw(20) {
            0 => 4096,
            1..4 => 2000 + self.draw(1900),
            // Zeros at the end look like room that was never written.
            _ => self.draw(300),
        };
        let mut record = format!("{}:{}", self.seed, self.n_records).into_bytes();
        record.resize(record.len() + usize::try_from(length).unwrap(), 0);
        record
    }

    fn draw(&mut self, limit: u64) -> u64 {
        let a = self.random ^ (self.random << 13);
        let b = a ^ (a >> 7);
        self.random = b ^ (b << 17);
        (self.random >> 11) % limit.max(1)
    }
}

#[derive(Clone)]
enum Change {
    One(Vec<u8>),
    Anew(Vec<Vec<u8>>),
}
