//! What the embedded store does when the disk fails, on a disk that fails when it is told to.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Condvar;
use redb::backends::FileBackend;
use redb::{Builder, DatabaseError, StorageBackend};
use wire::NewSentence;

use super::*;
use crate::clock;
use crate::fence::{Fence, Pass};
use crate::store::Outcome;

/// What a test does to a disk.
#[derive(Debug, Default)]
struct Fate {
    full: AtomicBool,
    /// Whether syncs and views wait.
    held: parking_lot::Mutex<bool>,
    released: Condvar,
}

impl Fate {
    /// Waits while the disk is held.
    fn wait(&self) {
        let mut held = self.held.lock();
        self.released.wait_while(&mut held, |held| *held);
    }

    fn hold(&self, held: bool) {
        *self.held.lock() = held;
        self.released.notify_all();
    }
}

/// A file on a disk that can be full, and can keep whoever syncs waiting.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    fate: Arc<Fate>,
}

/// A store on such a disk.
fn store_on(path: &Path, fate: &Arc<Fate>) -> EmbeddedStore {
    let medium = FailingMedium { path: path.to_owned(), fate: Arc::clone(fate) };
    EmbeddedStore::on(Box::new(medium), Witness::absent(), None).unwrap()
}

struct FailingMedium {
    path: PathBuf,
    fate: Arc<Fate>,
}

impl Medium for FailingMedium {
    fn open(&self) -> Result<Database, DatabaseError> {
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let file = FileBackend::new(options.open(&self.path)?)?;
        Builder::new().create_with_backend(Disk { file, fate: Arc::clone(&self.fate) })
    }

    fn view(&self) -> Result<Database, DatabaseError> {
        self.fate.wait();
        medium::view_of(File::open(&self.path)?)
    }

    fn try_writes(&self) -> Result<(), Error> {
        if self.fate.full.load(Ordering::SeqCst) { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl Disk {
    fn room(&self) -> Result<(), Error> {
        if self.fate.full.load(Ordering::SeqCst) { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.room()?;
        self.fate.wait();
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.room()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), Error> {
        self.file.close()
    }
}

fn sentence() -> Vec<Entry> {
    let (author, sentence) = ("Ana".to_owned(), "text".to_owned());
    vec![NewSentence { id: clock::new_id(), author, sentence }.into()]
}

async fn until(store: &EmbeddedStore, wanted: impl FnMut(&State) -> bool) -> State {
    let mut state = store.state();
    let waited = tokio::time::timeout(Duration::from_secs(30), state.wait_for(wanted)).await;
    waited.expect("the state never came").unwrap().clone()
}

#[tokio::test]
async fn a_full_disk_makes_the_store_unready_until_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let fate = Arc::<Fate>::default();
    let store = store_on(&path, &fate);
    let stored = sentence();
    let id = stored[0].sentence.id;
    store.insert(stored, Pass::unfenced()).await.unwrap();

    fate.full.store(true, Ordering::SeqCst);
    let refused = store.insert(sentence(), Pass::unfenced()).await.unwrap_err();
    let StoreError::Unavailable { reason, .. } = &refused else { panic!("{refused}") };
    assert_eq!(reason, "the disk is full");
    let state = until(&store, |state| state.fault.is_some()).await;
    assert_eq!(state.tally.documents, 1, "what was refused does not count");
    // Every attempt meanwhile is told the reason, and none is in doubt.
    let again = store.insert(sentence(), Pass::unfenced()).await.unwrap_err();
    assert!(matches!(again, StoreError::Unavailable { ambiguous: false, .. }), "{again}");

    fate.full.store(false, Ordering::SeqCst);
    until(&store, |state| state.fault.is_none()).await;
    let receipt = store.insert(sentence(), Pass::unfenced()).await.unwrap();
    assert!(matches!(receipt.outcomes[..], [Outcome::Stored(_)]));
    assert!(store.get(id).await.unwrap().is_some(), "what was answered is still there");
    let mut pages = store.list(Query::default());
    let listed = pages.recv().await.unwrap().unwrap().len() as u64;
    assert_eq!(listed, receipt.tally.documents);
    store.close().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_stores_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let whole =
        Arc::clone(&store.room).try_acquire_many_owned(u32::try_from(MAX_QUEUED_BYTES).unwrap()).unwrap();
    assert_eq!(store.insert(sentence(), Pass::unfenced()).await.unwrap_err(), StoreError::Busy);
    drop(whole);
    assert_eq!(store.insert(sentence(), Pass::unfenced()).await.unwrap().tally.documents, 1);
    // The room is given back with the answer.
    assert_eq!(store.room.available_permits(), MAX_QUEUED_BYTES);
    store.close().await;
}

/// The fence is asked while the disk holds up an insert whose caller has gone: it is through when that insert is.
#[tokio::test]
async fn a_fence_waits_for_an_insert_in_the_store_that_nobody_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let fate = Arc::<Fate>::default();
    let store = store_on(&dir.path().join(FILE_NAME), &fate);
    let fence = Fence::new(7);
    fate.hold(true);
    let (under_way, queued) = (sentence(), sentence());
    let ids = vec![under_way[0].sentence.id, queued[0].sentence.id];
    // Two commits: one waits for the disk, the other for the first.
    drop(store.insert(under_way, fence.enter(Some(7)).unwrap()));
    drop(store.insert(queued, fence.enter(None).unwrap()));

    let mut raised = Box::pin(fence.raise());
    assert_eq!(futures_util::poll!(&mut raised), Poll::Pending);
    assert!(fence.enter(Some(7)).is_err());
    assert_eq!(store.held(ids.clone()).await.unwrap(), [], "reads do not wait, and nothing is stored yet");
    assert_eq!(futures_util::poll!(&mut raised), Poll::Pending);
    fate.hold(false);
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), raised).await, Ok(8));
    assert_eq!(store.held(ids).await.unwrap().len(), 2, "behind the fence both are there");
    store.close().await;
}

