//! PURE. Why a sensor could not be opened. Every message names the remedy. Absent: which of them a failed call is.

use std::path::PathBuf;

/// Why a sensor, or one half of it, could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SensorError {
    /// The name of the source is not one of the three.
    #[error("`{given}` is no probe choice: use auto, ebpf or procfs")]
    UnknownChoice {
        /// What was given.
        given: String,
    },

    /// A proc file cannot be read or does not say what it should.
    #[error("{}: {problem}: mount a proc file system there, or name its place", path.display())]
    Procfs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The cgroup of this process cannot be read, or is the root, which has no usage of its own.
    #[error("{}: {problem}; run in a cgroup with the memory and cpu controllers, or use --scope host", path.display())]
    Cgroup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The probe measures the host only.
    #[error(
        "--probe ebpf measures the host, and the cgroup's figures come from its files: use --probe auto with it"
    )]
    ScopeWithoutProbe,

    /// The name of the scope is not one of the two.
    #[error("`{given}` is no scope: use host or cgroup")]
    UnknownScope {
        /// What was given.
        given: String,
    },

    /// The process lacks a right.
    #[error(
        "the kernel refused to {action}, and this process lacks {capability}: run it as root, or give it both rights \
         with `setcap cap_bpf,cap_perfmon+ep`, AmbientCapabilities=CAP_BPF CAP_PERFMON or --cap-add BPF --cap-add \
         PERFMON"
    )]
    MissingCapability {
        /// What was tried.
        action: String,
        /// The name of the missing capability.
        capability: &'static str,
    },

    /// The process has the rights, and the kernel refuses all the same.
    #[error(
        "the kernel refused to {action} although this process holds CAP_BPF and CAP_PERFMON: leave the user \
         namespace, allow bpf(2) in the container's seccomp profile, or leave kernel lockdown"
    )]
    Refused {
        /// What was tried.
        action: String,
    },

    /// The kernel has no bpf(2).
    #[error(
        "the kernel cannot {action}: it has no bpf(2); use a kernel with CONFIG_BPF_SYSCALL, or --probe procfs"
    )]
    NoBpf {
        /// What was tried.
        action: String,
    },

    /// The kernel describes its own types nowhere.
    #[error(
        "{}: {problem}: use a kernel of 5.10 or later with CONFIG_DEBUG_INFO_BTF, or --probe procfs",
        path.display()
    )]
    NoBtf {
        /// Where they should be.
        path: PathBuf,
        /// Why they are not.
        problem: String,
    },

    /// The kernel's structures are not as the walk needs them.
    #[error("{missing}; the probe must be taught this kernel: report it, and use --probe auto until then")]
    Layout {
        /// What is missing or different.
        missing: String,
    },

    /// The verifier refused a program.
    #[error(
        "the verifier refused the program `{program}` ({cause}): report it with this log, and use --probe auto until \
         then\n{log}"
    )]
    Verifier {
        /// The program.
        program: &'static str,
        /// The error number in words.
        cause: String,
        /// The end of the verifier's log.
        log: String,
    },

    /// The kernel has no such hook, or would not attach to it.
    #[error(
        "cannot attach to the tracepoint {tracepoint} ({cause}): use a kernel with CONFIG_TRACEPOINTS, or --probe procfs"
    )]
    Attach {
        /// The tracepoint.
        tracepoint: &'static str,
        /// The cause in words.
        cause: String,
    },

    /// Something else failed between the object and the kernel.
    #[error("cannot {action} ({cause}): report it, and use --probe auto until then")]
    Load {
        /// What was tried.
        action: String,
        /// The cause in words.
        cause: String,
    },

    /// A program that runs on demand did not find what it needs.
    #[error("`{program}` says that {problem}: report it, and use --probe auto until then")]
    Walk {
        /// The program.
        program: &'static str,
        /// What it says.
        problem: &'static str,
    },

    /// The walk disagrees with the kernel's own figures.
    #[error(
        "the walk does not agree with /proc/meminfo: {problem}; this kernel counts differently, so report it, and use \
         --probe auto until then"
    )]
    SelfCheck {
        /// Both figures.
        problem: String,
    },

    /// The rights could not be dropped.
    #[error("cannot drop the rights: {problem}")]
    Rights {
        /// Why, and what to do.
        problem: String,
    },

    /// The file in the BPF file system could not be made or removed.
    #[error("{}: {problem}", path.display())]
    Pin {
        /// The file or directory.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
}

/// A chain of causes on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        // Some errors already end with their cause.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}
