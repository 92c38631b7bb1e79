//! The maps and the read-only globals that the sensor fills in. Their names are in `ebpf_abi::names`.

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use ebpf_abi::{CpuSlot, LocateOffsets, RamRecord, State, WalkOffsets, Window};

/// One slot per possible CPU. The sensor sets the length before it loads the object.
#[map]
pub(crate) static CPU_SLOTS: Array<CpuSlot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What `sample` found last.
#[map]
pub(crate) static RAM: Array<RamRecord> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Addresses of the kernel are in here, so it is no memory-mapped map.
#[map]
pub(crate) static STATE: Array<State> = Array::with_max_entries(1, 0);

/// The window of `show`.
#[map]
pub(crate) static WINDOW: Array<Window> = Array::with_max_entries(1, 0);

/// Where the walk finds what in this kernel.
#[unsafe(no_mangle)]
pub(crate) static WALK: Global<WalkOffsets> = Global::new(WalkOffsets::NONE);

/// Where the search for a memory node finds what in this kernel.
#[unsafe(no_mangle)]
pub(crate) static LOCATE: Global<LocateOffsets> = Global::new(LocateOffsets::NONE);
