//! A disk in memory that loses, tears and fails as real ones do, for the tests of whoever keeps a log. Owns what a power
//! cut may leave: of each page written since the last sync nothing, all or a beginning, and of the names changed since
//! then any. Absent: any real file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Disk, DiskFile};

/// What is kept or lost as a whole, unless it is torn.
const PAGE_BYTES: usize = 512;

/// What may be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Any that changes something.
    Any,
    /// The making of a file.
    Create,
    /// A write to a file.
    Write,
    /// The sync of a file.
    Sync,
    /// The sync of names.
    SyncNames,
    /// A change of a name, or a removal.
    Rename,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// With an error of the device. A sync that fails so drops what it should have made durable, and the next one
    /// succeeds, as kernels do.
    Device,
    /// There is no room. A write has taken some of its bytes before.
    NoRoom,
    /// A write takes only some of its bytes and says so.
    Short,
    /// The power goes off in the middle of it, and stays off until [`FaultyDisk::cut_power`].
    PowerOff,
}

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes to files.
    pub writes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of names.
    pub name_syncs: u64,
    /// Files that were made.
    pub creations: u64,
}

/// A disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    turned: Condvar,
}

/// An open file of it.
#[derive(Debug)]
pub struct FaultyFile {
    disk: FaultyDisk,
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Contents>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Since the last sync of names, oldest first.
    changes: Vec<Change>,
    /// What is to fail, and before how many more operations of its kind.
    faults: Vec<(Operation, u64, Fault)>,
    is_off: bool,
    /// Whether syncs wait, and how many do.
    syncs_held: bool,
    n_waiting: u64,
    counts: Counts,
    chance: u64,
}

/// A file as programs see it, as the platters have it, and which pages will be written by the next sync.
#[derive(Clone, Debug, Default)]
struct Contents {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Made(String, u64),
    Renamed(String, String),
    Removed(String),
}

impl FaultyDisk {
    /// Lets an operation fail: the next of its kind, or the one after `later` more of them.
    pub fn fail(&self, operation: Operation, later: u64, fault: Fault) {
        self.state().faults.push((operation, later, fault));
    }

