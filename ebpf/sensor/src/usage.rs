//! PURE. Two samples become a usage: integer arithmetic, and unknown wherever a number would be a guess.
//!
//! A counter that ran backwards, a window without length and a CPU that came or went are unknown. They are
//! never zero, because the balancer would take zero for an idle host.

use std::fmt;

use crate::{CpuTime, Memory, Sample};

/// A share of a whole in hundredths of a percent, 0 to 10 000, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// All of it.
    pub const WHOLE: Self = Self(10_000);

    /// `part` of `whole`; unknown when the whole is nothing or the part is larger.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        if part > whole {
            return None;
        }
        let points = (u128::from(part) * 10_000).checked_div(u128::from(whole))?;
        u16::try_from(points).ok().map(Self)
    }

    /// The value, 0 to 10 000.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whole percents, rounded down, 0 to 100.
    #[must_use]
    pub fn percent(self) -> u8 {
        u8::try_from(self.0 / 100).unwrap_or(100)
    }
}

impl fmt::Display for BasisPoints {
    /// Percents with two digits: `52.83`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// How much of the host was in use between two samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The share of memory that is not available, at the later sample.
    pub ram: Option<BasisPoints>,
    /// The share of time that the CPUs known at both samples were busy.
    pub cpu: Option<BasisPoints>,
    /// The same for each CPU of the later sample, in ascending order of its number.
    pub per_cpu: Vec<(u32, Option<BasisPoints>)>,
    /// The share of time that the hypervisor took away. It is part of `cpu`.
    pub steal: Option<BasisPoints>,
    /// The time between the samples in nanoseconds; unknown when it ran backwards or not at all.
    pub window_ns: Option<u64>,
}

/// The usage between two samples of one sensor.
#[must_use]
pub fn usage(previous: &Sample, next: &Sample) -> Usage {
    let window_ns = next.taken_ns.checked_sub(previous.taken_ns).filter(|window| *window > 0);
    let deltas: Vec<(u32, Option<Delta>)> =
        next.cpus.iter().map(|time| (time.cpu, window_ns.and_then(|ns| delta(previous, time, ns)))).collect();
    let share = |part: fn(&Delta) -> Option<u64>| {
        let window = window_ns?;
        let (sum, whole) = deltas
            .iter()
            .filter_map(|(_, delta)| delta.as_ref().and_then(part))
            .try_fold((0u64, 0u64), |(sum, whole), part| {
                Some((sum.checked_add(part)?, whole.checked_add(window)?))
            })?;
        BasisPoints::of(sum, whole)
    };
    Usage {
        ram: next.memory.as_ref().and_then(ram),
        cpu: share(|delta| Some(delta.busy_ns)),
        steal: share(|delta| delta.steal_ns),
        per_cpu: deltas
            .iter()
            .map(|(cpu, delta)| {
                (*cpu, delta.as_ref().and_then(|delta| BasisPoints::of(delta.busy_ns, window_ns?)))
            })
            .collect(),
        window_ns,
    }
}

/// What one CPU did in the window; no part is longer than the window. A CPU may seem busy for longer, because its
/// source counts in steps and the clock is not read in the same instant as the counters: up to its slack that is
/// busy all the time, and a larger excess means that the counter jumped.
struct Delta {
    busy_ns: u64,
    steal_ns: Option<u64>,
}

fn delta(previous: &Sample, next: &CpuTime, window_ns: u64) -> Option<Delta> {
    let earlier = previous.cpus.iter().find(|time| time.cpu == next.cpu)?;
    let within = |later: u64, earlier: u64| {
        let spent = later.checked_sub(earlier)?;
        (spent <= window_ns.saturating_add(next.slack_ns)).then_some(spent.min(window_ns))
    };
    Some(Delta {
        busy_ns: within(next.busy_ns, earlier.busy_ns)?,
        steal_ns: next.steal_ns.zip(earlier.steal_ns).and_then(|(later, earlier)| within(later, earlier)),
    })
}

fn ram(memory: &Memory) -> Option<BasisPoints> {
    BasisPoints::of(memory.total_bytes.checked_sub(memory.available_bytes)?, memory.total_bytes)
}

#[cfg(test)]
mod tests;
