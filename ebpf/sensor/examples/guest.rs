//! The checks that `cargo xtask kernels` runs inside each kernel of its matrix, as the only program of a small
//! guest. Prints `PASS name: detail`, `FAIL name: detail` or `FACT name value`, one on a line, and `DONE` at the end.

#![expect(clippy::print_stdout, reason = "the serial line is how the guest reports")]

mod load;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use caps::{CapSet, Capability, CapsHashSet};
use ebpf_sensor::{Options, ProbeChoice, Sample, Scope, Sensor, usage};
use load::{Duty, median, monotonic_ns, pause, percentile, pin};
use rustix::thread::{Gid, Uid, set_keep_capabilities, set_thread_res_gid, set_thread_res_uid};

type Outcome = Result<String, Box<dyn Error>>;

/// The CPU that loads run on; the first one serves most interrupts.
const LOADED: u32 = 1;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("nobody") => report("as nobody", as_nobody()),
        Some("dropped") => report("after the drop", after_drop()),
        Some("boxed") => report("cgroup", in_cgroup()),
        _ => all(),
    }
}

fn all() {
    report("both halves", both_halves());
    report("memory", memory());
    for percent in [10, 50, 90] {
        report(&format!("cpu {percent} percent"), duty(percent));
    }
    report("seeded", never_idle());
    report("cost", cost());
    report("file", file());
    report("raw twins", raw_twins());
    report("hotplug", hotplug());
    for role in ["nobody", "dropped", "boxed"] {
        let child = Command::new("/proc/self/exe").arg(role).status();
        if !child.as_ref().is_ok_and(std::process::ExitStatus::success) {
            println!("FAIL {role}: the child ended with {child:?}");
        }
    }
    println!("DONE");
}

