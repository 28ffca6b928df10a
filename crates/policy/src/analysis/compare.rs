//! What a new policy allows that the old one did not, or asks less for.

use std::collections::BTreeSet;

use countersign_types::{Amount, ListId, RuleId, Tag};

use super::{
    Budget, Held, Setting, Withdrawal,
    regions::{Asking, Rule, Visitor, Walk, is_uncovered},
    setting::asked,
};
use crate::{
    Condition, ConditionKind, Conditions, EffectTrace, Evaluation, LimitTrace, Obligations, Policy, To,
    change::{self, Direction, Finding, Ruleset, Subject},
};

/// The most loosenings that a comparison names: a reviewer reads them all.
pub const MAX_LOOSENINGS: usize = 32;

/// The most payments of which pairs are made: some thousand pairs.
const MAX_SINGLES: usize = 128;

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
    /// What may loosen by its form ([`change::compare`]), and was seen in no withdrawal.
    pub unshown: Vec<Finding>,
    /// Whether what rules look at differs too: assets, initiators, wallets or networks.
    pub is_elsewhere: bool,
    /// Whether the budget did not suffice: then there may be loosenings that are not named.
    pub ran_out: bool,
}

/// What is known of the step from one policy to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is decided more leniently, whatever the withdrawal is.
    NoLooser,
    /// Some withdrawal is.
    Looser,
    /// None was found, and that there is none does not follow. It counts as looser.
    Undecided,
}

impl Difference {
    /// What is known. That nothing is looser rests on the form of the change alone, never on a search that found nothing.
    pub fn verdict(&self) -> Verdict {
        if !self.loosenings.is_empty() {
            Verdict::Looser
        } else if self.unshown.is_empty() && !self.is_elsewhere {
            Verdict::NoLooser
        } else {
            Verdict::Undecided
        }
    }
}

/// Compares two policies, each in its own bundle.
pub fn compare(old: &Setting<'_>, new: &Setting<'_>, budget: Budget) -> Difference {
    let settings = [old, new];
    let mut walk = Walk::new(&settings, &[], budget);
    let mut findings = change::compare(ruleset(old), ruleset(new));
    findings.retain(|finding| finding.direction() == Direction::Loosens);
    let mut search = Search {
        old,
        new,
        ways: BTreeSet::new(),
        singles: Vec::new(),
        unshown: findings.iter().map(|finding| Suspect::of(finding, old, new)).collect(),
        found: Difference::default(),
    };
    walk.run(&mut search);
    search.pair(&mut walk);
    let Search { unshown, found, .. } = search;
    Difference {
        unshown: unshown.into_iter().map(|suspect| suspect.finding.clone()).collect(),
        is_elsewhere: is_elsewhere(old, new),
        ran_out: walk.ran_out,
        ..found
    }
}

fn ruleset<'a>(setting: &'a Setting<'_>) -> Ruleset<'a> {
    Ruleset {
        policy: setting.policy,
        lists: setting.lists,
    }
}

fn is_elsewhere(old: &Setting<'_>, new: &Setting<'_>) -> bool {
    // Whole, without `..`: rules and lists are compared by their form, and everything else must be equal.
    let Setting {
        policy: _,
        assets,
        lists: _,
        initiators,
        wallets,
        fee_assets,
    } = new;
    (old.assets, &old.initiators, &old.wallets, &old.fee_assets) != (*assets, initiators, wallets, fee_assets)
}

/// What may loosen, and the rules by which a withdrawal shows that it does.
struct Suspect<'f> {
    finding: &'f Finding,
    rules: BTreeSet<RuleId>,
}

impl<'f> Suspect<'f> {
    fn of(finding: &'f Finding, old: &Setting<'_>, new: &Setting<'_>) -> Self {
        let rules = match &finding.subject {
            Subject::Rule(_, id) => BTreeSet::from([id.clone()]),
            Subject::List(list) => [old, new]
                .iter()
                .flat_map(|setting| naming(setting.policy, list))
                .collect(),
            // The age of an entry is a fact here, whatever book it comes from.
            Subject::Book(_) => BTreeSet::new(),
        };
        Self { finding, rules }
    }

    /// Whether one of the rules covers what was uncovered, or denied or asked where that is no more.
    fn is_shown_by(&self, old: Option<&Evaluation>, new: &Evaluation) -> bool {
        let Some(old) = old else { return false };
        let is_meant = |rule: &RuleId| self.rules.contains(rule);
        let denied = || {
            old.reasons
                .iter()
                .filter_map(|reason| reason.rule.as_ref())
                .any(is_meant)
        };
        let now = asked(Some(new));
        let is_lost = |part: &Obligations| now.is_some_and(|now| !now.covers(part));
        let lost = || asking(old).any(|(rule, part)| is_meant(rule) && is_lost(part));
        let covers = |effect: &EffectTrace| {
            let mut before = old.effects.iter();
            let was_bare = before.any(|old| old.index == effect.index && old.permits.is_empty());
            was_bare && effect.permits.iter().any(is_meant)
        };
        denied() || lost() || new.effects.iter().any(covers)
    }
}

