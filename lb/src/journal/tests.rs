//! A journal in a real directory, from one run of the process to the next. What its files look like is the log's.

use tempfile::TempDir;
use wire::{Date, SentenceId, StoreId};

use super::*;
use crate::homes::Homes;
use crate::made_up::{World, in_real_time};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The journal in `folder` as the next run finds it.
fn open(folder: &TempDir) -> (Journal, Vec<Vec<u8>>) {
    Journal::open(Some(folder.path())).unwrap()
}

fn id(n: u128) -> SentenceId {
    SentenceId(uuid::Uuid::from_u128(n))
}

/// Sentences 0, 1, … `n`, each of which moved from `A` to `B`.
fn doubt(n: u128) -> (Doubt, Homes) {
    let (mut doubt, mut homes) = (Doubt::default(), Homes::default());
    let [a, b] =
        [(1, "A"), (2, "B")].map(|(n, node)| homes.of_store(StoreId(uuid::Uuid::from_u128(n)), node));
    for n in 0..n {
        doubt.sent(id(n), &[a], b, Date::from_unix_micros(5));
    }
    (doubt, homes)
}

#[test]
fn what_was_told_written_is_there_after_a_restart() {
    let folder = folder();
    let (mut doubt, homes) = doubt(2);
    let (journal, before) = open(&folder);
    assert!(before.is_empty());
    in_real_time(async {
        journal.append(doubt.record(&[id(0)], &homes)).end().await.unwrap();
        journal.append(doubt.record(&[id(1)], &homes)).end().await.unwrap();
        doubt.ended(id(0));
        let asked = doubt.at_rest(id(0)).unwrap().to_vec();
        assert!(doubt.settle(id(0), &asked, &[]));
        journal.append(doubt.record(&[id(0)], &homes)).end().await.unwrap();
    });
    drop(journal);
    let (_journal, records) = open(&folder);
    let (mut again, mut names) = (Doubt::default(), Homes::default());
    records.iter().for_each(|record| again.replay(record, &mut names).unwrap());
    let places: Vec<String> = again.homes(id(1)).map(|home| names.name(home).unwrap().node.clone()).collect();
    assert_eq!((records.len(), again.len(), places), (3, 1, vec!["B".to_owned(), "A".to_owned()]));
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let folder = folder();
    let (first, _) = open(&folder);
    let refused = Journal::open(Some(folder.path())).err().unwrap().to_string();
    let directory = folder.path().join(FOLDER);
    let expected = format!("another process uses the log in {}: ", directory.display());
    assert!(refused.starts_with(&expected), "{refused}");
    assert!(refused.ends_with("stop it, or give each its own directory"), "{refused}");
    drop(first);
    open(&folder);
}

#[test]
fn without_a_directory_everything_is_written_at_once_and_nothing_stays() {
    let (journal, records) = Journal::open(None).unwrap();
    assert!(records.is_empty());
    in_real_time(async {
        journal.append(vec![1]).end().await.unwrap();
        journal.rewrite(vec![vec![1]]).end().await.unwrap();
    });
    assert!(!journal.is_worth_compacting(&Doubt::default()));
}

#[test]
fn what_the_log_does_not_take_is_told() {
    let folder = folder();
    let (journal, _) = open(&folder);
    let told = in_real_time(journal.append(vec![0; 2 << 20]).end()).unwrap_err().to_string();
    assert!(
        told.starts_with("the in-doubt journal takes nothing: a record of 2097152 bytes is too long"),
        "{told}"
    );
}

#[test]
fn a_journal_that_speaks_mostly_of_what_is_settled_is_written_anew() {
    let folder = folder();
    in_real_time(async {
        let world = World::over(open(&folder), &["A", "B"], &[]);
        let balancer = &world.balancer;
        world.moved(id(7), "A", "B");
        for n in 0..6 {
            assert_eq!(n > 4, balancer.step(|routing| balancer.journal.is_worth_compacting(&routing.doubt)));
            balancer.journal.append(vec![n; 900_000]).end().await.unwrap();
        }
        balancer.compact_journal().await;
    });
    let (_journal, records) = open(&folder);
    let (mut again, mut homes) = (Doubt::default(), Homes::default());
    assert_eq!(records.len(), 1);
    again.replay(&records[0], &mut homes).unwrap();
    assert_eq!((again.len(), again.homes(id(7)).count()), (1, 2));
}
