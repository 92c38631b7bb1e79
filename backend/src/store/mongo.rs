//! The MongoDB store: one collection per node, majority-acknowledged and journalled before every answer.
//!
//! The only place that names the driver. Inserts gather while a few `insert_many` are under way, so that one of them
//! serves many posts. The node counts its documents itself: exactly at the start and after every fault, and a cheap
//! estimate is compared now and then.
//!
//! The identity of the collection lies in a collection of its own, beside those of the sentences.
//!
//! The driver's futures are never dropped half-way: each runs as a task of its own, and only the wait for it ends
//! early. A server may ignore the write concern (FerretDB does); it then promises no more than it keeps.

mod copies;
mod document;
mod identity;
mod in_doubt;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mongodb::bson::{self, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{Acknowledgment, ClientOptions, ConnectionString, WriteConcern};
use mongodb::{Client, Collection, IndexModel};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use wire::{Date, SentenceId, StoreId, StoredSentence};

use self::document::{Stored, split, uuid_of};
pub use self::identity::IDENTITIES;
use self::identity::identity;
use self::in_doubt::InDoubt;
use super::ledger::Ledger;
use super::{
    Answer, Entry, MAX_COMMIT_ENTRIES, MAX_PAGE_BYTES, MAX_PAGE_DOCUMENTS, MAX_QUEUED_BYTES, OpenError,
    Outcome, PLACE_WEIGHT, Pages, Place, Query, Receipt, State, Store, StoreError, Tally, next_date, reserve,
};
use crate::clock;
use crate::fence::Pass;

/// The database where the connection string names none.
const DEFAULT_DATABASE: &str = "balanza";
/// How long the driver looks for a server. Longer would hide an outage from the balancer.
const SELECTION: Duration = Duration::from_secs(3);
/// How long anybody waits for an operation; the operation itself goes on.
const PATIENCE: Duration = Duration::from_secs(10);
/// `insert_many` under way at once.
const INSERTS_UNDER_WAY: u32 = 4;
/// Connections to each server: the inserts, and listings beside them.
const POOL: u32 = 32;
/// Time between two looks at the server.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);
/// Looks between two comparisons of the count.
const LOOKS_PER_COUNT: u32 = 60;
/// The server's code for a key that exists already.
const DUPLICATE_KEY: i32 = 11_000;

/// Whether `uri` is a connection string.
///
/// # Errors
/// In words, when it is not.
pub fn check_uri(uri: &str) -> Result<(), String> {
    let parsed = ConnectionString::parse(uri);
    parsed
        .map(drop)
        .map_err(|error| format!("{}; write it as mongodb://HOST:27017/DATABASE", in_words(&error)))
}

/// The MongoDB store.
pub struct MongoStore {
    id: StoreId,
    jobs: mpsc::UnboundedSender<Job>,
    /// Bytes still free in the queue.
    room: Arc<Semaphore>,
    server: Server,
    closing: CancellationToken,
    closed: CancellationToken,
}

struct Job {
    entries: Vec<Entry>,
    /// The entries' part of the queue's bytes, given back when the job is done.
    room: OwnedSemaphorePermit,
    pass: Pass,
    answer: oneshot::Sender<Result<Receipt, StoreError>>,
}

/// What every task of the store shares.
#[derive(Clone)]
struct Server {
    client: Client,
    collection: Collection<Stored>,
    ledger: Arc<Ledger>,
    /// One for each change under way. Whoever holds all of them sees the collection at rest.
    changes: Arc<Semaphore>,
    /// Whether the count is in doubt.
    uncounted: Arc<AtomicBool>,
    /// Wakes the keeper after a fault.
    fault: Arc<Notify>,
    /// The passes of inserts whose end the server did not tell.
    in_doubt: Arc<Mutex<InDoubt>>,
}

impl MongoStore {
    /// Connects, makes the indexes and counts. The write concern is majority and journalled unless `uri` says otherwise.
    ///
    /// # Errors
    /// Says what is wrong with the connection or the server, and what to do about it.
    pub async fn open(uri: &str, collection: &str) -> Result<Self, OpenError> {
        let mut options = ClientOptions::parse(uri).await.map_err(|error| OpenError {
            problem: format!("the connection string cannot be used: {}", in_words(&error)),
            remedy: "write --store as mongodb://HOST:27017/DATABASE".to_owned(),
        })?;
        let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        options.app_name.get_or_insert_with(|| "balanza-backend".to_owned());
        options.server_selection_timeout.get_or_insert(SELECTION);
        options.connect_timeout.get_or_insert(SELECTION);
        options.max_pool_size.get_or_insert(POOL);
        let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        options.write_concern.get_or_insert(durable);
        let database = options.default_database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned());

