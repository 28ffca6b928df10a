//! When forbids and requires match, and by what.

use super::{Seen, select};
use crate::{
    Comparison, TotalOver,
    condition::{Conditions, Totals},
};

/// Whether the conditions may hold for an effect, or for the sum of those that they select.
pub(crate) fn may_match(conditions: &Conditions, seen: &[Seen<'_>]) -> bool {
    let mut selected = select(conditions, seen).map(|(effect, _)| effect);
    match conditions.total_over() {
        Some(over) => sum_may_be_over(over, selected),
        None => selected.next().is_some(),
    }
}

/// The same of effects for which the conditions may hold beside their bounds: whether an amount, or the sum of those that are,
/// may be over its bound.
pub(crate) fn may_be_over(conditions: &Conditions, selected: &[&Seen<'_>]) -> bool {
    let over = conditions.amount_over();
    let is_over = |effect: &&Seen<'_>| over.is_none_or(|over| over.matches(&effect.view).is_possible());
    let mut exceeding = selected.iter().copied().filter(is_over);
    match conditions.total_over() {
        Some(over) => sum_may_be_over(over, exceeding),
        None => exceeding.next().is_some(),
    }
}

// Apart: most rules bound no sum.
#[inline(never)]
fn sum_may_be_over<'s, 'a: 's>(over: &TotalOver, effects: impl Iterator<Item = &'s Seen<'a>>) -> bool {
    let mut effects = effects.peekable();
    // Sums of nothing are over no bound.
    let Some(values) = effects.peek().map(|effect| effect.view.facts.values()) else {
        return false;
    };
    let totals = Totals::of(effects.map(Seen::fact), values);
    over.matches(&totals, values).is_possible()
}

/// The sums that were over their bounds where conditions match; none where no sum decided.
pub(crate) fn total_overruns(conditions: &Conditions, seen: &[Seen<'_>]) -> Vec<Comparison> {
    let values = seen.first().map(|effect| effect.view.facts.values());
    let Some((over, values)) = conditions.total_over().zip(values) else {
        return Vec::new();
    };
    let totals = Totals::of(select(conditions, seen).map(|(effect, _)| effect.fact()), values);
    over.overruns(&totals, values)
}

/// Names the amounts that were over their bounds of one effect that conditions select; none where no amount decided.
pub(crate) fn amount_overruns(conditions: &Conditions, effect: &Seen<'_>, mut with: impl FnMut(Comparison)) {
    if let Some(over) = conditions.amount_over() {
        over.0.compare(&effect.view.amount, |compared| {
            if compared.is_over().is_certain() {
                compared.comparison().into_iter().for_each(&mut with);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AmountOver, Assets, Condition, Require,
        testing::{World, asset, bounds, fee, obligations, opaque, rule, transfer},
    };

    #[derive(Debug, PartialEq, Eq)]
    struct Matched {
        effects: Vec<u32>,
        comparisons: Vec<(Option<u32>, Comparison)>,
    }

    fn matched(conditions: Vec<Condition>, world: &World) -> Option<Matched> {
        let require = Require::new(rule("r"), conditions, obligations(&[("treasury", 2)], 0)).unwrap();
        let facts = world.facts();
        let seen = Seen::all(&facts);
        let sums = total_overruns(require.conditions(), &seen).into_iter();
        let mut comparisons: Vec<_> = sums.map(|sum| (None, sum)).collect();
        for (effect, _) in select(require.conditions(), &seen) {
            let index = Some(effect.index);
            amount_overruns(require.conditions(), effect, |amount| comparisons.push((index, amount)));
        }
        let effects = select(require.conditions(), &seen).map(|(effect, _)| effect.index);
        may_match(require.conditions(), &seen).then(|| Matched {
            effects: effects.collect(),
            comparisons,
        })
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
