//! The sensor's unsafe code: maps of the kernel seen as memory, and records handed over as plain bytes.

#![expect(unsafe_code, reason = "memory maps of BPF maps, and the marker for plain records")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use ebpf_abi::{CpuSlot, CpuWord, LocateOffsets, RamRecord, State, WalkOffsets};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A record of `ebpf-abi`, for aya to copy to the kernel and back. The kernel keeps its bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub(crate) struct Plain<T>(pub(crate) T);

// SAFETY: repr(C), 18 times u32, no padding; the size is asserted beside the type; every bit pattern is a value.
unsafe impl aya::Pod for Plain<WalkOffsets> {}
// SAFETY: repr(C), 12 times u32, no padding; the size is asserted beside the type; every bit pattern is a value.
unsafe impl aya::Pod for Plain<LocateOffsets> {}
// SAFETY: repr(C), u64 before u32, no padding; the size is asserted beside the type; every bit pattern is a value.
unsafe impl aya::Pod for Plain<State> {}

/// The elements of a memory-mapped array map, for reading.
#[derive(Debug)]
pub(crate) struct MemoryMap<T> {
    start: NonNull<T>,
    elements: usize,
}

// SAFETY: the memory is shared with the kernel anyway; all reads are volatile or atomic, and nothing is written.
unsafe impl<T> Send for MemoryMap<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for MemoryMap<T> {}

impl<T: Element> MemoryMap<T> {
    /// Maps the first `elements` of a map whose values are `T`. The map may be closed afterwards.
    pub(crate) fn new(map: BorrowedFd<'_>, elements: usize) -> io::Result<Self> {
        let bytes = Self::bytes(elements);
        // SAFETY: a new mapping at a place that the kernel chooses; the kernel refuses to map past the map's end.
        let start = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, map, 0) }?;
        let start = NonNull::new(start.cast::<T>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, elements })
    }

    fn bytes(elements: usize) -> usize {
        elements.saturating_mul(size_of::<T>())
    }

    fn element(&self, index: usize) -> Option<*const T> {
        // SAFETY: the index is within the mapping, which lives as long as self.
        (index < self.elements).then(|| unsafe { self.start.as_ptr().add(index) }.cast_const())
    }
}

impl MemoryMap<CpuSlot> {
    /// The word of one CPU, as one whole load.
    pub(crate) fn word(&self, cpu: u32) -> Option<CpuWord> {
        let slot = self.element(usize::try_from(cpu).ok()?)?;
        // SAFETY: the slot is inside the mapping and aligned to 64 bytes, so its first member is to 8; the kernel
        // writes it by whole stores.
        let word = unsafe { AtomicU64::from_ptr((&raw const (*slot).word).cast_mut()) };
        Some(CpuWord(word.load(Ordering::Relaxed)))
    }
}

impl MemoryMap<RamRecord> {
    /// What the last run of `sample` left.
    pub(crate) fn record(&self) -> Option<RamRecord> {
        let record = self.element(0)?;
        // SAFETY: the record is inside the mapping and page-aligned, and any bytes are a value of it.
        Some(unsafe { record.read_volatile() })
    }
}

/// Records that a map may have as its values: their size is the kernel's stride, a multiple of eight.
pub(crate) trait Element {}
impl Element for CpuSlot {}
impl Element for RamRecord {}
const _: () = assert!(size_of::<CpuSlot>().is_multiple_of(8) && size_of::<RamRecord>().is_multiple_of(8));

impl<T> Drop for MemoryMap<T> {
    fn drop(&mut self) {
        let bytes = self.elements.saturating_mul(size_of::<T>());
        // SAFETY: the mapping was made with this start and length, and no reference into it outlives self.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), bytes) } {
            tracing::warn!(%error, "a memory map of the probe stays mapped");
        }
    }
}
