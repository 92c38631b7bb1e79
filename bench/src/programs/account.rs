//! What processes have used so far, read from outside through `/proc`: CPU time, resident memory, children. Measures
//! nothing inside a process, and knows no program by name.

use std::time::Duration;

/// The unit of the times in `/proc/PID/stat`; fixed at 100 a second by the kernel's interface.
const TICK_NS: u64 = 10_000_000;

/// `root` and all that descend from it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(children(pid));
        at += 1;
    }
    found
}

/// CPU time used so far by `processes` and all their threads.
pub(crate) fn cpu(processes: &[u32]) -> Duration {
    Duration::from_nanos(processes.iter().copied().map(cpu_ns).sum())
}

/// Resident memory of `processes`, in kB.
pub(crate) fn rss_kb(processes: &[u32]) -> u64 {
    processes.iter().map(|&pid| status_kb(pid, "VmRSS:")).sum()
}

/// CPU time so far of every process on the machine but this one and those in `ours`, to the tick.
///
/// The buried children belong to it, or a compiler's time would vanish with each of its processes.
pub(crate) fn cpu_of_others(ours: &[u32]) -> Duration {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Duration::from_nanos(
        pids.filter(|pid| !ours.contains(pid) && *pid != std::process::id())
            .map(|pid| stat_ticks(pid, 4) * TICK_NS)
            .sum(),
    )
}

/// CPU time of one process in nanoseconds.
///
/// The scheduler's own sums are exact but forget threads that have ended; `stat` remembers them, to a tick.
fn cpu_ns(pid: u32) -> u64 {
    let mut living = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        living += text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    }
    living.max(stat_ticks(pid, 2) * TICK_NS)
}

/// The first `fields` of: user and system time of the process, user and system time of the children it has buried.
fn stat_ticks(pid: u32, fields: usize) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; the times are fields 14 to 17 of the whole.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(fields)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}

fn status_kb(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The kernel lists children by the thread that started them.
fn children(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(text.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_accounted_with_its_children() {
        let this = std::process::id();
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let processes = tree(this);
        assert_eq!(processes.first(), Some(&this));
        assert!(processes.contains(&child.id()), "{processes:?} lacks {}", child.id());
        assert!(rss_kb(&processes) > rss_kb(&[child.id()]));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!tree(this).contains(&child.id()));
    }

    #[test]
    fn what_is_gone_has_used_nothing() {
        // Above the largest process id that Linux gives.
        let none = [5_000_000];
        assert_eq!((cpu(&none), rss_kb(&none), tree(none[0])), (Duration::ZERO, 0, none.to_vec()));
    }
}
