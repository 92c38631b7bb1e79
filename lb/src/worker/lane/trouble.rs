//! PURE. Why a post has no answer. Absent: what follows from it, which is `judgement.rs`'s.

/// Why a post has no answer, each in words.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No byte of it left.
    NotSent(String),
    /// It may have arrived.
    Unanswered(String),
}
