//! What batches add up to: whether one rule of the policy settles every sum that an invariant speaks of.
//!
//! An invariant about sums over a bound is broken by a transaction whose every effect is permitted by itself and lacks some
//! part of what is promised. Take all such effects that count to the sum. If there is one rule that provides the part, that
//! counts at least all of them, and whose own bound is not higher, then it matches whenever the invariant does. So do two
//! rules that count each of them between them, if their bounds together are not higher: one of the two sums is over its own.
//! Rules are looked for by who asks, through which wallet and when, which is the same for all of a transaction. Only such rules
//! are a proof; that there are none proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{Amount, AssetId, Effect};

use super::{
    Budget, Invariant, Promise, Setting, Withdrawal,
    regions::{Asking, Rule, Visitor, Walk, is_uncovered},
    setting::asked,
    variants::resized,
};
use crate::{
    Bounds, Ceiling, ConditionKind, Conditions, Currency, Limit, Obligations, Price, Prices, RuleKind, ScopeBy,
};

/// What came of it.
pub(super) enum Proven {
    /// Every sum is settled.
    Settled,
    /// Some sum is not.
    Open,
    /// The budget did not suffice.
    RanOut,
}

/// What a bound is in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unit {
    Asset(AssetId),
    Money(Currency),
}

/// One part of what is promised, for sums over one bound.
struct Goal {
    unit: Unit,
    bound: Amount,
    /// `None` is a denial.
    part: Option<Obligations>,
    /// For every effect that was seen, the rules that settle it.
    settlers: BTreeMap<Asking, BTreeSet<BTreeSet<usize>>>,
    /// The bound of each of those rules.
    bounds: BTreeMap<usize, Amount>,
    /// Where an effect may be over the bound by itself; everywhere if the invariant is about sums.
    reached: BTreeSet<Asking>,
}

/// Whether the sums that the invariant compares are settled; it must hold for single payments already.
pub(super) fn settle(invariant: &Invariant, setting: &Setting<'_>, budget: Budget) -> Proven {
    let Some((kind, bounds)) = compared(invariant.when()) else {
        return Proven::Settled;
    };
    let (settings, beside) = ([setting], [invariant.when()]);
    let mut walk = Walk::new(&settings, &beside, budget);
    let mut search = Search {
        setting,
        is_sum: kind == ConditionKind::TotalOver,
        goals: goals(&bounds, invariant.then()),
    };
    walk.run(&mut search);
    if walk.ran_out {
        return Proven::RanOut;
    }
    match search.goals.iter().all(Goal::is_settled) {
        true => Proven::Settled,
        false => Proven::Open,
    }
}

/// What the conditions compare: the sum, or else the amount of one effect, which is a sum too.
fn compared(when: &Conditions) -> Option<(ConditionKind, Bounds)> {
    let kinds = [ConditionKind::TotalOver, ConditionKind::AmountOver];
    kinds
        .into_iter()
        .find_map(|kind| Some((kind, when.of(kind)?.bounds()?.clone())))
}

fn goals(bounds: &Bounds, promise: &Promise) -> Vec<Goal> {
    let parts: Vec<Option<Obligations>> = match promise {
        Promise::Deny => vec![None],
        Promise::Asks(obligations) => obligations.parts().into_iter().map(Some).collect(),
    };
    let assets = bounds.iter().map(|(asset, bound)| (Unit::Asset(asset.clone()), bound));
    let money = bounds.money().map(|(currency, bound)| (Unit::Money(currency), bound));
    let goal = |(unit, bound): (Unit, Amount)| {
        parts.clone().into_iter().map(move |part| Goal {
            unit: unit.clone(),
            bound,
            part,
            settlers: BTreeMap::new(),
            bounds: BTreeMap::new(),
            reached: BTreeSet::new(),
        })
    };
    assets.chain(money).flat_map(goal).collect()
}

struct Search<'a> {
    setting: &'a Setting<'a>,
    is_sum: bool,
    goals: Vec<Goal>,
}

