//! Opening a log: the files are found and read, what they hold is told, and writing goes on where they end. Absent: what
//! the bytes mean, which `recovery` knows.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use crate::Options;
use crate::disk::{Disk, DiskFile, read_up_to, write_all};
use crate::error::{AppendError, OpenError};
use crate::files::{Current, Files};
use crate::recovery::{Damage, Recovered, Recovery};
use crate::segment::{self, HEADER_BYTES, Header};
use crate::writer::Writer;

/// The least that a segment may take.
const LEAST_SEGMENT_BYTES: u32 = 4096;

/// Reads the log of a directory, or begins one in an empty directory.
pub(crate) fn open<D: Disk>(disk: D, options: Options) -> Result<(Writer<D>, Vec<Vec<u8>>), OpenError> {
    check(options)?;
    let names = disk.names().map_err(|error| failed(&disk, "read the directory", "", error))?;
    let sequences = names.iter().filter_map(|name| segment::sequence(name)).collect::<BTreeSet<_>>();
    let sequences = sequences.into_iter().collect::<Vec<_>>();
    let (recovered, lengths, newest) = read(&disk, &sequences)?;
    let spares = spares(&disk, options, &names)?;
    let mut files = Files { disk, options, spares, retired: Vec::new(), stopped: None };
    let live = sequences
        .into_iter()
        .zip(lengths)
        .partition::<Vec<_>, _>(|(sequence, _)| *sequence >= recovered.live_from);
    let (live, superseded) = live;
    let mut older = VecDeque::from(live);
    let current = match older.pop_back() {
        Some((sequence, bytes)) => {
            let name = segment::name(sequence);
            let file = files.disk.open(&name).map_err(|error| failed(&files.disk, "open", &name, error))?;
            make_sure(&mut files, &file, &name, newest.get(..recovered.end).unwrap_or_default())
                .map_err(refused)?;
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            Current { file, sequence, bytes, end: recovered.end }
        }
        None => files.begin(1, 0).map_err(refused)?,
    };
    files.retired = superseded.into_iter().map(|(sequence, _)| sequence).collect();
    files.retire(older.len() + 1).map_err(refused)?;
    Ok((Writer::new(files, current, older), recovered.records))
}

fn check(options: Options) -> Result<(), OpenError> {
    let Options { segment_bytes, max_bytes } = options;
    if segment_bytes < LEAST_SEGMENT_BYTES {
        return Err(OpenError::Options(format!(
            "a segment of {segment_bytes} bytes, and {LEAST_SEGMENT_BYTES} is the least"
        )));
    }
    if max_bytes < segment_bytes.into() {
        return Err(OpenError::Options(format!(
            "{max_bytes} bytes in all, and {segment_bytes} in a segment"
        )));
    }
    Ok(())
}

/// Makes durable what was read of the newest segment, and all names. It may be in the kernel's memory only: of a process
/// that was killed before its sync, or after a sync that failed, when only writing again helps. All older segments were
/// durable before the next one was begun.
fn make_sure<D: Disk>(
    files: &mut Files<D>,
    file: &D::File,
    name: &str,
    bytes: &[u8],
) -> Result<(), AppendError> {
    write_all(file, bytes, 0).map_err(|error| files.failed("write", name, error))?;
    file.sync().map_err(|error| files.stop("make durable", name, error))?;
    files.sync_names()
}

/// What the segments hold, what the file of each takes, and the bytes of the newest.
fn read(disk: &impl Disk, sequences: &[u64]) -> Result<(Recovered, Vec<u64>, Vec<u8>), OpenError> {
    let mut headers = Vec::new();
    for sequence in sequences {
        headers.push(Header::read(&bytes(disk, *sequence, HEADER_BYTES as u64)?).ok());
    }
    let mut following = sequences.iter().copied().zip(headers).skip(1);
    let (mut recovery, mut lengths, mut newest) = (Recovery::new(), Vec::new(), Vec::new());
    for sequence in sequences {
        newest = bytes(disk, *sequence, u64::MAX)?;
        lengths.push(newest.len() as u64);
        recovery.segment(*sequence, &newest, following.next());
    }
    let recovered = recovery.finish().map_err(|Damage { sequence, offset, what }| OpenError::Damaged {
        file: disk.path(&segment::name(sequence)),
        offset: offset as u64,
        what,
    })?;
    Ok((recovered, lengths, newest))
}

fn bytes(disk: &impl Disk, sequence: u64, most: u64) -> Result<Vec<u8>, OpenError> {
    let name = segment::name(sequence);
    let read = || {
        let file = disk.open(&name)?;
        let length = usize::try_from(file.bytes()?.min(most)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let n_read = read_up_to(&file, &mut bytes, 0)?;
        bytes.truncate(n_read);
        Ok(bytes)
    };
    read().map_err(|error| failed(disk, "read", &name, error))
}

/// The spare files. One of another length was half made, or made under other options, and is removed.
fn spares(disk: &impl Disk, options: Options, names: &[String]) -> Result<BTreeSet<u64>, OpenError> {
    let mut spares = BTreeSet::new();
    for name in names {
        let Some(number) = segment::spare_number(name) else { continue };
        let bytes = disk.open(name).and_then(|file| file.bytes());
        if bytes.map_err(|error| failed(disk, "open", name, error))? == u64::from(options.segment_bytes) {
            spares.insert(number);
        } else {
            disk.remove(name).map_err(|error| failed(disk, "remove", name, error))?;
        }
    }
    Ok(spares)
}

fn failed(disk: &impl Disk, what: &'static str, name: &str, source: io::Error) -> OpenError {
    OpenError::Io { what, path: disk.path(name), source }
}

fn refused(error: AppendError) -> OpenError {
    OpenError::Unwritable(error)
}
