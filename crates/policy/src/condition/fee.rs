//! `fee.max`, `fee.share` and `fee.rate`: what the network may take at most.

use countersign_types::{Amount, AssetId, Effect, EffectKind};

use super::{Bounds, View};
use crate::{Facts, Truth, sums::Sum};

/// The effect is a fee within every bound that there is for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeMax(pub Bounds);

impl FeeMax {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        if !matches!(view.fact.effect, Effect::Fee { .. }) {
            return Truth::False;
        }
        self.0.is_within(&view.amount)
    }
}

/// The effect is a fee of at most this share of what the transaction transfers in the fee's own asset, in hundredths of a
/// percent. A transaction that transfers nothing in it has no share: unknown. Moves between own wallets do not count, so
/// that nobody makes room for a fee by moving money in a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeShare(u16);

impl FeeShare {
    /// All of it.
    pub const MAX_BASIS_POINTS: u16 = 10_000;

    /// A share in hundredths of a percent; `None` for zero and for more than all.
    pub fn from_basis_points(share: u16) -> Option<Self> {
        (1..=Self::MAX_BASIS_POINTS).contains(&share).then_some(Self(share))
    }

    /// The share in hundredths of a percent.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    #[inline(never)]
    pub(super) fn matches(self, view: &View<'_>) -> Truth {
        let Effect::Fee { asset, .. } = view.fact.effect else {
            return Truth::False;
        };
        let is_within = || {
            let transferred = transferred(view.facts, asset)?;
            if transferred.is_zero() {
                return None;
            }
            let whole = Amount::from_base_units(u64::from(Self::MAX_BASIS_POINTS));
            let most = transferred.checked_mul(u64::from(self.0).into())?;
            Some(view.amount.sum?.checked_mul(whole)? <= most)
        };
        is_within().into()
    }
}

/// The effect is a fee of at most so much for each unit that it is paid for (gas, virtual bytes). Where the fee has no one
/// rate: unknown. There are no bounds in money: a rate is a price of the network's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeRate(pub Bounds);

impl FeeRate {
    #[inline(never)]
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        let Effect::Fee { asset, .. } = view.fact.effect else {
            return Truth::False;
        };
        let Some(rate) = self.0.bound(asset) else {
            return Truth::False;
        };
        let is_within = || {
            let most = rate.checked_mul(view.facts.context.fee_units?.into())?;
            Some(view.amount.sum? <= most)
        };
        is_within().into()
    }
}

fn transferred(facts: &Facts<'_>, asset: &AssetId) -> Sum {
    let transfers = facts
        .effects
        .iter()
        .filter(|fact| fact.effect.kind() == EffectKind::Transfer);
    let mut amounts = transfers
        .filter(|fact| fact.effect.asset() == Some(asset))
        .map(|fact| fact.effect.amount());
    amounts.try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, bounds, fee, internal, transfer};

    #[test]
    fn only_a_fee_within_the_bound() {
        let max = FeeMax(bounds(&[("eth", 10)]));
        let world = World::with(&[fee(10), transfer("eth", 1, "a")]);
        assert_eq!(world.each(|view| max.matches(view)), [Truth::True, Truth::False]);
        let world = World::with(&[fee(11)]);
        assert_eq!(world.each(|view| max.matches(view)), [Truth::False]);
        let other = FeeMax(bounds(&[("demo", 10)]));
        assert_eq!(world.each(|view| other.matches(view)), [Truth::False]);
    }

    #[test]
    fn a_share_is_of_what_is_transferred_in_the_asset_of_the_fee() {
        let share = FeeShare::from_basis_points(200).unwrap();
        let table = [
            (
                vec![fee(2), transfer("eth", 60, "a"), transfer("eth", 40, "b")],
                Truth::True,
            ),
            (
                vec![fee(3), transfer("eth", 60, "a"), transfer("eth", 40, "b")],
                Truth::False,
            ),
            (
                vec![fee(2), transfer("eth", 50, "a"), internal("eth", 1_000, "warm")],
                Truth::False,
            ),
            (vec![fee(1), transfer("demo", 1_000, "a")], Truth::Unknown),
            (vec![fee(1), transfer("eth", 0, "a")], Truth::Unknown),
            (vec![transfer("eth", 1, "a")], Truth::False),
        ];
        for (effects, expected) in table {
            let world = World::with(&effects);
            assert_eq!(world.each(|view| share.matches(view))[0], expected, "{effects:?}");
        }
        let huge = Effect::Fee {
            asset: crate::testing::asset("eth"),
            max: Amount::MAX,
        };
        let world = World::with(&[huge, transfer("eth", 1, "a")]);
        assert_eq!(
            world.each(|view| share.matches(view))[0],
            Truth::Unknown,
            "over 256 bits"
        );
    }

    #[test]
    fn a_rate_is_for_each_unit() {
        let rate = FeeRate(bounds(&[("eth", 3)]));
        let table = [
            (fee(30), Some(10), Truth::True),
            (fee(31), Some(10), Truth::False),
            (fee(0), Some(0), Truth::True),
            (fee(1), None, Truth::Unknown),
            (transfer("eth", 1, "a"), Some(10), Truth::False),
        ];
        for (effect, units, expected) in table {
            let mut world = World::with(std::slice::from_ref(&effect));
            world.fee_units = units;
            assert_eq!(world.each(|view| rate.matches(view)), [expected], "{effect:?}");
        }
        let other = FeeRate(bounds(&[("demo", 3)]));
        assert_eq!(World::with(&[fee(1)]).each(|view| other.matches(view)), [Truth::False]);
    }

    #[test]
    fn a_share_is_neither_nothing_nor_more_than_all() {
        assert_eq!(FeeShare::from_basis_points(0), None);
        assert_eq!(FeeShare::from_basis_points(10_001), None);
        assert_eq!(FeeShare::from_basis_points(10_000).unwrap().basis_points(), 10_000);
    }
}
