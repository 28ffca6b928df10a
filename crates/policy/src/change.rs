//! What the step from one set of rules to the next does: tightens, loosens, or both (docs/adr/0023).
//!
//! Structural and sound, not complete. A finding that tightens is a promise: by itself it turns no denial into an allowance
//! and lowers no obligation, whatever the transaction is. Everything for which that is not plain from the form of the two
//! rules loosens, because one person may put tightenings in force alone.

use std::collections::BTreeSet;

use countersign_types::{ListId, PrincipalId, RuleId};
use serde::Serialize;

use crate::{
    Ceiling, Condition, ConditionKind, Conditions, DestinationList, DestinationLists, Limit, Meter, Obligations,
    Policy, Require, RuleKind, To,
    policy::{Kinds, Rules},
};

/// What decides a transaction besides the facts about it.
#[derive(Debug, Clone, Copy)]
pub struct Ruleset<'a> {
    /// The rules.
    pub policy: &'a Policy,
    /// The lists that they name.
    pub lists: &'a DestinationLists,
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// No transaction is decided more leniently.
    Tightens,
    /// Some transaction may be.
    Loosens,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A rule.
    Rule(RuleKind, RuleId),
    /// The entries of a list.
    List(ListId),
    /// An address book.
    Book(PrincipalId),
}

/// How it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The rule was not there before.
    RuleAdded,
    /// The rule is not there any more.
    RuleRemoved,
    /// A permit or a forbid is another one under the same id.
    RuleChanged,
    /// A require or a limit selects other effects.
    SelectionChanged,
    /// A limit counts over another window or scope, or in another unit.
    MeterChanged,
    /// A hard or soft bound is lower for some unit, or stands for one more.
    BoundLowered(ConditionKind),
    /// A hard or soft bound is higher for some unit, or is gone for one.
    BoundRaised(ConditionKind),
    /// What is asked for covers what was asked for before, and more.
    ObligationsRaised,
    /// Something that was asked for is not any more.
    ObligationsLowered,
    /// This many entries are new.
    EntriesAdded(usize),
    /// This many entries are gone.
    EntriesRemoved {
        /// How many.
        count: usize,
        /// The rule because of which less in the list may allow more.
        loosened_by: Option<RuleId>,
    },
    /// A book is looked into where none of the rules did, while rules ask for the age of entries.
    BookOpened,
    /// A book is not looked into any more, while rules ask for the age of entries.
    BookClosed,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What changed.
    pub subject: Subject,
    /// How.
    pub edit: Edit,
}

impl Finding {
    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        let is_tighter = match (&self.edit, &self.subject) {
            (Edit::RuleAdded, Subject::Rule(kind, _)) => !covers(*kind),
            (Edit::RuleRemoved, Subject::Rule(kind, _)) => covers(*kind),
            (Edit::RuleAdded | Edit::RuleRemoved, Subject::List(_) | Subject::Book(_)) => false,
            (Edit::BoundLowered(_) | Edit::ObligationsRaised, _) => true,
            (Edit::EntriesRemoved { loosened_by, .. }, _) => loosened_by.is_none(),
            (Edit::RuleChanged | Edit::SelectionChanged | Edit::MeterChanged, _)
            | (Edit::BoundRaised(_) | Edit::ObligationsLowered | Edit::EntriesAdded(_), _)
            | (Edit::BookOpened | Edit::BookClosed, _) => false,
        };
        if is_tighter {
            Direction::Tightens
        } else {
            Direction::Loosens
        }
    }

    /// Why it goes that way, for people.
    pub fn why(&self) -> String {
        match &self.edit {
            Edit::RuleAdded if self.direction() == Direction::Tightens => {
                "the rule is new: it can only deny or ask".into()
            }
            Edit::RuleAdded => "the permit is new: it covers what was not covered".into(),
            Edit::RuleRemoved if self.direction() == Direction::Tightens => {
                "the permit is gone: it covers nothing any more".into()
            }
            Edit::RuleRemoved => "the rule is gone: it denies and asks for nothing any more".into(),
            Edit::RuleChanged => {
                "the rule is another one under the same id; only adding and removing is compared".into()
            }
            Edit::SelectionChanged => "its conditions changed: it may leave out what it selected before".into(),
            Edit::MeterChanged => "its window, scope or unit changed: it may count less than before".into(),
            Edit::BoundLowered(kind) => format!("`{kind}` is lower, or stands for one more unit"),
            Edit::BoundRaised(kind) => format!("`{kind}` is higher, or is gone for a unit"),
            Edit::ObligationsRaised => "it asks for all that it asked for before, and more".into(),
            Edit::ObligationsLowered => "something that it asked for it does not ask for any more".into(),
            Edit::EntriesAdded(count) => format!("entries added: {count}"),
            Edit::EntriesRemoved {
                count,
                loosened_by: None,
            } => format!("entries removed: {count}; only permits name the list, so they cover less"),
            Edit::EntriesRemoved {
                count,
                loosened_by: Some(rule),
            } => format!("entries removed: {count}; because of rule `{rule}` that may allow more"),
            Edit::BookOpened => {
                "its entries count from now on: what had no entry of a known age has one, and rules ask for ages".into()
            }
            Edit::BookClosed => {
                "its entries count no more: what had a young entry is older without it, and rules ask for ages".into()
            }
        }
    }
}