/// A commit that failed may have reached the disk, which only a look at the file tells: so long the fence is not through.
#[tokio::test]
async fn a_fence_waits_until_it_is_known_what_a_failed_commit_has_stored() {
    let dir = tempfile::tempdir().unwrap();
    let fate = Arc::<Fate>::default();
    let store = store_on(&dir.path().join(FILE_NAME), &fate);
    let fence = Fence::new(7);
    let entries = sentence();
    let ids = vec![entries[0].sentence.id];
    fate.full.store(true, Ordering::SeqCst);
    fate.hold(true);
    let failed = store.insert(entries, fence.enter(Some(7)).unwrap()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable { ambiguous: true, .. }), "{failed}");
    let mut raised = Box::pin(fence.raise());
    assert_eq!(futures_util::poll!(&mut raised), Poll::Pending);
    // The disk stays full: to be seen, the file need not be written.
    fate.hold(false);
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), raised).await, Ok(8));
    let seen = store.held(ids.clone()).await.unwrap();
    fate.full.store(false, Ordering::SeqCst);
    until(&store, |state| state.fault.is_none()).await;
    assert_eq!(store.held(ids).await.unwrap(), seen, "what is seen behind the fence stays");
    store.close().await;
}

/// Posts with whatever number holds, and fences between them: once a fence is through, nothing from before it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_from_before_a_fence_is_stored_behind_it() {
    const FENCES: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(dir.path()).unwrap());
    let fence = Arc::new(Fence::new(0));
    let posters: Vec<_> = (0..6)
        .map(|_| {
            let (store, fence) = (Arc::clone(&store), Arc::clone(&fence));
            tokio::spawn(async move {
                // Each sentence tells by its author which number it was let in with.
                let mut sent = 0u64;
                loop {
                    let number = fence.number();
                    if number >= FENCES {
                        break sent;
                    }
                    let id = clock::new_id();
                    let entry = NewSentence { id, author: number.to_string(), sentence: "text".to_owned() };
                    tokio::task::yield_now().await;
                    let Ok(pass) = fence.enter(Some(number)) else { continue };
                    sent += 1;
                    let stored = store.insert(vec![entry.into()], pass);
                    // Every other caller goes away.
                    if sent.is_multiple_of(2) {
                        stored.await.unwrap();
                    }
                }
            })
        })
        .collect();
    let mut seen = Vec::new();
    for _ in 0..FENCES {
        let holds = fence.raise().await;
        seen.push((holds, store.places(None, usize::MAX).await.unwrap()));
    }
    let mut sent = 0;
    for poster in posters {
        sent += poster.await.unwrap();
    }
    fence.raise().await;
    let mut listed = Vec::new();
    let mut pages = store.list(Query::default());
    while let Some(page) = pages.recv().await {
        listed.extend(page.unwrap());
    }
    assert_eq!(listed.len() as u64, sent, "the last fence is behind all of them");
    for (holds, places) in seen {
        let from_before = listed.iter().filter(|it| it.author.parse::<u64>().unwrap() < holds);
        let missed = from_before.filter(|it| !places.contains(&Place::of(it).unwrap())).count();
        assert_eq!(missed, 0, "stored behind the fence {holds}");
    }
    store.close().await;
}

