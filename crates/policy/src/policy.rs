//! A policy that holds together: the only kind that [`crate::evaluate`] takes.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::RuleId;

use crate::{
    Breaker, Conditions, Facts, Forbid, Limit, Obligations, Permit, PolicyError, Require, RuleKind, UsageQuery, Wants,
    rule::{Ladder, Seen},
};

/// The most rules of a policy: a person must be able to read it, and evaluation is rules times effects.
pub const MAX_RULES: usize = 512;
/// The most distinct windows of a policy, `transaction` aside: a journal looks up every window of two policies, that of first
/// sight and that in force, for every decision.
pub const MAX_WINDOWS: usize = 32;

/// A rule that asks for something.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'p> {
    /// A require or a limit.
    pub kind: RuleKind,
    /// The id.
    pub id: &'p RuleId,
    /// When it does.
    pub conditions: &'p Conditions,
    /// For what.
    pub obligations: &'p Obligations,
}

/// The rules of a policy, in whatever order they were written.
#[derive(Debug, Clone, Default)]
pub struct PolicyParts {
    /// What is covered.
    pub permits: Vec<Permit>,
    /// What it takes.
    pub requires: Vec<Require>,
    /// How much at most.
    pub limits: Vec<Limit>,
    /// What never.
    pub forbids: Vec<Forbid>,
}

/// Rules by id: their order in the file is gone, so it cannot matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    permits: Rules<Permit>,
    requires: Rules<Require>,
    limits: Rules<Limit>,
    forbids: Rules<Forbid>,
    breakers: Rules<Breaker>,
    /// Follows from the rules.
    wants: Wants,
    /// Follows from the requires: each of them once.
    ladders: Vec<Ladder>,
}

/// The rules of one kind: in order of id, each id once. Rows, because every decision goes through all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules<R>(Vec<(RuleId, R)>);

impl<R> Rules<R> {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &RuleId> {
        self.0.iter().map(|(id, _)| id)
    }

    pub(crate) fn get(&self, id: &RuleId) -> Option<&R> {
        let at = self.0.binary_search_by(|(held, _)| held.cmp(id)).ok()?;
        self.0.get(at).map(|(_, rule)| rule)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn values(&self) -> impl Iterator<Item = &R> {
        self.0.iter().map(|(_, rule)| rule)
    }
}

/// No rules.
impl<R> Default for Rules<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Everything that a policy is made of.
pub(crate) struct Kinds<'a> {
    pub(crate) permits: &'a Rules<Permit>,
    pub(crate) requires: &'a Rules<Require>,
    pub(crate) limits: &'a Rules<Limit>,
    pub(crate) forbids: &'a Rules<Forbid>,
    pub(crate) breakers: &'a Rules<Breaker>,
}

impl Policy {
    /// Checks that ids are unique among rules of all kinds, and that there are not too many.
    pub fn new(parts: PolicyParts) -> Result<Self, PolicyError> {
        let counts = [
            parts.permits.len(),
            parts.requires.len(),
            parts.limits.len(),
            parts.forbids.len(),
        ];
        let found = counts.into_iter().fold(0, usize::saturating_add);
        if found > MAX_RULES {
            return Err(PolicyError::TooManyRules { found });
        }
        let mut ids = BTreeSet::new();
        let mut policy = Self {
            permits: by_id(parts.permits, Permit::id, &mut ids)?,
            requires: by_id(parts.requires, Require::id, &mut ids)?,
            limits: by_id(parts.limits, Limit::id, &mut ids)?,
            forbids: by_id(parts.forbids, Forbid::id, &mut ids)?,
            breakers: Rules::default(),
            wants: Wants::default(),
            ladders: Vec::new(),
        };
        policy.wants = Wants::of(&policy);
        policy.ladders = Ladder::all(policy.requires());
        Ok(policy)
    }

