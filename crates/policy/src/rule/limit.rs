//! `limit`: a maximum on what is charged to it, whichever permit covered the effects.

use std::collections::BTreeSet;

use countersign_types::{Amount, AssetId, CounterId, Effect, RuleId};

use super::{Ceiling, ChargeKey, Charged, Meter, RuleKind, ScopeBy, Seen, meter::check, select};
use crate::{
    Bounds, Counters, Currency, Measure, Obligations, PolicyError, Usage, UsageQuery, Window,
    condition::{Condition, ConditionKind, Conditions},
    sums::{Sum, SumsBy, add},
};

/// A maximum on what is charged to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    id: RuleId,
    conditions: Conditions,
    /// In order, each once.
    scope: Box<[ScopeBy]>,
    meter: Meter,
    /// What the journal adds charges up in: for each bound of an asset one, in the same order, else one for all.
    counters: Vec<Counters>,
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
        let filter = conditions.canonical(implied(&meter.hard));
        let counters = measures(&meter.hard).into_iter();
        let counters = counters.map(|measure| Counters::new(&measure, &filter));
        Ok(Self {
            counters: counters.collect(),
            id,
            conditions,
            scope: scope.into_iter().collect(),
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

    /// What it counts separately, in order, each once.
    pub fn scope(&self) -> &[ScopeBy] {
        &self.scope
    }

    /// How much over which window.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What being over the soft maximum asks for.
    pub(crate) fn over_soft(&self) -> Option<&Obligations> {
        self.meter.soft.as_ref().map(|(_, obligations)| obligations)
    }

    /// Tells every key that the transaction charges, with the charge, in order of key. What cannot be valued, or cannot be
    /// told apart as the scope asks, is an unknown charge.
    pub(crate) fn charges<'a>(&self, seen: &[Seen<'a>], mut with: impl FnMut(&Charged<'a>)) {
        let usage = seen.first().map(|effect| effect.view.facts.context.usage);
        let usage = usage.unwrap_or(Usage::unknown());
        for (key, charge) in self.sums(seen).iter() {
            with(&self.charge(key, *charge, usage));
        }
    }

    /// The counters that the transaction may be charged to, whatever its charges turn out to be. What is unknown matches, so
    /// facts that are known later only take some of them away.
    pub(crate) fn queries(&self, seen: &[Seen<'_>], mut with: impl FnMut(UsageQuery)) {
        let window = &self.meter.window;
        if *window == Window::Transaction {
            return;
        }
        for (key, _) in self.sums(seen).iter() {
            let counter = self.counter(*key).into_iter();
            counter.for_each(|counter| {
                with(UsageQuery {
                    counter,
                    window: window.clone(),
                });
            });
        }
    }

    fn sums<'a>(&self, seen: &[Seen<'a>]) -> SumsBy<ChargeKey<'a>> {
        match &self.meter.hard {
            Ceiling::Amounts(bounds) => self.amounts(bounds, seen),
            Ceiling::Money(currency, _) => self.worths(*currency, seen),
            Ceiling::Count(_) => self.transactions(seen),
            Ceiling::NewDestinations(_) => self.new_destinations(seen),
        }
    }

    fn amounts<'a>(&self, bounds: &Bounds, seen: &[Seen<'a>]) -> SumsBy<ChargeKey<'a>> {
        // What has no bound is not charged, whatever the conditions say.
        let bounded = seen.iter().filter(|effect| {
            let registered = effect.view.amount.registered;
            registered.is_none_or(|asset| bounds.bound(asset).is_some())
        });
        let selected = bounded.filter(|effect| self.conditions.matches(&effect.view).is_possible());
        SumsBy::of(selected.filter_map(|effect| {
            let registered = effect.view.amount.registered;
            let (key, is_known) = self.key(effect, registered)?;
            let amount = effect.fact().effect.amount();
            Some((key, amount.filter(|_| is_known && registered.is_some())))
        }))
    }

    /// Each asset is summed before it is valued, so that splitting a payment rounds nothing.
    #[inline(never)]
    fn worths<'a>(&self, currency: Currency, seen: &[Seen<'a>]) -> SumsBy<ChargeKey<'a>> {
        let Some(values) = seen.first().map(|effect| effect.view.facts.values()) else {
            return SumsBy::of([]);
        };
        let sums = SumsBy::of(select(&self.conditions, seen).filter_map(|(effect, _)| {
            let asset = effect.view.amount.registered;
            let by = asset.filter(|_| self.scope.contains(&ScopeBy::Asset));
            let (key, is_known) = self.key(effect, by)?;
            let amount = effect.fact().effect.amount();
            Some(((key, asset), amount.filter(|_| is_known)))
        }));
        let worth = |asset: Option<&AssetId>, sum: Sum| values.worth(asset?, sum?, currency);
        SumsBy::of(sums.into_iter().map(|((key, asset), sum)| (key, worth(asset, sum))))
    }

    #[inline(never)]
    fn transactions<'a>(&self, seen: &[Seen<'a>]) -> SumsBy<ChargeKey<'a>> {
        let by_destination = self.scope.contains(&ScopeBy::Destination);
        let rows = select(&self.conditions, seen).filter_map(|(effect, _)| {
            // Every transaction has a fee: counting it under "no destination" would count all of them as one destination.
            let goes_nowhere = matches!(effect.fact().effect, Effect::Fee { .. });
            if goes_nowhere && by_destination {
                return None;
            }
            let (key, is_known) = self.key(effect, None)?;
            let is_known = is_known && (key.destination.is_some() || !by_destination);
            Some((key, is_known.then_some(Amount::ZERO)))
        });
        // Whatever its effects are, it is one transaction.
        let one = |unknown_or_zero: Sum| add(unknown_or_zero, Some(Amount::from_base_units(1)));
        SumsBy::of(SumsBy::of(rows).into_iter().map(|(key, sum)| (key, one(sum))))
    }

    #[inline(never)]
    fn new_destinations<'a>(&self, seen: &[Seen<'a>]) -> SumsBy<ChargeKey<'a>> {
        let found = select(&self.conditions, seen).filter_map(|(effect, _)| {
            let fact = effect.fact();
            if matches!(fact.effect, Effect::Fee { .. } | Effect::Internal { .. }) {
                return None;
            }
            let (key, is_known) = self.key(effect, None)?;
            let destination = fact.effect.destination();
            let is_new = fact.destination.is_first_seen;
            Some(((key, destination), is_new.filter(|_| is_known && destination.is_some())))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(destination, _)| *destination);
        found.dedup_by(|(destination, is_new), (held, was_new)| {
            let is_same = destination == held;
            if is_same && is_new != was_new {
                // Two facts about one destination that disagree are no fact.
                *was_new = None;
            }
            is_same
        });
        let one = |is_new: Option<bool>| is_new.map(|is_new| u64::from(is_new).into());
        let sums = SumsBy::of(found.into_iter().map(|((key, _), is_new)| (key, one(is_new))));
        sums.without_zeros()
    }

    /// What an effect is counted under, and whether that is known; `None` where the scope asks for a customer and the
    /// effect by its nature has none.
    fn key<'a>(&self, effect: &Seen<'a>, asset: Option<&'a AssetId>) -> Option<(ChargeKey<'a>, bool)> {
        let (facts, fact) = (effect.view.facts, effect.fact());
        let mut key = ChargeKey {
            asset,
            ..ChargeKey::default()
        };
        let mut is_known = true;
        for by in &self.scope {
            match by {
                ScopeBy::Asset => {}
                ScopeBy::Destination => key.destination = fact.effect.destination(),
                ScopeBy::Wallet => key.wallet = Some(facts.actor.wallet),
                ScopeBy::Subject => {
                    if matches!(fact.effect, Effect::Fee { .. } | Effect::Internal { .. }) {
                        return None;
                    }
                    key.subject = fact.subject;
                    is_known &= key.subject.is_some();
                }
                ScopeBy::Initiator => key.initiator = Some(facts.actor.initiator),
                ScopeBy::Network => key.network = Some(facts.network),
                ScopeBy::Tier => {
                    key.tier = facts.actor.tier;
                    is_known &= key.tier.is_some();
                }
                ScopeBy::Tenant => {
                    key.tenant = facts.context.tenant;
                    is_known &= key.tenant.is_some();
                }
            }
        }
        Some((key, is_known))
    }

    /// What the journal adds a key's charges up in. An amount of no asset is unknown, has no counter and never reaches the
    /// journal.
    fn counter(&self, key: ChargeKey<'_>) -> Option<CounterId> {
        let (at, is_amount) = match &self.meter.hard {
            Ceiling::Amounts(bounds) => (bounds.position(key.asset?)?, true),
            Ceiling::Money(..) | Ceiling::Count(_) | Ceiling::NewDestinations(_) => (0, false),
        };
        let counters = self.counters.get(at)?;
        // The measure names the asset of an amount.
        let scope = self.scope.iter().filter(|by| !(is_amount && **by == ScopeBy::Asset));
        Some(counters.id(scope.map(|by| (*by, key.value(*by)))))
    }

    #[inline]
    fn charge<'a>(&self, key: &ChargeKey<'a>, charge: Sum, usage: &Usage) -> Charged<'a> {
        let Meter { window, hard, soft } = &self.meter;
        let (counter, before, after) = match window {
            Window::Transaction => (None, Some(Amount::ZERO), charge),
            Window::Rolling(_) | Window::Calendar { .. } => {
                let counter = charge.and_then(|_| self.counter(*key));
                let standing = counter.and_then(|counter| usage.standing(counter, window));
                let after = standing
                    .zip(charge)
                    .and_then(|(standing, charge)| standing.after(charge));
                (counter, standing.map(|standing| standing.before), after)
            }
        };
        Charged {
            key: *key,
            before,
            charge,
            after,
            hard: hard.bound(key.asset),
            soft: soft.as_ref().and_then(|(ceiling, _)| ceiling.bound(key.asset)),
            counter,
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

/// What charges of a ceiling are added up in: for amounts, in order of their bounds.
fn measures(hard: &Ceiling) -> Vec<Measure> {
    match hard {
        Ceiling::Amounts(bounds) => bounds.iter().map(|(asset, _)| Measure::Amount(asset.clone())).collect(),
        Ceiling::Money(currency, _) => vec![Measure::Money(*currency)],
        Ceiling::Count(_) => vec![Measure::Count],
        Ceiling::NewDestinations(_) => vec![Measure::NewDestinations],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Assets, Effects, LimitKey,
        testing::{World, asset, bounds, destination, fee, internal, opaque, rule, transfer, usd},
    };
    use countersign_types::EffectKind;

    fn limit(conditions: Vec<Condition>, scope: &[ScopeBy]) -> Limit {
        let hard = bounds(&[("eth", 10)]);
        Limit::new(rule("l"), conditions, scope.iter().copied().collect(), hard).unwrap()
    }

    fn each<T>(limit: &Limit, seen: &[Seen<'_>], of: impl Fn(&Charged<'_>) -> T) -> Vec<T> {
        let mut all = Vec::new();
        limit.charges(seen, |charged| all.push(of(charged)));
        all
    }

    fn afters(limit: &Limit, world: &World) -> Vec<(LimitKey, Sum)> {
        let facts = world.facts();
        let seen = Seen::all(&facts);
        each(limit, &seen, |charged| (charged.key.to_limit_key(), charged.after))
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
        let seen = Seen::all(&facts);
        let number = |amount: Amount| amount.to_string().parse().unwrap();
        each(limit, &seen, |charged| {
            (charged.key.to_limit_key(), charged.charge.map(number))
        })
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
            let seen = Seen::all(&facts);
            each(&limit, &seen, |charged| charged.charge)
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
            let seen = Seen::all(&facts);
            each(&limit, &seen, |charged| charged.counter)[0].unwrap()
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

    /// Golden: journals store counters by id. The measure names the asset of an amount, so the scope does not; money has none.
    #[test]
    fn a_counter_is_the_measure_the_conditions_and_the_scope() {
        use ScopeBy::{Asset, Destination, Initiator, Network, Subject, Tenant, Tier, Wallet};
        let world = World::with_subjects(&[(transfer("eth", 2, "a"), "x")]);
        let counter = |scope: &[ScopeBy], hard: Ceiling, world: &World| {
            let (limit, facts) = (windowed(scope, hard), world.facts());
            each(&limit, &Seen::all(&facts), |charged| charged.counter)[0].unwrap()
        };
        let amounts = || Ceiling::Amounts(bounds(&[("eth", 10), ("demo", 10)]));
        let (eth, to) = (asset("eth").to_string(), destination("a").to_string());
        let all = [
            (Destination, to.as_str()),
            (Wallet, "hot"),
            (Subject, "x"),
            (Initiator, "bot"),
            (Network, "eip155:31337"),
            (Tier, "hot"),
            (Tenant, "demo"),
        ];
        let amount = Measure::Amount(asset("eth"));
        let money = Measure::Money(Currency::Usd);
        let table = [
            (counter(&[], amounts(), &world), &amount, &[][..]),
            (counter(&[Asset, Wallet], amounts(), &world), &amount, &all[1..2]),
            (
                counter(&all.map(|(by, _)| by), Ceiling::Count(9), &world),
                &Measure::Count,
                &all[..],
            ),
            (
                counter(&[Asset, Wallet], Ceiling::Money(Currency::Usd, usd(100)), &world),
                &money,
                &[(Asset, eth.as_str()), (Wallet, "hot")],
            ),
            (
                counter(&[Destination], amounts(), &World::with(&[fee(1)])),
                &amount,
                &[(Destination, "none")],
            ),
        ];
        for (found, measure, scope) in table {
            let counters = Counters::new(measure, &[]);
            assert_eq!(
                found,
                counters.id(scope.iter().copied()),
                "{}",
                counters.text(scope.iter().copied())
            );
        }
    }

    #[test]
    fn a_new_destination_of_an_unknown_customer_is_an_unknown_charge() {
        let limit = windowed(&[ScopeBy::Subject], Ceiling::NewDestinations(9));
        let world = World::with(&[transfer("eth", 2, "a")]);
        let mut facts = world.facts();
        facts.effects[0].destination.is_first_seen = Some(true);
        let seen = Seen::all(&facts);
        assert_eq!(each(&limit, &seen, |charged| charged.charge), [None]);
    }
}
