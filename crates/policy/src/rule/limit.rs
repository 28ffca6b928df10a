//! `limit`: a maximum on what is charged to it, whichever permit covered the effects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use countersign_types::{Amount, AssetId, Destination, Effect, RuleId};

use super::{Ceiling, Meter, RuleKind, ScopeBy, Seen, meter::check, select};
use crate::{
    Bounds, Charge, CounterKey, Currency, Measure, PolicyError, UsageQuery, Window,
    condition::{Condition, ConditionKind, Conditions, tier_word},
    facts::{Facts, Values},
    sums::{Sum, add},
    trace::{LimitKey, LimitTrace},
};

/// A maximum on what is charged to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    id: RuleId,
    conditions: Conditions,
    scope: BTreeSet<ScopeBy>,
    meter: Meter,
    /// The lines of its counters' text that are the same for all of them.
    filter: Arc<[String]>,
}

impl Limit {
    /// A limit needs a bound, and none of its bounds may be zero; a soft one stands below the hard one and asks for
    /// something.
    pub fn new(
        id: RuleId,
        conditions: Vec<Condition>,
        scope: BTreeSet<ScopeBy>,
        meter: impl Into<Meter>,
    ) -> Result<Self, PolicyError> {
        let conditions = Conditions::new(&id, RuleKind::Limit, conditions)?;
        let meter = meter.into();
        check(&id, &meter, &scope)?;
        let filter = conditions.canonical(implied(&meter.hard)).into();
        Ok(Self {
            filter,
            id,
            conditions,
            scope,
            meter,
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

    /// How much over which window.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Every key that the transaction charges, with the charge. What cannot be valued, or cannot be told apart as the scope
    /// asks, is an unknown charge.
    pub(crate) fn charges(&self, seen: &[Seen<'_>]) -> Vec<LimitTrace> {
        let Some(facts) = seen.first().map(|effect| effect.view.facts) else {
            return Vec::new();
        };
        let charges = self.sums(seen, facts).into_iter();
        charges.map(|(key, charge)| self.trace(key, charge, facts)).collect()
    }

    /// The counters that the transaction may be charged to, whatever its charges turn out to be. What is unknown matches, so
    /// facts that are known later only take some of them away.
    pub(crate) fn queries(&self, seen: &[Seen<'_>]) -> Vec<UsageQuery> {
        let window = &self.meter.window;
        let Some(facts) = seen.first().map(|effect| effect.view.facts) else {
            return Vec::new();
        };
        if *window == Window::Transaction {
            return Vec::new();
        }
        // An amount of no asset has no counter.
        let is_counted = |key: &LimitKey| key.asset.is_some() || !matches!(self.meter.hard, Ceiling::Amounts(_));
        let keys = self.sums(seen, facts).into_keys().filter(is_counted);
        let query = |key| UsageQuery {
            counter: self.counter(&key).id(),
            window: window.clone(),
        };
        keys.map(query).collect()
    }

    fn sums(&self, seen: &[Seen<'_>], facts: &Facts<'_>) -> Charges {
        match &self.meter.hard {
            Ceiling::Amounts(bounds) => self.amounts(bounds, seen),
            Ceiling::Money(currency, _) => self.worths(*currency, seen, facts.values()),
            Ceiling::Count(_) => self.transactions(seen),
            Ceiling::NewDestinations(_) => self.new_destinations(seen),
        }
    }

    fn amounts(&self, bounds: &Bounds, seen: &[Seen<'_>]) -> Charges {
        let mut charges = Charges::new();
        for (effect, _) in select(&self.conditions, seen) {
            let fact = effect.fact();
            let registered = effect.view.registered;
            if registered.is_some_and(|asset| bounds.bound(asset).is_none()) {
                continue;
            }
            let Some((key, is_known)) = self.key(effect, registered) else {
                continue;
            };
            let amount = registered.filter(|_| is_known).and_then(|_| fact.effect.amount());
            let sum = charges.entry(key).or_insert(Some(Amount::ZERO));
            *sum = add(*sum, amount);
        }
        charges
    }

    /// Each asset is summed before it is valued, so that splitting a payment rounds nothing.
    fn worths(&self, currency: Currency, seen: &[Seen<'_>], values: Values<'_>) -> Charges {
        let mut sums: BTreeMap<LimitKey, BTreeMap<Option<&AssetId>, Sum>> = BTreeMap::new();
        for (effect, _) in select(&self.conditions, seen) {
            let fact = effect.fact();
            let asset = effect.view.registered;
            let by = asset.filter(|_| self.scope.contains(&ScopeBy::Asset));
            let Some((key, is_known)) = self.key(effect, by) else {
                continue;
            };
            let amount = fact.effect.amount().filter(|_| is_known);
            let sum = sums.entry(key).or_default().entry(asset).or_insert(Some(Amount::ZERO));
            *sum = add(*sum, amount);
        }
        let worth = |(asset, sum): (Option<&AssetId>, Sum)| values.worth(asset?, sum?, currency);
        let total = |sums: BTreeMap<_, _>| {
            sums.into_iter()
                .try_fold(Amount::ZERO, |total, sum| add(Some(total), worth(sum)))
        };
        sums.into_iter().map(|(key, sums)| (key, total(sums))).collect()
    }

    fn transactions(&self, seen: &[Seen<'_>]) -> Charges {
        let mut charges = Charges::new();
        for (effect, _) in select(&self.conditions, seen) {
            // Every transaction has a fee: counting it under "no destination" would count all of them as one destination.
            let goes_nowhere = matches!(effect.fact().effect, Effect::Fee { .. });
            if goes_nowhere && self.scope.contains(&ScopeBy::Destination) {
                continue;
            }
            let Some((key, is_known)) = self.key(effect, None) else {
                continue;
            };
            let is_known = is_known && (key.destination.is_some() || !self.scope.contains(&ScopeBy::Destination));
            let charge = charges.entry(key).or_insert(Some(Amount::from_base_units(1)));
            *charge = charge.filter(|_| is_known);
        }
        charges
    }

    fn new_destinations(&self, seen: &[Seen<'_>]) -> Charges {
        let mut found: BTreeMap<LimitKey, BTreeMap<Option<&Destination>, Option<bool>>> = BTreeMap::new();
        for (effect, _) in select(&self.conditions, seen) {
            let fact = effect.fact();
            if matches!(fact.effect, Effect::Fee { .. } | Effect::Internal { .. }) {
                continue;
            }
            let Some((key, is_known)) = self.key(effect, None) else {
                continue;
            };
            let destination = fact.effect.destination();
            let is_new = fact
                .destination
                .is_first_seen
                .filter(|_| is_known && destination.is_some());
            let held = found.entry(key).or_default().entry(destination).or_insert(is_new);
            // Two facts about one destination that disagree are no fact.
            *held = held.filter(|held| Some(*held) == is_new);
        }
        let one = |is_new: Option<bool>| is_new.map(|is_new| u64::from(is_new).into());
        let total = |each: BTreeMap<_, Option<bool>>| {
            each.into_values()
                .try_fold(Amount::ZERO, |total, is_new| add(Some(total), one(is_new)))
        };
        let charges = found.into_iter().map(|(key, each)| (key, total(each)));
        charges.filter(|(_, charge)| *charge != Some(Amount::ZERO)).collect()
    }

    /// What an effect is counted under, and whether that is known; `None` where the scope asks for a customer and the
    /// effect by its nature has none.
    fn key(&self, effect: &Seen<'_>, asset: Option<&AssetId>) -> Option<(LimitKey, bool)> {
        let (facts, fact) = (effect.view.facts, effect.fact());
        let by = |scope| self.scope.contains(&scope);
        let has_no_subject = matches!(fact.effect, Effect::Fee { .. } | Effect::Internal { .. });
        if by(ScopeBy::Subject) && has_no_subject {
            return None;
        }
        let key = LimitKey {
            asset: asset.cloned(),
            destination: fact.effect.destination().filter(|_| by(ScopeBy::Destination)).cloned(),
            wallet: by(ScopeBy::Wallet).then(|| facts.actor.wallet.clone()),
            subject: fact.subject.filter(|_| by(ScopeBy::Subject)).cloned(),
            initiator: by(ScopeBy::Initiator).then(|| facts.actor.initiator.clone()),
            network: by(ScopeBy::Network).then(|| facts.network.clone()),
            tier: facts.actor.tier.filter(|_| by(ScopeBy::Tier)),
            tenant: facts.context.tenant.filter(|_| by(ScopeBy::Tenant)).cloned(),
        };
        let is_known = key.subject.is_some() == by(ScopeBy::Subject)
            && key.tier.is_some() == by(ScopeBy::Tier)
            && key.tenant.is_some() == by(ScopeBy::Tenant);
        Some((key, is_known))
    }

    /// What the journal adds a key's charges up in.
    fn counter(&self, key: &LimitKey) -> CounterKey {
        let measure = match &self.meter.hard {
            Ceiling::Amounts(_) => key.asset.clone().map(Measure::Amount),
            Ceiling::Money(currency, _) => Some(Measure::Money(*currency)),
            Ceiling::Count(_) => Some(Measure::Count),
            Ceiling::NewDestinations(_) => Some(Measure::NewDestinations),
        };
        // A charge without an asset is unknown, and never reaches the journal.
        let measure = measure.unwrap_or(Measure::Count);
        let is_amount = matches!(measure, Measure::Amount(_));
        let scope = self.scope.iter().filter(|by| !(is_amount && **by == ScopeBy::Asset));
        let scope = scope.map(|by| (*by, value(*by, key))).collect();
        CounterKey::new(measure, Arc::clone(&self.filter), scope)
    }

    fn trace(&self, key: LimitKey, charge: Sum, facts: &Facts<'_>) -> LimitTrace {
        let Meter { window, hard, soft } = &self.meter;
        let counter = (*window != Window::Transaction && charge.is_some()).then(|| self.counter(&key).id());
        let usage = facts.context.usage;
        let (before, after) = match window {
            Window::Transaction => (Some(Amount::ZERO), charge),
            Window::Rolling(_) | Window::Calendar { .. } => {
                let charge = counter.zip(charge).map(|(counter, amount)| Charge { counter, amount });
                let before = counter.and_then(|counter| usage.before(counter, window));
                (before, charge.and_then(|charge| usage.after(&charge, window)))
            }
        };
        let asset = key.asset.as_ref();
        let soft = soft
            .as_ref()
            .map(|(ceiling, obligations)| (ceiling.bound(asset), obligations));
        let over_soft = soft.and_then(|(bound, obligations)| (after? > bound?).then(|| obligations.clone()));
        LimitTrace {
            rule: self.id.clone(),
            before,
            charge,
            after,
            hard: hard.bound(asset),
            currency: hard.currency(),
            window: Some(window.clone()).filter(|window| *window != Window::Transaction),
            counter,
            soft: soft.and_then(|(bound, _)| bound),
            over_soft,
            key,
        }
    }
}

/// The kind of condition that a counter's measure says already.
fn implied(hard: &Ceiling) -> Option<ConditionKind> {
    match hard {
        Ceiling::Amounts(_) => Some(ConditionKind::Assets),
        Ceiling::Money(..) | Ceiling::Count(_) | Ceiling::NewDestinations(_) => None,
    }
}

/// Charges by key; `None` is unknown.
type Charges = BTreeMap<LimitKey, Sum>;

/// The value of one scope, for a counter's text.
fn value(by: ScopeBy, key: &LimitKey) -> String {
    let text = match by {
        ScopeBy::Asset => key.asset.as_ref().map(ToString::to_string),
        ScopeBy::Destination => key.destination.as_ref().map(ToString::to_string),
        ScopeBy::Wallet => key.wallet.as_ref().map(ToString::to_string),
        ScopeBy::Subject => key.subject.as_ref().map(ToString::to_string),
        ScopeBy::Initiator => key.initiator.as_ref().map(ToString::to_string),
        ScopeBy::Network => key.network.as_ref().map(ToString::to_string),
        ScopeBy::Tier => key.tier.map(|tier| tier_word(tier).to_owned()),
        ScopeBy::Tenant => key.tenant.as_ref().map(ToString::to_string),
    };
    text.unwrap_or_else(|| "none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Assets, Effects,
        testing::{World, asset, bounds, destination, fee, internal, opaque, rule, transfer, usd},
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
            ..LimitKey::default()
        }
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

    fn windowed(scope: &[ScopeBy], hard: Ceiling) -> Limit {
        let meter = Meter {
            window: "24h".parse().unwrap(),
            hard,
            soft: None,
        };
        Limit::new(rule("l"), vec![], scope.iter().copied().collect(), meter).unwrap()
    }

    fn charged(limit: &Limit, world: &World) -> Vec<(LimitKey, Option<u64>)> {
        let facts = world.facts();
        let charges = limit.charges(&Seen::all(&facts));
        let number = |amount: Amount| amount.to_string().parse().unwrap();
        charges
            .into_iter()
            .map(|trace| (trace.key, trace.charge.map(number)))
            .collect()
    }

    /// One ETH is worth 3 USD, one GOLD 5 USD, DEMO has no price; money has 8 decimals.
    #[test]
    fn money_adds_up_across_assets() {
        let limit = windowed(&[], Ceiling::Money(Currency::Usd, usd(100)));
        let none = LimitKey::default;
        let world = World::with(&[transfer("eth", 2, "a"), transfer("gold", 1, "b"), fee(1)]);
        assert_eq!(charged(&limit, &world), [(none(), Some(1_400_000_000))]);
        for effect in [transfer("demo", 1, "a"), transfer("stray", 1, "a"), opaque()] {
            let world = World::with(&[transfer("eth", 2, "a"), effect]);
            assert_eq!(charged(&limit, &world), [(none(), None)]);
        }
        let by_asset = windowed(&[ScopeBy::Asset], Ceiling::Money(Currency::Usd, usd(100)));
        let world = World::with(&[transfer("eth", 2, "a"), transfer("gold", 1, "b")]);
        let charges: Vec<_> = charged(&by_asset, &world)
            .into_iter()
            .map(|(_, charge)| charge)
            .collect();
        assert_eq!(charges.len(), 2);
    }

    #[test]
    fn a_subject_is_charged_for_its_payments_only() {
        let limit = windowed(&[ScopeBy::Subject], Ceiling::Amounts(bounds(&[("eth", 10)])));
        let of = |subject: &str| LimitKey {
            subject: Some(subject.parse().unwrap()),
            ..eth()
        };
        let mut world = World::with_subjects(&[(transfer("eth", 2, "a"), "x"), (transfer("eth", 3, "b"), "y")]);
        world.effects.push((fee(1), None));
        world.effects.push((internal("eth", 5, "warm"), None));
        assert_eq!(charged(&limit, &world), [(of("x"), Some(2)), (of("y"), Some(3))]);
        world.effects[1].1 = None;
        assert_eq!(
            charged(&limit, &world),
            [(eth(), None), (of("x"), Some(2))],
            "anybody's"
        );
    }

    #[test]
    fn what_the_scope_needs_and_nobody_knows_is_an_unknown_charge() {
        let world = World {
            tenant: None,
            tier: None,
            ..World::with(&[transfer("eth", 2, "a")])
        };
        for (scope, expected) in [
            (ScopeBy::Tenant, None),
            (ScopeBy::Tier, None),
            (ScopeBy::Initiator, Some(2)),
            (ScopeBy::Network, Some(2)),
        ] {
            let limit = windowed(&[scope], Ceiling::Amounts(bounds(&[("eth", 10)])));
            let charges: Vec<_> = charged(&limit, &world).into_iter().map(|(_, charge)| charge).collect();
            assert_eq!(charges, [expected], "{scope:?}");
        }
    }

    #[test]
    fn a_transaction_counts_once_for_each_key() {
        let world = World::with(&[
            transfer("eth", 2, "a"),
            transfer("eth", 3, "a"),
            transfer("eth", 3, "b"),
            fee(1),
        ]);
        assert_eq!(
            charged(&windowed(&[], Ceiling::Count(9)), &world),
            [(LimitKey::default(), Some(1))]
        );
        let by_destination = charged(&windowed(&[ScopeBy::Destination], Ceiling::Count(9)), &world);
        assert_eq!(
            by_destination.iter().map(|(_, charge)| *charge).collect::<Vec<_>>(),
            [Some(1), Some(1)]
        );
        let nowhere = charged(
            &windowed(&[ScopeBy::Destination], Ceiling::Count(9)),
            &World::with(&[opaque()]),
        );
        assert_eq!(nowhere, [(LimitKey::default(), None)]);
    }

    #[test]
    fn new_destinations_are_counted_once_and_only_if_it_is_known() {
        let limit = windowed(&[], Ceiling::NewDestinations(9));
        let effects = [
            transfer("eth", 2, "a"),
            transfer("eth", 3, "a"),
            transfer("eth", 3, "b"),
            fee(1),
            internal("eth", 1, "warm"),
        ];
        let world = World::with(&effects);
        let charge = |first_seen: [Option<bool>; 3]| {
            let mut facts = world.facts();
            for (effect, is_first_seen) in facts.effects.iter_mut().zip(first_seen) {
                effect.destination.is_first_seen = is_first_seen;
            }
            limit
                .charges(&Seen::all(&facts))
                .into_iter()
                .map(|trace| trace.charge)
                .collect::<Vec<_>>()
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(charge([yes, yes, yes]), [Some(Amount::from_base_units(2))]);
        assert_eq!(charge([yes, yes, no]), [Some(Amount::from_base_units(1))]);
        assert_eq!(charge([no, no, no]), []);
        assert_eq!(charge([None, None, no]), [None]);
        assert_eq!(charge([yes, no, no]), [None], "contradictory");
    }

    #[test]
    fn renaming_a_limit_or_moving_its_bounds_keeps_its_counter() {
        let counter = |name: &str, window: &str, hard: u64, conditions: Vec<Condition>| {
            let meter = Meter {
                window: window.parse().unwrap(),
                hard: Ceiling::Amounts(bounds(&[("eth", hard), ("demo", hard)])),
                soft: None,
            };
            let limit = Limit::new(rule(name), conditions, [ScopeBy::Wallet].into(), meter).unwrap();
            let world = World::with(&[transfer("eth", 2, "a")]);
            let facts = world.facts();
            limit.charges(&Seen::all(&facts))[0].counter.unwrap()
        };
        let assets = |names: &[&str]| Condition::Assets(Assets(names.iter().map(|name| asset(name)).collect()));
        let transfers = || Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()));
        let base = counter("l", "24h", 10, vec![transfers(), assets(&["eth"])]);
        assert_eq!(base, counter("other", "7d", 99, vec![transfers(), assets(&["eth"])]));
        assert_eq!(
            base,
            counter("l", "24h", 10, vec![assets(&["eth", "demo"]), transfers()])
        );
        assert_ne!(base, counter("l", "24h", 10, vec![assets(&["eth"])]));
    }
}
