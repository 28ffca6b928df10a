//! How much a limit allows, over which window, and what it takes above a soft maximum.

use std::collections::BTreeSet;

use countersign_types::{Amount, AssetId, RuleId};

use super::ScopeBy;
use crate::{Bounds, Currency, Obligations, PolicyError, Window, condition::ConditionKind};

/// The most that may be charged, and in what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ceiling {
    /// Base units, by asset.
    Amounts(Bounds),
    /// Money, in 10⁻⁸ of the currency, whatever the asset.
    Money(Currency, Amount),
    /// Transactions. A batch is one of them: bound what it moves by amounts.
    Count(u32),
    /// Destinations that were never paid before.
    NewDestinations(u32),
}

impl Ceiling {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Amounts(bounds) if bounds.is_empty())
    }

    fn has_zero(&self) -> bool {
        match self {
            Self::Amounts(bounds) => bounds.has_zero(),
            Self::Money(_, bound) => bound.is_zero(),
            Self::Count(bound) | Self::NewDestinations(bound) => *bound == 0,
        }
    }

    /// Amounts must not hide a bound in money: it would be ignored.
    fn is_mixed(&self) -> bool {
        matches!(self, Self::Amounts(bounds) if bounds.money().next().is_some())
    }

    /// Whether both bound the same things, this one everywhere below the other.
    fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Amounts(this), Self::Amounts(other)) => {
                let is_same = this
                    .iter()
                    .map(|(asset, _)| asset)
                    .eq(other.iter().map(|(asset, _)| asset));
                is_same
                    && this
                        .iter()
                        .zip(other.iter())
                        .all(|((_, this), (_, other))| this < other)
            }
            (Self::Money(this, a), Self::Money(other, b)) => this == other && a < b,
            (Self::Count(a), Self::Count(b)) | (Self::NewDestinations(a), Self::NewDestinations(b)) => a < b,
            (Self::Amounts(_) | Self::Money(..) | Self::Count(_) | Self::NewDestinations(_), _) => false,
        }
    }

    pub(super) fn bound(&self, asset: Option<&AssetId>) -> Option<Amount> {
        match self {
            Self::Amounts(bounds) => bounds.bound(asset?),
            Self::Money(_, bound) => Some(*bound),
            Self::Count(bound) | Self::NewDestinations(bound) => Some(u64::from(*bound).into()),
        }
    }

    pub(crate) fn currency(&self) -> Option<Currency> {
        match self {
            Self::Money(currency, _) => Some(*currency),
            Self::Amounts(_) | Self::Count(_) | Self::NewDestinations(_) => None,
        }
    }
}

/// How much over which window, and what it takes above a soft maximum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Over which span of time charges add up.
    pub window: Window,
    /// Above this, denied.
    pub hard: Ceiling,
    /// Above this, the obligations join in.
    pub soft: Option<(Ceiling, Obligations)>,
}

/// A hard maximum for one transaction.
impl From<Bounds> for Meter {
    fn from(bounds: Bounds) -> Self {
        Self {
            window: Window::Transaction,
            hard: Ceiling::Amounts(bounds),
            soft: None,
        }
    }
}

/// Checks that the bounds say something, and that the soft one comes first.
pub(super) fn check(id: &RuleId, meter: &Meter, scope: &BTreeSet<ScopeBy>) -> Result<(), PolicyError> {
    let soft = meter.soft.as_ref().map(|(ceiling, _)| (ceiling, ConditionKind::Soft));
    for (ceiling, condition) in [(&meter.hard, ConditionKind::Hard)].into_iter().chain(soft) {
        let rule = id.clone();
        if ceiling.is_empty() {
            return Err(PolicyError::EmptyCondition { rule, condition });
        }
        if ceiling.has_zero() {
            return Err(PolicyError::ZeroBound { rule, condition });
        }
        if ceiling.is_mixed() {
            return Err(PolicyError::MixedUnits { rule });
        }
    }
    if let Some((soft, obligations)) = &meter.soft
        && (!soft.is_below(&meter.hard) || obligations.is_empty())
    {
        return Err(PolicyError::UselessSoft { rule: id.clone() });
    }
    let counts = matches!(meter.hard, Ceiling::Count(_) | Ceiling::NewDestinations(_));
    if counts && scope.contains(&ScopeBy::Asset) {
        return Err(PolicyError::CountByAsset { rule: id.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Limit,
        testing::{bounds, obligations, rule, usd},
    };

    #[test]
    fn a_limit_has_bounds_and_none_is_zero() {
        let make = |hard| Limit::new(rule("l"), vec![], BTreeSet::new(), bounds(hard));
        let condition = ConditionKind::Hard;
        assert_eq!(
            make(&[]),
            Err(PolicyError::EmptyCondition {
                rule: rule("l"),
                condition
            })
        );
        assert_eq!(
            make(&[("eth", 0)]),
            Err(PolicyError::ZeroBound {
                rule: rule("l"),
                condition
            })
        );
    }

    #[test]
    fn a_soft_bound_stands_below_the_hard_one_and_asks_for_something() {
        let two = || obligations(&[("treasury", 2)], 0);
        let eth = |bound| Ceiling::Amounts(bounds(&[("eth", bound)]));
        let make = |hard, soft, asked| {
            let meter = Meter {
                window: Window::Transaction,
                hard,
                soft: Some((soft, asked)),
            };
            Limit::new(rule("l"), vec![], BTreeSet::new(), meter).map(drop)
        };
        let useless = Err(PolicyError::UselessSoft { rule: rule("l") });
        assert_eq!(make(eth(10), eth(9), two()), Ok(()));
        assert_eq!(make(Ceiling::Count(3), Ceiling::Count(2), two()), Ok(()));
        assert_eq!(make(eth(10), eth(10), two()), useless);
        assert_eq!(make(eth(10), eth(9), Obligations::default()), useless);
        assert_eq!(make(eth(10), Ceiling::Count(1), two()), useless);
        assert_eq!(make(Ceiling::Count(3), Ceiling::Count(3), two()), useless);
        assert_eq!(
            make(Ceiling::NewDestinations(3), Ceiling::NewDestinations(3), two()),
            useless
        );
        let dollars = |bound| Ceiling::Money(Currency::Usd, usd(bound));
        assert_eq!(make(dollars(10), dollars(9), two()), Ok(()));
        for soft in [
            dollars(10),
            dollars(11),
            Ceiling::Money(Currency::Eur, usd(9)),
            Ceiling::Count(1),
        ] {
            assert_eq!(make(dollars(10), soft, two()), useless);
        }
        assert_eq!(make(eth(10), Ceiling::Amounts(bounds(&[("demo", 1)])), two()), useless);
        let zero = Err(PolicyError::ZeroBound {
            rule: rule("l"),
            condition: ConditionKind::Soft,
        });
        assert_eq!(make(eth(10), eth(0), two()), zero);
    }

    #[test]
    fn a_bound_in_money_is_not_hidden_among_amounts() {
        let mixed = bounds(&[("eth", 1)]).with_money(Currency::Usd, usd(1));
        let made = Limit::new(rule("l"), vec![], BTreeSet::new(), mixed);
        assert_eq!(made, Err(PolicyError::MixedUnits { rule: rule("l") }));
    }

    #[test]
    fn counts_are_not_by_asset() {
        let meter = Meter {
            window: Window::Transaction,
            hard: Ceiling::Count(1),
            soft: None,
        };
        let made = Limit::new(rule("l"), vec![], [ScopeBy::Asset].into(), meter);
        assert_eq!(made, Err(PolicyError::CountByAsset { rule: rule("l") }));
    }
}