    /// Takes back all that was to fail and did not.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// Cuts the power and brings it back. `seed` decides what of the unsynced is kept.
    pub fn cut_power(&self, seed: u64) {
        let state = &mut *self.state();
        // Spread, so that neighbouring seeds differ; xorshift never leaves 0.
        state.chance = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (state.is_off, state.syncs_held) = (false, false);
        state.faults.clear();
        for change in std::mem::take(&mut state.changes) {
            if draw(&mut state.chance, 2) == 0 {
                apply(&mut state.durable_names, change);
            }
        }
        state.names = state.durable_names.clone();
        for contents in state.files.values_mut() {
            contents.lose(&mut state.chance);
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Lets each sync of a file wait, until [`FaultyDisk::release_syncs`].
    pub fn hold_syncs(&self) {
        self.state().syncs_held = true;
    }

    /// Waits until a sync waits.
    pub fn wait_for_sync(&self) {
        let mut state = self.state();
        while state.n_waiting == 0 {
            self.0.turned.wait(&mut state);
        }
    }

    /// Lets all syncs go on.
    pub fn release_syncs(&self) {
        self.state().syncs_held = false;
        self.0.turned.notify_all();
    }

    /// Changes a file behind everybody's back, durably.
    pub fn spoil(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let state = &mut *self.state();
        if let Some(contents) = state.names.get(name).and_then(|number| state.files.get_mut(number)) {
            change(&mut contents.seen);
            contents.durable.clone_from(&contents.seen);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    /// What is to become of this operation.
    fn fate(&mut self, operation: Operation) -> io::Result<Option<Fault>> {
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        let mut fate = None;
        self.faults.retain_mut(|(of, later, fault)| {
            if *of != Operation::Any && *of != operation {
                return true;
            }
            if *later > 0 {
                *later -= 1;
                return true;
            }
            fate.get_or_insert(*fault);
            false
        });
        self.is_off = fate == Some(Fault::PowerOff);
        Ok(fate)
    }

    /// The same for an operation that is done as a whole or not at all.
    fn whole(&mut self, operation: Operation) -> io::Result<()> {
        match self.fate(operation)? {
            None | Some(Fault::Short) => Ok(()),
            Some(fault) => Err(error(fault)),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, change.clone());
        self.changes.push(change);
    }

    fn contents(&mut self, number: u64) -> io::Result<&mut Contents> {
        self.files.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Contents {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        if let Some(place) = self.seen.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES));
    }

    fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            self.keep(page, PAGE_BYTES);
        }
    }

    /// Puts the first bytes of a page as they are seen on the platters.
    fn keep(&mut self, page: usize, n_bytes: usize) {
        let begin = page * PAGE_BYTES;
        let kept = begin..(begin + n_bytes).min(self.seen.len());
        if let Some((place, seen)) = self.durable.get_mut(kept.clone()).zip(self.seen.get(kept)) {
            place.copy_from_slice(seen);
        }
    }

    fn lose(&mut self, chance: &mut u64) {
        if self.durable.len() != self.seen.len() && draw(chance, 2) == 0 {
            self.durable.resize(self.seen.len(), 0);
        }
        for page in std::mem::take(&mut self.dirty) {
            match draw(chance, 4) {
                0 => {}
                1 => self.keep(page, usize::try_from(draw(chance, PAGE_BYTES as u64)).unwrap_or(0)),
                _ => self.keep(page, PAGE_BYTES),
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        state.whole(Operation::Create)?;
        state.counts.creations += 1;
        let number = state.files.keys().next_back().map_or(0, |last| last + 1);
        let mut contents = Contents::default();
        contents.write(&vec![0; usize::try_from(bytes).map_err(io::Error::other)?], 0);
        state.files.insert(number, contents);
        state.change(Change::Made(name.to_owned(), number));
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        let number = self.state().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(FaultyFile { disk: self.clone(), number })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.whole(Operation::Rename)?;
        state.change(Change::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.whole(Operation::Rename)?;
        state.change(Change::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let state = &mut *self.state();
        state.whole(Operation::SyncNames)?;
        state.counts.name_syncs += 1;
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/faulty").join(name)
    }
}

impl DiskFile for FaultyFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.state().contents(self.number)?.seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let seen = &state.contents(self.number)?.seen;
        let mut behind = seen.get(usize::try_from(offset).map_err(io::Error::other)?..).unwrap_or_default();
        io::Read::read(&mut behind, buffer)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fate = state.fate(Operation::Write)?;
        state.counts.writes += 1;
        let n_taken = if fate.is_none() { bytes.len() } else { bytes.len().div_ceil(2) };
        let taken = bytes.get(..n_taken).unwrap_or_default();
        state.contents(self.number)?.write(taken, usize::try_from(offset).map_err(io::Error::other)?);
        match fate {
            None | Some(Fault::Short) => Ok(n_taken),
            Some(fault) => Err(error(fault)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        while state.syncs_held {
            state.n_waiting += 1;
            self.disk.0.turned.notify_all();
            self.disk.0.turned.wait(&mut state);
            state.n_waiting -= 1;
        }
        let fate = state.fate(Operation::Sync)?;
        state.counts.syncs += 1;
        let contents = state.contents(self.number)?;
        match fate {
            None | Some(Fault::Short) => {
                contents.sync();
                Ok(())
            }
            Some(fault) => {
                if fault != Fault::PowerOff {
                    contents.dirty.clear();
                }
                Err(error(fault))
            }
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::NoRoom => io::ErrorKind::StorageFull.into(),
        Fault::PowerOff => io::Error::other("the power is off"),
        Fault::Device | Fault::Short => io::Error::other("the device failed"),
    }
}

/// A change whose file is not there does nothing.
fn apply(names: &mut BTreeMap<String, u64>, change: Change) {
    match change {
        Change::Made(name, number) => {
            names.insert(name, number);
        }
        Change::Renamed(from, to) => {
            if let Some(number) = names.remove(&from) {
                names.insert(to, number);
            }
        }
        Change::Removed(name) => {
            names.remove(&name);
        }
    }
}

/// The next number below `limit`: Marsaglia's xorshift64.
fn draw(chance: &mut u64, limit: u64) -> u64 {
    let a = *chance ^ (*chance << 13);
    let b = a ^ (a >> 7);
    *chance = b ^ (b << 17);
    (*chance >> 11).checked_rem(limit).unwrap_or(0)
}
