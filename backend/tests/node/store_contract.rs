//! What every store promises, asked of each of them in the same words.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use backend::config::StoreChoice;
use backend::fence::{Fence, Pass};
use backend::open_store;
use backend::store::{Entry, Outcome, Place, Query, Store, StoreError};
use wire::{Date, NewSentence, SentenceId, StoredSentence};

use crate::support::{self, id};

/// A place for one store, which can be opened again and again.
struct Bench {
    choice: StoreChoice,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn embedded() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        Some(Self { choice: StoreChoice::Embedded(dir.path().to_owned()), _dir: dir })
    }

    fn mongo() -> Option<Self> {
        let uri = format!("{}/contract", support::mongo()?);
        let collection = format!("c{}", id().0.simple());
        Some(Self { choice: StoreChoice::Mongo { uri, collection }, _dir: tempfile::tempdir().unwrap() })
    }

    async fn open(&self) -> Arc<dyn Store> {
        open_store(&self.choice).await.unwrap().0
    }
}

/// Makes of each promise a test per store.
macro_rules! promises {
    ($($promise:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $promise() {
                if let Some(bench) = super::Bench::embedded() { super::$promise(bench).await }
            })*
        }
        mod mongo {
            $(#[tokio::test] async fn $promise() {
                if let Some(bench) = super::Bench::mongo() { super::$promise(bench).await }
            })*
        }
    };
}

promises!(
    a_sentence_is_stored_once_under_its_id,
    one_of_many_at_once_stores_an_id,
    documents_are_listed_by_date_then_id,
    a_long_listing_comes_in_order_and_whole,
    a_node_gives_every_document_its_own_date,
    any_text_comes_back_as_it_was,
    a_deleted_document_is_gone,
    what_was_answered_is_there_after_reopening,
    the_count_and_the_revision_tell_the_same_story,
    a_closed_store_takes_nothing,
    a_store_keeps_its_identity_and_shares_it_with_no_other,
    places_are_told_in_order_and_page_by_page,
    only_the_very_copy_is_taken_back,
    a_pass_is_given_back_with_the_answer,
);

fn sentence(id: SentenceId, author: &str, text: &str) -> Entry {
    NewSentence { id, author: author.to_owned(), sentence: text.to_owned() }.into()
}

fn dated(micros: i64, id: u128, author: &str) -> Entry {
    let id = SentenceId(uuid::Uuid::from_u128(id));
    Entry { date: Some(Date::from_unix_micros(micros)), ..sentence(id, author, "text") }
}

async fn all(store: &dyn Store, query: Query) -> Vec<StoredSentence> {
    let mut pages = store.list(query);
    let mut documents = Vec::new();
    while let Some(page) = pages.recv().await {
        documents.extend(page.unwrap());
    }
    documents
}

async fn a_sentence_is_stored_once_under_its_id(bench: Bench) {
    let store = bench.open().await;
    let (one, two) = (id(), id());
    let entries = vec![
        sentence(one, "Ana", "first"),
        sentence(two, "Eva", "second"),
        sentence(one, "Bob", "repeated in the same insert"),
    ];
    let receipt = store.insert(entries, Pass::unfenced()).await.unwrap();
    assert_eq!(receipt.tally.documents, 2);
    let [Outcome::Stored(date), Outcome::Stored(_), Outcome::Duplicate(first)] = &receipt.outcomes[..] else {
        panic!("{:?}", receipt.outcomes)
    };
    assert_eq!((first.author.as_str(), first.date), ("Ana", *date));

    let again = store.insert(vec![sentence(one, "Bob", "later")], Pass::unfenced()).await.unwrap();
    assert_eq!(again.outcomes, [Outcome::Duplicate(first.clone())]);
    assert_eq!(again.tally, receipt.tally, "a duplicate changes nothing");
    assert_eq!(store.get(one).await.unwrap().as_ref(), Some(first));
    assert_eq!(store.get(id()).await.unwrap(), None);
    store.close().await;
}

async fn one_of_many_at_once_stores_an_id(bench: Bench) {
    let store = bench.open().await;
    let id = id();
    let posts: Vec<_> = (0..32)
        .map(|number| store.insert(vec![sentence(id, &format!("User{number}"), "same id")], Pass::unfenced()))
        .collect();
    let posts: Vec<_> = posts.into_iter().map(tokio::spawn).collect();
    let mut stored = 0;
    for post in posts {
        let receipt = post.await.unwrap().unwrap();
        stored += receipt.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Stored(_))).count();
    }
    assert_eq!(stored, 1);
    assert_eq!(all(&*store, Query::default()).await.len(), 1);
    store.close().await;
}

