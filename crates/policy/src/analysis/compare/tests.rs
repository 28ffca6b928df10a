//! Two policies, and exactly what is said of the step from one to the other.

use std::collections::BTreeSet;

use countersign_types::Effect;

use super::*;
use crate::{
    Ceiling, Limit, LimitKey, Meter, Outcome, Permit, PolicyParts, TotalMax, Window,
    analysis::testing::{
        Bundle, amount_over, assets, forbid, least, limit, lists, lock, permit, require, short, to_list, total_max,
        total_over, transfers, treasury, unlisted, withdrawal, worth_over,
    },
    change::Edit,
    testing::{asset, bounds, obligations, one_of, rule, transfer},
};

fn compared(old: &Bundle, new: &Bundle) -> Difference {
    let (old, new) = (old.setting(), new.setting());
    let found = compare(&old, &new, Budget::DEFAULT);
    // Whatever is shown was decided so, and is looser.
    for one in &found.loosenings {
        assert_eq!(old.decide(&one.withdrawal), one.old);
        assert_eq!(new.decide(&one.withdrawal), Some(one.new.clone()));
        let allowed = |evaluation: &Evaluation| match &evaluation.outcome {
            Outcome::Allow(obligations) => Some(obligations.clone()),
            Outcome::Deny => None,
        };
        let (before, after) = (one.old.as_ref().and_then(allowed), allowed(&one.new).unwrap());
        assert!(before.is_none_or(|before| !after.covers(&before)), "{}", one.withdrawal);
    }
    assert!(!found.ran_out);
    found
}

/// What is shown, in few words, with what a counter holds.
fn shown(found: &Difference) -> Vec<String> {
    found.loosenings.iter().map(|one| short(&one.withdrawal)).collect()
}

fn with(parts: PolicyParts) -> Bundle {
    Bundle::new(PolicyParts {
        permits: [vec![permit("p", vec![to_list("customers")])], parts.permits].concat(),
        ..parts
    })
}

fn none() -> PolicyParts {
    PolicyParts::default()
}

fn forbids(forbids: Vec<crate::Forbid>) -> Bundle {
    with(PolicyParts { forbids, ..none() })
}

fn requires(requires: Vec<crate::Require>) -> Bundle {
    with(PolicyParts { requires, ..none() })
}

fn limits(limits: Vec<Limit>) -> Bundle {
    with(PolicyParts { limits, ..none() })
}

#[test]
fn nothing_is_looser_than_itself() {
    let all = with(PolicyParts {
        requires: vec![require("r", vec![total_over(3)], treasury(1))],
        limits: vec![limit("l", "24h", 9, Some((5, lock(1))), &[])],
        forbids: vec![forbid("f", vec![unlisted()])],
        ..none()
    });
    let found = compared(&all, &all);
    assert_eq!((found.verdict(), found), (Verdict::NoLooser, Difference::default()));
}

#[test]
fn what_is_forbidden_no_more_is_looser_and_the_other_way_tighter() {
    let (old, new) = (
        forbids(vec![forbid("f", vec![transfers(), amount_over(3)])]),
        forbids(vec![]),
    );
    let found = compared(&old, &new);
    assert_eq!(found.verdict(), Verdict::Looser);
    assert_eq!(
        shown(&found),
        ["transfer 4 ETH to a for customer-1, never paid before, entry 1d old"]
    );
    assert_eq!((found.left_out, found.unshown), (0, vec![]));
    let found = compared(&new, &old);
    assert_eq!((found.verdict(), found), (Verdict::NoLooser, Difference::default()));
}

#[test]
fn a_permit_more_is_looser_and_one_less_tighter() {
    let more = with(PolicyParts {
        permits: vec![permit("q", vec![unlisted(), total_max(2)])],
        ..none()
    });
    let found = compared(&with(none()), &more);
    assert_eq!(found.verdict(), Verdict::Looser);
    assert_eq!(
        shown(&found),
        ["transfer 2 ETH to stranger-1 for customer-1, never paid before"]
    );
    assert_eq!(compared(&more, &with(none())).verdict(), Verdict::NoLooser);
}

