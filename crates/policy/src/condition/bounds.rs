//! Bounds by asset, and bounds in money. Amounts of different assets are never compared but by what they are worth.

use std::{cmp::Ordering, collections::BTreeMap};

use countersign_types::{Amount, AssetId};

use crate::{Comparison, Currency, Truth, facts::Values, sums::Sum};

/// A bound for each of some assets, in base units, and for each of some currencies, in 10⁻⁸.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    by_asset: BTreeMap<AssetId, Amount>,
    by_currency: BTreeMap<Currency, Amount>,
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
        self.by_currency.insert(currency, bound);
        self
    }

    /// The bound of an asset.
    pub fn bound(&self, asset: &AssetId) -> Option<Amount> {
        self.by_asset.get(asset).copied()
    }

    /// Whether nothing has a bound.
    pub fn is_empty(&self) -> bool {
        self.by_asset.is_empty() && self.by_currency.is_empty()
    }

    /// Whether a bound is zero.
    pub fn has_zero(&self) -> bool {
        self.by_asset
            .values()
            .chain(self.by_currency.values())
            .any(Amount::is_zero)
    }

    /// The bounds by asset, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&AssetId, Amount)> {
        self.by_asset.iter().map(|(asset, bound)| (asset, *bound))
    }

    /// The bounds in money, in order.
    pub fn money(&self) -> impl Iterator<Item = (Currency, Amount)> {
        self.by_currency.iter().map(|(currency, bound)| (*currency, *bound))
    }

    /// An amount against every bound that there is for it: that of its asset, and those in money. An amount of no asset that
    /// the bundle knows cannot be valued, whatever the bounds say.
    pub(crate) fn compare<'a>(
        &'a self,
        registered: Option<&'a AssetId>,
        amount: Sum,
        values: Values<'a>,
    ) -> impl Iterator<Item = Compared<'a>> {
        let unknown = registered.is_none().then_some(Compared::Unknown);
        let by_asset = registered.and_then(|asset| {
            let bound = self.bound(asset)?;
            Some(Compared::of(Unit::Asset(asset), amount, bound))
        });
        let by_currency = registered.into_iter().flat_map(move |asset| {
            self.money().map(move |(currency, bound)| {
                let worth = amount.and_then(|amount| values.worth(asset, amount, currency));
                Compared::of(Unit::Money(currency), worth, bound)
            })
        });
        unknown.into_iter().chain(by_asset).chain(by_currency)
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
        Self {
            by_asset: bounds.into_iter().collect(),
            by_currency: BTreeMap::new(),
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
        let compare = || bounds.compare(registered, amount.map(Amount::from_base_units), facts.values());
        (is_within(compare()), is_over(compare()))
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
    fn zero_is_found_in_either_unit() {
        assert!(!bounds(&[("eth", 1)]).with_money(Currency::Usd, usd(1)).has_zero());
        assert!(bounds(&[("eth", 0)]).has_zero());
        assert!(bounds(&[("eth", 1)]).with_money(Currency::Usd, usd(0)).has_zero());
    }
}
