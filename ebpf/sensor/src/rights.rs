//! Which rights the process holds, and giving them up once the probe is attached.
//!
//! Loading needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, which contains both. Sampling afterwards needs none
//! on kernels that allow test runs without rights (5.19 and later), else CAP_BPF.

use caps::{CapSet, Capability, CapsHashSet};

use crate::SensorError;

/// The first right that loading needs and this thread lacks.
pub(crate) fn first_missing() -> Option<&'static str> {
    let holds = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if holds(Capability::CAP_SYS_ADMIN) {
        return None;
    }
    [(Capability::CAP_BPF, "CAP_BPF"), (Capability::CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .find_map(|(capability, name)| (!holds(capability)).then_some(name))
}

/// What is left after rights were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// None at all.
    Nothing,
    /// CAP_BPF alone, because this kernel does not let the probe be run without it.
    Bpf,
}

/// An error when there are other threads, which would keep their rights.
pub(crate) fn only_thread() -> Result<(), SensorError> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => Ok(()),
        _ => Err(SensorError::Rights {
            problem: "rights belong to a thread, and there are several: drop them before threads are started"
                .to_owned(),
        }),
    }
}

/// Drops all rights of the calling thread, for good. `still_works` is asked once none is in effect, and where the
/// answer is no, CAP_BPF is kept.
pub(crate) fn drop_all(still_works: impl Fn() -> bool) -> Result<Rights, SensorError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| SensorError::Rights {
        problem: format!("{what}: {error}"),
    };
    // What a program started later could regain goes first: that needs a right itself.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        caps::clear(None, CapSet::Bounding).map_err(|error| failed("the bounding set", &error))?;
    }
    rustix::thread::set_no_new_privs(true).map_err(|error| failed("no_new_privs", &error))?;
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective] {
        caps::clear(None, set).map_err(|error| failed("a set of capabilities", &error))?;
    }
    if still_works() {
        caps::clear(None, CapSet::Permitted).map_err(|error| failed("the permitted set", &error))?;
        return Ok(Rights::Nothing);
    }
    let bpf = CapsHashSet::from([Capability::CAP_BPF]);
    for set in [CapSet::Permitted, CapSet::Effective] {
        caps::set(None, set, &bpf).map_err(|error| failed("keeping CAP_BPF alone", &error))?;
    }
    Ok(Rights::Bpf)
}
