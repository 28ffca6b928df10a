use countersign_types::Duration;

use super::*;
use crate::{
    Ceiling, Initiators, Meter, Permit, PolicyParts, RuleKind, ScopeBy, Subjects, Tiers, Wallets, Window,
    analysis::testing::{
        Bundle, Visits, amount_over, assets, effects, forbid, least, limit, lists, permit, require, short, to_list,
        total_max, total_over, transfers, treasury, unlisted,
    },
    testing::{asset, one_of, rule},
};

#[test]
fn a_budget_is_so_many_steps() {
    let mut budget = Budget::new(2);
    assert!(budget.take() && budget.take());
    assert!(!budget.take() && !budget.take());
}

/// Which of the rules stay for each region that is entered: the texts of the first withdrawals, and the rules by number.
#[derive(Default)]
struct Regions {
    entered: Vec<(String, Vec<usize>)>,
    tells_askers_apart: bool,
}

impl Visitor for Regions {
    fn is_worth(&self, _: &[Rule<'_>], active: &[bool]) -> bool {
        active.last() == Some(&true)
    }

    fn enter(&mut self, _: &[Rule<'_>], active: &[bool], withdrawal: &Withdrawal) -> bool {
        let numbers = active.iter().enumerate().filter(|(_, is_active)| **is_active);
        self.entered
            .push((short(withdrawal), numbers.map(|(n, _)| n).collect()));
        false
    }

    fn visit(&mut self, withdrawal: &Withdrawal) {
        panic!("{withdrawal}");
    }

    fn tells_askers_apart(&self) -> bool {
        self.tells_askers_apart
    }
}

/// The regions that conditions beside the policy select.
fn regions(bundle: &Bundle, beside: Vec<Condition>, tells_askers_apart: bool) -> Vec<(String, Vec<usize>)> {
    let conditions = Conditions::new(&rule("inv"), RuleKind::Require, beside).unwrap();
    let setting = bundle.setting();
    let (settings, beside) = ([&setting], [&conditions]);
    let mut walk = Walk::new(&settings, &beside, Budget::DEFAULT);
    let mut regions = Regions {
        tells_askers_apart,
        ..Regions::default()
    };
    walk.run(&mut regions);
    regions.entered
}

/// Transfers of ETH to one customer, never paid before: one region where no rule tells more apart.
fn narrow(more: Vec<Condition>) -> Vec<Condition> {
    [
        vec![
            transfers(),
            assets(&["eth"]),
            Condition::Subjects(Subjects(one_of(&["x"]))),
        ],
        more,
    ]
    .concat()
}

#[test]
fn rules_leave_when_they_can_match_no_more() {
    let first_seen = Condition::To(To::FirstSeen);
    let bundle = Bundle::new(PolicyParts {
        permits: vec![
            permit("p", vec![to_list("customers")]),
            permit("q", vec![first_seen.clone()]),
        ],
        requires: vec![require("r", vec![first_seen], treasury(1))],
        limits: vec![limit("l", "24h", 9, None, &[])],
        forbids: vec![forbid("f", vec![unlisted()])],
    });
    let found = regions(&bundle, narrow(vec![]), false);
    let text = |to: &str, history: &str| format!("transfer 1 ETH to {to} for x{history}");
    let (new, old) = (", never paid before", ", paid before");
    let expected = [
        // 0 and 1 are permits, 2 the require, 3 the limit, 4 the forbid, 5 what is asked about.
        (text("stranger-1", new), vec![1, 2, 3, 4, 5]),
        (text("stranger-1", old), vec![3, 4, 5]),
        // Unknown: out of the permit, not out of the require.
        (text("stranger-1", ""), vec![2, 3, 4, 5]),
        (text("a", ", never paid before, entry 1d old"), vec![0, 1, 2, 3, 5]),
        (text("a", ", paid before, entry 1d old"), vec![0, 3, 5]),
        (text("a", ", entry 1d old"), vec![0, 2, 3, 5]),
    ];
    // Then the same for a customer who is not known, and may be the one that is named.
    let nobody = |(text, numbers): &(String, Vec<usize>)| (text.replace(" for x", ""), numbers.clone());
    let (strangers, listed) = expected.split_at(3);
    let unknown = |regions: &[_]| regions.iter().map(nobody).collect::<Vec<_>>();
    assert_eq!(
        found,
        [strangers, &unknown(strangers), listed, &unknown(listed)].concat()
    );
}

#[test]
fn cells_that_meet_the_same_rules_are_one_region() {
    let mut bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![])],
        ..PolicyParts::default()
    });
    let count = |bundle: &Bundle| regions(bundle, narrow(vec![to_list("customers")]), false).len();
    let one = count(&bundle);
    bundle.wallets = vec!["hot", "warm"];
    bundle.initiators = vec!["alice", "bot"];
    assert_eq!(count(&bundle), one, "nobody asks which wallet or who");
    assert_eq!(
        regions(&bundle, narrow(vec![to_list("customers")]), true).len(),
        4 * one
    );
    for condition in [
        Condition::Wallets(Wallets(one_of(&["hot"]))),
        Condition::Initiators(Initiators(one_of(&["bot"]))),
    ] {
        let mut told = Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![]), permit("q", vec![condition.clone()])],
            ..PolicyParts::default()
        });
        told.wallets.clone_from(&bundle.wallets);
        told.initiators.clone_from(&bundle.initiators);
        assert_eq!(count(&told), 2 * one, "{condition:?}");
    }
    // All wallets are of one tier.
    let tier = Condition::Tiers(Tiers([countersign_types::Tier::Hot].into_iter().collect()));
    let mut told = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![]), permit("q", vec![tier])],
        ..PolicyParts::default()
    });
    told.wallets.clone_from(&bundle.wallets);
    assert_eq!(count(&told), one);
}

