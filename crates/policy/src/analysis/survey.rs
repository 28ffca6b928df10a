//! What each rule is good for: whether it ever matches what is permitted, and whether it ever decides.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{AssetId, RuleId};

use super::{
    Budget, Setting, Withdrawal,
    compare::just_past,
    regions::{Rule, Visitor, Walk, is_uncovered},
};
use crate::{Evaluation, Obligations, Outcome};

/// What was seen of a policy's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Rules that match something whose every effect some permit may cover.
    pub matching: BTreeSet<RuleId>,
    /// Rules without which some decision would be another.
    pub deciding: BTreeSet<RuleId>,
    /// Assets that some withdrawal may move.
    pub permitted_assets: BTreeSet<AssetId>,
    /// Whether the budget did not suffice: then a rule may be good for more than is seen here.
    pub ran_out: bool,
}

/// Looks at every region of a policy.
pub fn survey(setting: &Setting<'_>, budget: Budget) -> Survey {
    let settings = [setting];
    let mut walk = Walk::new(&settings, &[], budget);
    let mut search = Search {
        setting,
        found: Survey::default(),
    };
    walk.run(&mut search);
    search.found.ran_out = walk.ran_out;
    search.found
}

struct Search<'a> {
    setting: &'a Setting<'a>,
    found: Survey,
}

impl Visitor for Search<'_> {
    fn is_worth(&self, rules: &[Rule<'_>], active: &[bool]) -> bool {
        !is_uncovered(rules, active, 0)
    }

    fn enter(&mut self, _: &[Rule<'_>], _: &[bool], _: &Withdrawal) -> bool {
        true
    }

    fn visit(&mut self, withdrawal: &Withdrawal) {
        let Some(evaluation) = self.setting.decide(withdrawal) else {
            return;
        };
        self.note(withdrawal, &evaluation);
        for held in evaluation.limits.iter().flat_map(just_past) {
            let spent = Withdrawal {
                held: Some(held),
                ..withdrawal.clone()
            };
            if let Some(evaluation) = self.setting.decide(&spent) {
                self.note(&spent, &evaluation);
            }
        }
    }
}

impl Search<'_> {
    fn note(&mut self, withdrawal: &Withdrawal, evaluation: &Evaluation) {
        let effects = evaluation.effects.iter();
        let noted = effects.flat_map(|effect| effect.permits.iter().chain(&effect.requires).chain(&effect.forbids));
        let requires = evaluation.requires.iter().map(|require| &require.rule);
        let limits = evaluation.limits.iter().map(|limit| &limit.rule);
        self.found.matching.extend(noted.chain(requires).chain(limits).cloned());
        match &evaluation.outcome {
            Outcome::Deny => self.found.deciding.extend(sole_reason(evaluation)),
            Outcome::Allow(obligations) => {
                let assets = withdrawal.items.iter().filter_map(|item| item.effect.asset());
                self.found.permitted_assets.extend(assets.cloned());
                self.found.deciding.extend(sole_permits(evaluation));
                self.found.deciding.extend(needed(evaluation, obligations));
            }
        }
    }
}

/// The rule that alone denies.
fn sole_reason(evaluation: &Evaluation) -> Option<RuleId> {
    let rules: BTreeSet<Option<&RuleId>> = evaluation.reasons.iter().map(|reason| reason.rule.as_ref()).collect();
    let is_sole = rules.len() == 1 && evaluation.reasons_left_out == 0;
    rules.into_iter().next().flatten().filter(|_| is_sole).cloned()
}

/// The permits that alone cover an effect.
fn sole_permits(evaluation: &Evaluation) -> Vec<RuleId> {
    let sole = evaluation.effects.iter().filter(|effect| effect.permits.len() == 1);
    sole.flat_map(|effect| effect.permits.iter().cloned()).collect()
}

/// The rules without which less would be asked.
fn needed(evaluation: &Evaluation, obligations: &Obligations) -> Vec<RuleId> {
    let requires = evaluation
        .requires
        .iter()
        .map(|require| (&require.rule, &require.obligations));
    let over = evaluation
        .limits
        .iter()
        .filter_map(|limit| Some((&limit.rule, limit.over_soft.as_ref()?)));
    let mut asking: BTreeMap<&RuleId, Obligations> = BTreeMap::new();
    for (rule, asked) in requires.chain(over) {
        asking.entry(rule).or_default().join(asked);
    }
    let is_needed = |rule: &&&RuleId| {
        let mut others = Obligations::default();
        asking
            .iter()
            .filter(|(other, _)| *other != *rule)
            .for_each(|(_, asked)| others.join(asked));
        !others.covers(obligations)
    };
    asking.keys().filter(is_needed).map(|rule| (*rule).clone()).collect()
}

#[cfg(test)]
mod tests;
