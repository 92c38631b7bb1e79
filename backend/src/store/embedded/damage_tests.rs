//! Random damage of a store's file, over many seeds: it is refused with a remedy, or served whole; never anything between,
//! and never a panic. What is salvaged is true.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wire::NewSentence;

use super::*;

/// A store's files and what is in them.
struct Stored {
    file: Vec<u8>,
    witness: Vec<u8>,
    documents: HashMap<SentenceId, StoredSentence>,
    /// Those that were taken back.
    gone: HashMap<SentenceId, StoredSentence>,
}

impl Stored {
    /// Two dozen documents from each of some commits, texts of one page and of many, some deleted. `closed` in order, or as a
    /// kill leaves it.
    fn new(closed: bool, rounds: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = EmbeddedStore::open(dir.path()).unwrap();
            let mut gone = HashMap::new();
            for round in 0..rounds {
                let entries = (0..24usize).map(|number| {
                    let length = if (round + number).is_multiple_of(40) { 20_000 } else { 20 + 13 * number };
                    let (author, sentence) = (format!("User{}", number % 5), "text ".repeat(length / 5));
                    NewSentence { id: clock::new_id(), author, sentence }.into()
                });
                store.insert(entries.collect(), Pass::unfenced()).await.unwrap();
                gone.extend(all(&store).await.unwrap());
                let places = store.places(None, 10_000).await.unwrap();
                store.retract(places.into_iter().skip(3 * round).step_by(50).collect()).await.unwrap();
            }
            let documents = all(&store).await.unwrap();
            let read = || {
                let path = dir.path().join(FILE_NAME);
                (std::fs::read(&path).unwrap(), std::fs::read(witness::path_of(&path)).unwrap())
            };
            let killed = read();
            store.close().await;
            drop(store);
            let (file, witness) = if closed { read() } else { killed };
            gone.retain(|id, _| !documents.contains_key(id));
            Self { file, witness, documents, gone }
        })
    }
}

async fn all(store: &EmbeddedStore) -> Result<HashMap<SentenceId, StoredSentence>, StoreError> {
    let mut documents = HashMap::new();
    let mut pages = store.list(Query::default());
    while let Some(page) = pages.recv().await {
        documents.extend(page?.into_iter().map(|document| (document.id.unwrap(), document)));
    }
    Ok(documents)
}

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

/// Damages the file as the seed says, and tells how.
fn damage(file: &mut Vec<u8>, seed: u64) -> String {
    let mut numbers = Numbers(seed);
    for _ in 0..8 {
        numbers.below(1);
    }
    let length = file.len();
    match numbers.below(8) {
        0 => {
            let at = numbers.below(length);
            file.truncate(at);
            format!("cut to {at}")
        }
        1 => {
            let pages = 1 + numbers.below(3);
            let first = numbers.below(length / 4096);
            let end = length.min((first + pages) * 4096);
            file[first * 4096..end].fill(0);
            format!("{pages} zero pages from {first}")
        }
        2 => {
            let at = numbers.below(320);
            file[at] ^= 1 << numbers.below(8);
            format!("a bit of byte {at} of the head")
        }
        3 => {
            let slot = 64 + 128 * numbers.below(2);
            let at = slot + numbers.below(128);
            file[at] = file[at].wrapping_add(1 + u8::try_from(numbers.below(255)).unwrap());
            format!("byte {at} of a commit's mark")
        }
        4 => {
            let (from, to) = (4096 * numbers.below(length / 4096), 4096 * numbers.below(length / 4096));
            let page = file[from..from + 4096].to_vec();
            file[to..to + 4096].copy_from_slice(&page);
            format!("the page at {from} over that at {to}")
        }
        5 => {
            let more = numbers.below(3) * 4096 + numbers.below(2);
            file.resize(length + more, 0);
            let at = numbers.below(length);
            file[at] ^= 0x10;
            format!("{more} bytes more, and a bit of byte {at}")
        }
        _ => {
            let flips = 1 + numbers.below(12);
            for _ in 0..flips {
                let at = numbers.below(length);
                file[at] ^= 1 << numbers.below(8);
            }
            format!("{flips} bits")
        }
    }
}

/// Opens the damaged store and says what came of it: whether it was served.
fn serve(stored: &Stored, file: &[u8], how: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, file).unwrap();
    std::fs::write(witness::path_of(&path), &stored.witness).unwrap();

    let mut salvaged = Vec::new();
    let told = catch_unwind(AssertUnwindSafe(|| salvage(dir.path(), |document| salvaged.push(document))));
    let told = told.unwrap_or_else(|_| panic!("{how}: salvaging panics"));
    let is_older =
        |told: &Salvaged| told.damages.iter().any(|damage| damage.starts_with("the newest commit, "));
    let older = told.as_ref().is_ok_and(is_older);
    for document in &salvaged {
        let id = document.id.unwrap();
        // What is told to be older may have what was taken back since.
        let known = stored.documents.get(&id).or(stored.gone.get(&id).filter(|_| older));
        assert_eq!(known, Some(document), "{how}: what is salvaged is not what was stored");
    }
    if let Ok(Salvaged { lost: Some(lost), documents, .. }) = &told {
        assert_eq!(*documents, salvaged.len() as u64);
        let whole = documents + lost == stored.documents.len() as u64;
        assert!(whole || older, "{how}: {told:?}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), file, "{how}: salvaging changes the file");

    let served = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = EmbeddedStore::open(dir.path())?;
            let documents = all(&store).await;
            assert_eq!(documents.as_ref(), Ok(&stored.documents), "{how}: not all is served");
            let entry = NewSentence { id: clock::new_id(), author: "Ana".into(), sentence: "later".into() };
            store.insert(vec![entry.into()], Pass::unfenced()).await.unwrap();
            store.close().await;
            Ok::<_, OpenError>(())
        })
    }));
    match served.unwrap_or_else(|_| panic!("{how}: the store panics")) {
        Ok(()) => {
            assert_eq!(salvaged.len(), stored.documents.len(), "{how}: served, and not all can be salvaged");
            assert_eq!(verify(dir.path()).unwrap().documents, stored.documents.len() as u64 + 1, "{how}");
            true
        }
        Err(refused) => {
            assert!(refused.remedy.contains("balanza-backend salvage"), "{how}: {refused}");
            assert!(refused.problem.contains(path.to_str().unwrap()), "{how}: {refused}");
            assert_eq!(std::fs::read(&path).unwrap(), file, "{how}: refused, and still changed");
            false
        }
    }
}

#[test]
fn damage_is_refused_or_does_no_harm() {
    for closed in [true, false] {
        let stored = Stored::new(closed, 24);
        assert!(serve(&stored, &stored.file, "no damage"));
        let mut n_served = 0;
        for seed in 0..200 {
            let mut file = stored.file.clone();
            let how = damage(&mut file, seed);
            n_served += usize::from(serve(&stored, &file, &format!("seed {seed}, closed {closed}: {how}")));
        }
        assert!((5..195).contains(&n_served), "{n_served} of 200 served: the damages miss, or all hit");
    }
}

/// Each byte of the head and of both commits' marks, one after the other.
#[test]
fn no_byte_of_the_head_does_harm() {
    for closed in [true, false] {
        let stored = Stored::new(closed, 4);
        for at in 0..pages::HEAD_BYTES {
            let mut file = stored.file.clone();
            file[at] ^= 1 << (at % 8);
            serve(&stored, &file, &format!("closed {closed}: byte {at}"));
        }
    }
}
