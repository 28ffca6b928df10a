//! Every pair of a small world of rule sets, against what they decide; and each edit by itself.

use std::collections::BTreeSet;

use countersign_types::{Destination, Duration, EffectKind};

use super::*;
use crate::{
    AmountOver, Currency, Effects, Forbid, Meter, Outcome, Permit, PolicyParts, ScopeBy, TotalMax, TotalOver, evaluate,
    testing::{World, bounds, destination, obligations, rule, transfer, usd},
};

fn transfers() -> Condition {
    Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()))
}

fn listed() -> Condition {
    Condition::To(To::List("customers".parse().unwrap()))
}

fn permit(id: &str, more: Vec<Condition>) -> Permit {
    Permit::new(rule(id), [vec![transfers()], more].concat()).unwrap()
}

fn limit(hard: u64, soft: Option<(u64, u32)>) -> Limit {
    let meter = Meter {
        window: "transaction".parse().unwrap(),
        hard: Ceiling::Amounts(bounds(&[("eth", hard)])),
        soft: soft.map(|(bound, seats)| {
            let bound = Ceiling::Amounts(bounds(&[("eth", bound)]));
            (bound, obligations(&[("treasury", seats)], 0))
        }),
    };
    Limit::new(rule("l"), vec![transfers()], BTreeSet::new(), meter).unwrap()
}

fn require(conditions: Vec<Condition>, seats: u32, secs: u32) -> Require {
    Require::new(rule("r"), conditions, obligations(&[("treasury", seats)], secs)).unwrap()
}

fn forbid(id: &str, condition: Condition) -> Forbid {
    Forbid::new(rule(id), vec![condition]).unwrap()
}

fn lists(names: &[&str]) -> DestinationLists {
    let list: BTreeSet<Destination> = names.iter().copied().map(destination).collect();
    DestinationLists::new([("customers".parse().unwrap(), list)].into())
}

/// Every choice of one option from each column.
fn product<T: Clone>(columns: &[Vec<Vec<T>>]) -> Vec<Vec<T>> {
    let mut rows = vec![vec![]];
    for column in columns {
        let extend = |row: &Vec<T>| {
            column
                .iter()
                .map(|more| [row.clone(), more.clone()].concat())
                .collect::<Vec<_>>()
        };
        rows = rows.iter().flat_map(extend).collect();
    }
    rows
}

fn policies() -> Vec<Policy> {
    let capped = Condition::TotalMax(TotalMax(bounds(&[("eth", 2)])));
    let permits = product(&[
        vec![vec![], vec![permit("a", vec![listed()])]],
        vec![vec![], vec![permit("b", vec![listed(), capped])]],
        vec![
            vec![],
            vec![permit("c", vec![])],
            vec![permit("c", vec![Condition::To(To::Unlisted)])],
        ],
    ]);
    let over = Condition::TotalOver(TotalOver(bounds(&[("eth", 1)])));
    let requires = [
        vec![],
        vec![require(vec![over], 2, 0)],
        vec![require(vec![listed()], 1, 0)],
    ];
    let limits = [vec![], vec![limit(2, None)], vec![limit(3, Some((1, 1)))]];
    let forbids = [vec![], vec![forbid("f", Condition::To(To::Unlisted))]];
    let mut policies = Vec::new();
    for permits in permits {
        for requires in &requires {
            for limits in &limits {
                for forbids in &forbids {
                    let parts = PolicyParts {
                        permits: permits.clone(),
                        requires: requires.clone(),
                        limits: limits.clone(),
                        forbids: forbids.clone(),
                    };
                    policies.push(Policy::new(parts).unwrap());
                }
            }
        }
    }
    policies
}

/// All transactions of one or two transfers of 1 or 2 to one of two destinations.
fn worlds() -> Vec<World> {
    let one: Vec<_> = [(1, "a"), (2, "a"), (1, "b"), (2, "b")]
        .map(|(amount, to)| transfer("eth", amount, to))
        .into();
    let mut worlds: Vec<World> = one
        .iter()
        .map(|effect| World::with(std::slice::from_ref(effect)))
        .collect();
    for first in &one {
        worlds.extend(one.iter().map(|second| World::with(&[first.clone(), second.clone()])));
    }
    worlds
}

