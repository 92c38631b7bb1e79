//! PURE. Resolves what the probe must know of the running kernel's structures from its BTF.
//!
//! Decides by what the BTF says, never by the kernel's version.

use ebpf_abi::{ABSENT, LocateOffsets, WalkOffsets};

use crate::btf::{Btf, BtfError, Width};

/// Everything that the walk needs; the first thing that is missing is an error.
pub(crate) fn walk_offsets(btf: &Btf<'_>) -> Result<WalkOffsets, BtfError> {
    let node = |path| btf.offset("pglist_data", path, Width::Bytes(8));
    let zone = |path| btf.offset("zone", path, Width::Bytes(8));
    Ok(WalkOffsets {
        node_zones: btf.offset("pglist_data", "node_zones", Width::Any)?,
        node_zonerefs: btf.offset("pglist_data", "node_zonelists[0]._zonerefs", Width::Any)?,
        node_reserve: node("totalreserve_pages")?,
        node_active_file: node("vm_stat[NR_ACTIVE_FILE]")?,
        node_inactive_file: node("vm_stat[NR_INACTIVE_FILE]")?,
        node_slab_reclaimable: node("vm_stat[NR_SLAB_RECLAIMABLE_B]")?,
        node_misc_reclaimable: node("vm_stat[NR_KERNEL_MISC_RECLAIMABLE]")?,
        // Only kernels that initialise pages in the background have this one.
        node_first_deferred: node("first_deferred_pfn").unwrap_or(ABSENT),
        zoneref_size: btf.size_of("zoneref", "zone")?,
        zoneref_zone: btf.offset("zoneref", "zone", Width::Bytes(8))?,
        zone_size: btf.size_of("zone", "managed_pages")?,
        zones: btf.enumerator("__MAX_NR_ZONES")?,
        zone_node: zone("zone_pgdat")?,
        zone_managed: zone("managed_pages")?,
        zone_watermark_low: zone("_watermark[WMARK_LOW]")?,
        zone_watermark_boost: zone("watermark_boost")?,
        zone_free: zone("vm_stat[NR_FREE_PAGES]")?,
        reserved: 0,
    })
}

/// What the search for a first memory node needs. Either route will do, so one may be missing.
pub(crate) fn locate_offsets(btf: &Btf<'_>) -> Result<LocateOffsets, BtfError> {
    let cgroup_route = || -> Result<LocateOffsets, BtfError> {
        let css = btf.offset("mem_cgroup", "css", Width::Any)?;
        let nodeinfo = btf.offset("mem_cgroup", "nodeinfo[0]", Width::Bytes(8))?;
        Ok(LocateOffsets {
            task_cgroups: btf.offset("task_struct", "cgroups", Width::Bytes(8))?,
            css_set_memory: btf.offset("css_set", "subsys[memory_cgrp_id]", Width::Bytes(8))?,
            css_parent: btf.offset("cgroup_subsys_state", "parent", Width::Bytes(8))?,
            memcg_nodeinfo: nodeinfo
                .checked_sub(css)
                .ok_or_else(|| BtfError::NoMember("mem_cgroup.nodeinfo after css".to_owned()))?,
            nodeinfo_node: btf.offset("mem_cgroup_per_node", "lruvec.pgdat", Width::Bytes(8))?,
            ..LocateOffsets::NONE
        })
    };
    let task_route = |found: LocateOffsets| -> Result<LocateOffsets, BtfError> {
        let task = |path, bytes| btf.offset("task_struct", path, Width::Bytes(bytes));
        Ok(LocateOffsets {
            task_real_parent: task("real_parent", 8)?,
            task_pid: task("pid", 4)?,
            task_tasks: btf.offset("task_struct", "tasks", Width::Any)?,
            task_comm: btf.offset("task_struct", "comm", Width::Any)?,
            // Before Linux 5.17 the thread data of the kernel hung on a field meant for user threads.
            task_kthread: task("worker_private", 8).or_else(|_| task("set_child_tid", 8))?,
            kthread_data: btf.offset("kthread", "data", Width::Bytes(8))?,
            node_kswapd: btf.offset("pglist_data", "kswapd", Width::Bytes(8))?,
            ..found
        })
    };
    match cgroup_route() {
        Ok(found) => Ok(task_route(found).unwrap_or(LocateOffsets {
            // Offsets of nothing lead to an unreadable address, which the probe reports.
            task_real_parent: ABSENT,
            task_pid: ABSENT,
            ..found
        })),
        Err(_) => task_route(LocateOffsets { task_cgroups: ABSENT, ..LocateOffsets::NONE }),
    }
}
