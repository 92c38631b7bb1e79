//! The sensor: picks a source for each half, says which and why, and samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ebpf_abi::CpuWord;
use parking_lot::Mutex;

use crate::bpf::{Cpu, Opened, Probe, Ram};
use crate::cgroup::Cgroup;
use crate::pin;
use crate::procfs::Procfs;
use crate::rights::{self, Rights};
use crate::{CpuTime, Memory, ProbeChoice, Sample, Scope, SensorError, Source, Sources, clock};

/// What to open. Fill in what differs: `Options { choice, ..Options::default() }`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which source is asked for.
    pub choice: ProbeChoice,
    /// Whose RAM and CPU are measured.
    pub scope: Scope,
    /// Where the proc file system is; `/proc` unless a test says otherwise.
    pub proc_root: PathBuf,
    /// Where the cgroups are; `/sys/fs/cgroup` unless a test says otherwise.
    pub cgroup_root: PathBuf,
    /// Where the kernel's BTF is, if not at its usual place.
    pub btf: Option<PathBuf>,
    /// Where to pin the file `so_info`, if at all: [`crate::PIN_DIRECTORY`], or another in a BPF file system.
    pub pin: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            choice: ProbeChoice::Auto,
            scope: Scope::Host,
            proc_root: PathBuf::from("/proc"),
            cgroup_root: PathBuf::from("/sys/fs/cgroup"),
            btf: None,
            pin: None,
        }
    }
}

/// An open source of samples. It may be shared between threads.
#[derive(Debug)]
pub struct Sensor {
    procfs: Procfs,
    /// In place of everything else, where the scope says so.
    cgroup: Option<Cgroup>,
    /// The walk leaves its result in one place, so one thread at a time runs it, for about two microseconds.
    probe: Option<Mutex<Probe>>,
    ram: Option<Ram>,
    cpu: Option<Cpu>,
    online: Mutex<Online>,
    explanation: Vec<String>,
}

/// Which CPUs are online, and what was stolen of each. Read from `/proc/stat` now and then, as both change seldom.
#[derive(Debug, Default)]
struct Online {
    read_ns: u64,
    cpus: Vec<CpuTime>,
    /// The busy time that was last told of each CPU.
    reached: BTreeMap<u32, u64>,
}

/// How old [`Online`] may grow.
const ONLINE_NS: u64 = 500_000_000;

impl Sensor {
    /// Opens the sources that the choice allows: takes about a tenth of a second where the probe is loaded.
    pub fn open(options: &Options) -> Result<Self, SensorError> {
        let procfs = Procfs::open(&options.proc_root)?;
        let mut sensor = Self {
            procfs,
            cgroup: None,
            probe: None,
            ram: None,
            cpu: None,
            online: Mutex::default(),
            explanation: Vec::new(),
        };
        if options.scope == Scope::Cgroup {
            return sensor.in_cgroup(options);
        }
        if options.choice == ProbeChoice::Procfs {
            sensor.explanation.push("RAM and CPU from procfs: asked for".to_owned());
            if options.pin.is_some() {
                sensor.explanation.push("Not pinned: procfs has nothing to pin".to_owned());
            }
            return Ok(sensor);
        }
        let opened = Probe::open(&sensor.procfs, options.btf.as_deref());
        match (options.choice, opened) {
            (ProbeChoice::Ebpf, Err(error)) => return Err(error),
            (ProbeChoice::Ebpf, Ok(Opened { probe, slots, ram, cpu })) => {
                let mut opened = Opened { probe, slots, ram: Ok(ram?), cpu: Ok(cpu?) };
                if let Some(directory) = &options.pin {
                    pin::pin(&mut opened.probe, directory, slots)?;
                    sensor.explanation.push(format!("Pinned at {}", directory.display()));
                }
                sensor.adopt(opened);
            }
            (_, Err(error)) => sensor.explanation.push(format!("RAM and CPU from procfs: {error}")),
            (_, Ok(mut opened)) => {
                if let Some(directory) = &options.pin {
                    sensor.explanation.push(pin_where_possible(&mut opened, directory));
                }
                sensor.adopt(opened);
            }
        }
        Ok(sensor)
    }

