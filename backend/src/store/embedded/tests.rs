//! What the embedded store does when the disk fails, on a disk that fails when it is told to.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::FileBackend;
use wire::NewSentence;

use super::*;
use crate::clock;
use crate::store::Outcome;

/// A file on a disk that can be full.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> Result<(), Error> {
        if self.full.load(Ordering::SeqCst) { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
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
    let full = Arc::new(AtomicBool::new(false));
    let (opened, shared) = (path.clone(), Arc::clone(&full));
    let opener: Opener = Box::new(move || {
        let file =
            std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&opened)?;
        let disk = Disk { file: FileBackend::new(file)?, full: Arc::clone(&shared) };
        Builder::new().create_with_backend(disk)
    });
    let store = EmbeddedStore::with_opener(opener).unwrap();
    let stored = sentence();
    let id = stored[0].sentence.id;
    store.insert(stored).await.unwrap();

    full.store(true, Ordering::SeqCst);
    let refused = store.insert(sentence()).await.unwrap_err();
    let StoreError::Unavailable { reason, .. } = &refused else { panic!("{refused}") };
    assert_eq!(reason, "the disk is full");
    let state = until(&store, |state| state.fault.is_some()).await;
    assert_eq!(state.tally.documents, 1, "what was refused does not count");
    // Every attempt meanwhile is told the reason, and none is in doubt.
    let again = store.insert(sentence()).await.unwrap_err();
    assert!(matches!(again, StoreError::Unavailable { ambiguous: false, .. }), "{again}");

    full.store(false, Ordering::SeqCst);
    until(&store, |state| state.fault.is_none()).await;
    let receipt = store.insert(sentence()).await.unwrap();
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
    assert_eq!(store.insert(sentence()).await.unwrap_err(), StoreError::Busy);
    drop(whole);
    assert_eq!(store.insert(sentence()).await.unwrap().tally.documents, 1);
    // The room is given back with the answer.
    assert_eq!(store.room.available_permits(), MAX_QUEUED_BYTES);
    store.close().await;
}
