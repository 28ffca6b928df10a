//! What is claimed of sums, and what is not: a policy, an invariant, and the conclusion.

use std::collections::BTreeMap;

use countersign_types::EffectKind;

use crate::{
    AmountMax, Attributes, Ceiling, Condition, Currency, Day, FeeMax, FeeRate, FeeShare, Hours, Initiators, Limit,
    Meter, Permit, PolicyParts, Require, ScopeBy, Wallets, Window,
    analysis::{
        Budget, Conclusion, Doubt, Invariant, Promise, prove,
        testing::{
            Bundle, amount_over, assets, effects, forbid, least, limit, lists, lock, permit, require, short, to_list,
            total_max, total_over, transfers, treasury, unlisted, withdrawal, witness, worth_over,
        },
    },
    testing::{asset, bounds, destination, one_of, rule, transfer, usd},
};

const OPEN: Conclusion = Conclusion::Undecided(Doubt::Batches);

fn amount_max(bound: u64) -> Condition {
    Condition::AmountMax(AmountMax(bounds(&[("eth", bound)])))
}

fn asks(seats: u32) -> Promise {
    Promise::Asks(treasury(seats))
}

/// Permits of ETH of at most ten at a time, and other rules: single payments keep every promise about more.
fn small(parts: PolicyParts) -> Bundle {
    Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![amount_max(10)])],
        ..parts
    })
}

/// The same without a maximum.
fn any(parts: PolicyParts) -> Bundle {
    Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![])],
        ..parts
    })
}

fn requires(requires: Vec<Require>) -> PolicyParts {
    PolicyParts {
        requires,
        ..PolicyParts::default()
    }
}

fn limits(limit: Limit) -> PolicyParts {
    PolicyParts {
        limits: vec![limit],
        ..PolicyParts::default()
    }
}

fn over_ten() -> Vec<Condition> {
    vec![transfers(), total_over(10)]
}

fn is_violated(conclusion: &Conclusion) -> bool {
    matches!(conclusion, Conclusion::Violated(_))
}

#[test]
fn a_require_settles_sums_over_its_own_bound() {
    let with = |bound| requires(vec![require("r", vec![transfers(), total_over(bound)], treasury(2))]);
    for bound in [9, 10] {
        assert_eq!(
            any(with(bound)).prove(over_ten(), asks(2)),
            Conclusion::Holds,
            "{bound}"
        );
        assert_eq!(
            any(with(bound)).prove(over_ten(), asks(1)),
            Conclusion::Holds,
            "{bound}"
        );
    }
    let found = any(with(11)).prove(over_ten(), asks(2));
    assert_eq!(
        short(&witness(&found).0),
        "transfer 11 ETH to stranger-1 for customer-1, never paid before"
    );
    assert!(is_violated(&any(with(10)).prove(over_ten(), asks(3))));
    assert!(is_violated(&any(with(10)).prove(over_ten(), Promise::Deny)));
    assert!(is_violated(&any(with(10)).prove(over_ten(), Promise::Asks(lock(1)))));
}

/// Two payments of six are over ten and not over fifteen, and no batch of equal ones that is tried is.
#[test]
fn what_is_over_a_higher_bound_settles_nothing() {
    let bundle = small(requires(vec![require(
        "r",
        vec![transfers(), total_over(15)],
        treasury(2),
    )]));
    assert_eq!(bundle.prove(over_ten(), asks(2)), OPEN);
    let mut twice = withdrawal(&[transfer("eth", 6, "a"), transfer("eth", 6, "b")]);
    for (item, customer) in twice.items.iter_mut().zip(["x", "y"]) {
        item.subject = Some(customer.parse().unwrap());
    }
    let decided = bundle.setting().decide(&twice);
    let invariant = Invariant::new(rule("inv"), over_ten(), asks(2)).unwrap();
    assert!(!invariant.is_kept(decided.as_ref()));
}

