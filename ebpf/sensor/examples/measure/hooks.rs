//! (d) What the hooks cost per event, by the kernel's own run-time statistics, and the slowdown of a ping-pong
//! over a pipe, which is nothing but context switches.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::Duration;

use ebpf_sensor::ProbeChoice;

use crate::load::{median, pause};
use crate::raw::Raw;
use crate::{Outcome, open};

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
const ROUNDS: usize = 8;

pub(crate) fn measure(raw: &mut Raw) -> Outcome {
    let were = fs::read_to_string(STATISTICS)?;
    fs::write(STATISTICS, "1")?;
    let counted = count(raw);
    fs::write(STATISTICS, were.trim())?;
    counted?;
    ping_pong(raw)
}

fn count(raw: &mut Raw) -> Outcome {
    const SECONDS: u64 = 5;
    let probe = open(ProbeChoice::Ebpf)?;
    let before = statistics()?;
    // Short sleeps on every side: each is an idle period, and the timer that ends it a softirq or an interrupt.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..SECONDS * 5000 {
                    pause(Duration::from_micros(150));
                }
            });
        }
    });
    let after = statistics()?;
    drop(probe);
    println!("By the kernel's run-time statistics, which include their own two clock reads.\n");
    println!("| hook | events | ns per event |\n| --- | --- | --- |");
    for (name, (time, runs)) in after {
        let (time_before, runs_before) = before.get(&name).copied().unwrap_or_default();
        let (time, runs) = (time.saturating_sub(time_before), runs.saturating_sub(runs_before));
        let each = time.checked_div(runs).map_or_else(|| "–".to_owned(), |each| each.to_string());
        raw.figure(&format!("hooks {name} ns_of_{runs}"), time)?;
        println!("| {name} | {runs} | {each} |");
    }
    Ok(())
}

/// Time in nanoseconds and number of runs of each attached program, over all sensors on this host.
fn statistics() -> Result<BTreeMap<String, (u64, u64)>, Box<dyn Error>> {
    let mut sums = BTreeMap::new();
    for program in aya::programs::loaded_programs() {
        let program = program?;
        let Some(name) =
            program.name_as_str().filter(|name| ["idle", "softirq_in", "softirq_out"].contains(name))
        else {
            continue;
        };
        let sum: &mut (u64, u64) = sums.entry(name.to_owned()).or_default();
        sum.0 += u64::try_from(program.run_time().as_nanos()).unwrap_or(u64::MAX);
        sum.1 += program.run_count();
    }
    Ok(sums)
}

fn ping_pong(raw: &mut Raw) -> Outcome {
    println!("\n`perf bench sched pipe` in ns per round trip, {ROUNDS} interleaved rounds.\n");
    println!("| where | without the probe, least | median | with the probe, least | median |");
    println!("| --- | --- | --- | --- | --- |");
    for (place, cpus) in
        [("on one CPU, which never idles", "0"), ("across two CPUs, which idle every time", "0,1")]
    {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let Some(time) = pipe(cpus)? else {
                println!("| {place} | perf or taskset is missing | – | – | – |");
                return Ok(());
            };
            without.push(time);
            let probe = open(ProbeChoice::Ebpf)?;
            with.extend(pipe(cpus)?);
            drop(probe);
        }
        for (name, times) in [("without", &without), ("with", &with)] {
            for time in times {
                raw.figure(&format!("pipe cpus={cpus} {name} ns"), *time)?;
            }
        }
        let shown = |times: &mut Vec<u64>| (median(times), times.first().copied().unwrap_or(0));
        let ((without, least_without), (with, least_with)) = (shown(&mut without), shown(&mut with));
        println!("| {place} | {least_without} | {without} | {least_with} | {with} |");
    }
    Ok(())
}

fn pipe(cpus: &str) -> Result<Option<u64>, Box<dyn Error>> {
    let run =
        Command::new("taskset").args(["-c", cpus, "perf", "bench", "sched", "pipe", "-l", "50000"]).output();
    let Ok(output) = run else { return Ok(None) };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `4.974123 usecs/op`
    let figure = text.lines().find_map(|line| line.trim().strip_suffix("usecs/op"));
    let Some((whole, fraction)) = figure.and_then(|figure| figure.trim().split_once('.')) else {
        return Ok(None);
    };
    let nanoseconds = fraction.get(..3).unwrap_or(fraction);
    Ok(Some(format!("{whole}{nanoseconds:0<3}").parse()?))
}