fn report(name: &str, outcome: Outcome) {
    match outcome {
        Ok(detail) => println!("PASS {name}: {detail}"),
        // One line, whatever the verifier wrote.
        Err(error) => println!("FAIL {name}: {}", error.to_string().replace('\n', " / ")),
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

fn open() -> Result<Sensor, Box<dyn Error>> {
    Ok(Sensor::open(&Options { choice: ProbeChoice::Ebpf, ..Options::default() })?)
}

/// The effort that the verifier may take at most; its own limit is a million.
const BUDGET: u32 = 500_000;

fn both_halves() -> Outcome {
    let begin = monotonic_ns();
    let sensor = open()?;
    println!("FACT open_ms {}", (monotonic_ns() - begin) / 1_000_000);
    let effort = sensor.verified_instructions();
    // Before Linux 5.16 the kernel does not tell.
    let most =
        effort.iter().filter_map(|(name, count)| Some((name, (*count)?))).max_by_key(|(_, count)| *count);
    if let Some((name, count)) = most {
        println!("FACT verified {count}");
        require(count <= BUDGET, || format!("`{name}` takes {count} of {BUDGET} instructions"))?;
    }
    Ok(sensor.explanation().join("; "))
}

/// MemTotal and MemAvailable in bytes.
fn meminfo() -> Result<(u64, u64), Box<dyn Error>> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let field = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    field("MemTotal:").zip(field("MemAvailable:")).ok_or_else(|| "/proc/meminfo lacks a line".into())
}

fn memory() -> Outcome {
    let sensor = open()?;
    let (mut exact, mut inside) = (0, 0);
    for _ in 0..100 {
        let (total, before) = meminfo()?;
        let memory = sensor.sample().memory.ok_or("no memory")?;
        let (_, after) = meminfo()?;
        require(memory.total_bytes == total, || format!("MemTotal {total}, not {}", memory.total_bytes))?;
        exact += u32::from(memory.available_bytes == before && before == after);
        let range = before.min(after)..=before.max(after);
        inside += u32::from(range.contains(&memory.available_bytes));
    }
    require(inside >= 98, || format!("{inside} of 100 within what the kernel said before and after"))?;
    Ok(format!("{inside} of 100 inside the bracket, {exact} of them equal to both"))
}

fn busy_ns(sample: &Sample, cpu: u32) -> Result<u64, Box<dyn Error>> {
    let time = sample.cpus.iter().find(|time| time.cpu == cpu);
    time.map(|time| time.busy_ns).ok_or_else(|| format!("no CPU {cpu}").into())
}

/// The largest median error in basis points. Emulation makes everything beside the load slow too, so the bound is
/// loose; `cargo xtask bench probe` has the one that counts.
const CPU_BOUND: u64 = 500;

/// The machine that emulates has other work, and what it takes from one emulated CPU looks like an error here. So
/// the best of a few attempts counts.
const ATTEMPTS: u32 = 5;

fn duty(percent: u64) -> Outcome {
    let sensor = open()?;
    let mut best = (u64::MAX, u64::MAX);
    for _ in 0..ATTEMPTS {
        best = best.min(errors(&sensor, percent)?);
        if best.0 <= CPU_BOUND {
            break;
        }
    }
    let (median, most) = best;
    println!("FACT cpu_{percent} {median}");
    require(median <= CPU_BOUND, || format!("median error {median}, p95 {most} basis points"))?;
    Ok(format!("median error {median}, p95 {most} basis points in windows of 50 ms"))
}

const PERIOD_NS: u64 = 10_000_000;

/// Median and p95 of the distance to a load's own clock, in basis points, in windows of 50 ms.
fn errors(sensor: &Sensor, percent: u64) -> Result<(u64, u64), Box<dyn Error>> {
    let duty = Duty::default();
    let errors = thread::scope(|scope| {
        scope.spawn(|| pin(LOADED).map(|()| duty.run(PERIOD_NS * percent / 100, PERIOD_NS)));
        let errors = windows(sensor, &duty);
        // Whatever came of it: the scope waits for the load.
        duty.stop();
        errors
    });
    let mut errors = errors?;
    Ok((median(&mut errors), percentile(&mut errors, 95)))
}

fn windows(sensor: &Sensor, duty: &Duty) -> Result<Vec<u64>, Box<dyn Error>> {
    pause(Duration::from_millis(100));
    let mut errors = Vec::new();
    let mut previous = (sensor.sample(), duty.ran_ns());
    for _ in 0..30 {
        pause(Duration::from_millis(50));
        let next = (sensor.sample(), duty.ran_ns());
        let window = next.0.taken_ns - previous.0.taken_ns;
        let seen = busy_ns(&next.0, LOADED)?.saturating_sub(busy_ns(&previous.0, LOADED)?);
        let truth = next.1 - previous.1;
        errors.push(seen.abs_diff(truth) * 10_000 / window);
        previous = next;
    }
    Ok(errors)
}

fn never_idle() -> Outcome {
    let duty = Duty::default();
    thread::scope(|scope| {
        scope.spawn(|| pin(LOADED).map(|()| duty.run(1_000_000_000, 1)));
        pause(Duration::from_millis(200));
        let outcome = open().and_then(|sensor| {
            let first = sensor.sample();
            pause(Duration::from_millis(500));
            let usage = usage(&first, &sensor.sample());
            let share = usage.per_cpu.iter().find(|(cpu, _)| *cpu == LOADED).and_then(|(_, share)| *share);
            let share = share.ok_or("unknown")?;
            require(share.get() >= 9900, || format!("{share} %"))?;
            Ok(format!("{share} % on a CPU without a pause"))
        });
        duty.stop();
        outcome
    })
}

fn cost() -> Outcome {
    let sensor = open()?;
    let mut times: Vec<u64> = (0..500)
        .map(|_| {
            let begin = monotonic_ns();
            drop(sensor.sample());
            monotonic_ns() - begin
        })
        .collect();
    Ok(format!("{} ns for a sample, emulated", median(&mut times)))
}

fn file() -> Outcome {
    let directory = Path::new(ebpf_sensor::PIN_DIRECTORY);
    let pin = Some(directory.to_owned());
    drop(Sensor::open(&Options { choice: ProbeChoice::Ebpf, pin, ..Options::default() })?);
    pause(Duration::from_millis(1200));
    let text = fs::read_to_string(directory.join("so_info"))?;
    let parts: Vec<u64> = text.split(';').filter_map(|part| part.parse().ok()).collect();
    require(parts.len() == 2 && parts.iter().all(|part| *part <= 100), || format!("`{text}`"))?;
    require(parts.first() > Some(&0), || format!("no memory in use in `{text}`"))?;
    ebpf_sensor::unpin(directory)?;
    require(!directory.exists(), || "still there after unpin".to_owned())?;
    Ok(format!("`{text}` without a sensor"))
}

/// A kernel without BTF, as far as the sensor can tell: CPU by raw tracepoints, memory from the proc file.
fn raw_twins() -> Outcome {
    let options = Options { btf: Some(PathBuf::from("/no/btf")), ..Options::default() };
    let sensor = Sensor::open(&options)?;
    require(sensor.sources().label() == "mixed", || sensor.explanation().join("; "))?;
    let first = sensor.sample();
    pause(Duration::from_millis(200));
    let usage = usage(&first, &sensor.sample());
    require(usage.cpu.is_some() && usage.ram.is_some(), || format!("{usage:?}"))?;
    Ok(format!("CPU by raw tracepoints, {} %", usage.cpu.map_or_else(String::new, |cpu| cpu.to_string())))
}

fn hotplug() -> Outcome {
    let switch = format!("/sys/devices/system/cpu/cpu{LOADED}/online");
    let sensor = open()?;
    let count = sensor.sample().cpus.len();
    fs::write(&switch, "0")?;
    pause(Duration::from_millis(1500));
    let without = sensor.sample().cpus.len();
    fs::write(&switch, "1")?;
    // The sensor looks twice a second which CPUs there are.
    pause(Duration::from_millis(700));
    let first = sensor.sample();
    pause(Duration::from_millis(500));
    let usage = usage(&first, &sensor.sample());
    require(without + 1 == count, || format!("{without} of {count} CPUs while one was offline"))?;
    let share = usage.per_cpu.iter().find(|(cpu, _)| *cpu == LOADED).and_then(|(_, share)| *share);
    let share = share.ok_or_else(|| format!("unknown after it came back: {usage:?}"))?;
    require(share.get() < 5000, || format!("{share} % busy after it came back"))?;
    Ok(format!("{without} of {count} CPUs while one was offline, {share} % after it came back"))
}

fn whole(sensor: &Sensor) -> Result<(), Box<dyn Error>> {
    let sample = sensor.sample();
    require(sample.memory.is_some() && !sample.cpus.is_empty(), || format!("{sample:?}"))
}

fn as_nobody() -> Outcome {
    // Before Linux 5.11 maps count against this limit; a unit file says LimitMEMLOCK=infinity.
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Memlock, unlimited) {
        println!("The limit of locked memory stays: {error}");
    }
    set_keep_capabilities(true)?;
    let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    let rights = CapsHashSet::from([Capability::CAP_BPF, Capability::CAP_PERFMON]);
    for set in [CapSet::Permitted, CapSet::Effective] {
        caps::set(None, set, &rights)?;
    }
    let sensor = open()?;
    whole(&sensor)?;
    Ok("CAP_BPF and CAP_PERFMON suffice".to_owned())
}

