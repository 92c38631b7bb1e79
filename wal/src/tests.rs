//! What a log promises, on a disk in memory: one sync for a group, bounds, a full disk, a failing one, segments used
//! again, and damage told with its place. Absent: power cuts, which `power_cuts` runs by seeds.

use std::sync::Arc;
use std::sync::mpsc;

use parking_lot::Mutex;
use proptest::prelude::*;

use crate::disk::faulty::{Fault, FaultyDisk, Operation};
use crate::{AppendError, Log, OpenError, Options};

const OPTIONS: Options = Options { segment_bytes: 4096, max_bytes: 4 * 4096 };

fn open(disk: &FaultyDisk) -> (Log, Vec<Vec<u8>>) {
    Log::open_on(disk.clone(), OPTIONS).unwrap()
}

fn append(log: &Log, record: &[u8]) -> Result<(), AppendError> {
    let (told, telling) = mpsc::channel();
    log.append(record.to_vec(), move |result| told.send(result).unwrap());
    telling.recv().unwrap()
}

fn rewrite(log: &Log, records: &[Vec<u8>]) -> Result<(), AppendError> {
    let (told, telling) = mpsc::channel();
    log.rewrite(records.to_vec(), move |result| told.send(result).unwrap());
    telling.recv().unwrap()
}

/// Six records of 1300 bytes, which take two segments and most of a third.
fn three_segments(disk: &FaultyDisk) -> Vec<Vec<u8>> {
    let (log, _) = open(disk);
    let records = (1..=8_u8).map(|n| vec![n; 1300]).collect::<Vec<_>>();
    records.iter().for_each(|record| append(&log, record).unwrap());
    records
}

fn segment(sequence: u64) -> String {
    crate::segment::name(sequence)
}

#[test]
fn whatever_gathers_while_a_sync_is_under_way_shares_the_next() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    let before = disk.counts().syncs;
    let told = Arc::new(Mutex::new(Vec::new()));
    let hand_in = |n: u8| {
        let told = Arc::clone(&told);
        log.append(vec![n], move |result| told.lock().push((n, result.is_ok())));
    };
    disk.hold_syncs();
    hand_in(0);
    disk.wait_for_sync();
    (1..=200).for_each(hand_in);
    assert_eq!(*told.lock(), []);
    disk.release_syncs();
    drop(log);
    assert_eq!(disk.counts().syncs - before, 2);
    assert_eq!(*told.lock(), (0..=200).map(|n| (n, true)).collect::<Vec<_>>());
}

#[test]
fn the_last_handle_waits_for_all_that_was_handed_in() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    for n in 0..100_u8 {
        log.clone().append(vec![n], |result| result.unwrap());
    }
    drop(log);
    assert_eq!(open(&disk).1, (0..100_u8).map(|n| vec![n]).collect::<Vec<_>>());
}

#[test]
fn the_last_handle_may_go_on_the_thread_of_the_log() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    let (told, telling) = mpsc::channel();
    let (other, release) = (log.clone(), disk.clone());
    disk.hold_syncs();
    log.append(b"last".to_vec(), move |result| {
        drop(other);
        told.send(result).unwrap();
    });
    disk.wait_for_sync();
    // With this handle still here the other would not be the last: the drop below may come first or second.
    std::thread::scope(|scope| {
        scope.spawn(|| drop(log));
        release.release_syncs();
    });
    telling.recv().unwrap().unwrap();
}

#[test]
fn a_log_takes_no_more_than_its_bound_and_a_rewrite_makes_room() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    let (mut kept, mut most) = (Vec::new(), 0);
    let error = loop {
        let record = vec![7; 1000 + kept.len()];
        match append(&log, &record) {
            Ok(()) => kept.push(record),
            Err(error) => break error,
        }
        most = log.size().max(most);
    };
    assert!(matches!(error, AppendError::Full { max_bytes: 16384 }), "{error}");
    assert!(most <= OPTIONS.max_bytes && most > OPTIONS.max_bytes - 4096, "{most}");
    // What is short still fits, and a rewrite of too much changes nothing.
    append(&log, b"short").unwrap();
    let too_much = vec![vec![1; 3000]; 5];
    assert!(matches!(rewrite(&log, &too_much), Err(AppendError::Full { .. })));
    rewrite(&log, &kept[8..9]).unwrap();
    assert!(log.size() < 4096, "{}", log.size());
    append(&log, b"more").unwrap();
    drop(log);
    assert_eq!(open(&disk).1, [kept[8].clone(), b"more".to_vec()]);
}