#[test]
fn less_that_is_asked_for_is_looser_and_more_is_tighter() {
    let asking = |obligations| requires(vec![require("r", vec![transfers()], obligations)]);
    let both = || {
        let mut both = treasury(2);
        both.join(&lock(60));
        both
    };
    for (more, less) in [
        (treasury(2), treasury(1)),
        (lock(60), lock(59)),
        (both(), treasury(2)),
        (both(), lock(60)),
    ] {
        let found = compared(&asking(more.clone()), &asking(less.clone()));
        assert_eq!(found.verdict(), Verdict::Looser);
        assert_eq!(
            shown(&found),
            ["transfer 1 ETH to a for customer-1, never paid before, entry 1d old"]
        );
        assert_eq!(found.unshown, []);
        assert_eq!(compared(&asking(less), &asking(more)).verdict(), Verdict::NoLooser);
    }
    // Neither covers the other: both ways are looser.
    let (risk, treasury) = (obligations(&[("risk", 1)], 0), treasury(1));
    assert_eq!(
        compared(&asking(risk.clone()), &asking(treasury.clone())).verdict(),
        Verdict::Looser
    );
    assert_eq!(compared(&asking(treasury), &asking(risk)).verdict(), Verdict::Looser);
}

#[test]
fn a_step_that_tightens_and_loosens_is_looser() {
    let old = with(PolicyParts {
        forbids: vec![forbid("f", vec![to_list("customers"), amount_over(3)])],
        ..none()
    });
    let new = with(PolicyParts {
        permits: vec![permit("q", vec![unlisted()])],
        forbids: vec![
            forbid("f", vec![to_list("customers"), amount_over(3)]),
            forbid("g", vec![to_list("customers")]),
        ],
        ..none()
    });
    let found = compared(&old, &new);
    assert_eq!(
        shown(&found),
        ["transfer 1 ETH to stranger-1 for customer-1, never paid before"]
    );
    assert_eq!(found.verdict(), Verdict::Looser);
    // Back again it is looser for the customers.
    let found = compared(&new, &old);
    assert_eq!(
        shown(&found),
        ["transfer 3 ETH to a for customer-1, never paid before, entry 1d old"]
    );
}

#[test]
fn limits_over_a_window_are_shown_with_a_counter_just_past_them() {
    let hard = |bound| limits(vec![limit("l", "24h", bound, None, &[])]);
    let held = |limit: &str, holds: u64, amount: u64| {
        let paid = format!("transfer {amount} ETH to a for customer-1, never paid before, entry 1d old");
        format!("{paid}; limit {limit} holds {holds} ETH over 1d already")
    };
    let found = compared(&hard(9), &hard(10));
    assert_eq!(shown(&found), [held("l", 1, 9)]);
    assert_eq!(compared(&hard(10), &hard(9)).verdict(), Verdict::NoLooser);
    let soft = |bound| limits(vec![limit("l", "24h", 100, Some((bound, treasury(1))), &[])]);
    let found = compared(&soft(9), &soft(10));
    assert_eq!(found.verdict(), Verdict::Looser);
    assert_eq!(shown(&found), [held("l", 1, 9)]);
    // A shorter window counts less.
    let week = |window: &str| limits(vec![limit("l", window, 9, None, &[])]);
    let found = compared(&week("24h"), &week("1h"));
    assert_eq!(shown(&found), [held("l", 1, 9)]);
    let found = compared(&hard(9), &with(none()));
    assert_eq!(shown(&found), [held("l", 1, 9)]);
}

#[test]
fn what_may_loosen_by_its_form_and_is_not_seen_to_is_undecided() {
    // Nothing to strangers is permitted: the forbid does nothing, and going it loosens nothing.
    let old = forbids(vec![forbid("f", vec![unlisted()])]);
    let found = compared(&old, &with(none()));
    assert_eq!(found.verdict(), Verdict::Undecided);
    assert_eq!(shown(&found), [""; 0]);
    let subjects: Vec<(&Subject, &Edit)> = found.unshown.iter().map(|one| (&one.subject, &one.edit)).collect();
    let forbid = Subject::Rule(crate::RuleKind::Forbid, rule("f"));
    assert_eq!(subjects, [(&forbid, &Edit::RuleRemoved)]);
}

