//! `total.max` and `total.over`: the sum by asset of every effect that the rule's other conditions select.

use countersign_types::{Amount, AssetId};

use super::{
    Bounds,
    bounds::{Compared, Unit, is_over, is_within},
};
use crate::{
    Comparison, Currency, Truth,
    facts::{EffectFact, Values},
    sums::{Sum, SumsBy, add},
};

/// The sum of the asset is at most its bound, and everything together is worth at most the bounds in money; an asset
/// for which there is no bound is not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalMax(pub Bounds);

/// The sum of an asset is over its bound, or everything together is worth more than a bound in money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalOver(pub Bounds);

/// Sums by asset of some effects.
#[derive(Debug)]
pub(crate) struct Totals<'a> {
    by_asset: SumsBy<&'a AssetId>,
    /// Some effect has no asset, or one that the bundle does not know: any sum may be larger than it looks.
    has_unvalued: bool,
}

impl<'a> Totals<'a> {
    pub(crate) fn of(effects: impl IntoIterator<Item = &'a EffectFact<'a>>, values: Values<'_>) -> Self {
        let mut has_unvalued = false;
        let valued = effects.into_iter().filter_map(|fact| {
            let asset = fact.effect.asset().filter(|asset| values.is_registered(asset));
            let row = asset.zip(fact.effect.amount());
            has_unvalued |= row.is_none();
            row.map(|(asset, amount)| (asset, Some(amount)))
        });
        Self {
            by_asset: SumsBy::of(valued),
            has_unvalued,
        }
    }

    /// What is known of the worth of everything, and whether there is more that is not known. A known part that is over
    /// 256 bits is unknown.
    fn worth(&self, currency: Currency, values: Values<'_>) -> (Sum, bool) {
        let mut known = Some(Amount::ZERO);
        let mut is_partial = self.has_unvalued;
        for (asset, sum) in self.by_asset.iter() {
            match sum.and_then(|sum| values.worth(asset, sum, currency)) {
                Some(worth) => known = add(known, Some(worth)),
                None => is_partial = true,
            }
        }
        (known, is_partial)
    }

    /// The worth of everything against each bound in money: what is known of it may already be over.
    fn compare_worth<'t>(&'t self, bounds: &'t Bounds, values: Values<'t>) -> impl Iterator<Item = Compared<'t>> {
        bounds.money().map(move |(currency, bound)| {
            let (known, is_partial) = self.worth(currency, values);
            let compared = Compared::of(Unit::Money(currency), known, bound);
            if is_partial && !compared.is_over().is_certain() {
                return Compared::Unknown;
            }
            compared
        })
    }
}

impl TotalMax {
    /// Whether an effect of this asset is covered, given the sums of everything selected.
    pub(crate) fn matches<'a>(&self, asset: Option<&'a AssetId>, totals: &Totals<'a>, values: Values<'_>) -> Truth {
        let Some(asset) = asset.filter(|asset| values.is_registered(asset)) else {
            return Truth::Unknown;
        };
        let own = self
            .0
            .bound(asset)
            .map(|bound| Compared::of(Unit::Asset(asset), totals.by_asset.sum(&asset), bound));
        let within = is_within(own.into_iter().chain(totals.compare_worth(&self.0, values)));
        if totals.has_unvalued {
            within.and(Truth::Unknown)
        } else {
            within
        }
    }
}

impl TotalOver {
    /// Whether any sum is over its bound.
    pub(crate) fn matches(&self, totals: &Totals<'_>, values: Values<'_>) -> Truth {
        let over = is_over(self.compare(totals, values));
        if totals.has_unvalued {
            over.or(Truth::Unknown)
        } else {
            over
        }
    }

    /// The numbers that are over their bounds.
    pub(crate) fn overruns(&self, totals: &Totals<'_>, values: Values<'_>) -> Vec<Comparison> {
        let compared = self.compare(totals, values);
        let over = compared.filter(|compared| compared.is_over().is_certain());
        over.filter_map(Compared::comparison).collect()
    }

    /// The sum of each bounded asset that is selected, and the worth of everything, against their bounds.
    fn compare<'t>(&'t self, totals: &'t Totals<'_>, values: Values<'t>) -> impl Iterator<Item = Compared<'t>> {
        let by_asset = totals.by_asset.iter().filter_map(|(asset, sum)| {
            let bound = self.0.bound(asset)?;
            Some(Compared::of(Unit::Asset(asset), *sum, bound))
        });
        by_asset.chain(totals.compare_worth(&self.0, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, asset, bounds, opaque, transfer, usd};
    use countersign_types::Effect;

    fn over(world: &World, bound: &[(&str, u64)]) -> Truth {
        let facts = world.facts();
        TotalOver(bounds(bound)).matches(&Totals::of(&facts.effects, facts.values()), facts.values())
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
        let (facts, eth) = (world.facts(), asset("eth"));
        let totals = Totals::of(&facts.effects, facts.values());
        let within = TotalMax(bounds(&[("eth", 10)])).matches(Some(&eth), &totals, facts.values());
        assert_eq!(within, Truth::Unknown);
    }

    #[test]
    fn the_maximum_holds_for_nothing_beside_what_cannot_be_valued() {
        for effect in [opaque(), transfer("stray", 1, "a")] {
            let world = World::with(&[transfer("eth", 6, "a"), effect]);
            let (facts, eth) = (world.facts(), asset("eth"));
            let totals = Totals::of(&facts.effects, facts.values());
            let within = |bound| TotalMax(bounds(&[("eth", bound)])).matches(Some(&eth), &totals, facts.values());
            assert_eq!((within(10), within(5)), (Truth::Unknown, Truth::False));
        }
    }

    #[test]
    fn the_maximum_covers_its_own_asset_only() {
        let world = World::with(&[transfer("eth", 6, "a"), transfer("eth", 4, "b")]);
        let (facts, eth, demo) = (world.facts(), asset("eth"), asset("demo"));
        let totals = Totals::of(&facts.effects, facts.values());
        let within = |asset, bound| TotalMax(bounds(&[("eth", bound)])).matches(Some(asset), &totals, facts.values());
        assert_eq!(within(&eth, 10), Truth::True);
        assert_eq!(within(&eth, 9), Truth::False);
        assert_eq!(within(&demo, 10), Truth::False);
    }

    /// In the test world one ETH is worth 3 USD, one GOLD 5 USD, and DEMO has no price.
    #[test]
    fn money_sums_cross_assets() {
        let dollars = |bound| Bounds::default().with_money(Currency::Usd, usd(bound));
        use Truth::{False, True, Unknown};
        let gold = || vec![transfer("eth", 6, "a"), transfer("gold", 2, "b")];
        let with = |effect| [gold(), vec![effect]].concat();
        let table = [
            (gold(), 28, False, True),
            (gold(), 27, True, False),
            (with(transfer("demo", 1, "a")), 28, Unknown, Unknown),
            (with(transfer("demo", 1, "a")), 27, True, False),
            (with(opaque()), 28, Unknown, Unknown),
            (with(opaque()), 27, True, False),
        ];
        for (effects, bound, over, within) in table {
            let world = World::with(&effects);
            let (facts, eth) = (world.facts(), asset("eth"));
            let totals = Totals::of(&facts.effects, facts.values());
            let found = TotalOver(dollars(bound)).matches(&totals, facts.values());
            let max = TotalMax(dollars(bound)).matches(Some(&eth), &totals, facts.values());
            assert_eq!((found, max), (over, within), "{effects:?} {bound}");
        }
    }
}