type Answers = Vec<Option<Obligations>>;

fn answers(worlds: &[World], rules: Ruleset<'_>) -> Answers {
    let answer = |world: &World| {
        let mut facts = world.facts();
        facts.lists = rules.lists;
        match evaluate(rules.policy, &facts).outcome {
            Outcome::Deny => None,
            Outcome::Allow(obligations) => Some(obligations),
        }
    };
    worlds.iter().map(answer).collect()
}

fn is_no_looser(before: &Answers, after: &Answers) -> bool {
    before.iter().zip(after).all(|pair| match pair {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(after)) => after.covers(before),
    })
}

fn tightens_only(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.direction() == Direction::Tightens)
}

#[test]
fn no_pair_of_a_small_world_is_called_tighter_and_is_not() {
    let (policies, worlds) = (policies(), worlds());
    let lists = [lists(&[]), lists(&["a"]), lists(&["a", "b"])];
    let mut sets = Vec::new();
    for lists in &lists {
        for policy in &policies {
            let rules = Ruleset { policy, lists };
            sets.push((rules, answers(&worlds, rules)));
        }
    }
    let (mut tighter, mut found) = (0_u32, 0_u32);
    for (old, before) in &sets {
        for (new, after) in &sets {
            let is_tighter = is_no_looser(before, after);
            tighter += u32::from(is_tighter);
            let findings = compare(*old, *new);
            if tightens_only(&findings) {
                found += 1;
                assert!(is_tighter, "{old:?}\n{new:?}\n{findings:?}");
            }
        }
    }
    // Sound, not complete: but what a security officer writes must be found.
    assert!(found > 10_000 && tighter > found, "{found} of {tighter}");
}

/// One edit of a rule set, and how it is found.
fn one(change: impl FnOnce(&mut PolicyParts, &mut Vec<&str>)) -> Vec<(Edit, Direction)> {
    let parts = PolicyParts {
        permits: vec![permit("p", vec![listed()])],
        requires: vec![require(vec![transfers()], 2, 60)],
        limits: vec![limit(8, Some((4, 2)))],
        forbids: vec![forbid(
            "f",
            Condition::Effects(Effects([EffectKind::Opaque].into_iter().collect())),
        )],
    };
    let (mut changed, mut names) = (parts.clone(), vec!["a", "b"]);
    change(&mut changed, &mut names);
    let (old, new) = (Policy::new(parts).unwrap(), Policy::new(changed).unwrap());
    let (old_lists, new_lists) = (lists(&["a", "b"]), lists(&names));
    let old = Ruleset {
        policy: &old,
        lists: &old_lists,
    };
    let new = Ruleset {
        policy: &new,
        lists: &new_lists,
    };
    let findings = compare(old, new);
    findings
        .into_iter()
        .map(|finding| (finding.edit.clone(), finding.direction()))
        .collect()
}

fn removed(loosened_by: Option<&str>) -> Edit {
    Edit::EntriesRemoved {
        count: 1,
        loosened_by: loosened_by.map(rule),
    }
}

#[test]
fn nothing_changed_is_nothing_found() {
    assert_eq!(one(|_, _| ()), []);
}

#[test]
fn what_tightens() {
    use {
        ConditionKind::{Hard, Soft},
        Direction::Tightens,
        Edit::*,
    };
    let over = || Condition::AmountOver(AmountOver(bounds(&[("eth", 1)])));
    let table: Vec<(Vec<(Edit, Direction)>, Edit)> = vec![
        (one(|parts, _| parts.permits.clear()), RuleRemoved),
        (one(|parts, _| parts.forbids.push(forbid("g", over()))), RuleAdded),
        (
            one(|parts, _| parts.requires = vec![require(vec![transfers()], 3, 60)]),
            ObligationsRaised,
        ),
        (
            one(|parts, _| parts.requires = vec![require(vec![transfers()], 2, 61)]),
            ObligationsRaised,
        ),
        (
            one(|parts, _| parts.limits = vec![limit(7, Some((4, 2)))]),
            BoundLowered(Hard),
        ),
        (
            one(|parts, _| parts.limits = vec![limit(8, Some((3, 2)))]),
            BoundLowered(Soft),
        ),
        (
            one(|parts, _| parts.limits = vec![limit(8, Some((4, 3)))]),
            ObligationsRaised,
        ),
        (one(|_, names| names.truncate(1)), removed(None)),
    ];
    for (found, expected) in table {
        assert_eq!(found, [(expected, Tightens)]);
    }
}

