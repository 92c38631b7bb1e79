//! The cgroup that this process runs in as a source: its own CPU time and memory against its own limits.
//!
//! Version 2, and version 1's memory, cpu and cpuacct controllers. Limits of enclosing groups count too, and the
//! host's where no group has one. Reads a handful of small files per sample; limits may change at any time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{CpuTime, Memory, SensorError};

/// The directories of the group itself and of those that enclose it, the innermost first.
#[derive(Debug)]
pub(crate) struct Cgroup {
    files: Files,
    memory: Vec<PathBuf>,
    /// Where the group's CPU time is.
    usage: Vec<PathBuf>,
    /// Where its quota is; in version 1 these are two controllers.
    quota: Vec<PathBuf>,
}

/// What the files are called in the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    V1,
    V2,
}

/// What a group may use of the CPUs.
struct Quota {
    /// In thousandths of a CPU.
    thousandths: u64,
    /// By how much longer than a window the group may seem to use up its quota. A quota is granted at the begin of a
    /// period, so a window may hold the grants of one period more than fits; a CPU that was handed a slice of the
    /// grant may keep a part of it into the next; and a burst is spent on top.
    slack_us: u64,
}

/// The kernel adds up a group's time when a CPU's clock ticks, ten milliseconds apart at the most.
const ROUNDING_NS: u64 = 20_000_000;

impl Cgroup {
    /// Finds the group of this process and reads it once. `root` is `/sys/fs/cgroup` unless a test says otherwise.
    pub(crate) fn open(proc_root: &Path, root: &Path) -> Result<Self, SensorError> {
        let membership = proc_root.join("self/cgroup");
        let text =
            fs::read_to_string(&membership).map_err(|problem| error(&membership, &problem.to_string()))?;
        let cgroup =
            if root.join("cgroup.controllers").is_file() { v2(&text, root) } else { v1(&text, root) };
        let cgroup = cgroup.ok_or_else(|| {
            let remedy = "names no group with the memory and cpu controllers: use --scope host";
            error(&membership, remedy)
        })?;
        cgroup.memory(u64::MAX)?;
        cgroup.cpu(1)?;
        Ok(cgroup)
    }

    /// In words, for the explanation.
    pub(crate) fn describe(&self) -> String {
        let version = if self.files == Files::V2 { 2 } else { 1 };
        let place = self.memory.first().map(|path| path.display().to_string()).unwrap_or_default();
        format!("the cgroup {place} (version {version})")
    }

    /// The group's limit, and what is left of it. Page cache that can go at once counts as left.
    pub(crate) fn memory(&self, host_bytes: u64) -> Result<Memory, SensorError> {
        let (limit, current, cache) = match self.files {
            Files::V2 => ("memory.max", "memory.current", "inactive_file"),
            Files::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        };
        let own = self.own(&self.memory)?;
        let used = number(&own.join(current))?;
        let idle_cache = keyed(&own.join("memory.stat"), cache)?;
        // A group without a limit says `max`, or a number near 2^63; enclosing groups and the host still have one.
        let limits = self.memory.iter().filter_map(|group| number(&group.join(limit)).ok());
        let total_bytes = limits.fold(host_bytes, u64::min);
        let used = used.saturating_sub(idle_cache).min(total_bytes);
        Ok(Memory { total_bytes, available_bytes: total_bytes.saturating_sub(used) })
    }

    /// One entry for all CPU time that the group may use: its time divided by the CPUs that its quota is worth, so
    /// that it is busy all the time when the quota is used up.
    pub(crate) fn cpu(&self, online: usize) -> Result<CpuTime, SensorError> {
        let own = self.own(&self.usage)?;
        let used_ns = match self.files {
            Files::V2 => keyed(&own.join("cpu.stat"), "usage_usec")?.checked_mul(1000),
            Files::V1 => Some(number(&own.join("cpuacct.usage"))?),
        };
        let thousandths = u64::try_from(online).unwrap_or(u64::MAX).saturating_mul(1000);
        let host = Quota { thousandths, slack_us: 0 };
        let quotas = self.quota.iter().filter_map(|group| self.quota(group));
        let tightest = quotas.min_by_key(|quota| quota.thousandths);
        let Quota { thousandths, slack_us } =
            tightest.filter(|quota| quota.thousandths < host.thousandths).unwrap_or(host);
        let busy_ns = used_ns
            .and_then(|ns| u64::try_from(u128::from(ns) * 1000 / u128::from(thousandths.max(1))).ok())
            .ok_or_else(|| error(own, "a time is out of range"))?;
        let slack_ns = slack_us.saturating_mul(1000).saturating_add(ROUNDING_NS);
        Ok(CpuTime { cpu: 0, busy_ns, steal_ns: None, slack_ns })
    }

