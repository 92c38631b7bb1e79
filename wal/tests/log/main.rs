//! The log on a real directory: what a handle promises, the lock, and files that somebody spoiled. Absent: power cuts
//! and faults of the disk, which the tests beside the code make in memory.

#![expect(clippy::unwrap_used, reason = "what a test cannot do fails the test")]

use std::path::Path;
use std::sync::mpsc;

use wal::{AppendError, Log, OpenError, Options};

const SMALL: Options = Options { segment_bytes: 4096, max_bytes: 8 * 4096 };

fn open(directory: &Path) -> (Log, Vec<Vec<u8>>) {
    Log::open(directory, SMALL).unwrap()
}

/// Hands in a record and waits until it is told.
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

#[test]
fn records_are_there_when_the_log_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let within = directory.path().join("made/for/it");
    let (log, records) = open(&within);
    assert_eq!(records, Vec::<Vec<u8>>::new());
    for record in [&b"one"[..], b"", b"three"] {
        append(&log, record).unwrap();
    }
    drop(log);
    let (log, records) = open(&within);
    assert_eq!(records, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
    rewrite(&log, &records[1..]).unwrap();
    append(&log, b"four").unwrap();
    drop(log);
    assert_eq!(open(&within).1, [b"".to_vec(), b"three".to_vec(), b"four".to_vec()]);
}

#[test]
fn a_second_opening_is_refused_while_the_first_lasts() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let refused = Log::open(directory.path(), SMALL).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("another process uses the log"), "{refused}");
    drop(log);
    open(directory.path());
}

#[test]
fn files_that_somebody_spoiled_are_told_with_their_path() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    for n in 0..6 {
        append(&log, &[n; 1300]).unwrap();
    }
    drop(log);
    let first = directory.path().join("00000000000000000001.log");
    let whole = std::fs::read(&first).unwrap();
    let mut spoiled = whole.clone();
    spoiled[1000] ^= 1;
    std::fs::write(&first, spoiled).unwrap();
    let told = Log::open(directory.path(), SMALL).unwrap_err().to_string();
    assert!(told.starts_with(&format!("{} is damaged at byte 64: ", first.display())), "{told}");
    std::fs::write(&first, whole).unwrap();
    assert_eq!(open(directory.path()).1, (0..6).map(|n| vec![n; 1300]).collect::<Vec<_>>());
}

#[test]
fn files_are_of_one_size_used_again_and_never_more_than_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    for round in 0..10 {
        for n in 0..12 {
            append(&log, &[round * 12 + n; 1300]).unwrap();
        }
        rewrite(&log, &[vec![round; 10]]).unwrap();
    }
    drop(log);
    // What somebody else put there is none of the log's.
    std::fs::write(directory.path().join("README"), "not ours").unwrap();
    std::fs::write(directory.path().join("spare-77"), "half made").unwrap();
    assert_eq!(open(directory.path()).1, [vec![9; 10]]);
    let entries = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
    let sizes =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()));
    let (segments, others): (Vec<_>, Vec<_>) = sizes.partition(|(_, bytes)| *bytes == 4096);
    let mut others = others.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    others.sort();
    assert_eq!(others, ["README", "lock"]);
    assert!(segments.len() <= 8, "{segments:?}");
}
