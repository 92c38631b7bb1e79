//! The walk over all memory nodes and all of their zones, and `sample`, which runs it on demand.

use core::ffi::c_void;

use ebpf_abi::memory::{MAX_ZONEREFS, MAX_ZONES, ram_record};
use ebpf_abi::{ABSENT, MemoryFacts, RamRecord, WalkOffsets, status};

use crate::kernel::{Address, Reader};
use crate::maps::{RAM, STATE, WALK};

/// Runs the walk and leaves its result in the map RAM. Returns a status.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/sample")]
extern "C" fn sample(_context: *mut c_void) -> u32 {
    match measure() {
        Ok(record) => match RAM.get_ptr_mut(0) {
            Some(slot) => {
                // SAFETY: the map element lives as long as the program, and the sensor runs one sample at a time.
                unsafe { *slot = record };
                status::OK
            }
            None => status::NO_MAP,
        },
        Err(status) => status,
    }
}

/// The record of this moment, or a status that says why there is none.
#[inline(always)]
pub(crate) fn measure() -> Result<RamRecord, u32> {
    let state = STATE.get(0).ok_or(status::NO_MAP)?;
    if state.node == 0 {
        return Err(status::NOT_LOCATED);
    }
    walk(state.node, state.booted_pages)
}

/// Follows the zone list of one node, which leads through the zones of all nodes, node by node.
#[inline(always)]
fn walk(first: Address, booted_pages: u64) -> Result<RamRecord, u32> {
    let offsets = WALK.load();
    let mut reader = Reader::new();
    let mut sums = Sums { facts: MemoryFacts::default(), deferred_nodes: 0, nodes: 0 };
    let mut seen: Address = 0;
    let mut index = 0;
    while index < MAX_ZONEREFS {
        let entry = offsets.node_zonerefs + index * offsets.zoneref_size + offsets.zoneref_zone;
        let zone = reader.word(first, entry);
        if zone == 0 {
            return if reader.all_read() {
                Ok(ram_record(&sums.facts, sums.deferred_nodes, sums.nodes, booted_pages))
            } else {
                Err(status::UNREADABLE)
            };
        }
        let node = reader.word(zone, offsets.zone_node);
        if node != seen {
            sums.add_node(&mut reader, node, &offsets);
            seen = node;
        }
        index += 1;
    }
    Err(status::TOO_MANY_ZONES)
}

struct Sums {
    facts: MemoryFacts,
    deferred_nodes: u32,
    nodes: u32,
}

impl Sums {
    #[inline(always)]
    fn add_node(&mut self, reader: &mut Reader, node: Address, offsets: &WalkOffsets) {
        let facts = &mut self.facts;
        facts.reserve = facts.reserve.wrapping_add(reader.word(node, offsets.node_reserve));
        let mut add = |sum: &mut i64, offset| *sum = sum.wrapping_add(reader.word(node, offset) as i64);
        add(&mut facts.active_file, offsets.node_active_file);
        add(&mut facts.inactive_file, offsets.node_inactive_file);
        add(&mut facts.slab_reclaimable, offsets.node_slab_reclaimable);
        add(&mut facts.misc_reclaimable, offsets.node_misc_reclaimable);
        if offsets.node_first_deferred != ABSENT {
            // One where any page waits, without a branch: the marker of a node with none is all ones.
            let waits = !reader.word(node, offsets.node_first_deferred);
            self.deferred_nodes += ((waits | waits.wrapping_neg()) >> 63) as u32;
        }
        let mut index = 0;
        // All zones, not only those of the zone list: an empty one has a watermark that the kernel adds too.
        while index < MAX_ZONES && index < offsets.zones {
            self.add_zone(reader, node, offsets.node_zones + index * offsets.zone_size, offsets);
            index += 1;
        }
        self.nodes += 1;
    }

    #[inline(always)]
    fn add_zone(&mut self, reader: &mut Reader, node: Address, zone: u32, offsets: &WalkOffsets) {
        let facts = &mut self.facts;
        let low = reader.word(node, zone + offsets.zone_watermark_low);
        let boost = reader.word(node, zone + offsets.zone_watermark_boost);
        facts.watermark_low = facts.watermark_low.wrapping_add(low).wrapping_add(boost);
        facts.managed = facts.managed.wrapping_add(reader.word(node, zone + offsets.zone_managed));
        facts.free = facts.free.wrapping_add(reader.word(node, zone + offsets.zone_free) as i64);
    }
}