    /// The files of the cgroup tell both halves; the probe would measure the host, so none is loaded.
    fn in_cgroup(mut self, options: &Options) -> Result<Self, SensorError> {
        if options.choice == ProbeChoice::Ebpf {
            return Err(SensorError::ScopeWithoutProbe);
        }
        let cgroup = Cgroup::open(&options.proc_root, &options.cgroup_root)?;
        self.explanation.push(format!("RAM and CPU of {}, from its files", cgroup.describe()));
        if options.pin.is_some() {
            self.explanation
                .push("Not pinned: the file tells of the host, and the scope is a cgroup".to_owned());
        }
        self.cgroup = Some(cgroup);
        Ok(self)
    }

    fn adopt(&mut self, opened: Opened) {
        let Opened { mut probe, ram, cpu, .. } = opened;
        probe.kernel_btf = None;
        let explain = |half: &str, outcome: Result<&str, &SensorError>| match outcome {
            Ok(note) => format!("{half} from the probe: {note}"),
            Err(error) => format!("{half} from procfs: {error}"),
        };
        self.explanation.push(explain("RAM", ram.as_ref().map(|ram| ram.note.as_str())));
        self.explanation.push(explain("CPU", cpu.as_ref().map(|cpu| cpu.note.as_str())));
        self.ram = ram.ok();
        self.cpu = cpu.ok();
        if self.ram.is_some() || self.cpu.is_some() {
            self.probe = Some(Mutex::new(probe));
        }
    }

