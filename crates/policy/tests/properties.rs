//! What holds for every policy and every transaction.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod analysis;
mod support;

use countersign_policy::*;
use countersign_types::*;
use proptest::prelude::*;
use support::{World, naive, parts, world};

fn decided(parts: &PolicyParts, world: &World) -> Option<Obligations> {
    match evaluation(parts, world).outcome {
        Outcome::Deny => None,
        Outcome::Allow(obligations) => Some(obligations),
    }
}

/// Asks the journal what the policy wants to know, then decides.
fn evaluation(parts: &PolicyParts, world: &World) -> Evaluation {
    let policy = Policy::new(parts.clone()).unwrap();
    let usage = world.usage(&policy);
    let mut facts = world.facts();
    facts.context.usage = &usage;
    evaluate(&policy, &facts)
}

/// How many random pairs the two evaluators are compared on; `COUNTERSIGN_POLICY_PAIRS=1000000` for the long run.
fn pairs() -> u32 {
    let asked = std::env::var("COUNTERSIGN_POLICY_PAIRS").ok();
    asked.map_or(4_000, |asked| asked.parse().unwrap())
}

/// `after` is at least as strict as `before`: a denial stays a denial, and no obligation is lowered.
fn is_no_looser(before: Option<&Obligations>, after: Option<&Obligations>) -> bool {
    match (before, after) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(after)) => after.covers(before),
    }
}

/// Splits the amount of one effect into two effects that differ in nothing else.
fn split(world: &World, at: usize, first: u64) -> Option<World> {
    let (effect, subject) = world.effects.get(at)?.clone();
    let whole = effect.amount()?;
    let first = Amount::from_base_units(first).min(whole);
    let rest = whole.checked_sub(first)?;
    let part = |amount: Amount| match effect.clone() {
        Effect::Transfer { asset, destination, .. } => Some(Effect::Transfer {
            asset,
            amount,
            destination,
        }),
        Effect::Internal {
            asset,
            wallet,
            destination,
            change,
            ..
        } => Some(Effect::Internal {
            asset,
            amount,
            wallet,
            destination,
            change,
        }),
        Effect::Allowance { asset, spender, .. } => Some(Effect::Allowance { asset, amount, spender }),
        _ => None,
    };
    let mut split = world.clone();
    split.effects[at] = (part(first)?, subject.clone());
    split.effects.push((part(rest)?, subject));
    Some(split)
}

/// One known fact becomes unknown.
fn forget(world: &World, what: usize) -> World {
    let mut world = world.clone();
    match what {
        0 => world.tier = None,
        1 => world.lists = DestinationLists::default(),
        2 => world.now = None,
        3 => world.tenant = None,
        4 => world.prices = Prices::default(),
        5 => world.held = None,
        6 => world.known.values_mut().for_each(|known| known.is_first_seen = None),
        7 => world.known.values_mut().for_each(|known| known.entry_age = None),
        8 => world.known.values_mut().for_each(|known| known.books = None),
        _ => {
            if let Some((_, subject)) = world.effects.get_mut(what - 9) {
                *subject = None;
            }
        }
    }
    world
}

/// Whether a condition looks beyond its own effect: then a whole may meet what no part of it meets.
fn adds_up(condition: &Condition) -> bool {
    let summing = [
        ConditionKind::AmountMax,
        ConditionKind::AmountOver,
        ConditionKind::TotalMax,
        ConditionKind::TotalOver,
        ConditionKind::FeeShare,
    ];
    summing.contains(&condition.kind())
}

/// Without limits, and without conditions that look at sums; a forbid of nothing else falls away.
fn without_sums(parts: &PolicyParts) -> PolicyParts {
    let kept = |conditions: &Conditions| conditions.iter().filter(|c| !adds_up(c)).cloned().collect::<Vec<_>>();
    let permits = parts.permits.iter();
    let requires = parts.requires.iter();
    let forbids = parts.forbids.iter();
    PolicyParts {
        permits: permits
            .map(|rule| Permit::new(rule.id().clone(), kept(rule.conditions())).unwrap())
            .collect(),
        requires: requires
            .map(|rule| Require::new(rule.id().clone(), kept(rule.conditions()), rule.obligations().clone()).unwrap())
            .collect(),
        limits: Vec::new(),
        forbids: forbids
            .filter_map(|rule| Forbid::new(rule.id().clone(), kept(rule.conditions())).ok())
            .collect(),
    }
}

