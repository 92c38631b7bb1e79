//! Records and arithmetic shared by the kernel probe and the sensor. No I/O, no allocation, no dependency.
//!
//! Every record is `repr(C)` without hidden padding, of fixed-width integers only, so that any bit pattern is a
//! value. The arithmetic is compiled twice, for the host (where its properties are tested) and for the kernel;
//! so it neither divides by a variable unchecked nor indexes, because a possible panic is no valid BPF program.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod cpu;
pub mod memory;
pub mod offsets;
pub mod window;

pub use cpu::{CpuSlot, CpuWord};
pub use memory::{MemoryFacts, RamRecord, State};
pub use offsets::{ABSENT, LocateOffsets, WalkOffsets};
pub use window::{Snapshot, Window};

/// The names of maps, globals and programs in the probe's object.
pub mod names {
    /// Map: one [`crate::CpuSlot`] per possible CPU, memory-mapped by the sensor.
    pub const CPU_SLOTS: &str = "CPU_SLOTS";
    /// Map: one [`crate::RamRecord`], written by `sample`, memory-mapped by the sensor.
    pub const RAM: &str = "RAM";
    /// Map: one [`crate::State`], which `locate` and the sensor fill in.
    pub const STATE: &str = "STATE";
    /// Map: one [`crate::Window`], which belongs to `show`.
    pub const WINDOW: &str = "WINDOW";
    /// Global: the [`crate::WalkOffsets`] of the running kernel.
    pub const WALK: &str = "WALK";
    /// Global: the [`crate::LocateOffsets`] of the running kernel.
    pub const LOCATE: &str = "LOCATE";
    /// Map of aya-log: the records of the probe's own log.
    pub const LOGS: &str = "AYA_LOGS";
    /// Global of aya-log: the most detailed level that is logged; 0 is none.
    pub const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
}

/// What a program that runs on demand returns. Zero is success.
pub mod status {
    /// The program did what it should.
    pub const OK: u32 = 0;
    /// `sample`: `locate` has not found the memory nodes yet.
    pub const NOT_LOCATED: u32 = 1;
    /// `sample`, `locate`: an address could not be read.
    pub const UNREADABLE: u32 = 2;
    /// `sample`: the list of zones goes on past [`super::memory::MAX_ZONEREFS`].
    pub const TOO_MANY_ZONES: u32 = 3;
    /// `locate`: neither route ended at a memory node.
    pub const NOT_FOUND: u32 = 4;
    /// Any program: a map element that must exist does not.
    pub const NO_MAP: u32 = 5;
    /// `locate`: the list of tasks goes on; call again.
    pub const CALL_AGAIN: u32 = 6;

    /// The status in words, for a message.
    #[must_use]
    pub fn text(status: u32) -> &'static str {
        match status {
            OK => "no fault",
            NOT_LOCATED => "the memory nodes have not been located",
            UNREADABLE => "an address could not be read",
            TOO_MANY_ZONES => "the list of zones is longer than the probe follows",
            NOT_FOUND => "neither the memory cgroup nor a kswapd task led to a memory node",
            NO_MAP => "a map element is missing",
            CALL_AGAIN => "the list of tasks is longer than the probe follows",
            _ => "an unknown status",
        }
    }
}
