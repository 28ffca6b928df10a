//! A second evaluator, written from POLICY.md and `docs/policy.md` and from nothing else: it recomputes everything for
//! every question, knows no traces, and must agree with the real one.

use std::collections::BTreeMap;

use countersign_policy::*;
use countersign_types::*;

use super::World;

/// `None` is unknown.
type Maybe = Option<bool>;

fn both(a: Maybe, b: Maybe) -> Maybe {
    if a == Some(false) || b == Some(false) {
        return Some(false);
    }
    Some(a? && b?)
}

type Item = (Effect, Option<SubjectId>);

/// The obligations, or `None` for a denial.
pub(crate) fn evaluate(policy: &Policy, world: &World) -> Option<Obligations> {
    let seen: Vec<&Item> = world
        .effects
        .iter()
        .filter(|(effect, _)| !effect.is_own_change())
        .collect();
    if seen.is_empty() {
        return None;
    }
    let covered = |item: &Item| policy.permits().any(|permit| permits(permit, item, &seen, world));
    if !seen.iter().all(|item| covered(item)) {
        return None;
    }
    if policy
        .forbids()
        .any(|forbid| may_match(forbid.conditions(), &seen, world))
    {
        return None;
    }
    let levels: Vec<Level> = policy.limits().map(|limit| level(limit, &seen, world)).collect();
    if levels.contains(&Level::OverHard) {
        return None;
    }
    let mut asked: Vec<&Obligations> = Vec::new();
    for (limit, _) in policy
        .limits()
        .zip(&levels)
        .filter(|(_, level)| **level == Level::OverSoft)
    {
        asked.push(&limit.meter().soft.as_ref().unwrap().1);
    }
    for require in policy
        .requires()
        .filter(|require| may_match(require.conditions(), &seen, world))
    {
        asked.push(require.obligations());
    }
    Some(largest(&asked))
}

/// The requires that match, in order of id.
pub(crate) fn required(policy: &Policy, world: &World) -> Vec<RuleId> {
    let seen: Vec<&Item> = world
        .effects
        .iter()
        .filter(|(effect, _)| !effect.is_own_change())
        .collect();
    let requires = policy.requires();
    let matching = requires.filter(|require| may_match(require.conditions(), &seen, world));
    matching.map(|require| require.id().clone()).collect()
}

/// Per group the most seats, the longest time-lock, every attestation at its shortest age.
fn largest(asked: &[&Obligations]) -> Obligations {
    let mut seats: BTreeMap<GroupId, Seats> = BTreeMap::new();
    let mut time_lock = Duration::ZERO;
    let mut ages: BTreeMap<(AttestationKind, PrincipalId), Duration> = BTreeMap::new();
    for obligations in asked {
        for (group, count) in obligations.approvals() {
            if seats.get(group).is_none_or(|held| held.count() < count.count()) {
                seats.insert(group.clone(), count);
            }
        }
        if obligations.time_lock() > time_lock {
            time_lock = obligations.time_lock();
        }
        for (kind, by, age) in obligations.attestations() {
            let key = (kind, by.clone());
            if ages.get(&key).is_none_or(|held| *held > age) {
                ages.insert(key, age);
            }
        }
    }
    let mut whole = Obligations::new(seats, time_lock);
    for ((kind, by), age) in ages {
        whole = whole.with_attestation(kind, by, age);
    }
    whole
}

fn permits(permit: &Permit, item: &Item, seen: &[&Item], world: &World) -> bool {
    if holds(permit.conditions(), item, seen, world) != Some(true) {
        return false;
    }
    permit.conditions().iter().all(|condition| {
        let Condition::TotalMax(TotalMax(bounds)) = condition else {
            return true;
        };
        let group = selected(permit.conditions(), seen, world);
        let Some(asset) = item.0.asset() else { return false };
        let own = bounds.bound(asset);
        let is_bounded = own.is_some() || bounds.money().next().is_some();
        let is_valued = group.iter().all(|(effect, _)| is_valued(effect, world));
        is_bounded
            && is_valued
            && own.is_none_or(|bound| total(&group, asset, world).is_some_and(|sum| sum <= bound))
            && bounds.money().all(|(currency, bound)| {
                let worths: Option<Vec<Amount>> = worths(&group, currency, world).into_iter().collect();
                worths.and_then(sum_of).is_some_and(|sum| sum <= bound)
            })
    })
}

