//! PURE. The kernel's own arithmetic for MemTotal and MemAvailable, over sums of all zones and nodes.

/// At most so many entries of the zone list are followed. A node has at most five, so this covers twelve nodes
/// at the least; a larger machine reads `/proc/meminfo`. The verifier's effort grows with this number.
pub const MAX_ZONEREFS: u32 = 64;

/// At most so many zones per node exist: DMA, DMA32, NORMAL, HIGHMEM, MOVABLE, DEVICE, and one to spare.
pub const MAX_ZONES: u32 = 7;

/// What the walk adds up, in pages. Counters may be negative for a moment, as each CPU folds its part in late.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFacts {
    /// Sum of `zone.managed_pages`.
    pub managed: u64,
    /// Sum of the low watermarks, also of zones without a page: an empty one has a watermark too.
    pub watermark_low: u64,
    /// Sum of `pglist_data.totalreserve_pages`.
    pub reserve: u64,
    /// Sum of NR_FREE_PAGES.
    pub free: i64,
    /// Sum of NR_ACTIVE_FILE.
    pub active_file: i64,
    /// Sum of NR_INACTIVE_FILE.
    pub inactive_file: i64,
    /// Sum of NR_SLAB_RECLAIMABLE_B, which the kernel keeps in pages.
    pub slab_reclaimable: i64,
    /// Sum of NR_KERNEL_MISC_RECLAIMABLE.
    pub misc_reclaimable: i64,
}

/// What `sample` leaves for the sensor, in pages.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RamRecord {
    /// MemTotal.
    pub total_pages: u64,
    /// MemAvailable.
    pub available_pages: u64,
    /// Sum of `zone.managed_pages`: what `total_pages` is without the repair of [`repair`].
    pub managed_pages: u64,
    /// Memory nodes whose pages the kernel has not all initialised yet.
    pub deferred_nodes: u32,
    /// Memory nodes seen.
    pub nodes: u32,
}

/// What the programs must know and no offset tells them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The address of any one `pglist_data`; zero until `locate` has found it.
    pub node: u64,
    /// Where `locate` goes on in the list of tasks when it is called again; zero for the beginning.
    pub cursor: u64,
    /// MemTotal when the probe was loaded, for [`repair`]; zero for no repair.
    pub booted_pages: u64,
    /// CPUs online when the probe was loaded; the denominator of `show`.
    pub online_cpus: u32,
    /// How many elements CPU_SLOTS has.
    pub slots: u32,
}

const _: () = assert!(size_of::<MemoryFacts>() == 8 * 8);
const _: () = assert!(size_of::<RamRecord>() == 3 * 8 + 2 * 4);
const _: () = assert!(size_of::<State>() == 3 * 8 + 2 * 4);

/// `si_mem_available()`: free memory less the reserves, plus the parts of the page cache and of the reclaimable
/// slabs that can go without thrashing. Each part keeps back a half, or the low watermarks if that is less.
#[inline(always)]
#[must_use]
pub fn available_pages(facts: &MemoryFacts) -> u64 {
    let keep_back = |pages: u64| pages.wrapping_sub(least(pages / 2, facts.watermark_low));
    let file = at_least_zero(facts.active_file).wrapping_add(at_least_zero(facts.inactive_file));
    let reclaimable =
        at_least_zero(facts.slab_reclaimable).wrapping_add(at_least_zero(facts.misc_reclaimable));
    let gain = at_least_zero(facts.free).wrapping_add(keep_back(file)).wrapping_add(keep_back(reclaimable));
    if gain > facts.reserve { gain.wrapping_sub(facts.reserve) } else { 0 }
}

