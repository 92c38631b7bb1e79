//! PURE. What follows from how a post to a node ended: one table for whole posts, one for single sentences of a post.
//! Absent: doing it, which is `delivery.rs`'s and `old_node.rs`'s.
//!
//! The line that both tables keep: only what is *surely not stored* goes to another node without more ado. A sentence that
//! may be stored, by this post or by an earlier one, goes to its own node again; when that does not answer, it goes
//! elsewhere as one in doubt.

/// How one post to a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PostEnd {
    /// No byte of it left.
    NotSent,
    /// It left, and no whole answer came.
    Unanswered,
    /// It came from before a fence of the node: this post is surely not stored, and the next one is let in.
    Fenced,
    /// The answer promises to tell what became of each sentence, and does not.
    Unreadable,
    /// Another answer.
    Status {
        /// The HTTP status.
        code: u16,
        /// Whether the problem in its body says that sentences may be stored all the same.
        ambiguous: bool,
    },
}

/// What becomes of the sentences of a bulk post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentences {
    /// Surely not stored: other nodes take them.
    Elsewhere,
    /// Surely not stored: the node knows no bulk posts, and gets them one by one.
    OneByOne,
    /// Perhaps stored, or not let in: the node gets the same post again.
    Again,
}

/// What becomes of the sentence of a single post to an old node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OneSentence {
    /// Surely not stored: another node takes it.
    Elsewhere,
    /// Perhaps stored, on a node that cannot be asked again: the client is told.
    InDoubt,
}

/// What is thought of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Nothing new.
    AsBefore,
    /// It does not answer as it should: others are preferred while there are any.
    Silent,
    /// It takes nothing now.
    Down,
}

/// What follows from the end of a bulk post. `in_doubt` says that an earlier post of these sentences may have stored
/// them: then nothing but an answer about each of them settles it.
pub(super) fn of_bulk_post(end: PostEnd, in_doubt: bool) -> (Sentences, Node) {
    let unless_in_doubt = |sentences| if in_doubt { Sentences::Again } else { sentences };
    match end {
        PostEnd::NotSent => (unless_in_doubt(Sentences::Elsewhere), Node::Down),
        PostEnd::Unanswered | PostEnd::Status { ambiguous: true, .. } => (Sentences::Again, Node::Silent),
        PostEnd::Fenced => (Sentences::Again, Node::AsBefore),
        PostEnd::Unreadable => (Sentences::Again, Node::Silent),
        PostEnd::Status { .. } if in_doubt => (Sentences::Again, Node::Silent),
        PostEnd::Status { code: 404 | 405, .. } => (Sentences::OneByOne, Node::AsBefore),
        // The node does not take sentences now, whichever they are.
        PostEnd::Status { code: 401 | 403 | 429 | 503 | 507, .. } => (Sentences::Elsewhere, Node::Down),
        PostEnd::Status { code: 400..=499, .. } => (Sentences::Elsewhere, Node::Silent),
        PostEnd::Status { .. } => (Sentences::Again, Node::Silent),
    }
}

/// What follows from the end of a single post to an old node. Such a node knows no ids, so nothing is asked twice.
pub(super) fn of_single_post(end: PostEnd) -> (OneSentence, Node) {
    match end {
        PostEnd::NotSent => (OneSentence::Elsewhere, Node::Down),
        PostEnd::Unanswered | PostEnd::Status { ambiguous: true, .. } => (OneSentence::InDoubt, Node::Silent),
        PostEnd::Unreadable => (OneSentence::InDoubt, Node::AsBefore),
        // Only bulk posts carry a fence.
        PostEnd::Fenced => (OneSentence::Elsewhere, Node::AsBefore),
        PostEnd::Status { code: 401 | 403 | 404 | 405 | 429 | 503 | 507, .. } => {
            (OneSentence::Elsewhere, Node::Down)
        }
        PostEnd::Status { code: 400..=499, .. } => (OneSentence::Elsewhere, Node::AsBefore),
        PostEnd::Status { .. } => (OneSentence::InDoubt, Node::AsBefore),
    }
}

/// What becomes of one sentence that a node, in an otherwise good answer, says it has not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailedItem {
    /// The node judged the sentence itself: the client is told, no other node is bothered.
    Refused,
    /// Surely not stored: another node takes it, and this one is down.
    Elsewhere,
    /// Perhaps stored: the node gets it again, and is silent meanwhile.
    Again,
}

