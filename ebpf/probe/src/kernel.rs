//! Reading the kernel's memory and the arguments of a program: the probe's few unsafe steps, in one place.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel, generated};

/// An address in the kernel.
pub(crate) type Address = u64;

/// An address could not be read.
pub(crate) struct Unreadable;

/// Reads a value at `base + offset`. A bad address is an error, never a fault.
#[inline(always)]
pub(crate) fn read<T>(base: Address, offset: u32) -> Result<T, Unreadable> {
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the helper copies from any address and reports a fault; every T used here is an integer.
    unsafe { bpf_probe_read_kernel(address) }.map_err(|_| Unreadable)
}

/// Many reads with one verdict at the end. The verifier follows every branch, and a branch after each read of the
/// walk is more than it has patience for.
pub(crate) struct Reader {
    faults: u64,
}

impl Reader {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { faults: 0 }
    }

    /// Reads 64 bits at `base + offset`; zero where that is no address, which [`Self::all_read`] remembers.
    #[inline(always)]
    pub(crate) fn word(&mut self, base: Address, offset: u32) -> u64 {
        let mut value = 0u64;
        let source = base.wrapping_add(u64::from(offset)) as *const c_void;
        // SAFETY: the helper copies eight bytes from any address to the given place, or reports a fault.
        let fault = unsafe { generated::bpf_probe_read_kernel((&raw mut value).cast(), 8, source) };
        self.faults |= fault.cast_unsigned();
        value
    }

    /// Whether no read failed so far.
    #[inline(always)]
    pub(crate) fn all_read(&self) -> bool {
        self.faults == 0
    }
}

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and only reads a clock.
    unsafe { bpf_ktime_get_ns() }
}

/// Argument `INDEX` of a tracepoint, or of a test run. The verifier holds that `context` has as many.
#[inline(always)]
pub(crate) fn argument<const INDEX: usize>(context: *mut c_void) -> u64 {
    // SAFETY: the context of tracepoint programs is an array of 64-bit arguments.
    unsafe { *context.cast::<u64>().add(INDEX) }
}
