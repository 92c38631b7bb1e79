//! A load on one CPU that knows its own time, shared by the examples that measure.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Keeps the calling thread on one CPU.
pub(crate) fn pin(cpu: u32) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(usize::try_from(cpu).unwrap_or(0));
    Ok(sched_setaffinity(None, &set)?)
}

/// The clock of samples, in nanoseconds.
pub(crate) fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Time that the calling thread has run, in nanoseconds.
pub(crate) fn thread_ns() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let (seconds, rest) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + rest
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "a program that measures waits for its window to end")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Asks a duty cycle of the load, and learns what it really was.
#[derive(Default)]
pub(crate) struct Duty {
    stop: AtomicBool,
    /// The load's thread clock, stored after every turn of its loop.
    ran_ns: AtomicU64,
}

impl Duty {
    /// Runs for `busy_ns` of every `period_ns` until told to stop.
    pub(crate) fn run(&self, busy_ns: u64, period_ns: u64) {
        let mut next = monotonic_ns();
        while !self.stop.load(Ordering::Relaxed) {
            let begin = thread_ns();
            loop {
                let ran = thread_ns();
                self.ran_ns.store(ran, Ordering::Relaxed);
                if ran - begin >= busy_ns || self.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            next += period_ns;
            let rest = next.saturating_sub(monotonic_ns());
            if rest > 0 && busy_ns < period_ns {
                pause(Duration::from_nanos(rest));
            } else {
                next = monotonic_ns();
            }
        }
    }

    /// What the load's thread has run so far, at most one clock read old while it runs.
    pub(crate) fn ran_ns(&self) -> u64 {
        self.ran_ns.load(Ordering::Relaxed)
    }

    /// Ends [`Self::run`].
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The middle of some values.
pub(crate) fn median(values: &mut [u64]) -> u64 {
    percentile(values, 50)
}

/// The value that this many percent of the values do not exceed.
pub(crate) fn percentile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or(0)
}
