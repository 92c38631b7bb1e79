//! What the embedded store does when the disk fails, on a disk that fails when it is told to.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Condvar;
use redb::StorageBackend;
use redb::backends::FileBackend;
use wire::NewSentence;

use super::*;
use crate::clock;
use crate::fence::{Fence, Pass};
use crate::store::Outcome;

/// What a test does to a disk.
#[derive(Debug, Default)]
struct Fate {
    full: AtomicBool,
    /// Whether a sync waits.
    held: parking_lot::Mutex<bool>,
    released: Condvar,
}

impl Fate {
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
    let (path, fate) = (path.to_owned(), Arc::clone(fate));
    let opener: Opener = Box::new(move || {
        let file =
            std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let disk = Disk { file: FileBackend::new(file)?, fate: Arc::clone(&fate) };
        Builder::new().create_with_backend(disk)
    });
    EmbeddedStore::with_opener(opener).unwrap()
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
        let mut held = self.fate.held.lock();
        self.fate.released.wait_while(&mut held, |held| *held);
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

/// A commit that failed may have reached the disk, which only the next opening tells: so long the fence is not through.
#[tokio::test]
async fn a_fence_waits_until_it_is_known_what_a_failed_commit_has_stored() {
    let dir = tempfile::tempdir().unwrap();
    let fate = Arc::<Fate>::default();
    let store = store_on(&dir.path().join(FILE_NAME), &fate);
    let fence = Fence::new(7);
    fate.full.store(true, Ordering::SeqCst);
    let failed = store.insert(sentence(), fence.enter(Some(7)).unwrap()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable { ambiguous: true, .. }), "{failed}");
    let mut raised = Box::pin(fence.raise());
    assert_eq!(futures_util::poll!(&mut raised), Poll::Pending);
    fate.full.store(false, Ordering::SeqCst);
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), raised).await, Ok(8));
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

/// A store of before there were identities gets one, once.
#[tokio::test]
async fn a_store_without_an_identity_gets_one_at_its_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let first = store.id();
    store.insert(sentence(), Pass::unfenced()).await.unwrap();
    store.close().await;
    let database = Database::open(dir.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let identity = redb::TableDefinition::<(), &[u8; 16]>::new("identity");
    assert!(transaction.delete_table(identity).unwrap());
    transaction.commit().unwrap();
    drop(database);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let store = EmbeddedStore::open(dir.path()).unwrap();
        assert_eq!(store.state().borrow().tally.documents, 1);
        ids.push(store.id());
        store.close().await;
    }
    assert!(ids[0] == ids[1] && ids[0] != first, "{ids:?}");
}
