//! Examples of each unknown, and properties over random pairs of samples.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SLACK_NS: u64 = 20 * MS;

fn sample(taken_ms: u64, cpus: &[(u32, u64)]) -> Sample {
    let time = |&(cpu, busy_ms)| CpuTime { cpu, busy_ns: busy_ms * MS, steal_ns: None, slack_ns: SLACK_NS };
    let cpus = cpus.iter().map(time);
    Sample { taken_ns: taken_ms * MS, memory: None, cpus: cpus.collect() }
}

fn points(value: u16) -> Option<BasisPoints> {
    Some(BasisPoints(value))
}

#[test]
fn cpu_is_busy_over_elapsed_times_cpus_rounded_down() {
    let usage = usage(&sample(0, &[(0, 5), (1, 7)]), &sample(300, &[(0, 105), (1, 7)]));
    assert_eq!(usage.cpu, points(1666));
    assert_eq!(usage.per_cpu, [(0, points(3333)), (1, points(0))]);
    assert_eq!(usage.window_ns, Some(300 * MS));
}

#[test]
fn a_cpu_that_came_or_went_is_left_out_of_both_sides() {
    let usage = usage(&sample(0, &[(0, 0), (1, 0)]), &sample(100, &[(0, 50), (2, 70)]));
    assert_eq!(usage.cpu, points(5000));
    assert_eq!(usage.per_cpu, [(0, points(5000)), (2, None)]);
}

#[test]
fn backwards_is_unknown() {
    let backwards = usage(&sample(0, &[(0, 10)]), &sample(100, &[(0, 9)]));
    assert_eq!((backwards.cpu, &backwards.per_cpu[..]), (None, &[(0, None)][..]));
    let one_of_two = usage(&sample(0, &[(0, 10), (1, 0)]), &sample(100, &[(0, 9), (1, 25)]));
    assert_eq!(one_of_two.cpu, points(2500));
    let clock = usage(&sample(100, &[(0, 0)]), &sample(99, &[(0, 1)]));
    assert_eq!((clock.cpu, clock.window_ns), (None, None));
}

#[test]
fn a_window_without_length_is_unknown_but_ram_is_not() {
    let mut same = sample(100, &[(0, 10)]);
    same.memory = Some(Memory { total_bytes: 1000, available_bytes: 390 });
    let usage = usage(&same, &same);
    assert_eq!((usage.cpu, usage.steal, usage.window_ns, usage.ram), (None, None, None, points(6100)));
}

#[test]
fn a_counter_may_overshoot_by_its_slack_and_no_more() {
    let window = |busy| usage(&sample(0, &[(0, 0)]), &sample(20, &[(0, busy)])).cpu;
    assert_eq!(window(40), points(10_000));
    assert_eq!(window(41), None);
}

#[test]
fn steal_is_reported_beside_and_may_be_unknown() {
    let mut previous = sample(0, &[(0, 0), (1, 0)]);
    let mut next = sample(100, &[(0, 50), (1, 50)]);
    assert_eq!(usage(&previous, &next).steal, None);
    (previous.cpus[0].steal_ns, next.cpus[0].steal_ns) = (Some(0), Some(25 * MS));
    assert_eq!(usage(&previous, &next).steal, points(2500));
}

#[test]
fn memory_that_cannot_be_is_unknown() {
    let ram = |total_bytes, available_bytes| ram(&Memory { total_bytes, available_bytes });
    assert_eq!(ram(0, 0), None);
    assert_eq!(ram(10, 11), None);
    assert_eq!(ram(3, 1), points(6666));
    assert_eq!(ram(u64::MAX, 0), points(10_000));
}

#[test]
fn shares_are_shown_with_two_digits() {
    assert_eq!(BasisPoints(5283).to_string(), "52.83");
    assert_eq!(BasisPoints(7).to_string(), "0.07");
    assert_eq!((BasisPoints(5283).percent(), BasisPoints::WHOLE.percent()), (52, 100));
}

fn any_sample() -> impl Strategy<Value = Sample> {
    // Small numbers so that windows, CPUs and counters collide often; full range so that sums overflow.
    let number = || prop_oneof![0u64..50, 0u64..200_000_000, any::<u64>()];
    let time = (0u32..4, number(), proptest::option::of(number()));
    let cpus = proptest::collection::btree_map(0u32..4, time, 0..4);
    let memory = proptest::option::of((number(), number()));
    (number(), memory, cpus).prop_map(|(taken_ns, memory, cpus)| Sample {
        taken_ns,
        memory: memory.map(|(total_bytes, available_bytes)| Memory { total_bytes, available_bytes }),
        cpus: cpus
            .into_iter()
            .map(|(cpu, (_, busy_ns, steal_ns))| CpuTime { cpu, busy_ns, steal_ns, slack_ns: SLACK_NS })
            .collect(),
    })
}

proptest! {
    #[test]
    fn every_share_is_within_the_whole_and_known_only_with_a_window(
        previous in any_sample(), next in any_sample()
    ) {
        let usage = usage(&previous, &next);
        let shares = usage.per_cpu.iter().filter_map(|(_, share)| *share);
        for share in shares.chain(usage.cpu).chain(usage.steal).chain(usage.ram) {
            prop_assert!(share <= BasisPoints::WHOLE);
        }
        prop_assert_eq!(usage.per_cpu.len(), next.cpus.len());
        if usage.cpu.is_some() {
            prop_assert!(next.taken_ns > previous.taken_ns);
            prop_assert!(usage.per_cpu.iter().any(|(_, share)| share.is_some()));
        }
    }

    #[test]
    fn the_total_lies_between_the_least_and_the_most_busy_cpu(
        previous in any_sample(), next in any_sample()
    ) {
        let usage = usage(&previous, &next);
        let known: Vec<_> = usage.per_cpu.iter().filter_map(|(_, share)| *share).collect();
        if let (Some(cpu), Some(least), Some(most)) = (usage.cpu, known.iter().min(), known.iter().max()) {
            prop_assert!(*least <= cpu && cpu <= *most);
        }
    }

    #[test]
    fn readers_with_windows_of_their_own_do_not_disturb_each_other(
        busy in proptest::collection::vec(0u64..=10, 3..20), split in 1usize..19
    ) {
        // Counters only add up, so a window taken whole equals the sum of its parts whoever looked in between.
        let mut samples = vec![sample(0, &[(0, 0)])];
        for (step, part) in busy.iter().enumerate() {
            let last = samples[step].cpus[0].busy_ns / MS;
            samples.push(sample((step as u64 + 1) * 10, &[(0, last + part)]));
        }
        let split = split.min(busy.len() - 1);
        let whole = usage(&samples[0], &samples[busy.len()]).cpu.unwrap().get();
        let expected = busy.iter().sum::<u64>() * 1000 / busy.len() as u64;
        prop_assert_eq!(u64::from(whole), expected);
        let head = u64::from(usage(&samples[0], &samples[split]).cpu.unwrap().get());
        prop_assert_eq!(head, busy[..split].iter().sum::<u64>() * 1000 / split as u64);
    }

    #[test]
    fn ram_agrees_with_wide_arithmetic(total in 1u64.., free in any::<u64>()) {
        let available_bytes = free % total;
        let exact = u128::from(total - available_bytes) * 10_000 / u128::from(total);
        let got = ram(&Memory { total_bytes: total, available_bytes }).unwrap().get();
        prop_assert_eq!(u128::from(got), exact);
    }
}
