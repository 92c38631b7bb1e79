//! PURE. The kinds of faults: what each is called, whom it hits, and whether that one can take sentences meanwhile.
//! Absent: when they happen, which is the schedule's, and how, which is `faults.rs`'s and the proxy's.

use std::fmt;
use std::str::FromStr;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A node is killed at once and comes back over its data.
    NodeKill,
    /// A node is stopped and goes on later, with all that its sockets gathered.
    NodeStop,
    /// A node ends in order and comes back.
    NodeRestart,
    /// A balancer is killed at once and comes back with its folder.
    LbKill,
    /// A balancer ends in order and comes back.
    LbRestart,
    /// A balancer is stopped and goes on later.
    LbStop,
    /// A balancer reads a list in which a node has another URL.
    Reload,
    /// An operator gives a node another URL.
    Readdress,
    /// An operator removes a node and adds it again later.
    Readd,
    /// An operator drains a node and readies it later.
    Drain,
    /// A node's database is killed at once and comes back.
    DatabaseKill,
    /// A node's database is stopped and goes on later.
    DatabaseStop,
    /// A node's disk is full for a while.
    DiskFull,
    /// Connections are reset before the node has the request, or after; what was reset may reach the node much later.
    Reset,
    /// The node has the request, and its answer is lost with the connection.
    LostAnswer,
    /// Whatever is sent is swallowed; some of it reaches the node when the line is whole again.
    HalfOpen,
    /// Answers come late.
    SlowAnswer,
    /// Requests come late.
    LateRequest,
    /// Answers break off in the middle.
    Truncated,
    /// Answers have bytes in them that no answer can have.
    Garbled,
    /// Answers come twice.
    Doubled,
    /// 503 in the node's place: with the request kept back and told so, or delivered and called ambiguous.
    Answer503,
    /// 500 in the node's place, with the request kept back or delivered, and not told which.
    Answer500,
    /// The node's report stream breaks or falls silent; posts pass.
    Stream,
}

/// Whom a kind hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// The process of a node.
    Node,
    /// The process of a balancer.
    Balancer,
    /// What balancers think of a node.
    Fleet,
    /// The database of a node.
    Database,
    /// The disk of a node.
    Disk,
    /// The line to a node.
    Line,
}

impl Kind {
    /// Every kind, in the order in which they are told.
    pub(crate) const ALL: [Self; 24] = [
        Self::NodeKill,
        Self::NodeStop,
        Self::NodeRestart,
        Self::LbKill,
        Self::LbRestart,
        Self::LbStop,
        Self::Reload,
        Self::Readdress,
        Self::Readd,
        Self::Drain,
        Self::DatabaseKill,
        Self::DatabaseStop,
        Self::DiskFull,
        Self::Reset,
        Self::LostAnswer,
        Self::HalfOpen,
        Self::SlowAnswer,
        Self::LateRequest,
        Self::Truncated,
        Self::Garbled,
        Self::Doubled,
        Self::Answer503,
        Self::Answer500,
        Self::Stream,
    ];

    /// Its name, as `--faults` takes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NodeKill => "node-kill",
            Self::NodeStop => "node-stop",
            Self::NodeRestart => "node-restart",
            Self::LbKill => "lb-kill",
            Self::LbRestart => "lb-restart",
            Self::LbStop => "lb-stop",
            Self::Reload => "reload",
            Self::Readdress => "readdress",
            Self::Readd => "readd",
            Self::Drain => "drain",
            Self::DatabaseKill => "db-kill",
            Self::DatabaseStop => "db-stop",
            Self::DiskFull => "disk-full",
            Self::Reset => "reset",
            Self::LostAnswer => "lost-answer",
            Self::HalfOpen => "half-open",
            Self::SlowAnswer => "slow-answer",
            Self::LateRequest => "late-request",
            Self::Truncated => "truncated",
            Self::Garbled => "garbled",
            Self::Doubled => "doubled",
            Self::Answer503 => "answer-503",
            Self::Answer500 => "answer-500",
            Self::Stream => "stream",
        }
    }

    /// Whom it hits.
    pub(crate) const fn target(self) -> Target {
        match self {
            Self::NodeKill | Self::NodeStop | Self::NodeRestart => Target::Node,
            Self::LbKill | Self::LbRestart | Self::LbStop => Target::Balancer,
            Self::Reload | Self::Readdress | Self::Readd | Self::Drain => Target::Fleet,
            Self::DatabaseKill | Self::DatabaseStop => Target::Database,
            Self::DiskFull => Target::Disk,
            Self::Reset
            | Self::LostAnswer
            | Self::HalfOpen
            | Self::SlowAnswer
            | Self::LateRequest
            | Self::Truncated
            | Self::Garbled
            | Self::Doubled
            | Self::Answer503
            | Self::Answer500
            | Self::Stream => Target::Line,
        }
    }

    /// Whether the node that it hits may be unable to take a sentence meanwhile. A node under another URL is as able as
    /// before.
    pub(crate) const fn disturbs_node(self) -> bool {
        !matches!(self, Self::Reload | Self::Readdress) && !matches!(self.target(), Target::Balancer)
    }

    /// Whether it is over as soon as it is done.
    pub(crate) const fn is_momentary(self) -> bool {
        matches!(self, Self::Reload | Self::Readdress)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        let names = || Self::ALL.map(Self::name).join(", ");
        known.ok_or_else(|| format!("`{text}` is no fault; there are {}", names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own_that_is_read_again() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind.name().parse(), kind as usize), (Ok(kind), place));
        }
        assert!("flood".parse::<Kind>().unwrap_err().contains("node-kill, node-stop"));
    }

    #[test]
    fn only_what_hits_a_node_excuses_it() {
        let harmless = Kind::ALL.into_iter().filter(|kind| !kind.disturbs_node()).map(Kind::name);
        let expected = ["lb-kill", "lb-restart", "lb-stop", "reload", "readdress"];
        assert_eq!(harmless.collect::<Vec<_>>(), expected);
    }
}
