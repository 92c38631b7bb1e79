//! PURE. What clients posted in a run, and what became of each post. Absent: posting, and judging.

use wire::SentenceId;

/// Everything that was posted, in the order in which it was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    sentences: Vec<Sentence>,
    /// Places of sentences with a client's id that were acknowledged, in the order of their first acknowledgement.
    acknowledged: Vec<usize>,
}

/// One sentence and all its posts.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    /// The client's id; `None` where the balancer was to make one.
    pub(crate) id: Option<SentenceId>,
    /// Who said it.
    pub(crate) author: String,
    /// What was said; no two sentences of a run say the same.
    pub(crate) text: String,
    /// By the time of their ends.
    pub(crate) posts: Vec<Post>,
}

/// One post of one sentence, in milliseconds of the run.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// When the client began to send.
    pub(crate) began_ms: u64,
    /// When it had an answer, or gave up.
    pub(crate) ended_ms: u64,
    /// The number of the client.
    pub(crate) client: usize,
    /// The number of the balancer.
    pub(crate) balancer: usize,
    /// Why it was posted.
    pub(crate) purpose: Purpose,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// Why a sentence was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is new.
    First,
    /// The post before had no good answer.
    Repeat,
    /// It was acknowledged before, and is posted again all the same.
    Repost,
}

/// How a post ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 200.
    Acknowledged {
        /// The node that is said to hold it.
        server: String,
        /// The id in the answer.
        id: SentenceId,
        /// The date in the answer.
        date: String,
        /// Whether author, text and id are those that were posted.
        is_as_posted: bool,
    },
    /// Nobody took the connection.
    NoConnection(String),
    /// The connection broke before a whole answer.
    Broken(String),
    /// No answer within the client's time.
    TimedOut,
    /// Another answer.
    Problem {
        /// The status, of the answer or of this item in it.
        status: u16,
        /// The last part of its `type`, or what else it says.
        code: String,
        /// Whether it says that the sentence may be stored.
        ambiguous: bool,
    },
}

impl Outcome {
    /// A short name of its kind, as tables count it.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Acknowledged { .. } => "acknowledged".to_owned(),
            Self::NoConnection(_) => "refused".to_owned(),
            Self::Broken(_) => "broken".to_owned(),
            Self::TimedOut => "timed out".to_owned(),
            Self::Problem { status, code, .. } => format!("{status} {code}"),
        }
    }

    /// Whether the sentence is said to be stored.
    pub(crate) const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Acknowledged { .. })
    }
}

impl Sentence {
    /// Whether any post was acknowledged.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.posts.iter().any(|post| post.outcome.is_acknowledged())
    }
}

impl History {
    /// Takes a new sentence, and gives its place.
    pub(crate) fn add(&mut self, id: Option<SentenceId>, author: &str, text: &str) -> usize {
        let (author, text) = (author.to_owned(), text.to_owned());
        self.sentences.push(Sentence { id, author, text, posts: Vec::new() });
        self.sentences.len() - 1
    }

    /// Takes what became of a post.
    pub(crate) fn note(&mut self, place: usize, post: Post) {
        let Some(sentence) = self.sentences.get_mut(place) else { return };
        if sentence.id.is_some() && post.outcome.is_acknowledged() && !sentence.is_acknowledged() {
            self.acknowledged.push(place);
        }
        sentence.posts.push(post);
    }

    /// All sentences.
    pub(crate) fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// One sentence.
    pub(crate) fn sentence(&self, place: usize) -> Option<&Sentence> {
        self.sentences.get(place)
    }

    /// Places of what was acknowledged under a client's id, oldest first.
    pub(crate) fn acknowledged(&self) -> &[usize] {
        &self.acknowledged
    }

    /// Places of sentences with a client's id that nobody has acknowledged yet.
    pub(crate) fn owed(&self) -> Vec<usize> {
        let sentences = self.sentences.iter().enumerate();
        let owed = sentences.filter(|(_, sentence)| sentence.id.is_some() && !sentence.is_acknowledged());
        owed.map(|(place, _)| place).collect()
    }

    /// Every post, with its sentence's place.
    pub(crate) fn posts(&self) -> impl Iterator<Item = (usize, &Post)> {
        let sentences = self.sentences.iter().enumerate();
        sentences.flat_map(|(place, sentence)| sentence.posts.iter().map(move |post| (place, post)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An id by a small number.
    pub(crate) fn id(number: u8) -> SentenceId {
        format!("0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a{number:02x}").parse().unwrap()
    }

    /// An acknowledgement under this id.
    pub(crate) fn acknowledged(number: u8) -> Outcome {
        let date = "2026-11-23 06:00:00.000001".to_owned();
        Outcome::Acknowledged { server: "A".to_owned(), id: id(number), date, is_as_posted: true }
    }

    /// A post to the first balancer between these times.
    pub(crate) fn post(began_ms: u64, ended_ms: u64, outcome: Outcome) -> Post {
        Post { began_ms, ended_ms, client: 0, balancer: 0, purpose: Purpose::First, outcome }
    }

    #[test]
    fn what_is_owed_is_owed_until_it_is_acknowledged() {
        let mut history = History::default();
        let first = history.add(Some(id(1)), "a", "one");
        let second = history.add(Some(id(2)), "a", "two");
        history.add(None, "a", "three");
        assert_eq!(history.owed(), [first, second]);
        history.note(second, post(0, 1, Outcome::TimedOut));
        history.note(second, post(1, 2, acknowledged(2)));
        history.note(second, post(2, 3, acknowledged(2)));
        assert_eq!((history.owed(), history.acknowledged()), (vec![first], &[second][..]));
        assert_eq!(history.posts().count(), 3);
    }
}