    /// The quota of a group, if it has one.
    fn quota(&self, group: &Path) -> Option<Quota> {
        let (quota_us, period_us, burst) = match self.files {
            Files::V2 => {
                let text = fs::read_to_string(group.join("cpu.max")).ok()?;
                let (quota, period) = text.trim().split_once(' ')?;
                // `max` is no number, and no quota.
                (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?, "cpu.max.burst")
            }
            // Minus one is no quota.
            Files::V1 => (
                number(&group.join("cpu.cfs_quota_us")).ok()?,
                number(&group.join("cpu.cfs_period_us")).ok()?,
                "cpu.cfs_burst_us",
            ),
        };
        // Kernels before 5.14 have no burst.
        let burst_us = number(&group.join(burst)).unwrap_or(0);
        // What was saved up, as the time that the quota takes to grant it.
        let saved_us = burst_us.checked_mul(period_us)?.checked_div(quota_us)?;
        Some(Quota {
            thousandths: quota_us.checked_mul(1000)?.checked_div(period_us)?,
            slack_us: period_us.checked_mul(2)?.checked_add(saved_us)?,
        })
    }

    fn own<'a>(&self, groups: &'a [PathBuf]) -> Result<&'a Path, SensorError> {
        groups.first().map(PathBuf::as_path).ok_or_else(|| error(Path::new("cgroup"), "is not mounted"))
    }
}

/// `0::/a/b` and one hierarchy.
fn v2(membership: &str, root: &Path) -> Option<Cgroup> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let groups = chain(root, path);
    Some(Cgroup { files: Files::V2, memory: groups.clone(), usage: groups.clone(), quota: groups })
}

/// `4:memory:/a/b`, and one hierarchy for each controller or pair of them.
fn v1(membership: &str, root: &Path) -> Option<Cgroup> {
    let groups = |controller: &str| {
        let (names, path) = membership.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|name| name == controller).then_some((names, path))
        })?;
        // A pair is mounted under both names, or under each of them.
        let mounted =
            [names, controller].into_iter().map(|name| root.join(name)).find(|path| path.is_dir())?;
        Some(chain(&mounted, path))
    };
    Some(Cgroup {
        files: Files::V1,
        memory: groups("memory")?,
        usage: groups("cpuacct")?,
        quota: groups("cpu")?,
    })
}

/// The group's directory and its parents up to the root. Inside a container the path may be the host's while the
/// mount shows the group as its root; then the root it is.
fn chain(root: &Path, path: &str) -> Vec<PathBuf> {
    let own = root.join(path.trim_start_matches('/'));
    if !own.is_dir() {
        return vec![root.to_owned()];
    }
    own.ancestors().take_while(|group| group.starts_with(root)).map(Path::to_owned).collect()
}

fn number(path: &Path) -> Result<u64, SensorError> {
    let text = fs::read_to_string(path).map_err(|problem| error(path, &problem.to_string()))?;
    text.trim().parse().map_err(|_| error(path, "is no number"))
}

fn keyed(path: &Path, key: &str) -> Result<u64, SensorError> {
    let text = fs::read_to_string(path).map_err(|problem| error(path, &problem.to_string()))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok());
    value.ok_or_else(|| error(path, &format!("has no `{key}`")))
}