/// Total and available pages as the kernel tells them.
///
/// While the kernel still initialises pages in the background, they are in no zone's count, yet MemTotal and
/// MemAvailable of some kernels contain them. Then what MemTotal was at load tells how many are missing.
#[inline(always)]
#[must_use]
pub fn ram_record(facts: &MemoryFacts, deferred_nodes: u32, nodes: u32, booted_pages: u64) -> RamRecord {
    let missing = if deferred_nodes > 0 && booted_pages > facts.managed {
        booted_pages.wrapping_sub(facts.managed)
    } else {
        0
    };
    RamRecord {
        total_pages: facts.managed.wrapping_add(missing),
        available_pages: available_pages(facts).wrapping_add(missing),
        managed_pages: facts.managed,
        deferred_nodes,
        nodes,
    }
}

#[inline(always)]
fn at_least_zero(pages: i64) -> u64 {
    if pages < 0 { 0 } else { pages.cast_unsigned() }
}

#[inline(always)]
fn least(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = MemoryFacts> {
        // A petabyte in pages is less than 2^38, and counters may dip below zero.
        let pages = || 0u64..1 << 38;
        let counter = || -1000i64..1 << 38;
        (pages(), 0u64..1 << 30, 0u64..1 << 30, counter(), counter(), counter(), counter(), counter())
            .prop_map(|(managed, watermark_low, reserve, free, active_file, inactive_file, slab, misc)| {
                MemoryFacts {
                    managed,
                    watermark_low,
                    reserve,
                    free,
                    active_file,
                    inactive_file,
                    slab_reclaimable: slab,
                    misc_reclaimable: misc,
                }
            })
    }

    /// The kernel's function word for word, in wide signed arithmetic.
    fn kernel(facts: &MemoryFacts) -> i128 {
        let clamp = |pages: i64| i128::from(pages.max(0));
        let mut available = clamp(facts.free) - i128::from(facts.reserve);
        let mut page_cache = clamp(facts.active_file) + clamp(facts.inactive_file);
        page_cache -= (page_cache / 2).min(i128::from(facts.watermark_low));
        available += page_cache;
        let mut reclaimable = clamp(facts.slab_reclaimable) + clamp(facts.misc_reclaimable);
        reclaimable -= (reclaimable / 2).min(i128::from(facts.watermark_low));
        available += reclaimable;
        available.max(0)
    }

    proptest! {
        #[test]
        fn available_is_what_the_kernel_computes(facts in facts()) {
            prop_assert_eq!(i128::from(available_pages(&facts)), kernel(&facts));
        }

        #[test]
        fn more_free_pages_are_never_less_available(facts in facts(), more in 0i64..1 << 38) {
            let richer = MemoryFacts { free: facts.free + more, ..facts };
            prop_assert!(available_pages(&richer) >= available_pages(&facts));
        }

        #[test]
        fn nothing_panics_on_any_bits(
            words in proptest::array::uniform5(any::<u64>()), signed in proptest::array::uniform5(any::<i64>())
        ) {
            let facts = MemoryFacts {
                managed: words[0],
                watermark_low: words[1],
                reserve: words[2],
                free: signed[0],
                active_file: signed[1],
                inactive_file: signed[2],
                slab_reclaimable: signed[3],
                misc_reclaimable: signed[4],
            };
            let _record = ram_record(&facts, 1, 1, words[3]);
        }

        #[test]
        fn the_repair_adds_what_is_missing_and_only_while_pages_are_deferred(
            facts in facts(), booted in 0u64..1 << 38
        ) {
            let plain = ram_record(&facts, 0, 1, booted);
            prop_assert_eq!(plain.total_pages, facts.managed);
            prop_assert_eq!(plain.available_pages, available_pages(&facts));
            let repaired = ram_record(&facts, 1, 1, booted);
            prop_assert_eq!(repaired.total_pages, facts.managed.max(booted));
            let added = repaired.total_pages - plain.total_pages;
            prop_assert_eq!(repaired.available_pages, plain.available_pages + added);
        }
    }

    #[test]
    fn reserves_above_everything_leave_nothing() {
        let facts = MemoryFacts { free: 10, reserve: 11, ..MemoryFacts::default() };
        assert_eq!(available_pages(&facts), 0);
    }
}
