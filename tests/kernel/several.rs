//! Several sensors at once, in threads and in processes: none disturbs another.

use std::time::Duration;

use ebpf_sensor::{ProbeChoice, Sample, usage};

use crate::support::{child, open, pause, role, run_child, sensor};

#[test]
fn processes_sample_at_once() {
    let name = "several::processes_sample_at_once";
    if role().is_some() {
        let sensor = open(ProbeChoice::Ebpf).unwrap();
        let samples: Vec<Sample> = (0..2000).map(|_| sensor.sample()).collect();
        let whole = samples.iter().filter(|sample| sample.memory.is_some() && !sample.cpus.is_empty());
        println!("whole samples: {}", whole.count());
        return;
    }
    let Some(sensor) = sensor("processes_sample_at_once") else { return };
    let children: Vec<_> =
        (0..4).map(|_| std::thread::spawn(move || run_child(child(name, "sampler")))).collect();
    let first = sensor.sample();
    for child in children {
        let printed = child.join().unwrap();
        assert!(printed.contains("whole samples: 2000"), "{printed}");
    }
    let usage = usage(&first, &sensor.sample());
    assert!(usage.ram.is_some() && usage.cpu.is_some());
    assert!(usage.per_cpu.iter().all(|(_, share)| share.is_some()));
}

#[test]
fn readers_of_one_sensor_and_of_two_agree() {
    let Some(one) = sensor("readers_of_one_sensor_and_of_two_agree") else { return };
    let two = open(ProbeChoice::Ebpf).unwrap();
    let begin = (one.sample(), two.sample());
    std::thread::scope(|scope| {
        // A reader that asks all the time, beside one that asks twice.
        let busy = scope.spawn(|| {
            let mut previous = one.sample();
            for _ in 0..50_000 {
                let next = one.sample();
                assert!(next.memory.is_some());
                assert!(next.taken_ns >= previous.taken_ns);
                previous = next;
            }
        });
        pause(Duration::from_secs(1));
        busy.join().unwrap();
    });
    let end = (one.sample(), two.sample());
    let (one, two) = (usage(&begin.0, &end.0), usage(&begin.1, &end.1));
    let (one_cpu, two_cpu) = (one.cpu.unwrap().get(), two.cpu.unwrap().get());
    println!("{one_cpu} and {two_cpu} basis points");
    assert!(one_cpu.abs_diff(two_cpu) <= 20, "{one_cpu} and {two_cpu} basis points of one second");
}