#[test]
fn segments_are_used_again() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    let mut made = Vec::new();
    for round in 0..20_u8 {
        for n in 0..9 {
            append(&log, &[round * 9 + n; 900]).unwrap();
        }
        rewrite(&log, &[vec![round; 10]]).unwrap();
        made.push(disk.counts().creations);
    }
    assert_eq!(made[19], made[1], "{made:?}");
    drop(log);
    assert_eq!(open(&disk).1, [vec![19; 10]]);
    assert_eq!(disk.counts().creations, made[19]);
}

#[test]
fn a_record_that_fits_no_segment_is_told_so_and_leaves_the_others() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    let error = append(&log, &[0; 4096]).unwrap_err();
    assert_eq!(error.to_string(), "a record of 4096 bytes is too long for the log, which takes 4024");
    append(&log, &[1; 4024]).unwrap();
    assert!(matches!(rewrite(&log, &[vec![0; 4025]]), Err(AppendError::TooLong { .. })));
    drop(log);
    assert_eq!(open(&disk).1, [vec![1; 4024]]);
}

#[test]
fn a_full_disk_fails_what_it_has_no_room_for_and_nothing_else() {
    let disk = FaultyDisk::default();
    let (log, _) = open(&disk);
    append(&log, &[1; 2000]).unwrap();
    disk.fail(Operation::Write, 0, Fault::NoRoom);
    let error = append(&log, &[2; 1000]).unwrap_err();
    assert!(matches!(error, AppendError::NoRoom { .. }), "{error}");
    // A new segment finds no room either, nor does a rewrite that needs two.
    disk.fail(Operation::Create, 0, Fault::NoRoom);
    assert!(matches!(append(&log, &[3; 3000]), Err(AppendError::NoRoom { .. })));
    disk.fail(Operation::Create, 0, Fault::NoRoom);
    assert!(matches!(rewrite(&log, &[vec![4; 3000], vec![4; 3000]]), Err(AppendError::NoRoom { .. })));
    append(&log, &[5; 100]).unwrap();
    append(&log, &[6; 3000]).unwrap();
    drop(log);
    assert_eq!(open(&disk).1, [vec![1; 2000], vec![5; 100], vec![6; 3000]]);
}

#[test]
fn a_failed_sync_stops_the_log_for_good_with_its_first_reason() {
    for operation in [Operation::Sync, Operation::Write] {
        let disk = FaultyDisk::default();
        let (log, _) = open(&disk);
        append(&log, b"durable").unwrap();
        disk.fail(operation, 0, Fault::Device);
        let first = append(&log, b"in doubt").unwrap_err();
        assert!(matches!(first, AppendError::Stopped { .. }), "{first}");
        disk.mend();
        let (syncs, writes) = (disk.counts().syncs, disk.counts().writes);
        for later in [append(&log, b"later").unwrap_err(), rewrite(&log, &[]).unwrap_err()] {
            assert_eq!(later.to_string(), first.to_string());
        }
        assert_eq!((disk.counts().syncs, disk.counts().writes), (syncs, writes), "nothing is tried again");
        assert!(first.to_string().contains("/faulty/00000000000000000001.log: the device failed"), "{first}");
        drop(log);
        disk.cut_power(1);
        assert_eq!(open(&disk).1, [b"durable".to_vec()]);
    }
}