    /// Adds breakers, under the same bounds. They are no part of an evaluation: the signer holds them against its journal.
    pub fn with_breakers(mut self, breakers: Vec<Breaker>) -> Result<Self, PolicyError> {
        let rules = self.permits.keys().chain(self.requires.keys());
        let rules = rules.chain(self.limits.keys()).chain(self.forbids.keys());
        let mut ids: BTreeSet<RuleId> = rules.cloned().collect();
        let found = ids.len().saturating_add(breakers.len());
        if found > MAX_RULES {
            return Err(PolicyError::TooManyRules { found });
        }
        self.breakers = by_id(breakers, Breaker::id, &mut ids)?;
        Ok(self)
    }

    /// The breakers, in order of id.
    pub fn breakers(&self) -> impl Iterator<Item = &Breaker> {
        self.breakers.values()
    }

    /// The permits, in order of id.
    pub fn permits(&self) -> impl Iterator<Item = &Permit> {
        self.permits.values()
    }

    /// The requires, in order of id.
    pub fn requires(&self) -> impl Iterator<Item = &Require> {
        self.requires.values()
    }

    /// The requires as evaluation asks them.
    pub(crate) fn ladders(&self) -> &[Ladder] {
        &self.ladders
    }

    /// The limits, in order of id.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.limits.values()
    }

    /// The forbids, in order of id.
    pub fn forbids(&self) -> impl Iterator<Item = &Forbid> {
        self.forbids.values()
    }

    /// Every rule that asks for something: the requires, and the limits that do so above their soft maximum.
    pub fn asking(&self) -> impl Iterator<Item = Asking<'_>> {
        let requires = self.requires().map(|require| Asking {
            kind: RuleKind::Require,
            id: require.id(),
            conditions: require.conditions(),
            obligations: require.obligations(),
        });
        let limits = self.limits().filter_map(|limit| {
            Some(Asking {
                kind: RuleKind::Limit,
                id: limit.id(),
                conditions: limit.conditions(),
                obligations: limit.over_soft()?,
            })
        });
        requires.chain(limits)
    }

    /// Everything that it is made of, so that a comparison leaves nothing out.
    pub(crate) fn kinds(&self) -> Kinds<'_> {
        // Whole, without `..`: what is added to policies must be added to comparisons.
        let Self {
            permits,
            requires,
            limits,
            forbids,
            breakers,
            // Follow from the others.
            wants: _,
            ladders: _,
        } = self;
        Kinds {
            permits,
            requires,
            limits,
            forbids,
            breakers,
        }
    }
}

impl Policy {
    /// What its rules may look at.
    pub fn wants(&self) -> &Wants {
        &self.wants
    }

    /// What an evaluation of these facts, or of facts that know more, needs to know of counters.
    pub fn usage_queries(&self, facts: &Facts<'_>) -> BTreeSet<UsageQuery> {
        let seen = Seen::all(facts);
        // Into the set at once: what is collected on the way grows and shrinks, and an allocator with a large heap is slow at it.
        let mut queries = BTreeSet::new();
        for limit in self.limits() {
            limit.queries(&seen, |query| {
                queries.insert(query);
            });
        }
        queries
    }
}

