//! Lists in memory, merged: their order, what of them is wanted, and what is told of a list that cannot be read.

use futures_util::{FutureExt, stream};
use proptest::prelude::*;

use super::*;

/// An element of second `second`; one of an old node has no id.
fn element(second: u32, id: Option<u32>, author: &str) -> String {
    let id = id.map(|id| format!(r#""id":"0192f0c1-2b3c-7def-8a9b-{id:012}","#)).unwrap_or_default();
    let date = format!("2026-11-23 10:{:02}:{:02}.000000", second / 60, second % 60);
    format!(r#"{{"author":"{author}","date":"{date}",{id}"sentence":"s{second}"}}"#)
}

fn place(second: u32, id: Option<u32>) -> Place {
    let order: String = element(second, id, "a");
    Place::of(&serde_json::from_str(&order).unwrap())
}

/// The list of a node that comes in pieces of so many bytes; an error may end it.
fn source(node: &str, list: &str, piece: usize, error: Option<&str>) -> Source {
    // A long list is cut less finely, or it would take long.
    let piece = piece.max(list.len() / 10_000);
    let pieces = list.as_bytes().chunks(piece).map(|bytes| Ok(Bytes::copy_from_slice(bytes)));
    let pieces = pieces.chain(error.map(|why| Err(why.to_owned())));
    Source::new(node.to_owned(), stream::iter(pieces.collect::<Vec<_>>()))
}

/// The whole array, or what is wrong, once it has been seen that all of it is written in pieces.
async fn array(mut merge: Merge) -> Result<String, String> {
    let (mut state, mut all) = (Piece::First, Vec::new());
    while let Some(piece) = merge.piece(&mut state).await.map_err(|error| error.to_string())? {
        all.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(all).unwrap())
}

/// The merged elements as `node second`, or what is wrong. They are the same however the lists are cut.
fn check(lists: &[(&str, &str)], wanted: &Wanted, expected: &str) {
    for piece in [1, 7, usize::MAX] {
        let sources = lists.iter().map(|(node, list)| source(node, list, piece, None)).collect();
        let merge = Merge::new(sources, wanted.clone());
        let told = match array(merge).now_or_never().unwrap() {
            Err(why) => why,
            Ok(array) => {
                let elements: Vec<wire::LocatedSentence> = serde_json::from_str(&array).unwrap();
                let told = elements.iter().map(|element| {
                    format!("{} {}", element.server, element.sentence.sentence.trim_start_matches('s'))
                });
                told.collect::<Vec<_>>().join(" | ")
            }
        };
        assert_eq!(told, expected, "in pieces of {piece}");
    }
}

/// A list of these seconds, by author `a` the even and `b` the odd ones.
fn list(seconds: &[u32]) -> String {
    let author = |second: u32| if second.is_multiple_of(2) { "a" } else { "b" };
    let elements: Vec<String> = seconds.iter().map(|n| element(*n, Some(*n), author(*n))).collect();
    format!("[{}]", elements.join(","))
}

#[test]
fn lists_are_merged_by_date_and_then_by_id() {
    let all = Wanted::default();
    check(&[], &all, "");
    check(&[("A", "[]"), ("B", " [ ] ")], &all, "");
    check(&[("A", &list(&[1, 4, 5])), ("B", &list(&[2, 3, 9]))], &all, "A 1 | B 2 | B 3 | A 4 | A 5 | B 9");
    check(&[("A", &list(&[7])), ("B", "[]"), ("C", &list(&[1]))], &all, "C 1 | A 7");
    let of = |id| format!("[{}]", element(5, id, "a"));
    check(&[("A", &of(Some(2))), ("B", &of(Some(1))), ("C", &of(None))], &all, "C 5 | B 5 | A 5");
}

#[test]
fn what_is_not_wanted_is_left_out_although_an_old_node_sends_it() {
    let (a, b) = (list(&[1, 4, 6]), list(&[2, 3, 5]));
    let lists = [("A", a.as_str()), ("B", b.as_str())];
    let wanted = |author: Option<&str>, after: Option<u32>, limit| Wanted {
        author: author.map(str::to_owned),
        after: after.map(|second| place(second, Some(second))),
        limit,
    };
    check(&lists, &wanted(Some("a"), None, None), "B 2 | A 4 | A 6");
    check(&lists, &wanted(Some("nobody"), None, None), "");
    check(&lists, &wanted(None, Some(3), None), "A 4 | B 5 | A 6");
    check(&lists, &wanted(None, Some(6), None), "");
    check(&lists, &wanted(None, None, Some(2)), "A 1 | B 2");
    check(&lists, &wanted(Some("b"), Some(1), Some(1)), "B 3");
    // The author is compared as it reads, not as it is written.
    let escaped = list(&[2]).replace(r#""a""#, r#""\u0061""#);
    check(&[("A", &escaped)], &wanted(Some("a"), None, None), "A 2");
}

#[test]
fn a_list_that_cannot_be_read_is_told_with_its_node() {
    let good = list(&[1]);
    let check = |bad: &str, expected: &str| {
        check(&[("A", &good), ("B", bad)], &Wanted::default(), &format!("node B cannot be read: {expected}"));
    };
    check("", "its list broke off");
    check(&list(&[2, 3])[..150], "its list broke off");
    check(good.trim_end_matches(']'), "its list broke off");
    check("{}", "the list is no JSON array of objects");
    check("[7]", "the list is no JSON array of objects");
    check("<html>", "the list is no JSON array of objects");
    check(
        r#"[{"author":"a"}]"#,
        "an element of its list is no sentence: missing field `date` at line 1 column 14",
    );
    let long = format!(r#"[{{"author":"{}"}}]"#, "x".repeat(MAX_ELEMENT_BYTES));
    check(&long, &format!("an element of the list is longer than {MAX_ELEMENT_BYTES} bytes"));
}

#[test]
fn a_connection_that_breaks_in_the_middle_is_told_behind_what_came_before() {
    let begun = list(&[1, 2]).replace(']', "");
    let mut merge = Merge::new(vec![source("A", &begun, 9, Some("reset"))], Wanted::default());
    let mut next = || match merge.next().now_or_never().unwrap() {
        Ok(element) => element.map(|(node, _)| node.to_owned()).unwrap(),
        Err(error) => error.to_string(),
    };
    assert_eq!([next(), next(), next()], ["A", "A", "node A cannot be read: reset"]);
}

#[test]
fn elements_are_carried_as_the_node_wrote_them() {
    let odd = element(1, None, "a").replace(r#""s1""#, r#""\u0073 ä","new":[1, 2]"#);
    let merge = Merge::new(vec![source("A", &format!("[ {odd} ]"), 3, None)], Wanted::default());
    let array = array(merge).now_or_never().unwrap().unwrap();
    assert_eq!(array, format!(r#"[{{"server":"A",{}]"#, &odd[1..]));
}

proptest! {
    #[test]
    fn however_sentences_lie_on_nodes_they_come_in_their_order(
        nodes in proptest::collection::vec(0..4_usize, 0..20),
        limit in proptest::option::of(0..25_usize),
        after in proptest::option::of(0..20_u32),
    ) {
        let seconds = |node: usize| -> Vec<u32> {
            (0..).zip(&nodes).filter(|(_, of)| **of == node).map(|(second, _)| second).collect()
        };
        let names = ["A", "B", "C", "D"];
        let lists: Vec<String> = (0..names.len()).map(|node| list(&seconds(node))).collect();
        let lists: Vec<(&str, &str)> = names.into_iter().zip(lists.iter().map(String::as_str)).collect();
        let expected: Vec<String> = (0..)
            .zip(&nodes)
            .filter(|(second, _)| after.is_none_or(|after| *second > after))
            .take(limit.unwrap_or(usize::MAX))
            .map(|(second, node)| format!("{} {second}", names[*node]))
            .collect();
        let after = after.map(|second| place(second, Some(second)));
        check(&lists, &Wanted { author: None, after, limit }, &expected.join(" | "));
    }
}
