//! The in-doubt journal of the program: where it lies, and starts that it prevents. Absent: what it makes good, which
//! takes real nodes and is tried in `tests/chaos`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::mpsc;

use harness::{ScriptedNode, Turn, until};
use tempfile::TempDir;

use crate::support::{Balancer, command};

/// The flag that puts the journal into `folder`.
fn in_folder(folder: &TempDir) -> String {
    format!("--data-dir={}", folder.path().display())
}

/// A start that must fail.
fn start(folder: &TempDir) -> Output {
    let flags = ["--node=A=http://127.0.0.1:1", "--listen=127.0.0.1:0", &in_folder(folder)];
    command(&flags).output().unwrap()
}

/// The start failed with this exit code and told why in one line, which this gives.
fn one_line(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    told.trim_end().to_owned()
}

/// A journal with these records, as an earlier run left it.
fn write_journal(folder: &TempDir, records: &[Vec<u8>]) -> PathBuf {
    let directory = folder.path().join("in-doubt");
    let (log, _) = wal::Log::open(&directory, wal::Options::default()).unwrap();
    for record in records {
        let (told, written) = mpsc::channel();
        log.append(record.clone(), move |result| told.send(result).unwrap());
        written.recv().unwrap().unwrap();
    }
    directory
}

/// The file in `directory` in which these bytes are, and where.
fn find(directory: &Path, bytes: &[u8]) -> (PathBuf, usize) {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let place = |file: PathBuf| {
        let found = fs::read(&file).unwrap().windows(bytes.len()).position(|found| found == bytes);
        found.map(|place| (file, place))
    };
    files.into_iter().find_map(place).unwrap()
}

#[test]
fn the_journal_lies_in_the_data_directory() {
    let a = ScriptedNode::start(Turn::store());
    let folder = tempfile::tempdir().unwrap();
    let lb = Balancer::start(&[&a], &[&in_folder(&folder)]);
    assert_eq!(lb.post("one").status, 200);
    let warning = "without --data-dir the in-doubt journal is in memory";
    assert!(folder.path().join("in-doubt").is_dir());
    drop(lb);
    // The directory is free again, and what is in it is read.
    let lb = Balancer::start(&[&a], &[&in_folder(&folder)]);
    assert_eq!(lb.post("two").status, 200);
    let in_memory = Balancer::start(&[&a], &[]);
    until("the log tells that nothing is kept", || in_memory.program.log().contains(warning));
    assert!(!lb.program.log().contains(warning), "{}", lb.program.log());
}

#[test]
fn a_damaged_journal_is_told_with_its_file_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let records = [b"the first record".to_vec(), b"the second record".to_vec()];
    let (file, place) = find(&write_journal(&folder, &records), &records[0]);
    let mut bytes = fs::read(&file).unwrap();
    bytes[place] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let told = one_line(&start(&folder));
    assert!(told.starts_with(&format!("balanza-lb: {} is damaged at byte ", file.display())), "{told}");
    assert!(told.ends_with("or move it away to begin without its records"), "{told}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
}

#[test]
fn a_journal_of_another_program_is_told_with_its_directory_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let directory = write_journal(&folder, &[vec![9, 0, 0]]);
    let told = one_line(&start(&folder));
    let expected = "balanza-lb: a record of the in-doubt journal cannot be read: its version is another one";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.contains(&directory.display().to_string()), "{told}");
    assert!(told.ends_with("or move it away to begin without its records"), "{told}");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in-doubt"), "a file").unwrap();
    let told = one_line(&start(&folder));
    let directory = folder.path().join("in-doubt");
    assert!(
        told.starts_with(&format!("balanza-lb: cannot make the directory {}: ", directory.display())),
        "{told}"
    );
    assert_eq!(told.matches("os error").count(), 1, "{told}");
}

#[test]
fn two_balancers_need_two_data_directories() {
    let a = ScriptedNode::start(Turn::store());
    let folder = tempfile::tempdir().unwrap();
    let lb = Balancer::start(&[&a], &[&in_folder(&folder)]);
    let told = one_line(&start(&folder));
    let directory = folder.path().join("in-doubt");
    let expected = format!("balanza-lb: another process uses the log in {}: ", directory.display());
    assert!(told.starts_with(&expected), "{told}");
    assert_eq!(lb.post("one").status, 200, "the first goes on");
}
