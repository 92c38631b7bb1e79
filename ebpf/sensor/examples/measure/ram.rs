//! (a) RAM against `/proc/meminfo`, at rest and while memory is touched and given back.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ebpf_sensor::{ProbeChoice, Sensor};

use crate::load::{median, pause, percentile};
use crate::raw::Raw;
use crate::{Outcome, open};

const SAMPLES: usize = 1000;

pub(crate) fn measure(raw: &mut Raw) -> Outcome {
    let (walk, file) = (open(ProbeChoice::Ebpf)?, open(ProbeChoice::Procfs)?);
    println!("{SAMPLES} samples each, {}.\n", walk.explanation().join("; "));
    println!("| memory | MemTotal equal | outside the bracket, median | p95 | largest | p95 of the whole |");
    println!("| --- | --- | --- | --- | --- | --- |");
    row("at rest", &walk, &file, raw)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| touch(&stop));
        pause(Duration::from_millis(200));
        let outcome = row("while 2 GB are touched and given back", &walk, &file, raw);
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Touches two gigabytes in steps and gives them back, over and over.
fn touch(stop: &AtomicBool) {
    const STEP: usize = 64 << 20;
    while !stop.load(Ordering::Relaxed) {
        let mut touched = Vec::new();
        while touched.len() < 32 && !stop.load(Ordering::Relaxed) {
            let mut pages = vec![0u8; STEP];
            pages.chunks_mut(4096).filter_map(<[u8]>::first_mut).for_each(|byte| *byte = 1);
            touched.push(pages);
        }
    }
}

fn row(name: &str, walk: &Sensor, file: &Sensor, raw: &mut Raw) -> Result<(), Box<dyn Error>> {
    let mut outside = Vec::with_capacity(SAMPLES);
    let (mut equal, mut total) = (0, 0);
    for _ in 0..SAMPLES {
        let before = file.sample().memory.ok_or("no /proc/meminfo")?;
        let walked = walk.sample().memory.ok_or("no walk")?;
        let after = file.sample().memory.ok_or("no /proc/meminfo")?;
        total = before.total_bytes;
        equal += u32::from(walked.total_bytes == total);
        let low = before.available_bytes.min(after.available_bytes);
        let high = before.available_bytes.max(after.available_bytes);
        let off = low.saturating_sub(walked.available_bytes).max(walked.available_bytes.saturating_sub(high));
        raw.figure(&format!("ram \"{name}\" outside_bytes"), off)?;
        outside.push(off);
        pause(Duration::from_micros(500));
    }
    let (middle, most) = (median(&mut outside), percentile(&mut outside, 95));
    let largest = outside.last().copied().unwrap_or(0);
    println!(
        "| {name} | {equal} of {SAMPLES} | {} kB | {} kB | {} kB | {:.4} points |",
        middle / 1024,
        most / 1024,
        largest / 1024,
        most as f64 * 100.0 / total as f64
    );
    Ok(())
}
