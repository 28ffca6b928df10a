//! Lints, invariants and counterexamples over the dev bundle: one change at a time, and exactly what is said about it.

use countersign_bundle::{Bundle, Case, LintKind};
use countersign_policy::analysis::{Budget, Conclusion, Doubt, compare, prove};

use crate::support::{Files, dev, mutated, seal};

fn load(files: &Files) -> Bundle {
    Bundle::load(files).map_err(|errors| errors.to_string()).unwrap()
}

/// The dev bundle with what only production asks for, a cap on everything first of all: nothing is left to say but one thing.
fn capped() -> Files {
    let caps = "limits:\n  \
        - { id: outflow-day, effects: [transfer], scope: [], window: 24h, hard: \"20 ETH\" }\n  \
        - { id: demo-day, effects: [transfer], scope: [], window: 24h, hard: \"20000 DEMO\" }\n  \
        - { id: fee-day, effects: [fee], scope: [], window: 24h, hard: \"1 ETH\" }\n";
    let files = mutated("policy.yaml", "limits:\n", caps);
    let files = changed(
        files,
        "wallets.yaml",
        "first-nonce: 0",
        "first-nonce: 0, ages-from: signature",
    );
    changed(
        files,
        "roster.yaml",
        "members: [alice, bob, carol] }\nofficers",
        "members: [alice, bob, carol], time-lock: 24h }\nofficers",
    )
}