        let failed = |error: Error| OpenError {
            problem: match *error.kind {
                ErrorKind::ServerSelection { .. } => format!("no MongoDB answers at {hosts}"),
                _ => format!("the MongoDB at {hosts} cannot be used: {}", in_words(&error)),
            },
            remedy: "start it, or correct --store".to_owned(),
        };
        let client = Client::with_options(options).map_err(failed)?;
        let collection = client.database(&database).collection::<Stored>(collection);
        let (documents, newest) = prepare(&collection).await.map_err(failed)?;
        let id = identity(&client.database(&database), collection.name()).await.map_err(failed)?;

        let server = Server {
            client,
            collection,
            ledger: Arc::new(Ledger::new(documents)),
            changes: Arc::new(Semaphore::new(INSERTS_UNDER_WAY as usize)),
            uncounted: Arc::default(),
            fault: Arc::default(),
            in_doubt: Arc::default(),
        };
        let (jobs, queue) = mpsc::unbounded_channel();
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(dispatch(server.clone(), queue, newest, closing.clone(), closed.clone()));
        tokio::spawn(keep(server.clone(), closing.clone()));
        let room = Arc::new(Semaphore::new(MAX_QUEUED_BYTES));
        Ok(Self { id, jobs, room, server, closing, closed })
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// Makes the indexes, counts, and finds the newest date.
async fn prepare(collection: &Collection<Stored>) -> Result<(u64, Option<Date>), Error> {
    let by_date = IndexModel::builder().keys(doc! { "date": 1, "micros": 1, "_id": 1 }).build();
    let by_author =
        IndexModel::builder().keys(doc! { "author": 1, "date": 1, "micros": 1, "_id": 1 }).build();
    // One command each: FerretDB 1 breaks the connection when a command names two indexes that exist already.
    for index in [by_date, by_author] {
        collection.create_index(index).await?;
    }
    let documents = collection.count_documents(doc! {}).await?;
    let newest = collection.find_one(doc! {}).sort(doc! { "date": -1, "micros": -1 }).await?;
    Ok((documents, newest.map(|stored| stored.date())))
}

impl Store for MongoStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn insert(&self, entries: Vec<Entry>, pass: Pass) -> Answer<Receipt> {
        let room = match reserve(&self.room, Entry::weigh(&entries)) {
            Ok(room) => room,
            Err(busy) => return Box::pin(std::future::ready(Err(busy))),
        };
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.send(Job { entries, room, pass, answer });
        Box::pin(async move {
            sent.map_err(|_| StoreError::Closed)?;
            match tokio::time::timeout(PATIENCE, answered).await {
                Ok(answer) => answer.map_err(|_| StoreError::Closed)?,
                Err(_) => Err(too_slow()),
            }
        })
    }

    fn get(&self, id: SentenceId) -> Answer<Option<StoredSentence>> {
        let collection = self.server.collection.clone();
        Box::pin(async move {
            let found =
                in_a_task(async move { collection.find_one(doc! { "_id": uuid_of(id) }).await }).await?;
            Ok(found.map(Stored::into_sentence))
        })
    }

    fn delete(&self, id: SentenceId) -> Answer<(bool, Tally)> {
        let server = self.server.clone();
        Box::pin(in_a_task(async move {
            let change = Arc::clone(&server.changes).acquire_owned().await;
            let deleted = server.collection.delete_one(doc! { "_id": uuid_of(id) }).await;
            let deleted = deleted.inspect_err(|error| server.failed(error))?.deleted_count;
            let tally = server.ledger.changed(0, deleted);
            drop(change);
            Ok((deleted > 0, tally))
        }))
    }