impl Visitor for Search<'_> {
    fn is_worth(&self, rules: &[Rule<'_>], active: &[bool]) -> bool {
        // What adds to an amount need not be what the invariant is about: only sums are of its own effects.
        let counts = !self.is_sum || active.last() == Some(&true);
        counts && !is_uncovered(rules, active, 0)
    }

    fn tells_askers_apart(&self) -> bool {
        true
    }

    fn enter(&mut self, rules: &[Rule<'_>], active: &[bool], withdrawal: &Withdrawal) -> bool {
        let asset = withdrawal.items.first().and_then(|item| item.effect.asset());
        // What cannot be valued matches the invariant alone, and single payments were proven.
        let asset = asset
            .filter(|asset| self.setting.assets.asset(asset).is_some())
            .cloned();
        let asked_for = asset.as_ref().and_then(|asset| self.least(withdrawal, asset));
        if let (Some(asset), Some(asked_for)) = (asset, asked_for) {
            let is_meant = active.last() == Some(&true);
            let asking = Asking::of(withdrawal);
            let active = rules
                .iter()
                .enumerate()
                .zip(active)
                .filter(|(_, is_active)| **is_active);
            let active: Vec<(usize, &Rule<'_>)> = active.map(|(rule, _)| rule).collect();
            for goal in self.goals.iter_mut().filter(|goal| goal.counts(&asset)) {
                if goal.part.as_ref().is_none_or(|part| !asked_for.covers(part)) {
                    if is_meant && (self.is_sum || goal.may_reach(&active)) {
                        goal.reached.insert(asking.clone());
                    }
                    goal.add(&active, &asking);
                }
            }
        }
        false
    }

    fn visit(&mut self, _: &Withdrawal) {}
}

impl Search<'_> {
    /// The least that is asked for an effect of this kind: for none of it, at no worth. `None` if even that is denied.
    fn least(&self, withdrawal: &Withdrawal, asset: &AssetId) -> Option<Obligations> {
        let free = Currency::ALL.map(|currency| ((asset.clone(), currency), Price::from_atto(Amount::ZERO)));
        let mut nothing = Withdrawal {
            prices: Prices::new(free.into()),
            fee_units: Some(u64::MAX),
            ..withdrawal.clone()
        };
        let empty = |effect: &Effect| resized(effect, Amount::ZERO);
        nothing
            .items
            .iter_mut()
            .for_each(|item| item.effect = empty(&item.effect));
        asked(self.setting.decide(&nothing).as_ref()).cloned()
    }
}

impl Goal {
    fn counts(&self, asset: &AssetId) -> bool {
        match &self.unit {
            Unit::Asset(bounded) => bounded == asset,
            Unit::Money(_) => true,
        }
    }

    /// An effect that counts: only what settles it too is still a proof.
    fn add(&mut self, active: &[(usize, &Rule<'_>)], asking: &Asking) {
        let permits = active.iter().filter(|(_, rule)| rule.kind == RuleKind::Permit);
        let is_sole_permit = permits.count() == 1;
        let settling = active
            .iter()
            .filter_map(|(n, rule)| Some((*n, self.settling_bound(rule, is_sole_permit)?)));
        let settling: BTreeMap<usize, Amount> = settling.collect();
        let rules = settling.keys().copied().collect();
        self.settlers.entry(asking.clone()).or_default().insert(rules);
        self.bounds.extend(settling);
    }

    /// Whether an effect may be over the bound by itself.
    fn may_reach(&self, active: &[(usize, &Rule<'_>)]) -> bool {
        let mut rules = active.iter().map(|(_, rule)| *rule);
        let is_stopped = rules.clone().any(|rule| self.is_stopped_by(rule));
        !is_stopped && rules.any(|rule| rule.kind == RuleKind::Permit && !self.is_capped_by(rule))
    }

    fn is_settled(&self) -> bool {
        let sums = self
            .settlers
            .iter()
            .filter(|(asking, _)| self.reached.contains(*asking));
        sums.map(|(_, sums)| sums).all(|sums| self.is_settled_by_two(sums))
    }

    /// Whether one rule is in all of the sets, or one of two is whose bounds are not higher together.
    fn is_settled_by_two(&self, sums: &BTreeSet<BTreeSet<usize>>) -> bool {
        let bound = |rule: &usize| self.bounds.get(rule).copied();
        let is_low = |first: &usize, second: &usize| {
            let together = bound(first).zip(bound(second));
            let together = together.and_then(|(first, second)| first.checked_add(second));
            together.is_some_and(|together| together <= self.bound)
        };
        let mut first = sums.first().into_iter().flatten();
        first.any(|first| {
            let mut others = sums.iter().filter(|rules| !rules.contains(first));
            let Some(second) = others.next() else { return true };
            let mut second = second.iter();
            second.any(|second| is_low(first, second) && others.clone().all(|rules| rules.contains(second)))
        })
    }

    /// Over which sum a rule provides the part, if that is not more than the bound.
    fn settling_bound(&self, rule: &Rule<'_>, is_sole_permit: bool) -> Option<Amount> {
        let sum = |kind| self.bound(rule.conditions.of(kind)?.bounds()?);
        let is_about_amounts = rule.conditions.of(ConditionKind::AmountOver).is_some();
        let over = match rule.kind {
            // What no other permit covers is denied once it adds up to more than this one covers.
            RuleKind::Permit => sum(ConditionKind::TotalMax).filter(|_| is_sole_permit),
            RuleKind::Forbid | RuleKind::Require => {
                let is_provided = !is_about_amounts && self.is_provided(rule);
                sum(ConditionKind::TotalOver).filter(|_| is_provided)
            }
            RuleKind::Limit => rule.limit.and_then(|limit| self.limiting_bound(limit)),
            // A breaker looks at what happened before, and promises nothing of one transaction.
            RuleKind::Breaker => None,
        };
        over.filter(|over| *over <= self.bound)
    }

    fn limiting_bound(&self, limit: &Limit) -> Option<Amount> {
        let is_one_sum = limit.scope().iter().all(|by| match by {
            ScopeBy::Wallet | ScopeBy::Initiator | ScopeBy::Network | ScopeBy::Tier | ScopeBy::Tenant => true,
            ScopeBy::Asset => matches!(self.unit, Unit::Asset(_)),
            ScopeBy::Destination | ScopeBy::Subject => false,
        });
        let meter = limit.meter();
        let asks = |asked: &Obligations| self.part.as_ref().is_some_and(|part| asked.covers(part));
        let soft = meter.soft.as_ref().filter(|(_, asked)| asks(asked));
        let soft = soft.and_then(|(ceiling, _)| self.ceiling(ceiling));
        // A soft bound is the lower one.
        soft.or_else(|| self.ceiling(&meter.hard)).filter(|_| is_one_sum)
    }

    /// Whether a rule provides the part for every effect whose own amount is over the bound.
    fn is_stopped_by(&self, rule: &Rule<'_>) -> bool {
        let is_about_sums = rule.conditions.of(ConditionKind::TotalOver).is_some();
        let over = rule.conditions.of(ConditionKind::AmountOver);
        let over = over.and_then(|condition| self.bound(condition.bounds()?));
        rule.setting.is_some()
            && !is_about_sums
            && self.is_provided(rule)
            && over.is_some_and(|over| over <= self.bound)
    }

    /// Whether a permit covers nothing over the bound.
    fn is_capped_by(&self, rule: &Rule<'_>) -> bool {
        let mut kinds = [ConditionKind::AmountMax, ConditionKind::FeeMax].into_iter();
        let max = |kind| self.bound(rule.conditions.of(kind)?.bounds()?);
        kinds.any(|kind| max(kind).is_some_and(|max| max <= self.bound))
    }

    fn is_provided(&self, rule: &Rule<'_>) -> bool {
        match rule.kind {
            RuleKind::Forbid => true,
            RuleKind::Require => {
                let part = self.part.as_ref();
                rule.obligations
                    .zip(part)
                    .is_some_and(|(asked, part)| asked.covers(part))
            }
            RuleKind::Permit | RuleKind::Limit | RuleKind::Breaker => false,
        }
    }

    fn bound(&self, bounds: &Bounds) -> Option<Amount> {
        match &self.unit {
            Unit::Asset(asset) => bounds.bound(asset),
            Unit::Money(currency) => bounds
                .money()
                .find(|(other, _)| other == currency)
                .map(|(_, bound)| bound),
        }
    }

    fn ceiling(&self, ceiling: &Ceiling) -> Option<Amount> {
        match (ceiling, &self.unit) {
            (Ceiling::Amounts(bounds), Unit::Asset(asset)) => bounds.bound(asset),
            (Ceiling::Money(currency, bound), Unit::Money(other)) => (currency == other).then_some(*bound),
            (Ceiling::Amounts(_), Unit::Money(_))
            | (Ceiling::Money(..), Unit::Asset(_))
            | (Ceiling::Count(_) | Ceiling::NewDestinations(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
