//! The server in `tests/mongo-wire`, which speaks MongoDB's protocol: built. Absent: running it.

use std::path::PathBuf;

use anyhow::Result;
use xtask::command::{self, program, root, target_dir};

/// Builds it, and says where it lies; Go keeps what has not changed.
///
/// # Errors
/// When Go is missing, or fails.
pub(crate) fn build() -> Result<PathBuf> {
    let server = target_dir()?.join("mongo-wire/mongo-wire");
    let mut build = program("go");
    build.current_dir(root().join("tests/mongo-wire")).args(["build", "-o"]).arg(&server).arg(".");
    command::run(build)?;
    Ok(server)
}