#[test]
fn a_require_about_amounts_says_nothing_of_sums() {
    let about_both = || require("r", vec![transfers(), amount_over(5), total_over(10)], treasury(2));
    let found = small(requires(vec![about_both()])).prove(over_ten(), asks(2));
    let (five, paid) = ("transfer 5 ETH to stranger", ", never paid before");
    let expected =
        format!("{five}-1 for customer-1{paid}; {five}-2 for customer-2{paid}; {five}-3 for customer-3{paid}");
    assert_eq!(short(&witness(&found).0), expected);
    // Where no batch shows it, nothing is claimed.
    let permits = vec![to("first", vec![]), to("second", vec![])];
    assert_eq!(two_lists(permits, vec![about_both()]).prove(over_ten(), asks(2)), OPEN);
}

#[test]
fn a_forbid_settles_every_promise() {
    let with = |bound| PolicyParts {
        forbids: vec![forbid("f", vec![transfers(), total_over(bound)])],
        ..PolicyParts::default()
    };
    for bound in [9, 10] {
        assert_eq!(any(with(bound)).prove(over_ten(), Promise::Deny), Conclusion::Holds);
        assert_eq!(any(with(bound)).prove(over_ten(), asks(2)), Conclusion::Holds);
    }
    assert_eq!(small(with(15)).prove(over_ten(), Promise::Deny), OPEN);
    // Without a sum it denies the effect itself.
    let strangers = PolicyParts {
        forbids: vec![forbid("f", vec![unlisted()])],
        ..requires(vec![require(
            "r",
            vec![to_list("customers"), total_over(10)],
            treasury(2),
        )])
    };
    assert_eq!(any(strangers).prove(over_ten(), asks(2)), Conclusion::Holds);
}

#[test]
fn a_limit_settles_what_it_counts_as_one_sum() {
    let scoped =
        |scope: &[ScopeBy]| any(limits(limit("l", "transaction", 10, None, scope))).prove(over_ten(), Promise::Deny);
    assert_eq!(scoped(&[]), Conclusion::Holds);
    for by in [
        ScopeBy::Wallet,
        ScopeBy::Initiator,
        ScopeBy::Network,
        ScopeBy::Tier,
        ScopeBy::Tenant,
        ScopeBy::Asset,
    ] {
        assert_eq!(scoped(&[by]), Conclusion::Holds, "{by:?}");
    }
    for by in [ScopeBy::Destination, ScopeBy::Subject] {
        assert_eq!(witness(&scoped(&[by])).0.items.len(), 2, "{by:?}");
    }
    let day = any(limits(limit("l", "24h", 10, None, &[]))).prove(over_ten(), Promise::Deny);
    assert_eq!(day, Conclusion::Holds);
    assert_eq!(
        small(limits(limit("l", "transaction", 15, None, &[]))).prove(over_ten(), Promise::Deny),
        OPEN
    );
}

#[test]
fn a_soft_bound_settles_what_being_over_it_asks_for() {
    let with = |soft: u64, hard: u64, asked| limits(limit("l", "transaction", hard, Some((soft, asked)), &[]));
    assert_eq!(
        any(with(10, 100, treasury(2))).prove(over_ten(), asks(2)),
        Conclusion::Holds
    );
    assert!(is_violated(&any(with(10, 100, treasury(1))).prove(over_ten(), asks(2))));
    assert_eq!(
        any(with(5, 10, treasury(1))).prove(over_ten(), asks(2)),
        Conclusion::Holds,
        "by the hard bound"
    );
    assert_eq!(
        any(with(5, 10, treasury(2))).prove(over_ten(), Promise::Deny),
        Conclusion::Holds,
        "likewise"
    );
    assert!(is_violated(
        &any(with(10, 100, treasury(2))).prove(over_ten(), Promise::Deny)
    ));
    assert_eq!(small(with(12, 100, treasury(2))).prove(over_ten(), asks(2)), OPEN);
}

fn to(id: &str, more: Vec<Condition>) -> Permit {
    permit(id, [vec![to_list(id)], more].concat())
}

fn two_lists(permits: Vec<Permit>, requires: Vec<Require>) -> Bundle {
    let mut bundle = Bundle::new(PolicyParts {
        permits,
        requires,
        ..PolicyParts::default()
    });
    bundle.lists = lists(&[("first", &["a"]), ("second", &["b"]), ("third", &["c"])]);
    bundle
}

