//! The account of a run: what was sent, what was acknowledged, and whether the stores agree.

use std::collections::{BTreeMap, BTreeSet};

use wire::SentenceId;

/// What clients sent and which of it was acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    sent: BTreeSet<SentenceId>,
    acknowledged: BTreeSet<SentenceId>,
}

impl Ledger {
    /// Notes that `id` left a client.
    pub fn sent(&mut self, id: SentenceId) {
        self.sent.insert(id);
    }

    /// Notes that `id` was acknowledged, hence also sent.
    pub fn acknowledged(&mut self, id: SentenceId) {
        self.sent.insert(id);
        self.acknowledged.insert(id);
    }

    /// Takes over what another client noted.
    pub fn join(&mut self, other: Self) {
        self.sent.extend(other.sent);
        self.acknowledged.extend(other.acknowledged);
    }

    /// How many sentences were acknowledged.
    pub fn n_acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Compares with what the stores hold, a list per node.
    ///
    /// # Errors
    /// Names every id that was acknowledged and is in no store, is in more than one place, or was never sent.
    pub fn check(&self, stores: &[(String, Vec<SentenceId>)]) -> Result<(), String> {
        let mut places = BTreeMap::<SentenceId, Vec<&str>>::new();
        for (node, ids) in stores {
            for id in ids {
                places.entry(*id).or_default().push(node);
            }
        }
        let lost = self.acknowledged.iter().filter(|id| !places.contains_key(id));
        let doubled = places.iter().filter(|(_, nodes)| nodes.len() > 1);
        let invented = places.iter().filter(|(id, _)| !self.sent.contains(id));
        let faults = lost
            .map(|id| format!("{id} was acknowledged and is nowhere"))
            .chain(doubled.map(|(id, nodes)| format!("{id} is stored {} times: {nodes:?}", nodes.len())))
            .chain(invented.map(|(id, nodes)| format!("{id} is on {nodes:?} and was never sent")))
            .collect::<Vec<_>>();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> SentenceId {
        format!("0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a{number:02x}").parse().unwrap()
    }

    fn check(acknowledged: &[u8], sent: &[u8], a: &[u8], b: &[u8]) -> Result<(), String> {
        let mut ledger = Ledger::default();
        acknowledged.iter().for_each(|number| ledger.acknowledged(id(*number)));
        sent.iter().for_each(|number| ledger.sent(id(*number)));
        let ids = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect();
        ledger.check(&[("A".to_owned(), ids(a)), ("B".to_owned(), ids(b))])
    }

    #[test]
    fn what_was_acknowledged_lies_in_one_place() {
        check(&[1, 2], &[], &[1], &[2]).unwrap();
    }

    #[test]
    fn what_was_only_sent_may_lie_in_one_place_or_in_none() {
        check(&[1], &[2, 3], &[1, 3], &[]).unwrap();
    }

    #[test]
    fn each_fault_is_found() {
        assert!(check(&[1], &[], &[], &[]).unwrap_err().contains("nowhere"));
        assert!(check(&[1], &[], &[1], &[1]).unwrap_err().contains("stored 2 times"));
        assert!(check(&[1], &[], &[1, 1], &[]).unwrap_err().contains("stored 2 times"));
        assert!(check(&[], &[2], &[2], &[2]).unwrap_err().contains("stored 2 times"));
        assert!(check(&[], &[], &[9], &[]).unwrap_err().contains("never sent"));
    }
}
