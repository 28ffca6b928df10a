//! What a new policy allows that the old one did not, or asks less for.

use std::collections::BTreeSet;

use countersign_types::{Amount, RuleId, Tag};

use super::{
    Budget, Held, Setting, Withdrawal,
    regions::{Rule, Visitor, Walk, is_uncovered},
    setting::asked,
};
use crate::{Evaluation, LimitTrace, Obligations};

/// The most loosenings that a comparison names: a reviewer reads them all.
pub const MAX_LOOSENINGS: usize = 32;

/// A withdrawal that the new policy allows where the old one denied, or for which it asks less.
#[derive(Debug, Clone, PartialEq)]
pub struct Loosening {
    /// The withdrawal.
    pub withdrawal: Withdrawal,
    /// What the old policy decided; `None` where the old bundle does not know who asks or through which wallet.
    pub old: Option<Evaluation>,
    /// What the new one decided.
    pub new: Evaluation,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// One withdrawal for each way in which the new policy is looser; at most [`MAX_LOOSENINGS`].
    pub loosenings: Vec<Loosening>,
    /// How many more ways there are.
    pub left_out: usize,
    /// Whether the budget did not suffice: then there may be loosenings that are not named.
    pub ran_out: bool,
}

/// Compares two policies, each in its own bundle. That no loosening is found claims nothing: which changes only tighten is
/// told by their form.
pub fn compare(old: &Setting<'_>, new: &Setting<'_>, budget: Budget) -> Difference {
    let settings = [old, new];
    let mut walk = Walk::new(&settings, &[], budget);
    let mut search = Search {
        old,
        new,
        ways: BTreeSet::new(),
        found: Difference::default(),
    };
    walk.run(&mut search);
    search.found.ran_out = walk.ran_out;
    search.found
}

/// Why the old policy said no, or what it asked for and the new one does not: one witness for each.
type Way = (BTreeSet<(Tag, Option<RuleId>)>, BTreeSet<RuleId>);

struct Search<'a> {
    old: &'a Setting<'a>,
    new: &'a Setting<'a>,
    ways: BTreeSet<Way>,
    found: Difference,
}

impl Visitor for Search<'_> {
    fn is_worth(&self, rules: &[Rule<'_>], active: &[bool]) -> bool {
        !is_uncovered(rules, active, 1)
    }

    fn enter(&mut self, _: &[Rule<'_>], _: &[bool], _: &Withdrawal) -> bool {
        true
    }

    fn visit(&mut self, withdrawal: &Withdrawal) {
        let Some(old) = self.judge(withdrawal) else { return };
        // With some counter just past what the old policy bears.
        for held in old.limits.iter().flat_map(just_past) {
            let spent = Withdrawal {
                held: Some(held),
                ..withdrawal.clone()
            };
            self.judge(&spent);
        }
    }
}

impl Search<'_> {
    /// Compares the decisions, and returns the old one.
    fn judge(&mut self, withdrawal: &Withdrawal) -> Option<Evaluation> {
        let old = self.old.decide(withdrawal);
        if let Some(new) = self.new.decide(withdrawal)
            && is_looser(asked(old.as_ref()), asked(Some(&new)))
        {
            self.note(withdrawal, old.clone(), new);
        }
        old
    }

    fn note(&mut self, withdrawal: &Withdrawal, old: Option<Evaluation>, new: Evaluation) {
        let reasons = old.iter().flat_map(|old| &old.reasons);
        let reasons = reasons.map(|reason| (reason.tag, reason.rule.clone())).collect();
        let asked_for: BTreeSet<RuleId> = old.iter().flat_map(asking).collect();
        let still: BTreeSet<RuleId> = asking(&new).into_iter().collect();
        let way = (reasons, asked_for.difference(&still).cloned().collect());
        if !self.ways.insert(way) {
            return;
        }
        if self.found.loosenings.len() < MAX_LOOSENINGS {
            let withdrawal = withdrawal.clone();
            self.found.loosenings.push(Loosening { withdrawal, old, new });
        } else {
            self.found.left_out = self.found.left_out.saturating_add(1);
        }
    }
}

/// The rules that ask for something.
fn asking(evaluation: &Evaluation) -> Vec<RuleId> {
    let requires = evaluation.requires.iter().map(|require| &require.rule);
    let limits = evaluation
        .limits
        .iter()
        .filter(|limit| limit.over_soft.is_some())
        .map(|limit| &limit.rule);
    requires.chain(limits).cloned().collect()
}

/// Whether the second decision is not at least as strict as the first; `None` is a denial.
fn is_looser(old: Option<&Obligations>, new: Option<&Obligations>) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => !new.covers(old),
    }
}

/// A counter at which the charge is one over the soft maximum, and one at which it is one over the hard one.
pub(super) fn just_past(limit: &LimitTrace) -> Vec<Held> {
    let held = |bound: Option<Amount>| {
        let over = bound?.checked_add(Amount::from_base_units(1))?;
        Some(Held {
            limit: limit.rule.clone(),
            counter: limit.counter?,
            window: limit.window.clone()?,
            amount: over.checked_sub(limit.charge?)?,
        })
    };
    [limit.soft, limit.hard].into_iter().filter_map(held).collect()
}
