//! A policy, and exactly what is said of its rules.

use std::collections::BTreeSet;

use countersign_types::EffectKind;

use super::*;
use crate::{
    Condition, FeeShare, Initiators, Limit, Permit, PolicyParts, Require, Wallets,
    analysis::testing::{
        Bundle, amount_over, effects, forbid, least, limit, lock, permit, require, to_list, total_max, total_over,
        treasury, unlisted,
    },
    testing::{asset, one_of, rule},
};

fn found(parts: PolicyParts) -> Survey {
    let bundle = Bundle::new(PolicyParts {
        permits: [vec![permit("p", vec![to_list("customers")])], parts.permits].concat(),
        ..parts
    });
    let found = survey(&bundle.setting(), Budget::DEFAULT);
    assert!(!found.ran_out);
    found
}

fn ids(ids: &[&str]) -> BTreeSet<RuleId> {
    ids.iter().map(|id| rule(id)).collect()
}

fn requires(requires: Vec<Require>) -> PolicyParts {
    PolicyParts {
        requires,
        ..PolicyParts::default()
    }
}

fn limits(limits: Vec<Limit>) -> PolicyParts {
    PolicyParts {
        limits,
        ..PolicyParts::default()
    }
}

#[test]
fn a_permit_alone_decides_what_may_move() {
    let seen = found(PolicyParts::default());
    assert_eq!((seen.matching, seen.deciding), (ids(&["p"]), ids(&["p"])));
    assert_eq!(seen.permitted_assets, BTreeSet::from([asset("eth")]));
}

#[test]
fn a_permit_beside_one_that_covers_as_much_decides_nothing() {
    let inner = PolicyParts {
        permits: vec![permit("q", vec![to_list("customers"), total_max(5)])],
        ..PolicyParts::default()
    };
    let seen = found(inner);
    assert_eq!((seen.matching, seen.deciding), (ids(&["p", "q"]), ids(&["p"])));
    let outer = PolicyParts {
        permits: vec![permit("q", vec![])],
        ..PolicyParts::default()
    };
    let seen = found(outer);
    assert_eq!((seen.matching, seen.deciding), (ids(&["p", "q"]), ids(&["q"])));
}

#[test]
fn a_forbid_decides_what_it_alone_denies() {
    let with = |forbids| PolicyParts {
        forbids,
        ..PolicyParts::default()
    };
    let seen = found(with(vec![forbid("f", vec![amount_over(3)])]));
    assert_eq!((seen.matching, seen.deciding), (ids(&["f", "p"]), ids(&["f", "p"])));
    // What no permit covers is denied anyway.
    let seen = found(with(vec![forbid("f", vec![unlisted()])]));
    assert_eq!((seen.matching, seen.deciding), (ids(&["p"]), ids(&["p"])));
    // Of two that deny the same neither does it alone; of one that denies more the other is not missed.
    let seen = found(with(vec![
        forbid("f", vec![amount_over(3)]),
        forbid("g", vec![amount_over(3)]),
    ]));
    assert_eq!((seen.matching, seen.deciding), (ids(&["f", "g", "p"]), ids(&["p"])));
    let seen = found(with(vec![
        forbid("f", vec![amount_over(3)]),
        forbid("g", vec![amount_over(5)]),
    ]));
    assert_eq!(seen.deciding, ids(&["f", "p"]));
}

#[test]
fn a_require_decides_where_less_would_be_asked_without_it() {
    let seen = found(requires(vec![require("r", vec![total_over(3)], treasury(1))]));
    assert_eq!((seen.matching, seen.deciding), (ids(&["p", "r"]), ids(&["p", "r"])));
    let seen = found(requires(vec![
        require("r", vec![], treasury(1)),
        require("s", vec![total_over(3)], treasury(2)),
    ]));
    assert_eq!(seen.deciding, ids(&["p", "r", "s"]));
    let seen = found(requires(vec![
        require("r", vec![], treasury(2)),
        require("s", vec![total_over(3)], treasury(1)),
    ]));
    assert_eq!(
        (seen.matching, seen.deciding),
        (ids(&["p", "r", "s"]), ids(&["p", "r"]))
    );
    let seen = found(requires(vec![
        require("r", vec![], treasury(2)),
        require("s", vec![], lock(1)),
    ]));
    assert_eq!(seen.deciding, ids(&["p", "r", "s"]), "each asks for something else");
    let seen = found(requires(vec![
        require("r", vec![], treasury(2)),
        require("s", vec![], treasury(2)),
    ]));
    assert_eq!(seen.deciding, ids(&["p"]), "either could go");
}

