//! The file under `/sys/fs/bpf/balanza`: an iterator that prints `ram;cpu` in whole percents, as the kernel
//! module of the old system did, for as long as it is pinned.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_printf;
use ebpf_abi::window::basis_points;
use ebpf_abi::{CpuWord, Snapshot};

use crate::kernel::{argument, now};
use crate::maps::{CPU_SLOTS, STATE, WINDOW};
use crate::walk::measure;

/// The number of slots that are added up at most; the sensor refuses to pin on larger hosts.
const MAX_CPUS: u32 = ebpf_abi::window::MAX_SHOWN_CPUS;

const LINE: &[u8; 10] = b"%llu;%llu\0";

/// Called for every map of the system, one of which is enough: the file has one line.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map")]
extern "C" fn show(context: *mut c_void) -> i32 {
    let meta = argument::<0>(context) as *const u64;
    // SAFETY: the context's first member points to a bpf_iter_meta (file, session, number); the verifier knows
    // its type and checks both loads.
    let (file, number) = unsafe { (*meta, *meta.add(2)) };
    if number == 0 {
        let shares = [ram().unwrap_or(0) / 100, cpu().unwrap_or(0) / 100];
        // SAFETY: the format ends with a zero byte and takes two 64-bit numbers, whose length in bytes follows.
        unsafe { bpf_seq_printf(file as *mut _, LINE.as_ptr().cast(), 10, shares.as_ptr().cast(), 16) };
    }
    0
}

#[inline(always)]
fn ram() -> Option<u64> {
    let record = measure().ok()?;
    let used = record.total_pages.wrapping_sub(record.available_pages);
    Some(basis_points(used, record.total_pages))
}

#[inline(always)]
fn cpu() -> Option<u64> {
    let state = STATE.get(0)?;
    let now = now();
    let mut busy_ns = 0u64;
    let mut index = 0;
    while index < MAX_CPUS && index < state.slots {
        let slot = CPU_SLOTS.get(index)?;
        busy_ns = busy_ns.wrapping_add(CpuWord(slot.word).busy_at(now).unwrap_or(0));
        index += 1;
    }
    let window = WINDOW.get_ptr_mut(0)?;
    // SAFETY: the map element lives as long as the program. Two readers may store at once, and what they store
    // differs by microseconds only.
    let passed = unsafe { &mut *window }.advance(Snapshot { taken_ns: now, busy_ns })?;
    Some(basis_points(passed.busy_ns, passed.taken_ns.wrapping_mul(u64::from(state.online_cpus))))
}