#[test]
fn what_is_not_shown_stands_beside_what_is() {
    let idle = || forbid("f", vec![unlisted()]);
    let old = forbids(vec![idle(), forbid("g", vec![amount_over(3)])]);
    let found = compared(&old, &with(none()));
    assert_eq!(shown(&found).len(), 1);
    assert_eq!(found.verdict(), Verdict::Looser);
    let subjects: Vec<Subject> = found.unshown.into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, [Subject::Rule(crate::RuleKind::Forbid, rule("f"))]);
}

#[test]
fn entries_are_shown_by_the_rules_that_name_their_list() {
    let permits = || {
        Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![])],
            forbids: vec![forbid("f", vec![to_list("bad")])],
            ..none()
        })
    };
    let (mut old, mut new) = (permits(), permits());
    old.lists = lists(&[("bad", &["a", "z"])]);
    new.lists = lists(&[("bad", &["a"])]);
    let found = compared(&old, &new);
    assert_eq!(
        shown(&found),
        ["transfer 1 ETH to z for customer-1, never paid before, entry 1d old"]
    );
    assert_eq!((found.verdict(), found.unshown), (Verdict::Looser, vec![]));
    assert_eq!(
        compared(&new, &old).verdict(),
        Verdict::Undecided,
        "more entries of a list may loosen"
    );
}

#[test]
fn entries_are_shown_by_rules_about_any_list() {
    for (condition, is_named) in [
        (unlisted(), true),
        (
            Condition::To(To::EntryUnder(countersign_types::Duration::from_secs(60))),
            true,
        ),
        (
            Condition::To(To::EntryOver(countersign_types::Duration::from_secs(60))),
            true,
        ),
        (Condition::To(To::List("other".parse().unwrap())), false),
        (Condition::To(To::List("list".parse().unwrap())), true),
        (Condition::To(To::FirstSeen), false),
        (amount_over(1), false),
    ] {
        let bundle = forbids(vec![forbid("f", vec![condition.clone()])]);
        let found = naming(&bundle.policy, &"list".parse().unwrap());
        assert_eq!(
            found,
            is_named.then(|| rule("f")).into_iter().collect(),
            "{condition:?}"
        );
    }
    let everywhere = with(PolicyParts {
        permits: vec![permit("q", vec![to_list("list")])],
        requires: vec![require("r", vec![to_list("list")], lock(1))],
        limits: vec![Limit::new(rule("l"), vec![to_list("list")], BTreeSet::new(), bounds(&[("eth", 1)])).unwrap()],
        forbids: vec![forbid("f", vec![to_list("list")])],
    });
    let named = naming(&everywhere.policy, &"list".parse().unwrap());
    assert_eq!(named, ["f", "l", "q", "r"].map(rule).into());
}

#[test]
fn what_rules_look_at_is_elsewhere() {
    let (old, mut new) = (with(none()), with(none()));
    new.wallets = vec!["hot", "warm"];
    let found = compared(&old, &new);
    assert!(found.is_elsewhere);
    assert_eq!(found.verdict(), Verdict::Looser);
    assert_eq!(found.loosenings[0].old, None, "the old one does not know the wallet");
    assert_eq!(found.loosenings[0].withdrawal.wallet.as_str(), "warm");
    let found = compared(&new, &old);
    assert_eq!((found.is_elsewhere, found.verdict()), (true, Verdict::Undecided));
}

#[test]
fn each_part_of_the_bundle_is_elsewhere() {
    let (old, assets) = (with(none()), countersign_types::AssetRegistry::default());
    let base = old.setting();
    let differs = |change: &dyn Fn(&mut Setting<'_>)| {
        let mut new = base.clone();
        change(&mut new);
        is_elsewhere(&base, &new)
    };
    assert!(!differs(&|_| {}));
    assert!(differs(&|new| new.initiators.clear()));
    assert!(differs(&|new| new.wallets.clear()));
    assert!(differs(&|new| new.fee_assets.clear()));
    let other = Setting {
        assets: &assets,
        ..base.clone()
    };
    assert!(is_elsewhere(&base, &other));
}

