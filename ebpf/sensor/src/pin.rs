//! The file `so_info` in the BPF file system: `cat` prints `ram;cpu`, whether or not a process of ours runs.
//!
//! Pins an iterator under that name and the hooks beside it, so that all of them outlive the sensor. They stay until
//! [`unpin`] or the next boot.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aya::programs::Iter;
use aya::programs::links::FdLink;

use crate::SensorError;
use crate::bpf::{HOOKS, Probe, refused};
use crate::error::chain;

/// Where the file is, unless the operator says otherwise.
pub const PIN_DIRECTORY: &str = "/sys/fs/bpf/balanza";

/// The name that the kernel module of the old system had for it.
const FILE: &str = "so_info";

/// What statfs(2) says of a BPF file system.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// Pins the iterator and the hooks of a probe that has both halves. What another sensor left there is replaced.
pub(crate) fn pin(probe: &mut Probe, directory: &Path, slots: u32) -> Result<(), SensorError> {
    if slots > ebpf_abi::window::MAX_SHOWN_CPUS {
        let most = ebpf_abi::window::MAX_SHOWN_CPUS;
        return Err(error(
            directory,
            format!("this host may have {slots} CPUs, and the file adds up {most} at most"),
        ));
    }
    let parent = directory.parent().unwrap_or(directory);
    let is_bpf_fs = |path: &Path| rustix::fs::statfs(path).is_ok_and(|found| found.f_type == BPF_FS_MAGIC);
    if !is_bpf_fs(directory) && !is_bpf_fs(parent) {
        let problem = format!(
            "is not in a BPF file system: mount one with `mount -t bpf bpf {}`, or name another place",
            parent.display()
        );
        return Err(error(directory, problem));
    }
    unpin(directory)?;
    fs::create_dir(directory).map_err(|problem| not_permitted(directory, &problem))?;
    let show = attach_iterator(probe)?;
    pin_link(probe, show, &directory.join(FILE))?;
    for (name, link) in std::mem::take(&mut probe.links) {
        pin_link(probe, link, &directory.join(name))?;
    }
    let file = directory.join(FILE);
    for (path, mode) in [(directory, 0o755), (file.as_path(), 0o444)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|problem| not_permitted(path, &problem))?;
    }
    // The first reading begins the window of the second.
    fs::read(&file).map_err(|problem| not_permitted(&file, &problem))?;
    Ok(())
}

/// Removes what was pinned, and with it the hooks, once no sensor holds them either. Tells whether anything was
/// there.
pub fn unpin(directory: &Path) -> Result<bool, SensorError> {
    let names = HOOKS.iter().map(|hook| hook.tracepoint).chain([FILE]);
    let mut found = false;
    for path in names.map(|name| directory.join(name)) {
        found |= absent_is_fine(&path, fs::remove_file(&path))?;
    }
    // Files that are not ours keep the directory, and are told of by its name.
    found |= absent_is_fine(directory, fs::remove_dir(directory))?;
    Ok(found)
}

fn attach_iterator(probe: &mut Probe) -> Result<FdLink, SensorError> {
    const SHOW: &str = "show";
    let load = |cause: String| SensorError::Load { action: format!("attach `{SHOW}`"), cause };
    let Some(btf) = &probe.kernel_btf else { return Err(load("the kernel has no BTF".to_owned())) };
    let program: Option<&mut Iter> = probe.ebpf.program_mut(SHOW).and_then(|program| program.try_into().ok());
    let program = program.ok_or_else(|| load("the embedded object lacks it".to_owned()))?;
    program.load("bpf_map", btf).map_err(|error| refused(SHOW, &error))?;
    let attached = program.attach().and_then(|link| program.take_link(link));
    let link = attached.map_err(|error| SensorError::from_kernel("attach an iterator", &error))?;
    link.try_into().map_err(|error| load(chain(&error)))
}

fn pin_link(probe: &mut Probe, link: FdLink, path: &Path) -> Result<(), SensorError> {
    let pinned = link.pin(path).map_err(|problem| error(path, chain(&problem)))?;
    probe.pinned.push(pinned);
    Ok(())
}

fn absent_is_fine(path: &Path, removed: io::Result<()>) -> Result<bool, SensorError> {
    match removed {
        Ok(()) => Ok(true),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(problem) => Err(not_permitted(path, &problem)),
    }
}

fn not_permitted(path: &Path, problem: &io::Error) -> SensorError {
    error(
        path,
        format!("{problem}: pinning needs write access to the BPF file system, which root has at first"),
    )
}

fn error(path: &Path, problem: String) -> SensorError {
    SensorError::Pin { path: PathBuf::from(path), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_pinned_is_nothing_to_remove() {
        let place = tempfile::tempdir().unwrap();
        assert!(!unpin(&place.path().join("absent")).unwrap());
    }

    #[test]
    fn what_is_not_ours_stays_and_is_named() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(FILE), "").unwrap();
        fs::write(place.path().join("other"), "").unwrap();
        let problem = unpin(place.path()).unwrap_err().to_string();
        assert!(problem.contains(&place.path().display().to_string()), "{problem}");
        assert!(!place.path().join(FILE).exists() && place.path().join("other").exists());
    }
}