async fn documents_are_listed_by_date_then_id(bench: Bench) {
    let store = bench.open().await;
    let entries = vec![
        dated(2_000_001, 7, "Ana"),
        dated(2_000_000, 9, "Eva"),
        dated(-5, 1, "Ana"),
        dated(2_000_001, 3, "Ana"),
        dated(1_000, u128::MAX, "Eva"),
        dated(1_000, 0, "Ana"),
    ];
    store.insert(entries, Pass::unfenced()).await.unwrap();
    let told = |documents: &[StoredSentence]| -> Vec<(i64, u128)> {
        documents.iter().map(|it| (it.date.unix_micros(), it.id.unwrap().0.as_u128())).collect()
    };
    let listed = all(&*store, Query::default()).await;
    let expected = [(-5, 1), (1_000, 0), (1_000, u128::MAX), (2_000_000, 9), (2_000_001, 3), (2_000_001, 7)];
    assert_eq!(told(&listed), expected);

    let ana = Some("Ana".to_owned());
    let of_ana = all(&*store, Query { author: ana.clone(), ..Query::default() }).await;
    assert_eq!(told(&of_ana), [(-5, 1), (1_000, 0), (2_000_001, 3), (2_000_001, 7)]);
    let none = Query { author: Some("An".to_owned()), ..Query::default() };
    assert_eq!(all(&*store, none).await, []);

    // Every cut of the list continues where it was cut.
    for (index, document) in listed.iter().enumerate() {
        let after = Place::of(document);
        let rest = all(&*store, Query { after, ..Query::default() }).await;
        assert_eq!(rest, listed[index + 1..]);
        let one = all(&*store, Query { after, limit: Some(1), ..Query::default() }).await;
        assert_eq!(one, listed[index + 1..].iter().take(1).cloned().collect::<Vec<_>>());
        let rest = all(&*store, Query { after, author: ana.clone(), limit: None }).await;
        let expected: Vec<_> = listed[index + 1..].iter().filter(|it| it.author == "Ana").cloned().collect();
        assert_eq!(rest, expected);
    }
    store.close().await;
}

async fn a_long_listing_comes_in_order_and_whole(bench: Bench) {
    let store = bench.open().await;
    let ids: Vec<_> = (0..1_500).map(|_| id()).collect();
    for part in ids.chunks(500) {
        let entries = part.iter().map(|id| sentence(*id, "Ana", "one of many")).collect();
        store.insert(entries, Pass::unfenced()).await.unwrap();
    }
    let listed = all(&*store, Query::default()).await;
    assert_eq!(listed.iter().map(|it| it.id.unwrap()).collect::<Vec<_>>(), ids);
    let some = all(&*store, Query { limit: Some(1_100), ..Query::default() }).await;
    assert_eq!(some, listed[..1_100]);
    store.close().await;
}

async fn a_node_gives_every_document_its_own_date(bench: Bench) {
    let store = bench.open().await;
    let inserts: Vec<_> = (0..8)
        .map(|_| store.insert((0..50).map(|_| sentence(id(), "Ana", "text")).collect(), Pass::unfenced()))
        .collect();
    let inserts: Vec<_> = inserts.into_iter().map(tokio::spawn).collect();
    let mut dates = HashSet::new();
    for insert in inserts {
        let outcomes = insert.await.unwrap().unwrap().outcomes;
        let own: Vec<Date> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Stored(date) => *date,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(own.is_sorted(), "one insert keeps its order");
        dates.extend(own);
    }
    assert_eq!(dates.len(), 400);
    store.close().await;
}

async fn any_text_comes_back_as_it_was(bench: Bench) {
    let store = bench.open().await;
    let texts = [
        "Qué tal, \"señor\"?\n\t\\".to_owned(),
        "zero \0 byte".to_owned(),
        "$where: {a.b: 1}".to_owned(),
        "🦀\u{202e}\u{feff}".to_owned(),
        "x".repeat(wire::contract::MAX_SENTENCE_BYTES),
    ];
    for text in texts {
        let (id, author) = (id(), text.chars().take(60).collect::<String>());
        store.insert(vec![sentence(id, &author, &text)], Pass::unfenced()).await.unwrap();
        let stored = store.get(id).await.unwrap().unwrap();
        assert_eq!((stored.author, stored.sentence), (author.clone(), text));
        let listed = all(&*store, Query { author: Some(author), ..Query::default() }).await;
        assert_eq!(listed.len(), 1);
    }
    store.close().await;
}

