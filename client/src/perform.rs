//! Does outside what the full-screen program asks for, and tells it what came of it.
//!
//! Files are read on threads of their own, so that a slow disk does not stop the screen.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::{spawn_blocking, spawn_local};
use wire::NewSentence;

use crate::address::Address;
use crate::app::picker::{Entry, Preview};
use crate::app::{Effect, Event, Look, Parcel};
use crate::balancer::{Balancer, Trouble};
use crate::cli::{JOBS, PATIENCE};
use crate::clock;
use crate::command::read_file;
use crate::send::delivery::{self, Manner};
use crate::send::journal::{Journal, JournalError};
use crate::send::plan::{Plan, Source};
use crate::send::{End, Order, Progress};
use crate::text::{self, Split};

/// Larger files are not counted on the way, and not loaded by accident.
const LARGEST_PREVIEW: u64 = 8 * 1024 * 1024;
/// Lines of a preview.
const PREVIEW_LINES: usize = 60;
/// A look at the fleet that takes longer is given up.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// The hands of the program.
pub(crate) struct Performer {
    events: UnboundedSender<Event>,
    state: Option<PathBuf>,
    order: watch::Sender<Order>,
}

impl Performer {
    /// Hands that tell what they did to `events` and keep journals in `state`.
    pub(crate) fn new(events: UnboundedSender<Event>, state: Option<PathBuf>) -> Self {
        Self { events, state, order: watch::channel(Order::Run).0 }
    }

    /// Begins what is asked for; it goes on beside the screen.
    pub(crate) fn perform(&mut self, effect: Effect) {
        let events = self.events.clone();
        match effect {
            Effect::List(folder) => beside(events, move || {
                let listed = list(&folder);
                Event::Listed(folder, listed)
            }),
            Effect::Look(path) => beside(events, move || {
                let looked = look_into(&path);
                Event::Looked(path, looked)
            }),
            Effect::Complete(written, folder) => {
                beside(events, move || Event::Completing(written, list(&folder).unwrap_or_default()));
            }
            Effect::Load(path) => beside(events, move || {
                let loaded = load(&path);
                Event::Loaded(path, loaded)
            }),
            Effect::Test(address) => drop(spawn_local(async move {
                let look = test(address.clone()).await;
                tell(&events, Event::Tested(address, look));
            })),
            Effect::Send(parcel) => {
                self.order = watch::channel(Order::Run).0;
                let orders = self.order.subscribe();
                let state = self.state.clone();
                drop(spawn_local(async move {
                    let end = deliver(*parcel, state.as_deref(), orders, &events).await;
                    tell(&events, Event::RunEnded(end));
                }));
            }
            Effect::Order(order) => {
                self.order.send_replace(order);
            }
            // The loop ends on this one.
            Effect::Leave(_) => {}
        }
    }
}

/// When nobody takes events any more, the program is over.
fn tell(events: &UnboundedSender<Event>, event: Event) {
    drop(events.send(event));
}

fn beside(events: UnboundedSender<Event>, work: impl FnOnce() -> Event + Send + 'static) {
    drop(spawn_blocking(move || tell(&events, work())));
}

fn list(folder: &Path) -> Result<Vec<Entry>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => "You may not read this folder.".to_owned(),
        std::io::ErrorKind::NotFound => "There is no such folder.".to_owned(),
        _ => format!("This folder cannot be read: {error}."),
    })?;
    let entry = |entry: std::fs::DirEntry| {
        // A link counts as what it leads to; one that leads nowhere counts as a file and says so when opened.
        let metadata = std::fs::metadata(entry.path()).ok();
        Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_folder: metadata.as_ref().is_some_and(std::fs::Metadata::is_dir),
            size: metadata.map_or(0, |metadata| metadata.len()),
        }
    };
    Ok(entries.filter_map(Result::ok).map(entry).collect())
}

fn look_into(path: &Path) -> Result<Preview, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is no plain file".to_owned());
    }
    let size = metadata.len();
    let whole = size <= LARGEST_PREVIEW;
    let bytes = if whole { read_file(path)? } else { beginning(path)? };
    let text = text::read(&bytes).map_err(|error| error.to_string())?;
    let lines = text.content.lines().filter(|line| !line.trim().is_empty()).take(PREVIEW_LINES);
    Ok(Preview {
        encoding: text.encoding,
        size,
        lines: lines.map(str::to_owned).collect(),
        n_sentences: whole.then(|| text::split(&text.content, Split::Unicode).kept.len()),
    })
}

