//! A small blob made by hand, the running kernel's own BTF, and bytes that are none.

use proptest::prelude::*;

use super::*;

/// Builds a blob record by record.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
    }

    fn head(&mut self, name: &str, kind: u32, vlen: usize, flag: bool, size_or_type: u32) {
        let name = self.string(name);
        let info = u32::from(flag) << 31 | kind << 24 | u32::try_from(vlen).unwrap();
        self.words(&[name, info, size_or_type]);
    }

    fn members(&mut self, members: &[(&str, u32, u32)]) {
        for (name, member, place) in members {
            let name = self.string(name);
            self.words(&[name, *member, *place]);
        }
    }

    fn finish(self) -> Vec<u8> {
        let types = u32::try_from(self.types.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let mut blob = MAGIC.to_ne_bytes().to_vec();
        blob.extend_from_slice(&[1, 0]);
        for word in [24, 0, types, types, strings] {
            blob.extend_from_slice(&word.to_ne_bytes());
        }
        blob.extend(self.types);
        blob.extend(self.strings);
        blob
    }
}

/// Ids: 1 long, 2 counter (typedef of long), 3 counter[4], 4 anonymous union, 5 a `zone` of some driver,
/// 6 the `zone` that is meant, 7 an enumeration, 8 pointer, 9 the outer structure, 10 a 64-bit enumeration.
fn sample() -> Vec<u8> {
    let mut blob = Builder::new();
    blob.head("long", KIND_INT, 0, false, 8);
    blob.words(&[64]);
    blob.head("counter", KIND_TYPEDEF, 0, false, 1);
    blob.head("", KIND_ARRAY, 0, false, 0);
    blob.words(&[2, 1, 4]);
    blob.head("", KIND_UNION, 2, false, 8);
    blob.members(&[("hidden", 1, 0), ("also", 8, 0)]);
    blob.head("zone", KIND_STRUCT, 1, false, 8);
    blob.members(&[("other", 1, 0)]);
    blob.head("zone", KIND_STRUCT, 3, true, 48);
    blob.members(&[("bits", 1, 3 << 24 | 4), ("", 4, 64), ("vm_stat", 3, 128)]);
    blob.head("item", KIND_ENUM, 2, false, 4);
    let (zero, one) = (blob.string("NR_ZERO"), blob.string("NR_ONE"));
    blob.words(&[zero, 0, one, 3]);
    blob.head("", KIND_PTR, 0, false, 6);
    blob.head("outer", KIND_STRUCT, 2, false, 56);
    blob.members(&[("first", 8, 0), ("inner", 6, 64)]);
    blob.head("wide", KIND_ENUM64, 2, false, 8);
    let (low, high) = (blob.string("WIDE_LOW"), blob.string("WIDE_HIGH"));
    blob.words(&[low, 7, 0, high, 7, 1]);
    blob.finish()
}

#[test]
fn members_are_found_through_names_nesting_and_arrays() {
    let blob = sample();
    let btf = Btf::parse(&blob).unwrap();
    let offset = |name, path, width| btf.offset(name, path, width);
    assert_eq!(offset("zone", "other", Width::Bytes(8)), Ok(0));
    assert_eq!(offset("zone", "vm_stat", Width::Bytes(8)), Ok(16));
    assert_eq!(offset("zone", "vm_stat[2]", Width::Bytes(8)), Ok(32));
    assert_eq!(offset("zone", "vm_stat[NR_ONE]", Width::Bytes(8)), Ok(40));
    assert_eq!(offset("zone", "hidden", Width::Bytes(8)), Ok(8));
    assert_eq!(offset("outer", "inner.vm_stat[NR_ONE]", Width::Any), Ok(48));
    assert_eq!(offset("outer", "inner.also", Width::Bytes(8)), Ok(16));
    assert_eq!(btf.size_of("zone", "vm_stat"), Ok(48));
    assert_eq!(btf.size_of("zone", "other"), Ok(8));
    assert_eq!(btf.enumerator("WIDE_LOW"), Ok(7));
}

#[test]
fn what_is_missing_is_named() {
    let blob = sample();
    let btf = Btf::parse(&blob).unwrap();
    let message = |result: Result<u32, BtfError>| result.unwrap_err().to_string();
    assert!(message(btf.offset("zone", "gone", Width::Any)).contains("`zone.gone`"));
    assert!(message(btf.offset("nothing", "gone", Width::Any)).contains("`nothing.gone`"));
    assert!(message(btf.offset("zone", "vm_stat[NR_GONE]", Width::Any)).contains("enumerator `NR_GONE`"));
    assert!(
        message(btf.offset("zone", "vm_stat", Width::Bytes(4))).contains("8 bytes in this kernel, not 4")
    );
    assert!(message(btf.offset("zone", "bits", Width::Any)).contains("`zone.bits`"));
    assert!(message(btf.size_of("gone", "x")).contains("`struct gone`"));
    assert!(message(btf.enumerator("WIDE_HIGH")).contains("`WIDE_HIGH`"));
}

#[test]
fn this_kernel_tells_all_that_the_probe_needs() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("SKIPPED this_kernel_tells_all_that_the_probe_needs: no /sys/kernel/btf/vmlinux");
        return;
    };
    let btf = Btf::parse(&bytes).unwrap();
    let walk = crate::layout::walk_offsets(&btf).unwrap();
    assert!(walk.zone_size > walk.zone_free && walk.zones > 1);
    let locate = crate::layout::locate_offsets(&btf).unwrap();
    assert!(locate.task_tasks > 0 && locate.kthread_data > 0);
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_an_index(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _parsed = Btf::parse(&bytes);
    }

    #[test]
    fn damage_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in 0usize..50
    ) {
        let mut blob = sample();
        for (at, byte) in changes {
            let at = at.index(blob.len());
            blob[at] = byte;
        }
        blob.truncate(blob.len() - cut);
        if let Ok(btf) = Btf::parse(&blob) {
            for path in ["vm_stat[NR_ONE]", "hidden", "inner.vm_stat[3]"] {
                for name in ["zone", "outer"] {
                    let _offset = btf.offset(name, path, Width::Bytes(8));
                }
            }
            let _size = btf.size_of("zone", "hidden");
            let _value = btf.enumerator("WIDE_LOW");
        }
    }
}