#[test]
fn a_reviewer_sees_as_many_as_they_can_read_and_how_many_more_there_are() {
    let names: Vec<String> = (10..50).map(|n| format!("c{n}")).collect();
    let forbid_of = |n: &String| forbid(n, vec![Condition::Subjects(crate::Subjects(one_of(&[n])))]);
    let old = forbids(names.iter().map(forbid_of).collect());
    let found = compared(&old, &with(none()));
    // Every one of them, and for nobody known all of them at once.
    assert_eq!((found.loosenings.len(), found.left_out), (MAX_LOOSENINGS, 9));
    assert_eq!(found.unshown, []);
}

#[test]
fn one_way_is_shown_once() {
    // Two regions, in which the same rule denied: one of them is enough.
    let old = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![])],
        forbids: vec![forbid("f", vec![transfers()]), forbid("g", vec![unlisted()])],
        ..none()
    });
    let new = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![])],
        ..none()
    });
    let found = compared(&old, &new);
    let reasons = |one: &Loosening| {
        let reasons = &one.old.as_ref().unwrap().reasons;
        reasons
            .iter()
            .filter_map(|reason| reason.rule.clone())
            .collect::<Vec<_>>()
    };
    let ways: Vec<Vec<RuleId>> = found.loosenings.iter().map(reasons).collect();
    assert_eq!(ways, [vec![rule("f"), rule("g")], vec![rule("f")]]);
}

fn unshown(found: &Difference) -> Vec<RuleId> {
    let rule = |finding: &Finding| match &finding.subject {
        Subject::Rule(_, id) => Some(id.clone()),
        Subject::List(_) | Subject::Book(_) => None,
    };
    found.unshown.iter().filter_map(rule).collect()
}

#[test]
fn a_require_is_shown_where_what_it_asked_for_is_lost() {
    let old = requires(vec![
        require("r", vec![transfers()], treasury(2)),
        // Asked of nothing that is permitted.
        require("s", vec![unlisted()], lock(60)),
        // Asked by the other one still.
        require("t", vec![transfers()], treasury(1)),
    ]);
    let found = compared(&old, &requires(vec![require("r", vec![transfers()], treasury(1))]));
    assert_eq!(
        (found.verdict(), unshown(&found)),
        (Verdict::Looser, ["s", "t"].map(rule).into())
    );
}

#[test]
fn a_permit_is_shown_where_it_covers_what_was_uncovered() {
    let old = forbids(vec![forbid("f", vec![amount_over(3)])]);
    let new = with(PolicyParts {
        permits: vec![
            // Covers what is covered.
            permit("q", vec![to_list("customers"), total_max(5)]),
            // Covers nothing.
            permit("r", vec![to_list("nobody")]),
            permit("s", vec![unlisted()]),
        ],
        ..none()
    });
    let found = compared(&old, &new);
    assert_eq!(
        (found.verdict(), unshown(&found)),
        (Verdict::Looser, ["q", "r"].map(rule).into())
    );
}

#[test]
fn what_is_lost_is_a_way_of_its_own_and_so_is_what_is_shown_first() {
    let everywhere = |requires| {
        Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![])],
            requires,
            ..none()
        })
    };
    // Of strangers both are asked, of customers one alone.
    let both = vec![
        require("r", vec![transfers()], treasury(1)),
        require("s", vec![unlisted()], lock(60)),
    ];
    let found = compared(&everywhere(both), &everywhere(vec![]));
    assert_eq!(found.loosenings.len(), 2);
    // Both were denied for the same reason, and each is covered by another permit.
    let covering = Bundle::new(PolicyParts {
        permits: vec![permit("q", vec![unlisted()]), permit("r", vec![to_list("customers")])],
        ..none()
    });
    let found = compared(&Bundle::new(none()), &covering);
    assert_eq!((found.loosenings.len(), unshown(&found)), (2, vec![]));
}

/// Pairs are made of single payments that are allowed, of each with itself and every later one: with every other step
/// taken, so many are left.
#[test]
fn pairs_are_made_of_single_payments_that_are_allowed() {
    let capped = |forbids| {
        Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![to_list("customers"), total_max(3)])],
            forbids,
            ..none()
        })
    };
    let new = capped(vec![]);
    let steps = |old: &Bundle| least(|steps| !compare(&old.setting(), &new.setting(), Budget::new(steps)).ran_out);
    let idle = capped(vec![forbid("f", vec![unlisted()])]);
    // Three of ETH are allowed for somebody and for nobody known, at three states of history; four are not, nor are batches.
    let singles = 6;
    assert_eq!(compared(&idle, &new).verdict(), Verdict::Undecided);
    // The forbid tells no more regions apart: lists do so already.
    assert_eq!(steps(&idle) - steps(&new), singles * (singles + 1) / 2);
}

