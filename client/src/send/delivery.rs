//! Delivers sentences to the balancer: bounded in flight, repeated under their ids, paused and cancelled on order.
//!
//! Knows nothing of files, screens or journals: what happens is told as events, in the order in which it happens.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use wire::NewSentence;

use super::author::Seed;
use super::{Done, End, Order, Progress};
use crate::answer::Answer;
use crate::balancer::Balancer;
use crate::clock;

/// Before anything was ever reached, a wrong address is told this soon.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
/// How long answers under way are awaited after an order to stop.
const GRACE: Duration = Duration::from_secs(2);
/// The wait before the first repeat, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How a run is delivered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Most sentences under way at once.
    pub jobs: usize,
    /// How long nothing may move before the run ends.
    pub patience: Duration,
    /// Spreads repeats over time.
    pub seed: Seed,
}

/// Delivers the sentences, each with its place in the run, until all are done or the run ends.
pub async fn deliver(
    balancer: &Balancer,
    work: Vec<(usize, NewSentence)>,
    manner: Manner,
    order: watch::Receiver<Order>,
    tell: &dyn Fn(Progress),
) -> End {
    let (halt, halted) = watch::channel(false);
    let run = Run {
        balancer,
        manner,
        order,
        tell,
        halt,
        halted,
        reached: Cell::new(false),
        moved_at: Cell::new(clock::instant()),
        end: RefCell::new(None),
    };
    stream::iter(work)
        .for_each_concurrent(manner.jobs, |(index, sentence)| {
            let run = &run;
            async move { run.deliver_one(index, &sentence).await }
        })
        .await;
    let cancelled = *run.order.borrow() == Order::Cancel;
    run.end.into_inner().unwrap_or(if cancelled { End::Cancelled } else { End::Complete })
}

/// A run under way. One task drives all of it, so cells suffice.
struct Run<'a> {
    balancer: &'a Balancer,
    manner: Manner,
    order: watch::Receiver<Order>,
    tell: &'a dyn Fn(Progress),
    halt: watch::Sender<bool>,
    halted: watch::Receiver<bool>,
    reached: Cell<bool>,
    moved_at: Cell<Instant>,
    end: RefCell<Option<End>>,
}

impl Run<'_> {
    async fn deliver_one(&self, index: usize, sentence: &NewSentence) {
        let mut began = None;
        for attempt in 0u32.. {
            if !self.may_begin(&mut began).await {
                return;
            }
            let answer = tokio::select! {
                answer = self.balancer.post(sentence) => answer,
                () = self.cut_off() => return,
            };
            let now = clock::instant();
            match answer {
                Answer::Stored { node, filter } => {
                    self.moved(now);
                    return (self.tell)(Progress::Stored(Done { index, node, filter }));
                }
                Answer::Refused(cause) => {
                    self.moved(now);
                    return (self.tell)(Progress::Failed { index, cause });
                }
                Answer::Later { cause, after, reached } => {
                    if reached {
                        self.reached.set(true);
                    }
                    let waited = began.map_or(Duration::ZERO, |began| now.duration_since(began));
                    if now.duration_since(self.moved_at.get()) > self.patience() {
                        return self.end_with(if reached {
                            End::Stalled(cause)
                        } else {
                            End::Unreachable(cause)
                        });
                    }
                    if waited > 2 * self.manner.patience {
                        // The others move on; this one does not.
                        return (self.tell)(Progress::Failed { index, cause });
                    }
                    (self.tell)(Progress::Waiting { cause });
                    let wait = backoff(attempt, self.manner.seed.jitter(index as u64))
                        .max(after.unwrap_or_default());
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stopped() => return,
                    }
                }
            }
        }
    }

    fn moved(&self, now: Instant) {
        self.reached.set(true);
        self.moved_at.set(now);
    }

    fn patience(&self) -> Duration {
        if self.reached.get() { self.manner.patience } else { self.manner.patience.min(FIRST_PATIENCE) }
    }

    fn end_with(&self, end: End) {
        self.end.borrow_mut().get_or_insert(end);
        self.halt.send_replace(true);
    }

    /// Waits while paused; false when nothing may begin any more.
    async fn may_begin(&self, began: &mut Option<Instant>) -> bool {
        let mut order = self.order.clone();
        if *order.borrow() == Order::Pause {
            // An error means that the one who gave orders is gone, and with it the pause.
            drop(order.wait_for(|order| *order != Order::Pause).await);
            self.moved_at.set(clock::instant());
            *began = None;
        }
        began.get_or_insert_with(clock::instant);
        *order.borrow() != Order::Cancel && !*self.halted.borrow()
    }

    /// Ends when the run is to end, after the grace that answers under way are given.
    async fn cut_off(&self) {
        self.stopped().await;
        tokio::time::sleep(GRACE).await;
    }

    async fn stopped(&self) {
        let (mut order, mut halted) = (self.order.clone(), self.halted.clone());
        let cancelled = async {
            if order.wait_for(|order| *order == Order::Cancel).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = cancelled => {}
            _ = halted.wait_for(|halted| *halted) => {}
        }
    }
}

/// Doubles from attempt to attempt, up to the longest; then up to half of it more, so that repeats do not march in step.
fn backoff(attempt: u32, jitter: u32) -> Duration {
    let (first, longest) = BACKOFF;
    let wait = first.saturating_mul(1 << attempt.min(10)).min(longest);
    wait + wait / 2048 * jitter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_come_slower_and_slower_and_not_too_slow() {
        assert_eq!(backoff(0, 0), Duration::from_millis(50));
        assert_eq!(backoff(3, 0), Duration::from_millis(400));
        assert_eq!(backoff(99, 0), Duration::from_secs(2));
        assert!(backoff(99, 1023) <= Duration::from_secs(3));
        assert!(backoff(0, 1023) > Duration::from_millis(74));
    }
}
