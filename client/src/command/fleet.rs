//! `balanza fleet`: the nodes as the balancer sees them.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use wire::FleetView;

use super::sentences::{failed, trouble};
use crate::balancer::Balancer;
use crate::cli::Fleet;
use crate::exit::{Exit, Failure};
use crate::nodes;
use crate::table::Table;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);
/// Home, and clear to the end: what stood below is gone without a flicker.
const HOME: &str = "\x1b[H\x1b[J";

/// Runs it.
pub(crate) async fn run(arguments: Fleet) -> Result<Exit, Failure> {
    if let Some(note) = arguments.from.note() {
        super::say(&note);
    }
    let balancer = Balancer::new(arguments.from).map_err(failed)?;
    tokio::select! {
        outcome = print(&balancer, arguments.json, arguments.watch) => outcome,
        exit = super::asked_to_end() => Ok(exit),
    }
}

async fn print(balancer: &Balancer, json: bool, watch: bool) -> Result<Exit, Failure> {
    let mut out = std::io::stdout();
    let redraw = watch && !json && out.is_terminal();
    loop {
        let fleet = balancer.fleet().await.map_err(trouble)?;
        let text = if json {
            serde_json::to_string(&fleet).map_err(std::io::Error::from)? + "\n"
        } else {
            text(&fleet)
        };
        write!(out, "{}{text}", if redraw { HOME } else { "" })?;
        out.flush()?;
        if !watch {
            return Ok(Exit::Done);
        }
        if !json && !redraw {
            writeln!(out)?;
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn text(fleet: &FleetView) -> String {
    let mut table = Table::new(nodes::HEAD).numbers_at([2, 3, 4, 6, 7, 8]);
    for node in &fleet.nodes {
        table.push(nodes::cells(node));
    }
    format!("policy {}, {} UTC\n\n{table}", fleet.policy, fleet.at)
}