#[test]
fn a_sole_permit_settles_what_it_does_not_cover() {
    let capped = |bound| permit("p", vec![total_max(bound)]);
    let prove = |permits| two_lists(permits, vec![]).prove(over_ten(), Promise::Deny);
    assert_eq!(prove(vec![capped(10)]), Conclusion::Holds);
    assert_eq!(prove(vec![capped(9)]), Conclusion::Holds);
    assert!(is_violated(&prove(vec![capped(11)])));
    // Each of two may cover what the other does not: nothing is claimed, even if it is so.
    assert_eq!(prove(vec![capped(10), permit("q", vec![total_max(10)])]), OPEN);
}

#[test]
fn two_rules_settle_what_each_counts_a_part_of() {
    let permits = |bounds: &[(&str, u64)]| {
        let permits = bounds.iter().map(|(id, bound)| to(id, vec![total_max(*bound)]));
        two_lists(permits.collect(), vec![]).prove(over_ten(), Promise::Deny)
    };
    assert_eq!(permits(&[("first", 4), ("second", 6)]), Conclusion::Holds);
    assert_eq!(permits(&[("first", 5), ("second", 6)]), OPEN);
    // Three of them would, but are not looked for.
    assert_eq!(permits(&[("first", 3), ("second", 3), ("third", 3)]), OPEN);
    let asking = |id: &str, list: &str, bound| require(id, vec![to_list(list), total_over(bound)], treasury(2));
    let requires = |first, second| {
        let permits = vec![to("first", vec![]), to("second", vec![])];
        let requires = vec![asking("r", "first", first), asking("s", "second", second)];
        two_lists(permits, requires).prove(over_ten(), asks(2))
    };
    assert_eq!(requires(4, 6), Conclusion::Holds);
    assert_eq!(requires(6, 4), Conclusion::Holds);
    assert_eq!(requires(5, 6), OPEN);
}

#[test]
fn every_part_of_what_is_promised_needs_its_rule() {
    let with = |bound| {
        small(requires(vec![
            require("r", vec![transfers(), total_over(10)], treasury(2)),
            require("s", vec![transfers(), total_over(bound)], lock(60)),
        ]))
    };
    let mut both = treasury(2);
    both.join(&lock(60));
    assert_eq!(
        with(10).prove(over_ten(), Promise::Asks(both.clone())),
        Conclusion::Holds
    );
    assert_eq!(with(15).prove(over_ten(), Promise::Asks(both)), OPEN);
}

#[test]
fn what_is_asked_of_everything_settles_sums_too() {
    let always = any(requires(vec![require("r", vec![], treasury(2))]));
    assert_eq!(always.prove(over_ten(), asks(2)), Conclusion::Holds);
    assert!(is_violated(&always.prove(over_ten(), asks(3))));
}

/// Who asks, through which wallet, when and saying what is the same for all of a transaction: each has its own rules.
#[test]
fn rules_may_differ_by_who_asks_and_how() {
    let wallet = |id: &str| Condition::Wallets(Wallets(one_of(&[id])));
    let initiator = |id: &str| Condition::Initiators(Initiators(one_of(&[id])));
    let asking = |id: &str, who: Condition| require(id, vec![who, transfers(), total_over(10)], treasury(2));
    let prove = |requires_of: Vec<Require>| {
        let mut bundle = any(requires(requires_of));
        bundle.wallets = vec!["hot", "warm"];
        bundle.initiators = vec!["alice", "bot"];
        bundle.prove(over_ten(), asks(2))
    };
    assert_eq!(
        prove(vec![asking("h", wallet("hot")), asking("w", wallet("warm"))]),
        Conclusion::Holds
    );
    assert_eq!(
        prove(vec![asking("a", initiator("alice")), asking("b", initiator("bot"))]),
        Conclusion::Holds
    );
    assert!(is_violated(&prove(vec![asking("h", wallet("hot"))])));
    assert!(is_violated(&prove(vec![asking("b", initiator("bot"))])));
}