/// The first part of a large file, up to its last whole line.
fn beginning(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    file.take(64 * 1024).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
        bytes.truncate(end);
    }
    Ok(bytes)
}

fn load(path: &Path) -> Result<(Source, Plan, crate::send::author::Seed), String> {
    let is_plain = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if is_plain {
        // A pipe or device may never end.
        return Err("is no plain file; choose a text file".to_owned());
    }
    let source = Source { name: path.display().to_string(), bytes: read_file(path)? };
    match Plan::new(std::slice::from_ref(&source), Split::Unicode) {
        Ok(plan) => Ok((source, plan, clock::new_seed())),
        Err(errors) => Err(errors.into_iter().map(|(_, error)| error.to_string()).collect()),
    }
}

async fn test(address: Address) -> Result<Look, crate::cause::Cause> {
    let balancer = Balancer::new(address)?;
    let began = clock::instant();
    let looked = tokio::time::timeout(LOOK_WITHIN, balancer.fleet()).await;
    let millis = u64::try_from(clock::instant().duration_since(began).as_millis()).unwrap_or(u64::MAX);
    match looked {
        Ok(Ok(fleet)) => Ok(Look { millis, fleet: Some(fleet) }),
        // The balancer of 2020 has no such page; that it answers is what counts.
        Ok(Err(Trouble::Refused(_))) => Ok(Look { millis, fleet: None }),
        Ok(Err(Trouble::Unreachable(cause))) => Err(cause),
        Err(_) => Err(crate::cause::Cause::new(format!("{} does not answer", balancer.address()))),
    }
}

async fn deliver(
    parcel: Parcel,
    state: Option<&Path>,
    orders: watch::Receiver<Order>,
    events: &UnboundedSender<Event>,
) -> End {
    let fresh_seed = if parcel.fresh { clock::new_seed() } else { parcel.seed };
    let to = parcel.to.to_string();
    let opened = state
        .map(|state| Journal::open(state, &parcel.key, &to, parcel.n_sentences, fresh_seed, parcel.fresh));
    let (journal, seed, done) = match opened {
        Some(Ok(opened)) => (Some(opened.journal), opened.seed, opened.done),
        Some(Err(error @ JournalError::Busy)) => {
            return End::Stalled(crate::cause::Cause::new(error.to_string()));
        }
        Some(Err(error)) => {
            tell(events, Event::Warned(format!("A broken run could not be taken up: {error}.")));
            (None, fresh_seed, Vec::new())
        }
        None => (None, fresh_seed, Vec::new()),
    };
    let balancer = match Balancer::new(parcel.to) {
        Ok(balancer) => balancer,
        Err(cause) => return End::Stalled(cause),
    };
    let is_done = done.iter().map(|done| done.index).collect::<std::collections::BTreeSet<_>>();
    let waiting = parcel.sentences.into_iter().filter(|(index, ..)| !is_done.contains(index));
    let work = waiting.map(|(index, author, sentence)| {
        let author = author.unwrap_or_else(|| seed.author(index as u64).to_owned());
        (index, NewSentence { id: seed.id(index as u64), author, sentence })
    });
    let work = work.collect::<Vec<_>>();
    let n_missing = RefCell::new(work.len());
    tell(events, Event::RunBegan(seed, done));
    let journal = RefCell::new(journal);
    let report = |progress: Progress| {
        if let Progress::Stored(done) = &progress {
            *n_missing.borrow_mut() -= 1;
            let written = journal.borrow_mut().as_mut().map_or(Ok(()), |journal| journal.note(done));
            if let Err(error) = written {
                *journal.borrow_mut() = None;
                tell(events, Event::Warned(format!("The journal of this run cannot be written: {error}.")));
            }
        }
        tell(events, Event::Progress(progress));
    };
    let manner = Manner { jobs: usize::from(JOBS), patience: PATIENCE, seed };
    let end = delivery::deliver(&balancer, work, manner, orders, &report).await;
    if *n_missing.borrow() == 0
        && let Some(Err(error)) = journal.borrow_mut().take().map(Journal::remove)
    {
        tell(events, Event::Warned(format!("The journal of this run cannot be removed: {error}.")));
    }
    end
}