fn may_match(conditions: &Conditions, seen: &[&Item], world: &World) -> bool {
    let group = selected(conditions, seen, world);
    if group.is_empty() {
        return false;
    }
    conditions.iter().all(|condition| {
        let Condition::TotalOver(TotalOver(bounds)) = condition else {
            return true;
        };
        let mut assets = group.iter().filter_map(|(effect, _)| effect.asset());
        let is_unvalued = group.iter().any(|(effect, _)| !is_valued(effect, world));
        is_unvalued
            || assets.any(|asset| {
                bounds
                    .bound(asset)
                    .is_some_and(|bound| total(&group, asset, world).is_none_or(|sum| sum > bound))
            })
            || bounds.money().any(|(currency, bound)| {
                let worths: Option<Vec<Amount>> = worths(&group, currency, world).into_iter().collect();
                worths.and_then(sum_of).is_none_or(|sum| sum > bound)
            })
    })
}

/// What one asset of the group after the other is worth; `None` where nobody knows.
fn worths(group: &[&Item], currency: Currency, world: &World) -> Vec<Option<Amount>> {
    let mut assets: Vec<Option<&AssetId>> = group.iter().map(|(effect, _)| effect.asset()).collect();
    assets.sort_unstable();
    assets.dedup();
    let worth = |asset: Option<&AssetId>| {
        let record = world.assets.asset(asset?)?;
        let sum = sum(group.iter().filter(|(effect, _)| effect.asset() == asset))?;
        world.prices.value(record, sum, currency)
    };
    assets.into_iter().map(worth).collect()
}

fn sum_of(amounts: Vec<Amount>) -> Option<Amount> {
    amounts.into_iter().try_fold(Amount::ZERO, Amount::checked_add)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Within,
    OverSoft,
    OverHard,
}

/// The worst that any effect's key does to a limit: everything is computed again for every effect.
fn level(limit: &Limit, seen: &[&Item], world: &World) -> Level {
    let group = selected(limit.conditions(), seen, world);
    let levels = group.iter().map(|item| level_of(limit, item, &group, world));
    levels.max().unwrap_or(Level::Within)
}

