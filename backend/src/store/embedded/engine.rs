//! What is done to the database file, one function per question. Every function either sees or makes one transaction.
//!
//! The only file that speaks redb's language of tables. Owns no thread and no queue.

use std::cell::Cell;
use std::ops::Bound;

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};
use wire::{Date, SentenceId, StoreId, StoredSentence};

use super::layout::{self, AuthorKey, DocumentKey, IdKey};
use crate::store::{Entry, MAX_PAGE_BYTES, MAX_PAGE_DOCUMENTS, Outcome, Place, next_date};

const DOCUMENTS: TableDefinition<'_, &DocumentKey, &[u8]> = TableDefinition::new("documents");
const IDS: TableDefinition<'_, &IdKey, i64> = TableDefinition::new("ids");
const AUTHORS: TableDefinition<'_, &AuthorKey, ()> = TableDefinition::new("authors");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const IDENTITY: TableDefinition<'_, (), &IdKey> = TableDefinition::new("identity");
const PROBE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("probe");

const FORMAT: &str = "format";
const COMMITS: &str = "commits";

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Engine(#[from] redb::Error),
    #[error("the commit failed: {0}")]
    Commit(redb::Error),
    #[error("{0} is not what was written")]
    Damaged(String),
    #[error("its layout has version {0}, and this program knows version {known}", known = layout::FORMAT)]
    Format(u64),
}

impl Fault {
    /// Whether the change may have become durable all the same.
    pub(super) fn ambiguous(&self) -> bool {
        matches!(self, Self::Commit(_))
    }

    /// The fault in words that name its usual cause.
    pub(super) fn in_words(&self) -> String {
        let (Self::Engine(error) | Self::Commit(error)) = self else { return self.to_string() };
        match error {
            redb::Error::Io(io) => disk_in_words(io),
            redb::Error::Corrupted(what) => format!("the engine finds damage: {what}"),
            _ => self.to_string(),
        }
    }

    /// What does not read back, where it is that.
    pub(super) fn damage(&self) -> Option<String> {
        match self {
            Self::Damaged(_) | Self::Engine(redb::Error::Corrupted(_)) => Some(self.in_words()),
            _ => None,
        }
    }

    /// Whether the database must be opened again: it takes nothing more after an input or output that failed.
    pub(super) fn is_of_the_disk(&self) -> bool {
        use redb::Error::{DatabaseClosed, Io, PreviousIo};
        matches!(self, Self::Engine(Io(_) | PreviousIo | DatabaseClosed) | Self::Commit(_))
    }
}

/// A failed input or output in words that name its usual cause.
pub(super) fn disk_in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => format!("the disk failed: {error}"),
    }
}

thread_local! {
    /// Whether the engine is at work on this thread.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Runs a piece of work of the engine, so that a panic in it is told as what it is.
pub(super) fn at_work<T>(work: impl FnOnce() -> T) -> T {
    AT_WORK.set(true);
    let done = work();
    AT_WORK.set(false);
    done
}

/// From now on a panic of the store's engine ends the process as a damaged store does: `told` hears it, and there is no
/// trace. The engine checks no page that it reads, so damage that comes while the node runs may show as one.
pub fn tell_panics(told: impl Fn(&str) + Send + Sync + 'static) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if AT_WORK.get() {
            let why = panic.payload_as_str().unwrap_or("it does not say why");
            told(&why.replace('\n', " "));
            std::process::exit(1);
        }
        usual(panic);
    }));
}

macro_rules! fault_from {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Engine(error.into())
            }
        })*
    };
}
fault_from!(StorageError, TableError, TransactionError);

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Engine(redb::Error::Io(error))
    }
}

