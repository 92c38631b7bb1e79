//! PURE. The places where sentences lie, known by the identity of the store, not by the name, key or URL of its node: a
//! node that comes back under another URL is the same place, and another store under the same name is another.
//! Absent: which node leads to a place now, which the fleet says.

use std::time::{Duration, Instant};

use wire::StoreId;

/// A place, for as long as the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Home(u32);

/// What is known of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HomeName {
    /// The name of the node that led there last.
    pub(crate) node: String,
    /// The identity of the store; `None` for a node that was not heard yet, or that tells none.
    pub(crate) store: Option<StoreId>,
}

/// Every place that was ever spoken of. There are as many as there were stores, so none is forgotten.
#[derive(Default)]
pub(crate) struct Homes(Vec<Known>);

struct Known {
    name: HomeName,
    /// Since when no node of the fleet leads there.
    left: Option<Instant>,
    /// Whether the node told its store since, so that this is no place of its own.
    is_resolved: bool,
}

impl Homes {
    /// The place of this store; `node` leads there now.
    pub(crate) fn of_store(&mut self, store: StoreId, node: &str) -> Home {
        let known = self.0.iter().position(|home| home.name.store == Some(store));
        let Some(place) = known else { return self.push(node, Some(store)) };
        if let Some(home) = self.0.get_mut(place)
            && home.name.node != node
        {
            node.clone_into(&mut home.name.node);
        }
        Self::at(place)
    }

    /// The place of a node whose store is not known.
    pub(crate) fn of_node(&mut self, node: &str) -> Home {
        let Some(home) = self.unheard(node) else { return self.push(node, None) };
        self.set_resolved(home, false);
        home
    }

    /// The place of a node that told its store only after it was spoken of, if it was.
    pub(crate) fn unheard(&self, node: &str) -> Option<Home> {
        let is_that = |home: &Known| home.name.store.is_none() && home.name.node == node;
        self.0.iter().position(is_that).map(Self::at)
    }

    /// The node of a place has told its store.
    pub(crate) fn resolve(&mut self, unheard: Home) {
        self.set_resolved(unheard, true);
    }

    fn set_resolved(&mut self, Home(place): Home, is_resolved: bool) {
        if let Some(home) = usize::try_from(place).ok().and_then(|place| self.0.get_mut(place)) {
            home.is_resolved = is_resolved;
        }
    }

    /// The place that was written down as `name`.
    pub(crate) fn of(&mut self, name: &HomeName) -> Home {
        match name.store {
            Some(store) => self.of_store(store, &name.node),
            None => self.of_node(&name.node),
        }
    }

    /// What is known of a place.
    pub(crate) fn name(&self, Home(place): Home) -> Option<&HomeName> {
        self.0.get(usize::try_from(place).ok()?).map(|home| &home.name)
    }

    /// The fleet has changed: a node leads to those places for which `is_led_to` holds.
    pub(crate) fn follow(&mut self, now: Instant, is_led_to: impl Fn(Home, &HomeName) -> bool) {
        for (place, home) in self.0.iter_mut().enumerate() {
            match home.is_resolved || is_led_to(Self::at(place), &home.name) {
                true => home.left = None,
                false => drop(home.left.get_or_insert(now)),
            }
        }
    }

    /// The places whose nodes left the fleet less than `time` ago.
    pub(crate) fn left_within(&self, time: Duration, now: Instant) -> impl Iterator<Item = Home> {
        let has_left =
            move |home: &Known| home.left.is_some_and(|left| now.saturating_duration_since(left) < time);
        self.0.iter().enumerate().filter(move |(_, home)| has_left(home)).map(|(place, _)| Self::at(place))
    }

    fn push(&mut self, node: &str, store: Option<StoreId>) -> Home {
        self.0.push(Known {
            name: HomeName { node: node.to_owned(), store },
            left: None,
            is_resolved: false,
        });
        Self::at(self.0.len() - 1)
    }

    fn at(place: usize) -> Home {
        Home(u32::try_from(place).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(n: u128) -> StoreId {
        StoreId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_store_is_one_place_under_every_name() {
        let mut homes = Homes::default();
        let a = homes.of_store(store(1), "A");
        assert_eq!(homes.of_store(store(1), "renamed"), a);
        assert_eq!(homes.name(a).unwrap().node, "renamed");
        assert_ne!(homes.of_store(store(2), "renamed"), a, "a new disk under an old name is another place");
    }

    #[test]
    fn a_node_without_a_store_is_known_by_its_name_until_it_tells_one() {
        let mut homes = Homes::default();
        let unheard = homes.of_node("A");
        assert_eq!(homes.of_node("A"), unheard);
        let heard = homes.of_store(store(1), "A");
        assert_ne!(heard, unheard);
        assert_eq!(homes.of_node("A"), unheard);
        let written = homes.name(heard).unwrap().clone();
        assert_eq!(homes.of(&written), heard);
    }
}
