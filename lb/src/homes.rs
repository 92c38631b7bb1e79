//! PURE. The places where sentences lie, known by the identity of the store, not by the name, key or URL of its node: a
//! node that comes back under another URL is the same place, and another store under the same name is another.
//! Absent: which node leads to a place now, which the fleet says.

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
pub(crate) struct Homes(Vec<HomeName>);

impl Homes {
    /// The place of this store; `node` leads there now.
    pub(crate) fn of_store(&mut self, store: StoreId, node: &str) -> Home {
        let known = self.0.iter().position(|home| home.store == Some(store));
        let Some(place) = known else { return self.push(node, Some(store)) };
        if let Some(home) = self.0.get_mut(place)
            && home.node != node
        {
            node.clone_into(&mut home.node);
        }
        Self::at(place)
    }

    /// The place of a node whose store is not known.
    pub(crate) fn of_node(&mut self, node: &str) -> Home {
        let known = self.0.iter().position(|home| home.store.is_none() && home.node == node);
        known.map_or_else(|| self.push(node, None), Self::at)
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
        self.0.get(usize::try_from(place).ok()?)
    }

    fn push(&mut self, node: &str, store: Option<StoreId>) -> Home {
        self.0.push(HomeName { node: node.to_owned(), store });
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