fn error(path: &Path, problem: &str) -> SensorError {
    SensorError::Cgroup { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BasisPoints, Sample, usage};

    const MIB: u64 = 1 << 20;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn open(root: &tempfile::TempDir) -> Result<Cgroup, SensorError> {
        Cgroup::open(&root.path().join("proc"), &root.path().join("cgroup"))
    }

    #[test]
    fn version_2_takes_the_tightest_limit_on_the_way_up() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("cgroup/cgroup.controllers", "cpu memory\n"),
            ("cgroup/pod/memory.max", "268435456\n"),
            ("cgroup/pod/cpu.max", "max 100000\n"),
            ("cgroup/pod/app/memory.max", "max\n"),
            ("cgroup/pod/app/memory.current", "104857600\n"),
            ("cgroup/pod/app/memory.stat", "anon 5\ninactive_file 41943040\nfile 9\n"),
            ("cgroup/pod/app/cpu.max", "50000 100000\n"),
            ("cgroup/pod/app/cpu.max.burst", "5000\n"),
            ("cgroup/pod/app/cpu.stat", "usage_usec 3000000\nuser_usec 1\n"),
        ]);
        let cgroup = open(&root).unwrap();
        let memory = cgroup.memory(8192 * MIB).unwrap();
        assert_eq!(memory, Memory { total_bytes: 256 * MIB, available_bytes: 196 * MIB });
        // Three seconds of half a CPU are six seconds of all there is.
        let time = cgroup.cpu(4).unwrap();
        assert_eq!(time.busy_ns, 6_000_000_000);
        // Two periods, the burst of a tenth of a quota, and the ticks.
        assert_eq!(time.slack_ns, 200_000_000 + 10_000_000 + 20_000_000);
    }

    #[test]
    fn a_quota_that_is_used_up_is_busy_all_the_time() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/app\n"),
            ("cgroup/cgroup.controllers", "cpu memory\n"),
            ("cgroup/app/memory.current", "1\n"),
            ("cgroup/app/memory.stat", "inactive_file 0\n"),
            ("cgroup/app/cpu.max", "50000 100000\n"),
            ("cgroup/app/cpu.stat", "usage_usec 0\n"),
        ]);
        let cgroup = open(&root).unwrap();
        let at = |taken_ns, used_us: u64| {
            fs::write(root.path().join("cgroup/app/cpu.stat"), format!("usage_usec {used_us}\n")).unwrap();
            Sample { taken_ns, memory: None, cpus: vec![cgroup.cpu(2).unwrap()] }
        };
        let first = at(1, 0);
        // A second holds the grants of eleven periods of 100 ms, when it begins and ends with one.
        let used_up = usage(&first, &at(1_000_000_001, 550_000));
        assert_eq!(used_up.cpu, Some(BasisPoints::WHOLE));
        // Twice the quota for a second is no grant of any kind.
        assert_eq!(usage(&first, &at(1_000_000_001, 1_000_000)).cpu, None);
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let root = tree(&[
            ("proc/self/cgroup", "4:memory:/box\n2:cpuacct:/\n1:cpu:/box\n0::/\n"),
            ("cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory/box/memory.usage_in_bytes", "1048576\n"),
            ("cgroup/memory/box/memory.stat", "inactive_file 7\ntotal_inactive_file 0\n"),
            ("cgroup/cpuacct/cpuacct.usage", "4000000000\n"),
            ("cgroup/cpu/box/cpu.cfs_quota_us", "-1\n"),
            ("cgroup/cpu/box/cpu.cfs_period_us", "100000\n"),
        ]);
        let cgroup = open(&root).unwrap();
        // No limit of its own: the host's memory and CPUs.
        let memory = cgroup.memory(64 * MIB).unwrap();
        assert_eq!(memory, Memory { total_bytes: 64 * MIB, available_bytes: 63 * MIB });
        assert_eq!(cgroup.cpu(2).unwrap().busy_ns, 2_000_000_000);
    }

    #[test]
    fn a_namespace_shows_the_group_as_the_root() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/docker/0123\n"),
            ("cgroup/cgroup.controllers", "cpu memory\n"),
            ("cgroup/memory.max", "1048576\n"),
            ("cgroup/memory.current", "2097152\n"),
            ("cgroup/memory.stat", "inactive_file 0\n"),
            ("cgroup/cpu.max", "100000 100000\n"),
            ("cgroup/cpu.stat", "usage_usec 1\n"),
        ]);
        let memory = open(&root).unwrap().memory(u64::MAX).unwrap();
        assert_eq!(memory, Memory { total_bytes: MIB, available_bytes: 0 });
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |files: &[(&str, &str)]| open(&tree(files)).unwrap_err().to_string();
        assert!(message(&[]).contains("self/cgroup"));
        assert!(message(&[("proc/self/cgroup", "1:cpu:/\n")]).contains("--scope host"));
        let root = [("proc/self/cgroup", "0::/\n"), ("cgroup/cgroup.controllers", "cpu\n")];
        assert!(message(&root).contains("memory.current"));
    }
}
