//! Debian packages, for the commands that need more than Rust. Owns how they are installed; which ones, and what
//! follows when they cannot be, is for each command to say.

use anyhow::Result;
use xtask::command::{self, program};

/// Whether this user can install packages on this system.
pub(crate) fn can_install() -> bool {
    command::exists("apt-get") && rustix::process::geteuid().is_root()
}

/// Installs packages, from lists fetched anew.
///
/// # Errors
/// When `apt-get` fails, which says why itself.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut apt = program("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command::run(apt)
    };
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], packages].concat())
}
