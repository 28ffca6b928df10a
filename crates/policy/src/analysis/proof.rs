//! What batches add up to: whether one rule of the policy settles every sum that an invariant speaks of.
//!
//! An invariant about sums over a bound is broken by a transaction whose every effect is permitted by itself and lacks some
//! part of what is promised. Take all such effects that count to the sum. If there is one rule that provides the part, that
//! counts at least all of them, and whose own bound is not higher, then it matches whenever the invariant does. Only such a
//! rule is a proof; that there is none proves nothing.

use std::collections::BTreeSet;

use countersign_types::{Amount, AssetId, Effect};

use super::{
    Budget, Invariant, Promise, Setting, Withdrawal,
    regions::{Rule, Visitor, Walk, is_uncovered},
    setting::asked,
    variants::resized,
};
use crate::{Bounds, Ceiling, ConditionKind, Conditions, Currency, Obligations, Price, Prices, RuleKind, ScopeBy};

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
    /// The rules that settle everything seen so far; `None` before anything was seen.
    settlers: Option<BTreeSet<usize>>,
    /// Whether an effect may be over the bound by itself; always so where the invariant is about sums.
    is_reached: bool,
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
        goals: goals(&bounds, invariant.then(), kind == ConditionKind::TotalOver),
    };
    walk.run(&mut search);
    if walk.ran_out {
        return Proven::RanOut;
    }
    let is_settled = |goal: &Goal| !goal.is_reached || goal.settlers.as_ref().is_none_or(|rules| !rules.is_empty());
    match search.goals.iter().all(is_settled) {
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

fn goals(bounds: &Bounds, promise: &Promise, is_reached: bool) -> Vec<Goal> {
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
            settlers: None,
            is_reached,
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

    fn enter(&mut self, rules: &[Rule<'_>], active: &[bool], withdrawal: &Withdrawal) -> bool {
        let asset = withdrawal.items.first().and_then(|item| item.effect.asset());
        // What cannot be valued matches the invariant alone, and single payments were proven.
        let asset = asset
            .filter(|asset| self.setting.assets.asset(asset).is_some())
            .cloned();
        let asked_for = asset.as_ref().and_then(|asset| self.least(withdrawal, asset));
        if let (Some(asset), Some(asked_for)) = (asset, asked_for) {
            let is_meant = active.last() == Some(&true);
            for goal in self.goals.iter_mut().filter(|goal| goal.counts(&asset)) {
                if goal.part.as_ref().is_none_or(|part| !asked_for.covers(part)) {
                    goal.add(rules, active, is_meant);
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
    fn add(&mut self, rules: &[Rule<'_>], active: &[bool], is_meant: bool) {
        let each = || {
            rules
                .iter()
                .zip(active)
                .enumerate()
                .filter(|(_, (_, is_active))| **is_active)
        };
        let settling = each().filter(|(_, (rule, _))| self.is_settled_by(rule)).map(|(n, _)| n);
        let settling: BTreeSet<usize> = settling.collect();
        self.settlers = Some(match self.settlers.take() {
            Some(held) => held.intersection(&settling).copied().collect(),
            None => settling,
        });
        if is_meant && !self.is_reached {
            let is_stopped = each().any(|(_, (rule, _))| self.is_stopped_by(rule));
            let mut permits = each().filter(|(_, (rule, _))| rule.kind == RuleKind::Permit);
            self.is_reached = !is_stopped && permits.any(|(_, (rule, _))| !self.is_capped_by(rule));
        }
    }

    /// Whether a rule provides the part for every sum over the bound.
    fn is_settled_by(&self, rule: &Rule<'_>) -> bool {
        let sum = rule.conditions.of(ConditionKind::TotalOver);
        let is_about_amounts = rule.conditions.of(ConditionKind::AmountOver).is_some();
        match rule.kind {
            // A breaker looks at what happened before, and promises nothing of one transaction.
            RuleKind::Permit | RuleKind::Breaker => false,
            RuleKind::Forbid | RuleKind::Require => {
                let over = sum.and_then(|condition| self.bound(condition.bounds()?));
                !is_about_amounts && self.is_provided(rule) && over.is_some_and(|over| over <= self.bound)
            }
            RuleKind::Limit => rule.limit.is_some_and(|limit| {
                let is_one_sum = limit.scope().iter().all(|by| match by {
                    ScopeBy::Wallet | ScopeBy::Initiator | ScopeBy::Network | ScopeBy::Tier | ScopeBy::Tenant => true,
                    ScopeBy::Asset => matches!(self.unit, Unit::Asset(_)),
                    ScopeBy::Destination | ScopeBy::Subject => false,
                });
                let meter = limit.meter();
                let is_over = |ceiling| self.ceiling(ceiling).is_some_and(|most| most <= self.bound);
                let soft = meter.soft.as_ref();
                let asks = |asked: &Obligations| self.part.as_ref().is_some_and(|part| asked.covers(part));
                let is_soft = soft.is_some_and(|(ceiling, asked)| is_over(ceiling) && asks(asked));
                is_one_sum && (is_over(&meter.hard) || is_soft)
            }),
        }
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
