//! PURE. The keys of nodes, and where the node of each key stands. A slot is used again once its node has left, with
//! another key, so that a fleet whose nodes come and go all day stays as small as it is. Absent: the nodes.

use crate::policy::NodeKey;

/// The slots of all keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// The life of the newest key.
    life: u32,
    /// Where its node stands, unless it left.
    place: Option<usize>,
}

impl Keys {
    /// A key that no node has had. Its slot stays free until [`Keys::renumber`] gives it a place.
    pub(super) fn fresh(&mut self) -> NodeKey {
        let free = self.slots.iter().position(|slot| slot.place.is_none());
        let at = free.unwrap_or_else(|| {
            self.slots.push(Slot { life: 0, place: None });
            self.slots.len() - 1
        });
        let life = self.slots.get_mut(at).map_or(0, |slot| {
            slot.life = slot.life.wrapping_add(1);
            slot.life
        });
        NodeKey { slot: u32::try_from(at).unwrap_or(u32::MAX), life }
    }

    /// Where the node of `key` stands, unless it left.
    pub(super) fn place(&self, key: NodeKey) -> Option<usize> {
        let slot = self.slots.get(usize::try_from(key.slot).ok()?)?;
        slot.place.filter(|_| slot.life == key.life)
    }

    /// The nodes stand in this order now; keys that are not among them have left.
    pub(super) fn renumber(&mut self, keys: impl Iterator<Item = NodeKey>) {
        for slot in &mut self.slots {
            slot.place = None;
        }
        for (place, key) in keys.enumerate() {
            if let Some(slot) = usize::try_from(key.slot).ok().and_then(|at| self.slots.get_mut(at)) {
                slot.place = Some(place);
            }
        }
    }

    /// Slots, used and free.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}
