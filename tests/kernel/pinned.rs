//! The file that outlives the sensor.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ebpf_sensor::{Options, ProbeChoice, Sensor, unpin};
use harness::need::or_skip;

use crate::support::{child, pause, role, run_child, sensor};

/// A BPF file system of the test's own, gone with it.
struct BpfFs(tempfile::TempDir);

impl BpfFs {
    fn mount() -> Result<Self, String> {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let output = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(place.path()).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(Self(place))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("balanza")
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        // A failure leaves an empty directory behind, and nothing else.
        drop(Command::new("umount").arg(self.0.path()).status());
    }
}

fn read(directory: &Path) -> (u64, u64) {
    let text = std::fs::read_to_string(directory.join("so_info")).unwrap();
    let (ram, cpu) = text.split_once(';').expect("the file says ram;cpu");
    (ram.parse().unwrap(), cpu.parse().unwrap())
}

#[test]
fn the_file_tells_ram_and_cpu_without_any_process_of_ours() {
    let name = "pinned::the_file_tells_ram_and_cpu_without_any_process_of_ours";
    let test = "the_file_tells_ram_and_cpu_without_any_process_of_ours";
    if let Some(directory) = role() {
        let pin = Some(PathBuf::from(directory));
        let options = Options { choice: ProbeChoice::Ebpf, pin, ..Options::default() };
        println!("{:?}", Sensor::open(&options).unwrap().explanation());
        return;
    }
    let Some(sensor) = sensor(test) else { return };
    let Some(place) = or_skip(test, "kernel", BpfFs::mount()) else { return };
    let directory = place.directory();
    let role = directory.to_str().unwrap();
    // Twice: the second takes the place of the first.
    for _ in 0..2 {
        let printed = run_child(child(name, role));
        assert!(printed.contains("Pinned at"), "{printed}");
    }
    // The child has ended. The file has a window of its own, which each reading of a second or more moves on.
    let first = sensor.sample();
    read(&directory);
    pause(Duration::from_millis(1500));
    let (ram, cpu) = read(&directory);
    let usage = ebpf_sensor::usage(&first, &sensor.sample());
    println!("file {ram};{cpu}, sensor {};{}", usage.ram.unwrap(), usage.cpu.unwrap());
    assert!(ram.abs_diff(u64::from(usage.ram.unwrap().percent())) <= 1);
    assert!(cpu.abs_diff(u64::from(usage.cpu.unwrap().percent())) <= 3);
    assert!(unpin(&directory).unwrap());
    assert!(!directory.exists());
}

#[test]
fn another_file_system_is_refused_with_the_remedy() {
    let test = "another_file_system_is_refused_with_the_remedy";
    if sensor(test).is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let pin = Some(place.path().join("balanza"));
    let options = Options { choice: ProbeChoice::Ebpf, pin, ..Options::default() };
    let error = Sensor::open(&options).unwrap_err().to_string();
    assert!(error.contains("mount -t bpf bpf"), "{error}");
    let auto = Sensor::open(&Options { choice: ProbeChoice::Auto, ..options }).unwrap();
    assert_eq!(auto.sources().label(), "ebpf");
    assert!(auto.explanation().iter().any(|line| line.starts_with("Not pinned: ")));
}
