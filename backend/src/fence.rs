//! The fence: what keeps a post out that was sent before a moment, and waits for those that were let in before it.
//!
//! A post is let in with a [`Pass`] as one step with the look at its number, and the pass travels with the insert for as
//! long as the store works on it, whether or not anybody still waits for the answer. Raising the fence changes the number
//! and waits for the passes given out before. Absent: what a number means on the wire (`http`), and which insert is
//! through (`store`).

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Lets posts in, each with the number that holds, and can be raised.
#[derive(Debug)]
pub struct Fence {
    inside: Mutex<Inside>,
    number: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inside {
    /// Counts the passes given out since the fence was raised last.
    now: TaskTracker,
    /// Those of the times before, where they have not all been given back.
    before: Vec<TaskTracker>,
}

/// That an insert was let in. Whoever holds it still works on the insert, or may do so.
#[derive(Debug)]
pub struct Pass {
    /// Given back when it is dropped; nothing where no fence stands before the store.
    _token: Option<TaskTrackerToken>,
}

impl Pass {
    /// The pass of an insert that no fence keeps out, as of an import.
    pub const fn unfenced() -> Self {
        Self { _token: None }
    }
}

/// The post carries a number that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// The number that holds.
    pub holds: u64,
}

impl Fence {
    /// A fence whose first number is `first`. No two runs of a node may count from the same.
    pub fn new(first: u64) -> Self {
        let inside = Inside { now: TaskTracker::new(), before: Vec::new() };
        Self { inside: Mutex::new(inside), number: watch::Sender::new(first) }
    }

    /// The number that holds.
    pub fn number(&self) -> u64 {
        *self.number.borrow()
    }

    /// The number that holds, and every later one.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.number.subscribe()
    }

    /// Lets a post in that carries the number that holds, or none.
    ///
    /// # Errors
    /// The number that holds, where the post carries another.
    pub fn enter(&self, carried: Option<u64>) -> Result<Pass, Outdated> {
        let inside = self.inside.lock();
        let holds = self.number();
        if carried.is_some_and(|carried| carried != holds) {
            return Err(Outdated { holds });
        }
        Ok(Pass { _token: Some(inside.now.token()) })
    }

    /// Changes the number, and waits until every pass that was given out before is given back. Then gives the number that
    /// holds. The number stays changed when nobody waits to the end; the next to raise waits for those passes as well.
    pub async fn raise(&self) -> u64 {
        let before = {
            let mut inside = self.inside.lock();
            self.number.send_modify(|number| *number += 1);
            let before = std::mem::take(&mut inside.now);
            before.close();
            inside.before.retain(|passes| !passes.is_empty());
            inside.before.push(before);
            inside.before.clone()
        };
        for passes in before {
            passes.wait().await;
        }
        self.number()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_number_is_kept_out_and_told_which_one_holds() {
        let fence = Fence::new(7);
        assert!(fence.enter(None).is_ok() && fence.enter(Some(7)).is_ok());
        assert_eq!(fence.enter(Some(6)).unwrap_err(), Outdated { holds: 7 });
        assert_eq!(fence.raise().now_or_never(), Some(8), "nobody is inside");
        assert_eq!(fence.enter(Some(7)).unwrap_err(), Outdated { holds: 8 });
        assert!(fence.enter(None).is_ok() && fence.enter(Some(8)).is_ok());
    }

    #[tokio::test]
    async fn it_is_up_at_once_and_through_when_all_passes_are_given_back() {
        let fence = Fence::new(7);
        let (early, free) = (fence.enter(Some(7)).unwrap(), fence.enter(None).unwrap());
        let mut raised = Box::pin(fence.raise());
        assert_eq!(futures_util::poll!(&mut raised), std::task::Poll::Pending);
        assert_eq!(fence.enter(Some(7)).unwrap_err(), Outdated { holds: 8 });
        // Whoever comes later is neither held up nor waited for.
        let late = fence.enter(Some(8)).unwrap();
        drop(early);
        assert_eq!(futures_util::poll!(&mut raised), std::task::Poll::Pending);
        drop(free);
        assert_eq!(raised.await, 8);
        drop(late);
    }

    #[tokio::test]
    async fn who_raises_after_one_that_was_given_up_waits_for_the_same_passes() {
        let fence = Fence::new(7);
        let held = fence.enter(None).unwrap();
        assert_eq!(fence.raise().now_or_never(), None);
        assert_eq!(fence.number(), 8, "it stays up");
        let mut again = Box::pin(fence.raise());
        assert_eq!(futures_util::poll!(&mut again), std::task::Poll::Pending);
        drop(held);
        assert_eq!(again.await, 9);
        assert_eq!(fence.raise().await, 10);
        assert_eq!(fence.inside.lock().before.len(), 1, "what is through is forgotten");
    }

    /// Posters and fences on several threads: what was let in with an old number is never still inside behind a fence.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_with_an_old_number_is_inside_once_a_fence_is_through() {
        const FENCES: u64 = 200;
        let fence = Arc::new(Fence::new(1_000));
        // The passes that are out, by the number that they were given at.
        let out = Arc::new(Mutex::new(std::collections::BTreeMap::<u64, u64>::new()));
        let posters: Vec<_> = (0..4u64)
            .map(|poster| {
                let (fence, out) = (Arc::clone(&fence), Arc::clone(&out));
                tokio::spawn(async move {
                    let mut entered = 0u64;
                    loop {
                        let number = fence.number();
                        if number >= 1_000 + FENCES {
                            break entered;
                        }
                        tokio::task::yield_now().await;
                        // The number may have changed since it was read.
                        let Ok(pass) = fence.enter(Some(number)) else { continue };
                        *out.lock().entry(number).or_default() += 1;
                        entered += 1;
                        for _ in 0..(entered + poster) % 5 {
                            tokio::task::yield_now().await;
                        }
                        *out.lock().entry(number).or_default() -= 1;
                        drop(pass);
                    }
                })
            })
            .collect();
        for _ in 0..FENCES {
            let holds = fence.raise().await;
            let late = out.lock().range(..holds).any(|(_, passes)| *passes > 0);
            assert!(!late, "a pass from before {holds} is still out");
            tokio::task::yield_now().await;
        }
        for poster in posters {
            poster.await.unwrap();
        }
    }

    proptest! {
        /// Any order of entering, leaving and raising: a fence is through exactly when all before it have left.
        #[test]
        fn a_fence_waits_for_exactly_those_before_it(steps in proptest::collection::vec(0u8..4, 0..60)) {
            let fence = Fence::new(0);
            let mut inside = Vec::new();
            for step in steps {
                match step {
                    0 => inside.push((fence.number(), fence.enter(Some(fence.number())).unwrap())),
                    1 => inside.push((fence.number(), fence.enter(None).unwrap())),
                    2 => drop((!inside.is_empty()).then(|| inside.swap_remove(0))),
                    _ => {
                        let through = fence.raise().now_or_never();
                        prop_assert_eq!(through, inside.is_empty().then(|| fence.number()));
                    }
                }
                let holds = fence.number();
                prop_assert!(inside.iter().all(|(number, _)| *number <= holds));
            }
        }
    }
}
