//! The layout of the running kernel's structures, as the sensor resolves it from the kernel's BTF.
//!
//! Both records are read-only globals of the probe, so the verifier knows their values as constants. Offsets
//! are in bytes; those of one field in an array include the index, since indexes move between kernels too.

/// The value of an offset whose field this kernel does not have, where the probe can do without it.
pub const ABSENT: u32 = u32::MAX;

/// What `sample` and `show` follow: from any memory node to all nodes and all of their zones.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkOffsets {
    /// `pglist_data.node_zones`.
    pub node_zones: u32,
    /// `pglist_data.node_zonelists[0]._zonerefs`.
    pub node_zonerefs: u32,
    /// `pglist_data.totalreserve_pages`.
    pub node_reserve: u32,
    /// `pglist_data.vm_stat[NR_ACTIVE_FILE]`.
    pub node_active_file: u32,
    /// `pglist_data.vm_stat[NR_INACTIVE_FILE]`.
    pub node_inactive_file: u32,
    /// `pglist_data.vm_stat[NR_SLAB_RECLAIMABLE_B]`.
    pub node_slab_reclaimable: u32,
    /// `pglist_data.vm_stat[NR_KERNEL_MISC_RECLAIMABLE]`.
    pub node_misc_reclaimable: u32,
    /// `pglist_data.first_deferred_pfn`, or [`ABSENT`].
    pub node_first_deferred: u32,
    /// The size of `zoneref`.
    pub zoneref_size: u32,
    /// `zoneref.zone`.
    pub zoneref_zone: u32,
    /// The size of `zone`.
    pub zone_size: u32,
    /// `__MAX_NR_ZONES`.
    pub zones: u32,
    /// `zone.zone_pgdat`.
    pub zone_node: u32,
    /// `zone.managed_pages`.
    pub zone_managed: u32,
    /// `zone._watermark[WMARK_LOW]`.
    pub zone_watermark_low: u32,
    /// `zone.watermark_boost`.
    pub zone_watermark_boost: u32,
    /// `zone.vm_stat[NR_FREE_PAGES]`.
    pub zone_free: u32,
    /// Room to a multiple of eight bytes.
    pub reserved: u32,
}

/// What `locate` follows: from the current task to any one memory node, by either of two routes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocateOffsets {
    /// `task_struct.cgroups`, or [`ABSENT`] when the route by the memory cgroup does not exist.
    pub task_cgroups: u32,
    /// `css_set.subsys[memory_cgrp_id]`.
    pub css_set_memory: u32,
    /// `cgroup_subsys_state.parent`.
    pub css_parent: u32,
    /// `mem_cgroup.nodeinfo[0]`, less `mem_cgroup.css`.
    pub memcg_nodeinfo: u32,
    /// `mem_cgroup_per_node.lruvec.pgdat`.
    pub nodeinfo_node: u32,
    /// `task_struct.real_parent`.
    pub task_real_parent: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.tasks`.
    pub task_tasks: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// `task_struct.worker_private`, or `set_child_tid` before Linux 5.17.
    pub task_kthread: u32,
    /// `kthread.data`.
    pub kthread_data: u32,
    /// `pglist_data.kswapd`.
    pub node_kswapd: u32,
}

impl WalkOffsets {
    /// Nothing resolved yet: the value in the object file.
    pub const NONE: Self = Self {
        node_zones: 0,
        node_zonerefs: 0,
        node_reserve: 0,
        node_active_file: 0,
        node_inactive_file: 0,
        node_slab_reclaimable: 0,
        node_misc_reclaimable: 0,
        node_first_deferred: 0,
        zoneref_size: 0,
        zoneref_zone: 0,
        zone_size: 0,
        zones: 0,
        zone_node: 0,
        zone_managed: 0,
        zone_watermark_low: 0,
        zone_watermark_boost: 0,
        zone_free: 0,
        reserved: 0,
    };
}

impl LocateOffsets {
    /// Nothing resolved yet: the value in the object file.
    pub const NONE: Self = Self {
        task_cgroups: 0,
        css_set_memory: 0,
        css_parent: 0,
        memcg_nodeinfo: 0,
        nodeinfo_node: 0,
        task_real_parent: 0,
        task_pid: 0,
        task_tasks: 0,
        task_comm: 0,
        task_kthread: 0,
        kthread_data: 0,
        node_kswapd: 0,
    };
}

const _: () = assert!(size_of::<WalkOffsets>() == 18 * 4);
const _: () = assert!(size_of::<LocateOffsets>() == 12 * 4);