/// One step: the only wallet.
#[test]
fn where_the_new_one_permits_nothing_nothing_is_looked_for() {
    let (old, new) = (with(none()), Bundle::new(none()));
    let found = compare(&old.setting(), &new.setting(), Budget::new(1));
    assert_eq!((found.verdict(), found.ran_out), (Verdict::NoLooser, false));
}

/// Five to one list and three to the other are each permitted, and together more than the forbid bore.
#[test]
fn two_unequal_payments_show_what_equal_ones_do_not() {
    let bundle = |forbids| {
        let mut bundle = Bundle::new(PolicyParts {
            permits: vec![
                permit("p", vec![to_list("first"), total_max(5)]),
                permit("q", vec![to_list("second"), total_max(3)]),
            ],
            forbids,
            ..none()
        });
        bundle.lists = lists(&[("first", &["a"]), ("second", &["b"])]);
        bundle
    };
    let found = compared(&bundle(vec![forbid("f", vec![total_over(7)])]), &bundle(vec![]));
    assert_eq!((found.verdict(), found.unshown.len()), (Verdict::Looser, 0));
    let amounts: BTreeSet<(String, String)> = found.loosenings[0]
        .withdrawal
        .items
        .iter()
        .map(|item| {
            let amount = item.effect.amount().unwrap().to_string();
            (item.effect.destination().unwrap().address().to_owned(), amount)
        })
        .collect();
    let pair = |to: &str, amount: &str| (to.to_owned(), amount.to_owned());
    assert_eq!(amounts, BTreeSet::from([pair("a", "5"), pair("b", "3")]));
    // What both together are not over is not shown.
    let found = compared(&bundle(vec![forbid("f", vec![total_over(8)])]), &bundle(vec![]));
    assert_eq!((found.verdict(), found.unshown.len()), (Verdict::Undecided, 1));
}

#[test]
fn a_budget_that_runs_out_is_said_to_have() {
    let (old, new) = (forbids(vec![forbid("f", vec![amount_over(3)])]), with(none()));
    let found = |steps| compare(&old.setting(), &new.setting(), Budget::new(steps));
    let none = found(0);
    assert_eq!(
        (none.verdict(), none.ran_out, none.loosenings.len()),
        (Verdict::Undecided, true, 0)
    );
    let enough = least(|steps| !found(steps).ran_out);
    assert!(enough > 50, "{enough}");
    assert_eq!(found(enough), compared(&old, &new));
    assert!(found(enough - 1).ran_out);
    // That nothing is looser rests on the form alone.
    let tighter = compare(&new.setting(), &old.setting(), Budget::new(0));
    assert_eq!((tighter.verdict(), tighter.ran_out), (Verdict::NoLooser, true));
}

fn trace(charge: Option<u64>, hard: u64, soft: Option<u64>) -> LimitTrace {
    LimitTrace {
        rule: rule("l"),
        key: LimitKey::default(),
        before: Some(Amount::ZERO),
        charge: charge.map(Amount::from),
        after: charge.map(Amount::from),
        hard: Some(hard.into()),
        currency: None,
        window: Some("24h".parse().unwrap()),
        counter: Some(counter()),
        soft: soft.map(Amount::from),
        over_soft: None,
    }
}

fn counter() -> countersign_types::CounterId {
    let bundle = limits(vec![limit("l", "24h", 9, None, &[])]);
    let evaluation = bundle
        .setting()
        .decide(&withdrawal(&[transfer("eth", 1, "a")]))
        .unwrap();
    evaluation.limits[0].counter.unwrap()
}

