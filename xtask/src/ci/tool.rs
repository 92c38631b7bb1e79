//! Programs of others that the checks run, each in one stated version: installed from its source where it is missing, into
//! the folder that cargo builds into, so that nothing else on the system changes and `cargo clean` takes it away again.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use xtask::command::{self, cargo, program};

/// One such program.
pub(super) struct Tool {
    /// The crate.
    pub(super) name: &'static str,
    /// Its version, exactly.
    pub(super) version: &'static str,
    /// The program that the crate installs.
    pub(super) program: &'static str,
}

/// What makes a build quick: these programs run for seconds, and are compiled far more often than they are waited for.
const QUICK: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

impl Tool {
    /// A command that runs it in the root, once it is there.
    ///
    /// # Errors
    /// When it cannot be installed; cargo has said why.
    pub(super) fn command(&self) -> Result<Command> {
        let folder = self.folder()?;
        let place = folder.join("bin").join(self.program);
        if !place.is_file() {
            println!(
                "{} {} is not there yet; it is compiled once, which takes a minute or two",
                self.name, self.version
            );
            let mut install = cargo(&["install", "--locked", "--quiet", "--root"]);
            install.arg(&folder).arg(format!("{}@{}", self.name, self.version));
            // All of them are built in one place, since they share crates.
            install.arg("--target-dir").arg(command::target_dir()?.join("tools/build")).envs(QUICK);
            command::run(install)?;
        }
        Ok(program(place))
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(command::target_dir()?.join("tools").join(format!("{}-{}", self.name, self.version)))
    }
}