#[test]
fn own_addresses_stay_apart_where_moves_go() {
    let moves = Permit::new(
        rule("m"),
        vec![effects(&[EffectKind::Internal]), assets(&["eth"]), to_list("vaults")],
    )
    .unwrap();
    let mut bundle = Bundle::new(PolicyParts {
        permits: vec![moves],
        ..PolicyParts::default()
    });
    bundle.wallets = vec!["cold", "hot"];
    bundle.lists = lists(&[("others", &["cold"]), ("vaults", &["hot"])]);
    let moved = regions(&bundle, vec![effects(&[EffectKind::Internal]), assets(&["eth"])], false);
    let expected = [
        ("internal 1 ETH to own wallet cold".to_owned(), vec![1]),
        ("internal 1 ETH to own wallet hot".to_owned(), vec![0, 1]),
    ];
    assert_eq!(moved, expected);
}

#[test]
fn what_has_an_entry_has_an_age() {
    let hour = Condition::To(To::EntryUnder(Duration::from_secs(3_600)));
    let book = Condition::To(To::AddressBook("book".parse().unwrap()));
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![book])],
        forbids: vec![forbid("f", vec![hour])],
        ..PolicyParts::default()
    });
    let visits = bundle.walk(&[]);
    let eth = visits
        .of(EffectKind::Transfer)
        .into_iter()
        .filter(|text| text.contains("ETH"));
    let ages = |to: &str, is_in_book: bool| {
        let of = |text: &String| {
            text.contains(&format!("to {to} for customer-1, paid before")) && text.contains("in the book") == is_in_book
        };
        let ages = eth.clone().filter(of);
        ages.map(|text| {
            text.split_once(", entry ")
                .map(|(_, age)| age.split_once(' ').unwrap().0.to_owned())
        })
        .collect::<BTreeSet<_>>()
    };
    // An unknown age meets the same rules as a young one.
    let both = BTreeSet::from([Some("1h".to_owned()), Some("3599s".to_owned())]);
    assert_eq!(ages("a", false), both);
    assert_eq!(ages("a", true), both);
    assert_eq!(ages("stranger-1", true), both);
    assert_eq!(ages("stranger-1", false), BTreeSet::from([None]));
}

#[test]
fn books_are_asked_for_known_customers_alone() {
    let book = Condition::To(To::AddressBook("book".parse().unwrap()));
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![book])],
        ..PolicyParts::default()
    });
    let visits = bundle.walk(&[]);
    let in_book: Vec<&Withdrawal> = visits.whole.iter().filter(|one| one.items[0].books.is_some()).collect();
    assert!(!in_book.is_empty());
    assert!(
        in_book
            .iter()
            .all(|one| one.items[0].subject.is_some() && one.items[0].effect.destination().is_some())
    );
    let kinds: BTreeSet<EffectKind> = in_book.iter().map(|one| one.items[0].effect.kind()).collect();
    assert!(
        kinds.contains(&EffectKind::Transfer)
            && !kinds.contains(&EffectKind::Internal)
            && !kinds.contains(&EffectKind::Fee)
    );
}

#[test]
fn calls_alone_have_functions() {
    let selector = countersign_types::Selector([1, 2, 3, 4]);
    let named = Condition::Selectors(crate::Selectors([selector].into_iter().collect()));
    let calls = Permit::new(rule("p"), vec![effects(&[EffectKind::ContractCall]), named]).unwrap();
    let visits = Bundle::new(PolicyParts {
        permits: vec![calls],
        ..PolicyParts::default()
    })
    .walk(&[]);
    assert_eq!(visits.of(EffectKind::ContractCall).len(), 2 * 2 * 2 * 3);
    assert_eq!(visits.of(EffectKind::DelayedAuthorization).len(), 2 * 2 * 3);
}

/// Where only transfers are permitted, functions take no steps, however many are named.
#[test]
fn functions_of_no_call_are_not_looked_at() {
    let steps = |count: u8| {
        let selectors = (1..=count).map(|n| countersign_types::Selector([n; 4]));
        let named = Condition::Selectors(crate::Selectors(selectors.collect()));
        let bundle = Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![])],
            forbids: vec![forbid("f", vec![named])],
            ..PolicyParts::default()
        });
        least(|steps| !crate::analysis::survey(&bundle.setting(), Budget::new(steps)).ran_out)
    };
    assert_eq!(steps(1), steps(9));
}