#[test]
fn a_counter_stands_so_that_the_charge_is_one_too_much() {
    let amounts = |trace: &LimitTrace| {
        just_past(trace)
            .iter()
            .map(|held| held.amount.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(amounts(&trace(Some(3), 9, None)), ["7"]);
    assert_eq!(amounts(&trace(Some(3), 9, Some(5))), ["3", "7"]);
    assert_eq!(amounts(&trace(Some(6), 9, Some(5))), ["0", "4"]);
    assert_eq!(amounts(&trace(Some(7), 9, Some(5))), ["3"], "already past the soft one");
    assert_eq!(
        amounts(&trace(None, 9, Some(5))),
        [""; 0],
        "an unknown charge is over everything"
    );
    let once = LimitTrace {
        counter: None,
        window: None,
        ..trace(Some(3), 9, None)
    };
    assert_eq!(just_past(&once), []);
    let held = Held {
        limit: rule("l"),
        counter: counter(),
        window: "24h".parse().unwrap(),
        currency: Some(crate::Currency::Usd),
        asset: None,
        amount: 7_u64.into(),
    };
    let money = LimitTrace {
        currency: Some(crate::Currency::Usd),
        ..trace(Some(3), 9, None)
    };
    assert_eq!(just_past(&money), [held]);
}

#[test]
fn looser_is_what_is_not_at_least_as_strict() {
    let (one, two, lock) = (treasury(1), treasury(2), lock(1));
    assert!(!is_looser(None, None));
    assert!(!is_looser(Some(&one), None));
    assert!(is_looser(None, Some(&two)));
    assert!(!is_looser(Some(&one), Some(&one)));
    assert!(!is_looser(Some(&one), Some(&two)));
    assert!(is_looser(Some(&two), Some(&one)));
    assert!(is_looser(Some(&lock), Some(&two)));
}

fn priced(effect: Effect, dollars: u64) -> Withdrawal {
    let price = crate::Price::from_atto(Amount::from(dollars));
    Withdrawal {
        prices: crate::Prices::new([((asset("eth"), crate::Currency::Usd), price)].into()),
        ..withdrawal(&[effect])
    }
}

#[test]
fn two_payments_are_one_where_everything_else_is_the_same() {
    let (first, second) = (
        withdrawal(&[transfer("eth", 1, "a")]),
        withdrawal(&[transfer("demo", 2, "b")]),
    );
    let joined = both(&first, &second).unwrap();
    assert_eq!(joined, withdrawal(&[transfer("eth", 1, "a"), transfer("demo", 2, "b")]));
    let other = Withdrawal {
        initiator: "alice".parse().unwrap(),
        ..second.clone()
    };
    assert_eq!(both(&first, &other), None);
    let units = Withdrawal {
        fee_units: Some(7),
        ..second.clone()
    };
    assert_eq!(both(&first, &units).unwrap().fee_units, Some(7));
    assert_eq!(both(&units, &first).unwrap().fee_units, Some(7));
    // One price of an asset, whichever of the two has it.
    let (three, four) = (priced(transfer("eth", 1, "a"), 3), priced(transfer("eth", 1, "b"), 4));
    assert_eq!(both(&three, &four), None);
    assert_eq!(both(&three, &second).unwrap().prices, three.prices);
    assert_eq!(both(&second, &three).unwrap().prices, three.prices);
}

/// A payment of each asset, each worth two dollars: together at those prices they are not permitted.
#[test]
fn pairs_are_tried_at_the_least_price_too() {
    let bundle = |limits| {
        let one = |id: &str, name: &str| {
            let max = Condition::TotalMax(TotalMax(bounds(&[(name, 1)])));
            let conditions = vec![transfers(), assets(&[name]), Condition::To(To::FirstSeen), max];
            Permit::new(rule(id), conditions).unwrap()
        };
        Bundle::new(PolicyParts {
            permits: vec![one("p", "eth"), one("q", "demo")],
            limits,
            forbids: vec![forbid("m", vec![worth_over(2)])],
            ..none()
        })
    };
    let meter = Meter {
        window: Window::Transaction,
        hard: Ceiling::NewDestinations(1),
        soft: None,
    };
    let limit = Limit::new(rule("l"), vec![], BTreeSet::new(), meter).unwrap();
    let found = compared(&bundle(vec![limit]), &bundle(vec![]));
    assert_eq!((found.verdict(), found.unshown.len()), (Verdict::Looser, 0));
    let pair = &found.loosenings[0].withdrawal;
    let prices: Vec<Amount> = pair.prices.iter().map(|(_, _, price)| price.atto()).collect();
    assert_eq!((pair.items.len(), prices), (2, vec![Amount::from(1_u64); 2]));
}
