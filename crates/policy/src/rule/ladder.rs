//! Requires that differ in nothing but how much they are over: tiers. They are one question.

use smallvec::SmallVec;

use super::{Require, Seen, USUAL_EFFECTS, may_be_over};
use crate::Obligations;

/// Requires of which each may match only where the one below it may: their conditions are the same but for the bounds that
/// something must be over, and those ascend. So the ones that match end at one place, which is found by asking a few of
/// them, and what they ask for together is known when the policy is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// From the lowest on; never empty.
    steps: Vec<Step>,
}

/// One require of a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The place among all requires, in order of id.
    pub(crate) place: usize,
    pub(crate) require: Require,
    /// What it and all steps below it ask for.
    asked: Obligations,
}

impl Ladder {
    /// Every require in one ladder. Where none is like another, each is one of its own.
    pub(crate) fn all<'p>(requires: impl Iterator<Item = &'p Require>) -> Vec<Self> {
        let mut ladders: Vec<Self> = Vec::new();
        for (place, require) in requires.enumerate() {
            let step = Step {
                place,
                require: require.clone(),
                asked: require.obligations().clone(),
            };
            let on = ladders
                .iter_mut()
                .find_map(|ladder| Some((ladder.place_of(require)?, ladder)));
            match on {
                Some((at, ladder)) => ladder.steps.insert(at, step),
                None => ladders.push(Self { steps: vec![step] }),
            }
        }
        ladders.iter_mut().for_each(Self::add_up);
        ladders
    }

    /// Where a require stands on this ladder, if it does.
    fn place_of(&self, require: &Require) -> Option<usize> {
        let is_below = |low: &Require, high: &Require| low.conditions().are_below(high.conditions());
        let at = self
            .steps
            .iter()
            .take_while(|step| is_below(&step.require, require))
            .count();
        let mut above = self.steps.iter().skip(at);
        above.all(|step| is_below(require, &step.require)).then_some(at)
    }

    fn add_up(&mut self) {
        let mut below = Obligations::default();
        for step in &mut self.steps {
            step.asked.join(&below);
            below.clone_from(&step.asked);
        }
    }

    /// The requires that may match, from the lowest on.
    pub(crate) fn matching(&self, seen: &[Seen<'_>]) -> &[Step] {
        let Some(lowest) = self.steps.first() else {
            return &self.steps;
        };
        // What all steps ask alike is asked once.
        let shared = lowest.require.conditions();
        let mut selected = SmallVec::<[&Seen<'_>; USUAL_EFFECTS]>::new();
        selected.extend(
            seen.iter()
                .filter(|effect| shared.may_match_beside_bounds(&effect.view)),
        );
        if selected.is_empty() {
            return &[];
        }
        let is_over = |step: &Step| may_be_over(step.require.conditions(), &selected);
        let count = self.steps.partition_point(is_over);
        self.steps.get(..count).unwrap_or(&self.steps)
    }
}

/// What steps from the lowest on ask for together.
pub(crate) fn asked_by(steps: &[Step]) -> Option<&Obligations> {
    steps.last().map(|highest| &highest.asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AmountOver, Bounds, Condition, Currency, Effects, Policy, PolicyParts, TotalOver, evaluate,
        testing::{World, bounds, obligations, rule, transfer, usd},
    };
    use countersign_types::{EffectKind, RuleId};

    fn total(bounds: Bounds) -> Condition {
        Condition::TotalOver(TotalOver(bounds))
    }

    fn amount(bounds: Bounds) -> Condition {
        Condition::AmountOver(AmountOver(bounds))
    }

    fn kinds(kinds: &[EffectKind]) -> Condition {
        Condition::Effects(Effects(kinds.iter().copied().collect()))
    }

    fn require(id: &str, conditions: Vec<Condition>, asked: (&str, u32)) -> Require {
        Require::new(rule(id), conditions, obligations(&[asked], 0)).unwrap()
    }

    fn ids(ladders: &[Ladder]) -> Vec<Vec<&str>> {
        let steps = ladders.iter().map(|ladder| ladder.steps.iter());
        steps
            .map(|steps| steps.map(|step| step.require.id().as_str()).collect())
            .collect()
    }

    #[test]
    fn requires_that_differ_in_ascending_bounds_are_one_ladder() {
        let eth = |bound| bounds(&[("eth", bound)]);
        let both = |a, b| bounds(&[("eth", a), ("demo", b)]);
        let dollars = |bound| eth(5).with_money(Currency::Usd, usd(bound));
        let transfers = || kinds(&[EffectKind::Transfer]);
        let table = vec![
            (
                vec![vec![total(eth(5))], vec![total(eth(9))], vec![total(eth(1))]],
                vec![vec!["2", "0", "1"]],
            ),
            (vec![vec![amount(eth(5))], vec![amount(eth(4))]], vec![vec!["1", "0"]]),
            (
                vec![vec![amount(eth(5))], vec![total(eth(6))]],
                vec![vec!["0"], vec!["1"]],
            ),
            (
                vec![vec![transfers(), total(eth(5))], vec![total(eth(6))]],
                vec![vec!["0"], vec!["1"]],
            ),
            (
                vec![
                    vec![transfers(), total(eth(5))],
                    vec![kinds(&[EffectKind::Fee]), total(eth(6))],
                ],
                vec![vec!["0"], vec!["1"]],
            ),
            // What is over both of the higher one's bounds or over one of them is over one of the lower one's.
            (vec![vec![total(eth(9))], vec![total(both(5, 5))]], vec![vec!["1", "0"]]),
            (
                vec![vec![total(eth(5))], vec![total(both(9, 9))]],
                vec![vec!["0"], vec!["1"]],
            ),
            (
                vec![vec![total(both(5, 9))], vec![total(both(9, 5))]],
                vec![vec!["0"], vec!["1"]],
            ),
            (
                vec![vec![total(dollars(9))], vec![total(dollars(5))]],
                vec![vec!["1", "0"]],
            ),
            (vec![vec![total(dollars(9))], vec![total(eth(5))]], vec![vec!["0", "1"]]),
            (
                vec![vec![total(dollars(9))], vec![total(eth(4))]],
                vec![vec!["0"], vec!["1"]],
            ),
            // Between two steps of which it is above neither.
            (
                vec![
                    vec![total(both(1, 1))],
                    vec![total(both(9, 9))],
                    vec![total(both(5, 10))],
                ],
                vec![vec!["0", "1"], vec!["2"]],
            ),
            (vec![vec![], vec![]], vec![vec!["0", "1"]]),
            (vec![vec![], vec![total(eth(5))]], vec![vec!["0"], vec!["1"]]),
            (
                vec![vec![transfers(), total(eth(5))], vec![transfers()]],
                vec![vec!["0"], vec!["1"]],
            ),
        ];
        for (conditions, expected) in table {
            let requires = conditions.iter().cloned().enumerate();
            let requires: Vec<Require> = requires
                .map(|(n, all)| require(&n.to_string(), all, ("ops", 1)))
                .collect();
            assert_eq!(ids(&Ladder::all(requires.iter())), expected, "{conditions:?}");
        }
    }

    /// Ids are in another order than steps, and obligations do not cover each other.
    fn tiers() -> Vec<Require> {
        let over = |bound| vec![total(bounds(&[("eth", bound)]))];
        vec![
            require("a", over(30), ("risk", 2)),
            require("b", over(10), ("ops", 3)),
            require("c", over(20), ("ops", 1)),
        ]
    }

    #[test]
    fn the_steps_that_match_are_the_lowest_ones() {
        let tiers = tiers();
        let [ladder] = Ladder::all(tiers.iter()).try_into().unwrap();
        for (paid, expected, asked) in [
            (10, vec![], vec![]),
            (11, vec!["b"], vec![("ops", 3)]),
            (21, vec!["b", "c"], vec![("ops", 3)]),
            (31, vec!["b", "c", "a"], vec![("ops", 3), ("risk", 2)]),
        ] {
            let world = World::with(&[transfer("eth", paid, "a")]);
            let facts = world.facts();
            let matching = ladder.matching(&Seen::all(&facts)).to_vec();
            let found: Vec<&str> = matching.iter().map(|step| step.require.id().as_str()).collect();
            assert_eq!(found, expected, "{paid}");
            let asked = (!asked.is_empty()).then(|| obligations(&asked, 0));
            assert_eq!(asked_by(&matching), asked.as_ref(), "{paid}");
        }
    }

    #[test]
    fn the_trace_is_in_order_of_id() {
        let parts = PolicyParts {
            requires: tiers(),
            ..PolicyParts::default()
        };
        let found = evaluate(
            &Policy::new(parts).unwrap(),
            &World::with(&[transfer("eth", 31, "a")]).facts(),
        );
        let expected: Vec<RuleId> = ["a", "b", "c"].map(rule).into();
        assert_eq!(
            found
                .requires
                .into_iter()
                .map(|require| require.rule)
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(found.effects[0].requires, expected);
    }
}