#[test]
fn what_loosens() {
    use {
        ConditionKind::{Hard, Soft},
        Direction::Loosens,
        Edit::*,
    };
    let wallet = || Condition::Assets(crate::Assets([crate::testing::asset("eth")].into_iter().collect()));
    let rescoped = || {
        let meter = limit(8, Some((4, 2))).meter().clone();
        Limit::new(rule("l"), vec![transfers()], [ScopeBy::Wallet].into(), meter).unwrap()
    };
    let table: Vec<(Vec<(Edit, Direction)>, Edit)> = vec![
        (one(|parts, _| parts.permits.push(permit("q", vec![]))), RuleAdded),
        // Narrower, and yet: a permit with a sum would have more room.
        (
            one(|parts, _| parts.permits = vec![permit("p", vec![listed(), wallet()])]),
            RuleChanged,
        ),
        (one(|parts, _| parts.forbids.clear()), RuleRemoved),
        (one(|parts, _| parts.requires.clear()), RuleRemoved),
        (
            one(|parts, _| parts.requires = vec![require(vec![transfers()], 1, 60)]),
            ObligationsLowered,
        ),
        (
            one(|parts, _| parts.requires = vec![require(vec![], 2, 60)]),
            SelectionChanged,
        ),
        (one(|parts, _| parts.limits.clear()), RuleRemoved),
        (
            one(|parts, _| parts.limits = vec![limit(9, Some((4, 2)))]),
            BoundRaised(Hard),
        ),
        (
            one(|parts, _| parts.limits = vec![limit(8, Some((5, 2)))]),
            BoundRaised(Soft),
        ),
        (one(|parts, _| parts.limits = vec![limit(8, None)]), BoundRaised(Soft)),
        (one(|parts, _| parts.limits = vec![rescoped()]), MeterChanged),
        (one(|parts, _| parts.forbids = vec![forbid("f", wallet())]), RuleChanged),
        (one(|_, names| names.push("c")), EntriesAdded(1)),
    ];
    for (found, expected) in table {
        assert_eq!(found, [(expected, Loosens)]);
    }
}

#[test]
fn what_is_higher_here_and_lower_there_is_both() {
    let found = one(|parts, _| parts.requires = vec![require(vec![transfers()], 3, 30)]);
    let edits: Vec<Edit> = found.into_iter().map(|(edit, _)| edit).collect();
    assert_eq!(edits, [Edit::ObligationsLowered, Edit::ObligationsRaised]);
}

/// The list rule of the old policy and of the new one are the same here, so it must hold for one of them.
#[test]
fn an_entry_is_removed_alone_only_where_that_cannot_allow_more() {
    let age = || Duration::from_secs(60);
    let capped = Condition::TotalMax(TotalMax(bounds(&[("eth", 1)])));
    let table: Vec<(Permit, Forbid, Option<&str>)> = vec![
        (
            permit("p", vec![listed()]),
            forbid("f", Condition::To(To::Unlisted)),
            None,
        ),
        (
            permit("p", vec![listed()]),
            forbid("f", Condition::To(To::FirstSeen)),
            None,
        ),
        (
            permit("p", vec![listed(), capped]),
            forbid("f", Condition::To(To::FirstSeen)),
            Some("p"),
        ),
        (
            permit("p", vec![Condition::To(To::Unlisted)]),
            forbid("f", Condition::To(To::FirstSeen)),
            Some("p"),
        ),
        (permit("p", vec![listed()]), forbid("f", listed()), Some("f")),
        (
            permit("p", vec![listed()]),
            forbid("f", Condition::To(To::EntryUnder(age()))),
            None,
        ),
        (
            permit("p", vec![listed()]),
            forbid("f", Condition::To(To::EntryOver(age()))),
            None,
        ),
    ];
    for (permit, forbid, loosened_by) in table {
        let parts = PolicyParts {
            permits: vec![permit],
            forbids: vec![forbid],
            ..PolicyParts::default()
        };
        let policy = Policy::new(parts).unwrap();
        let (old, new) = (lists(&["a", "b"]), lists(&["a"]));
        let set = |lists| Ruleset { policy: &policy, lists };
        let edits: Vec<Edit> = compare(set(&old), set(&new))
            .into_iter()
            .map(|found| found.edit)
            .collect();
        assert_eq!(edits, [removed(loosened_by)]);
    }
}

