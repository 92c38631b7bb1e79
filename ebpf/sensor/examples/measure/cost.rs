//! (c) Time for a sample beside reading and parsing the two proc files, (e) start and memory of the sensor.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use ebpf_sensor::ProbeChoice;
use procfs::{Current, CurrentSI};

use crate::load::{median, monotonic_ns, percentile};
use crate::raw::Raw;
use crate::{Outcome, open};

const RUNS: usize = 20_000;
const STARTS: usize = 10;

pub(crate) fn measure(raw: &mut Raw) -> Outcome {
    let before = resident_kib()?;
    let probe = open(ProbeChoice::Ebpf)?;
    let after = resident_kib()?;
    let files = open(ProbeChoice::Procfs)?;
    let (meminfo, stat) = (File::open("/proc/meminfo")?, File::open("/proc/stat")?);
    println!("{RUNS} runs each, after a warm-up of {}.\n", RUNS / 10);
    println!("| RAM and CPU | median | p99 |");
    println!("| --- | --- | --- |");
    row("a sample from the probe", raw, || drop(black_box(probe.sample())))?;
    row("a sample from procfs, files kept open", raw, || drop(black_box(files.sample())))?;
    row("the crate procfs, `Meminfo::current` and `KernelStats::current`", raw, || {
        drop(black_box((procfs::Meminfo::current(), procfs::KernelStats::current())));
    })?;
    row("two bare reads of files kept open, nothing parsed", raw, || {
        let mut bytes = [0u8; 4096];
        // A failure would show as a time that is far too short.
        drop(black_box((meminfo.read_at(&mut bytes, 0), stat.read_at(&mut bytes, 0))));
    })?;

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begin = monotonic_ns();
        drop(black_box(open(ProbeChoice::Ebpf)?));
        let time = monotonic_ns() - begin;
        raw.figure("cost open_ns", time)?;
        starts.push(time);
    }
    let (middle, longest) = (median(&mut starts), starts.last().copied().unwrap_or(0));
    println!("\n| the sensor | |\n| --- | --- |");
    println!("| start, median of {STARTS} | {:.0} ms |", middle as f64 / 1e6);
    println!("| start, longest | {:.0} ms |", longest as f64 / 1e6);
    println!("| resident memory that opening adds | {} kB |", after.saturating_sub(before));
    let kernel: u64 = loaded_bytes()?;
    println!("| programs in the kernel | {} kB |", kernel / 1024);
    Ok(())
}

fn row(name: &str, raw: &mut Raw, mut run: impl FnMut()) -> Outcome {
    for _ in 0..RUNS / 10 {
        run();
    }
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begin = monotonic_ns();
        run();
        times.push(monotonic_ns() - begin);
    }
    for time in &times {
        raw.figure(&format!("cost \"{name}\" ns"), *time)?;
    }
    println!("| {name} | {} ns | {} ns |", median(&mut times), percentile(&mut times, 99));
    Ok(())
}

fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// What the kernel accounts to programs with our names. Other sensors on this host count too.
fn loaded_bytes() -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for program in aya::programs::loaded_programs() {
        let program = program?;
        let ours = ["idle", "softirq_in", "softirq_out", "locate", "sample", "seed"];
        if program.name_as_str().is_some_and(|name| ours.contains(&name)) {
            sum += u64::from(program.memory_locked()?);
        }
    }
    Ok(sum)
}
