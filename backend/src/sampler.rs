//! The one loop that samples: every 100 ms a reading, and the usage of the newest second for everybody.
//!
//! Owns the sensor. Converts the sensor's words into the wire's, so that neither knows the other. Whoever asks gets the
//! newest published load; asking often or from two places disturbs nothing. Runs on a thread of its own, so that a slow
//! read never blocks a request.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ebpf_sensor::{BasisPoints, Sample, Sensor};
use tokio::sync::watch;
use wire::{Date, Share, Source};

use crate::clock;

/// Time between two samples.
const EVERY: Duration = Duration::from_millis(100);
/// The window that a published CPU share covers, once the node has run for that long.
const WINDOW_NS: u64 = 1_000_000_000;
/// A load older than this is not fresh: the sampler hangs.
const FRESH_FOR: Duration = Duration::from_secs(2);
/// CPU numbers beyond this are left out of the list per CPU, so that a hole in the numbering cannot blow it up.
const MAX_CPUS: usize = 4096;

/// The node's load as last sampled.
#[derive(Clone, Debug)]
pub struct Load {
    /// When, by the wall clock.
    pub sampled_at: Date,
    /// When, by the monotonic clock.
    pub taken: Instant,
    /// Used share of memory.
    pub ram: Option<Share>,
    /// Busy share of all CPUs over the window.
    pub cpu: Option<Share>,
    /// Memory in all, in bytes.
    pub ram_total_bytes: Option<u64>,
    /// Memory available without swapping, in bytes.
    pub ram_available_bytes: Option<u64>,
    /// Busy share of each CPU, by its number.
    pub per_cpu: Vec<Option<Share>>,
    /// Share of the window that the hypervisor gave to others.
    pub steal: Option<Share>,
    /// Length of the window, in milliseconds.
    pub window_ms: Option<u64>,
    /// The load as ORCA writes it, for the header on every answer.
    pub orca: String,
}

impl Load {
    /// A load of now of which nothing is known.
    pub fn unknown() -> Self {
        newest(&VecDeque::new())
    }

    /// Whether RAM and CPU are readings of now.
    pub fn is_valid(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.taken) <= FRESH_FOR && (self.ram.is_some() || self.cpu.is_some())
    }

    /// RAM and CPU as the rule compares them.
    pub fn percents(&self) -> (Option<u8>, Option<u8>) {
        (self.ram.map(Share::percent), self.cpu.map(Share::percent))
    }
}

/// Where the readings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The source of RAM.
    pub ram: Source,
    /// The source of CPU.
    pub cpu: Source,
}

impl Sources {
    /// The sources of `sensor`.
    pub fn of(sensor: &Sensor) -> Self {
        let told = |source| match source {
            ebpf_sensor::Source::Ebpf => Source::Ebpf,
            ebpf_sensor::Source::Procfs => Source::Procfs,
        };
        let sources = sensor.sources();
        Self { ram: told(sources.ram), cpu: told(sources.cpu) }
    }

    /// Both in one word.
    pub fn together(self) -> Source {
        if self.ram == self.cpu { self.ram } else { Source::Mixed }
    }
}

