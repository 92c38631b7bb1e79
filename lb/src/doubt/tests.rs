//! What is in doubt, from the first move to the last copy taken back, and what a journal brings back.

use proptest::prelude::*;
use wire::StoreId;

use super::*;

fn id(n: u128) -> SentenceId {
    SentenceId(uuid::Uuid::from_u128(n))
}

fn store(n: u128) -> StoreId {
    StoreId(uuid::Uuid::from_u128(n))
}

fn at(micros: i64) -> Date {
    Date::from_unix_micros(micros)
}

/// Three places with stores, and one of a node that was never heard.
fn places() -> (Homes, [Home; 4]) {
    let mut homes = Homes::default();
    let [a, b, c] = [(1, "A"), (2, "B"), (3, "C")].map(|(n, node)| homes.of_store(store(n), node));
    let unheard = homes.of_node("D");
    (homes, [a, b, c, unheard])
}

#[test]
fn a_sentence_is_in_doubt_until_all_its_places_but_one_are_out() {
    let (_, [a, b, c, _]) = places();
    let mut doubt = Doubt::default();
    doubt.sent(id(1), &[a], b, at(5));
    assert_eq!((doubt.len(), doubt.count(a), doubt.count(b), doubt.since(a)), (1, 1, 1, Some(at(5))));
    assert_eq!(doubt.at_rest(id(1)), None, "a post of it is under way");
    assert!(!doubt.settle(id(1), &[a, b], &[b]), "so nothing about it is final");
    doubt.sent(id(1), &[b], c, at(6));
    doubt.ended(id(1));
    assert!(doubt.take_due(9).is_empty());
    doubt.ended(id(1));
    assert_eq!(doubt.take_due(9), [id(1)]);
    assert_eq!(doubt.homes(id(1)).collect::<Vec<_>>(), [c, b, a], "where it was sent last comes first");
    assert!(!doubt.settle(id(1), &[a, b], &[b]), "an answer about other places is none about these");
    assert!(doubt.settle(id(1), &[a, b, c], &[a, c]));
    assert_eq!((doubt.count(a), doubt.count(b), doubt.count(c)), (1, 0, 1));
    assert!(doubt.settle(id(1), &[a, c], &[c]));
    assert_eq!((doubt.len(), doubt.count(c), doubt.since(c)), (0, 0, None));
}

#[test]
fn what_was_not_sent_after_all_is_asked_for_all_the_same() {
    let (_, [a, b, c, _]) = places();
    let mut doubt = Doubt::default();
    // It goes back to where it was, and by another post it may have arrived there.
    doubt.sent(id(1), &[a], b, at(5));
    doubt.handed_in(id(1));
    doubt.sent(id(1), &[b], a, at(5));
    doubt.handed_in(id(1));
    assert_eq!(doubt.withdraw(id(1)), Some(b));
    assert!(doubt.is_unwritten(id(1)) && doubt.take_due(9).is_empty());
    assert_eq!(doubt.withdraw(id(1)), Some(b));
    assert_eq!(doubt.take_due(9), [id(1)]);
    assert_eq!(doubt.at_rest(id(1)), Some([b, a].as_slice()));
    assert!(doubt.is_unwritten(id(1)), "a repeat must be written down first");
    doubt.sent(id(1), &[a], c, at(6));
    doubt.handed_in(id(1));
    assert!(doubt.is_unwritten(id(1)));
    doubt.written(id(1));
    assert!(!doubt.is_unwritten(id(1)), "a record says all that was known by then");
    assert_eq!(doubt.homes(id(1)).collect::<Vec<_>>(), [c, a, b]);
}

#[test]
fn a_node_that_is_heard_at_last_is_the_place_that_was_meant() {
    let (_, [a, b, _, unheard]) = places();
    let mut doubt = Doubt::default();
    doubt.sent(id(1), &[unheard], b, at(5));
    doubt.sent(id(2), &[unheard], a, at(5));
    for n in [1, 2] {
        doubt.ended(id(n));
    }
    assert_eq!(doubt.take_due(9).len(), 2);
    assert_eq!(doubt.rename(unheard, a), [id(1), id(2)]);
    assert_eq!(doubt.homes(id(1)).collect::<Vec<_>>(), [b, a]);
    assert_eq!(doubt.take_due(9), [id(2)], "the two places of one are one");
    assert_eq!((doubt.count(unheard), doubt.count(a)), (0, 2));
}