    fn held(&self, ids: Vec<SentenceId>) -> Answer<Vec<Place>> {
        let server = self.server.clone();
        Box::pin(in_a_task(async move { server.held(&ids).await }))
    }

    fn places(&self, after: Option<Place>, limit: usize) -> Answer<Vec<Place>> {
        let server = self.server.clone();
        let query = Query { after, limit: Some(limit), author: None };
        Box::pin(in_a_task(async move { server.places(filter(&query), limit).await }))
    }

    fn retract(&self, copies: Vec<Place>) -> Answer<(Vec<SentenceId>, Tally)> {
        let room = match reserve(&self.room, copies.len() * PLACE_WEIGHT) {
            Ok(room) => room,
            Err(busy) => return Box::pin(std::future::ready(Err(busy))),
        };
        let server = self.server.clone();
        Box::pin(in_a_task(async move {
            let change = Arc::clone(&server.changes).acquire_owned().await;
            let retracted = server.retract(copies).await.inspect_err(|error| server.failed(error));
            drop((change, room));
            retracted
        }))
    }

    fn list(&self, query: Query) -> Pages {
        let (sender, pages) = mpsc::channel(1);
        let collection = self.server.collection.clone();
        tokio::spawn(async move {
            if let Err(error) = send_pages(&collection, query, &sender).await {
                // The reader may be gone; then nobody needs to know.
                drop(sender.send(Err(unavailable(&error))).await);
            }
        });
        pages
    }

    fn state(&self) -> watch::Receiver<State> {
        self.server.ledger.subscribe()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.closing.cancel();
        let (closed, client) = (self.closed.clone(), self.server.client.clone());
        Box::pin(async move {
            closed.cancelled().await;
            client.shutdown().immediate(true).await;
        })
    }
}

/// Sends what has gathered whenever a place for an insert is free. Ends when told to, after the last insert.
async fn dispatch(
    server: Server,
    mut queue: mpsc::UnboundedReceiver<Job>,
    mut newest: Option<Date>,
    closing: CancellationToken,
    closed: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            job = queue.recv() => job,
            () = closing.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        let Some(first) = first else { break };
        // More gathers while this waits.
        let change = Arc::clone(&server.changes).acquire_owned().await;
        let mut weight = first.entries.len();
        let mut jobs = vec![first];
        while weight < MAX_COMMIT_ENTRIES
            && let Ok(job) = queue.try_recv()
        {
            weight += job.entries.len();
            jobs.push(job);
        }
        let now = clock::now();
        let mut date = |entry: &Entry| entry.date.unwrap_or_else(|| *newest.insert(next_date(now, newest)));
        let mut batch =
            Batch { documents: Vec::with_capacity(weight), waiting: Vec::with_capacity(jobs.len()) };
        for Job { entries, room, pass, answer } in jobs {
            batch.waiting.push(Waiting { entries: entries.len(), room, pass, answer });
            batch.documents.extend(entries.into_iter().map(|entry| {
                let date = date(&entry);
                Stored::new(entry, date)
            }));
        }
        let server = server.clone();
        tokio::spawn(async move {
            server.commit(batch).await;
            drop(change);
        });
    }
    drop(server.changes.acquire_many(INSERTS_UNDER_WAY).await);
    closed.cancel();
}

/// Several inserts on their way as one.
struct Batch {
    documents: Vec<Stored>,
    waiting: Vec<Waiting>,
}

/// Who waits for a part of a batch.
struct Waiting {
    entries: usize,
    room: OwnedSemaphorePermit,
    pass: Pass,
    answer: oneshot::Sender<Result<Receipt, StoreError>>,
}

