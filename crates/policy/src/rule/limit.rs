//! `limit`: a hard maximum on what is charged to it, whichever permit covered the effects.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{Amount, RuleId};
use serde::{Deserialize, Serialize};

use super::{RuleKind, Seen, select};
use crate::{
    Bounds, PolicyError,
    condition::{Condition, ConditionKind, Conditions},
    sums::{Sum, add},
    trace::{LimitKey, LimitTrace},
};

/// What a limit counts separately. Amounts of different assets are always counted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeBy {
    /// By asset, which is so anyway.
    Asset,
    /// By destination.
    Destination,
    /// By signing wallet; within one transaction there is one.
    Wallet,
    /// By the customer behind the payment. Fees and moves between own wallets have none, and are not counted.
    Subject,
    /// By who asked.
    Initiator,
    /// By network.
    Network,
    /// By tier of the signing wallet.
    Tier,
    /// By tenant.
    Tenant,
}

impl ScopeBy {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::Asset,
        Self::Destination,
        Self::Wallet,
        Self::Subject,
        Self::Initiator,
        Self::Network,
        Self::Tier,
        Self::Tenant,
    ];

    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Destination => "destination",
            Self::Wallet => "wallet",
            Self::Subject => "subject",
            Self::Initiator => "initiator",
            Self::Network => "network",
            Self::Tier => "tier",
            Self::Tenant => "tenant",
        }
    }
}

/// A hard maximum for one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    id: RuleId,
    conditions: Conditions,
    scope: BTreeSet<ScopeBy>,
    hard: Bounds,
}

impl Limit {
    /// A limit needs a bound, and none of its bounds may be zero.
    pub fn new(
        id: RuleId,
        conditions: Vec<Condition>,
        scope: BTreeSet<ScopeBy>,
        hard: Bounds,
    ) -> Result<Self, PolicyError> {
        let conditions = Conditions::new(&id, RuleKind::Limit, conditions)?;
        let condition = ConditionKind::Hard;
        if hard.is_empty() {
            return Err(PolicyError::EmptyCondition { rule: id, condition });
        }
        if hard.has_zero() {
            return Err(PolicyError::ZeroBound { rule: id, condition });
        }
        Ok(Self {
            id,
            conditions,
            scope,
            hard,
        })
    }

    /// The id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }

    /// The conditions.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// What it counts separately.
    pub fn scope(&self) -> &BTreeSet<ScopeBy> {
        &self.scope
    }

    /// The most that may be charged, by asset.
    pub fn hard(&self) -> &Bounds {
        &self.hard
    }

    /// Every key that the transaction charges, with the charge. An amount that cannot be valued is a charge under a key
    /// without asset, and unknown.
    pub(crate) fn charges(&self, seen: &[Seen<'_>]) -> Vec<LimitTrace> {
        let mut charges: BTreeMap<LimitKey, Sum> = BTreeMap::new();
        for (effect, _) in select(&self.conditions, seen) {
            let fact = effect.fact();
            let registered = fact
                .effect
                .asset()
                .filter(|asset| effect.view.facts.assets.asset(asset).is_some());
            if registered.is_some_and(|asset| self.hard.bound(asset).is_none()) {
                continue;
            }
            let amount = registered.and_then(|_| fact.effect.amount());
            let sum = charges.entry(self.key(effect)).or_insert(Some(Amount::ZERO));
            *sum = add(*sum, amount);
        }
        charges
            .into_iter()
            .map(|(key, charge)| self.trace(key, charge))
            .collect()
    }

    fn key(&self, effect: &Seen<'_>) -> LimitKey {
        let facts = effect.view.facts;
        let destination = effect.fact().effect.destination();
        let asset = effect.fact().effect.asset();
        LimitKey {
            asset: asset.filter(|asset| facts.assets.asset(asset).is_some()).cloned(),
            destination: destination
                .filter(|_| self.scope.contains(&ScopeBy::Destination))
                .cloned(),
            wallet: self
                .scope
                .contains(&ScopeBy::Wallet)
                .then(|| facts.actor.wallet.clone()),
        }
    }

    fn trace(&self, key: LimitKey, charge: Sum) -> LimitTrace {
        let before = Amount::ZERO;
        LimitTrace {
            rule: self.id.clone(),
            before,
            charge,
            after: add(Some(before), charge),
            hard: key.asset.as_ref().and_then(|asset| self.hard.bound(asset)),
            key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Assets, Effects,
        testing::{World, asset, bounds, destination, fee, opaque, rule, transfer},
    };
    use countersign_types::EffectKind;

    fn limit(conditions: Vec<Condition>, scope: &[ScopeBy]) -> Limit {
        let hard = bounds(&[("eth", 10)]);
        Limit::new(rule("l"), conditions, scope.iter().copied().collect(), hard).unwrap()
    }

    fn afters(limit: &Limit, world: &World) -> Vec<(LimitKey, Sum)> {
        let facts = world.facts();
        let charges = limit.charges(&Seen::all(&facts));
        charges.into_iter().map(|trace| (trace.key, trace.after)).collect()
    }

    fn eth() -> LimitKey {
        LimitKey {
            asset: Some(asset("eth")),
            destination: None,
            wallet: None,
        }
    }

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
    fn charges_every_effect_of_a_bounded_asset() {
        let world = World::with(&[
            transfer("eth", 6, "a"),
            transfer("eth", 3, "b"),
            transfer("demo", 9, "a"),
            fee(2),
        ]);
        assert_eq!(
            afters(&limit(vec![], &[]), &world),
            [(eth(), Some(Amount::from_base_units(11)))]
        );
        let transfers = Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()));
        assert_eq!(
            afters(&limit(vec![transfers], &[]), &world),
            [(eth(), Some(Amount::from_base_units(9)))]
        );
    }

    #[test]
    fn the_scope_separates_the_counts() {
        let world = World::with(&[
            transfer("eth", 6, "a"),
            transfer("eth", 3, "b"),
            transfer("eth", 2, "a"),
        ]);
        let to = |name: &str| LimitKey {
            destination: Some(destination(name)),
            ..eth()
        };
        let by_destination = afters(&limit(vec![], &[ScopeBy::Destination]), &world);
        assert_eq!(
            by_destination,
            [
                (to("a"), Some(Amount::from_base_units(8))),
                (to("b"), Some(Amount::from_base_units(3)))
            ]
        );
        let key = LimitKey {
            wallet: Some("hot".parse().unwrap()),
            ..eth()
        };
        assert_eq!(
            afters(&limit(vec![], &[ScopeBy::Wallet, ScopeBy::Asset]), &world),
            [(key, Some(Amount::from_base_units(11)))]
        );
    }

    #[test]
    fn what_cannot_be_valued_is_an_unknown_charge() {
        let unknown = LimitKey { asset: None, ..eth() };
        for effect in [opaque(), transfer("stray", 1, "a")] {
            assert_eq!(
                afters(&limit(vec![], &[]), &World::with(&[effect])),
                [(unknown.clone(), None)]
            );
        }
        let eth_only = Condition::Assets(Assets([asset("eth")].into_iter().collect()));
        assert_eq!(
            afters(&limit(vec![eth_only], &[]), &World::with(&[transfer("stray", 1, "a")])),
            []
        );
    }
}
