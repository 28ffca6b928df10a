//! `tiers`: how far the signing wallet is from the network.

use countersign_types::Tier;

use super::OneOf;
use crate::{Actor, Truth};

/// The signing wallet is of one of these tiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers(pub OneOf<Tier>);

impl Tiers {
    pub(crate) fn matches(&self, actor: &Actor<'_>) -> Truth {
        actor.tier.map_or(Truth::Unknown, |tier| self.0.contains(&tier).into())
    }
}

/// The word in a policy file.
pub fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::Hot => "hot",
        Tier::Warm => "warm",
        Tier::Cold => "cold",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn an_unknown_tier_is_unknown() {
        let tiers = Tiers([Tier::Hot].into_iter().collect());
        let table = [
            (Some(Tier::Hot), Truth::True),
            (Some(Tier::Cold), Truth::False),
            (None, Truth::Unknown),
        ];
        for (tier, expected) in table {
            let world = World {
                tier,
                ..World::default()
            };
            assert_eq!(tiers.matches(&world.facts().actor), expected, "{tier:?}");
        }
    }
}
