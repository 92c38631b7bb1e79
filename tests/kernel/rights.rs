//! The rights that loading needs, and that sampling goes on without them.

use caps::{CapSet, Capability, CapsHashSet};
use ebpf_sensor::{Options, ProbeChoice, Rights, Sensor, SensorError};
use rustix::thread::{Gid, Uid, set_keep_capabilities, set_thread_res_gid, set_thread_res_uid};

use crate::support::{child, open, role, run_child, sensor};

/// The user that owns nothing.
const NOBODY: u32 = 65534;

/// Makes this process nobody's, with these rights and no other.
fn become_nobody_with(rights: &[Capability]) {
    set_keep_capabilities(true).unwrap();
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
    let rights: CapsHashSet = rights.iter().copied().collect();
    for set in [CapSet::Permitted, CapSet::Effective] {
        caps::set(None, set, &rights).unwrap();
    }
    assert_eq!(caps::read(None, CapSet::Effective).unwrap(), rights);
}

fn effective_rights() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim().to_owned()
}

fn sample_is_whole(sensor: &Sensor) {
    let sample = sensor.sample();
    assert!(sample.memory.is_some(), "no memory in {sample:?}");
    assert!(!sample.cpus.is_empty(), "no CPU in {sample:?}");
}

#[test]
fn cap_bpf_and_cap_perfmon_suffice() {
    let name = "rights::cap_bpf_and_cap_perfmon_suffice";
    if role().is_some() {
        become_nobody_with(&[Capability::CAP_BPF, Capability::CAP_PERFMON]);
        let sensor = open(ProbeChoice::Ebpf).unwrap();
        sample_is_whole(&sensor);
        println!("works as nobody with {}", effective_rights());
        return;
    }
    if sensor("cap_bpf_and_cap_perfmon_suffice").is_none() {
        return;
    }
    let printed = run_child(child(name, "nobody"));
    // CAP_PERFMON is bit 38 and CAP_BPF bit 39.
    assert!(printed.contains("works as nobody with 000000c000000000"), "{printed}");
}

#[test]
fn a_missing_right_is_named_and_auto_goes_on_with_procfs() {
    let name = "rights::a_missing_right_is_named_and_auto_goes_on_with_procfs";
    let test = "a_missing_right_is_named_and_auto_goes_on_with_procfs";
    let parts: [(&str, &[Capability], &str); 3] = [
        ("nothing", &[], "CAP_BPF"),
        ("only perfmon", &[Capability::CAP_PERFMON], "CAP_BPF"),
        ("only bpf", &[Capability::CAP_BPF], "CAP_PERFMON"),
    ];
    if let Some(role) = role() {
        let (_, rights, missing) = parts.iter().find(|(part, ..)| *part == role).unwrap();
        become_nobody_with(rights);
        let options = Options { choice: ProbeChoice::Ebpf, ..Options::default() };
        match Sensor::open(&options) {
            Err(SensorError::MissingCapability { capability, .. }) => assert_eq!(capability, *missing),
            other => panic!("{other:?} instead of a lack of {missing}"),
        }
        let sensor = open(ProbeChoice::Auto).unwrap();
        sample_is_whole(&sensor);
        println!("source {}: {}", sensor.sources().label(), sensor.explanation().join(" | "));
        return;
    }
    if sensor(test).is_none() {
        return;
    }
    for (part, _, missing) in parts {
        let printed = run_child(child(name, part));
        assert!(printed.contains("source procfs"), "{part}: {printed}");
        assert!(printed.contains(&format!("lacks {missing}")), "{part}: {printed}");
        assert!(printed.contains("setcap cap_bpf,cap_perfmon+ep"), "{part}: {printed}");
    }
}

#[test]
fn sampling_goes_on_after_all_rights_are_dropped() {
    let name = "rights::sampling_goes_on_after_all_rights_are_dropped";
    if role().is_some() {
        let sensor = open(ProbeChoice::Ebpf).unwrap();
        let rights = sensor.drop_rights_of_thread().unwrap();
        sample_is_whole(&sensor);
        // What was given up stays so.
        assert!(open(ProbeChoice::Ebpf).unwrap_err().contains("CAP_BPF") || rights == Rights::Bpf);
        println!("kept {rights:?}, effective {}", effective_rights());
        return;
    }
    if sensor("sampling_goes_on_after_all_rights_are_dropped").is_none() {
        return;
    }
    let printed = run_child(child(name, "root"));
    let nothing = printed.contains("kept Nothing, effective 0000000000000000");
    // Kernels before 5.19 run programs on demand for holders of CAP_BPF only.
    let bpf = printed.contains("kept Bpf, effective 0000008000000000");
    assert!(nothing || bpf, "{printed}");
}

#[test]
fn rights_are_not_dropped_of_one_thread_among_several() {
    let Some(sensor) = sensor("rights_are_not_dropped_of_one_thread_among_several") else { return };
    let error = std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || receiver.recv());
        let error = sensor.drop_rights().unwrap_err().to_string();
        drop(sender);
        error
    });
    assert!(error.contains("before threads are started"), "{error}");
}