fn by_id<R>(rules: Vec<R>, id: impl Fn(&R) -> &RuleId, ids: &mut BTreeSet<RuleId>) -> Result<Rules<R>, PolicyError> {
    let mut by_id = BTreeMap::new();
    for rule in rules {
        let id = id(&rule).clone();
        if !ids.insert(id.clone()) {
            return Err(PolicyError::DuplicateRule { rule: id });
        }
        by_id.insert(id, rule);
    }
    Ok(Rules(by_id.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AmountMax, AmountOver, Ceiling, Condition, ConditionKind, Effects, FeeMax, Meter, RuleKind, ScopeBy, To,
        TotalMax, TotalOver, Wallets,
        testing::{bounds, obligations, one_of, rule},
    };
    use crate::{Frozen, Trip};
    use countersign_types::EffectKind;

    fn effects() -> Condition {
        Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()))
    }

    fn with(kind: RuleKind, conditions: Vec<Condition>) -> Result<(), PolicyError> {
        match kind {
            RuleKind::Permit => Permit::new(rule("r"), conditions).map(drop),
            RuleKind::Require => Require::new(rule("r"), conditions, obligations(&[("treasury", 1)], 0)).map(drop),
            RuleKind::Limit => {
                Limit::new(rule("r"), conditions, [ScopeBy::Asset].into(), bounds(&[("eth", 1)])).map(drop)
            }
            RuleKind::Forbid => Forbid::new(rule("r"), conditions).map(drop),
            RuleKind::Breaker => panic!("a breaker has no conditions"),
        }
    }

    #[test]
    fn what_asks_is_the_requires_and_the_limits_with_a_soft_maximum() {
        let asked = obligations(&[("treasury", 2)], 0);
        let limit = |id: &str, soft: Option<(Ceiling, Obligations)>| {
            let meter = Meter {
                window: "24h".parse().unwrap(),
                hard: Ceiling::Count(9),
                soft,
            };
            Limit::new(rule(id), vec![effects()], [ScopeBy::Wallet].into(), meter).unwrap()
        };
        let policy = Policy::new(PolicyParts {
            permits: vec![Permit::new(rule("p"), vec![effects()]).unwrap()],
            requires: vec![Require::new(rule("r"), vec![effects()], obligations(&[("risk", 1)], 60)).unwrap()],
            limits: vec![
                limit("hard", None),
                limit("soft", Some((Ceiling::Count(5), asked.clone()))),
            ],
            ..PolicyParts::default()
        });
        let policy = policy.unwrap();
        let asking: Vec<_> = policy.asking().map(|one| (one.kind, one.id, one.obligations)).collect();
        assert_eq!(
            asking,
            [
                (RuleKind::Require, &rule("r"), &obligations(&[("risk", 1)], 60)),
                (RuleKind::Limit, &rule("soft"), &asked),
            ]
        );
    }

    #[test]
    fn ids_are_unique_among_rules_of_all_kinds() {
        let permit = Permit::new(rule("same"), vec![effects()]).unwrap();
        let forbid = Forbid::new(rule("same"), vec![effects()]).unwrap();
        let parts = PolicyParts {
            permits: vec![permit.clone()],
            forbids: vec![forbid],
            ..PolicyParts::default()
        };
        assert_eq!(
            Policy::new(parts),
            Err(PolicyError::DuplicateRule { rule: rule("same") })
        );
        let parts = PolicyParts {
            permits: vec![permit.clone(), permit],
            ..PolicyParts::default()
        };
        assert_eq!(
            Policy::new(parts),
            Err(PolicyError::DuplicateRule { rule: rule("same") })
        );
    }

    #[test]
    fn the_number_of_rules_is_bounded() {
        let permits = |n: usize| {
            let permits = (0..n)
                .map(|i| Permit::new(rule(&format!("p{i}")), vec![effects()]).unwrap())
                .collect();
            Policy::new(PolicyParts {
                permits,
                ..PolicyParts::default()
            })
        };
        assert!(permits(MAX_RULES).is_ok());
        let found = MAX_RULES + 1;
        assert_eq!(permits(found), Err(PolicyError::TooManyRules { found }));
    }

    #[test]
    fn an_empty_or_repeated_condition_is_refused_in_every_kind() {
        let empty = Condition::Wallets(Wallets(one_of(&[])));
        let nobody = Condition::To(To::Own(one_of(&[])));
        for kind in [RuleKind::Permit, RuleKind::Require, RuleKind::Limit, RuleKind::Forbid] {
            for (empty, condition) in [
                (empty.clone(), ConditionKind::Wallets),
                (nobody.clone(), ConditionKind::To),
            ] {
                let error = PolicyError::EmptyCondition {
                    rule: rule("r"),
                    condition,
                };
                assert_eq!(with(kind, vec![effects(), empty]), Err(error));
            }
            let error = PolicyError::RepeatedCondition {
                rule: rule("r"),
                condition: ConditionKind::Effects,
            };
            assert_eq!(with(kind, vec![effects(), effects()]), Err(error));
        }
    }

    #[test]
    fn a_comparison_stands_only_where_it_keeps_the_direction() {
        let eth = || bounds(&[("eth", 1)]);
        let conditions = [
            (Condition::AmountMax(AmountMax(eth())), [true, false, false, false]),
            (Condition::FeeMax(FeeMax(eth())), [true, false, false, false]),
            (Condition::TotalMax(TotalMax(eth())), [true, false, false, false]),
            (Condition::AmountOver(AmountOver(eth())), [false, true, false, true]),
            (Condition::TotalOver(TotalOver(eth())), [false, true, false, true]),
        ];
        for (condition, allowed) in conditions {
            let kinds = [RuleKind::Permit, RuleKind::Require, RuleKind::Limit, RuleKind::Forbid];
            for (kind, allowed) in kinds.into_iter().zip(allowed) {
                let made = with(kind, vec![effects(), condition.clone()]);
                let misplaced = PolicyError::MisplacedCondition {
                    rule: rule("r"),
                    kind,
                    condition: condition.kind(),
                };
                assert_eq!(made, if allowed { Ok(()) } else { Err(misplaced) });
            }
        }
    }

    #[test]
    fn a_maximum_of_zero_is_refused_and_over_zero_is_not() {
        let zero = || bounds(&[("eth", 1), ("demo", 0)]);
        let max = Condition::AmountMax(AmountMax(zero()));
        let error = PolicyError::ZeroBound {
            rule: rule("r"),
            condition: ConditionKind::AmountMax,
        };
        assert_eq!(with(RuleKind::Permit, vec![effects(), max]), Err(error));
        let over = Condition::AmountOver(AmountOver(zero()));
        assert_eq!(with(RuleKind::Require, vec![over]), Ok(()));
    }

    #[test]
    fn breakers_count_among_the_rules_and_share_their_ids() {
        let breaker = |id: &str| Breaker::new(rule(id), Trip::RejectionsOnLineage(2), [Frozen::All].into()).unwrap();
        let with = |permits: usize, breakers: &[&str]| {
            let permit = |i: usize| Permit::new(rule(&format!("p{i}")), vec![effects()]).unwrap();
            let parts = PolicyParts {
                permits: (0..permits).map(permit).collect(),
                ..PolicyParts::default()
            };
            let breakers = breakers.iter().map(|id| breaker(id)).collect();
            Policy::new(parts).unwrap().with_breakers(breakers)
        };
        let policy = with(1, &["b", "a"]).unwrap();
        assert_eq!(policy.breakers().collect::<Vec<_>>(), [&breaker("a"), &breaker("b")]);
        assert_eq!(policy.permits().count(), 1);
        assert!(with(MAX_RULES - 2, &["a", "b"]).is_ok());
        let found = MAX_RULES + 1;
        assert_eq!(
            with(MAX_RULES - 1, &["a", "b"]),
            Err(PolicyError::TooManyRules { found })
        );
        for (permits, breakers, twice) in [(1, &["a", "a"], "a"), (1, &["a", "p0"], "p0")] {
            let error = PolicyError::DuplicateRule { rule: rule(twice) };
            assert_eq!(with(permits, breakers), Err(error));
        }
    }

    #[test]
    fn every_kind_has_the_name_of_its_rules() {
        let names = [
            RuleKind::Permit,
            RuleKind::Require,
            RuleKind::Limit,
            RuleKind::Forbid,
            RuleKind::Breaker,
        ]
        .map(|kind| (kind.as_str(), kind.to_string()));
        let expected = ["permit", "require", "limit", "forbid", "breaker"].map(|name| (name, name.to_owned()));
        assert_eq!(names, expected);
    }
}
