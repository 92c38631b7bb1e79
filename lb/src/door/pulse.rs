//! What all connections of one worker share: a coarse clock that looks after everybody's deadlines, so that no request
//! arms a timer, and the buffers that busy connections lend each other, so that idle ones hold none.

use std::cell::{Cell, Ref, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::desk::Desk;

/// Length of one tick. Deadlines are this coarse.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// Bytes read from a socket at a time.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Buffers kept for the next answers.
const SPARE_BUFFERS: usize = 256;
/// A buffer that grew beyond this is not kept.
const SPARE_BYTES: usize = 16 * 1024;

/// A moment on the coarse clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// The moment of a deadline that does not hold.
    pub(super) const NEVER: Self = Self(u64::MAX);
}

/// The coarse clock of a worker, and its shared buffers.
pub(crate) struct Pulse {
    now: Cell<u64>,
    date: RefCell<String>,
    stopping: Cell<bool>,
    desks: RefCell<Vec<Weak<Desk>>>,
    spare: RefCell<Vec<Vec<u8>>>,
    scratch: RefCell<Box<[u8]>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            now: Cell::new(0),
            date: RefCell::default(),
            stopping: Cell::new(false),
            desks: RefCell::default(),
            spare: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
        }
    }
}

impl Pulse {
    /// The tick that begins once `time` is over.
    pub(super) fn after(&self, time: Duration) -> Tick {
        let ticks = time.as_millis().div_ceil(TICK.as_millis());
        Tick(self.now.get().saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)).saturating_add(1))
    }

    /// Whether `deadline` has passed.
    pub(super) fn is_past(&self, deadline: Tick) -> bool {
        deadline.0 <= self.now.get()
    }

    /// Whether the program ends: connections finish what they owe and begin nothing.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// A desk to look after.
    pub(super) fn watch(&self, desk: &Rc<Desk>) {
        self.desks.borrow_mut().push(Rc::downgrade(desk));
    }

    /// The wall clock as answers tell it, a tick old at most.
    pub(super) fn date(&self) -> Ref<'_, String> {
        self.date.borrow()
    }

    /// Moves the clock on by a tick and wakes whoever's deadline has passed; all of them once the program ends.
    pub(crate) fn tick(&self, date: String, stopping: bool) {
        self.now.set(self.now.get() + 1);
        self.date.replace(date);
        self.stopping.set(stopping);
        self.desks.borrow_mut().retain(|desk| {
            let Some(desk) = desk.upgrade() else { return false };
            if stopping || self.is_past(desk.deadline.get()) {
                desk.wake();
            }
            true
        });
    }

    /// An empty buffer.
    pub(super) fn lend_buffer(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(1024))
    }

    /// Takes a buffer back, whatever is in it.
    pub(super) fn return_buffer(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if (1..=SPARE_BYTES).contains(&buffer.capacity()) && spare.len() < SPARE_BUFFERS {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// The buffer that sockets are read into. It is borrowed for one step, never across a poll.
    pub(super) fn scratch(&self) -> &RefCell<Box<[u8]>> {
        &self.scratch
    }
}
