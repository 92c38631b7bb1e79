//! What comes from elsewhere: licences, sources, who may use what, and known faults of it. `deny.toml` holds the rules.

use anyhow::Result;

use super::Outcome;
use super::tool::Tool;
use xtask::command;

const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", program: "cargo-deny" };

/// What the lock file and the manifests say; needs nothing from outside.
pub(super) fn crates_of_others() -> Result<Outcome> {
    let mut deny = DENY.command()?;
    deny.args(["check", "licenses", "sources", "bans"]);
    command::run(deny)?;
    Ok(Outcome::Held)
}

/// Whether a fault of a crate is known. The list of faults is a git repository: where it cannot be had, nothing is known,
/// and that is said.
pub(super) fn advisories() -> Result<Outcome> {
    let fetched = DENY.command()?.args(["fetch", "db"]).output()?;
    if !fetched.status.success() {
        let told = String::from_utf8_lossy(&fetched.stderr);
        let why = told.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
        return Ok(Outcome::Skipped(format!("the list of known faults cannot be fetched: {why}")));
    }
    let mut deny = DENY.command()?;
    deny.args(["check", "--disable-fetch", "advisories"]);
    command::run(deny)?;
    Ok(Outcome::Held)
}
