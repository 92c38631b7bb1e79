//! Words that are spelt wrong, in sources and documents. `typos.toml` holds the words that are right all the same.

use anyhow::Result;

use super::Outcome;
use super::tool::Tool;
use xtask::command;

const TYPOS: Tool = Tool { name: "typos-cli", version: "1.52.0", program: "typos" };

/// Looks through every file that is under version control or could be.
pub(super) fn everywhere() -> Result<Outcome> {
    let mut typos = TYPOS.command()?;
    typos.args(["--format", "brief"]);
    command::run(typos)?;
    Ok(Outcome::Held)
}
