//! What the balancer answers: routed sentences, the fleet, and the decisions it took.

use serde::{Deserialize, Serialize};

use crate::{Date, Problem, SentenceId, Share, Source, StoreId, StoredSentence};

/// Which part of the rule decided. On the wire: `database`, `ram`, `cpu`, `down`, `overload`, a policy's name, or the
/// name of the first node when everything was equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter(pub String);

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// `POST /sentence` at the balancer, in the old form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// The node that stored the sentence.
    pub server: String,
    /// Which part of the rule chose it.
    pub filter: Filter,
    /// The sentence as stored.
    pub data: StoredSentence,
}

/// One item of the balancer's answer to `POST /sentences`: routed, or the problem of this one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RoutedItem {
    /// Stored, on the named node.
    Routed(Routed),
    /// Not stored, or in doubt: the problem says which.
    Failed {
        /// The item's id, where it had or got one.
        id: Option<SentenceId>,
        /// What went wrong with this item.
        error: Problem,
    },
}

/// One element of the balancer's `GET /sentence`: a sentence and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedSentence {
    /// The node that holds the sentence.
    pub server: String,
    /// The sentence.
    #[serde(flatten)]
    pub sentence: StoredSentence,
}

/// The state of a node as the balancer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Takes sentences.
    Up,
    /// Does not answer, or says that it is not ready.
    Down,
    /// Takes no new sentences, by order of an operator.
    Draining,
}

/// `GET /fleet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetView {
    /// The policy in force; `count-ram-cpu` is the rule.
    pub policy: String,
    /// When this was read, by the balancer's clock.
    pub at: Date,
    /// Sentences that may lie on more than one node, until those were asked.
    #[serde(default)]
    pub in_doubt: u64,
    /// The nodes by name.
    pub nodes: Vec<NodeView>,
}

/// One node of `GET /fleet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The node's name.
    pub name: String,
    /// Where the balancer reaches it.
    pub url: String,
    /// Whether it can be chosen.
    pub state: NodeState,
    /// Why it is down.
    pub because: Option<String>,
    /// Documents as the rule counts them: reported, plus what was sent since.
    pub documents: Option<u64>,
    /// Used share of memory, in basis points; `None` when unknown or expired.
    pub ram: Option<Share>,
    /// Busy share of the CPUs, in basis points; `None` when unknown or expired.
    pub cpu: Option<Share>,
    /// Where RAM and CPU come from, where the node says so.
    pub source: Option<Source>,
    /// Age of the newest report, in milliseconds.
    pub report_age_ms: Option<u64>,
    /// Sentences sent to the node and not yet answered.
    pub in_flight: u64,
    /// Sentences that the node has acknowledged to this balancer.
    pub stored: u64,
    /// Share of all sentences that this balancer has routed, in basis points.
    pub traffic: Share,
    /// The newest error, in words.
    pub last_error: Option<String>,
    /// The identity of the node's store, where it tells one.
    #[serde(default)]
    pub store: Option<StoreId>,
    /// Sentences that may lie on the node and on another one; it is asked for them before it is up.
    #[serde(default)]
    pub in_doubt: u64,
    /// For how long there have been such sentences, in milliseconds.
    #[serde(default)]
    pub in_doubt_for_ms: Option<u64>,
    /// `batch` when the node takes `POST /sentences`, `single` when it is an old one, `None` before it is known.
    pub protocol: Option<String>,
}

/// One element of `GET /decisions`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// When the choice was made, by the balancer's clock.
    pub at: Date,
    /// The sentence.
    pub id: SentenceId,
    /// The chosen node.
    pub node: String,
    /// Which part of the rule chose it.
    pub filter: Filter,
    /// The numbers compared, a row per candidate, by name.
    pub candidates: Vec<CandidateView>,
}

/// One candidate of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateView {
    /// The node's name.
    pub node: String,
    /// Documents as counted at that moment.
    pub documents: Option<u64>,
    /// RAM in whole percent.
    pub ram: Option<u8>,
    /// CPU in whole percent.
    pub cpu: Option<u8>,
    /// Age of the report behind the numbers, in milliseconds.
    pub age_ms: Option<u64>,
}
