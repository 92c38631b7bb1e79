//! A sentence as it is routed: its identity, and its parts byte for byte as the client wrote them. Absent: who waits for
//! it, and where it goes.

use wire::SentenceId;

/// A sentence on its way to a node; author and sentence are JSON literals with their quotes.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Its identity.
    pub(crate) id: SentenceId,
    /// Whether the client made the id, and so may post it again.
    pub(crate) is_clients: bool,
    /// JSON literal.
    pub(crate) author: &'a str,
    /// JSON literal.
    pub(crate) sentence: &'a str,
}
