//! `networks`: the network that the bytes are for.

use countersign_types::ChainId;

use super::OneOf;
use crate::{Facts, Truth};

/// The network is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(pub OneOf<ChainId>);

impl Networks {
    pub(super) fn matches(&self, facts: &Facts<'_>) -> Truth {
        self.0.contains(facts.network).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, one_of};

    #[test]
    fn compares_the_network() {
        let world = World::default();
        assert_eq!(Networks(one_of(&["eip155:31337"])).matches(&world.facts()), Truth::True);
        assert_eq!(Networks(one_of(&["eip155:1"])).matches(&world.facts()), Truth::False);
    }
}
