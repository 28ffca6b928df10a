//! `effects`: the kind of the effect.

use countersign_types::EffectKind;

use super::{Condition, OneOf, View};
use crate::Truth;

/// The effect is of one of these kinds. Never unknown: what a parser does not recognise is `opaque`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects(pub OneOf<EffectKind>);

impl Effects {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        self.0.contains(&view.fact.effect.kind()).into()
    }
}

/// Kinds of effects, as bits: most rules name some, and whether an effect is of one of them is asked for every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    /// Those of an effect.
    pub(crate) fn of(kind: EffectKind) -> Self {
        Self(match kind {
            EffectKind::Transfer => 1,
            EffectKind::Internal => 1 << 1,
            EffectKind::Fee => 1 << 2,
            EffectKind::Allowance => 1 << 3,
            EffectKind::AuthorityChange => 1 << 4,
            EffectKind::CodeChange => 1 << 5,
            EffectKind::DelayedAuthorization => 1 << 6,
            EffectKind::ContractCall => 1 << 7,
            EffectKind::Opaque => 1 << 8,
            EffectKind::PersonalMessage => 1 << 9,
        })
    }

    /// Those that conditions leave over: every kind, where they name none.
    pub(super) fn among(conditions: &[Condition]) -> Self {
        let named = conditions.iter().find_map(|condition| {
            if let Condition::Effects(Effects(kinds)) = condition {
                Some(kinds)
            } else {
                None
            }
        });
        named.map_or(Self::default(), |kinds| {
            Self(kinds.iter().fold(0, |bits, kind| bits | Self::of(*kind).0))
        })
    }

    /// Whether the two have a kind in common.
    pub(super) fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Every kind.
impl Default for Kinds {
    fn default() -> Self {
        Self(u16::MAX)
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

    #[test]
    fn every_kind_is_a_kind_of_its_own() {
        for (n, kind) in EffectKind::ALL.into_iter().enumerate() {
            for (m, other) in EffectKind::ALL.into_iter().enumerate() {
                assert_eq!(Kinds::of(kind).meet(Kinds::of(other)), n == m, "{kind} {other}");
            }
            assert!(Kinds::among(&[]).meet(Kinds::of(kind)), "{kind}");
            let alone = Condition::Effects(Effects([kind].into_iter().collect()));
            assert_eq!(Kinds::among(&[alone]), Kinds::of(kind), "{kind}");
        }
    }
}