/// The running loop. Dropping it ends the loop.
pub struct Sampler {
    load: watch::Receiver<Arc<Load>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts to sample.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(sensor: Sensor) -> std::io::Result<Self> {
        let mut window = VecDeque::from([sensor.sample()]);
        let (sender, load) = watch::channel(Arc::new(newest(&window)));
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("sampler".to_owned()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                push(&mut window, sensor.sample());
                sender.send_replace(Arc::new(newest(&window)));
            }
        })?;
        Ok(Self { load, stop: Some(stop), thread: Some(thread) })
    }

    /// The newest load, now and later.
    pub fn load(&self) -> watch::Receiver<Arc<Load>> {
        self.load.clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic ends the process, so the thread has ended in order.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Adds a sample and drops those that the window no longer needs: all but one that are at least a window old.
fn push(window: &mut VecDeque<Sample>, sample: Sample) {
    let now = sample.taken_ns;
    window.push_back(sample);
    while window.get(1).is_some_and(|next| now.saturating_sub(next.taken_ns) >= WINDOW_NS) {
        window.pop_front();
    }
}

fn newest(window: &VecDeque<Sample>) -> Load {
    let blank = Sample::default();
    let (first, last) = (window.front().unwrap_or(&blank), window.back().unwrap_or(&blank));
    let usage = ebpf_sensor::usage(first, last);
    let (ram, cpu) = (usage.ram.and_then(share), usage.cpu.and_then(share));
    let mut per_cpu = Vec::new();
    for (number, busy) in &usage.per_cpu {
        let Some(index) = usize::try_from(*number).ok().filter(|index| *index < MAX_CPUS) else { continue };
        per_cpu.resize(per_cpu.len().max(index + 1), None);
        if let Some(place) = per_cpu.get_mut(index) {
            *place = busy.and_then(share);
        }
    }
    Load {
        sampled_at: clock::now(),
        taken: clock::instant(),
        ram,
        cpu,
        ram_total_bytes: last.memory.map(|memory| memory.total_bytes),
        ram_available_bytes: last.memory.map(|memory| memory.available_bytes),
        per_cpu,
        steal: usage.steal.and_then(share),
        window_ms: usage.window_ns.map(|window| window / 1_000_000),
        orca: orca(ram, cpu),
    }
}

fn share(points: BasisPoints) -> Option<Share> {
    Share::from_basis_points(points.get())
}

/// The load in ORCA's JSON form; what is unknown is left out.
fn orca(ram: Option<Share>, cpu: Option<Share>) -> String {
    let fields: Vec<String> = [("cpu_utilization", cpu), ("mem_utilization", ram)]
        .into_iter()
        .filter_map(|(name, share)| Some(format!("\"{name}\":{}", ratio(share?))))
        .collect();
    format!("JSON {{{}}}", fields.join(","))
}

/// A share as a ratio from 0 to 1, written without a float.
pub fn ratio(share: Share) -> String {
    let points = share.basis_points();
    format!("{}.{:04}", points / 10_000, points % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpf_sensor::{CpuTime, Memory};

    fn at(ms: u64, busy_ms: u64) -> Sample {
        Sample {
            taken_ns: ms * 1_000_000,
            memory: Some(Memory { total_bytes: 1000, available_bytes: 390 }),
            cpus: vec![CpuTime { cpu: 2, busy_ns: busy_ms * 1_000_000, steal_ns: None, slack_ns: 0 }],
        }
    }

    #[test]
    fn the_window_is_the_newest_second() {
        let mut window = VecDeque::from([at(0, 0)]);
        let mut busy = 0;
        for tenth in 1..=50 {
            // Idle for three seconds, then busy.
            busy += if tenth > 30 { 100 } else { 0 };
            push(&mut window, at(tenth * 100, busy));
            assert!(window.len() <= 11);
        }
        let load = newest(&window);
        assert_eq!(load.window_ms, Some(1000));
        assert_eq!(load.cpu, Some(Share::WHOLE));
        assert_eq!(load.ram.map(Share::percent), Some(61));
        assert_eq!(load.per_cpu, [None, None, Some(Share::WHOLE)]);
    }

    #[test]
    fn one_sample_gives_ram_and_no_cpu() {
        let load = newest(&VecDeque::from([at(0, 0)]));
        assert_eq!((load.cpu, load.window_ms), (None, None));
        assert_eq!(load.orca, r#"JSON {"mem_utilization":0.6100}"#);
    }

    #[test]
    fn orca_leaves_out_what_is_unknown() {
        assert_eq!(orca(None, None), "JSON {}");
        assert_eq!(
            orca(Share::from_basis_points(6100), Share::from_basis_points(407)),
            r#"JSON {"cpu_utilization":0.0407,"mem_utilization":0.6100}"#
        );
        assert_eq!(ratio(Share::WHOLE), "1.0000");
    }

    #[test]
    fn two_readers_do_not_disturb_each_other() {
        let options = ebpf_sensor::Options {
            choice: ebpf_sensor::ProbeChoice::Procfs,
            ..ebpf_sensor::Options::default()
        };
        let sampler = Sampler::start(Sensor::open(&options).unwrap()).unwrap();
        let (one, two) = (sampler.load(), sampler.load());
        // However often the first asks, both see the same published load.
        for _ in 0..1000 {
            let (first, second) = (Arc::clone(&one.borrow()), Arc::clone(&two.borrow()));
            assert!(second.taken >= first.taken);
            assert_eq!(first.ram_total_bytes, second.ram_total_bytes);
        }
    }
}
