//! The scope of a cgroup: a real one, with real limits, in whichever version this host has.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ebpf_sensor::{Options, Scope, Sensor, usage};
use harness::need::or_skip;

use crate::support::{burn, child, pause, process_ns, role, run_child};

const ROOT: &str = "/sys/fs/cgroup";
const LIMIT: u64 = 256 << 20;

/// A cgroup of the test's own with half a CPU and a quarter of a gigabyte.
struct Group(Vec<PathBuf>);

impl Group {
    fn make() -> Result<Self, String> {
        let name = format!("balanza-test-{}", std::process::id());
        let root = Path::new(ROOT);
        let (groups, limits): (Vec<PathBuf>, Vec<(&str, String)>) =
            if root.join("cgroup.controllers").is_file() {
                let limits = vec![("memory.max", LIMIT.to_string()), ("cpu.max", "50000 100000".to_owned())];
                (vec![root.join(name)], limits)
            } else {
                let limits = vec![
                    ("memory.limit_in_bytes", LIMIT.to_string()),
                    ("cpu.cfs_period_us", "100000".to_owned()),
                    ("cpu.cfs_quota_us", "50000".to_owned()),
                ];
                (
                    ["memory", "cpu", "cpuacct"].map(|controller| root.join(controller).join(&name)).to_vec(),
                    limits,
                )
            };
        let made = Self(groups);
        for group in &made.0 {
            fs::create_dir_all(group).map_err(|error| format!("{}: {error}", group.display()))?;
        }
        for (file, value) in limits {
            let place = made.0.iter().map(|group| group.join(file)).find(|path| path.is_file());
            let place = place.ok_or_else(|| format!("no cgroup has {file}"))?;
            fs::write(&place, value).map_err(|error| format!("{}: {error}", place.display()))?;
        }
        Ok(made)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for group in &self.0 {
            // What is left behind is an empty group.
            drop(fs::remove_dir(group));
        }
    }
}

#[test]
fn a_cgroup_is_measured_against_its_own_limits() {
    let name = "scope::a_cgroup_is_measured_against_its_own_limits";
    if let Some(groups) = role() {
        for group in groups.split(':') {
            fs::write(Path::new(group).join("cgroup.procs"), std::process::id().to_string()).unwrap();
        }
        let sensor = Sensor::open(&Options { scope: Scope::Cgroup, ..Options::default() }).unwrap();
        let stop = AtomicBool::new(false);
        let busy = std::thread::scope(|scope| {
            let loads: Vec<_> = (0..2).map(|_| scope.spawn(|| burn(1_000_000_000, 1, &stop))).collect();
            pause(Duration::from_millis(200));
            let (first, ran) = (sensor.sample(), process_ns());
            pause(Duration::from_secs(2));
            let (last, ran) = (sensor.sample(), process_ns() - ran);
            stop.store(true, Ordering::Relaxed);
            loads.into_iter().for_each(|load| drop(load.join()));
            // Alone in its group, so what it ran is what the group ran; the quota is half of the window.
            let truth = ran * 2 * 10_000 / (last.taken_ns - first.taken_ns);
            println!("\ntruth {}", truth.min(10_000));
            usage(&first, &last).cpu.unwrap()
        });
        let memory = sensor.sample().memory.unwrap();
        println!("cpu {}\ntotal {}\navailable {}", busy.get(), memory.total_bytes, memory.available_bytes);
        println!("{}", sensor.explanation().join("; "));
        return;
    }
    let test = "a_cgroup_is_measured_against_its_own_limits";
    let Some(group) = or_skip(test, "cgroup", Group::make()) else { return };
    let groups = group.0.iter().map(|group| group.display().to_string()).collect::<Vec<_>>().join(":");
    let printed = run_child(child(name, &groups));
    let number = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    println!("{printed}");
    assert_eq!(number("total "), LIMIT);
    assert!(number("available ") > LIMIT / 2, "{printed}");
    // Two threads want two CPUs and get half a one, which is all of the quota, or less on a machine with other work.
    assert!(number("cpu ").abs_diff(number("truth ")) <= 500, "{printed}");
}