/// What both may do meets the same rules for both; only one of them may do more, and it adds up to more.
#[test]
fn what_is_the_same_for_two_initiators_counts_for_each() {
    let bot = Condition::Initiators(Initiators(one_of(&["bot"])));
    let asking = |id: &str, list: &str| require(id, vec![to_list(list), total_over(6)], treasury(2));
    let mut bundle = two_lists(
        vec![to("first", vec![]), to("second", vec![bot])],
        vec![asking("r", "first"), asking("s", "second")],
    );
    bundle.initiators = vec!["alice"];
    assert_eq!(bundle.prove(over_ten(), asks(2)), Conclusion::Holds);
    bundle.initiators = vec!["alice", "bot"];
    assert_eq!(bundle.prove(over_ten(), asks(2)), OPEN);
}

#[test]
fn other_assets_do_not_count_to_a_bound_of_one() {
    let of = |names: &[&str]| {
        let payments = Permit::new(rule("p"), vec![transfers(), assets(names)]).unwrap();
        Bundle::new(PolicyParts {
            permits: vec![payments],
            ..requires(vec![require(
                "r",
                vec![transfers(), assets(&["eth"]), total_over(10)],
                treasury(2),
            )])
        })
    };
    assert_eq!(of(&["demo", "eth"]).prove(over_ten(), asks(2)), Conclusion::Holds);
    // Of what the bundle does not know any sum may be over it.
    let anything = Bundle::new(PolicyParts {
        permits: vec![Permit::new(rule("p"), vec![transfers()]).unwrap()],
        ..requires(vec![require(
            "r",
            vec![transfers(), assets(&["eth"]), total_over(10)],
            treasury(2),
        )])
    });
    let found = anything.prove(over_ten(), asks(2));
    assert!(short(&witness(&found).0).contains("token:unlisted"), "{found:?}");
}

#[test]
fn rules_may_differ_by_when_and_by_what_is_said() {
    let office = Hours::new(
        "Etc/UTC".parse().unwrap(),
        Day::ALL.into_iter().collect(),
        32_400,
        61_200,
    )
    .unwrap();
    let noted = Attributes(BTreeMap::from([("note".parse().unwrap(), one_of(&["x"]))]));
    for when in [Condition::Hours(office), Condition::Attributes(noted)] {
        let requires = vec![require("r", vec![when.clone(), total_over(10)], treasury(2))];
        let within = Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![when.clone()])],
            requires: requires.clone(),
            ..PolicyParts::default()
        });
        assert_eq!(within.prove(over_ten(), asks(2)), Conclusion::Holds, "{when:?}");
        let always = any(super::tests::requires(requires));
        assert!(is_violated(&always.prove(over_ten(), asks(2))), "{when:?}");
    }
}

