//! `fee.max`: what the network may take at most.

use countersign_types::Effect;

use super::{Bounds, View};
use crate::Truth;

/// The effect is a fee of at most the bound of its asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeMax(pub Bounds);

impl FeeMax {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        if !matches!(view.fact.effect, Effect::Fee { .. }) {
            return Truth::False;
        }
        let asset = view.fact.effect.asset();
        self.0.compare(asset, view.amount, view.facts.assets).is_within()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, bounds, fee, transfer};

    #[test]
    fn only_a_fee_within_the_bound() {
        let max = FeeMax(bounds(&[("eth", 10)]));
        let world = World::with(&[fee(10), fee(11), transfer("eth", 1, "a")]);
        assert_eq!(
            world.each(|view| max.matches(view)),
            [Truth::True, Truth::False, Truth::False]
        );
        let other = FeeMax(bounds(&[("demo", 10)]));
        assert_eq!(world.each(|view| other.matches(view)), [Truth::False; 3]);
    }
}
