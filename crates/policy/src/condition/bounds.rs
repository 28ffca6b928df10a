//! Bounds by asset, and bounds in money. Amounts of different assets are never compared but by what they are worth.

use std::{cmp::Ordering, collections::BTreeMap};

use countersign_types::{Amount, AssetId};

use crate::{Comparison, Currency, Truth, facts::Values, sums::Sum};

/// A bound for each of some assets, in base units, and for each of some currencies, in 10⁻⁸: both in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    by_asset: Vec<(AssetId, Amount)>,
    by_currency: Vec<(Currency, Amount)>,
}

/// Up to so many assets are looked at one after the other: whether two of them are equal is found out sooner than their order.
const FEW: usize = 8;

/// An amount, of the asset of the bundle that it is of, and by what it is valued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valued<'a> {
    /// The asset, if the bundle knows it: amounts of any other cannot be valued. The bundle's own id, which it shares with its
    /// rules, so that most comparisons end at the same place in memory.
    pub(crate) registered: Option<&'a AssetId>,
    /// How much; `None` is unknown.
    pub(crate) sum: Sum,
    pub(crate) values: Values<'a>,
}

/// What a bound is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit<'a> {
    Asset(&'a AssetId),
    Money(Currency),
}

/// An amount against its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared<'a> {
    /// The amount or its unit is unknown.
    Unknown,
    /// The amount and its bound.
    Known {
        unit: Unit<'a>,
        value: Amount,
        bound: Amount,
    },
}

impl Bounds {
    /// The same bounds, and one in money.
    pub fn with_money(mut self, currency: Currency, bound: Amount) -> Self {
        self.by_currency.retain(|(held, _)| *held != currency);
        self.by_currency.push((currency, bound));
        self.by_currency.sort_unstable();
        self
    }

    /// The bound of an asset.
    pub fn bound(&self, asset: &AssetId) -> Option<Amount> {
        self.row(asset).map(|(_, bound)| *bound)
    }

    fn row(&self, asset: &AssetId) -> Option<&(AssetId, Amount)> {
        // The rules of a bundle share their ids with its registry.
        let few = self.by_asset.get(..FEW).unwrap_or(&self.by_asset);
        let shared = few.iter().find(|(held, _)| held.is_shared_with(asset));
        shared.or_else(|| self.by_asset.get(self.position(asset)?))
    }

    /// The place of an asset's bound in [`Self::iter`].
    // Apart, as what is rare in a loop over all rules: the usual way stays short.
    #[inline(never)]
    pub(crate) fn position(&self, asset: &AssetId) -> Option<usize> {
        if self.by_asset.len() <= FEW {
            return self.by_asset.iter().position(|(held, _)| held == asset);
        }
        self.by_asset.binary_search_by(|(held, _)| held.cmp(asset)).ok()
    }

    /// Whether nothing has a bound.
    pub fn is_empty(&self) -> bool {
        self.by_asset.is_empty() && self.by_currency.is_empty()
    }

    /// Whether a bound is zero.
    pub fn has_zero(&self) -> bool {
        let by_asset = self.by_asset.iter().map(|(_, bound)| bound);
        let by_currency = self.by_currency.iter().map(|(_, bound)| bound);
        by_asset.chain(by_currency).any(Amount::is_zero)
    }

    /// Whether whatever has a bound there has one here that is not above it: what is over a bound there is over one here.
    pub(super) fn are_below(&self, other: &Self) -> bool {
        let by_asset = |(asset, bound): (&AssetId, Amount)| self.bound(asset).is_some_and(|own| own <= bound);
        let by_currency = |(currency, bound)| self.money().any(|(of, own)| of == currency && own <= bound);
        other.iter().all(by_asset) && other.money().all(by_currency)
    }

