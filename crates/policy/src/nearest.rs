//! Which permits come near to covering an effect, and what keeps each from it: for people who read a denial. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::RuleId;

use crate::{ConditionKind, Facts, Permit, Policy, Truth, rule::Seen};

/// The most permits that one effect is told of: the nearest ones.
const MAX_TOLD: usize = 2;

/// A permit for effects of the kind that does not cover one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The permit.
    pub permit: RuleId,
    /// What it asks and does not find, in the order of the rule: [`Truth::Unknown`] where a fact is missing.
    pub unmet: Vec<(ConditionKind, Truth)>,
}

/// The permits that lack least of covering each of these effects, by their places in the transaction; none where no permit is for its kind.
pub fn nearest(policy: &Policy, facts: &Facts<'_>, uncovered: &BTreeSet<u32>) -> BTreeMap<u32, Vec<Near>> {
    if uncovered.is_empty() {
        return BTreeMap::new();
    }
    let seen = Seen::all(facts);
    let asked = seen.iter().filter(|effect| uncovered.contains(&effect.index));
    asked
        .map(|effect| (effect.index, nearest_to(policy, effect, &seen)))
        .collect()
}

fn nearest_to(policy: &Policy, effect: &Seen<'_>, seen: &[Seen<'_>]) -> Vec<Near> {
    let mut near: Vec<Near> = policy
        .permits()
        .filter_map(|permit| lacking(permit, effect, seen))
        .collect();
    let least = near.iter().map(|near| near.unmet.len()).min();
    near.retain(|near| Some(near.unmet.len()) == least);
    near.truncate(MAX_TOLD);
    near
}

fn lacking(permit: &Permit, effect: &Seen<'_>, seen: &[Seen<'_>]) -> Option<Near> {
    let answers = permit
        .conditions()
        .iter()
        .map(|condition| (condition.kind(), condition.matches(&effect.view)));
    let mut unmet: Vec<(ConditionKind, Truth)> = answers.filter(|(_, truth)| !truth.is_certain()).collect();
    if unmet.iter().any(|(kind, _)| *kind == ConditionKind::Effects) {
        return None;
    }
    // A sum is compared behind the others, which say what is added up.
    if unmet.is_empty() && !permit.coverage(seen).has(effect) {
        unmet.push((ConditionKind::TotalMax, Truth::False));
    }
    let permit = permit.id().clone();
    (!unmet.is_empty()).then_some(Near { permit, unmet })
}

#[cfg(test)]
mod tests {
    use countersign_types::{EffectKind, ListId};

    use super::*;
    use crate::{
        Assets, Condition, Effects, PolicyParts, To, TotalMax,
        testing::{World, asset, bounds, fee, rule, transfer},
    };

    fn permit(id: &str, conditions: Vec<Condition>) -> Permit {
        let kind = Condition::Effects(Effects(std::iter::once(EffectKind::Transfer).collect()));
        Permit::new(rule(id), [vec![kind], conditions].concat()).unwrap()
    }

    fn policy(permits: Vec<Permit>) -> Policy {
        let parts = PolicyParts {
            permits,
            ..PolicyParts::default()
        };
        Policy::new(parts).unwrap()
    }

    fn told(policy: &Policy, world: &World, effect: u32) -> Vec<(String, Vec<(ConditionKind, Truth)>)> {
        let near = nearest(policy, &world.facts(), &BTreeSet::from([effect]));
        let near = near.into_values().flatten();
        near.map(|near| (near.permit.to_string(), near.unmet)).collect()
    }

    #[test]
    fn the_permits_that_lack_least_are_named_with_what_they_lack() {
        let list = |id: &str| Condition::To(To::List(ListId::parse(id).unwrap()));
        let demo = || Condition::Assets(Assets(std::iter::once(asset("demo")).collect()));
        let policy = policy(vec![
            permit("far", vec![demo(), list("nobody")]),
            permit("near", vec![list("nobody")]),
        ]);
        let world = World::with(&[transfer("eth", 1, "a"), fee(1)]);
        // A list that nobody has says nothing: that is not the same as a no.
        assert_eq!(
            told(&policy, &world, 0),
            [("near".to_owned(), vec![(ConditionKind::To, Truth::Unknown)])]
        );
        assert_eq!(told(&policy, &world, 1), [], "no permit is for fees");
        assert_eq!(told(&policy, &world, 7), [], "there is no such effect");
    }

    #[test]
    fn a_sum_over_its_bound_is_told_where_all_else_is_met() {
        let max = Condition::TotalMax(TotalMax(bounds(&[("eth", 10)])));
        let policy = policy(vec![permit("p", vec![max])]);
        let over = World::with(&[transfer("eth", 11, "a")]);
        assert_eq!(
            told(&policy, &over, 0),
            [("p".to_owned(), vec![(ConditionKind::TotalMax, Truth::False)])]
        );
        let within = World::with(&[transfer("eth", 10, "a")]);
        assert_eq!(told(&policy, &within, 0), [], "what is covered lacks nothing");
    }
}
