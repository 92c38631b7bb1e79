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
