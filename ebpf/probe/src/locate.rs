//! The search for any one memory node, from the current task: nothing in here needs a symbol's address.
//!
//! First through the memory cgroup of the task, one hop on most kernels. Where memory cgroups are disabled,
//! through the list of tasks to a `kswapd`, whose thread data is its node.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_current_task;
use aya_ebpf::programs::RawTracePointContext;
use aya_log_ebpf::debug;
use ebpf_abi::{ABSENT, LocateOffsets, status};

use crate::kernel::{Address, Unreadable, read};
use crate::maps::{LOCATE, STATE};

/// A cgroup is never nested deeper in practice; the climb ends at the first that has its node.
const MAX_CGROUPS: u32 = 16;
/// From the loader to process 0, and along the list of tasks in one call.
const MAX_PARENTS: u32 = 64;
const MAX_TASKS: u32 = 64;

/// Leaves the address of a memory node in STATE. Returns a status; on CALL_AGAIN the search goes on next time.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/locate")]
extern "C" fn locate(context: *mut c_void) -> u32 {
    let log = RawTracePointContext::new(context);
    let Some(state) = STATE.get_ptr_mut(0) else { return status::NO_MAP };
    // SAFETY: the map element lives as long as the program, and the sensor runs one program at a time.
    let state = unsafe { &mut *state };
    let offsets = LOCATE.load();
    // SAFETY: the helper takes nothing and returns an address that is only ever read through the kernel.
    let task = unsafe { bpf_get_current_task() };
    if state.cursor == 0 && offsets.task_cgroups != ABSENT {
        if let Ok(node) = by_cgroup(task, &offsets) {
            if node != 0 {
                debug!(&log, "found a memory node through the memory cgroup");
                state.node = node;
                return status::OK;
            }
        }
    }
    match by_tasks(task, state.cursor, &offsets) {
        Ok(Search::Found(node)) => {
            debug!(&log, "found a memory node through kswapd");
            state.node = node;
            status::OK
        }
        Ok(Search::Continue(cursor)) => {
            state.cursor = cursor;
            status::CALL_AGAIN
        }
        Ok(Search::End) => status::NOT_FOUND,
        Err(Unreadable) => status::UNREADABLE,
    }
}

/// The node of the nearest cgroup that has one; zero for none.
#[inline(always)]
fn by_cgroup(task: Address, offsets: &LocateOffsets) -> Result<Address, Unreadable> {
    let css_set: Address = read(task, offsets.task_cgroups)?;
    let mut css: Address = read(css_set, offsets.css_set_memory)?;
    let mut index = 0;
    while index < MAX_CGROUPS && css != 0 {
        let nodeinfo: Address = read(css, offsets.memcg_nodeinfo)?;
        if nodeinfo != 0 {
            let node: Address = read(nodeinfo, offsets.nodeinfo_node)?;
            if node != 0 {
                return Ok(node);
            }
        }
        css = read(css, offsets.css_parent)?;
        index += 1;
    }
    Ok(0)
}

enum Search {
    Found(Address),
    Continue(Address),
    End,
}

/// The node of a `kswapd` among the tasks after `cursor`, or after process 0 where there is none yet.
#[inline(always)]
fn by_tasks(task: Address, cursor: Address, offsets: &LocateOffsets) -> Result<Search, Unreadable> {
    let mut task = task;
    if cursor != 0 {
        task = cursor;
    } else {
        let mut index = 0;
        while index < MAX_PARENTS {
            let pid: u32 = read(task, offsets.task_pid)?;
            if pid == 0 {
                break;
            }
            task = read(task, offsets.task_real_parent)?;
            index += 1;
        }
    }
    let mut index = 0;
    while index < MAX_TASKS {
        let next: Address = read(task, offsets.task_tasks)?;
        task = next.wrapping_sub(u64::from(offsets.task_tasks));
        let pid: u32 = read(task, offsets.task_pid)?;
        if pid == 0 {
            return Ok(Search::End);
        }
        if is_kswapd(task, offsets)? {
            let kthread: Address = read(task, offsets.task_kthread)?;
            let node: Address = read(kthread, offsets.kthread_data)?;
            // Any process may call itself kswapd; only a node's own points back to its task.
            let kswapd: Address = read(node, offsets.node_kswapd).unwrap_or(0);
            if kswapd == task {
                return Ok(Search::Found(node));
            }
        }
        index += 1;
    }
    Ok(Search::Continue(task))
}

#[inline(always)]
fn is_kswapd(task: Address, offsets: &LocateOffsets) -> Result<bool, Unreadable> {
    let name: u64 = read(task, offsets.task_comm)?;
    // The number of the node follows the six letters.
    Ok(name & 0x0000_ffff_ffff_ffff == u64::from_le_bytes(*b"kswapd\0\0"))
}