/// A share of what is transferred is the one condition that more effects may help: the fee of a larger payment may be larger.
fn names_share(parts: &PolicyParts) -> bool {
    let mut permits = parts.permits.iter();
    permits.any(|permit| permit.conditions().iter().any(|c| c.kind() == ConditionKind::FeeShare))
}

/// The world with other effects, and the world with both; none where either moves nothing but own change.
fn parts_and_whole(world: &World, other: &World) -> Option<(World, World)> {
    let moves = |world: &World| world.effects.iter().any(|(effect, _)| !effect.is_own_change());
    let (mut part, mut whole) = (world.clone(), world.clone());
    part.effects.clone_from(&other.effects);
    whole.effects.extend(other.effects.iter().cloned());
    (moves(world) && moves(other)).then_some((part, whole))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rules_and_the_moment_never_matter(parts in parts(), world in world()) {
        let mut reversed = parts.clone();
        reversed.permits.reverse();
        reversed.requires.reverse();
        reversed.limits.reverse();
        reversed.forbids.reverse();
        let json = |parts: PolicyParts| {
            serde_json::to_string(&evaluation(&parts, &world)).unwrap()
        };
        prop_assert_eq!(json(parts), json(reversed));
    }

    #[test]
    fn the_order_of_effects_never_matters(parts in parts(), world in world(), by in 0_usize..6) {
        let mut rotated = world.clone();
        let by = by % world.effects.len().max(1);
        rotated.effects.rotate_left(by);
        prop_assert_eq!(decided(&parts, &world), decided(&parts, &rotated));
    }

    #[test]
    fn adding_a_forbid_never_loosens(parts in parts(), world in world(), rule in support::forbid("f9".into())) {
        let mut more = parts.clone();
        more.forbids.push(rule);
        prop_assert!(is_no_looser(decided(&parts, &world).as_ref(), decided(&more, &world).as_ref()));
    }

    #[test]
    fn adding_a_require_never_loosens(parts in parts(), world in world(), rule in support::require("r9".into())) {
        let mut more = parts.clone();
        more.requires.push(rule);
        prop_assert!(is_no_looser(decided(&parts, &world).as_ref(), decided(&more, &world).as_ref()));
    }

    #[test]
    fn adding_a_limit_never_loosens(parts in parts(), world in world(), rule in support::limit("l9".into())) {
        let mut more = parts.clone();
        more.limits.push(rule);
        prop_assert!(is_no_looser(decided(&parts, &world).as_ref(), decided(&more, &world).as_ref()));
    }

    #[test]
    fn lowering_a_limit_never_loosens(
        parts in parts(), world in world(), limit in support::limit("l9".into()), which in 0_usize..3
    ) {
        let mut meter = limit.meter().clone();
        // The soft bound alone, both, or the hard one down to where the soft one was.
        match (which, meter.soft.clone()) {
            (0, Some((soft, asked))) => meter.soft = Some((support::lower(&soft), asked)),
            (1, Some((soft, asked))) => {
                meter.soft = Some((support::lower(&soft), asked));
                meter.hard = soft;
            }
            (_, _) => meter.hard = support::lower(&meter.hard),
        }
        let conditions = limit.conditions().iter().cloned().collect();
        let Ok(lowered) = Limit::new(limit.id().clone(), conditions, limit.scope().iter().copied().collect(), meter) else {
            return Ok(());
        };
        let with = |limit: Limit| {
            let mut parts = parts.clone();
            parts.limits.push(limit);
            decided(&parts, &world)
        };
        prop_assert!(is_no_looser(with(limit).as_ref(), with(lowered).as_ref()));
    }

    #[test]
    fn a_permit_never_lowers_an_obligation(parts in parts(), world in world(), rule in support::permit("p9".into())) {
        let mut more = parts.clone();
        more.permits.push(rule);
        if let Some(before) = decided(&parts, &world) {
            prop_assert_eq!(decided(&more, &world), Some(before), "and never turns an allow into a denial");
        }
    }

    #[test]
    fn forgetting_a_fact_never_loosens(parts in parts(), world in world(), what in 0_usize..15) {
        // A list that is gone makes every destination unlisted, which is a fact of its own; leave that form out.
        let names_unlisted = |conditions: &Conditions| conditions.iter().any(|c| *c == Condition::To(To::Unlisted));
        prop_assume!(what != 1 || !parts.permits.iter().any(|permit| names_unlisted(permit.conditions())));
        let forgetful = forget(&world, what);
        prop_assert!(is_no_looser(decided(&parts, &world).as_ref(), decided(&parts, &forgetful).as_ref()));
    }

    #[test]
    fn splitting_a_payment_changes_nothing(parts in parts(), world in world(), at in 0_usize..6, first in 0_u64..13) {
        if let Some(split) = split(&world, at, first) {
            prop_assert_eq!(decided(&parts, &world), decided(&parts, &split));
        }
    }

    /// Where no rule adds up, effects are judged one by one: the whole asks for what its parts ask for, and no more.
    #[test]
    fn a_union_of_effects_is_decided_as_the_join(parts in parts(), world in world(), other in world()) {
        let parts = without_sums(&parts);
        if let Some((part, whole)) = parts_and_whole(&world, &other) {
            let join = decided(&parts, &world).zip(decided(&parts, &part)).map(|(mut one, other)| {
                one.join(&other);
                one
            });
            prop_assert_eq!(decided(&parts, &whole), join);
        }
    }

    /// Where rules add up, the whole is judged at least as strictly as each of its parts.
    #[test]
    fn more_effects_never_loosen(parts in parts(), world in world(), other in world()) {
        prop_assume!(!names_share(&parts));
        if let Some((part, whole)) = parts_and_whole(&world, &other) {
            let whole = decided(&parts, &whole);
            prop_assert!(is_no_looser(decided(&parts, &world).as_ref(), whole.as_ref()));
            prop_assert!(is_no_looser(decided(&parts, &part).as_ref(), whole.as_ref()));
        }
    }

    #[test]
    fn every_denial_has_a_reason_and_every_allow_none(parts in parts(), world in world()) {
        let evaluation = evaluation(&parts, &world);
        prop_assert_eq!(evaluation.outcome == Outcome::Deny, !evaluation.reasons.is_empty());
        prop_assert_eq!(evaluation.semantics, SEMANTICS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: pairs(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_naive_evaluator_agrees(parts in parts(), world in world()) {
        let policy = Policy::new(parts.clone()).unwrap();
        prop_assert_eq!(decided(&parts, &world), naive::evaluate(&policy, &world));
    }

    #[test]
    fn the_trace_names_every_require_that_matches(parts in parts(), world in world()) {
        let policy = Policy::new(parts.clone()).unwrap();
        let traced = evaluation(&parts, &world);
        let required: Vec<RuleId> = traced.requires.into_iter().map(|require| require.rule).collect();
        prop_assert_eq!(required, naive::required(&policy, &world));
    }

    #[test]
    fn the_outcome_is_the_same_without_a_trace(parts in parts(), world in world()) {
        let policy = Policy::new(parts.clone()).unwrap();
        let usage = world.usage(&policy);
        let mut facts = world.facts();
        facts.context.usage = &usage;
        prop_assert_eq!(decide(&policy, &facts), evaluate(&policy, &facts).outcome);
    }
}

/// The generators are worth something only if every outcome comes up often.
#[test]
fn random_pairs_reach_every_outcome() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut denied, mut free, mut obliged) = (0, 0, 0);
    for _ in 0..2_000 {
        let (parts, world) = (parts(), world()).new_tree(&mut runner).unwrap().current();
        match decided(&parts, &world) {
            None => denied += 1,
            Some(obligations) if obligations.is_empty() => free += 1,
            Some(_) => obliged += 1,
        }
    }
    assert!(
        denied > 200 && free > 100 && obliged > 100,
        "{denied} denied, {free} free, {obliged} obliged"
    );
}
