//! The idle and softirq hooks and the seed: one word per CPU, written by that CPU only.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id};
use ebpf_abi::{CpuWord, status};

use crate::kernel::{argument, now};
use crate::maps::CPU_SLOTS;

/// What `cpu_idle` tells as the state when the CPU leaves its idle state: PWR_EVENT_EXIT.
const LEAVES_IDLE: u32 = u32::MAX;

#[unsafe(no_mangle)]
#[unsafe(link_section = "tp_btf/cpu_idle")]
extern "C" fn idle(context: *mut c_void) -> i32 {
    on_idle(context)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/cpu_idle")]
extern "C" fn idle_raw(context: *mut c_void) -> i32 {
    on_idle(context)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "tp_btf/softirq_entry")]
extern "C" fn softirq_in(_context: *mut c_void) -> i32 {
    on_softirq_entry()
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/softirq_entry")]
extern "C" fn softirq_in_raw(_context: *mut c_void) -> i32 {
    on_softirq_entry()
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "tp_btf/softirq_exit")]
extern "C" fn softirq_out(_context: *mut c_void) -> i32 {
    on_softirq_exit()
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/softirq_exit")]
extern "C" fn softirq_out_raw(_context: *mut c_void) -> i32 {
    on_softirq_exit()
}

/// Test run on each CPU in turn after the hooks are attached; argument 0 is not zero for a CPU that comes back.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/seed")]
extern "C" fn seed(context: *mut c_void) -> u32 {
    let again = argument::<0>(context) != 0;
    // SAFETY: the helper only reads the current task. The idle task of every CPU has process id zero, and the
    // call that runs this program on another CPU interrupts whatever runs there.
    let idle = unsafe { bpf_get_current_pid_tgid() } == 0;
    match change(|word| Some(word.seed(now(), idle, again))) {
        Some(()) => status::OK,
        None => status::NO_MAP,
    }
}

#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the state has 32 bits; the upper half of its argument is nobody's"
)]
fn on_idle(context: *mut c_void) -> i32 {
    let leaves = argument::<0>(context) as u32 == LEAVES_IDLE;
    change(|word| Some(if leaves { word.leave_idle(now()) } else { word.enter_idle(now()) }));
    0
}

#[inline(always)]
fn on_softirq_entry() -> i32 {
    // Nearly all softirqs run while the CPU is busy anyway, and then the clock is not read.
    change(|word| word.is_idle().then(|| word.enter_softirq(now())));
    0
}

#[inline(always)]
fn on_softirq_exit() -> i32 {
    change(|word| word.is_softirq().then(|| word.leave_softirq(now())));
    0
}

/// Replaces the word of the CPU that this runs on, if there is something to replace it with.
#[inline(always)]
fn change(next: impl FnOnce(CpuWord) -> Option<CpuWord>) -> Option<()> {
    // SAFETY: the helper takes nothing; tracepoints run with preemption off, so the CPU stays the same.
    let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
    let slot = CPU_SLOTS.get_ptr_mut(cpu)?;
    // SAFETY: the map element lives as long as the program, and only this CPU writes it. Volatile, so that
    // readers see one whole store.
    unsafe {
        let word = (&raw mut (*slot).word).cast::<u64>();
        if let Some(CpuWord(next)) = next(CpuWord(word.read_volatile())) {
            word.write_volatile(next);
        }
    }
    Some(())
}