#[test]
fn what_the_bundle_does_not_know_is_met_by_no_rule() {
    let (old, mut new) = (
        Bundle::new(PolicyParts::default()),
        Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![])],
            ..PolicyParts::default()
        }),
    );
    new.wallets = vec!["hot", "warm"];
    let (old, new) = (old.setting(), new.setting());
    let settings = [&new, &old];
    let walk = Walk::new(&settings, &[], Budget::DEFAULT);
    let mut withdrawal = walk.start().unwrap();
    let site = |withdrawal: &Withdrawal| walk.narrow(Attribute::Site, withdrawal, &vec![true; 1]);
    assert_eq!(site(&withdrawal), [true]);
    withdrawal.wallet = "warm".parse().unwrap();
    assert_eq!(site(&withdrawal), [true]);
    let settings = [&old, &new];
    let walk = Walk::new(&settings, &[], Budget::DEFAULT);
    withdrawal.wallet = "cold".parse().unwrap();
    assert_eq!(walk.narrow(Attribute::Site, &withdrawal, &vec![true; 1]), [false]);
}

#[test]
fn a_walk_without_anybody_who_asks_visits_nothing() {
    let mut bundle = Bundle::new(PolicyParts::default());
    bundle.initiators.clear();
    assert_eq!(bundle.walk(&[]).entered, 0);
    bundle.initiators = vec!["bot"];
    bundle.wallets.clear();
    assert_eq!(bundle.walk(&[]).entered, 0);
}

#[test]
fn every_step_counts() {
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![total_max(10)])],
        ..PolicyParts::default()
    });
    let setting = bundle.setting();
    let settings = [&setting];
    let visits = |steps| {
        let mut walk = Walk::new(&settings, &[], Budget::new(steps));
        let mut visits = Visits::default();
        walk.run(&mut visits);
        (visits.whole.len(), walk.ran_out)
    };
    let enough = least(|steps| !visits(steps).1);
    let (all, _) = visits(enough);
    assert_eq!(visits(enough + 1_000), (all, false));
    let (mut before, _) = visits(enough - 12);
    for steps in enough - 11..enough {
        let (now, ran_out) = visits(steps);
        assert!(
            ran_out && (before..=before + 1).contains(&now),
            "{steps}: {before} to {now}"
        );
        before = now;
    }
    assert_eq!(before, all - 1, "the last step is a withdrawal");
}

#[test]
fn bounds_are_those_of_the_rules_that_are_left() {
    let meter = Meter {
        window: Window::Transaction,
        hard: Ceiling::NewDestinations(7),
        soft: Some((Ceiling::NewDestinations(2), treasury(1))),
    };
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![total_max(1)])],
        requires: vec![require("r", vec![amount_over(2), total_over(3)], treasury(1))],
        limits: vec![
            limit("l", "24h", 9, Some((4, treasury(1))), &[ScopeBy::Wallet]),
            Limit::new(rule("n"), vec![], [].into(), meter).unwrap(),
        ],
        ..PolicyParts::default()
    });
    let setting = bundle.setting();
    let settings = [&setting];
    let walk = Walk::new(&settings, &[], Budget::DEFAULT);
    let all = |active: [bool; 4], sums_only| {
        let bounds = walk.bounds(&active.to_vec(), sums_only);
        let numbers = bounds.iter().filter_map(|bounds| bounds.bound(&asset("eth")));
        numbers.map(|bound| bound.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(all([true; 4], false), ["1", "2", "3", "9", "4"]);
    assert_eq!(all([true; 4], true), ["1", "3", "9", "4"]);
    assert_eq!(all([false, true, false, true], false), ["2", "3"]);
    assert_eq!(all([false; 4], false), [""; 0]);
    assert_eq!(walk.new_destinations(&vec![true; 4]), BTreeSet::from([2, 7]));
    assert_eq!(walk.new_destinations(&vec![true, true, true, false]), BTreeSet::new());
}

#[test]
fn nothing_is_covered_where_every_permit_is_out() {
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![]), permit("q", vec![])],
        forbids: vec![forbid("f", vec![unlisted()])],
        ..PolicyParts::default()
    });
    let setting = bundle.setting();
    let settings = [&setting, &setting];
    let walk = Walk::new(&settings, &[], Budget::DEFAULT);
    let is_uncovered = |active: [bool; 6], setting| is_uncovered(&walk.rules, &active, setting);
    assert!(is_uncovered([false, false, true, true, true, true], 0));
    assert!(!is_uncovered([false, true, true, false, false, true], 0));
    assert!(is_uncovered([false, true, true, false, false, true], 1));
    assert!(!is_uncovered([false, false, true, true, false, true], 1));
}