    /// Where each half of a sample comes from.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let source = |from_probe: bool| if from_probe { Source::Ebpf } else { Source::Procfs };
        Sources { ram: source(self.ram.is_some()), cpu: source(self.cpu.is_some()) }
    }

    /// Why each half comes from where it does, in sentences for a log or a page.
    #[must_use]
    pub fn explanation(&self) -> &[String] {
        &self.explanation
    }

    /// Reads all counters. Takes microseconds, waits for nothing, and leaves out what it cannot read.
    #[must_use]
    pub fn sample(&self) -> Sample {
        let memory = self.memory();
        let (taken_ns, cpus) = self.cpus();
        for error in [memory.as_ref().err(), cpus.as_ref().err()].into_iter().flatten() {
            tracing::debug!(%error, "a half of the sample is missing");
        }
        Sample { taken_ns, memory: memory.ok(), cpus: cpus.unwrap_or_default() }
    }

    /// Gives up all rights of this process, for good, except what sampling still needs on this kernel. Call it
    /// after everything else that needs a right, such as a port below 1024, and while there is one thread: rights
    /// belong to threads, new threads inherit those of their maker, and with several of them this is an error.
    pub fn drop_rights(&self) -> Result<Rights, SensorError> {
        rights::only_thread()?;
        self.drop_rights_of_thread()
    }

    /// Gives up the rights of the calling thread only. Threads that are already there keep theirs.
    pub fn drop_rights_of_thread(&self) -> Result<Rights, SensorError> {
        rights::drop_all(|| match &self.ram {
            Some(_) => self.memory().is_ok(),
            None => true,
        })
    }

    /// The verifier's effort for each loaded program, in instructions, where this kernel tells it.
    #[must_use]
    pub fn verified_instructions(&self) -> Vec<(String, Option<u32>)> {
        self.probe.as_ref().map(|probe| probe.lock().verified_instructions()).unwrap_or_default()
    }

    fn memory(&self) -> Result<Memory, SensorError> {
        if let Some(cgroup) = &self.cgroup {
            return cgroup.memory(self.procfs.memory()?.total_bytes);
        }
        match (&self.ram, &self.probe) {
            (Some(ram), Some(probe)) => probe.lock().memory(ram),
            _ => self.procfs.memory(),
        }
    }

    /// The moment of the reading, and the CPU times at that moment.
    fn cpus(&self) -> (u64, Result<Vec<CpuTime>, SensorError>) {
        if let Some(cgroup) = &self.cgroup {
            let cpus = self.procfs.cpus().and_then(|online| Ok(vec![cgroup.cpu(online.len())?]));
            return (clock::monotonic_ns(), cpus);
        }
        let Some(cpu) = &self.cpu else {
            // The clock is read beside the times, because a window is the time between two such readings.
            let cpus = self.procfs.cpus();
            return (clock::monotonic_ns(), cpus);
        };
        let mut online = self.online.lock();
        let started = clock::monotonic_ns();
        if started.saturating_sub(online.read_ns) > ONLINE_NS {
            match self.procfs.cpus() {
                Ok(cpus) => self.refresh(&mut online, started, cpus),
                Err(error) => return (started, Err(error)),
            }
        }
        const ATTEMPTS: u32 = 4;
        let mut reading = (started, Vec::new());
        for _ in 0..ATTEMPTS {
            let words = || online.cpus.iter().map(|time| cpu.slots.word(time.cpu)).collect::<Vec<_>>();
            let before = words();
            let now = clock::monotonic_ns();
            let busy = |(time, word): (&CpuTime, &Option<CpuWord>)| {
                Some(CpuTime { busy_ns: (*word)?.busy_at(now)?, ..*time })
            };
            reading = (now, online.cpus.iter().zip(&before).filter_map(busy).collect());
            // Words that stayed the same around the clock tell exactly what was at its moment.
            if words() == before {
                break;
            }
        }
        for time in &mut reading.1 {
            // A CPU that changes its state at every attempt is a moment off, and never runs backwards for that.
            let reached = online.reached.entry(time.cpu).or_default();
            time.busy_ns = time.busy_ns.max(*reached);
            *reached = time.busy_ns;
        }
        (reading.0, Ok(reading.1))
    }

    fn refresh(&self, online: &mut Online, now: u64, cpus: Vec<CpuTime>) {
        let first = online.read_ns == 0;
        for time in &cpus {
            let known = first || online.cpus.iter().any(|known| known.cpu == time.cpu);
            // A CPU that comes back would otherwise count the time that it was away.
            if let (false, Some(probe)) = (known, &self.probe) {
                online.reached.remove(&time.cpu);
                if let Err(error) = probe.lock().seed(time.cpu, true) {
                    tracing::debug!(cpu = time.cpu, %error, "a CPU came online and could not be seeded");
                }
            }
        }
        online.read_ns = now;
        online.cpus = cpus;
    }
}

/// The file is an extra: where it cannot be had, sampling goes on, and the explanation says why.
fn pin_where_possible(opened: &mut Opened, directory: &Path) -> String {
    let problem = match (&opened.ram, &opened.cpu) {
        (Err(error), _) | (_, Err(error)) => error.to_string(),
        _ => match pin::pin(&mut opened.probe, directory, opened.slots) {
            Ok(()) => return format!("Pinned at {}", directory.display()),
            Err(error) => error.to_string(),
        },
    };
    format!("Not pinned: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_can_be_shared_and_samples_both_halves() {
        fn shared<T: Send + Sync + 'static>(value: T) -> T {
            value
        }
        let options = Options { choice: ProbeChoice::Procfs, ..Options::default() };
        let sensor = shared(Sensor::open(&options).unwrap());
        let first = sensor.sample();
        let second = sensor.sample();
        assert_eq!(sensor.sources().label(), "procfs");
        assert!(sensor.explanation()[0].contains("asked for"));
        assert!(first.memory.is_some() && !first.cpus.is_empty());
        assert!(second.taken_ns > first.taken_ns);
    }

    #[test]
    fn no_proc_file_system_is_an_error_that_names_the_place() {
        let options = Options { proc_root: PathBuf::from("/nowhere"), ..Options::default() };
        let error = Sensor::open(&options).unwrap_err().to_string();
        assert!(error.contains("/nowhere/meminfo"), "{error}");
    }
}
