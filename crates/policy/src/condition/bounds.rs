//! Bounds by asset: amounts of different assets are never compared.

use std::{cmp::Ordering, collections::BTreeMap};

use countersign_types::{Amount, AssetId, AssetRegistry};

use crate::{Truth, sums::Sum};

/// A bound for each of some assets, in base units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds(BTreeMap<AssetId, Amount>);

/// What an amount is against its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The amount or its unit is unknown.
    Unknown,
    /// The bounds say nothing about this asset.
    Unbounded,
    /// The amount and its bound.
    Known { value: Amount, bound: Amount },
}

impl Bounds {
    /// The bound of an asset.
    pub fn bound(&self, asset: &AssetId) -> Option<Amount> {
        self.0.get(asset).copied()
    }

    /// Whether no asset has a bound.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a bound is zero.
    pub fn has_zero(&self) -> bool {
        self.0.values().any(Amount::is_zero)
    }

    /// The bounds, in order of asset.
    pub fn iter(&self) -> impl Iterator<Item = (&AssetId, Amount)> {
        self.0.iter().map(|(asset, bound)| (asset, *bound))
    }

    /// An amount of an asset that the bundle does not know cannot be valued, whatever the bounds say.
    pub(crate) fn compare(&self, asset: Option<&AssetId>, amount: Sum, assets: &AssetRegistry) -> Compared {
        let Some(asset) = asset.filter(|asset| assets.asset(asset).is_some()) else {
            return Compared::Unknown;
        };
        match (self.bound(asset), amount) {
            (None, _) => Compared::Unbounded,
            (Some(_), None) => Compared::Unknown,
            (Some(bound), Some(value)) => Compared::Known { value, bound },
        }
    }
}

impl Compared {
    /// At most the bound; what has no bound is not within it.
    pub(crate) fn is_within(self) -> Truth {
        match self {
            Self::Unknown => Truth::Unknown,
            Self::Unbounded => Truth::False,
            Self::Known { value, bound } => (value.cmp(&bound) != Ordering::Greater).into(),
        }
    }

    /// Over the bound; what has no bound is not over it.
    pub(crate) fn is_over(self) -> Truth {
        match self {
            Self::Unknown => Truth::Unknown,
            Self::Unbounded => Truth::False,
            Self::Known { value, bound } => (value > bound).into(),
        }
    }
}

impl FromIterator<(AssetId, Amount)> for Bounds {
    fn from_iter<I: IntoIterator<Item = (AssetId, Amount)>>(bounds: I) -> Self {
        Self(bounds.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{asset, bounds, registry};

    #[test]
    fn the_bound_itself_is_within_and_not_over() {
        let table = [
            (9_u64, Truth::True, Truth::False),
            (10, Truth::True, Truth::False),
            (11, Truth::False, Truth::True),
        ];
        for (value, within, over) in table {
            let eth = asset("eth");
            let compared = bounds(&[("eth", 10)]).compare(Some(&eth), Some(value.into()), &registry());
            assert_eq!((compared.is_within(), compared.is_over()), (within, over), "{value}");
        }
    }

    #[test]
    fn an_unbounded_asset_is_neither_within_nor_over() {
        let compared =
            bounds(&[("eth", 10)]).compare(Some(&asset("demo")), Some(Amount::from_base_units(1)), &registry());
        assert_eq!((compared.is_within(), compared.is_over()), (Truth::False, Truth::False));
    }

    #[test]
    fn what_cannot_be_valued_is_unknown() {
        let bounds = bounds(&[("eth", 10), ("stray", 10)]);
        let (eth, stray) = (asset("eth"), asset("stray"));
        for (asset, amount) in [(None, Some(1)), (Some(&stray), Some(1)), (Some(&eth), None)] {
            let compared = bounds.compare(asset, amount.map(Amount::from_base_units), &registry());
            assert_eq!(compared, Compared::Unknown, "{asset:?} {amount:?}");
        }
    }
}
