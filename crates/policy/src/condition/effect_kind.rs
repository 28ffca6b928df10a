//! `effects`: the kind of the effect.

use countersign_types::EffectKind;

use super::{OneOf, View};
use crate::Truth;

/// The effect is of one of these kinds. Never unknown: what a parser does not recognise is `opaque`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects(pub OneOf<EffectKind>);

impl Effects {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        self.0.contains(&view.fact.effect.kind()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, fee, transfer};

    #[test]
    fn compares_the_kind() {
        let effects = Effects([EffectKind::Transfer, EffectKind::Opaque].into_iter().collect());
        let world = World::with(&[transfer("eth", 1, "a"), fee(1), crate::testing::opaque()]);
        let matches = |view: &View<'_>| effects.matches(view);
        assert_eq!(world.each(matches), [Truth::True, Truth::False, Truth::True]);
    }
}
