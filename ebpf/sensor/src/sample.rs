//! PURE. One reading of the host: absolute counters, no percentages and no window.

/// One reading. What could not be read is absent, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When the reading was taken, in nanoseconds of CLOCK_MONOTONIC.
    pub taken_ns: u64,
    /// The memory of the host, or of the cgroup where the scope says so.
    pub memory: Option<Memory>,
    /// One entry per online CPU, in ascending order of `cpu`; in the scope of a cgroup a single one, which is busy
    /// all the time when the group uses up its quota. Empty when CPU time is unknown.
    pub cpus: Vec<CpuTime>,
}

/// Memory at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What there is, in bytes: MemTotal.
    pub total_bytes: u64,
    /// What could be had without swapping, in bytes: the kernel's MemAvailable.
    pub available_bytes: u64,
}

/// The time that one CPU has been busy since some fixed moment. Only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// The kernel's number of the CPU.
    pub cpu: u32,
    /// Time not idle, in nanoseconds. Time stolen by the hypervisor counts as busy: it could not be used.
    pub busy_ns: u64,
    /// The part of it that the hypervisor stole, in nanoseconds with the granularity of a tick.
    pub steal_ns: Option<u64>,
    /// By how much more than the time that passed this counter may move: the ticks that it is kept in, or the
    /// period and the burst of a quota. In nanoseconds.
    pub slack_ns: u64,
}
