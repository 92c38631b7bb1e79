//! (b) CPU against the true duty of a load, by its own thread clock, beside what the ticks of `/proc/stat` give.
//!
//! Only windows in which other tasks took little of the measured CPU can be compared with the load's clock. What
//! they took is the CPU's total in the cgroup accounting less the load.

use std::error::Error;
use std::fs;
use std::thread;
use std::time::Duration;

use ebpf_sensor::{ProbeChoice, Sample, Sensor};

use crate::load::{Duty, median, monotonic_ns, pause, percentile, pin};
use crate::raw::Raw;
use crate::{Outcome, open, points};

const PERIOD_NS: u64 = 10_000_000;
const DUTIES: [u64; 5] = [5, 25, 50, 75, 95];
/// Length of the window in milliseconds, and how many clean ones are wanted.
const WINDOWS: [(u64, usize); 4] = [(1000, 10), (100, 60), (50, 80), (20, 100)];
/// What other tasks may take of a window, in basis points.
const CLEAN: u64 = 40;
/// A busy machine has few clean windows; this long a cell is tried.
const PATIENCE_NS: u64 = 12_000_000_000;
/// Fewer windows than this are no measurement.
const ENOUGH: usize = 5;

pub(crate) fn measure(raw: &mut Raw) -> Outcome {
    let (probe, ticks) = (open(ProbeChoice::Ebpf)?, open(ProbeChoice::Procfs)?);
    let cpu = probe.sample().cpus.last().ok_or("no CPU")?.cpu;
    match others(cpu) {
        Some(_) => println!("Windows in which other tasks took less than 0.4 % of CPU {cpu}."),
        None => println!("All windows, whatever else ran: this host accounts for no single CPU by cgroup."),
    }
    println!("Median and p95 of the error, in percent points; the load's period is 10 ms.\n");
    println!("| window | duty | windows | probe, median | p95 | /proc/stat, median | p95 |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (window_ms, wanted) in WINDOWS {
        for duty in DUTIES {
            let cell = Cell { cpu, duty, window_ms, wanted };
            cell.row(&probe, &ticks, raw)?;
        }
    }
    Ok(())
}

struct Cell {
    cpu: u32,
    duty: u64,
    window_ms: u64,
    wanted: usize,
}

/// The counters at one moment.
struct Moment {
    probe: Sample,
    ticks: Sample,
    load_ns: u64,
    all_ns: Option<u64>,
}

impl Cell {
    fn row(&self, probe: &Sensor, ticks: &Sensor, raw: &mut Raw) -> Outcome {
        let (mut probe_errors, mut tick_errors) = self.errors(probe, ticks)?;
        let labels = format!("cpu window_ms={} duty={}", self.window_ms, self.duty);
        for (source, errors) in [("probe", &probe_errors), ("stat", &tick_errors)] {
            for error in errors {
                raw.figure(&format!("{labels} {source} error_basis_points"), *error)?;
            }
        }
        let count = probe_errors.len();
        print!("| {} ms | {} % | {count} | ", self.window_ms, self.duty);
        if count < ENOUGH {
            println!("– | – | – | – |");
            return Ok(());
        }
        let shown = |errors: &mut Vec<u64>| {
            format!("{} | {}", points(median(errors)), points(percentile(errors, 95)))
        };
        println!("{} | {} |", shown(&mut probe_errors), shown(&mut tick_errors));
        Ok(())
    }

    fn errors(&self, probe: &Sensor, ticks: &Sensor) -> Result<(Vec<u64>, Vec<u64>), Box<dyn Error>> {
        let duty = Duty::default();
        let outcome = thread::scope(|scope| {
            scope.spawn(|| pin(self.cpu).map(|()| duty.run(PERIOD_NS * self.duty / 100, PERIOD_NS)));
            pause(Duration::from_millis(50));
            let outcome = self.windows(probe, ticks, &duty);
            duty.stop();
            outcome
        });
        outcome.ok_or_else(|| format!("CPU {} went away", self.cpu).into())
    }

    fn windows(&self, probe: &Sensor, ticks: &Sensor, duty: &Duty) -> Option<(Vec<u64>, Vec<u64>)> {
        let (mut probe_errors, mut tick_errors) = (Vec::new(), Vec::new());
        let begin = monotonic_ns();
        let moment = || Moment {
            ticks: ticks.sample(),
            all_ns: others(self.cpu),
            load_ns: duty.ran_ns(),
            probe: probe.sample(),
        };
        let mut previous = moment();
        while probe_errors.len() < self.wanted && monotonic_ns() - begin < PATIENCE_NS {
            pause(Duration::from_millis(self.window_ms));
            let next = moment();
            let window = next.probe.taken_ns - previous.probe.taken_ns;
            let truth = next.load_ns - previous.load_ns;
            let all = next.all_ns.zip(previous.all_ns).map(|(next, previous)| next - previous);
            let clean = all.is_none_or(|all| all.saturating_sub(truth) * 10_000 <= window * CLEAN);
            if clean {
                let truth = truth * 10_000 / window;
                let share = |busy: u64, window: u64| (busy * 10_000 / window).min(10_000);
                let seen = share(self.busy(&next.probe)? - self.busy(&previous.probe)?, window);
                let tick_window = next.ticks.taken_ns - previous.ticks.taken_ns;
                let tick_busy = self.busy(&next.ticks)?.saturating_sub(self.busy(&previous.ticks)?);
                probe_errors.push(seen.abs_diff(truth));
                tick_errors.push(share(tick_busy, tick_window).abs_diff(truth));
            }
            previous = next;
        }
        Some((probe_errors, tick_errors))
    }

    fn busy(&self, sample: &Sample) -> Option<u64> {
        sample.cpus.iter().find(|time| time.cpu == self.cpu).map(|time| time.busy_ns)
    }
}

/// What all tasks together have run on one CPU, in nanoseconds, where version 1 of cgroups accounts for it.
fn others(cpu: u32) -> Option<u64> {
    let text = fs::read_to_string("/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu").ok()?;
    text.split_ascii_whitespace().nth(usize::try_from(cpu).ok()?)?.parse().ok()
}
