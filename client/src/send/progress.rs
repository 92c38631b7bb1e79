//! PURE. What the rooms of a send tell each other and the screen: orders, progress, and the end of a run. Absent: the
//! steps of a run.

use serde::{Deserialize, Serialize};

use crate::cause::Cause;

/// What the one who started a run wants of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Run,
    /// Begin nothing new.
    Pause,
    /// End.
    Cancel,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A sentence was stored.
    Stored(Done),
    /// A sentence was not stored and is not sent again in this run.
    Failed {
        /// Its place in the run.
        index: usize,
        /// Why.
        cause: Cause,
    },
    /// A sentence is to be sent again.
    Waiting {
        /// Why it was not stored now.
        cause: Cause,
    },
}

/// A sentence that is stored. It is also a line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Its place in the run.
    pub index: usize,
    /// The node that holds it.
    pub node: String,
    /// Which part of the rule chose the node.
    pub filter: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Each sentence was stored or has failed.
    Complete,
    /// By order.
    Cancelled,
    /// The balancer was not reached for too long.
    Unreachable(Cause),
    /// The balancer answered, but could store nothing for too long.
    Stalled(Cause),
}
