//! PURE. What becomes of a sentence in doubt once its places were asked: which copies are taken back, and where it may
//! still lie. Absent: asking, and taking back.
//!
//! All balancers in front of the same nodes must judge alike, or two of them could take back both copies. So the order of
//! copies depends on nothing but the copies: the newest stays, by its date and then by its store. A copy is taken back
//! only where a newer one was seen in the same moment, and therefore the newest of all never is. The newest is also the
//! one that a client was told of: the sentence moved because the older one was never answered.

use wire::{Date, StoreId};

use crate::homes::Home;

/// What a place said of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It holds a copy of this date.
    Holds(Date, StoreId),
    /// It holds none.
    HoldsNone,
    /// It cannot be asked now.
    Away,
}

/// What follows for one sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The copies to take back, each with its date.
    pub(crate) taken_back: Vec<(Home, Date)>,
    /// The place of the copy that stays, where one was seen.
    pub(crate) kept: Option<Home>,
    /// Where the sentence may lie still; in doubt no more with one place, or none.
    pub(crate) rest: Vec<Home>,
}

/// Judges one sentence by what its places said.
pub(crate) fn judge(answers: &[(Home, Answer)]) -> Verdict {
    let held = |(home, answer): &(Home, Answer)| match answer {
        Answer::Holds(date, store) => Some((*date, *store, *home)),
        _ => None,
    };
    let newest = answers.iter().filter_map(held).max();
    let mut verdict = Verdict { kept: newest.map(|(.., home)| home), ..Verdict::default() };
    for (home, answer) in answers {
        match answer {
            Answer::HoldsNone => {}
            Answer::Away => verdict.rest.push(*home),
            Answer::Holds(..) if verdict.kept == Some(*home) => verdict.rest.push(*home),
            Answer::Holds(date, _) => verdict.taken_back.push((*home, *date)),
        }
    }
    verdict
}
