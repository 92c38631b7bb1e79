//! The probe as a source: loads the object, resolves the kernel's layout, attaches, seeds, samples.
//!
//! The two halves are independent: where one cannot be had, the other still can. Owns everything that aya is used
//! for in Balanza, except pinning. Decides nothing about fallbacks; it says what works and why the rest does not.

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{Array, MapData};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{BtfTracePoint, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun};
use aya::{Ebpf, EbpfLoader, Endianness};
use aya_log::EbpfLogger;
use ebpf_abi::{CpuSlot, LocateOffsets, RamRecord, State, WalkOffsets, names, status};

use crate::btf::Btf;
use crate::error::chain;
use crate::layout;
use crate::log::{self, ProbeLog};
use crate::memory_map::{MemoryMap, Plain};
use crate::procfs::Procfs;
use crate::{Memory, SensorError};

/// The probe as last built by `cargo xtask build-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../prebuilt/probe.o");

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// A loaded probe. Dropping it detaches and removes everything, except what is pinned.
pub(crate) struct Probe {
    pub(crate) ebpf: Ebpf,
    pub(crate) state: Array<MapData, Plain<State>>,
    /// For what is loaded by type; nobody needs it once the sensor is open.
    pub(crate) kernel_btf: Option<aya::Btf>,
    /// What keeps the hooks attached, by tracepoint, or keeps them pinned.
    pub(crate) links: Vec<(&'static str, FdLink)>,
    pub(crate) pinned: Vec<PinnedLink>,
    log: Option<EbpfLogger<ProbeLog>>,
    page_bytes: u64,
}

/// The half that reads memory. Its record belongs to whoever holds the probe's lock.
#[derive(Debug)]
pub(crate) struct Ram {
    record: MemoryMap<RamRecord>,
    /// How it stands, for the explanation.
    pub(crate) note: String,
}

/// The half that reads CPU time, which needs no system call.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) slots: MemoryMap<CpuSlot>,
    /// How it stands, for the explanation.
    pub(crate) note: String,
}