    /// The bounds by asset, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&AssetId, Amount)> {
        self.by_asset.iter().map(|(asset, bound)| (asset, *bound))
    }

    /// The bounds in money, in order.
    pub fn money(&self) -> impl Iterator<Item = (Currency, Amount)> {
        self.by_currency.iter().copied()
    }

    /// Holds an amount against every bound that there is for it: that of its asset, and those in money. An amount of no asset
    /// that the bundle knows cannot be valued, whatever the bounds say.
    pub(crate) fn compare<'a>(&'a self, amount: &Valued<'a>, mut with: impl FnMut(Compared<'a>)) {
        let Some(asset) = amount.registered else {
            return with(Compared::Unknown);
        };
        if let Some((_, bound)) = self.row(asset) {
            with(Compared::of(Unit::Asset(asset), amount.sum, *bound));
        }
        if !self.by_currency.is_empty() {
            self.compare_worth((asset, amount), with);
        }
    }

    #[inline(never)]
    fn compare_worth<'a>(&'a self, (asset, amount): (&AssetId, &Valued<'a>), mut with: impl FnMut(Compared<'a>)) {
        for (currency, bound) in &self.by_currency {
            let worth = amount.sum.and_then(|sum| amount.values.worth(asset, sum, *currency));
            with(Compared::of(Unit::Money(*currency), worth, *bound));
        }
    }

    /// At most every bound that there is for it; what has no bound is not within it.
    pub(super) fn is_within(&self, amount: &Valued<'_>) -> Truth {
        let mut within = None;
        self.compare(amount, |compared| {
            let is_within = compared.is_within();
            within = Some(within.map_or(is_within, |before: Truth| before.and(is_within)));
        });
        within.unwrap_or(Truth::False)
    }

    /// Over any bound that there is for it; what has no bound is not over it.
    #[inline(never)]
    pub(super) fn is_over(&self, amount: &Valued<'_>) -> Truth {
        let mut over = Truth::False;
        self.compare(amount, |compared| over = over.or(compared.is_over()));
        over
    }
}

impl<'a> Compared<'a> {
    pub(crate) fn of(unit: Unit<'a>, value: Sum, bound: Amount) -> Self {
        value.map_or(Self::Unknown, |value| Self::Known { unit, value, bound })
    }

    fn is_within(self) -> Truth {
        match self {
            Self::Unknown => Truth::Unknown,
            Self::Known { value, bound, .. } => (value.cmp(&bound) != Ordering::Greater).into(),
        }
    }

    pub(crate) fn is_over(self) -> Truth {
        match self {
            Self::Unknown => Truth::Unknown,
            Self::Known { value, bound, .. } => (value > bound).into(),
        }
    }

    /// The numbers, for the trace.
    pub(crate) fn comparison(self) -> Option<Comparison> {
        let Self::Known { unit, value, bound } = self else {
            return None;
        };
        let (asset, currency) = match unit {
            Unit::Asset(asset) => (Some(asset.clone()), None),
            Unit::Money(currency) => (None, Some(currency)),
        };
        Some(Comparison {
            asset,
            currency,
            value: Some(value),
            bound: Some(bound),
        })
    }
}

/// At most every bound that there is; what has no bound is not within it.
pub(crate) fn is_within<'a>(compared: impl IntoIterator<Item = Compared<'a>>) -> Truth {
    let within = compared.into_iter().map(Compared::is_within);
    within.reduce(Truth::and).unwrap_or(Truth::False)
}

/// Over any bound; what has no bound is not over it.
pub(crate) fn is_over<'a>(compared: impl IntoIterator<Item = Compared<'a>>) -> Truth {
    let over = compared.into_iter().map(Compared::is_over);
    over.fold(Truth::False, Truth::or)
}

