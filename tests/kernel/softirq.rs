//! Network work on an otherwise idle CPU, which runs in softirqs of the idle task.

use std::net::UdpSocket;
use std::process::Command;

use ebpf_sensor::{ProbeChoice, usage};
use harness::need::or_skip;

use crate::cpu::idle_ns;
use crate::support::{child, monotonic_ns, open, pin, role, run_child, sensor};

const SECONDS: u64 = 3;

/// A packet every so often: twenty thousand a second. The way into and out of idle takes about a microsecond with each,
/// which the kernel counts as idle and the probe, which looks between the two events, does not: far above this rate
/// that alone is percents.
const INTERVAL_NS: u64 = 1_000_000_000 / 20_000;

/// Packets to a socket in this network namespace, from one pinned thread, until the given time.
fn flood(until_ns: u64) -> u64 {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let (mut sent, mut next) = (0, monotonic_ns());
    // Nobody reads: the packets are worked on as far as the socket, and dropped there once it is full.
    while next < until_ns {
        while monotonic_ns() < next {
            std::hint::spin_loop();
        }
        sent += u64::from(sender.send(&[0; 64]).is_ok());
        next += INTERVAL_NS;
    }
    sent
}

#[test]
fn softirqs_inside_idle_count_as_busy() {
    let name = "softirq::softirqs_inside_idle_count_as_busy";
    let test = "softirqs_inside_idle_count_as_busy";
    if role().is_some() {
        let sensor = open(ProbeChoice::Ebpf).unwrap();
        let cpu = 1;
        pin(0);
        let (first, idle) = (sensor.sample(), idle_ns(cpu));
        let sent = flood(monotonic_ns() + SECONDS * 1_000_000_000);
        let (last, idle) = (sensor.sample(), idle_ns(cpu) - idle);
        let share =
            usage(&first, &last).per_cpu.iter().find(|(number, _)| *number == cpu).unwrap().1.unwrap();
        let window = last.taken_ns - first.taken_ns;
        let kernel = window.saturating_sub(idle) * 10_000 / window;
        // The runner has begun a line of its own.
        println!("\nsent {sent}\nprobe {}\nkernel {kernel}", share.get());
        return;
    }
    let Some(sensor) = sensor(test) else { return };
    if sensor.sample().cpus.len() < 2 {
        or_skip::<()>(test, "a second CPU", Err("one CPU is online".to_owned()));
        return;
    }
    // A network of its own whose loopback hands its packets to CPU 1.
    let script = "mount -t sysfs none /sys && ip link set lo up && \
        echo 2 > /sys/class/net/lo/queues/rx-0/rps_cpus && exec \"$@\"";
    let inner = child(name, "flood");
    let mut outer = Command::new("unshare");
    outer
        .args(["--net", "--mount", "sh", "-c", script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let ready = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", script, "sh", "true"])
        .output()
        .map_err(|error| error.to_string())
        .and_then(|output| {
            let problem = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() { Ok(()) } else { Err(format!("no network of its own: {problem}")) }
        });
    if or_skip(test, "kernel", ready).is_none() {
        return;
    }
    let printed = run_child(outer);
    let number = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let (probe, kernel) = (number("probe "), number("kernel "));
    println!("{} packets: probe {probe}, not idle {kernel} basis points", number("sent "));
    assert!(probe > 300, "the packets kept CPU 1 busy, and the probe saw {probe} basis points");
    // The kernel's idle time stops for interrupts, in ticks of 10 ms: it is the one file that sees softirqs.
    assert!(probe.abs_diff(kernel) <= 300, "probe {probe}, not idle {kernel} basis points");
}