fn level_of(limit: &Limit, item: &Item, group: &[&Item], world: &World) -> Level {
    let (effect, subject) = item;
    let by = |scope| limit.scope().contains(&scope);
    let meter = limit.meter();
    let is_fee = effect.kind() == EffectKind::Fee;
    let has_no_subject = is_fee || effect.kind() == EffectKind::Internal;
    let counts = matches!(meter.hard, Ceiling::Count(_) | Ceiling::NewDestinations(_));
    let is_left_out = |other: &Effect| match &meter.hard {
        Ceiling::Amounts(bounds) => is_valued(other, world) && bounds.bound(other.asset().unwrap()).is_none(),
        Ceiling::Money(..) => false,
        Ceiling::Count(_) => other.kind() == EffectKind::Fee && by(ScopeBy::Destination),
        Ceiling::NewDestinations(_) => matches!(other.kind(), EffectKind::Fee | EffectKind::Internal),
    };
    if is_left_out(effect) || by(ScopeBy::Subject) && has_no_subject {
        return Level::Within;
    }
    let is_unknown = by(ScopeBy::Subject) && subject.is_none()
        || by(ScopeBy::Tier) && world.tier.is_none()
        || by(ScopeBy::Tenant) && world.tenant.is_none()
        || counts && by(ScopeBy::Destination) && effect.destination().is_none();
    if is_unknown {
        return Level::OverHard;
    }
    let same: Vec<&Item> = group
        .iter()
        .copied()
        .filter(|(other, _)| !is_left_out(other))
        .filter(|(other, _)| !by(ScopeBy::Destination) || other.destination() == effect.destination())
        .filter(|(other, _)| !by(ScopeBy::Asset) || other.asset() == effect.asset())
        .filter(|(other, whose)| {
            let is_nobodys = matches!(other.kind(), EffectKind::Fee | EffectKind::Internal);
            !by(ScopeBy::Subject) || !is_nobodys && whose == subject
        })
        .collect();
    let one = |bound: u32| Some(Amount::from_base_units(bound.into()));
    let soft = meter.soft.as_ref().map(|(ceiling, _)| ceiling);
    let (charge, hard, soft) = match (&meter.hard, soft) {
        (Ceiling::Amounts(bounds), soft) => {
            if !is_valued(effect, world) {
                return Level::OverHard;
            }
            let asset = effect.asset().unwrap();
            let same: Vec<&Item> = same
                .into_iter()
                .filter(|(other, _)| other.asset() == Some(asset))
                .collect();
            let soft = soft.and_then(|soft| match soft {
                Ceiling::Amounts(bounds) => bounds.bound(asset),
                _ => None,
            });
            (total(&same, asset, world), bounds.bound(asset), soft)
        }
        (Ceiling::Money(currency, bound), soft) => {
            let worths: Option<Vec<Amount>> = worths(&same, *currency, world).into_iter().collect();
            let soft = soft.and_then(|soft| match soft {
                Ceiling::Money(_, bound) => Some(*bound),
                _ => None,
            });
            (worths.and_then(sum_of), Some(*bound), soft)
        }
        (Ceiling::Count(bound), soft) => {
            let soft = soft.and_then(|soft| match soft {
                Ceiling::Count(bound) => one(*bound),
                _ => None,
            });
            (one(1), one(*bound), soft)
        }
        (Ceiling::NewDestinations(bound), soft) => {
            let mut destinations: Vec<Option<&Destination>> =
                same.iter().map(|(other, _)| other.destination()).collect();
            destinations.sort_unstable();
            destinations.dedup();
            let is_new = |at: &Option<&Destination>| world.known.get((*at)?)?.is_first_seen;
            let new: Option<Vec<bool>> = destinations.iter().map(is_new).collect();
            let new = new.map(|new| new.into_iter().filter(|is_new| *is_new).count());
            if new == Some(0) {
                return Level::Within;
            }
            let soft = soft.and_then(|soft| match soft {
                Ceiling::NewDestinations(bound) => one(*bound),
                _ => None,
            });
            (new.map(|new| u64::try_from(new).unwrap().into()), one(*bound), soft)
        }
    };
    let after = charge.and_then(|charge| after(charge, &meter.window, world));
    match after {
        Some(after) if Some(after) <= hard => {
            if soft.is_some_and(|soft| after > soft) {
                Level::OverSoft
            } else {
                Level::Within
            }
        }
        _ => Level::OverHard,
    }
}

/// What a counter stands at with this charge.
fn after(charge: Amount, window: &Window, world: &World) -> Option<Amount> {
    if *window == Window::Transaction {
        return Some(charge);
    }
    let (hour, lineage) = world.held?;
    let held = if window.to_string() == "1h" { hour } else { 2 * hour };
    let more = if charge > lineage.into() {
        charge.checked_sub(lineage.into())?
    } else {
        Amount::ZERO
    };
    let sum = more.checked_add(held.into())?;
    // The window may have let go of what the lineage was charged; the attempt itself is in it.
    if charge > sum { Some(charge) } else { Some(sum) }
}

fn selected<'s>(conditions: &Conditions, seen: &[&'s Item], world: &World) -> Vec<&'s Item> {
    seen.iter()
        .copied()
        .filter(|item| holds(conditions, item, seen, world) != Some(false))
        .collect()
}

fn is_valued(effect: &Effect, world: &World) -> bool {
    effect.asset().is_some_and(|asset| world.assets.asset(asset).is_some())
}

/// The sum of an asset; `None` if anything in the group cannot be valued, or over 256 bits.
fn total(group: &[&Item], asset: &AssetId, world: &World) -> Option<Amount> {
    if group.iter().any(|(effect, _)| !is_valued(effect, world)) {
        return None;
    }
    sum(group.iter().filter(|(effect, _)| effect.asset() == Some(asset)))
}