#[test]
fn a_record_that_is_cut_or_of_another_version_is_refused() {
    let (homes, [a, b, ..]) = places();
    let mut doubt = Doubt::default();
    doubt.sent(id(1), &[a], b, at(5));
    let record = doubt.record(&[id(1)], &homes);
    for length in 0..record.len() {
        let mut cut = Doubt::default();
        let read = cut.replay(&record[..length], &mut Homes::default());
        // A record may end behind its places: then it speaks of no sentence.
        assert!(read.is_err() || cut.len() == 0, "{length}");
    }
    let mut other = record.clone();
    other[0] = 9;
    let refused = Doubt::default().replay(&other, &mut Homes::default()).unwrap_err();
    assert!(refused.to_string().contains("its version is another one"), "{refused}");
}

/// Sends, ends and settlings of a few sentences, as numbers.
fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8, u8)>> {
    proptest::collection::vec((0..3u8, 0..4u8, 0..4u8, 0..3u8), 0..40)
}

proptest! {
    #[test]
    fn a_journal_brings_back_how_everything_stood(steps in steps()) {
        let (homes, places) = places();
        let mut doubt = Doubt::default();
        let mut journal = Vec::new();
        for (what, sentence, first, second) in steps {
            let id = id(u128::from(sentence));
            let (left, to) = (places[usize::from(first)], places[usize::from(second)]);
            match what {
                0 if left != to => doubt.sent(id, &[left], to, at(i64::from(first))),
                1 => doubt.ended(id),
                _ => {
                    let Some(asked) = doubt.at_rest(id).map(<[Home]>::to_vec) else { continue };
                    doubt.settle(id, &asked, &asked[..usize::from(second).min(asked.len())]);
                }
            }
            journal.push(doubt.record(&[id], &homes));
        }
        for records in [journal, doubt.records(&homes)] {
            let (mut again, mut names) = (Doubt::default(), Homes::default());
            for record in records {
                again.replay(&record, &mut names).unwrap();
            }
            prop_assert_eq!(again.len(), doubt.len());
            for n in 0..4 {
                let told = |doubt: &Doubt, homes: &Homes| {
                    let of = doubt.homes(id(n)).map(|home| homes.name(home).cloned());
                    of.collect::<Vec<_>>()
                };
                prop_assert_eq!(told(&again, &names), told(&doubt, &homes));
            }
            for home in places {
                let same = names.of(homes.name(home).unwrap());
                prop_assert_eq!(again.count(same), doubt.count(home));
            }
        }
    }

    #[test]
    fn of_all_copies_one_stays_whoever_judges_and_whatever_each_can_see(
        copies in proptest::collection::vec(proptest::option::of(0..3i64), 3),
        seen in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 3), 1..4),
    ) {
        let (_, places) = places();
        let mut held: Vec<Option<Date>> = copies.iter().map(|date| date.map(at)).collect();
        let were_any = held.iter().any(Option::is_some);
        // Every judge sees some places as they were at the beginning, and all take back what they think they may.
        let mut taken_back = Vec::new();
        for seen in seen {
            let answers: Vec<(Home, Answer)> = (0..3).map(|n| {
                let answer = match held[n] {
                    _ if !seen[n] => Answer::Away,
                    None => Answer::HoldsNone,
                    Some(date) => Answer::Holds(date, store(n as u128 + 1)),
                };
                (places[n], answer)
            }).collect();
            let verdict = judge(&answers);
            prop_assert!(verdict.taken_back.iter().all(|(home, _)| verdict.kept != Some(*home)));
            let away = answers.iter().filter(|(_, answer)| *answer == Answer::Away).count();
            prop_assert_eq!(verdict.rest.len(), away + usize::from(verdict.kept.is_some()));
            taken_back.extend(verdict.taken_back);
        }
        for (home, date) in taken_back {
            let n = places.iter().position(|place| *place == home).unwrap();
            prop_assert_eq!(copies[n].map(at), Some(date));
            held[n] = None;
        }
        prop_assert_eq!(held.iter().any(Option::is_some), were_any, "the last copy was taken back");
    }
}