impl FromIterator<(AssetId, Amount)> for Bounds {
    fn from_iter<I: IntoIterator<Item = (AssetId, Amount)>>(bounds: I) -> Self {
        // Of two bounds for one asset the later one holds.
        let by_asset: BTreeMap<AssetId, Amount> = bounds.into_iter().collect();
        Self {
            by_asset: by_asset.into_iter().collect(),
            by_currency: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, asset, bounds, usd};

    fn truths(bounds: &Bounds, name: Option<&str>, amount: Option<u64>) -> (Truth, Truth) {
        let (world, asset) = (World::default(), name.map(asset));
        let facts = world.facts();
        let registered = asset.as_ref().filter(|asset| facts.values().is_registered(asset));
        let valued = Valued {
            registered,
            sum: amount.map(Amount::from_base_units),
            values: facts.values(),
        };
        (bounds.is_within(&valued), bounds.is_over(&valued))
    }

    #[test]
    fn the_bound_itself_is_within_and_not_over() {
        let table = [
            (9_u64, Truth::True, Truth::False),
            (10, Truth::True, Truth::False),
            (11, Truth::False, Truth::True),
        ];
        for (value, within, over) in table {
            assert_eq!(
                truths(&bounds(&[("eth", 10)]), Some("eth"), Some(value)),
                (within, over),
                "{value}"
            );
        }
    }

    #[test]
    fn an_unbounded_asset_is_neither_within_nor_over() {
        let found = truths(&bounds(&[("eth", 10)]), Some("demo"), Some(1));
        assert_eq!(found, (Truth::False, Truth::False));
    }

    #[test]
    fn what_cannot_be_valued_is_unknown() {
        let bounds = bounds(&[("eth", 10), ("stray", 10)]);
        for (asset, amount) in [(None, Some(1)), (Some("stray"), Some(1)), (Some("eth"), None)] {
            assert_eq!(
                truths(&bounds, asset, amount),
                (Truth::Unknown, Truth::Unknown),
                "{asset:?} {amount:?}"
            );
        }
    }

    /// In the test world one ETH is worth 3 USD, and DEMO has no price.
    #[test]
    fn money_bounds_every_asset_that_has_a_price() {
        let money = Bounds::default().with_money(Currency::Usd, usd(30));
        let both = bounds(&[("eth", 8)]).with_money(Currency::Usd, usd(30));
        use Truth::{False, True, Unknown};
        let table = [
            (&money, "eth", 10, (True, False)),
            (&money, "eth", 11, (False, True)),
            (&money, "demo", 1, (Unknown, Unknown)),
            (&both, "eth", 8, (True, False)),
            (&both, "eth", 9, (False, True)),
            (&both, "demo", 1, (Unknown, Unknown)),
        ];
        for (bounds, asset, amount, expected) in table {
            assert_eq!(truths(bounds, Some(asset), Some(amount)), expected, "{asset} {amount}");
        }
    }

    #[test]
    fn few_or_many_every_asset_has_its_own_bound() {
        for count in [1, FEW, FEW + 1, 5 * FEW] {
            let name = |n: usize| format!("a{n}");
            let bounds: Bounds = (0..count)
                .map(|n| (asset(&name(n)), (n + 1).to_string().parse().unwrap()))
                .collect();
            for n in 0..count {
                // Parsed again: equal, and in a place of its own.
                assert_eq!(
                    bounds.bound(&asset(&name(n))).unwrap().to_string(),
                    (n + 1).to_string(),
                    "{n} of {count}"
                );
            }
            assert_eq!(bounds.bound(&asset("other")), None, "{count}");
        }
    }

    #[test]
    fn of_two_bounds_for_one_thing_the_later_holds() {
        let twice = bounds(&[("eth", 1), ("demo", 5), ("eth", 2)]);
        assert_eq!(twice, bounds(&[("eth", 2), ("demo", 5)]));
        let money = |dollars| Bounds::default().with_money(Currency::Usd, usd(dollars));
        assert_eq!(money(1).with_money(Currency::Usd, usd(2)), money(2));
        let both = money(2).with_money(Currency::Eur, usd(3));
        let units: Vec<Currency> = both.money().map(|(currency, _)| currency).collect();
        assert!(units.len() == 2 && units.is_sorted());
    }

    #[test]
    fn zero_is_found_in_either_unit() {
        assert!(!bounds(&[("eth", 1)]).with_money(Currency::Usd, usd(1)).has_zero());
        assert!(bounds(&[("eth", 0)]).has_zero());
        assert!(bounds(&[("eth", 1)]).with_money(Currency::Usd, usd(0)).has_zero());
    }
}
