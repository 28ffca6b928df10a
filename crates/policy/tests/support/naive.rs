//! A second evaluator, written from POLICY.md and `docs/policy.md` and from nothing else: it recomputes everything for
//! every question, knows no traces, and must agree with the real one.

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
    if policy.limits().any(|limit| may_exceed(limit, &seen, world)) {
        return None;
    }
    let mut joined = Obligations::default();
    for require in policy
        .requires()
        .filter(|require| may_match(require.conditions(), &seen, world))
    {
        joined.join(require.obligations());
    }
    Some(joined)
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
        let asset = item.0.asset().unwrap_or(&"eip155:9/slip44:9".parse().unwrap()).clone();
        total(&group, &asset, world).is_some_and(|sum| bounds.bound(&asset).is_some_and(|bound| sum <= bound))
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
    })
}

fn may_exceed(limit: &Limit, seen: &[&Item], world: &World) -> bool {
    let group = selected(limit.conditions(), seen, world);
    group.iter().any(|(effect, _)| {
        if !is_valued(effect, world) {
            return true;
        }
        let asset = effect.asset().unwrap();
        let Some(hard) = limit.hard().bound(asset) else {
            return false;
        };
        let by_destination = limit.scope().contains(&ScopeBy::Destination);
        let same: Vec<&Item> = group
            .iter()
            .copied()
            .filter(|(other, _)| !by_destination || other.destination() == effect.destination())
            .filter(|(other, _)| other.asset() == Some(asset))
            .collect();
        total(&same, asset, world).is_none_or(|sum| sum > hard)
    })
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
        Condition::FeeMax(_) if !is_fee => Some(false),
        Condition::FeeMax(FeeMax(bounds)) | Condition::AmountMax(AmountMax(bounds)) => {
            compare(bounds, item, seen, world, |amount, bound| amount <= bound)
        }
        Condition::AmountOver(AmountOver(bounds)) => compare(bounds, item, seen, world, |amount, bound| amount > bound),
        Condition::TotalMax(_) | Condition::TotalOver(_) => Some(true),
    }
}

fn goes_to(to: &To, effect: &Effect, world: &World) -> Maybe {
    let destination = effect.destination()?;
    let own = if let Effect::Internal { wallet, .. } = effect {
        Some(wallet)
    } else {
        None
    };
    match to {
        To::List(id) => world.lists.list(id).map(|list| list.contains(destination)),
        To::Own(wallets) => Some(own.is_some_and(|own| wallets.contains(own))),
        To::Unlisted => Some(
            own.is_none()
                && !world
                    .lists
                    .ids()
                    .any(|id| world.lists.list(id).unwrap().contains(destination)),
        ),
    }
}

fn compare(bounds: &Bounds, item: &Item, seen: &[&Item], world: &World, holds: fn(Amount, Amount) -> bool) -> Maybe {
    if !is_valued(&item.0, world) {
        return None;
    }
    match bounds.bound(item.0.asset()?) {
        Some(bound) => Some(holds(compared_amount(item, seen)?, bound)),
        None => Some(false),
    }
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