impl Server {
    /// Inserts a batch and answers everybody who waits for a part of it.
    async fn commit(&self, batch: Batch) {
        let Batch { documents, waiting } = batch;
        let committed = self.insert(&documents).await;
        let committed = committed.map(|outcomes| {
            let stored = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Stored(_))).count();
            (self.ledger.changed(stored as u64, 0), outcomes.into_iter())
        });
        match committed {
            Ok((tally, mut outcomes)) => {
                for Waiting { entries, room, pass, answer } in waiting {
                    drop((room, pass));
                    let outcomes = outcomes.by_ref().take(entries).collect();
                    // Whoever has stopped waiting does not hear it.
                    drop(answer.send(Ok(Receipt { outcomes, tally })));
                }
            }
            Err(error) => {
                self.failed(&error);
                let failure = unavailable(&error);
                let ambiguous = matches!(failure, StoreError::Unavailable { ambiguous: true, .. });
                for Waiting { answer, pass, .. } in waiting {
                    if ambiguous {
                        self.in_doubt.lock().add(pass);
                    }
                    drop(answer.send(Err(failure.clone())));
                }
            }
        }
    }

    /// One outcome per document, or the error that leaves all of them in doubt.
    async fn insert(&self, documents: &[Stored]) -> Result<Vec<Outcome>, Error> {
        let stored = || documents.iter().map(|document| Outcome::Stored(document.date())).collect::<Vec<_>>();
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let Err(error) = self.collection.insert_many(documents).ordered(false).await else {
            return Ok(stored());
        };
        let ErrorKind::InsertMany(partial) = &*error.kind else { return Err(error) };
        if partial.write_concern_error.is_some() {
            return Err(error);
        }
        let refusals = partial.write_errors.as_deref().unwrap_or_default();
        let known = refusals.iter().filter(|refusal| refusal.code == DUPLICATE_KEY);
        let known = known.filter_map(|refusal| Some(documents.get(refusal.index)?.id));
        let mut known = self.find(known.collect()).await?;
        let mut outcomes = stored();
        for refusal in refusals {
            let Some((document, outcome)) = documents.get(refusal.index).zip(outcomes.get_mut(refusal.index))
            else {
                return Err(error);
            };
            *outcome = match known.get_mut(&document.id) {
                _ if refusal.code != DUPLICATE_KEY => Outcome::Refused(refusal.message.clone()),
                Some(first) => Outcome::Duplicate(first.clone().into_sentence()),
                None => Outcome::Refused("it was deleted at the same moment; send it again".to_owned()),
            };
        }
        Ok(outcomes)
    }

    async fn find(&self, ids: Vec<bson::Uuid>) -> Result<HashMap<bson::Uuid, Stored>, Error> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut cursor = self.collection.find(doc! { "_id": { "$in": ids } }).await?;
        while cursor.advance().await? {
            let stored = cursor.deserialize_current()?;
            found.insert(stored.id, stored);
        }
        Ok(found)
    }

    /// A change went wrong: nobody knows what the server made of it.
    fn failed(&self, error: &Error) {
        self.uncounted.store(true, Ordering::Release);
        self.ledger.fail(&in_words(error));
        self.fault.notify_one();
    }

    /// Whether a primary answers; counts anew where the count is in doubt.
    async fn look(&self) -> Result<(), Error> {
        self.client.database("admin").run_command(doc! { "ping": 1 }).await?;
        self.in_doubt.lock().answered(clock::instant());
        if self.uncounted.load(Ordering::Acquire) {
            let at_rest = self.changes.acquire_many(INSERTS_UNDER_WAY).await;
            let documents = self.collection.count_documents(doc! {}).await?;
            self.ledger.recounted(documents);
            self.uncounted.store(false, Ordering::Release);
            drop(at_rest);
        }
        Ok(())
    }

    /// Compares the count with the server's estimate; they differ when somebody else writes into the collection, and
    /// after an insert that the server finished when nobody waited for it any more.
    async fn compare(&self) -> Result<(), Error> {
        let at_rest = self.changes.acquire_many(INSERTS_UNDER_WAY).await;
        let estimate = self.collection.estimated_document_count().await?;
        let counted = self.ledger.subscribe().borrow().tally.documents;
        if estimate != counted {
            self.uncounted.store(true, Ordering::Release);
        }
        drop(at_rest);
        Ok(())
    }
}

