//! A clock that ticks four times a second and looks after everybody's deadlines, so that no request arms a timer. Each
//! worker has one, and whoever waits by it has an [`Alarm`]. Absent: the real clock; whoever ticks passes the date in.

use std::cell::{Cell, Ref, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

/// Length of one tick. Deadlines are this coarse.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// [`guard::NOTICE`], in ticks.
const NOTICE_TICKS: u64 = 2;
/// [`guard::LAST`], in ticks.
const LAST_TICKS: u64 = 24;
const _: () = assert!(guard::NOTICE.as_millis() == NOTICE_TICKS as u128 * TICK.as_millis());
const _: () = assert!(guard::LAST.as_millis() == LAST_TICKS as u128 * TICK.as_millis());

/// A moment on the coarse clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// The moment of a deadline that does not hold.
    pub(crate) const NEVER: Self = Self(u64::MAX);
}

/// Wakes one task: at its deadline, at the end of the program, or when somebody has something for it.
pub(crate) struct Alarm {
    /// When the task is woken whatever happens.
    pub(crate) deadline: Cell<Tick>,
    waker: RefCell<Option<Waker>>,
}

impl Alarm {
    /// The task to wake.
    pub(crate) fn wake_me(&self, cx: &Context<'_>) {
        let waker = &mut *self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Wakes it.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The coarse clock of a worker.
#[derive(Default)]
pub(crate) struct CoarseClock {
    now: Cell<u64>,
    date: RefCell<String>,
    /// When the end of the program began.
    stopping: Cell<Option<u64>>,
    alarms: RefCell<Vec<Weak<Alarm>>>,
}

impl CoarseClock {
    /// An alarm that is not set.
    pub(crate) fn alarm(&self) -> Rc<Alarm> {
        let alarm = Rc::new(Alarm { deadline: Cell::new(Tick::NEVER), waker: RefCell::default() });
        self.alarms.borrow_mut().push(Rc::downgrade(&alarm));
        alarm
    }

    /// The tick that begins once `time` is over.
    pub(crate) fn after(&self, time: Duration) -> Tick {
        let ticks = time.as_millis().div_ceil(TICK.as_millis());
        Tick(self.now.get().saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)).saturating_add(1))
    }

    /// Whether `deadline` has passed.
    pub(crate) fn is_past(&self, deadline: Tick) -> bool {
        deadline.0 <= self.now.get()
    }

    /// Whether the program ends: every answer is the last of its connection.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get().is_some()
    }

    /// Whether the program has ended for whoever is owed nothing.
    pub(crate) fn is_ending(&self) -> bool {
        self.stopping.get().is_some_and(|since| self.now.get() >= since + NOTICE_TICKS)
    }

    /// The last moment for the first request of a connection that was there when the program ends.
    pub(crate) fn last_fresh(&self) -> Tick {
        self.stopping.get().map_or(Tick::NEVER, |since| Tick(since + 2 * NOTICE_TICKS))
    }

    /// The last moment for a request that has begun when the program ends.
    pub(crate) fn last_moment(&self) -> Tick {
        self.stopping.get().map_or(Tick::NEVER, |since| Tick(since + NOTICE_TICKS + LAST_TICKS))
    }

    /// The wall clock as answers tell it, a tick old at most.
    pub(crate) fn date(&self) -> Ref<'_, String> {
        self.date.borrow()
    }

    /// Moves the clock on by a tick and wakes whoever's deadline has passed; all of them once the program ends.
    pub(crate) fn tick(&self, date: String, stopping: bool) {
        self.now.set(self.now.get() + 1);
        self.date.replace(date);
        if stopping && self.stopping.get().is_none() {
            self.stopping.set(Some(self.now.get()));
        }
        self.alarms.borrow_mut().retain(|alarm| {
            let Some(alarm) = alarm.upgrade() else { return false };
            if stopping || self.is_past(alarm.deadline.get()) {
                alarm.wake();
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_deadline_wakes_its_task_and_no_other() {
        let clock = CoarseClock::default();
        let (soon, never) = (clock.alarm(), clock.alarm());
        let woken = [Arc::<Woken>::default(), Arc::default()];
        for (alarm, woken) in [&soon, &never].into_iter().zip(&woken) {
            alarm.wake_me(&Context::from_waker(&Arc::clone(woken).into()));
        }
        soon.deadline.set(clock.after(TICK));
        let count = || woken.each_ref().map(|woken| woken.0.load(Ordering::Relaxed));
        clock.tick(String::new(), false);
        assert_eq!(count(), [0, 0], "a whole tick has not passed yet");
        clock.tick(String::new(), false);
        assert_eq!(count(), [1, 0]);
        clock.tick(String::new(), true);
        assert_eq!(count(), [2, 1], "the end of the program wakes everybody");
    }

    #[test]
    fn the_end_of_the_program_comes_with_notice() {
        let clock = CoarseClock::default();
        let mut told = Vec::new();
        for _ in 0..NOTICE_TICKS + LAST_TICKS + 1 {
            clock.tick(String::new(), true);
            told.push((clock.is_stopping(), clock.is_ending(), clock.is_past(clock.last_moment())));
        }
        let count = |state| told.iter().filter(|told| **told == state).count() as u64;
        assert_eq!(count((true, false, false)), NOTICE_TICKS);
        assert_eq!((count((true, true, false)), count((true, true, true))), (LAST_TICKS, 1));
    }

    #[test]
    fn alarms_of_tasks_that_ended_are_forgotten() {
        let clock = CoarseClock::default();
        drop(clock.alarm());
        let _kept = clock.alarm();
        clock.tick(String::new(), false);
        assert_eq!(clock.alarms.borrow().len(), 1);
    }
}
