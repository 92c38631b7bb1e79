//! The kernel side of Balanza. Compiled for the BPF target only, by `cargo xtask build-ebpf`.
//!
//! Attached: `idle` at `cpu_idle`, `softirq_entry` and `softirq_exit` (each with a raw tracepoint twin for
//! kernels without BTF). They keep one word per CPU and nothing else. Run on demand, attached nowhere: `seed`,
//! `locate`, `sample`. Pinned on request: `show`. What they compute is in `ebpf-abi`, tested on the host.
//!
//! No program here can panic, allocate or loop without a bound, and none writes outside its own maps.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "programs, maps and helpers of the kernel are reached in no other way")]

mod cpu;
mod kernel;
mod locate;
mod maps;
mod show;
mod walk;

/// The kernel lends helpers such as `bpf_probe_read_kernel` only to programs under a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The verifier admits no call that a panic would need, so none is ever reached.
#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