/// Judges a failed item by its problem's status, by whether that calls itself ambiguous, and by whether an earlier post
/// of the sentence may have stored it.
pub(super) fn of_failed_item(status: u16, ambiguous: bool, in_doubt: bool) -> FailedItem {
    match status {
        _ if ambiguous => FailedItem::Again,
        // A store that had the sentence would have said so before it judged it.
        400..=499 => FailedItem::Refused,
        _ if in_doubt => FailedItem::Again,
        _ => FailedItem::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `503!` is a 503 whose problem says `"ambiguous": true`.
    fn end(text: &str) -> PostEnd {
        match text {
            "not-sent" => PostEnd::NotSent,
            "unanswered" => PostEnd::Unanswered,
            "unreadable" => PostEnd::Unreadable,
            "fenced" => PostEnd::Fenced,
            status => PostEnd::Status {
                code: status.trim_end_matches('!').parse().unwrap(),
                ambiguous: status.ends_with('!'),
            },
        }
    }

    fn told(what: &str, node: Node) -> String {
        let node = match node {
            Node::AsBefore => "",
            Node::Silent => ", silent",
            Node::Down => ", down",
        };
        format!("{what}{node}")
    }

    fn told_bulk((sentences, node): (Sentences, Node)) -> String {
        let what = match sentences {
            Sentences::Elsewhere => "elsewhere",
            Sentences::OneByOne => "one by one",
            Sentences::Again => "again",
        };
        told(what, node)
    }

    fn told_single((sentence, node): (OneSentence, Node)) -> String {
        let what = match sentence {
            OneSentence::Elsewhere => "elsewhere",
            OneSentence::InDoubt => "in doubt",
        };
        told(what, node)
    }

    #[test]
    fn the_whole_table() {
        // How it ended | a first bulk post | a repeated one | a single post to an old node
        let table = "
            not-sent   | elsewhere, down   | again, down      | elsewhere, down
            unanswered | again, silent     | again, silent    | in doubt, silent
            unreadable | again, silent     | again, silent    | in doubt
            fenced     | again             | again            | elsewhere
            301        | again, silent     | again, silent    | in doubt
            400        | elsewhere, silent | again, silent    | elsewhere
            401        | elsewhere, down   | again, silent    | elsewhere, down
            403        | elsewhere, down   | again, silent    | elsewhere, down
            404        | one by one        | again, silent    | elsewhere, down
            405        | one by one        | again, silent    | elsewhere, down
            404!       | again, silent     | again, silent    | in doubt, silent
            413        | elsewhere, silent | again, silent    | elsewhere
            422!       | again, silent     | again, silent    | in doubt, silent
            429        | elsewhere, down   | again, silent    | elsewhere, down
            500        | again, silent     | again, silent    | in doubt
            500!       | again, silent     | again, silent    | in doubt, silent
            502        | again, silent     | again, silent    | in doubt
            503        | elsewhere, down   | again, silent    | elsewhere, down
            503!       | again, silent     | again, silent    | in doubt, silent
            504        | again, silent     | again, silent    | in doubt
            507        | elsewhere, down   | again, silent    | elsewhere, down
            507!       | again, silent     | again, silent    | in doubt, silent";
        for row in table.lines().filter(|row| !row.trim().is_empty()) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let end = end(cells[0]);
            let [first, again] = [false, true].map(|in_doubt| told_bulk(of_bulk_post(end, in_doubt)));
            let found = [first, again, told_single(of_single_post(end))];
            assert_eq!(found.as_slice(), &cells[1..], "{}", cells[0]);
        }
    }

    #[test]
    fn the_table_of_failed_items() {
        // Status | first | in doubt before
        let table = "
            413  | Refused   | Refused
            400! | Again     | Again
            500  | Elsewhere | Again
            503  | Elsewhere | Again
            503! | Again     | Again
            507  | Elsewhere | Again
            0    | Elsewhere | Again
            200  | Elsewhere | Again";
        for row in table.lines().filter(|row| !row.trim().is_empty()) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let status = cells[0].trim_end_matches('!').parse().unwrap();
            let judged = [false, true]
                .map(|in_doubt| format!("{:?}", of_failed_item(status, cells[0].ends_with('!'), in_doubt)));
            assert_eq!(judged.as_slice(), &cells[1..], "{}", cells[0]);
        }
    }

    fn any_end() -> impl Strategy<Value = PostEnd> {
        prop_oneof![
            Just(PostEnd::NotSent),
            Just(PostEnd::Unanswered),
            Just(PostEnd::Unreadable),
            Just(PostEnd::Fenced),
            (any::<u16>(), any::<bool>()).prop_map(|(code, ambiguous)| PostEnd::Status { code, ambiguous }),
        ]
    }

    proptest! {
        #[test]
        fn what_may_be_stored_never_leaves_its_node(end in any_end(), in_doubt: bool) {
            let may_be_stored = match end {
                PostEnd::NotSent | PostEnd::Fenced => in_doubt,
                PostEnd::Unanswered | PostEnd::Unreadable => true,
                PostEnd::Status { ambiguous, .. } => ambiguous || in_doubt,
            };
            if may_be_stored {
                prop_assert_eq!(of_bulk_post(end, in_doubt).0, Sentences::Again);
                prop_assert!(in_doubt || of_single_post(end).0 == OneSentence::InDoubt);
            }
        }

        #[test]
        fn an_item_that_may_be_stored_never_leaves_its_node(status: u16, ambiguous: bool, in_doubt: bool) {
            let judged = of_failed_item(status, ambiguous, in_doubt);
            prop_assert!(judged != FailedItem::Elsewhere || !(ambiguous || in_doubt));
        }
    }
}