#[test]
fn a_list_that_comes_or_goes_counts_even_if_it_is_empty() {
    let policy = Policy::default();
    let (none, empty) = (DestinationLists::default(), lists(&[]));
    let set = |lists| Ruleset { policy: &policy, lists };
    let found = |old, new| {
        compare(set(old), set(new))
            .into_iter()
            .map(|found| found.edit)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&none, &empty), [Edit::EntriesAdded(0)]);
    let gone = Edit::EntriesRemoved {
        count: 0,
        loosened_by: None,
    };
    assert_eq!(found(&empty, &none), [gone]);
}

/// What was in it is noted nowhere, so what has another entry may be older without it.
#[test]
fn a_list_that_goes_loosens_where_rules_ask_for_ages() {
    let young = |is_aged: bool| {
        let rule = forbid("young", Condition::To(To::EntryUnder(Duration::from_secs(60))));
        Policy::new(PolicyParts {
            forbids: is_aged.then_some(rule).into_iter().collect(),
            ..PolicyParts::default()
        })
        .unwrap()
    };
    let (with, without, none) = (young(true), young(false), DestinationLists::default());
    let (full, emptied) = (lists(&["a"]), lists(&[]));
    let table = [
        ((&with, &full), (&with, &none), Some("young")),
        ((&with, &full), (&without, &none), None),
        ((&without, &full), (&with, &none), None),
        // It stays, and nobody is on it any more.
        ((&with, &full), (&with, &emptied), None),
    ];
    for ((old, before), (new, after), loosened_by) in table {
        let set = |policy, lists| Ruleset { policy, lists };
        let findings = compare(set(old, before), set(new, after));
        let found = findings
            .into_iter()
            .find(|found| matches!(found.subject, Subject::List(_)));
        let expected = Edit::EntriesRemoved {
            count: 1,
            loosened_by: loosened_by.map(rule),
        };
        assert_eq!(found.map(|found| found.edit), Some(expected));
    }
}

#[test]
fn every_finding_says_why() {
    for direction in [Direction::Tightens, Direction::Loosens] {
        for (edit, kind) in [
            (Edit::RuleAdded, RuleKind::Permit),
            (Edit::RuleAdded, RuleKind::Forbid),
            (Edit::RuleRemoved, RuleKind::Permit),
            (Edit::RuleRemoved, RuleKind::Limit),
        ] {
            let finding = Finding {
                subject: Subject::Rule(kind, rule("x")),
                edit,
            };
            if finding.direction() == direction {
                let is_loose =
                    finding.why().contains("covers what was not") || finding.why().contains("asks for nothing");
                assert_eq!(is_loose, direction == Direction::Loosens, "{}", finding.why());
            }
        }
    }
}