fn after_drop() -> Outcome {
    let sensor = open()?;
    let rights = sensor.drop_rights()?;
    whole(&sensor)?;
    println!("FACT kept {rights:?}");
    Ok(format!("samples go on with {rights:?}"))
}

/// Joins a cgroup of version 2 with a limit and a quota, and uses up the quota.
fn in_cgroup() -> Outcome {
    const LIMIT: u64 = 64 << 20;
    let root = Path::new("/sys/fs/cgroup");
    let group = root.join("box");
    let options = Options { scope: Scope::Cgroup, ..Options::default() };
    // The root group has no usage of its own, and a kernel without the memory controller has no group with one.
    let error = Sensor::open(&options).err().ok_or("the root group was taken")?.to_string();
    require(error.contains("--scope host"), || error.clone())?;
    if !fs::read_to_string(root.join("cgroup.controllers"))?.contains("memory") {
        return Ok("no memory controller, and the error says so".to_owned());
    }
    fs::write(root.join("cgroup.subtree_control"), "+cpu +memory")?;
    fs::create_dir_all(&group)?;
    fs::write(group.join("memory.max"), LIMIT.to_string())?;
    fs::write(group.join("cpu.max"), "50000 100000")?;
    fs::write(group.join("cgroup.procs"), std::process::id().to_string())?;
    let sensor = Sensor::open(&options)?;
    let duty = Duty::default();
    let usage = thread::scope(|scope| {
        scope.spawn(|| duty.run(1_000_000_000, 1));
        pause(Duration::from_millis(300));
        let first = sensor.sample();
        pause(Duration::from_secs(2));
        let last = sensor.sample();
        duty.stop();
        (usage(&first, &last), last.memory)
    });
    let total = usage.1.ok_or("no memory")?.total_bytes;
    require(total == LIMIT, || format!("a limit of {total} bytes"))?;
    let cpu = usage.0.cpu.ok_or("no CPU")?;
    require(cpu.get() >= 8000, || format!("{cpu} % of a quota that is used up"))?;
    Ok(format!("{cpu} % of a quota that is used up, of {} MB", total >> 20))
}