#[test]
fn a_limit_decides_at_its_hard_and_over_its_soft_bound() {
    let seen = found(limits(vec![limit("l", "transaction", 9, None, &[])]));
    assert_eq!((seen.matching, seen.deciding), (ids(&["l", "p"]), ids(&["l", "p"])));
    // Over a window it takes a counter that stands high.
    let high = || require("r", vec![], treasury(1));
    let day = |soft| PolicyParts {
        permits: vec![],
        ..PolicyParts {
            requires: vec![high()],
            ..limits(vec![limit("l", "24h", 9, soft, &[])])
        }
    };
    assert_eq!(found(day(None)).deciding, ids(&["l", "p", "r"]));
    // A lower one for the same hides it: no charge gets past that.
    let both = vec![limit("l", "24h", 9, None, &[]), limit("m", "transaction", 9, None, &[])];
    assert_eq!(found(limits(both)).deciding, ids(&["l", "p"]));
    let soft = |asked| limits(vec![limit("l", "24h", 9, Some((5, asked)), &[])]);
    assert_eq!(found(soft(treasury(1))).deciding, ids(&["l", "p"]));
    // Two that ask for the same over the same: either could go, but for the hard bound.
    let twice = vec![
        limit("l", "transaction", 9, Some((5, treasury(1))), &[]),
        limit("m", "transaction", 10, Some((5, treasury(1))), &[]),
    ];
    assert_eq!(found(limits(twice)).deciding, ids(&["l", "p"]));
}

#[test]
fn a_soft_bound_that_asks_decides_though_the_hard_one_never_does() {
    let asking = limit("m", "transaction", 10, Some((5, treasury(1))), &[]);
    let seen = found(limits(vec![limit("l", "transaction", 9, None, &[]), asking]));
    assert_eq!(seen.deciding, ids(&["l", "m", "p"]));
}

#[test]
fn what_nobody_may_do_matches_nothing() {
    let bundle = Bundle::new(PolicyParts {
        requires: vec![require("r", vec![], treasury(1))],
        ..PolicyParts::default()
    });
    // One step: the only wallet.
    assert_eq!(survey(&bundle.setting(), Budget::new(1)), Survey::default());
}

#[test]
fn a_budget_that_runs_out_is_said_to_have() {
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![to_list("customers")])],
        ..PolicyParts::default()
    });
    let found = |steps| survey(&bundle.setting(), Budget::new(steps));
    assert!(found(0).ran_out && found(0).deciding.is_empty());
    let enough = least(|steps| !found(steps).ran_out);
    assert!(enough > 50 && found(enough - 1).ran_out, "{enough}");
    assert_eq!(found(enough), found(enough + 1));
}

/// A fee is looked at beside payments that others ask for, through other wallets, and that come later in the walk.
#[test]
fn a_permit_for_shares_decides_beside_whatever_may_be_paid() {
    let share = Condition::FeeShare(FeeShare::from_basis_points(500).unwrap());
    let fees = Permit::new(rule("fees"), vec![effects(&[EffectKind::Fee]), share]).unwrap();
    let bot = Condition::Initiators(Initiators(one_of(&["bot"])));
    let warm = Condition::Wallets(Wallets(one_of(&["warm"])));
    let mut bundle = Bundle::new(PolicyParts {
        permits: vec![fees.clone(), permit("p", vec![to_list("customers"), bot, warm])],
        ..PolicyParts::default()
    });
    bundle.wallets = vec!["hot", "warm"];
    bundle.initiators = vec!["alice", "bot"];
    let seen = survey(&bundle.setting(), Budget::DEFAULT);
    assert!(!seen.ran_out);
    assert_eq!(seen.deciding, ids(&["fees", "p"]));
    // Where nothing may be paid, it is good for nothing.
    bundle = Bundle::new(PolicyParts {
        permits: vec![fees],
        ..PolicyParts::default()
    });
    let seen = survey(&bundle.setting(), Budget::DEFAULT);
    assert!(!seen.ran_out);
    assert_eq!(seen.deciding, ids(&[]));
}