/// The age of an entry is that of the youngest in any list or any book that rules look into, so a rule that brings or takes a
/// book changes what the others see. (removed, added): a forbid of young entries stands in both policies unless `ages` says not.
#[test]
fn a_book_that_comes_or_goes_loosens_where_rules_ask_for_ages() {
    let book = |name: &str| Condition::To(To::AddressBook(name.parse().unwrap()));
    let young = || forbid("young", Condition::To(To::EntryUnder(Duration::from_secs(3_600))));
    let policy = |permits: &[&str], forbids: &[&str], is_aged: bool| {
        let permits = permits
            .iter()
            .map(|name| permit(&format!("to-{name}"), vec![book(name)]));
        let named = forbids.iter().map(|name| forbid(&format!("not-{name}"), book(name)));
        let parts = PolicyParts {
            permits: permits.collect(),
            forbids: named.chain(is_aged.then(young)).collect(),
            ..PolicyParts::default()
        };
        Policy::new(parts).unwrap()
    };
    let lists = lists(&[]);
    let books = |old: &Policy, new: &Policy| {
        let set = |policy| Ruleset { policy, lists: &lists };
        let found = compare(set(old), set(new));
        let loosening = found.iter().filter(|found| found.direction() == Direction::Loosens);
        let edits: Vec<_> = loosening
            .map(|found| (found.subject.clone(), found.edit.clone()))
            .collect();
        assert!(found.len() > edits.len(), "the rule itself tightens: {found:?}");
        edits
    };
    let of = |edit| vec![(Subject::Book("b".parse().unwrap()), edit)];
    let one = policy(&["a"], &[], true);
    assert_eq!(books(&policy(&["a", "b"], &[], true), &one), of(Edit::BookClosed));
    assert_eq!(books(&one, &policy(&["a"], &["b"], true)), of(Edit::BookOpened));
    // Another rule still looks into it, or nobody asks for ages before or after.
    assert_eq!(books(&one, &policy(&["a"], &["a"], true)), []);
    assert_eq!(books(&policy(&["a", "b"], &[], false), &policy(&["a"], &[], false)), []);
    assert_eq!(books(&policy(&["a", "b"], &[], false), &policy(&["a"], &[], true)), []);
}

/// Whatever a limit counts: a lower bound tightens, a higher one loosens, and bounds of two units are not compared by number.
#[test]
fn bounds_are_compared_within_their_unit() {
    let units: [fn(u32) -> Ceiling; 5] = [
        |bound| Ceiling::Amounts(bounds(&[("eth", bound.into())])),
        |bound| Ceiling::Money(Currency::Usd, usd(bound.into())),
        |bound| Ceiling::Money(Currency::Eur, usd(bound.into())),
        Ceiling::Count,
        Ceiling::NewDestinations,
    ];
    let policy = |window: &str, hard: Ceiling| {
        let meter = Meter {
            window: window.parse().unwrap(),
            hard,
            soft: None,
        };
        let limits = vec![Limit::new(rule("l"), vec![transfers()], BTreeSet::new(), meter).unwrap()];
        let parts = PolicyParts {
            limits,
            ..PolicyParts::default()
        };
        Policy::new(parts).unwrap()
    };
    let lists = lists(&[]);
    let edits = |old: Policy, new: Policy| {
        let of = |policy| Ruleset { policy, lists: &lists };
        let (old, new) = (of(&old), of(&new));
        let found = compare(old, new).into_iter();
        found
            .map(|finding| (finding.edit.clone(), finding.direction()))
            .collect::<Vec<_>>()
    };
    let (other_meter, hard) = ((Edit::MeterChanged, Direction::Loosens), ConditionKind::Hard);
    for (n, unit) in units.iter().enumerate() {
        for (m, other) in units.iter().enumerate() {
            for new in 1..=3 {
                let found = edits(policy("24h", unit(2)), policy("24h", other(new)));
                let expected = match (n == m, new) {
                    (false, _) => vec![other_meter.clone()],
                    (true, 1) => vec![(Edit::BoundLowered(hard), Direction::Tightens)],
                    (true, 2) => vec![],
                    (true, _) => vec![(Edit::BoundRaised(hard), Direction::Loosens)],
                };
                assert_eq!(found, expected, "{:?} to {:?}", unit(2), other(new));
            }
        }
        // The window alone: the bound is neither higher nor lower.
        let found = edits(policy("24h", unit(2)), policy("1h", unit(2)));
        assert_eq!(found, std::slice::from_ref(&other_meter), "{:?}", unit(2));
    }
}
