//! `balanza sentences`: what is stored, printed as it arrives.

use std::io::Write;

use futures_util::StreamExt;

use crate::balancer::{Balancer, Listed, Listing, Trouble};
use crate::cause::Cause;
use crate::cli::Sentences;
use crate::exit::{Exit, Failure};
use crate::printable::printable;

/// Runs it.
pub(crate) async fn run(arguments: Sentences) -> Result<Exit, Failure> {
    if let Some(note) = arguments.from.note() {
        super::say(&note);
    }
    let balancer = Balancer::new(arguments.from).map_err(failed)?;
    let listing = Listing { author: arguments.author, server: arguments.server, limit: arguments.limit };
    tokio::select! {
        outcome = print(&balancer, &listing, arguments.json) => outcome,
        exit = super::asked_to_end() => Ok(exit),
    }
}

async fn print(balancer: &Balancer, listing: &Listing, json: bool) -> Result<Exit, Failure> {
    let mut sentences = balancer.sentences(listing).await.map_err(trouble)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    while let Some(element) = sentences.next().await {
        let element = match element {
            Ok(element) => element,
            Err(cause) => {
                out.flush()?;
                return Err(failed(cause));
            }
        };
        if json {
            out.write_all(&element)?;
            out.write_all(b"\n")?;
            continue;
        }
        let listed = serde_json::from_slice::<Listed>(&element)
            .map_err(|error| failed(Cause::new(format!("the listing holds no sentence: {error}"))))?;
        let Listed { server, date, author, sentence } = listed;
        writeln!(
            out,
            "{}  {}  {}: {}",
            printable(&date),
            printable(&server),
            printable(&author),
            printable(&sentence)
        )?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// A failure for what the balancer did not give.
pub(super) fn trouble(trouble: Trouble) -> Failure {
    let exit = if matches!(trouble, Trouble::Unreachable(_)) { Exit::Unreachable } else { Exit::Failed };
    Failure { exit, lines: vec![trouble.cause().to_string()] }
}

/// A failure with this cause.
pub(super) fn failed(cause: Cause) -> Failure {
    Failure { exit: Exit::Failed, lines: vec![cause.to_string()] }
}
