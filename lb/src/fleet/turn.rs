//! PURE. What turns in a fleet: the changes that somebody outside is told of. The fleet keeps them until they are taken,
//! and whoever takes them tells the log, the metrics and the readers of events. Absent: the telling.

/// A change of one node's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The node's name.
    pub node: String,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new in the fleet, or under another address.
    Joined {
        /// Where it is.
        url: String,
    },
    /// It was taken out of the fleet.
    Left,
    /// It can be chosen again.
    Up,
    /// It is passed over.
    Down {
        /// Why.
        because: String,
    },
    /// It leaves posts unanswered, and is kept because no other node is up.
    Silent {
        /// What was seen of it.
        because: String,
    },
    /// An operator took it out for new sentences.
    Draining,
    /// What was under way to a draining node is finished.
    Drained,
    /// An operator took it back in.
    Ready,
}