fn sum<'i>(items: impl Iterator<Item = &'i &'i Item>) -> Option<Amount> {
    items
        .map(|(effect, _)| effect.amount())
        .try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount?))
}

fn holds(conditions: &Conditions, item: &Item, seen: &[&Item], world: &World) -> Maybe {
    // Not `try_fold`: a false behind an unknown still makes the whole false.
    let mut truth = Some(true);
    for condition in conditions.iter() {
        truth = both(truth, holds_one(condition, item, seen, world));
    }
    truth
}

fn holds_one(condition: &Condition, item: &Item, seen: &[&Item], world: &World) -> Maybe {
    let (effect, subject) = item;
    let is_fee = effect.kind() == EffectKind::Fee;
    match condition {
        Condition::Effects(Effects(kinds)) => Some(kinds.contains(&effect.kind())),
        Condition::Initiators(Initiators(ids)) => Some(ids.iter().any(|id| *id == world.initiator)),
        Condition::InitiatorGroups(InitiatorGroups(ids)) => {
            Some(ids.iter().any(|id| world.initiator_groups.contains(id)))
        }
        Condition::Wallets(Wallets(ids)) => Some(ids.iter().any(|id| *id == world.wallet)),
        Condition::Tiers(Tiers(tiers)) => world.tier.map(|tier| tiers.contains(&tier)),
        Condition::Networks(Networks(ids)) => Some(ids.iter().any(|id| *id == world.network)),
        Condition::Assets(Assets(ids)) => effect.asset().map(|asset| ids.contains(asset)),
        Condition::To(_) if is_fee => Some(false),
        Condition::To(to) => goes_to(to, effect, world),
        Condition::Subjects(_) if is_fee || effect.kind() == EffectKind::Internal => Some(false),
        Condition::Subjects(Subjects(ids)) => subject.as_ref().map(|subject| ids.contains(subject)),
        Condition::Selectors(_) | Condition::Words(_) => called(condition, effect),
        Condition::Hours(hours) => in_hours(hours, world),
        Condition::Attributes(Attributes(asked)) => {
            let stated = |name| world.attributes.as_ref().and_then(|all| all.get(name));
            let each = asked.iter();
            each.map(|(name, values)| stated(name).map(|value| values.contains(value)))
                .fold(Some(true), both)
        }
        Condition::FeeMax(_) | Condition::FeeShare(_) | Condition::FeeRate(_) if !is_fee => Some(false),
        Condition::FeeRate(FeeRate(bounds)) => match effect.asset().and_then(|asset| bounds.bound(asset)) {
            None => Some(false),
            Some(rate) => {
                let fee = compared_amount(item, seen)?;
                Some(fee <= rate.checked_mul(world.fee_units?.into())?)
            }
        },
        Condition::FeeShare(share) => {
            let asset = effect.asset()?;
            let transfers = seen.iter().filter(|(other, _)| other.kind() == EffectKind::Transfer);
            let base = sum(transfers.filter(|(other, _)| other.asset() == Some(asset)))?;
            let fee = compared_amount(item, seen)?.checked_mul(10_000_u64.into())?;
            let most = base.checked_mul(u64::from(share.basis_points()).into())?;
            if base.is_zero() { None } else { Some(fee <= most) }
        }
        Condition::FeeMax(FeeMax(bounds)) | Condition::AmountMax(AmountMax(bounds)) => {
            let each = compare(bounds, item, seen, world, |amount, bound| amount <= bound);
            if each.is_empty() {
                return Some(false);
            }
            each.into_iter().fold(Some(true), both)
        }
        Condition::AmountOver(AmountOver(bounds)) => {
            let not_over = compare(bounds, item, seen, world, |amount, bound| amount <= bound);
            not_over
                .into_iter()
                .fold(Some(true), both)
                .map(|none_is_over| !none_is_over)
        }
        Condition::TotalMax(_) | Condition::TotalOver(_) => Some(true),
    }
}