#[test]
fn money_is_settled_by_money() {
    let over = || vec![transfers(), worth_over(10)];
    let permits = || vec![Permit::new(rule("p"), vec![transfers()]).unwrap()];
    let bundle = |parts: PolicyParts| {
        Bundle::new(PolicyParts {
            permits: permits(),
            ..parts
        })
    };
    let asking = |dollars| requires(vec![require("r", vec![transfers(), worth_over(dollars)], treasury(2))]);
    assert_eq!(bundle(asking(10)).prove(over(), asks(2)), Conclusion::Holds);
    assert_eq!(bundle(asking(9)).prove(over(), asks(2)), Conclusion::Holds);
    assert!(is_violated(&bundle(asking(11)).prove(over(), asks(2))));
    let money = |currency| {
        let meter = Meter {
            window: Window::Transaction,
            hard: Ceiling::Money(currency, usd(10)),
            soft: None,
        };
        limits(Limit::new(rule("l"), vec![], [].into(), meter).unwrap())
    };
    assert_eq!(
        bundle(money(Currency::Usd)).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    assert!(is_violated(&bundle(money(Currency::Eur)).prove(over(), Promise::Deny)));
    // A bound of one asset says nothing of money, and the other way round.
    assert_ne!(
        any(limits(limit("l", "transaction", 10, None, &[]))).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    assert_ne!(
        any(money(Currency::Usd)).prove(over_ten(), Promise::Deny),
        Conclusion::Holds
    );
    // One sum for each asset is not one sum of money.
    let by_asset = Meter {
        window: Window::Transaction,
        hard: Ceiling::Money(Currency::Usd, usd(10)),
        soft: None,
    };
    let by_asset = limits(Limit::new(rule("l"), vec![], [ScopeBy::Asset].into(), by_asset).unwrap());
    assert_eq!(bundle(by_asset).prove(over(), Promise::Deny), OPEN);
}

#[test]
fn an_amount_is_settled_by_what_looks_at_it_in_the_same_way() {
    let over = || vec![transfers(), amount_over(10)];
    let forbids = |when| PolicyParts {
        forbids: vec![forbid("f", when)],
        ..PolicyParts::default()
    };
    assert_eq!(
        any(forbids(vec![transfers(), amount_over(10)])).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    assert!(is_violated(
        &any(forbids(vec![transfers(), amount_over(11)])).prove(over(), Promise::Deny)
    ));
    let asking = |seats| requires(vec![require("r", vec![transfers(), amount_over(10)], treasury(seats))]);
    assert_eq!(any(asking(2)).prove(over(), asks(2)), Conclusion::Holds);
    assert!(is_violated(&any(asking(1)).prove(over(), asks(2))));
    assert!(is_violated(&any(asking(2)).prove(over(), Promise::Deny)));
    assert_eq!(
        small(PolicyParts::default()).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    assert_eq!(
        any(limits(limit("l", "transaction", 10, None, &[]))).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    // Together they look at other sums than the invariant does.
    let both = forbids(vec![transfers(), amount_over(10), total_over(10)]);
    assert_eq!(any(both).prove(over(), Promise::Deny), OPEN);
    let capped = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![amount_max(10)]), to("customers", vec![])],
        ..PolicyParts::default()
    });
    let found = capped.prove(over(), Promise::Deny);
    assert!(
        short(&witness(&found).0).starts_with("transfer 11 ETH to a "),
        "{found:?}"
    );
}

#[test]
fn a_fee_is_capped_by_its_own_maximum() {
    let fees = |more: Vec<Condition>| {
        let permit = Permit::new(rule("fees"), [vec![effects(&[EffectKind::Fee])], more].concat()).unwrap();
        Bundle::new(PolicyParts {
            permits: vec![permit],
            ..PolicyParts::default()
        })
    };
    let max = |bound| Condition::FeeMax(FeeMax(bounds(&[("eth", bound)])));
    let over = || vec![effects(&[EffectKind::Fee]), amount_over(10)];
    assert_eq!(fees(vec![max(10)]).prove(over(), Promise::Deny), Conclusion::Holds);
    assert!(is_violated(&fees(vec![max(11)]).prove(over(), Promise::Deny)));
    // Two fees of ten: nothing looks at their sum, whatever they are a rate of.
    let rate = Condition::FeeRate(FeeRate(bounds(&[("eth", 1)])));
    let total = || vec![effects(&[EffectKind::Fee]), total_over(10)];
    assert_eq!(fees(vec![max(10)]).prove(total(), Promise::Deny), OPEN);
    assert_eq!(fees(vec![max(10), rate]).prove(total(), Promise::Deny), OPEN);
}

/// An allowance adds to the amount of a transfer to the same destination, and the limit does not count it.
#[test]
fn what_adds_to_an_amount_need_not_be_what_a_rule_counts() {
    let allowances = Permit::new(rule("q"), vec![effects(&[EffectKind::Allowance])]).unwrap();
    let bundle = |permits| {
        Bundle::new(PolicyParts {
            permits,
            limits: vec![limit("l", "transaction", 10, None, &[])],
            ..PolicyParts::default()
        })
    };
    let over = || vec![transfers(), amount_over(10)];
    assert_eq!(
        bundle(vec![permit("p", vec![])]).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    let both = bundle(vec![permit("p", vec![]), allowances]);
    assert_eq!(both.prove(over(), Promise::Deny), OPEN);
    let allowance = countersign_types::Effect::Allowance {
        asset: asset("eth"),
        amount: 6_u64.into(),
        spender: destination("a"),
    };
    let twice = withdrawal(&[transfer("eth", 6, "a"), allowance]);
    let invariant = Invariant::new(rule("inv"), over(), Promise::Deny).unwrap();
    assert!(!invariant.is_kept(both.setting().decide(&twice).as_ref()));
}

fn shares(more: Vec<Condition>, parts: PolicyParts) -> Bundle {
    let share = Condition::FeeShare(FeeShare::from_basis_points(100).unwrap());
    let fees = Permit::new(rule("fees"), [vec![effects(&[EffectKind::Fee]), share], more].concat()).unwrap();
    Bundle::new(PolicyParts {
        permits: [vec![fees], parts.permits].concat(),
        ..parts
    })
}

#[test]
fn shares_are_proven_without() {
    let over = || vec![effects(&[EffectKind::Fee]), amount_over(5)];
    let max = Condition::FeeMax(FeeMax(bounds(&[("eth", 5)])));
    let none = PolicyParts::default;
    assert_eq!(
        shares(vec![max], none()).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
    assert_eq!(
        shares(vec![], none()).prove(over(), Promise::Deny),
        Conclusion::Undecided(Doubt::FeeShares)
    );
    // A transfer of 600 and its fee of 6.
    let payments = PolicyParts {
        permits: vec![permit("p", vec![total_max(600)])],
        ..none()
    };
    let most = Condition::FeeMax(FeeMax(bounds(&[("eth", 6)])));
    let both = vec![effects(&[EffectKind::Transfer, EffectKind::Fee]), total_over(605)];
    let found = shares(vec![most], payments).prove(both, Promise::Deny);
    assert!(
        short(&witness(&found).0).starts_with("fee 6 ETH; transfer 600 ETH to "),
        "{found:?}"
    );
    // Every other kind of rule stays.
    let when = || vec![effects(&[EffectKind::Fee]), total_over(5)];
    let forbids = PolicyParts {
        forbids: vec![forbid("f", when())],
        ..none()
    };
    assert_eq!(shares(vec![], forbids).prove(over(), Promise::Deny), Conclusion::Holds);
    let requires = requires(vec![require("r", when(), treasury(2))]);
    assert_eq!(shares(vec![], requires).prove(over(), asks(2)), Conclusion::Holds);
    let cap = Limit::new(
        rule("l"),
        vec![effects(&[EffectKind::Fee])],
        [].into(),
        bounds(&[("eth", 5)]),
    )
    .unwrap();
    assert_eq!(
        shares(vec![], limits(cap)).prove(over(), Promise::Deny),
        Conclusion::Holds
    );
}

/// With every budget the answer is the final one, or that it ran out; and what suffices goes on sufficing.
#[test]
fn a_budget_that_runs_out_claims_nothing() {
    let mut bundle = any(requires(vec![require(
        "r",
        vec![transfers(), total_over(10)],
        treasury(2),
    )]));
    bundle.wallets = vec!["hot", "warm"];
    bundle.initiators = vec!["alice", "bot"];
    let invariant = Invariant::new(rule("inv"), over_ten(), asks(2)).unwrap();
    let prove = |steps| prove(&invariant, &bundle.setting(), Budget::new(steps));
    let enough = least(|steps| prove(steps) == Conclusion::Holds);
    for steps in (0..enough).step_by(97).chain(enough - 5..enough) {
        assert_eq!(
            prove(steps),
            Conclusion::Undecided(Doubt::RanOut),
            "{steps} of {enough}"
        );
    }
    assert_eq!(prove(enough + 1), Conclusion::Holds);
}

#[test]
fn a_budget_that_runs_out_without_shares_claims_nothing() {
    let max = Condition::FeeMax(FeeMax(bounds(&[("eth", 5)])));
    let bundle = shares(vec![max], PolicyParts::default());
    let when = vec![effects(&[EffectKind::Fee]), amount_over(5)];
    let invariant = Invariant::new(rule("inv"), when, Promise::Deny).unwrap();
    let prove = |steps| prove(&invariant, &bundle.setting(), Budget::new(steps));
    let enough = least(|steps| prove(steps) == Conclusion::Holds);
    assert!((0..enough).all(|steps| prove(steps) == Conclusion::Undecided(Doubt::RanOut)));
}
