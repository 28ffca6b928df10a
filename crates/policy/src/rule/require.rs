//! `require`: adds obligations. Obligations of several requires join, they never replace each other.

use countersign_types::{GroupId, RuleId};

use super::{RuleKind, Seen, select};
use crate::{
    Comparison, Obligations, PolicyError,
    condition::{Condition, Conditions, Totals},
};

/// Adds its obligations to every transaction with an effect, or with a sum, for which its conditions may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Require {
    id: RuleId,
    conditions: Conditions,
    obligations: Obligations,
}

impl Require {
    /// A require without conditions concerns every transaction; one without obligations is refused.
    pub fn new(id: RuleId, conditions: Vec<Condition>, obligations: Obligations) -> Result<Self, PolicyError> {
        let conditions = Conditions::new(&id, RuleKind::Require, conditions)?;
        if obligations.is_empty() {
            return Err(PolicyError::EmptyRequire { rule: id });
        }
        Ok(Self {
            id,
            conditions,
            obligations,
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

    /// What it asks for.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// The groups that it asks.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.obligations.approvals().keys()
    }

    pub(crate) fn matched(&self, seen: &[Seen<'_>]) -> Option<Matched> {
        Matched::of(&self.conditions, seen)
    }
}

/// How a forbid or a require came to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matched {
    /// The effects that matched, or that made up the sum that did.
    pub(crate) effects: Vec<u32>,
    /// The numbers that were over their bounds, by effect; empty where no number decided.
    pub(crate) comparisons: Vec<(Option<u32>, Comparison)>,
}

impl Matched {
    pub(crate) fn of(conditions: &Conditions, seen: &[Seen<'_>]) -> Option<Self> {
        let selected: Vec<&Seen<'_>> = select(conditions, seen).map(|(effect, _)| effect).collect();
        let values = selected.first()?.view.facts.values();
        let mut comparisons = Vec::new();
        if let Some(over) = conditions.total_over() {
            let totals = Totals::of(selected.iter().map(|effect| effect.fact()), values);
            if !over.matches(&totals, values).is_possible() {
                return None;
            }
            let overruns = over.overruns(&totals, values).into_iter();
            comparisons.extend(overruns.map(|comparison| (None, comparison)));
        }
        if let Some(over) = conditions.amount_over() {
            comparisons.extend(selected.iter().flat_map(|effect| {
                let compared = over.0.compare(effect.view.registered, effect.view.amount, values);
                let over = compared.filter(|compared| compared.is_over().is_certain());
                over.filter_map(|compared| Some((Some(effect.index), compared.comparison()?)))
            }));
        }
        let effects = selected.iter().map(|effect| effect.index).collect();
        Some(Self { effects, comparisons })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AmountOver, Assets, TotalOver,
        testing::{World, asset, bounds, fee, obligations, opaque, rule, transfer},
    };

    fn matched(conditions: Vec<Condition>, world: &World) -> Option<Matched> {
        let require = Require::new(rule("r"), conditions, obligations(&[("treasury", 2)], 0)).unwrap();
        let facts = world.facts();
        require.matched(&Seen::all(&facts))
    }

    fn compared(value: u64, bound: u64) -> Comparison {
        Comparison {
            asset: Some(asset("eth")),
            currency: None,
            value: Some(value.into()),
            bound: Some(bound.into()),
        }
    }

    #[test]
    fn a_require_asks_for_something() {
        let empty = Require::new(rule("r"), vec![], Obligations::default());
        assert_eq!(empty, Err(PolicyError::EmptyRequire { rule: rule("r") }));
    }

    #[test]
    fn without_conditions_it_concerns_everything() {
        assert_eq!(matched(vec![], &World::with(&[fee(1)])).unwrap().effects, [0]);
    }

    #[test]
    fn a_total_names_the_sum_that_was_over() {
        let total = || vec![Condition::TotalOver(TotalOver(bounds(&[("eth", 10), ("demo", 99)])))];
        let world = World::with(&[
            transfer("eth", 6, "a"),
            transfer("eth", 5, "b"),
            transfer("demo", 1, "b"),
        ]);
        let found = matched(total(), &world).unwrap();
        assert_eq!(found.effects, [0, 1, 2]);
        assert_eq!(found.comparisons, [(None, compared(11, 10))]);
        assert_eq!(matched(total(), &World::with(&[transfer("eth", 10, "a")])), None);
    }

    #[test]
    fn an_amount_names_each_effect_that_was_over() {
        let over = || vec![Condition::AmountOver(AmountOver(bounds(&[("eth", 10)])))];
        let world = World::with_subjects(&[
            (transfer("eth", 6, "a"), "x"),
            (transfer("eth", 5, "a"), "x"),
            (transfer("eth", 5, "b"), "y"),
        ]);
        let found = matched(over(), &world).unwrap();
        assert_eq!(found.effects, [0, 1]);
        assert_eq!(
            found.comparisons,
            [(Some(0), compared(11, 10)), (Some(1), compared(11, 10))]
        );
    }

    #[test]
    fn an_unknown_effect_meets_the_obligation() {
        let eth = vec![Condition::Assets(Assets([asset("eth")].into_iter().collect()))];
        let found = matched(eth, &World::with(&[opaque(), transfer("demo", 1, "a")])).unwrap();
        assert_eq!((found.effects, found.comparisons), (vec![0], vec![]));
    }
}