/// Whether a kind of rule allows; the others deny or ask.
fn covers(kind: RuleKind) -> bool {
    match kind {
        RuleKind::Permit => true,
        RuleKind::Require | RuleKind::Limit | RuleKind::Forbid | RuleKind::Breaker => false,
    }
}

/// Every change of rules, books and lists, rules first, each kind in order of id.
pub fn compare(old: Ruleset<'_>, new: Ruleset<'_>) -> Vec<Finding> {
    let mut findings = compare_rules(old.policy, new.policy);
    findings.extend(compare_books(old.policy, new.policy));
    findings.extend(compare_lists(old, new));
    findings
}

fn compare_rules(old: &Policy, new: &Policy) -> Vec<Finding> {
    // Whole, without `..`: a kind of rule that is added to policies must be compared here too.
    let Kinds {
        permits,
        requires,
        limits,
        forbids,
        breakers,
    } = new.kinds();
    let old = old.kinds();
    let mut findings = each(RuleKind::Permit, old.permits, permits, |_, _| vec![Edit::RuleChanged]);
    findings.extend(each(RuleKind::Require, old.requires, requires, compare_requires));
    findings.extend(each(RuleKind::Limit, old.limits, limits, compare_limits));
    findings.extend(each(RuleKind::Forbid, old.forbids, forbids, |_, _| {
        vec![Edit::RuleChanged]
    }));
    findings.extend(each(RuleKind::Breaker, old.breakers, breakers, |_, _| {
        vec![Edit::RuleChanged]
    }));
    findings
}

/// The rules of one kind, matched by id; `edits` compares two that differ.
fn each<R: PartialEq>(
    kind: RuleKind,
    old: &Rules<R>,
    new: &Rules<R>,
    edits: impl Fn(&R, &R) -> Vec<Edit>,
) -> Vec<Finding> {
    let ids: BTreeSet<&RuleId> = old.keys().chain(new.keys()).collect();
    let mut findings = Vec::new();
    for id in ids {
        let edits = match (old.get(id), new.get(id)) {
            (None, Some(_)) => vec![Edit::RuleAdded],
            (Some(_), None) => vec![Edit::RuleRemoved],
            (Some(old), Some(new)) if old != new => or_changed(edits(old, new)),
            (Some(_), Some(_)) | (None, None) => Vec::new(),
        };
        findings.extend(edits.into_iter().map(|edit| Finding {
            subject: Subject::Rule(kind, id.clone()),
            edit,
        }));
    }
    findings
}

/// Two rules that differ never go without a finding, whatever their fields become.
fn or_changed(edits: Vec<Edit>) -> Vec<Edit> {
    if edits.is_empty() {
        vec![Edit::RuleChanged]
    } else {
        edits
    }
}

fn compare_requires(old: &Require, new: &Require) -> Vec<Edit> {
    let mut edits = selection(old.conditions(), new.conditions());
    edits.extend(compare_obligations(old.obligations(), new.obligations()));
    edits
}

fn selection(old: &Conditions, new: &Conditions) -> Vec<Edit> {
    if old == new {
        Vec::new()
    } else {
        vec![Edit::SelectionChanged]
    }
}

fn compare_obligations(old: &Obligations, new: &Obligations) -> Vec<Edit> {
    let mut edits = Vec::new();
    if !new.covers(old) {
        edits.push(Edit::ObligationsLowered);
    }
    if !old.covers(new) {
        edits.push(Edit::ObligationsRaised);
    }
    edits
}

fn compare_limits(old: &Limit, new: &Limit) -> Vec<Edit> {
    let mut edits = selection(old.conditions(), new.conditions());
    // Whole, without `..`: what is added to meters must be compared here too.
    let Meter { window, hard, soft } = new.meter();
    let before = old.meter();
    if old.scope() != new.scope() || before.window != *window {
        edits.push(Edit::MeterChanged);
    }
    edits.extend(compare_ceilings(&before.hard, hard, ConditionKind::Hard));
    match (&before.soft, soft) {
        (None, None) => {}
        (None, Some(_)) => edits.push(Edit::BoundLowered(ConditionKind::Soft)),
        (Some(_), None) => edits.push(Edit::BoundRaised(ConditionKind::Soft)),
        (Some((bound, asked)), Some((new_bound, new_asked))) => {
            edits.extend(compare_ceilings(bound, new_bound, ConditionKind::Soft));
            edits.extend(compare_obligations(asked, new_asked));
        }
    }
    edits
}

