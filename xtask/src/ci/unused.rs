//! Dependencies that a manifest names and no source uses. Those of the root manifest that nothing takes are found by
//! `deny.toml`. Absent: those that no crate of ours takes but a crate of others does, which that check counts as used.

use anyhow::Result;

use super::Outcome;
use super::tool::Tool;
use xtask::command;

const MACHETE: Tool = Tool { name: "cargo-machete", version: "0.9.2", program: "cargo-machete" };

/// Looks through every manifest below the root, those of other workspaces included.
pub(super) fn dependencies() -> Result<Outcome> {
    command::run(MACHETE.command()?)?;
    Ok(Outcome::Held)
}