async fn a_deleted_document_is_gone(bench: Bench) {
    let store = bench.open().await;
    let (gone, kept) = (id(), id());
    let before = store
        .insert(vec![sentence(gone, "Ana", "a"), sentence(kept, "Ana", "b")], Pass::unfenced())
        .await
        .unwrap()
        .tally;
    let (deleted, after) = store.delete(gone).await.unwrap();
    assert!(deleted && after.documents == 1 && after.revision > before.revision);
    assert_eq!(store.delete(gone).await.unwrap(), (false, after));
    assert_eq!(store.get(gone).await.unwrap(), None);
    let of_ana = Query { author: Some("Ana".to_owned()), ..Query::default() };
    for query in [Query::default(), of_ana] {
        let ids: Vec<_> = all(&*store, query).await.into_iter().filter_map(|it| it.id).collect();
        assert_eq!(ids, [kept]);
    }
    // The id is free again.
    let again = store.insert(vec![sentence(gone, "Ana", "c")], Pass::unfenced()).await.unwrap();
    assert!(matches!(again.outcomes[..], [Outcome::Stored(_)]));
    store.close().await;
}

async fn what_was_answered_is_there_after_reopening(bench: Bench) {
    let store = bench.open().await;
    let entries = (0..100).map(|_| sentence(id(), "Ana", "text")).collect();
    store.insert(entries, Pass::unfenced()).await.unwrap();
    let before = all(&*store, Query::default()).await;
    store.close().await;
    drop(store);

    let store = bench.open().await;
    let tally = store.state().borrow().tally;
    assert_eq!((tally.documents, tally.revision), (100, 0), "a new run counts its own changes");
    assert_eq!(all(&*store, Query::default()).await, before);
    let receipt = store.insert(vec![sentence(id(), "Ana", "later")], Pass::unfenced()).await.unwrap();
    let [Outcome::Stored(date)] = receipt.outcomes[..] else { panic!("{:?}", receipt.outcomes) };
    assert!(before.iter().all(|it| it.date < date));
    store.close().await;
}

/// A state with revision R counts exactly the sentences whose inserts were answered with a revision up to R.
async fn the_count_and_the_revision_tell_the_same_story(bench: Bench) {
    let store = bench.open().await;
    let mut state = store.state();
    let watcher = tokio::spawn(async move {
        let mut seen = vec![state.borrow().tally];
        while state.changed().await.is_ok() {
            seen.push(state.borrow_and_update().tally);
        }
        seen
    });
    let clients = (0..16u64).map(|client| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for round in 0..12u64 {
                let size = 1 + (client * 7 + round * 3) % 9;
                let entries = (0..size).map(|_| sentence(id(), "Ana", "text")).collect();
                let receipt = store.insert(entries, Pass::unfenced()).await.unwrap();
                answers.push((receipt.tally, size));
            }
            answers
        })
    });
    let mut added: BTreeMap<u64, u64> = BTreeMap::new();
    let mut told = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        for (tally, size) in client.await.unwrap() {
            *added.entry(tally.revision).or_default() += size;
            told.push(tally);
        }
    }
    store.close().await;
    drop(store);
    told.extend(watcher.await.unwrap());
    for tally in told {
        let counted: u64 = added.range(..=tally.revision).map(|(_, size)| size).sum();
        assert_eq!(counted, tally.documents, "at revision {}", tally.revision);
    }
}

async fn a_closed_store_takes_nothing(bench: Bench) {
    let store = bench.open().await;
    store.close().await;
    let refused = store.insert(vec![sentence(id(), "Ana", "late")], Pass::unfenced()).await.unwrap_err();
    assert_eq!(refused, StoreError::Closed);
}

async fn a_store_keeps_its_identity_and_shares_it_with_no_other(bench: Bench) {
    let store = bench.open().await;
    let identity = store.id();
    assert!(!identity.0.is_nil());
    store.insert(vec![sentence(id(), "Ana", "text")], Pass::unfenced()).await.unwrap();
    store.close().await;
    drop(store);

    let store = bench.open().await;
    assert_eq!(store.id(), identity);
    assert_eq!(all(&*store, Query::default()).await.len(), 1, "an identity is no sentence");
    let exported = {
        let mut out = Vec::new();
        backend::transfer::write_all(&*store, &mut out).await.unwrap();
        out
    };
    store.close().await;

    let other = Bench::embedded().unwrap();
    let copy = other.open().await;
    backend::transfer::read_all(&copy, &exported[..]).await.unwrap();
    assert_eq!(copy.state().borrow().tally.documents, 1);
    assert_ne!(copy.id(), identity, "sentences move without the identity of where they were");
    copy.close().await;
}

