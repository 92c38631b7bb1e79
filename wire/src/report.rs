//! What a node says of itself: the old `/usage` and the full `/report`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Date, Share, StoreId};

/// `GET /usage` in the old form: percents as strings, as the old web page reads them.
///
/// An unknown percent is the empty string: the old readers show it, and no reader takes it for idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Busy share of all online CPUs, whole percent.
    pub cpu: String,
    /// Documents in the store.
    pub database: u64,
    /// Used share of memory, whole percent.
    pub ram: String,
}

impl Usage {
    /// The percents of `ram` and `cpu` as the old form writes them.
    pub fn new(documents: u64, ram: Option<Share>, cpu: Option<Share>) -> Self {
        let written =
            |share: Option<Share>| share.map_or_else(String::new, |share| share.percent().to_string());
        Self { cpu: written(cpu), database: documents, ram: written(ram) }
    }

    /// RAM as a number; `None` when it is unknown. Old nodes may send decimals: they are cut off.
    pub fn ram(&self) -> Option<Share> {
        percent(&self.ram)
    }

    /// CPU as a number; `None` when it is unknown.
    pub fn cpu(&self) -> Option<Share> {
        percent(&self.cpu)
    }
}

fn percent(text: &str) -> Option<Share> {
    let whole = text.trim().trim_end_matches('%');
    let (whole, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Share::from_percent(whole.parse().ok()?)
}

/// Where a reading comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The kernel probe.
    Ebpf,
    /// Files below `/proc`.
    Procfs,
    /// One half from the probe, the other from `/proc`.
    Mixed,
}

/// Why a text is no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no source; use ebpf, procfs or mixed")]
pub struct SourceError(String);

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Ebpf, Self::Procfs, Self::Mixed];

    /// The name, as reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Procfs => "procfs",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let known = Self::ALL.into_iter().find(|source| source.name() == text);
        known.ok_or_else(|| SourceError(text.chars().take(64).collect()))
    }
}

/// `GET /report`: everything that a node knows of itself.
///
/// `documents` and `revision` are read in one step: every post that was answered with a revision up to this one is
/// among these documents, and none with a later one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The run of the node's process. Revisions and sequence numbers of two epochs do not compare.
    pub epoch: String,
    /// Counts reports within the epoch, so that a frozen node shows.
    pub seq: u64,
    /// When RAM and CPU were sampled, by the node's clock.
    pub sampled_at: Date,
    /// Whether RAM and CPU are fresh readings; when not, they count as unknown.
    pub valid: bool,
    /// Used share of memory, in basis points.
    pub ram: Option<Share>,
    /// Busy share of all online CPUs over the window, in basis points.
    pub cpu: Option<Share>,
    /// Memory in all, in bytes.
    pub ram_total_bytes: Option<u64>,
    /// Memory available without swapping, in bytes.
    pub ram_available_bytes: Option<u64>,
    /// Busy share of each online CPU over the window, by CPU number, in basis points.
    pub per_cpu: Vec<Option<Share>>,
    /// Share of the window that the hypervisor gave to others, in basis points. It is part of `cpu`.
    pub steal: Option<Share>,
    /// Length of the window that `cpu` covers, in milliseconds.
    pub window_ms: Option<u64>,
    /// Where the two readings come from together.
    pub source: Source,
    /// Where RAM comes from.
    pub ram_source: Source,
    /// Where CPU comes from.
    pub cpu_source: Source,
    /// `host`, or `cgroup` when the shares are of the cgroup's own limits.
    pub scope: String,
    /// The identity of the store, where the node tells it.
    #[serde(default)]
    pub store: Option<StoreId>,
    /// The number that a post must carry, if it carries one, to be let in (see [`Fenced`](crate::Fenced)). It changes with
    /// each fence and with each run of the process, and never comes again.
    #[serde(default)]
    pub fence: Option<u64>,
    /// Balancers that read the node's reports, where it tells how many; more than one can have sent it the same sentence.
    #[serde(default)]
    pub balancers: Option<u64>,
    /// Documents in the store.
    pub documents: u64,
    /// Counts the changes of the store within the epoch; see the type's text.
    pub revision: u64,
    /// Requests that the node is working on.
    pub in_flight: u64,
    /// Whether the node takes sentences.
    pub ready: bool,
    /// Why it does not.
    pub not_ready_because: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_written_as_the_old_page_reads_it() {
        let usage = Usage::new(36, Share::from_basis_points(6199), Share::from_basis_points(7));
        assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"cpu":"0","database":36,"ram":"61"}"#);
    }

    #[test]
    fn a_source_has_one_name_everywhere() {
        for source in Source::ALL {
            assert_eq!(serde_json::to_value(source).unwrap(), source.name());
            assert_eq!((source.to_string().as_str(), source.name().parse()), (source.name(), Ok(source)));
        }
        let error = "Procfs".parse::<Source>().unwrap_err().to_string();
        assert_eq!(error, "`Procfs` is no source; use ebpf, procfs or mixed");
    }

    #[test]
    fn percents_are_numbers_and_unknown_is_never_zero() {
        let read = |text: &str| percent(text).map(Share::percent);
        assert_eq!(read("9"), Some(9));
        assert_eq!(read("61.97"), Some(61));
        assert_eq!(read(" 5% "), Some(5));
        for unknown in ["", "-1", "101", "n/a", "1.x", "NaN"] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
        assert!(percent("9") < percent("10"), "the old balancer compared these as strings");
    }
}