/// Looks at the server every second and after every fault, until told to stop.
async fn keep(server: Server, closing: CancellationToken) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut looks = 0u32;
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            () = server.fault.notified() => {}
            _ = every.tick() => {}
        }
        looks = looks.wrapping_add(1);
        let count = looks.is_multiple_of(LOOKS_PER_COUNT);
        let looking = server.clone();
        let looked = tokio::spawn(async move {
            if count {
                looking.compare().await?;
            }
            looking.look().await
        });
        match tokio::time::timeout(LOOK_PATIENCE, looked).await {
            Ok(Ok(Ok(()))) => server.ledger.heal(),
            Ok(Ok(Err(error))) => server.ledger.fail(&in_words(&error)),
            Ok(Err(error)) => server.ledger.fail(&error.to_string()),
            Err(_) => server.ledger.fail("MongoDB does not answer in time"),
        }
    }
}

async fn send_pages(
    collection: &Collection<Stored>,
    query: Query,
    sender: &mpsc::Sender<Result<Vec<StoredSentence>, StoreError>>,
) -> Result<(), Error> {
    let order = doc! { "date": 1, "micros": 1, "_id": 1 };
    let mut find = collection.find(filter(&query)).sort(order);
    if let Some(limit) = query.limit {
        find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
    }
    let mut cursor = find.await?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while cursor.advance().await? {
        let document = cursor.deserialize_current()?.into_sentence();
        bytes += document.author.len() + document.sentence.len();
        page.push(document);
        if page.len() == MAX_PAGE_DOCUMENTS || bytes >= MAX_PAGE_BYTES {
            bytes = 0;
            if sender.send(Ok(std::mem::take(&mut page))).await.is_err() {
                return Ok(());
            }
        }
    }
    if !page.is_empty() {
        // The reader may be gone; then nobody needs the rest.
        drop(sender.send(Ok(page)).await);
    }
    Ok(())
}

fn filter(query: &Query) -> Document {
    let mut filter = Document::new();
    if let Some(author) = &query.author {
        filter.insert("author", author);
    }
    if let Some(Place { date, id }) = query.after {
        let ((date, micros), id) = (split(date), uuid_of(id));
        // The first line lets the index begin in the right place.
        filter.insert("date", doc! { "$gte": date });
        filter.insert(
            "$or",
            vec![
                doc! { "date": { "$gt": date } },
                doc! { "date": date, "micros": { "$gt": micros } },
                doc! { "date": date, "micros": micros, "_id": { "$gt": id } },
            ],
        );
    }
    filter
}

/// Runs an operation of the driver to its end, but waits for it only so long.
async fn in_a_task<T: Send + 'static>(
    operation: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, tokio::spawn(operation)).await {
        Ok(Ok(done)) => done.map_err(|error| unavailable(&error)),
        Ok(Err(error)) => Err(StoreError::Unavailable { reason: error.to_string(), ambiguous: true }),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> StoreError {
    let reason = format!("MongoDB has not answered for {} seconds", PATIENCE.as_secs());
    StoreError::Unavailable { reason, ambiguous: true }
}

fn unavailable(error: &Error) -> StoreError {
    // Only an operation that found no server is sure to have changed nothing. A cleared pool is no such case: it also
    // breaks connections whose operation the server may still carry out.
    let sure = matches!(*error.kind, ErrorKind::ServerSelection { .. } | ErrorKind::InvalidArgument { .. });
    let ambiguous = !sure;
    StoreError::Unavailable { reason: in_words(error), ambiguous }
}

/// The error on one line, without the driver's inner state.
fn in_words(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { .. } => "no MongoDB server answers".to_owned(),
        ErrorKind::Io(io) => format!("the connection to MongoDB broke: {io}"),
        kind => kind.to_string().replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_checked_without_a_server() {
        assert_eq!(check_uri("mongodb://127.0.0.1:27017/balanza"), Ok(()));
        assert!(check_uri("mongodb://127.0.0.1:x/").unwrap_err().contains("mongodb://HOST:27017/DATABASE"));
    }
}
