//! Leads a run through its life on behalf of the screen: journal, delivery, end. Absent: what a run is (`send`), and
//! what the screen makes of it (`app`).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use wire::NewSentence;

use super::tell;
use crate::app::{Event, Parcel};
use crate::balancer::Balancer;
use crate::cause::Cause;
use crate::cli::{JOBS, PATIENCE};
use crate::clock;
use crate::send::delivery::{self, Manner};
use crate::send::journal::{Journal, JournalError};
use crate::send::{End, Order, Progress};

/// Sends what the parcel holds, without what an earlier, broken run has stored, and tells each step to the screen.
pub(super) async fn run(
    parcel: Parcel,
    state: Option<&Path>,
    orders: watch::Receiver<Order>,
    events: &UnboundedSender<Event>,
) -> End {
    let fresh_seed = if parcel.fresh { clock::new_seed() } else { parcel.seed };
    let to = parcel.to.to_string();
    let opened = state
        .map(|state| Journal::open(state, &parcel.key, &to, parcel.n_sentences, fresh_seed, parcel.fresh));
    let (journal, seed, done) = match opened {
        Some(Ok(opened)) => (Some(opened.journal), opened.seed, opened.done),
        Some(Err(error @ JournalError::Busy)) => {
            return End::Stalled(Cause::new(error.to_string()));
        }
        Some(Err(error)) => {
            tell(events, Event::Warned(format!("A broken run could not be taken up: {error}.")));
            (None, fresh_seed, Vec::new())
        }
        None => (None, fresh_seed, Vec::new()),
    };
    let balancer = match Balancer::new(parcel.to) {
        Ok(balancer) => balancer,
        Err(cause) => return End::Stalled(cause),
    };
    let is_done = done.iter().map(|done| done.index).collect::<BTreeSet<_>>();
    let waiting = parcel.sentences.into_iter().filter(|(index, ..)| !is_done.contains(index));
    let work = waiting.map(|(index, author, sentence)| {
        let author = author.unwrap_or_else(|| seed.author(index as u64).to_owned());
        (index, NewSentence { id: seed.id(index as u64), author, sentence })
    });
    let work = work.collect::<Vec<_>>();
    let n_missing = RefCell::new(work.len());
    tell(events, Event::RunBegan(seed, done));
    let journal = RefCell::new(journal);
    let report = |progress: Progress| {
        if let Progress::Stored(done) = &progress {
            *n_missing.borrow_mut() -= 1;
            let written = journal.borrow_mut().as_mut().map_or(Ok(()), |journal| journal.note(done));
            if let Err(error) = written {
                *journal.borrow_mut() = None;
                tell(events, Event::Warned(format!("The journal of this run cannot be written: {error}.")));
            }
        }
        tell(events, Event::Progress(progress));
    };
    let manner = Manner { jobs: usize::from(JOBS), patience: PATIENCE, seed };
    let end = delivery::deliver(&balancer, work, manner, orders, &report).await;
    if *n_missing.borrow() == 0
        && let Some(Err(error)) = journal.borrow_mut().take().map(Journal::remove)
    {
        tell(events, Event::Warned(format!("The journal of this run cannot be removed: {error}.")));
    }
    end
}