/// One change to make.
pub(super) enum Change<'a> {
    Insert(&'a [Entry]),
    Delete(SentenceId),
    Retract(&'a [Place]),
}

/// What became of one change.
pub(super) enum Done {
    Inserted(Vec<Outcome>),
    Deleted(bool),
    Retracted(Vec<SentenceId>),
}

/// What became of a transaction.
pub(super) struct Applied {
    pub(super) done: Vec<Done>,
    pub(super) added: u64,
    pub(super) removed: u64,
    /// Commits of the store, this one among them where it changed anything.
    pub(super) commits: u64,
}

/// What a database holds when it is opened.
pub(super) struct Contents {
    pub(super) documents: u64,
    pub(super) newest: Option<Date>,
    pub(super) id: StoreId,
    pub(super) commits: u64,
}

/// Makes sure that every table and the store's identity exist, in the newest layout, and reads what the database holds.
/// `new` is the identity of a store that has none yet.
pub(super) fn prepare(database: &Database, new: StoreId) -> Result<Contents, Fault> {
    let transaction = database.begin_write()?;
    let (changed, contents) = {
        let mut meta = transaction.open_table(META)?;
        let format = meta.get(FORMAT)?.map(|guard| guard.value());
        let mut commits = meta.get(COMMITS)?.map_or(0, |guard| guard.value());
        match format {
            Some(layout::FORMAT) => {}
            None | Some(layout::OLDEST_FORMAT) => {
                meta.insert(FORMAT, layout::FORMAT)?;
                // Without an identity it gets one below; a database of the newest layout has both.
                commits = commits.saturating_add(1);
                meta.insert(COMMITS, commits)?;
            }
            Some(other) => return Err(Fault::Format(other)),
        }
        let mut identity = transaction.open_table(IDENTITY)?;
        let known = identity.get(())?.map(|guard| StoreId(uuid::Uuid::from_bytes(*guard.value())));
        if known.is_none() {
            identity.insert((), new.0.as_bytes())?;
        }
        transaction.open_table(IDS)?;
        transaction.open_table(AUTHORS)?;
        let documents = transaction.open_table(DOCUMENTS)?;
        let newest = documents.last()?.map(|(key, _)| layout::place(key.value()).date);
        // A table keeps its length beside its root, so this reads no documents.
        let changed = format != Some(layout::FORMAT) || known.is_none();
        (changed, Contents { documents: documents.len()?, newest, id: known.unwrap_or(new), commits })
    };
    if changed {
        transaction.commit().map_err(|error| Fault::Commit(error.into()))?;
    } else {
        // Nothing is written, so that a node on a full disk starts and can be read.
        transaction.abort()?;
    }
    Ok(contents)
}

/// Makes all changes in one durable transaction, or none. `newest` is the newest date given so far, `commits` the number of
/// commits so far.
pub(super) fn apply(
    database: &Database,
    changes: &[Change<'_>],
    now: Date,
    newest: &mut Option<Date>,
    commits: u64,
) -> Result<Applied, Fault> {
    let transaction = database.begin_write()?;
    let mut last = *newest;
    let applied = {
        let mut tables = Tables::open(&transaction)?;
        let mut applied = Applied { done: Vec::with_capacity(changes.len()), added: 0, removed: 0, commits };
        for change in changes {
            applied.done.push(match change {
                Change::Insert(entries) => {
                    let mut outcomes = Vec::with_capacity(entries.len());
                    for entry in *entries {
                        let outcome = tables.insert(entry, now, &mut last)?;
                        applied.added += u64::from(matches!(outcome, Outcome::Stored(_)));
                        outcomes.push(outcome);
                    }
                    Done::Inserted(outcomes)
                }
                Change::Delete(id) => {
                    let deleted = tables.delete(*id)?;
                    applied.removed += u64::from(deleted);
                    Done::Deleted(deleted)
                }
                Change::Retract(copies) => {
                    let mut retracted = Vec::new();
                    for copy in *copies {
                        if tables.retract(*copy)? {
                            retracted.push(copy.id);
                        }
                    }
                    applied.removed += retracted.len() as u64;
                    Done::Retracted(retracted)
                }
            });
        }
        if applied.added > 0 || applied.removed > 0 {
            applied.commits = commits.saturating_add(1);
            transaction.open_table(META)?.insert(COMMITS, applied.commits)?;
        }
        applied
    };
    if applied.commits == commits {
        transaction.abort()?;
    } else {
        transaction.commit().map_err(|error| Fault::Commit(error.into()))?;
        *newest = last;
    }
    Ok(applied)
}

/// The document under `id`.
pub(super) fn get(database: &Database, id: SentenceId) -> Result<Option<StoredSentence>, Fault> {
    let transaction = database.begin_read()?;
    let Some(date) = transaction.open_table(IDS)?.get(&layout::id_key(id))?.map(|guard| guard.value()) else {
        return Ok(None);
    };
    let key = layout::document_key(Place { date: Date::from_unix_micros(date), id });
    read(&transaction.open_table(DOCUMENTS)?, &key).map(Some)
}

/// The next documents after a place, at most `limit` and no more than a page holds.
pub(super) fn page(
    database: &Database,
    after: Option<Place>,
    author: Option<&str>,
    limit: usize,
) -> Result<Vec<StoredSentence>, Fault> {
    let transaction = database.begin_read()?;
    let documents = transaction.open_table(DOCUMENTS)?;
    let mut page = Page { documents: Vec::new(), bytes: 0, limit: limit.min(MAX_PAGE_DOCUMENTS) };
    let after = after.map(layout::document_key);
    if let Some(author) = author {
        let (first, last) = layout::author_bounds(author);
        let start = after.map(|after| layout::author_key(author, &after));
        let start = start.as_ref().map_or(Bound::Included(&first), Bound::Excluded);
        let authors = transaction.open_table(AUTHORS)?;
        for entry in authors.range::<&AuthorKey>((start, Bound::Included(&last)))? {
            let document = read(&documents, &layout::document_of(entry?.0.value()))?;
            // Another author may have the same hash.
            if document.author == author && !page.push(document) {
                break;
            }
        }
    } else {
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        for entry in documents.range::<&DocumentKey>((start, Bound::Unbounded))? {
            let (key, value) = entry?;
            let document =
                layout::document(key.value(), value.value()).ok_or_else(|| damaged(key.value()))?;
            if !page.push(document) {
                break;
            }
        }
    }
    Ok(page.documents)
}

/// The places of those of `ids` that are stored.
pub(super) fn held(database: &Database, ids: &[SentenceId]) -> Result<Vec<Place>, Fault> {
    let stored = database.begin_read()?.open_table(IDS)?;
    let mut places = Vec::new();
    for id in ids {
        if let Some(date) = stored.get(&layout::id_key(*id))? {
            places.push(Place { date: Date::from_unix_micros(date.value()), id: *id });
        }
    }
    Ok(places)
}

/// The next places after one, at most `limit`.
pub(super) fn places(database: &Database, after: Option<Place>, limit: usize) -> Result<Vec<Place>, Fault> {
    let documents = database.begin_read()?.open_table(DOCUMENTS)?;
    let after = after.map(layout::document_key);
    let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let range = documents.range::<&DocumentKey>((start, Bound::Unbounded))?;
    range.take(limit).map(|entry| Ok(layout::place(entry?.0.value()))).collect()
}

/// Commits as much as a fair batch takes and removes it again, to see whether the disk takes writes.
pub(super) fn probe(database: &Database) -> Result<(), Fault> {
    static BLOCK: [u8; 64 * 1024] = [0x5a; 64 * 1024];
    const BLOCKS: u64 = 16;
    let commit =
        |transaction: WriteTransaction| transaction.commit().map_err(|error| Fault::Commit(error.into()));
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(PROBE)?;
        for block in 0..BLOCKS {
            table.insert(block, BLOCK.as_slice())?;
        }
    }
    commit(transaction)?;
    let transaction = database.begin_write()?;
    transaction.delete_table(PROBE)?;
    commit(transaction)
}

struct Page {
    documents: Vec<StoredSentence>,
    bytes: usize,
    limit: usize,
}

impl Page {
    /// Takes a document; `false` when the page is full with it.
    fn push(&mut self, document: StoredSentence) -> bool {
        self.bytes += document.author.len() + document.sentence.len();
        self.documents.push(document);
        self.documents.len() < self.limit && self.bytes < MAX_PAGE_BYTES
    }
}

struct Tables<'t> {
    documents: Table<'t, &'static DocumentKey, &'static [u8]>,
    ids: Table<'t, &'static IdKey, i64>,
    authors: Table<'t, &'static AuthorKey, ()>,
    buffer: Vec<u8>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            documents: transaction.open_table(DOCUMENTS)?,
            ids: transaction.open_table(IDS)?,
            authors: transaction.open_table(AUTHORS)?,
            buffer: Vec::new(),
        })
    }

    fn insert(&mut self, entry: &Entry, now: Date, last: &mut Option<Date>) -> Result<Outcome, Fault> {
        let sentence = &entry.sentence;
        let id_key = layout::id_key(sentence.id);
        if let Some(date) = self.ids.get(&id_key)?.map(|guard| guard.value()) {
            let key = layout::document_key(Place { date: Date::from_unix_micros(date), id: sentence.id });
            return read(&self.documents, &key).map(Outcome::Duplicate);
        }
        let date = entry.date.unwrap_or_else(|| next_date(now, *last));
        let key = layout::document_key(Place { date, id: sentence.id });
        if layout::encode(&mut self.buffer, &key, &sentence.author, &sentence.sentence).is_none() {
            return Ok(Outcome::Refused("the author is longer than the store can hold".to_owned()));
        }
        if entry.date.is_none() {
            *last = Some(date);
        }
        self.ids.insert(&id_key, date.unix_micros())?;
        self.documents.insert(&key, self.buffer.as_slice())?;
        self.authors.insert(&layout::author_key(&sentence.author, &key), ())?;
        Ok(Outcome::Stored(date))
    }

    fn delete(&mut self, id: SentenceId) -> Result<bool, Fault> {
        let date = self.ids.get(&layout::id_key(id))?.map(|guard| guard.value());
        let Some(date) = date.map(Date::from_unix_micros) else { return Ok(false) };
        self.retract(Place { date, id })
    }

    fn retract(&mut self, place: Place) -> Result<bool, Fault> {
        let id_key = layout::id_key(place.id);
        if self.ids.get(&id_key)?.is_none_or(|date| date.value() != place.date.unix_micros()) {
            return Ok(false);
        }
        self.ids.remove(&id_key)?;
        let key = layout::document_key(place);
        let document = read(&self.documents, &key)?;
        self.documents.remove(&key)?;
        self.authors.remove(&layout::author_key(&document.author, &key))?;
        Ok(true)
    }
}

fn read(
    documents: &impl ReadableTable<&'static DocumentKey, &'static [u8]>,
    key: &DocumentKey,
) -> Result<StoredSentence, Fault> {
    documents.get(key)?.and_then(|value| layout::document(key, value.value())).ok_or_else(|| damaged(key))
}

fn damaged(key: &DocumentKey) -> Fault {
    Fault::Damaged(format!("document {}", layout::place(key).id))
}