#[test]
fn damage_is_told_with_its_file_and_its_place_and_never_dropped() {
    type Spoiling = fn(&mut Vec<u8>);
    let cases: [(u64, Spoiling, u64, &str); 6] = [
        (1, |bytes| bytes[0] ^= 1, 0, "does not begin as a segment does"),
        (1, |bytes| bytes[8] = 9, 0, "another version"),
        (2, |bytes| bytes[20] ^= 1, 0, "the checksum of its header"),
        (2, |bytes| bytes.truncate(3000), 0, "the file has 3000 bytes and its header says 4096"),
        // In the body of the first record, behind which there are others.
        (1, |bytes| bytes[500] ^= 0x80, 64, "the checksum of a record is wrong"),
        // In the head of the last group of a full segment.
        (1, |bytes| bytes[40 + 2 * 1336] ^= 1, 40 + 2 * 1336, "no group of records begins here"),
    ];
    for (sequence, spoil, at, expected) in cases {
        let disk = FaultyDisk::default();
        three_segments(&disk);
        disk.spoil(&segment(sequence), spoil);
        let error = Log::open_on(disk.clone(), OPTIONS).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(expected) && told.contains("put the whole directory back"), "{told}");
        let OpenError::Damaged { file, offset, .. } = error else { panic!("{told}") };
        assert_eq!(
            (file.to_string_lossy().into_owned(), offset),
            (format!("/faulty/{}", segment(sequence)), at)
        );
    }
}

#[test]
fn a_missing_segment_is_damage_unless_a_rewrite_superseded_it() {
    for missing in [1, 2] {
        let disk = FaultyDisk::default();
        three_segments(&disk);
        crate::disk::Disk::remove(&disk, &segment(missing)).unwrap();
        let told = Log::open_on(disk, OPTIONS).unwrap_err().to_string();
        assert!(told.contains(&format!("number {missing} on are missing")), "{told}");
    }
    // The crash came before the older segments were gone, and one of them was gone already.
    let disk = FaultyDisk::default();
    three_segments(&disk);
    let (log, _) = open(&disk);
    disk.fail(Operation::Rename, 2, Fault::PowerOff);
    rewrite(&log, &[b"anew".to_vec()]).unwrap();
    drop(log);
    disk.cut_power(3);
    let (log, records) = open(&disk);
    assert_eq!(records, [b"anew".to_vec()]);
    append(&log, b"more").unwrap();
    drop(log);
    assert_eq!(open(&disk).1, [b"anew".to_vec(), b"more".to_vec()]);
}

#[test]
fn options_that_cannot_be_kept_are_refused() {
    for (segment_bytes, max_bytes) in [(100, 4096), (8192, 4096)] {
        let refused = Log::open_on(FaultyDisk::default(), Options { segment_bytes, max_bytes });
        assert!(matches!(refused, Err(OpenError::Options(_))));
    }
}

#[test]
fn a_log_is_opened_under_other_options() {
    let disk = FaultyDisk::default();
    let mut records = three_segments(&disk);
    let larger = Options { segment_bytes: 8192, max_bytes: 10 * 8192 };
    let (log, found) = Log::open_on(disk.clone(), larger).unwrap();
    assert_eq!(found, records);
    for record in [vec![9; 1300], vec![10; 5000]] {
        append(&log, &record).unwrap();
        records.push(record);
    }
    drop(log);
    assert_eq!(open(&disk).1, records);
}

proptest! {
    /// Whatever byte changes, the log is refused, or reads as it was, or lacks the newest group only.
    #[test]
    fn no_spoiled_byte_passes(sequence in 1..4_u64, at in 0..4096_usize, flip in 1..=255_u8) {
        let disk = FaultyDisk::default();
        let records = three_segments(&disk);
        disk.spoil(&segment(sequence), |bytes| bytes[at] ^= flip);
        match Log::open_on(disk, OPTIONS) {
            Ok((_, found)) => {
                let torn = sequence == 3 && found == records[..records.len() - 1];
                prop_assert!(torn || found == records);
            }
            Err(error) => prop_assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
        }
    }

    /// Bytes of anyone's are data.
    #[test]
    fn any_bytes_may_stand_in_a_segment(
        bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..4000_usize, end in 0..4096_usize,
    ) {
        let disk = FaultyDisk::default();
        three_segments(&disk);
        disk.spoil(&segment(3), |segment| {
            segment.splice(at..(at + bytes.len()).min(4096), bytes);
            segment.truncate(end.max(at));
        });
        drop(Log::open_on(disk, OPTIONS));
    }
}
