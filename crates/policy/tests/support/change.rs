//! What is called a tightening never allows what was denied, and never asks for less.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{
    change::{Direction, Ruleset, compare},
    *,
};
use countersign_types::*;
use proptest::{collection::vec, prelude::*};

use super::{World, forbid, limit, lower, parts, permit, require, world};

/// One step of somebody who edits a bundle.
#[derive(Debug, Clone)]
enum Step {
    DropPermit(usize),
    AddPermit(Permit),
    AddRequire(Require),
    AddForbid(Forbid),
    AddLimit(Limit),
    DropRequire,
    LowerLimit,
    RaiseSeats,
    RemoveEntry(usize, usize),
    AddEntry(usize),
    DropList(usize),
    Everything(PolicyParts),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..3).prop_map(Step::DropPermit),
        1 => permit("new".into()).prop_map(Step::AddPermit),
        2 => require("new".into()).prop_map(Step::AddRequire),
        2 => forbid("new".into()).prop_map(Step::AddForbid),
        2 => limit("new".into()).prop_map(Step::AddLimit),
        1 => Just(Step::DropRequire),
        3 => Just(Step::LowerLimit),
        3 => Just(Step::RaiseSeats),
        4 => (0_usize..2, 0_usize..2).prop_map(|(list, entry)| Step::RemoveEntry(list, entry)),
        1 => (0_usize..2).prop_map(Step::DropList),
        1 => (0_usize..2).prop_map(Step::AddEntry),
        1 => parts().prop_map(Step::Everything),
    ]
}

type Lists = BTreeMap<ListId, BTreeSet<Destination>>;

fn lists_of(world: &World) -> Lists {
    let lists = world.lists.iter();
    lists.map(|(id, list)| (id.clone(), list.iter().collect())).collect()
}

fn apply(step: Step, parts: &mut PolicyParts, lists: &mut Lists) {
    let nth = |lists: &Lists, list: usize| lists.keys().nth(list).cloned();
    match step {
        Step::DropPermit(n) if n < parts.permits.len() => drop(parts.permits.remove(n)),
        Step::DropPermit(_) => {}
        Step::AddPermit(permit) => parts.permits.push(permit),
        Step::AddRequire(require) => parts.requires.push(require),
        Step::AddForbid(forbid) => parts.forbids.push(forbid),
        Step::AddLimit(limit) => parts.limits.push(limit),
        Step::DropRequire => drop(parts.requires.pop()),
        Step::LowerLimit => {
            for limit in &mut parts.limits {
                let meter = limit.meter();
                let lowered = Meter {
                    window: meter.window.clone(),
                    hard: lower(&meter.hard),
                    soft: meter.soft.as_ref().map(|(soft, asked)| (lower(soft), asked.clone())),
                };
                let conditions = limit.conditions().iter().cloned().collect();
                if let Ok(lowered) = Limit::new(
                    limit.id().clone(),
                    conditions,
                    limit.scope().iter().copied().collect(),
                    lowered,
                ) {
                    *limit = lowered;
                }
            }
        }
        Step::RaiseSeats => {
            for require in &mut parts.requires {
                let mut asked = require.obligations().clone();
                let more = [("risk".parse().unwrap(), Seats::new(3).unwrap())].into();
                asked.join(&Obligations::new(more, Duration::from_secs(1)));
                let conditions = require.conditions().iter().cloned().collect();
                *require = Require::new(require.id().clone(), conditions, asked).unwrap();
            }
        }
        Step::RemoveEntry(list, entry) => {
            let set = nth(lists, list).and_then(|id| lists.get_mut(&id));
            set.and_then(|set| set.iter().nth(entry).cloned().map(|gone| set.remove(&gone)));
        }
        Step::AddEntry(list) => {
            let set = nth(lists, list).and_then(|id| lists.get_mut(&id));
            set.map(|set| set.insert("eip155:1:d".parse().unwrap()));
        }
        Step::DropList(list) => drop(nth(lists, list).map(|id| lists.remove(&id))),
        Step::Everything(other) => *parts = other,
    }
}

fn decide(policy: &Policy, world: &World) -> Option<Obligations> {
    let usage = world.usage(policy);
    let mut facts = world.facts();
    facts.context.usage = &usage;
    match evaluate(policy, &facts).outcome {
        Outcome::Deny => None,
        Outcome::Allow(obligations) => Some(obligations),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tightening_is_never_looser(
        parts in parts(), steps in vec(step(), 1..=3), worlds in vec(world(), 1..=6), elsewhere in vec((any::<bool>(), 0_u32..=4), 4),
    ) {
        let (mut changed, mut lists) = (parts.clone(), lists_of(&worlds[0]));
        steps.into_iter().for_each(|step| apply(step, &mut changed, &mut lists));
        let old = Policy::new(parts).unwrap();
        let Ok(new) = Policy::new(changed) else {
            return Ok(()); // Two rules of one id are no policy.
        };
        let lists = DestinationLists::new(lists);
        let findings = compare(
            Ruleset { policy: &old, lists: &worlds[0].lists },
            Ruleset { policy: &new, lists: &lists },
        );
        if findings.iter().any(|finding| finding.direction() == Direction::Loosens) {
            return Ok(());
        }
        for world in worlds {
            let before = decide(&old, &world);
            let mut after_world = world.clone();
            // What has another entry is as old as before, because the journal notes what is gone, unless the list itself
            // is; what has none has no age.
            for ((at, known), (in_book, age)) in after_world.known.iter_mut().zip(&elsewhere) {
                let is_unnoted = world.lists.iter().any(|(id, list)| list.contains(at) && lists.list(id).is_none());
                if world.lists.is_listed(at) && !lists.is_listed(at) && !in_book {
                    known.entry_age = None;
                } else if is_unnoted {
                    known.entry_age = Some(Duration::from_secs(*age));
                }
            }
            after_world.lists = lists.clone();
            let after = decide(&new, &after_world);
            let is_no_looser = match (&before, &after) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(before), Some(after)) => after.covers(before),
            };
            prop_assert!(is_no_looser, "{:?}\nbefore {:?}\nafter {:?}", findings, before, after);
        }
    }
}