/// What could be had of a loaded probe.
pub(crate) struct Opened {
    pub(crate) probe: Probe,
    /// How many CPUs there may be at most.
    pub(crate) slots: u32,
    pub(crate) ram: Result<Ram, SensorError>,
    pub(crate) cpu: Result<Cpu, SensorError>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl Probe {
    /// Loads the object and brings up both halves as far as they go. An error means that there is neither.
    pub(crate) fn open(procfs: &Procfs, btf_path: Option<&Path>) -> Result<Opened, SensorError> {
        let btf_path = btf_path.unwrap_or(Path::new(KERNEL_BTF));
        let no_btf = |problem: String| SensorError::NoBtf { path: btf_path.to_owned(), problem };
        let btf_bytes = std::fs::read(btf_path).map_err(|error| no_btf(error.to_string()));
        let layout = btf_bytes.as_deref().map_err(clone_no_btf).and_then(resolve);
        let (walk, locate) = match &layout {
            Ok((walk, locate)) => (Plain(*walk), Plain(*locate)),
            Err(_) => (Plain(WalkOffsets::NONE), Plain(LocateOffsets::NONE)),
        };
        let kernel_btf = match &btf_bytes {
            Ok(bytes) => aya::Btf::parse(bytes, Endianness::default()).ok(),
            Err(_) => None,
        };
        drop(btf_bytes);

        let online = procfs.cpus()?;
        let slots = slot_count(online.iter().map(|time| time.cpu));
        let mut ebpf = load(&walk, &locate, slots)?;
        let log = log::open(&mut ebpf);
        let mut state = take_state(&mut ebpf)?;
        let at_load =
            State { online_cpus: u32::try_from(online.len()).unwrap_or(u32::MAX), slots, ..State::default() };
        write_state(&mut state, at_load)?;
        let (links, pinned, page_bytes) = (Vec::new(), Vec::new(), ::procfs::page_size());
        let mut probe = Self { ebpf, state, kernel_btf, links, pinned, log, page_bytes };
        let ram = layout.and_then(|_| probe.open_ram(procfs));
        let cpu = probe.open_cpu(online.iter().map(|time| time.cpu), slots);
        probe.flush_log();
        Ok(Opened { probe, slots, ram, cpu })
    }

    /// Runs the walk once.
    pub(crate) fn memory(&mut self, ram: &Ram) -> Result<Memory, SensorError> {
        let status = self.run("sample", RawTracePointRunOptions::new())?;
        self.flush_log();
        if status != status::OK {
            return Err(SensorError::Walk { program: "sample", problem: status::text(status) });
        }
        let record = ram.record.record().unwrap_or_default();
        Ok(Memory {
            total_bytes: record.total_pages.saturating_mul(self.page_bytes),
            available_bytes: record.available_pages.saturating_mul(self.page_bytes),
        })
    }

    /// Seeds one CPU from where it runs. `again` is for one that was offline. A CPU that just went away has
    /// nothing to seed.
    pub(crate) fn seed(&mut self, cpu: u32, again: bool) -> Result<(), SensorError> {
        let mut run = RawTracePointRunOptions::new();
        run.args[0] = u64::from(again);
        run.cpu = Some(cpu);
        match self.run("seed", run) {
            Ok(status::OK) => Ok(()),
            Ok(other) => Err(SensorError::Walk { program: "seed", problem: status::text(other) }),
            Err(SensorError::Load { cause, .. }) if cause.contains("os error 6") => {
                tracing::debug!(cpu, "not seeded: offline");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The verifier's effort per loaded program, in instructions, where this kernel tells it.
    pub(crate) fn verified_instructions(&self) -> Vec<(String, Option<u32>)> {
        let loaded = self.ebpf.programs().filter_map(|(name, program)| Some((name, program.info().ok()?)));
        loaded.map(|(name, info)| (name.to_owned(), info.verified_instruction_count())).collect()
    }

    fn open_ram(&mut self, procfs: &Procfs) -> Result<Ram, SensorError> {
        for program in ["locate", "sample"] {
            self.raw(program)?.load().map_err(|error| refused(program, &error))?;
        }
        self.locate()?;
        let map = map_of(&self.ebpf, names::RAM)?;
        let record = MemoryMap::new(map.fd().as_fd(), 1)
            .map_err(|error| SensorError::from_kernel("map the memory record", &error))?;
        let mut ram = Ram { record, note: String::new() };
        ram.note = self.check(&ram, procfs)?;
        Ok(ram)
    }

    /// Finds the first memory node. One call does, except where it has to go along the list of tasks.
    fn locate(&mut self) -> Result<(), SensorError> {
        const MAX_CALLS: u32 = 256;
        for _ in 0..MAX_CALLS {
            match self.run("locate", RawTracePointRunOptions::new())? {
                status::OK => return Ok(()),
                status::CALL_AGAIN => {}
                other => {
                    return Err(SensorError::Walk { program: "locate", problem: status::text(other) });
                }
            }
        }
        Err(SensorError::Walk { program: "locate", problem: status::text(status::CALL_AGAIN) })
    }

    /// Holds the walk against `/proc/meminfo`, read before and after it.
    fn check(&mut self, ram: &Ram, procfs: &Procfs) -> Result<String, SensorError> {
        const ATTEMPTS: u32 = 10;
        let mut problem = String::new();
        for _ in 0..ATTEMPTS {
            let before = procfs.memory()?;
            let mut walked = self.memory(ram)?;
            let record = ram.record.record().unwrap_or_default();
            let deferred = record.deferred_nodes > 0;
            if deferred {
                // Pages that are not initialised yet are in no zone, and in MemTotal all the same.
                let state = self.state.get(&0, 0).map_err(|error| map_error(&error))?.0;
                let booted_pages = before.total_bytes / self.page_bytes;
                write_state(&mut self.state, State { booted_pages, ..state })?;
                walked = self.memory(ram)?;
            }
            let after = procfs.memory()?;
            // A thousandth of the whole: memory moves in both directions between the readings.
            let slack = before.total_bytes / 1000;
            let low = before.available_bytes.min(after.available_bytes);
            let high = before.available_bytes.max(after.available_bytes);
            let off =
                low.saturating_sub(walked.available_bytes).max(walked.available_bytes.saturating_sub(high));
            let total_off = walked.total_bytes.abs_diff(before.total_bytes);
            let off_kib = off / 1024;
            if total_off <= slack && off <= slack {
                let repaired = if deferred { ", pages that are not initialised yet added" } else { "" };
                let nodes = record.nodes;
                return Ok(format!(
                    "a walk over {nodes} memory node(s) that agrees with /proc/meminfo within {off_kib} kB{repaired}"
                ));
            }
            problem = format!(
                "MemTotal {} kB and MemAvailable {} kB, the walk {} kB and {} kB",
                before.total_bytes / 1024,
                after.available_bytes / 1024,
                walked.total_bytes / 1024,
                walked.available_bytes / 1024
            );
        }
        Err(SensorError::SelfCheck { problem })
    }

    fn open_cpu(&mut self, online: impl Iterator<Item = u32>, slots: u32) -> Result<Cpu, SensorError> {
        let map = map_of(&self.ebpf, names::CPU_SLOTS)?;
        let slots = MemoryMap::new(map.fd().as_fd(), usize::try_from(slots).unwrap_or(usize::MAX))
            .map_err(|error| SensorError::from_kernel("map the CPU slots", &error))?;
        let note = self.attach()?;
        self.raw("seed")?.load().map_err(|error| refused("seed", &error))?;
        for cpu in online {
            self.seed(cpu, false)?;
        }
        Ok(Cpu { slots, note })
    }

    /// Attaches the hooks by BTF, or by their raw twins where that does not work.
    fn attach(&mut self) -> Result<String, SensorError> {
        let Some(btf) = self.kernel_btf.take() else {
            self.attach_raw()?;
            return Ok("raw tracepoints, as the kernel has no BTF".to_owned());
        };
        let attached = HOOKS.iter().try_for_each(|hook| self.attach_btf(hook, &btf));
        self.kernel_btf = Some(btf);
        let Err(error) = attached else {
            return Ok("BTF tracepoints".to_owned());
        };
        // Whatever the reason, the twins either work or give the reason that counts.
        self.links.clear();
        for hook in &HOOKS {
            let program: Option<&mut BtfTracePoint> =
                self.ebpf.program_mut(hook.program).and_then(|program| program.try_into().ok());
            if let Some(Err(left)) = program.map(BtfTracePoint::unload) {
                tracing::debug!(program = hook.program, error = %left, "was not loaded");
            }
        }
        self.attach_raw()?;
        Ok(format!("raw tracepoints, because: {error}"))
    }

    fn attach_btf(&mut self, hook: &Hook, btf: &aya::Btf) -> Result<(), SensorError> {
        let program: &mut BtfTracePoint = self
            .ebpf
            .program_mut(hook.program)
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| not_in_object(hook.program))?;
        program.load(hook.tracepoint, btf).map_err(|error| refused(hook.program, &error))?;
        let link = program.attach().and_then(|link| program.take_link(link));
        let link = link.map_err(|error| attach_error(hook.tracepoint, &error))?;
        self.links.push((hook.tracepoint, link.into()));
        Ok(())
    }

    fn attach_raw(&mut self) -> Result<(), SensorError> {
        for hook in &HOOKS {
            let program = self.raw(hook.raw_program)?;
            program.load().map_err(|error| refused(hook.raw_program, &error))?;
            let link = program.attach(hook.tracepoint).and_then(|link| program.take_link(link));
            let link = link.map_err(|error| attach_error(hook.tracepoint, &error))?;
            self.links.push((hook.tracepoint, link.into()));
        }
        Ok(())
    }

    fn run(&mut self, program: &'static str, options: RawTracePointRunOptions) -> Result<u32, SensorError> {
        let result = self.raw(program)?.test_run(options);
        let result = result.map_err(|error| SensorError::from_kernel(&format!("run `{program}`"), &error))?;
        Ok(result.return_value)
    }

    fn raw(&mut self, name: &'static str) -> Result<&mut RawTracePoint, SensorError> {
        let program = self.ebpf.program_mut(name).and_then(|program| program.try_into().ok());
        program.ok_or_else(|| not_in_object(name))
    }

    fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }
}

/// A tracepoint and the two programs for it.
pub(crate) struct Hook {
    pub(crate) tracepoint: &'static str,
    pub(crate) program: &'static str,
    pub(crate) raw_program: &'static str,
}

/// Everything that stays attached.
pub(crate) const HOOKS: [Hook; 3] = [
    Hook { tracepoint: "cpu_idle", program: "idle", raw_program: "idle_raw" },
    Hook { tracepoint: "softirq_entry", program: "softirq_in", raw_program: "softirq_in_raw" },
    Hook { tracepoint: "softirq_exit", program: "softirq_out", raw_program: "softirq_out_raw" },
];

fn resolve(bytes: &[u8]) -> Result<(WalkOffsets, LocateOffsets), SensorError> {
    let layout = |error: crate::btf::BtfError| SensorError::Layout { missing: error.to_string() };
    let btf = Btf::parse(bytes).map_err(layout)?;
    Ok((layout::walk_offsets(&btf).map_err(layout)?, layout::locate_offsets(&btf).map_err(layout)?))
}

/// Creates the maps. Programs are loaded one by one afterwards, so that only those in use are verified.
fn load(walk: &Plain<WalkOffsets>, locate: &Plain<LocateOffsets>, slots: u32) -> Result<Ebpf, SensorError> {
    let (level, log_bytes) = log::level_and_bytes();
    let attempt = || {
        EbpfLoader::new()
            .btf(None)
            .override_global(names::WALK, walk, true)
            .override_global(names::LOCATE, locate, true)
            .override_global(names::LOG_LEVEL, &level, true)
            .map_max_entries(names::CPU_SLOTS, slots)
            .map_max_entries(names::LOGS, log_bytes)
            .load(OBJECT)
    };
    let action = "create the probe's maps";
    attempt().or_else(|error| match SensorError::from_kernel(action, &error) {
        // Before Linux 5.11 maps count against a limit of locked memory, and its excess looks like a lack of rights.
        SensorError::Refused { .. } if raise_locked_memory() => {
            attempt().map_err(|error| SensorError::from_kernel(action, &error))
        }
        other => Err(other),
    })
}

fn raise_locked_memory() -> bool {
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Memlock, unlimited).is_ok()
}

/// As many slots as there may ever be CPUs, so that one that is plugged in later has its own.
fn slot_count(online: impl Iterator<Item = u32>) -> u32 {
    let possible = aya::util::nr_cpus().ok().and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    online.fold(possible, |count, cpu| count.max(cpu.saturating_add(1)))
}

fn map_of<'a>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a MapData, SensorError> {
    match ebpf.map(name) {
        Some(aya::maps::Map::Array(map)) => Ok(map),
        _ => Err(not_in_object(name)),
    }
}