/// Two processes that open a new collection at the same moment are no two stores.
#[tokio::test]
async fn all_who_open_a_new_collection_at_once_agree_on_its_identity() {
    for _ in 0..4 {
        let Some(bench) = Bench::mongo() else { return };
        let opened = futures_util::future::join_all((0..8).map(|_| bench.open())).await;
        let identities = opened.iter().map(|store| store.id()).collect::<HashSet<_>>();
        assert_eq!(identities.len(), 1, "{identities:?}");
        for store in opened {
            store.close().await;
        }
    }
}

async fn places_are_told_in_order_and_page_by_page(bench: Bench) {
    let store = bench.open().await;
    let entries = vec![
        dated(2_000_001, 7, "Ana"),
        dated(-5, 1, "Ana"),
        dated(2_000_001, 3, "Ana"),
        dated(1_000, u128::MAX, "Eva"),
        dated(i64::MAX, 4, "Eva"),
        dated(i64::MIN, 5, "Eva"),
        dated(1_000, 0, "Ana"),
    ];
    store.insert(entries, Pass::unfenced()).await.unwrap();
    let listed: Vec<_> = all(&*store, Query::default()).await.iter().filter_map(Place::of).collect();
    assert_eq!((listed.len(), listed.is_sorted()), (7, true));
    assert_eq!(store.places(None, 10_000).await.unwrap(), listed);
    for (index, place) in listed.iter().enumerate() {
        assert_eq!(store.places(Some(*place), 10_000).await.unwrap(), listed[index + 1..]);
        assert_eq!(store.places(None, index).await.unwrap(), listed[..index]);
    }
    let unknown = (0..3).map(|_| id());
    let asked = unknown.chain(listed.iter().skip(2).map(|place| place.id)).collect();
    let mut held = store.held(asked).await.unwrap();
    held.sort_unstable();
    assert_eq!(held, listed[2..]);
    assert_eq!(store.held(Vec::new()).await.unwrap(), []);
    store.close().await;
}

async fn only_the_very_copy_is_taken_back(bench: Bench) {
    let store = bench.open().await;
    let entries = (0..40).map(|_| sentence(id(), "Ana", "text")).collect();
    store.insert(entries, Pass::unfenced()).await.unwrap();
    let stored = store.places(None, 100).await.unwrap();
    let before = store.state().borrow().tally;
    let other_date =
        |place: &Place| Place { date: Date::from_unix_micros(place.date.unix_micros() - 1), ..*place };

    let wrong = stored.iter().map(other_date).collect::<Vec<_>>();
    assert_eq!(store.retract(wrong.clone()).await.unwrap(), (vec![], before), "another copy is not this one");
    let nowhere = Place { id: id(), ..stored[0] };
    let asked = [&wrong[..20], &stored[20..], &[nowhere, stored[30]]].concat();
    let (mut gone, after) = store.retract(asked.clone()).await.unwrap();
    gone.sort_unstable();
    let mut expected = stored[20..].iter().map(|place| place.id).collect::<Vec<_>>();
    expected.sort_unstable();
    assert_eq!((gone, after.documents), (expected, 20));
    assert!(after.revision > before.revision);
    assert_eq!(store.retract(asked).await.unwrap(), (vec![], after), "a repeat finds nothing more");
    store.close().await;
    drop(store);

    let store = bench.open().await;
    assert_eq!(store.state().borrow().tally.documents, 20);
    assert_eq!(store.places(None, 100).await.unwrap(), stored[..20], "what was answered is durable");
    let of_ana = Query { author: Some("Ana".to_owned()), ..Query::default() };
    assert_eq!(all(&*store, of_ana).await.len(), 20);
    // The id is free again, and the new copy is another one.
    let again = Entry { date: None, ..sentence(stored[30].id, "Ana", "again") };
    store.insert(vec![again], Pass::unfenced()).await.unwrap();
    assert_eq!(store.retract(vec![stored[30]]).await.unwrap().0, []);
    assert_eq!(store.held(vec![stored[30].id]).await.unwrap().len(), 1);
    store.close().await;
}

async fn a_pass_is_given_back_with_the_answer(bench: Bench) {
    let store = bench.open().await;
    let fence = Fence::new(1);
    for _ in 0..20 {
        let pass = fence.enter(None).unwrap();
        store.insert(vec![sentence(id(), "Ana", "text")], pass).await.unwrap();
        let raised = tokio::time::timeout(support::DEADLINE, fence.raise()).await;
        assert_eq!(raised, Ok(fence.number()));
    }
    store.close().await;
}
