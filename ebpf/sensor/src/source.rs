//! PURE. Which source is asked for, and which source each half of a sample really has.

use std::fmt;
use std::str::FromStr;

use crate::SensorError;

/// What the operator asks for with `--probe`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProbeChoice {
    /// The probe where it works, else procfs, each half on its own.
    #[default]
    Auto,
    /// The probe for both halves, or an error that says what is missing.
    Ebpf,
    /// The proc files only; nothing is loaded into the kernel.
    Procfs,
}

impl FromStr for ProbeChoice {
    type Err = SensorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "ebpf" => Ok(Self::Ebpf),
            "procfs" => Ok(Self::Procfs),
            other => Err(SensorError::UnknownChoice { given: other.to_owned() }),
        }
    }
}

impl fmt::Display for ProbeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Ebpf => "ebpf",
            Self::Procfs => "procfs",
        })
    }
}

/// Whose RAM and CPU are measured, as `--scope` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The whole host.
    #[default]
    Host,
    /// The cgroup that this process runs in, against its own limits.
    Cgroup,
}

impl FromStr for Scope {
    type Err = SensorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "host" => Ok(Self::Host),
            "cgroup" => Ok(Self::Cgroup),
            other => Err(SensorError::UnknownScope { given: other.to_owned() }),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Cgroup => "cgroup",
        })
    }
}

/// Where one half of a sample comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The probe in the kernel.
    Ebpf,
    /// The files under `/proc`.
    Procfs,
}

impl Source {
    /// The name that reports, logs and metrics use.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Procfs => "procfs",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The sources of both halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Where memory comes from.
    pub ram: Source,
    /// Where CPU time comes from.
    pub cpu: Source,
}

impl Sources {
    /// `ebpf` or `procfs` when both halves agree, else `mixed`.
    #[must_use]
    pub fn label(self) -> &'static str {
        if self.ram == self.cpu { self.ram.label() } else { "mixed" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for choice in [ProbeChoice::Auto, ProbeChoice::Ebpf, ProbeChoice::Procfs] {
            assert_eq!(choice.to_string().parse::<ProbeChoice>().unwrap(), choice);
        }
        let error = "bpf".parse::<ProbeChoice>().unwrap_err().to_string();
        assert!(error.contains("`bpf`") && error.contains("auto, ebpf or procfs"), "{error}");
    }

    #[test]
    fn halves_that_differ_are_mixed() {
        let label = |ram, cpu| Sources { ram, cpu }.label();
        assert_eq!(label(Source::Ebpf, Source::Ebpf), "ebpf");
        assert_eq!(label(Source::Procfs, Source::Procfs), "procfs");
        assert_eq!(label(Source::Procfs, Source::Ebpf), "mixed");
    }
}