fn changed(mut files: Files, path: &str, from: &str, to: &str) -> Files {
    let text = String::from_utf8(files[path].clone()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` must stand once in {path}");
    files.insert(path.to_owned(), text.replace(from, to).into_bytes());
    seal(files)
}

fn lints(files: &Files) -> Vec<String> {
    let lints = load(files).lint(Budget::DEFAULT);
    assert!(!lints.ran_out);
    lints.findings.iter().map(ToString::to_string).collect()
}

const GUARD: &str = "policy.yaml:34:9: warning: lint/unreachable: forbid `no-code-or-authority` matches nothing that a permit \
                     could cover, today: it guards against permits to come";

#[test]
fn a_capped_policy_has_nothing_to_say_but_of_its_guard() {
    assert_eq!(lints(&capped()), [GUARD]);
}

/// What is replaced in policy.yaml, and the lint that comes of it.
const LINTS: &[(LintKind, &str, &str, &str)] = &[
    (
        LintKind::AllowAll,
        "    to: { list: customers }\n    amount: { max: { ETH: \"10 ETH\", DEMO: \"10000 DEMO\" } }\n",
        "",
        "policy.yaml:6:9: error: lint/allow-all: permit `customer-payouts` lets an outflow go anywhere in any amount: give it \
         `to`, `amount` or `total`",
    ),
    (
        LintKind::QuorumOfOne,
        "treasury: 2",
        "treasury: 1",
        "policy.yaml:19:9: warning: lint/quorum-of-one: require `two-of-treasury` is fulfilled by one person alone",
    ),
    (
        LintKind::QuorumOfOne,
        "limits:\n",
        "limits:\n  - { id: much, effects: [transfer], assets: [ETH], scope: [], window: transaction, soft: \"5 ETH\", hard: \"6 ETH\", \
         over-soft: { approvals: { treasury: 1 }, time-lock: 1h } }\n",
        "policy.yaml:26:11: warning: lint/quorum-of-one: limit `much` is fulfilled by one person alone",
    ),
    (
        LintKind::Unreachable,
        "      effects: [transfer]\n      total",
        "      effects: [allowance]\n      total",
        "policy.yaml:19:9: warning: lint/unreachable: require `two-of-treasury` matches nothing that a permit could cover",
    ),
    (
        LintKind::Unreachable,
        "permits:\n",
        "permits:\n  - { id: unlisted-only, effects: [allowance], wallets: [eth-hot], assets: [DEMO], to: { own: [eth-hot] }, \
         total: { max: { DEMO: \"1 DEMO\" } } }\n",
        "policy.yaml:6:11: warning: lint/unreachable: permit `unlisted-only` matches nothing that a permit could cover",
    ),
    (
        LintKind::Shadowed,
        "forbids:\n",
        "forbids:\n  - { id: too-much, when: { effects: [transfer], amount: { over: { ETH: \"9 ETH\" } } } }\n",
        "policy.yaml:34:11: warning: lint/shadowed: forbid `too-much` changes no decision about a payment: other rules decide \
         all that it matches",
    ),
    (
        LintKind::Shadowed,
        "requires:\n",
        "requires:\n  - { id: even-more, when: { effects: [transfer], total: { over: { ETH: \"7 ETH\" } } }, approvals: { treasury: 2 } }\n",
        "policy.yaml:19:11: warning: lint/shadowed: require `even-more` changes no decision about a payment: other rules decide \
         all that it matches",
    ),
    (
        LintKind::Shadowed,
        "permits:\n",
        "permits:\n  - { id: same-again, effects: [fee], wallets: [eth-hot], fee: { max: \"0.01 ETH\" } }\n",
        "policy.yaml:6:11: warning: lint/shadowed: permit `same-again` changes no decision about a payment: other rules decide \
         all that it matches",
    ),
    (
        LintKind::MissingCap,
        "scope: [], window: 24h, hard: \"1 ETH\"",
        "scope: [initiator], window: 24h, hard: \"1 ETH\"",
        "policy.yaml:1:1: warning: lint/missing-cap: a production genesis needs a limit over a window on every fee that a permit \
         lets out, and `eip155:31337/slip44:60` of wallet `eth-hot` has none: add one whose `scope` has nothing but asset, \
         wallet, network and tier, and whose conditions leave nothing of it out",
    ),
    (
        LintKind::AssetNeverPermitted,
        "    assets: [ETH, DEMO]\n",
        "    assets: [ETH]\n",
        "assets.yaml:1:1: warning: lint/asset-never-permitted: no withdrawal may ever move \
         `eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3`",
    ),
];

#[test]
fn each_mutation_is_linted() {
    for (kind, from, to, expected) in LINTS {
        let files = changed(capped(), "policy.yaml", from, to);
        let found = lints(&files);
        assert!(found.iter().any(|lint| lint == expected), "{kind:?}: {found:#?}");
        assert!(
            !lints(&capped()).contains(&(*expected).to_owned()),
            "the fixture has none of it"
        );
    }
}

#[test]
fn operators_who_are_most_of_a_group_are_told() {
    let files = changed(capped(), "roster.yaml", "operators: [dave]", "operators: [alice, bob]");
    let files = changed(files, "policy.yaml", "treasury: 2", "treasury: 1");
    let expected = "policy.yaml:19:9: warning: lint/operators-dominate: require `two-of-treasury` asks group `treasury`, most \
                    of whom operate `payout-service`: they do not count, and the rest decide";
    assert!(lints(&files).contains(&expected.to_owned()), "{:#?}", lints(&files));
}

/// What one person could do alone, or twice over, is told of the roster.
#[test]
fn duties_that_meet_in_one_person_are_told() {
    let told = |from: &str, to: &str, expected: &str| {
        let found = lints(&changed(capped(), "roster.yaml", from, to));
        assert_eq!(found, [GUARD, expected]);
    };
    told(
        "admins: { threshold: 2,",
        "admins: { threshold: 1,",
        "roster.yaml:1:1: warning: lint/quorum-of-one: one admin alone changes the policy and thaws what is frozen",
    );
    told(
        "officers: [dave]",
        "officers: []",
        "roster.yaml:1:1: warning: lint/nobody-freezes: `officers` is empty: nobody can freeze, tighten at once or veto a bundle",
    );
}

/// Whoever prepares a bundle hears before a production genesis refuses it, and which setting it is.
#[test]
fn what_production_refuses_is_told() {
    let told = |files: &Files, file: &str, setting: &str| {
        let expected = format!("{file}:1:1: warning: lint/development-only: ");
        let found = lints(files);
        let found: Vec<&String> = found
            .iter()
            .filter(|lint| lint.contains("lint/development-only"))
            .collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with(&expected) && found[0].contains(setting),
            "{found:#?}"
        );
        let refused = load(files).check_environment(true).unwrap_err().to_string();
        let message = found[0].strip_prefix(&expected).unwrap();
        assert!(refused.contains(message), "{refused}");
    };
    assert!(load(&capped()).check_environment(true).is_ok());
    let roster = |from: &str, to: &str| changed(capped(), "roster.yaml", from, to);
    told(&roster(", time-lock: 24h", ""), "roster.yaml", "time-lock");
    told(
        &roster("officers: [dave]\n", "officers: [dave]\nthaw-delay: 0s\n"),
        "roster.yaml",
        "`thaw-delay`",
    );
    let observed =
        "officers: [dave]\nobservers:\n  - { network: \"eip155:31337\", threshold: 1, members: [screening-service] }\n";
    let observed = roster("officers: [dave]\n", observed);
    let aging = changed(observed, "wallets.yaml", ", ages-from: signature", "");
    told(&aging, "roster.yaml", "observers of `eip155:31337`");
    told(
        &changed(capped(), "wallets.yaml", ", ages-from: signature", ""),
        "wallets.yaml",
        "ages-from",
    );
    let in_money =
        "requires:\n  - { id: large, when: { total: { over: { USD: \"10000 USD\" } } }, approvals: { treasury: 2 } }\n";
    told(
        &changed(capped(), "policy.yaml", "requires:\n", in_money),
        "roster.yaml",
        "price sources in USD",
    );
}

/// Carol is of the treasury and operates both services: harmless until the policy goes by their word.
#[test]
fn approvers_who_attest_are_told() {
    let approver = "policy.yaml:19:9: warning: lint/approver-attests: require `two-of-treasury` asks group `treasury`, and its \
                    member `carol` operates `screening-service`, by whose word payments are judged: one person checks twice";
    let screened = "requires:\n  \
        - { id: screening, attestations: [{ kind: sanctions, by: screening-service, max-age: 15m }] }\n";
    let booked = (
        "    to: { list: customers }\n",
        "    to: { address-book: address-book }\n",
    );
    let found = lints(&changed(capped(), "policy.yaml", "requires:\n", screened));
    let moved = approver.replace(":19:", ":20:");
    assert!(found.contains(&moved), "{found:#?}");
    let found = lints(&changed(capped(), "policy.yaml", booked.0, booked.1));
    let expected = approver.replace("screening-service", "address-book");
    assert!(found.contains(&expected), "{found:#?}");
    let apart = changed(capped(), "policy.yaml", booked.0, booked.1);
    let apart = changed(
        apart,
        "roster.yaml",
        "treasury, members: [alice, bob, carol]",
        "treasury, members: [alice, bob]",
    );
    let found = lints(&apart);
    assert!(
        !found.iter().any(|lint| lint.contains("approver-attests")),
        "{found:#?}"
    );
}

#[test]
fn a_cold_wallet_that_pays_is_told() {
    let files = changed(capped(), "wallets.yaml", "tier: hot", "tier: cold");
    assert!(lints(&files).iter().any(|lint| lint.contains("lint/cold-wallet-pays")));
}

#[test]
fn every_lint_has_its_row() {
    let docs = include_str!("../../../../docs/policy-rules.md");
    for kind in LintKind::ALL {
        let row = format!("| `{}` | {} |", kind.tag(), kind.severity().as_str());
        assert!(docs.contains(&row), "docs/policy-rules.md lacks a row `{row}`");
    }
}

fn with_invariants(files: Files, lines: &str) -> Files {
    changed(
        files,
        "policy.yaml",
        "forbids:\n",
        &format!("invariants:\n{lines}\nforbids:\n"),
    )
}

fn conclusion(files: &Files, budget: Budget) -> (Bundle, Conclusion) {
    let bundle = load(files);
    let conclusion = prove(&bundle.invariants()[0], &bundle.setting(), budget);
    (bundle, conclusion)
}

#[test]
fn what_the_policy_settles_is_proven_for_batches_too() {
    for holding in [
        "{ id: i, when: { effects: [transfer], total: { over: { ETH: \"0.1 ETH\" } } }, then: { approvals: { treasury: 2 } } }",
        "{ id: i, when: { effects: [transfer], amount: { over: { DEMO: \"100 DEMO\" } } }, then: { approvals: { treasury: 1 } } }",
        "{ id: i, when: { effects: [transfer], total: { over: { ETH: \"8 ETH\" } } }, then: deny }",
        "{ id: i, when: { to: { unknown: true } }, then: deny }",
        "{ id: i, when: { effects: [code-change, opaque] }, then: deny }",
        "{ id: i, when: { effects: [fee], amount: { over: { ETH: \"0.05 ETH\" } } }, then: deny }",
        "{ id: i, when: { tiers: [cold, warm] }, then: deny }",
    ] {
        let (_, found) = conclusion(&with_invariants(dev(), &format!("  - {holding}")), Budget::DEFAULT);
        assert_eq!(found, Conclusion::Holds, "{holding}");
    }
}

/// Every counterexample is a policy test that holds under the bundle, and whose decision breaks the promise.
#[test]
fn what_is_broken_comes_with_a_withdrawal_that_a_test_decides_again() {
    for broken in [
        "{ id: i, when: { effects: [transfer], total: { over: { ETH: \"0.1 ETH\" } } }, then: { approvals: { treasury: 3 } } }",
        "{ id: i, when: { effects: [transfer], total: { over: { ETH: \"0.09 ETH\" } } }, then: { approvals: { treasury: 2 } } }",
        "{ id: i, when: { effects: [transfer], total: { over: { ETH: \"7 ETH\" } } }, then: deny }",
        "{ id: i, when: { effects: [transfer] }, then: { time-lock: 1h } }",
        "{ id: i, then: deny }",
    ] {
        let files = with_invariants(dev(), &format!("  - {broken}"));
        let (bundle, found) = conclusion(&files, Budget::DEFAULT);
        let Conclusion::Violated(found) = found else {
            panic!("{broken}: {found:?}")
        };
        let (withdrawal, evaluation) = *found;
        assert!(!bundle.invariants()[0].is_kept(Some(&evaluation)));
        let text = bundle.case_yaml("it is \"broken\"", &withdrawal, &evaluation);
        let cases = Case::load("x.yaml", text.as_bytes(), &bundle)
            .map_err(|errors| format!("{errors}\n{text}"))
            .unwrap();
        let verdict = cases[0].run(&bundle);
        assert_eq!((verdict.difference, verdict.evaluation), (None, evaluation), "{text}");
    }
}

/// Two customers may be paid 0.1 each without anybody, and nothing adds them up but the total of the dev policy.
#[test]
fn sums_that_no_rule_settles_are_found_or_not_claimed() {
    let per_payment = changed(
        dev(),
        "policy.yaml",
        "total: { over: { ETH: \"0.1 ETH\", DEMO",
        "amount: { over: { ETH: \"0.1 ETH\", DEMO",
    );
    let line = "  - { id: i, when: { effects: [transfer], total: { over: { ETH: \"0.15 ETH\" } } }, then: { approvals: { treasury: 2 } } }";
    let (bundle, found) = conclusion(&with_invariants(per_payment, line), Budget::DEFAULT);
    let Conclusion::Violated(found) = found else {
        panic!("{found:?}")
    };
    assert_eq!(found.0.items.len(), 2, "a batch");
    let text = bundle.case_yaml("batch", &found.0, &found.1);
    assert_eq!(
        Case::load("x.yaml", text.as_bytes(), &bundle).unwrap()[0]
            .run(&bundle)
            .difference,
        None
    );
}

#[test]
fn a_search_that_ran_out_claims_nothing() {
    let line = "  - { id: i, when: { to: { unknown: true } }, then: deny }";
    let (_, found) = conclusion(&with_invariants(dev(), line), Budget::new(3));
    assert_eq!(found, Conclusion::Undecided(Doubt::RanOut));
    assert!(load(&dev()).lint(Budget::new(3)).ran_out);
}

/// What is changed in policy.yaml, and the reasons of the old policy for which a loosening is found; none where it only
/// tightens.
#[test]
fn a_comparison_names_every_way_in_which_a_policy_is_looser() {
    let table: [(&str, &str, &[&str]); 8] = [
        (
            "hard: \"8 ETH\"",
            "hard: \"9 ETH\"",
            &["limit/per-transaction-exceeded eth-per-transaction"],
        ),
        ("hard: \"8 ETH\"", "hard: \"7 ETH\"", &[]),
        (
            "approvals: { treasury: 2 }",
            "approvals: { treasury: 1 }",
            &["two-of-treasury"],
        ),
        ("approvals: { treasury: 2 }", "approvals: { treasury: 3 }", &[]),
        ("ETH: \"0.1 ETH\", DEMO", "ETH: \"0.2 ETH\", DEMO", &["two-of-treasury"]),
        (
            "fee: { max: \"0.05 ETH\" }",
            "fee: { max: \"0.06 ETH\" }",
            &["permit/uncovered"],
        ),
        ("    to: { list: customers }\n", "", &["permit/uncovered"]),
        (
            "hard: \"20 ETH\"",
            "hard: \"21 ETH\"",
            &["limit/window-exceeded outflow-day"],
        ),
    ];
    for (from, to, expected) in table {
        let (old, new) = (load(&capped()), load(&changed(capped(), "policy.yaml", from, to)));
        let found = compare(&old.setting(), &new.setting(), Budget::DEFAULT);
        assert!(!found.ran_out);
        let told: Vec<String> = found
            .loosenings
            .iter()
            .flat_map(|loosening| {
                let old = loosening.old.as_ref().unwrap();
                let reasons = old.reasons.iter().map(|reason| match &reason.rule {
                    Some(rule) => format!("{} {rule}", reason.tag),
                    None => reason.tag.to_string(),
                });
                let asked = old.requires.iter().map(|require| require.rule.to_string());
                reasons.chain(asked).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(told.is_empty(), expected.is_empty(), "{to}: {told:?}");
        assert!(
            expected.iter().all(|one| told.iter().any(|other| other == one)),
            "{to}: {told:?}"
        );
    }
}
