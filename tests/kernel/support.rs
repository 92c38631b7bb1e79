//! Opening a sensor or skipping, load on one CPU, and running a test again in a process of its own.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ebpf_sensor::{Options, ProbeChoice, Sensor};
use harness::need::or_skip;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Both halves from the kernel, or `None` after saying that the test is skipped.
pub(crate) fn sensor(test: &str) -> Option<Sensor> {
    or_skip(test, "kernel", open(ProbeChoice::Ebpf))
}

pub(crate) fn open(choice: ProbeChoice) -> Result<Sensor, String> {
    Sensor::open(&Options { choice, ..Options::default() }).map_err(|error| error.to_string())
}

/// Keeps the calling thread on one CPU.
pub(crate) fn pin(cpu: u32) {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    sched_setaffinity(None, &set).unwrap();
}

/// Time that the calling thread has run, in nanoseconds.
pub(crate) fn thread_ns() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// Time that all threads of this process have run, in nanoseconds.
pub(crate) fn process_ns() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

/// The clock of samples.
pub(crate) fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// Runs for `busy_ns` of every `period_ns` until told to stop. Returns the time it ran, by its own clock.
pub(crate) fn burn(busy_ns: u64, period_ns: u64, stop: &AtomicBool) -> u64 {
    let started = thread_ns();
    while !stop.load(Ordering::Relaxed) {
        let begin = monotonic_ns();
        while monotonic_ns() - begin < busy_ns {
            std::hint::spin_loop();
        }
        if busy_ns < period_ns {
            pause(Duration::from_nanos(period_ns - busy_ns));
        }
    }
    thread_ns() - started
}

/// Lets time pass.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

const ROLE: &str = "BALANZA_KERNEL_TEST_CHILD";

/// The part that this process plays, if a test started it.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Prepares the same test program to run `test` again, in a process with one thread, in the given part.
pub(crate) fn child(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Runs a child to its end and returns what it printed.
pub(crate) fn run_child(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the child failed ({}):\n{text}", output.status);
    text
}