fn take_state(ebpf: &mut Ebpf) -> Result<Array<MapData, Plain<State>>, SensorError> {
    let map = ebpf.take_map(names::STATE).ok_or_else(|| not_in_object(names::STATE))?;
    Array::try_from(map).map_err(|error| map_error(&error))
}

pub(crate) fn write_state(state: &mut Array<MapData, Plain<State>>, value: State) -> Result<(), SensorError> {
    state.set(0, Plain(value), 0).map_err(|error| map_error(&error))
}

fn map_error(error: &aya::maps::MapError) -> SensorError {
    SensorError::from_kernel("use the probe's state", error)
}

fn not_in_object(name: &str) -> SensorError {
    SensorError::Load {
        action: format!("use `{name}`"),
        cause: "the embedded object lacks it; run cargo xtask build-ebpf".to_owned(),
    }
}

/// Why a program was not loaded: the rights, or the verifier with the end of its log.
pub(crate) fn refused(program: &'static str, error: &ProgramError) -> SensorError {
    const LOG_LINES: usize = 30;
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            if log.trim().is_empty() {
                return SensorError::from_kernel(&format!("load `{program}`"), error);
            }
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n");
            SensorError::Verifier { program, cause: io_error.to_string(), log: end }
        }
        other => SensorError::from_kernel(&format!("load `{program}`"), other),
    }
}

fn attach_error(tracepoint: &'static str, error: &ProgramError) -> SensorError {
    match SensorError::from_kernel("attach", error) {
        SensorError::Load { .. } => SensorError::Attach { tracepoint, cause: chain(error) },
        other => other,
    }
}

fn clone_no_btf(error: &SensorError) -> SensorError {
    match error {
        SensorError::NoBtf { path, problem } => {
            SensorError::NoBtf { path: path.clone(), problem: problem.clone() }
        }
        other => SensorError::Layout { missing: other.to_string() },
    }
}