fn goes_to(to: &To, effect: &Effect, world: &World) -> Maybe {
    let destination = effect.destination()?;
    let known = world.known.get(destination);
    let own = if let Effect::Internal { wallet, .. } = effect {
        Some(wallet)
    } else {
        None
    };
    match to {
        To::List(id) => world.lists.list(id).map(|list| list.contains(destination)),
        To::Own(wallets) => Some(own.is_some_and(|own| wallets.contains(own))),
        To::AddressBook(_) | To::FirstSeen | To::EntryUnder(_) | To::EntryOver(_) if own.is_some() => Some(false),
        To::AddressBook(service) => known?.books.as_ref()?.get(service).copied(),
        To::FirstSeen => known?.is_first_seen,
        To::EntryUnder(age) => known?.entry_age.map(|held| held < *age),
        To::EntryOver(age) => known?.entry_age.map(|held| held >= *age),
        To::Unlisted => Some(
            own.is_none()
                && !world
                    .lists
                    .ids()
                    .any(|id| world.lists.list(id).unwrap().contains(destination)),
        ),
    }
}

/// The amount against each bound that there is for it.
fn compare(
    bounds: &Bounds,
    item: &Item,
    seen: &[&Item],
    world: &World,
    holds: fn(Amount, Amount) -> bool,
) -> Vec<Maybe> {
    if !is_valued(&item.0, world) {
        return vec![None];
    }
    let asset = item.0.asset().unwrap();
    let amount = compared_amount(item, seen);
    let own = bounds
        .bound(asset)
        .map(|bound| amount.map(|amount| holds(amount, bound)));
    let record = world.assets.asset(asset).unwrap();
    let money = bounds.money().map(|(currency, bound)| {
        let worth = world.prices.value(record, amount?, currency)?;
        Some(holds(worth, bound))
    });
    own.into_iter().chain(money).collect()
}

/// Which function is called with what; only code and bytes that nobody understands may hide a call.
fn called(condition: &Condition, effect: &Effect) -> Maybe {
    let Effect::ContractCall { selector, args, .. } = effect else {
        return match effect.kind() {
            EffectKind::CodeChange | EffectKind::Opaque => None,
            _ => Some(false),
        };
    };
    match condition {
        Condition::Selectors(Selectors(selectors)) => Some(selectors.contains(selector)),
        Condition::Words(Words(words)) => {
            let mut truth = Some(true);
            for word in words {
                let start = usize::from(word.at) * 32;
                let is_there = args.len() % 32 == 0 && args.len() >= start + 32;
                let value = is_there.then(|| Amount::from_be_bytes(args[start..start + 32].try_into().unwrap()));
                let holds = |value: Amount| match &word.test {
                    WordTest::OneOf(values) => values.contains(&value),
                    WordTest::Max(max) => value <= *max,
                    WordTest::Over(over) => value > *over,
                };
                truth = both(truth, value.map(holds));
            }
            truth
        }
        _ => None,
    }
}

/// The generated hours are halves of days of UTC, and 1970 began on a Thursday.
fn in_hours(hours: &Hours, world: &World) -> Maybe {
    let secs = world.now?.unix_millis() / 1_000;
    let day = Day::ALL[usize::try_from((secs / 86_400 + 3) % 7).unwrap()];
    let (from, to) = hours.span_secs();
    let second = u32::try_from(secs % 86_400).unwrap();
    Some(hours.days().contains(&day) && from <= second && second < to)
}

/// What the transaction moves of the asset to the destination or for the subject, whichever is more.
fn compared_amount(item: &Item, seen: &[&Item]) -> Option<Amount> {
    let (effect, subject) = item;
    let same_asset: Vec<&Item> = seen
        .iter()
        .copied()
        .filter(|(other, _)| other.asset() == effect.asset())
        .collect();
    let own = effect.amount()?;
    let to = match effect.destination() {
        Some(at) => sum(same_asset.iter().filter(|(other, _)| other.destination() == Some(at)))?,
        None => own,
    };
    if effect.kind() != EffectKind::Transfer {
        return Some(to);
    }
    let may_be_theirs = |other: &Option<SubjectId>| subject.is_none() || other.is_none() || other == subject;
    let transfers = same_asset
        .iter()
        .filter(|(other, _)| other.kind() == EffectKind::Transfer);
    Some(to.max(sum(transfers.filter(|(_, other)| may_be_theirs(other)))?))
}