/// The rules whose conditions look at a list, or at whether any list has the destination.
fn naming(policy: &Policy, list: &ListId) -> BTreeSet<RuleId> {
    let names = |conditions: &Conditions| match conditions.of(ConditionKind::To) {
        Some(Condition::To(To::List(named))) => named == list,
        Some(Condition::To(To::Unlisted | To::EntryUnder(_) | To::EntryOver(_))) => true,
        Some(_) | None => false,
    };
    let permits = policy.permits().map(|rule| (rule.id(), rule.conditions()));
    let requires = policy.requires().map(|rule| (rule.id(), rule.conditions()));
    let limits = policy.limits().map(|rule| (rule.id(), rule.conditions()));
    let forbids = policy.forbids().map(|rule| (rule.id(), rule.conditions()));
    let all = permits.chain(requires).chain(limits).chain(forbids);
    all.filter(|(_, conditions)| names(conditions))
        .map(|(id, _)| id.clone())
        .collect()
}

/// Why the old policy said no, what it asked for and the new one does not, and what may loosen that is seen here for the
/// first time: one witness for each.
type Way = (BTreeSet<(Tag, Option<RuleId>)>, BTreeSet<RuleId>);

struct Search<'a> {
    old: &'a Setting<'a>,
    new: &'a Setting<'a>,
    ways: BTreeSet<Way>,
    /// Payments that the new policy allows, of which larger transactions are made up.
    singles: Vec<Withdrawal>,
    /// What may loosen and was not seen to do so yet.
    unshown: Vec<Suspect<'a>>,
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
        self.judge(withdrawal);
    }
}

impl Search<'_> {
    /// Compares the decisions, with counters at zero and then with some counter just past what the old policy bears.
    fn judge(&mut self, withdrawal: &Withdrawal) {
        let (old, is_allowed) = self.judge_once(withdrawal);
        if is_allowed && withdrawal.items.len() == 1 && self.singles.len() < MAX_SINGLES {
            self.singles.push(withdrawal.clone());
        }
        for held in old.iter().flat_map(|old| &old.limits).flat_map(just_past) {
            let spent = Withdrawal {
                held: Some(held),
                ..withdrawal.clone()
            };
            self.judge_once(&spent);
        }
    }

    /// Returns the old decision, and whether the new one allows.
    fn judge_once(&mut self, withdrawal: &Withdrawal) -> (Option<Evaluation>, bool) {
        let (old, new) = (self.old.decide(withdrawal), self.new.decide(withdrawal));
        let is_allowed = asked(new.as_ref()).is_some();
        if let Some(new) = new
            && is_looser(asked(old.as_ref()), asked(Some(&new)))
        {
            self.note(withdrawal, old.clone(), new);
        }
        (old, is_allowed)
    }

    /// Two unequal payments at once, for what no single payment and no batch of equal ones showed.
    fn pair(&mut self, walk: &mut Walk<'_>) {
        let singles = std::mem::take(&mut self.singles);
        for (n, first) in singles.iter().enumerate() {
            for second in singles.iter().skip(n) {
                if self.unshown.is_empty() || !walk.step() {
                    return;
                }
                let Some(both) = both(first, second) else { continue };
                let least = both.at_least_worth();
                self.judge(&both);
                if least != both {
                    self.judge(&least);
                }
            }
        }
    }

    fn note(&mut self, withdrawal: &Withdrawal, old: Option<Evaluation>, new: Evaluation) {
        let reasons = old.iter().flat_map(|old| &old.reasons);
        let reasons = reasons.map(|reason| (reason.tag, reason.rule.clone())).collect();
        let lost = old.iter().flat_map(asking).map(|(rule, _)| rule);
        let still: BTreeSet<&RuleId> = asking(&new).map(|(rule, _)| rule).collect();
        let lost = lost.filter(|rule| !still.contains(rule)).cloned().collect();
        let unshown = self.unshown.len();
        self.unshown.retain(|suspect| !suspect.is_shown_by(old.as_ref(), &new));
        let is_new = self.ways.insert((reasons, lost)) || self.unshown.len() < unshown;
        if !is_new {
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

/// The rules that ask for something, and for what.
fn asking(evaluation: &Evaluation) -> impl Iterator<Item = (&RuleId, &Obligations)> {
    let requires = evaluation.requires.iter();
    let requires = requires.map(|require| (&require.rule, &require.obligations));
    let limits = evaluation.limits.iter();
    let limits = limits.filter_map(|limit| Some((&limit.rule, limit.over_soft.as_ref()?)));
    requires.chain(limits)
}

/// Two payments as one transaction; `None` unless everything but what they do is the same.
fn both(first: &Withdrawal, second: &Withdrawal) -> Option<Withdrawal> {
    let is_one = Asking::of(first) == Asking::of(second);
    let agrees = |(asset, currency, price)| first.prices.price(asset, currency).is_none_or(|held| held == price);
    if !is_one || !second.prices.iter().all(agrees) {
        return None;
    }
    Some(first.beside(second))
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
            currency: limit.currency,
            asset: limit.key.asset.clone().filter(|_| limit.currency.is_none()),
            amount: over.checked_sub(limit.charge?)?,
        })
    };
    [limit.soft, limit.hard].into_iter().filter_map(held).collect()
}

#[cfg(test)]
mod tests;
