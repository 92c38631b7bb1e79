//! Memory from the walk against `/proc/meminfo`, read before and after it.

use ebpf_sensor::{Memory, Sensor};

use crate::support::sensor;

/// MemTotal and MemAvailable in bytes.
fn meminfo() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
    };
    (field("MemTotal:"), field("MemAvailable:"))
}

/// One sample, and how far it lies outside of what the kernel said before and after it.
fn bracketed(sensor: &Sensor) -> (Memory, u64) {
    let (total, before) = meminfo();
    let memory = sensor.sample().memory.unwrap();
    let (_, after) = meminfo();
    assert_eq!(memory.total_bytes, total, "MemTotal");
    let below = before.min(after).saturating_sub(memory.available_bytes);
    let above = memory.available_bytes.saturating_sub(before.max(after));
    (memory, below.max(above))
}

#[test]
fn memory_is_what_the_kernel_says() {
    let Some(sensor) = sensor("memory_is_what_the_kernel_says") else { return };
    let mut outside: Vec<u64> = (0..200).map(|_| bracketed(&sensor).1).collect();
    outside.sort_unstable();
    let (total, _) = meminfo();
    println!("outside the bracket: median {} B, largest {} B", outside[100], outside[199]);
    // A tenth of a percent point. Memory moves both ways between the two readings of a busy machine.
    assert!(outside[190] <= total / 1000, "95 of 100 samples within {} B: {outside:?}", total / 1000);
}

#[test]
fn memory_is_what_the_kernel_says_while_it_is_touched_and_given_back() {
    let name = "memory_is_what_the_kernel_says_while_it_is_touched_and_given_back";
    let Some(sensor) = sensor(name) else { return };
    const STEP: usize = 32 << 20;
    const STEPS: usize = 16;
    let (mut outside, mut available, mut touched) = (Vec::new(), Vec::new(), Vec::new());
    let mut look = || {
        let (memory, off) = bracketed(&sensor);
        outside.push(off);
        available.push(memory.available_bytes);
    };
    look();
    for _ in 0..STEPS {
        let mut pages = vec![0u8; STEP];
        for page in pages.chunks_mut(4096) {
            page[0] = 1;
        }
        touched.push(pages);
        look();
    }
    while touched.pop().is_some() {
        look();
    }
    outside.sort_unstable();
    let (least, most) = (available.iter().min().unwrap(), available.iter().max().unwrap());
    let (total, _) = meminfo();
    println!("{least} to {most} B available; outside by {} B at most", outside[2 * STEPS]);
    // How fast the kernel gives pages back, and what other programs do, is not ours; that it is seen is.
    assert!(most - least > STEP as u64, "{most} and {least} B available");
    assert!(outside[2 * STEPS - 2] <= total / 1000, "outside of what the kernel says: {outside:?}");
}
