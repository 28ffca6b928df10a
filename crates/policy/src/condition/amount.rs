//! `amount.max` and `amount.over`: the amount of an effect, which is never less than what the whole transaction moves of
//! that asset to that destination or for that subject.

use super::{Bounds, View};
use crate::Truth;

/// At most every bound that there is for it; an amount without a bound is not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmountMax(pub Bounds);

impl AmountMax {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        self.0.is_within(&view.amount)
    }
}

/// Over any bound that there is for it; an asset of the bundle without a bound is never over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmountOver(pub Bounds);

impl AmountOver {
    pub(crate) fn matches(&self, view: &View<'_>) -> Truth {
        self.0.is_over(&view.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, bounds, fee, opaque, transfer};

    #[test]
    fn each_effect_is_compared_by_what_its_destination_receives() {
        let world = World::with_subjects(&[
            (transfer("eth", 6, "a"), "x"),
            (transfer("eth", 5, "a"), "x"),
            (transfer("eth", 10, "b"), "y"),
            (transfer("demo", 1, "b"), "y"),
            (transfer("stray", 1, "b"), "y"),
            (opaque(), "y"),
            (fee(11), "y"),
        ]);
        use Truth::{False, True, Unknown};
        let over = AmountOver(bounds(&[("eth", 10)]));
        let expected = [True, True, False, False, Unknown, Unknown, True];
        assert_eq!(world.each(|view| over.matches(view)), expected);
        let max = AmountMax(bounds(&[("eth", 10)]));
        let expected = [False, False, True, False, Unknown, Unknown, False];
        assert_eq!(world.each(|view| max.matches(view)), expected);
    }
}
