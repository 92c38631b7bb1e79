//! PURE. The sentences that wait for one node, gathered into batches as they come. Absent: who posts them, and when.

use std::collections::VecDeque;
use std::time::Instant;

use super::batch::{Batch, Item};

/// The batches of one lane, oldest first; only the newest takes more.
pub(super) struct Queue<W> {
    batches: VecDeque<Batch<W>>,
    items: usize,
    bytes: usize,
    /// An emptied batch for the next sentences.
    spare: Option<Batch<W>>,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { batches: VecDeque::new(), items: 0, bytes: 0, spare: None }
    }
}

impl<W> Queue<W> {
    /// Whether it holds fewer sentences and bytes than these.
    pub(super) fn is_below(&self, max_items: usize, max_bytes: usize) -> bool {
        self.items < max_items && self.bytes < max_bytes
    }

    /// Puts a sentence at its end; the first of a batch asks what time it is.
    pub(super) fn push(&mut self, item: Item<'_, W>, now: impl FnOnce() -> Instant) {
        if self.batches.back().is_none_or(Batch::is_full) {
            self.batches.push_back(self.spare.take().unwrap_or_default());
        }
        if let Some(batch) = self.batches.back_mut() {
            let before = batch.text().len();
            batch.push(item, now);
            self.bytes += batch.text().len() - before;
            self.items += 1;
        }
    }

    /// Takes the oldest batch.
    pub(super) fn pop(&mut self) -> Option<Batch<W>> {
        let batch = self.batches.pop_front()?;
        self.items -= batch.len();
        self.bytes -= batch.text().len();
        Some(batch)
    }

    /// Takes all that waits.
    pub(super) fn take_all(&mut self) -> VecDeque<Batch<W>> {
        (self.items, self.bytes) = (0, 0);
        std::mem::take(&mut self.batches)
    }

    /// Keeps an emptied batch for the next sentences.
    pub(super) fn recycle(&mut self, batch: Batch<W>) {
        self.spare = batch.emptied().or(self.spare.take());
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::{assignment, batch, start};
    use super::*;

    const ID: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";

    fn push(queue: &mut Queue<usize>, n: usize) {
        for _ in 0..n {
            for item in batch(&[ID]).drain() {
                queue.push(item, start);
            }
        }
    }

    #[test]
    fn what_comes_while_another_waits_goes_with_it() {
        let mut queue = Queue::default();
        push(&mut queue, 3);
        assert!(queue.is_below(4, usize::MAX) && !queue.is_below(3, usize::MAX));
        assert_eq!(queue.pop().unwrap().len(), 3);
        assert!(queue.pop().is_none() && queue.is_below(1, 1), "nothing is counted that has left");
    }

    #[test]
    fn a_full_batch_leaves_before_it_takes_more() {
        let mut queue = Queue::default();
        push(&mut queue, 5_000);
        let sizes: Vec<usize> = queue.take_all().iter().map(Batch::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 5_000);
        assert!(sizes.len() > 1, "{sizes:?}");
        assert!(queue.is_below(1, 1));
    }

    #[test]
    fn an_emptied_batch_is_used_again() {
        let mut queue = Queue::default();
        push(&mut queue, 1);
        let batch = queue.pop().unwrap();
        let room = batch.text().as_ptr();
        queue.recycle(batch);
        push(&mut queue, 1);
        assert_eq!(queue.pop().unwrap().text().as_ptr(), room);
        assert_eq!(assignment().node().slot, 0);
    }
}
