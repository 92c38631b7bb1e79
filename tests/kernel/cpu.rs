//! CPU time from the probe against a load that knows its own time, and against the kernel's idle time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ebpf_sensor::{Sample, Sensor, usage};

use crate::support::{burn, monotonic_ns, pause, pin, sensor};

/// The CPU that the loads run on; the last one, as the first serves most interrupts.
pub(crate) fn loaded_cpu(sample: &Sample) -> u32 {
    sample.cpus.last().unwrap().cpu
}

fn busy_ns(sample: &Sample, cpu: u32) -> u64 {
    sample.cpus.iter().find(|time| time.cpu == cpu).unwrap().busy_ns
}

/// Time that the kernel counted as idle or waiting on one CPU, in nanoseconds with the granularity of a tick.
pub(crate) fn idle_ns(cpu: u32) -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{cpu} "))).unwrap();
    let fields: Vec<u64> = line.split_ascii_whitespace().map(|field| field.parse().unwrap()).collect();
    (fields[3] + fields[4]) * 10_000_000
}

/// Probe, kernel and the load itself over one window, in nanoseconds of one CPU.
fn measure(sensor: &Sensor, busy_us: u64, period_us: u64) -> (u64, u64, u64, u64) {
    let cpu = loaded_cpu(&sensor.sample());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            pin(cpu);
            burn(busy_us * 1000, period_us * 1000, &stop)
        });
        let (first, idle) = (sensor.sample(), idle_ns(cpu));
        pause(Duration::from_secs(2));
        let (last, idle) = (sensor.sample(), idle_ns(cpu) - idle);
        stop.store(true, Ordering::Relaxed);
        let window = last.taken_ns - first.taken_ns;
        let busy = busy_ns(&last, cpu) - busy_ns(&first, cpu);
        (window, busy, window.saturating_sub(idle), load.join().unwrap())
    })
}

#[test]
fn a_load_is_seen_whole_and_not_more_than_the_kernel_counts() {
    let name = "a_load_is_seen_whole_and_not_more_than_the_kernel_counts";
    let Some(sensor) = sensor(name) else { return };
    for (busy_us, period_us) in [(500, 10_000), (5_000, 10_000), (9_500, 10_000), (100, 1_000)] {
        let (window, busy, kernel, load) = measure(&sensor, busy_us, period_us);
        println!(
            "{busy_us}/{period_us} us: window {window}, probe {busy}, not idle {kernel}, load {load} ns"
        );
        // The load may have begun a moment before the window and end a moment after it.
        let edges = 20_000_000;
        assert!(busy + edges >= load, "the probe saw {busy} ns of a load of {load} ns");
        // Three percent of the window is six ticks; the kernel counts idle time in whole ones.
        assert!(busy.abs_diff(kernel) <= window * 3 / 100, "probe {busy} ns, not idle {kernel} ns");
    }
}

#[test]
fn a_cpu_that_is_never_idle_is_seeded() {
    // Without the seed it would have no event at all, and be unknown.
    let cpus: Vec<u32> = match sensor("a_cpu_that_is_never_idle_is_seeded") {
        Some(sensor) => sensor.sample().cpus.iter().map(|time| time.cpu).collect(),
        None => return,
    };
    let cpu = *cpus.last().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            pin(cpu);
            burn(1_000_000_000, 1, &stop)
        });
        pause(Duration::from_millis(100));
        let sensor = sensor("a_cpu_that_is_never_idle_is_seeded").unwrap();
        let first = sensor.sample();
        pause(Duration::from_millis(300));
        let usage = usage(&first, &sensor.sample());
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        let share = usage.per_cpu.iter().find(|(number, _)| *number == cpu).unwrap().1.unwrap();
        println!("CPU {cpu}: {share} %");
        assert!(share.get() >= 9900, "a CPU without a pause is {share} % busy");
    });
}

#[test]
fn samples_follow_the_clock_and_never_run_backwards() {
    let Some(sensor) = sensor("samples_follow_the_clock_and_never_run_backwards") else { return };
    let mut previous = sensor.sample();
    for _ in 0..20_000 {
        let before = monotonic_ns();
        let next = sensor.sample();
        assert!((before..=monotonic_ns()).contains(&next.taken_ns));
        for (earlier, later) in previous.cpus.iter().zip(&next.cpus) {
            let busy = later.busy_ns.checked_sub(earlier.busy_ns).unwrap();
            assert!(busy <= next.taken_ns - previous.taken_ns + 1000, "busy for longer than the window");
        }
        previous = next;
    }
}