/// Bounds of the same unit, unit by unit: what has no bound may be anything.
fn compare_ceilings(old: &Ceiling, new: &Ceiling, kind: ConditionKind) -> Vec<Edit> {
    let (is_raised, is_lowered) = match (old, new) {
        (Ceiling::Amounts(old), Ceiling::Amounts(new)) => {
            let is_raised = |(asset, bound)| new.bound(asset).is_none_or(|new| new > bound);
            let is_lowered = |(asset, bound)| old.bound(asset).is_none_or(|old| old > bound);
            (old.iter().any(is_raised), new.iter().any(is_lowered))
        }
        (Ceiling::Money(currency, old), Ceiling::Money(new_currency, new)) if currency == new_currency => {
            (new > old, new < old)
        }
        (Ceiling::Count(old), Ceiling::Count(new)) | (Ceiling::NewDestinations(old), Ceiling::NewDestinations(new)) => {
            (new > old, new < old)
        }
        (Ceiling::Amounts(_) | Ceiling::Money(..) | Ceiling::Count(_) | Ceiling::NewDestinations(_), _) => {
            return vec![Edit::MeterChanged];
        }
    };
    let raised = is_raised.then_some(Edit::BoundRaised(kind));
    let lowered = is_lowered.then_some(Edit::BoundLowered(kind));
    raised.into_iter().chain(lowered).collect()
}

/// An entry's age is that of the youngest among the lists and the books that rules name ([`Policy::wants`]). So a rule that
/// comes or goes with a book changes what other rules see: an age becomes known, or higher. That is no matter where one of the
/// two policies asks for no ages: one may think of the books as changing under that one.
fn compare_books(old: &Policy, new: &Policy) -> Vec<Finding> {
    let (before, after) = (old.wants(), new.wants());
    if !before.ages || !after.ages {
        return Vec::new();
    }
    let finding = |book: &PrincipalId, edit| Finding {
        subject: Subject::Book(book.clone()),
        edit,
    };
    let opened = after.books.difference(&before.books);
    let closed = before.books.difference(&after.books);
    let opened = opened.map(|book| finding(book, Edit::BookOpened));
    opened
        .chain(closed.map(|book| finding(book, Edit::BookClosed)))
        .collect()
}

fn compare_lists(old: Ruleset<'_>, new: Ruleset<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |id: &ListId, edit| {
        findings.push(Finding {
            subject: Subject::List(id.clone()),
            edit,
        });
    };
    let beyond = |own: &DestinationList, other| own.lines_beyond(other).count();
    for (id, was) in old.lists.iter() {
        let list = new.lists.list(id);
        let gone = beyond(was, list);
        let what = match list {
            Some(_) if gone == 0 => continue,
            Some(_) => Gone::Entries,
            None => Gone::List,
        };
        let by = |policy| loosened_by(policy, id, what);
        // One may think of it as removed before the rules change or after: it is enough that one of the two is tighter.
        let loosened_by = by(old.policy).and(by(new.policy));
        note(
            id,
            Edit::EntriesRemoved {
                count: gone,
                loosened_by,
            },
        );
    }
    for (id, list) in new.lists.iter() {
        let was = old.lists.list(id);
        let added = beyond(list, was);
        // An empty list that is new counts as well: until now its absence was an unknown fact.
        if added > 0 || was.is_none() {
            note(id, Edit::EntriesAdded(added));
        }
    }
    findings
}

/// What of a list is not there any more.
#[derive(Debug, Clone, Copy)]
enum Gone {
    /// Some entries, or all of them, of a list that stays: the journal notes each.
    Entries,
    /// The list itself: nothing is noted of what was in it.
    List,
}

/// A rule because of which less in a list may allow more.
fn loosened_by(policy: &Policy, id: &ListId, gone: Gone) -> Option<RuleId> {
    let permits = policy.permits().map(|rule| (rule.id(), rule.conditions(), true));
    let requires = policy.requires().map(|rule| (rule.id(), rule.conditions(), false));
    let limits = policy.limits().map(|rule| (rule.id(), rule.conditions(), false));
    let forbids = policy.forbids().map(|rule| (rule.id(), rule.conditions(), false));
    let mut rules = permits.chain(requires).chain(limits).chain(forbids);
    let found = rules.find(|(_, conditions, is_permit)| loosens_without(conditions, *is_permit, id, gone));
    found.map(|(rule, _, _)| rule.clone())
}

fn loosens_without(conditions: &Conditions, is_permit: bool, id: &ListId, gone: Gone) -> bool {
    let Some(Condition::To(to)) = conditions.of(ConditionKind::To) else {
        return false;
    };
    match to {
        // A sum that takes in less leaves room under its maximum for what stays.
        To::List(named) => named == id && (!is_permit || conditions.of(ConditionKind::TotalMax).is_some()),
        To::Unlisted => is_permit,
        // The youngest entry counts. Of what is noted the age stays where there is another entry, and is unknown where there
        // is none, which allows nothing; what is not noted may become older.
        To::EntryUnder(_) | To::EntryOver(_) => match gone {
            Gone::Entries => false,
            Gone::List => true,
        },
        To::Own(_) | To::AddressBook(_) | To::FirstSeen => false,
    }
}

#[cfg(test)]
mod tests;
