//! The proc files as a source: `meminfo` and `stat` under a root that tests can choose.
//!
//! Keeps both files open and reads them from the start each time, which costs no path walk. Owns no window.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use procfs::{FromBufRead, FromBufReadSI, KernelStats, Meminfo};

use crate::{CpuTime, Memory, SensorError};

/// A reader of the proc files.
#[derive(Debug)]
pub(crate) struct Procfs {
    meminfo: ProcFile,
    stat: ProcFile,
    tick_ns: u64,
}

impl Procfs {
    /// Opens both files and reads each of them once, so that a sensor that opens also samples.
    pub(crate) fn open(root: &Path) -> Result<Self, SensorError> {
        let ticks_per_second = procfs::current_system_info().ticks_per_second();
        let reader = Self {
            meminfo: ProcFile::open(root.join("meminfo"))?,
            stat: ProcFile::open(root.join("stat"))?,
            // USER_HZ divides a second without remainder on every architecture of Linux.
            tick_ns: 1_000_000_000u64.checked_div(ticks_per_second).unwrap_or(10_000_000),
        };
        reader.memory()?;
        reader.cpus()?;
        Ok(reader)
    }

    /// MemTotal and MemAvailable.
    pub(crate) fn memory(&self) -> Result<Memory, SensorError> {
        let text = self.meminfo.read()?;
        let meminfo = Meminfo::from_buf_read(text.as_bytes())
            .map_err(|error| self.meminfo.error(&error.to_string()))?;
        let available_bytes = meminfo
            .mem_available
            .ok_or_else(|| self.meminfo.error("no MemAvailable; it needs a kernel of 3.14 or later"))?;
        Ok(Memory { total_bytes: meminfo.mem_total, available_bytes })
    }

    /// The time that each online CPU was not idle, in ascending order of its number.
    pub(crate) fn cpus(&self) -> Result<Vec<CpuTime>, SensorError> {
        parse_stat(&self.stat.read()?, self.tick_ns).map_err(|problem| self.stat.error(&problem))
    }
}

/// The busy and stolen time of each `cpuN` line. `procfs` keeps the times but not the number, and the numbers
/// have gaps where a CPU is offline, so they are taken from the same text.
fn parse_stat(text: &str, tick_ns: u64) -> Result<Vec<CpuTime>, String> {
    let stats = KernelStats::from_buf_read(text.as_bytes(), procfs::current_system_info())
        .map_err(|error| error.to_string())?;
    // The line of the sum has a blank after `cpu`, so its first part is empty and no number.
    let numbers =
        text.lines().filter_map(|line| line.strip_prefix("cpu")?.split(' ').next()?.parse::<u32>().ok());
    let mut cpus = Vec::with_capacity(stats.cpu_time.len());
    for (time, cpu) in stats.cpu_time.iter().zip(numbers) {
        // Guest time is already in user and nice. Waiting for I/O is idle time.
        let ticks = [time.user, time.nice, time.system]
            .into_iter()
            .chain([time.irq, time.softirq, time.steal].into_iter().flatten())
            .try_fold(0u64, u64::checked_add);
        let busy_ns = ticks.and_then(|ticks| ticks.checked_mul(tick_ns)).ok_or("a time is out of range")?;
        let steal_ns = time.steal.and_then(|ticks| ticks.checked_mul(tick_ns));
        // A window may hold one tick more than fits, at either end.
        cpus.push(CpuTime { cpu, busy_ns, steal_ns, slack_ns: tick_ns.saturating_mul(2) });
    }
    if cpus.is_empty() || cpus.len() != stats.cpu_time.len() {
        return Err("no line of a numbered CPU, or one without its number".to_owned());
    }
    cpus.sort_unstable_by_key(|time| time.cpu);
    Ok(cpus)
}

/// A file that is read again and again from its start.
#[derive(Debug)]
struct ProcFile {
    path: PathBuf,
    file: File,
}

impl ProcFile {
    fn open(path: PathBuf) -> Result<Self, SensorError> {
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(SensorError::Procfs { path, problem: error.to_string() }),
        }
    }

    fn read(&self) -> Result<String, SensorError> {
        let mut bytes = vec![0; 4096];
        let mut length = 0;
        loop {
            let offset = u64::try_from(length).unwrap_or(u64::MAX);
            match self.file.read_at(bytes.get_mut(length..).unwrap_or_default(), offset) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(&error.to_string())),
            }
            if length == bytes.len() {
                bytes.resize(bytes.len() * 2, 0);
            }
        }
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(|_| self.error("is not text"))
    }

    fn error(&self, problem: &str) -> SensorError {
        SensorError::Procfs { path: self.path.clone(), problem: problem.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  30 0 30 600 0 0 0 0 0 0\n\
        cpu0 10 1 10 300 5 2 3 4 9 9\n\
        cpu2 20 0 20 300 0 0 0 0 0 0\n\
        intr 1\nctxt 1\nbtime 1\nprocesses 1\n";

    fn fake(meminfo: &str, stat: &str) -> (tempfile::TempDir, Result<Procfs, SensorError>) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("meminfo"), meminfo).unwrap();
        std::fs::write(root.path().join("stat"), stat).unwrap();
        let opened = Procfs::open(root.path());
        (root, opened)
    }

    #[test]
    fn busy_is_all_but_idle_and_waiting_and_guest_counts_once() {
        let cpus = parse_stat(STAT, 10).unwrap();
        let expected = [(0, 300, Some(40)), (2, 400, Some(0))];
        let expected =
            expected.map(|(cpu, busy_ns, steal_ns)| CpuTime { cpu, busy_ns, steal_ns, slack_ns: 20 });
        assert_eq!(cpus, expected);
    }

    #[test]
    fn this_host_can_be_read() {
        let reader = Procfs::open(Path::new("/proc")).unwrap();
        let memory = reader.memory().unwrap();
        assert!(memory.total_bytes > memory.available_bytes && memory.available_bytes > 0);
        assert!(reader.cpus().unwrap().iter().any(|time| time.busy_ns > 0));
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let good = std::fs::read_to_string("/proc/meminfo").unwrap();
        let without = good.lines().filter(|line| !line.starts_with("MemAvailable"));
        let without = without.map(|line| format!("{line}\n")).collect::<String>();
        for (meminfo, stat, file) in [
            (without.as_str(), STAT, "meminfo"),
            ("MemTotal: many kB\n", STAT, "meminfo"),
            ("", STAT, "meminfo"),
            (&good, "", "stat"),
            (&good, "cpu  1 2 3 4\nctxt 1\nbtime 1\nprocesses 1\n", "stat"),
            (&good, "cpu  1 2 3 4\ncpux 1 2 3 4\nctxt 1\nbtime 1\nprocesses 1\n", "stat"),
            (&good, "cpu  1 2 3 4\ncpu0 18446744073709551615 2 3 4\nctxt 1\nbtime 1\nprocesses 1\n", "stat"),
        ] {
            let (_root, opened) = fake(meminfo, stat);
            let error = opened.unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(Procfs::open(empty.path()).unwrap_err().to_string().contains("meminfo"));
    }

    #[test]
    fn a_long_file_is_read_whole() {
        let mut stat = STAT.to_owned();
        for _ in 0..2000 {
            stat.push_str("softirq 1 2 3 4 5 6 7 8 9\n");
        }
        stat.push_str("cpu7 1 0 0 0\n");
        let (_root, opened) = fake(&std::fs::read_to_string("/proc/meminfo").unwrap(), &stat);
        assert_eq!(opened.unwrap().cpus().unwrap().len(), 3);
    }
}
