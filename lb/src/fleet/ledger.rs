//! PURE. How many documents a node holds, as the rule must count them: what it last reported, plus what this balancer
//! has sent since and that report cannot contain yet. Absent: health, load, choice.
//!
//! The count moves with every reservation, so a burst does not all see the same number. A report never replaces it:
//! it only says between which bounds the truth lies, and the count moves to the nearer bound when it is outside. With
//! one balancer and no other writer the count is therefore exact at every moment, however late reports arrive.

/// More documents than any store holds. Whatever a node says beyond it counts as this much, so that no sum of counts comes
/// near the end of the numbers.
const MOST: u64 = 1 << 48;

/// A count of documents, and the moment in the node's life at which it was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run of the node's process; marks of two epochs do not compare.
    pub epoch: u64,
    /// Orders marks within the epoch. A post answered with a revision up to this one is counted, a later one is not.
    pub revision: u64,
    /// Documents at that moment.
    pub documents: u64,
}

/// When a poll of an old node began. Old nodes have no revisions, so the balancer brackets the reading in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollMark {
    stored_before: u64,
}

/// The running count of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Reported + sent since; `None` before the first report.
    count: Option<u64>,
    /// Reserved, still in the lane's queue.
    queued: u64,
    /// Reserved, on the wire, not answered.
    dispatched: u64,
    /// Stored by this balancer, ever.
    stored: u64,
    /// The newest mark that was taken in.
    latest: Option<(u64, u64)>,
}

impl Ledger {
    /// The documents that the node will hold once all that is under way is stored.
    pub(super) fn count(&self) -> Option<u64> {
        self.count
    }

    /// Sentences chosen for the node and not yet answered.
    pub(super) fn in_flight(&self) -> u64 {
        self.queued + self.dispatched
    }

    /// Documents that the node has acknowledged to this balancer.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// Counts one sentence that was chosen for the node.
    pub(super) fn reserve(&mut self) {
        self.queued += 1;
        self.count = self.count.map(|count| count + 1);
    }

    /// `n` reserved sentences went on the wire.
    pub(super) fn dispatch(&mut self, n: u64) {
        let moved = n.min(self.queued);
        self.queued -= moved;
        self.dispatched += moved;
    }

    /// `n` reserved sentences are surely not stored; `dispatched` says whether they had gone on the wire.
    pub(super) fn release(&mut self, n: u64, dispatched: bool) {
        let place = if dispatched { &mut self.dispatched } else { &mut self.queued };
        *place = place.saturating_sub(n);
        self.count = self.count.map(|count| count.saturating_sub(n));
    }

    /// `n` sentences went on the wire and were given up without an answer. They stay in the count until a report
    /// tells the truth.
    pub(super) fn doubt(&mut self, n: u64) {
        self.dispatched = self.dispatched.saturating_sub(n);
    }

    /// The node answered: `new` documents stored now, `known` were there before. Its mark is taken in.
    pub(super) fn settle(&mut self, new: u64, known: u64, mark: Option<Mark>) {
        self.dispatched = self.dispatched.saturating_sub(new.saturating_add(known));
        self.stored += new;
        match mark {
            Some(mark) => self.observe(mark),
            // Without a mark only the answer itself can tell that a known one was not added.
            None => self.count = self.count.map(|count| count.saturating_sub(known)),
        }
    }

    /// A reading came, with a report or with an answer. Within an epoch, one that was overtaken by a newer reading
    /// says nothing new.
    pub(super) fn observe(&mut self, mark: Mark) {
        let overtaken = |(epoch, revision)| epoch == mark.epoch && revision > mark.revision;
        if self.latest.is_some_and(overtaken) {
            return;
        }
        self.latest = Some((mark.epoch, mark.revision));
        // What is on the wire may be in the reading already, with only its answer missing.
        self.bound(mark.documents, self.dispatched);
    }

    /// A poll of an old node begins.
    pub(super) fn poll_began(&self) -> PollMark {
        PollMark { stored_before: self.stored }
    }

    /// The poll ended with `documents`.
    pub(super) fn polled(&mut self, began: PollMark, documents: u64) {
        // What was answered during the poll may be in the reading or not, like all that is on the wire.
        let during = self.stored.saturating_sub(began.stored_before);
        self.bound(documents, during + self.dispatched);
    }

    /// A reading of `documents`, in which `unsure` more may be or not.
    fn bound(&mut self, documents: u64, unsure: u64) {
        let least = documents.min(MOST) + self.queued;
        let most = least + unsure;
        self.count = Some(self.count.map_or(most, |count| count.clamp(least, most)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(revision: u64, documents: u64) -> Mark {
        Mark { epoch: 1, revision, documents }
    }

    #[test]
    fn the_count_holds_what_no_report_can_contain_yet() {
        let mut ledger = Ledger::default();
        ledger.observe(mark(0, 10));
        ledger.reserve();
        ledger.reserve();
        ledger.dispatch(2);
        assert_eq!(ledger.count(), Some(12));
        ledger.observe(mark(0, 10));
        assert_eq!(ledger.count(), Some(12), "an old report does not forget the two");
        ledger.observe(mark(1, 12));
        assert_eq!(ledger.count(), Some(12), "a new one does not count them twice");
        ledger.settle(2, 0, Some(mark(1, 12)));
        assert_eq!((ledger.count(), ledger.in_flight()), (Some(12), 0));
    }

    #[test]
    fn a_report_overtaken_by_an_answer_says_nothing() {
        let mut ledger = Ledger::default();
        ledger.observe(mark(0, 0));
        ledger.reserve();
        ledger.dispatch(1);
        ledger.settle(1, 0, Some(mark(5, 1)));
        ledger.observe(mark(4, 0));
        assert_eq!(ledger.count(), Some(1));
    }

    #[test]
    fn another_writer_shows_as_soon_as_it_contradicts() {
        let mut ledger = Ledger::default();
        ledger.observe(mark(0, 0));
        ledger.observe(mark(7, 40));
        assert_eq!(ledger.count(), Some(40));
        ledger.observe(mark(8, 30));
        assert_eq!(ledger.count(), Some(30), "deletions too");
    }

    #[test]
    fn a_restarted_node_starts_a_new_order() {
        let mut ledger = Ledger::default();
        ledger.observe(mark(900, 5));
        ledger.observe(Mark { epoch: 2, revision: 0, documents: 4 });
        assert_eq!(ledger.count(), Some(4));
    }

    #[test]
    fn doubt_stays_counted_until_a_report() {
        let mut ledger = Ledger::default();
        ledger.observe(mark(0, 0));
        ledger.reserve();
        ledger.dispatch(1);
        ledger.doubt(1);
        assert_eq!((ledger.count(), ledger.in_flight()), (Some(1), 0));
        ledger.observe(mark(1, 0));
        assert_eq!(ledger.count(), Some(0));
    }

    #[test]
    fn a_poll_moves_the_count_only_when_it_contradicts() {
        let mut ledger = Ledger::default();
        let began = ledger.poll_began();
        ledger.polled(began, 3);
        ledger.reserve();
        ledger.dispatch(1);
        let began = ledger.poll_began();
        ledger.settle(1, 0, None);
        ledger.polled(began, 3);
        assert_eq!(ledger.count(), Some(4), "the answer came while the poll was under way");
        let began = ledger.poll_began();
        ledger.polled(began, 3);
        assert_eq!(ledger.count(), Some(3), "now the reading is sure");
    }
}
