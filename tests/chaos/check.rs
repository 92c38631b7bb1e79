//! PURE. Compares what clients were told with what the nodes hold: nothing lost, nothing twice, nothing changed, nothing
//! that was never sent. Absent: reading the nodes, and telling the story of what is wrong.

use std::collections::HashMap;

use wire::{SentenceId, StoredSentence};

use crate::history::{History, Outcome, Sentence};

/// What one node holds at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Its name.
    pub(crate) node: String,
    /// Its whole listing.
    pub(crate) copies: Vec<StoredSentence>,
    /// The number of documents in its own report.
    pub(crate) reported: u64,
}

/// What is wrong, as places in the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged, and on no node.
    pub(crate) lost: Vec<usize>,
    /// On nodes more often than it may be.
    pub(crate) twice: Vec<usize>,
    /// Stored with another author or text than was posted, or acknowledged with others.
    pub(crate) changed: Vec<usize>,
    /// Never acknowledged, though it was posted until the end.
    pub(crate) unsettled: Vec<usize>,
    /// On a node though nobody posted it: the node, the id where there is one, the text.
    pub(crate) never_sent: Vec<String>,
    /// Nodes whose report does not count what they list.
    pub(crate) miscounted: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// How much is wrong beside lost and twice.
    pub(crate) const fn n_wrong(&self) -> usize {
        self.changed.len() + self.unsettled.len() + self.never_sent.len() + self.miscounted.len()
    }

    /// Places of sentences about which something is wrong, each once.
    pub(crate) fn places(&self) -> Vec<usize> {
        let all = [&self.lost, &self.twice, &self.changed, &self.unsettled];
        let mut places: Vec<usize> = all.into_iter().flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Compares them.
///
/// A sentence that a client gave an id is stored exactly once if it was acknowledged, at most once if it was not. One
/// without an id is stored under each id that an acknowledgement of it named, and no more often than it was posted: the
/// balancer makes an id for each post.
pub(crate) fn check(history: &History, held: &[Held]) -> Verdict {
    let owners = owners(history);
    let texts = texts_without_id(history);
    let mut verdict = Verdict::default();
    let mut copies_of: HashMap<usize, Vec<&StoredSentence>> = HashMap::new();
    for Held { node, copies, reported } in held {
        if *reported != copies.len() as u64 {
            verdict.miscounted.push(format!("{node} reports {reported} and lists {}", copies.len()));
        }
        for copy in copies {
            let by_id = copy.id.and_then(|id| owners.get(&id));
            match by_id.or_else(|| texts.get(copy.sentence.as_str())) {
                Some(place) => copies_of.entry(*place).or_default().push(copy),
                None => {
                    let id = copy.id.map_or_else(|| "no id".to_owned(), |id| id.to_string());
                    verdict.never_sent.push(format!("{node} holds {id}: {:?}", copy.sentence));
                }
            }
        }
    }
    for (place, sentence) in history.sentences().iter().enumerate() {
        let copies = copies_of.get(&place).map_or(&[][..], Vec::as_slice);
        judge(&mut verdict, place, sentence, copies);
    }
    verdict
}

fn judge(verdict: &mut Verdict, place: usize, sentence: &Sentence, copies: &[&StoredSentence]) {
    let acknowledged = acknowledged_ids(sentence).collect::<Vec<_>>();
    let n_under = |id: &SentenceId| copies.iter().filter(|copy| copy.id == Some(*id)).count();
    let most = if sentence.id.is_some() { 1 } else { sentence.posts.len() };
    if acknowledged.iter().any(|id| n_under(id) == 0) {
        verdict.lost.push(place);
    }
    if copies.len() > most || acknowledged.iter().any(|id| n_under(id) > 1) {
        verdict.twice.push(place);
    }
    let is_changed =
        |copy: &&StoredSentence| copy.author != sentence.author || copy.sentence != sentence.text;
    let is_told_wrong = sentence
        .posts
        .iter()
        .any(|post| matches!(post.outcome, Outcome::Acknowledged { is_as_posted: false, .. }));
    if is_told_wrong || copies.iter().any(is_changed) {
        verdict.changed.push(place);
    }
    if sentence.id.is_some() && !sentence.posts.is_empty() && acknowledged.is_empty() {
        verdict.unsettled.push(place);
    }
}

/// Whose each id is: the client's own, or the balancer's as its acknowledgement names it.
fn owners(history: &History) -> HashMap<SentenceId, usize> {
    let sentences = history.sentences().iter().enumerate();
    let ids = sentences.flat_map(|(place, sentence)| {
        let made = if sentence.id.is_none() { Some(acknowledged_ids(sentence)) } else { None };
        sentence.id.into_iter().chain(made.into_iter().flatten()).map(move |id| (id, place))
    });
    ids.collect()
}

/// Whose each text is, where an id may never have been told.
fn texts_without_id(history: &History) -> HashMap<&str, usize> {
    let sentences = history.sentences().iter().enumerate();
    let without = sentences.filter(|(_, sentence)| sentence.id.is_none());
    without.map(|(place, sentence)| (sentence.text.as_str(), place)).collect()
}

/// Under which ids a sentence must be found. The one that its client made is the only one, whatever an answer says.
fn acknowledged_ids(sentence: &Sentence) -> impl Iterator<Item = SentenceId> {
    let told = sentence.posts.iter().filter_map(|post| match &post.outcome {
        Outcome::Acknowledged { id, .. } => Some(sentence.id.unwrap_or(*id)),
        _ => None,
    });
    let mut told: Vec<SentenceId> = told.collect();
    told.sort_unstable();
    told.dedup();
    told.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::{acknowledged, id, post};
    use proptest::prelude::*;

    fn copy(number: u8, text: &str) -> StoredSentence {
        StoredSentence {
            author: "Ana".to_owned(),
            date: wire::Date::from_unix_micros(7),
            id: Some(id(number)),
            sentence: text.to_owned(),
        }
    }

    /// Two nodes with these copies; each reports what it lists.
    fn held(a: &[StoredSentence], b: &[StoredSentence]) -> [Held; 2] {
        [("A", a), ("B", b)].map(|(node, copies)| Held {
            node: node.to_owned(),
            copies: copies.to_vec(),
            reported: copies.len() as u64,
        })
    }

    /// One sentence, with or without an id of its client, and how its posts ended.
    fn one(own: Option<u8>, outcomes: &[Outcome]) -> History {
        let mut history = History::default();
        let place = history.add(own.map(id), "Ana", "Una vez.");
        for (at, outcome) in (0..).zip(outcomes) {
            history.note(place, post(at, at + 1, outcome.clone()));
        }
        history
    }

    fn once() -> History {
        one(Some(1), &[acknowledged(1)])
    }

    #[test]
    fn a_sentence_that_lies_where_it_should_has_no_fault() {
        assert!(check(&once(), &held(&[copy(1, "Una vez.")], &[])).is_clean());
        assert!(check(&History::default(), &held(&[], &[])).is_clean());
    }

    #[test]
    fn a_lost_id_is_found() {
        let verdict = check(&once(), &held(&[], &[]));
        assert_eq!(verdict, Verdict { lost: vec![0], ..Verdict::default() });
    }

    #[test]
    fn a_twice_stored_id_is_found_on_two_nodes_and_on_one() {
        let (one, two) = ([copy(1, "Una vez.")], [copy(1, "Una vez."), copy(1, "Una vez.")]);
        let expected = Verdict { twice: vec![0], ..Verdict::default() };
        assert_eq!(check(&once(), &held(&one, &one)), expected);
        assert_eq!(check(&once(), &held(&two, &[])), expected);
    }

    #[test]
    fn a_changed_text_or_author_is_found_in_stores_and_in_answers() {
        let changed = Verdict { changed: vec![0], ..Verdict::default() };
        assert_eq!(check(&once(), &held(&[copy(1, "Otra vez.")], &[])), changed);
        let other = StoredSentence { author: "Eva".to_owned(), ..copy(1, "Una vez.") };
        assert_eq!(check(&once(), &held(&[other], &[])), changed);
        let Outcome::Acknowledged { server, id, date, .. } = acknowledged(1) else { panic!() };
        let told_wrong = Outcome::Acknowledged { server, id, date, is_as_posted: false };
        assert_eq!(check(&one(Some(1), &[told_wrong]), &held(&[copy(1, "Una vez.")], &[])), changed);
    }

    #[test]
    fn what_was_never_sent_is_found() {
        let verdict = check(&once(), &held(&[copy(1, "Una vez.")], &[copy(9, "Nunca.")]));
        assert_eq!(verdict.never_sent, [format!("B holds {}: \"Nunca.\"", id(9))]);
        assert_eq!((verdict.n_wrong(), verdict.places()), (1, vec![]));
    }

    #[test]
    fn a_wrong_count_is_found() {
        let mut held = held(&[copy(1, "Una vez.")], &[]);
        held[0].reported = 2;
        assert_eq!(check(&once(), &held).miscounted, ["A reports 2 and lists 1"]);
    }

    #[test]
    fn what_nobody_acknowledged_may_lie_once_and_is_unsettled() {
        let history = one(Some(1), &[Outcome::TimedOut]);
        let unsettled = Verdict { unsettled: vec![0], ..Verdict::default() };
        assert_eq!(check(&history, &held(&[], &[])), unsettled);
        assert_eq!(check(&history, &held(&[copy(1, "Una vez.")], &[])), unsettled);
        let (a, b) = (copy(1, "Una vez."), copy(1, "Una vez."));
        assert_eq!(check(&history, &held(&[a], &[b])).twice, [0]);
    }

    #[test]
    fn a_sentence_without_id_lies_as_often_as_it_was_posted_at_most() {
        let acknowledged_once = one(None, &[acknowledged(4)]);
        let (four, five) = ([copy(4, "Una vez.")], [copy(5, "Una vez.")]);
        assert!(check(&acknowledged_once, &held(&four, &[])).is_clean());
        assert_eq!(check(&acknowledged_once, &held(&[], &[])).lost, [0]);
        assert_eq!(check(&acknowledged_once, &held(&four, &four)).twice, [0]);
        assert_eq!(check(&acknowledged_once, &held(&four, &five)).twice, [0]);
        let silent = one(None, &[Outcome::TimedOut]);
        assert!(check(&silent, &held(&four, &[])).is_clean());
        assert!(check(&silent, &held(&[], &[])).is_clean(), "nobody was told anything");
        assert_eq!(check(&silent, &held(&four, &four)).twice, [0]);
    }

    proptest! {
        #[test]
        fn any_one_slip_in_a_clean_run_is_found(
            n in 1_u8..40, slip in 0_u8..4, at in any::<prop::sample::Index>(), nodes in any::<u64>()
        ) {
            let mut history = History::default();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for number in 0..n {
                let text = format!("Número {number}.");
                let place = history.add(Some(id(number)), "Ana", &text);
                history.note(place, post(0, 1, acknowledged(number)));
                if nodes >> number & 1 == 0 { &mut a } else { &mut b }.push(copy(number, &text));
            }
            prop_assert!(check(&history, &held(&a, &b)).is_clean());
            let place = at.index(usize::from(n));
            let in_a = a.iter().position(|copy| copy.id == history.sentences()[place].id);
            let (holder, other) = if in_a.is_some() { (&mut a, &mut b) } else { (&mut b, &mut a) };
            let here = holder.iter().position(|copy| copy.id == history.sentences()[place].id).unwrap();
            let expected = match slip {
                0 => {
                    holder.remove(here);
                    Verdict { lost: vec![place], ..Verdict::default() }
                }
                1 => {
                    other.push(holder[here].clone());
                    Verdict { twice: vec![place], ..Verdict::default() }
                }
                2 => {
                    holder[here].sentence.push('?');
                    Verdict { changed: vec![place], ..Verdict::default() }
                }
                _ => {
                    holder.push(copy(200, "Nunca."));
                    let node = if in_a.is_some() { "A" } else { "B" };
                    let never_sent = vec![format!("{node} holds {}: \"Nunca.\"", id(200))];
                    Verdict { never_sent, ..Verdict::default() }
                }
            };
            prop_assert_eq!(check(&history, &held(&a, &b)), expected);
        }
    }
}
