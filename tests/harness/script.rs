//! How a scripted server treats the posts it gets, as data that a test sets and changes at run time. PURE.
//!
//! Absent: what a server stores and how it words an honest answer; those are the server's.

use std::collections::VecDeque;

use serde_json::json;
use wire::Problem;

use crate::stub::{Manner, Response};

/// A turn for each post: those for posts with a certain text, then those for the next posts, then one for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    holding: Vec<(String, Turn)>,
    first: VecDeque<Turn>,
    then: Turn,
}

/// What is done with one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub(crate) says: Says,
    stores: bool,
    manner: Manner,
}

/// What is said about a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// What became of each sentence.
    Outcomes,
    /// The same, but of some sentences that they failed.
    Failures(Which, Box<Problem>),
    /// Something else.
    Else(Response),
    /// Nothing; the connection is closed.
    Nothing,
    /// Nothing for as long as the other side waits.
    Silence,
    /// Nothing until the script changes; then what the new script says.
    Held,
}

/// Which sentences of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    Every,
    /// The one in this place, from 0.
    Nth(usize),
}

impl Which {
    /// Whether the sentence in `place` is meant.
    pub(crate) fn is(self, place: usize) -> bool {
        match self {
            Self::Every => true,
            Self::Nth(nth) => nth == place,
        }
    }
}

impl Script {
    /// The same turn for every post.
    pub const fn always(then: Turn) -> Self {
        Self { holding: Vec::new(), first: VecDeque::new(), then }
    }

    /// These turns for the next posts, in order, and `then` for all after them.
    pub fn first(first: impl IntoIterator<Item = Turn>, then: Turn) -> Self {
        Self { first: first.into_iter().collect(), ..Self::always(then) }
    }

    /// This turn for the next post, and all after it are stored.
    pub fn once(turn: Turn) -> Self {
        Self::first([turn], Turn::store())
    }

    /// And `turn` for every post whose body holds `text`, which takes none of the other turns.
    #[must_use]
    pub fn holding(mut self, text: &str, turn: Turn) -> Self {
        self.holding.push((text.to_owned(), turn));
        self
    }

    /// The turn of the next post. A turn for one post is used up by it.
    pub(crate) fn take(&mut self, body: &str) -> Turn {
        let holding = self.holding.iter().find(|(text, _)| body.contains(text));
        if let Some((_, turn)) = holding {
            return turn.clone();
        }
        self.first.pop_front().unwrap_or_else(|| self.then.clone())
    }
}

impl From<Turn> for Script {
    fn from(turn: Turn) -> Self {
        Self::always(turn)
    }
}

impl Turn {
    /// Stores and says so.
    pub const fn store() -> Self {
        Self::saying(Says::Outcomes)
    }

    /// Answers with this status and an empty object, and stores nothing.
    pub fn refuse(status: u16) -> Self {
        Self::answer(Response::json(status, &json!({})))
    }

    /// Answers with this problem and its status, and stores nothing.
    pub fn problem(problem: &Problem) -> Self {
        Self::answer(Response::problem(problem))
    }

    /// Answers with anything, and stores nothing.
    pub const fn answer(response: Response) -> Self {
        Self::saying(Says::Else(response))
    }

    /// Says that these sentences failed with this problem and does not store them; the others are stored.
    pub fn fail(which: Which, problem: &Problem) -> Self {
        Self::saying(Says::Failures(which, Box::new(problem.clone())))
    }

    /// Closes the connection instead of answering, and stores nothing.
    pub const fn close() -> Self {
        Self::saying(Says::Nothing)
    }

    /// Never answers, and stores nothing.
    pub const fn silence() -> Self {
        Self::saying(Says::Silence)
    }

    /// Neither stores nor answers until the script changes, and then does what the new script says.
    pub const fn hold() -> Self {
        Self::saying(Says::Held)
    }

    /// Stores all the same what it does not say it stored.
    #[must_use]
    pub const fn storing(mut self) -> Self {
        self.stores = true;
        self
    }

    /// Answers in another manner.
    #[must_use]
    pub const fn in_manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// Whether the sentence in `place` of a post is stored.
    pub(crate) fn stores(&self, place: usize) -> bool {
        match &self.says {
            Says::Outcomes => true,
            Says::Failures(which, _) => self.stores || !which.is(place),
            Says::Else(_) | Says::Nothing | Says::Silence => self.stores,
            Says::Held => false,
        }
    }

    /// `response` in this turn's manner.
    pub(crate) fn sent(&self, response: Response) -> Response {
        if self.manner == Manner::Plain { response } else { response.in_manner(self.manner) }
    }

    const fn saying(says: Says) -> Self {
        Self { says, stores: false, manner: Manner::Plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_in_order_and_a_text_has_its_own() {
        let (a, b, c) = (Turn::refuse(500), Turn::close(), Turn::hold());
        let mut script = Script::first([a.clone(), b.clone()], Turn::store()).holding("odd", c.clone());
        assert_eq!(script.take("one"), a);
        assert_eq!(script.take("an odd one"), c, "which takes no other's turn");
        assert_eq!(
            [script.take("two"), script.take("three"), script.take("four")],
            [b, Turn::store(), Turn::store()]
        );
        assert_eq!(Script::once(c.clone()), Script::first([c], Turn::store()));
    }

    #[test]
    fn what_is_stored_is_what_is_said_unless_told_otherwise() {
        let problem = Problem::new(503, "x", "t", "d");
        assert!(Turn::store().stores(0));
        for turn in [Turn::refuse(503), Turn::close(), Turn::silence(), Turn::fail(Which::Every, &problem)] {
            assert!(!turn.stores(0) && turn.clone().storing().stores(0), "{turn:?}");
        }
        let second = Turn::fail(Which::Nth(1), &problem);
        assert_eq!([0, 1, 2].map(|place| second.stores(place)), [true, false, true]);
        assert!(!Turn::hold().storing().stores(0), "a held post is the next script's");
    }
}
