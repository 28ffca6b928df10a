//! `total.max` and `total.over`: the sum by asset of every effect that the rule's other conditions select.

use std::collections::BTreeMap;

use countersign_types::{Amount, AssetId, AssetRegistry};

use super::{Bounds, bounds::Compared};
use crate::{
    Truth,
    facts::EffectFact,
    sums::{Sum, add},
};

/// The sum of the asset is at most its bound; an asset without a bound is not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalMax(pub Bounds);

/// The sum of an asset is over its bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalOver(pub Bounds);

/// Sums by asset of some effects.
#[derive(Debug, Default)]
pub(crate) struct Totals<'a> {
    by_asset: BTreeMap<&'a AssetId, Sum>,
    /// Some effect has no asset, or one that the bundle does not know: any sum may be larger than it looks.
    has_unvalued: bool,
}

impl<'a> Totals<'a> {
    pub(crate) fn of(effects: impl IntoIterator<Item = &'a EffectFact<'a>>, assets: &AssetRegistry) -> Self {
        let mut totals = Self::default();
        for fact in effects {
            match (fact.effect.asset(), fact.effect.amount()) {
                (Some(asset), Some(amount)) if assets.asset(asset).is_some() => {
                    let sum = totals.by_asset.entry(asset).or_insert(Some(Amount::ZERO));
                    *sum = add(*sum, Some(amount));
                }
                _ => totals.has_unvalued = true,
            }
        }
        totals
    }

    fn sum(&self, asset: &AssetId) -> Sum {
        self.by_asset.get(asset).copied().unwrap_or(Some(Amount::ZERO))
    }
}

impl TotalMax {
    /// Whether an effect of this asset is covered, given the sums of everything selected.
    pub(crate) fn matches(&self, asset: Option<&AssetId>, totals: &Totals<'_>, assets: &AssetRegistry) -> Truth {
        let sum = asset.and_then(|asset| totals.sum(asset));
        let within = self.0.compare(asset, sum, assets).is_within();
        if totals.has_unvalued {
            within.and(Truth::Unknown)
        } else {
            within
        }
    }
}

impl TotalOver {
    /// Whether any sum is over its bound.
    pub(crate) fn matches(&self, totals: &Totals<'_>, assets: &AssetRegistry) -> Truth {
        let truths = self.compare(totals, assets).map(|(_, compared)| compared.is_over());
        let mut strongest = if totals.has_unvalued {
            Truth::Unknown
        } else {
            Truth::False
        };
        for truth in truths {
            if truth.is_certain() || !strongest.is_possible() {
                strongest = truth;
            }
        }
        strongest
    }

    /// The sum of each bounded asset that is selected, against its bound.
    pub(crate) fn compare<'t>(
        &'t self,
        totals: &'t Totals<'_>,
        assets: &'t AssetRegistry,
    ) -> impl Iterator<Item = (&'t AssetId, Compared)> {
        totals
            .by_asset
            .iter()
            .map(|(asset, sum)| (*asset, self.0.compare(Some(asset), *sum, assets)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, asset, bounds, opaque, registry, transfer};
    use countersign_types::Effect;

    fn over(world: &World, bound: &[(&str, u64)]) -> Truth {
        let facts = world.facts();
        TotalOver(bounds(bound)).matches(&Totals::of(&facts.effects, facts.assets), facts.assets)
    }

    #[test]
    fn sums_cross_destinations_and_not_assets() {
        let world = World::with(&[
            transfer("eth", 6, "a"),
            transfer("eth", 5, "b"),
            transfer("demo", 9, "a"),
        ]);
        let table: [(&[(&str, u64)], Truth); 4] = [
            (&[("eth", 10)], Truth::True),
            (&[("eth", 11)], Truth::False),
            (&[("demo", 9)], Truth::False),
            (&[("demo", 8), ("eth", 100)], Truth::True),
        ];
        for (bound, expected) in table {
            assert_eq!(over(&world, bound), expected, "{bound:?}");
        }
    }

    #[test]
    fn what_cannot_be_valued_makes_every_total_unknown() {
        for effect in [opaque(), transfer("stray", 1, "a")] {
            let world = World::with(&[transfer("eth", 6, "a"), effect]);
            assert_eq!(over(&world, &[("eth", 10)]), Truth::Unknown);
            assert_eq!(over(&world, &[("eth", 5)]), Truth::True);
        }
    }

    #[test]
    fn an_overflowing_sum_is_unknown() {
        let max = |to| Effect::Transfer {
            asset: asset("eth"),
            amount: Amount::MAX,
            destination: crate::testing::destination(to),
        };
        let world = World::with(&[max("a"), max("b")]);
        assert_eq!(over(&world, &[("eth", 10)]), Truth::Unknown);
        let facts = world.facts();
        let totals = Totals::of(&facts.effects, facts.assets);
        let within = TotalMax(bounds(&[("eth", 10)])).matches(Some(&asset("eth")), &totals, facts.assets);
        assert_eq!(within, Truth::Unknown);
    }

    #[test]
    fn the_maximum_holds_for_nothing_beside_what_cannot_be_valued() {
        for effect in [opaque(), transfer("stray", 1, "a")] {
            let world = World::with(&[transfer("eth", 6, "a"), effect]);
            let facts = world.facts();
            let totals = Totals::of(&facts.effects, facts.assets);
            let within =
                |bound| TotalMax(bounds(&[("eth", bound)])).matches(Some(&asset("eth")), &totals, facts.assets);
            assert_eq!((within(10), within(5)), (Truth::Unknown, Truth::False));
        }
    }

    #[test]
    fn the_maximum_covers_its_own_asset_only() {
        let world = World::with(&[transfer("eth", 6, "a"), transfer("eth", 4, "b")]);
        let facts = world.facts();
        let totals = Totals::of(&facts.effects, facts.assets);
        let within = |asset_name: &str, bound| {
            TotalMax(bounds(&[("eth", bound)])).matches(Some(&asset(asset_name)), &totals, &registry())
        };
        assert_eq!(within("eth", 10), Truth::True);
        assert_eq!(within("eth", 9), Truth::False);
        assert_eq!(within("demo", 10), Truth::False);
    }
}