/// A store of the first layout: no identity, no count of commits, no checksums, and nothing beside it.
#[tokio::test]
async fn a_store_of_the_first_layout_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::create(dir.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let place = Place { date: wire::Date::from_unix_micros(7), id: clock::new_id() };
    let key = layout::document_key(place);
    {
        let documents = redb::TableDefinition::<&[u8; 24], &[u8]>::new("documents");
        let ids = redb::TableDefinition::<&[u8; 16], i64>::new("ids");
        let authors = redb::TableDefinition::<&[u8; 32], ()>::new("authors");
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        let mut documents = transaction.open_table(documents).unwrap();
        documents.insert(&key, &b"\0\x03Anatext"[..]).unwrap();
        transaction.open_table(ids).unwrap().insert(&layout::id_key(place.id), 7).unwrap();
        transaction.open_table(authors).unwrap().insert(&layout::author_key("Ana", &key), ()).unwrap();
        transaction.open_table(meta).unwrap().insert("format", 1).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    let before = verify(dir.path()).unwrap();
    assert_eq!((before.documents, before.id, before.witnessed), (1, None, false));
    let mut ids = Vec::new();
    for documents in 1..3 {
        let store = EmbeddedStore::open(dir.path()).unwrap();
        assert_eq!(store.state().borrow().tally.documents, documents);
        let old = store.get(place.id).await.unwrap().unwrap();
        assert_eq!((old.author.as_str(), old.sentence.as_str()), ("Ana", "text"));
        store.insert(sentence(), Pass::unfenced()).await.unwrap();
        ids.push(store.id());
        store.close().await;
    }
    assert_eq!(ids[0], ids[1]);
    let after = verify(dir.path()).unwrap();
    assert_eq!((after.documents, after.commits, after.id), (3, 3, Some(ids[0])));
    assert!(after.witnessed && !after.torn);
}

/// A crash while the store is made leaves a file of another name, which is made anew.
#[tokio::test]
async fn what_a_crash_left_of_a_new_store_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let begun = dir.path().join(FILE_NAME).with_extension("new");
    for left in [&b""[..], b"redb", &[0; 9_000]] {
        std::fs::write(&begun, left).unwrap();
        assert!(verify(dir.path()).is_err_and(|error| error.problem.starts_with("there is no store")));
    }
    let store = EmbeddedStore::open(dir.path()).unwrap();
    store.insert(sentence(), Pass::unfenced()).await.unwrap();
    store.close().await;
    let mut files =
        std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
    files.sort();
    assert_eq!(files, ["sentences.redb", "sentences.witness"]);
}

/// The disk takes nothing more, and everything that only reads goes on; also what began before.
#[tokio::test]
async fn a_full_disk_stops_only_writes() {
    let dir = tempfile::tempdir().unwrap();
    let fate = Arc::<Fate>::default();
    let store = store_on(&dir.path().join(FILE_NAME), &fate);
    let entries = (0..2_000).flat_map(|_| sentence()).collect::<Vec<_>>();
    let ids = entries.iter().map(|entry| entry.sentence.id).collect::<Vec<_>>();
    store.insert(entries, Pass::unfenced()).await.unwrap();
    let mut begun = store.list(Query::default());
    let mut first = begun.recv().await.unwrap().unwrap().len();

    fate.full.store(true, Ordering::SeqCst);
    let refused = store.insert(sentence(), Pass::unfenced()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    // At once, without waiting for the writer to have seen to it.
    assert!(store.get(ids[7]).await.unwrap().is_some());
    until(&store, |state| state.fault.is_some()).await;
    while let Some(page) = begun.recv().await {
        first += page.unwrap().len();
    }
    assert!(first >= ids.len(), "the listing that was under way ended with {first}");
    let places = store.places(None, 10_000).await.unwrap();
    assert!(places.len() >= ids.len());
    assert_eq!(store.held(ids.clone()).await.unwrap().len(), ids.len());
    assert_eq!(store.state().borrow().tally.documents, ids.len() as u64);
    let refused = store.retract(places.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { ambiguous: false, .. }), "{refused}");

    fate.full.store(false, Ordering::SeqCst);
    until(&store, |state| state.fault.is_none()).await;
    let retracted = store.retract(places).await.unwrap().0;
    assert!(retracted.len() >= ids.len());
    store.close().await;
}

/// Changes on the disk under a running node, where the engine checks nothing: told, and never served.
#[tokio::test]
async fn damage_under_a_running_store_is_told_and_makes_it_unready() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    for _ in 0..8 {
        let long =
            |_| NewSentence { id: clock::new_id(), author: "Ana".into(), sentence: "right ".repeat(400) };
        store.insert((0..400).map(long).map(Into::into).collect(), Pass::unfenced()).await.unwrap();
    }
    let file = File::options().read(true).write(true).open(dir.path().join(FILE_NAME)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    // Every text, so that no cache of pages hides it.
    for at in places_of(&bytes, b"right right") {
        file.write_all_at(b"w", at as u64).unwrap();
    }
    let mut pages = store.list(Query::default());
    let mut ended = None;
    while let Some(page) = pages.recv().await {
        match page {
            Ok(page) => assert!(page.iter().all(|document| !document.sentence.contains('w'))),
            Err(error) => ended = Some(error),
        }
    }
    assert!(matches!(ended, Some(StoreError::Damaged(_))), "{ended:?}");
    let state = until(&store, |state| state.fault.is_some()).await;
    assert!(state.fault.unwrap().starts_with("stored data is damaged: document "));
    store.close().await;
    drop(store);
    let refused = EmbeddedStore::open(dir.path()).map(drop).unwrap_err();
    assert!(refused.remedy.contains("balanza-backend salvage"), "{refused}");
}

fn places_of(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let found = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    found.map(|(at, _)| at).collect()
}
