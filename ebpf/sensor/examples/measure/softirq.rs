//! (d) Network work on an otherwise idle CPU. Runs in a network namespace whose loopback hands packets to CPU 1,
//! which `cargo xtask bench probe` makes.

use std::error::Error;
use std::fs;
use std::net::UdpSocket;

use ebpf_sensor::{ProbeChoice, usage};

use crate::load::{monotonic_ns, pin};
use crate::raw::Raw;
use crate::{Outcome, open, points};

const CPU: u32 = 1;
const WINDOW_NS: u64 = 4_000_000_000;

pub(crate) fn measure(raw: &mut Raw) -> Outcome {
    let (probe, ticks) = (open(ProbeChoice::Ebpf)?, open(ProbeChoice::Procfs)?);
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(receiver.local_addr()?)?;
    pin(0)?;
    println!("Packets from CPU 0 to CPU 1 over the loopback, windows of 4 s, percent busy of CPU 1.");
    println!(
        "The truth is the kernel's own idle time, which stops for interrupts; tasks are what ran there at all.\n"
    );
    println!("| packets/s | truth | probe | /proc/stat | tasks only |\n| --- | --- | --- | --- | --- |");
    for rate in [0u64, 2_000, 20_000, 60_000] {
        let begin = (probe.sample(), ticks.sample(), idle_ns()?, task_ns());
        let sent = send(&sender, rate)?;
        let end = (probe.sample(), ticks.sample(), idle_ns()?, task_ns());
        let window = end.0.taken_ns - begin.0.taken_ns;
        let share = |usage: ebpf_sensor::Usage| {
            let found = usage.per_cpu.iter().find(|(cpu, _)| *cpu == CPU);
            found.and_then(|(_, share)| *share).map_or(0, |share| u64::from(share.get()))
        };
        let idle = (end.2 - begin.2).min(window);
        let truth = (window - idle) * 10_000 / window;
        let (seen, ticked) = (share(usage(&begin.0, &end.0)), share(usage(&begin.1, &end.1)));
        let tasks = end.3.zip(begin.3).map(|(end, begin)| (end - begin) * 10_000 / window);
        let per_second = sent * 1_000_000_000 / window;
        for (name, value) in [("truth", truth), ("probe", seen), ("stat", ticked)] {
            raw.figure(&format!("softirq rate={rate} {name} basis_points"), value)?;
        }
        let tasks = tasks.map_or_else(|| "–".to_owned(), points);
        println!("| {per_second} | {} | {} | {} | {tasks} |", points(truth), points(seen), points(ticked));
    }
    Ok(())
}

fn send(sender: &UdpSocket, rate: u64) -> Result<u64, Box<dyn Error>> {
    let interval = 1_000_000_000u64.checked_div(rate).unwrap_or(WINDOW_NS);
    let (mut sent, mut next) = (0, monotonic_ns());
    let end = next + WINDOW_NS;
    while next < end {
        while monotonic_ns() < next {
            std::hint::spin_loop();
        }
        if rate > 0 {
            // Nobody reads, and a full socket is no fault: the way to it is what is measured.
            sent += u64::from(sender.send(&[0; 64]).is_ok());
        }
        next += interval;
    }
    while monotonic_ns() < end {
        std::hint::spin_loop();
    }
    Ok(sent)
}

/// Idle and waiting time of the measured CPU, in ticks of 10 ms.
fn idle_ns() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/stat")?;
    let mark = format!("cpu{CPU} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&mark)).ok_or("no CPU 1")?;
    let fields = line.split_ascii_whitespace().skip(3).take(2).map(str::parse::<u64>);
    let ticks = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(ticks.iter().sum::<u64>() * 10_000_000)
}

/// What tasks have run on the measured CPU, where version 1 of cgroups accounts for it.
fn task_ns() -> Option<u64> {
    let text = fs::read_to_string("/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}
