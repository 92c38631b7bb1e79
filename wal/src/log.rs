//! The front of a log: handles to hand records in by, and the thread that writes them in groups. Whatever gathers while
//! one sync is under way goes out with the next, so many callers share one. Absent: how anything is written.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use crate::Options;
use crate::disk::{Directory, Disk};
use crate::error::{AppendError, OpenError};
use crate::open;
use crate::writer::Writer;

/// How much is taken up at once. Callers that never pause must not keep the first of them waiting.
const MOST_AT_ONCE: usize = 4096;

/// Told once, on the log's thread.
type Done = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

/// A handle of a log. Clones are cheap and lead to the same log. Dropping the last one waits until all that was handed in
/// is written and told, so it may wait for the disk.
///
/// What is handed in waits in memory without a bound; whoever hands in bounds it.
#[derive(Clone, Debug)]
pub struct Log(Arc<Handle>);

impl Log {
    /// Opens the log in a directory, which is made where it is missing, and tells the live records in order.
    ///
    /// A record that was told to be durable is among them. Behind those may be such as were handed in later and never
    /// told of, a beginning of them, in order.
    ///
    /// # Errors
    /// Says what keeps the log from being read or written; a damaged log is never opened as a shorter one.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Vec<Vec<u8>>), OpenError> {
        Self::open_on(Directory::open(dir)?, options)
    }

    /// The same on any disk.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(disk: impl Disk, options: Options) -> Result<(Self, Vec<Vec<u8>>), OpenError> {
        let (writer, records) = open::open(disk, options)?;
        let size = writer.size();
        let (jobs, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut writer = writer;
            while let Ok(first) = waiting.recv() {
                serve(&mut writer, [first].into_iter().chain(waiting.try_iter().take(MOST_AT_ONCE)));
            }
        });
        let thread = thread.map_err(OpenError::NoThread)?;
        Ok((Self(Arc::new(Handle { jobs: Some(jobs), thread: Some(thread), size })), records))
    }

    /// Hands in a record. `done` is told, on the log's thread, once the record is durable or why it is not in the log;
    /// records become durable in the order in which they were handed in. `done` must not wait for the log.
    pub fn append(&self, record: Vec<u8>, done: impl FnOnce(Result<(), AppendError>) + Send + 'static) {
        self.hand_in(Job::Append(record, Box::new(done)));
    }

    /// Puts these records, in order, in place of all that were handed in before this call, and frees their room. A crash
    /// leaves either what was there or these, and so does an error. `done` is told as with [`Log::append`].
    pub fn rewrite(
        &self,
        records: Vec<Vec<u8>>,
        done: impl FnOnce(Result<(), AppendError>) + Send + 'static,
    ) {
        self.hand_in(Job::Rewrite(records, Box::new(done)));
    }

    /// The bytes that count against the bound: the older segments as a whole and what is written of the newest. It falls
    /// with a rewrite only.
    pub fn size(&self) -> u64 {
        self.0.size.load(Ordering::Relaxed)
    }

    fn hand_in(&self, job: Job) {
        let Some(jobs) = &self.0.jobs else { return };
        // The thread lives as long as any handle, and a panic ends the process.
        drop(jobs.send(job));
    }
}

#[derive(Debug)]
struct Handle {
    /// Present until the drop.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    size: Arc<AtomicU64>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // A handle may go with the last thing that is told; the thread cannot wait for itself, and ends by itself.
        let other = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        if let Some(thread) = other {
            drop(thread.join());
        }
    }
}

pub(crate) enum Job {
    Append(Vec<u8>, Done),
    Rewrite(Vec<Vec<u8>>, Done),
}

/// Does all that has gathered: one sync for each run of appends that fits a segment.
pub(crate) fn serve<D: Disk>(writer: &mut Writer<D>, jobs: impl Iterator<Item = Job>) {
    let (mut records, mut waiting) = (Vec::new(), Vec::new());
    for job in jobs {
        match job {
            Job::Append(record, done) => match writer.check(&record) {
                Ok(()) => {
                    records.push(record);
                    waiting.push(done);
                }
                Err(error) => done(Err(error)),
            },
            Job::Rewrite(anew, done) => {
                append(writer, &mut records, &mut waiting);
                done(writer.rewrite(&anew));
            }
        }
    }
    append(writer, &mut records, &mut waiting);
}

/// Appends the records and tells those who wait. What does not fit fails with all behind it.
fn append<D: Disk>(writer: &mut Writer<D>, records: &mut Vec<Vec<u8>>, waiting: &mut Vec<Done>) {
    let mut waiting = waiting.drain(..);
    let mut rest = &records[..];
    while !rest.is_empty() {
        match writer.append(rest) {
            Ok(n_written) => {
                rest = rest.get(n_written..).unwrap_or_default();
                waiting.by_ref().take(n_written).for_each(|done| done(Ok(())));
            }
            Err(error) => {
                waiting.for_each(|done| done(Err(error.clone())));
                break;
            }
        }
    }
    records.clear();
}
