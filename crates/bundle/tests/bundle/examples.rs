//! The bundles of `policies/`: they load under a production genesis, their tests hold, and no rule is left untested.

use std::{collections::BTreeSet, fs, path::PathBuf};

use countersign_bundle::{BreakerCase, Bundle, Case, Verdict};
use countersign_policy::Outcome;
use countersign_types::Tag;

use crate::support::{Files, seal};

const FILES: [&str; 8] = [
    "assets.yaml",
    "destinations.yaml",
    "networks/bitcoin.yaml",
    "networks/ethereum.yaml",
    "networks/solana.yaml",
    "policy.yaml",
    "roster.yaml",
    "wallets.yaml",
];

fn read(name: &str, path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    fs::read(root.join(name).join(path)).unwrap()
}

fn files(name: &str) -> Files {
    let paths = FILES.iter();
    paths.map(|path| ((*path).to_owned(), read(name, path))).collect()
}

fn load(name: &str) -> Bundle {
    let files = files(name);
    Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap()
}

fn verdicts(name: &str, bundle: &Bundle) -> Vec<Verdict> {
    let cases = Case::load("tests/policy.yaml", &read(name, "tests/policy.yaml"), bundle);
    let cases = cases.map_err(|errors| errors.to_string()).unwrap();
    cases.iter().map(|case| case.run(bundle)).collect()
}

/// Every rule, as `permit x`, and what it takes to have tested it.
fn rules(bundle: &Bundle) -> BTreeSet<String> {
    let policy = bundle.policy();
    let mut rules = BTreeSet::new();
    rules.extend(policy.permits().map(|rule| format!("permit {} covers", rule.id())));
    rules.extend(policy.requires().map(|rule| format!("require {} asks", rule.id())));
    rules.extend(policy.forbids().map(|rule| format!("forbid {} denies", rule.id())));
    for limit in policy.limits() {
        rules.insert(format!("limit {} denies", limit.id()));
        if limit.meter().soft.is_some() {
            rules.insert(format!("limit {} asks", limit.id()));
        }
    }
    rules
}

/// What the tests of a bundle made its rules do.
fn done(verdicts: &[Verdict]) -> BTreeSet<String> {
    let mut done = BTreeSet::new();
    for evaluation in verdicts.iter().map(|verdict| &verdict.evaluation) {
        let is_allowed = matches!(evaluation.outcome, Outcome::Allow(_));
        let permits = evaluation.effects.iter().flat_map(|effect| &effect.permits);
        done.extend(
            permits
                .filter(|_| is_allowed)
                .map(|rule| format!("permit {rule} covers")),
        );
        let requires = evaluation.requires.iter().filter(|_| is_allowed);
        done.extend(requires.map(|require| format!("require {} asks", require.rule)));
        let soft = evaluation
            .limits
            .iter()
            .filter(|limit| is_allowed && limit.over_soft.is_some());
        done.extend(soft.map(|limit| format!("limit {} asks", limit.rule)));
        for reason in &evaluation.reasons {
            let kind = if reason.tag == Tag::ForbidMatched {
                "forbid"
            } else if [Tag::LimitWindowExceeded, Tag::LimitPerTransactionExceeded].contains(&reason.tag) {
                "limit"
            } else {
                continue;
            };
            done.extend(reason.rule.iter().map(|rule| format!("{kind} {rule} denies")));
        }
    }
    done
}

const DURABLE: &str = r#"schema: countersign.policy-tests/1
tests:
  - name: from the hot wallet, through an account that is listed
    initiator: payout-service
    tenant: exchange
    wallet: sol-hot
    network: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
    prices: { USDC: "1 USD", SOL: "150 USD" }
    effects:
      - { transfer: "900 USDC", to: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:78LvTzfKJtJwQ5tWD5E7pXuVCNQDrR7j6RY6jk3PcoBy", subject: customer-1, first-seen: false, entry-age: 90d, address-books: [address-book] }
      - { delayed-authorization: true, to: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:F25s3DdjXdCxYBhh2z8FBusVEMT4b9bGNFVKJi3wFoF4" }
      - { fee: "0.00001 SOL" }
    expect: { allow: {} }
  - name: through another one
    initiator: payout-service
    tenant: exchange
    wallet: sol-hot
    network: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
    prices: { USDC: "1 USD", SOL: "150 USD" }
    effects:
      - { delayed-authorization: true, to: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:78LvTzfKJtJwQ5tWD5E7pXuVCNQDrR7j6RY6jk3PcoBy" }
    expect: { deny: ["permit/uncovered"] }
  - name: from another wallet
    initiator: treasury-bot
    tenant: exchange
    wallet: sol-cold
    network: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
    prices: { USDC: "1 USD", SOL: "150 USD" }
    effects:
      - { delayed-authorization: true, to: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:F25s3DdjXdCxYBhh2z8FBusVEMT4b9bGNFVKJi3wFoF4" }
    expect: { deny: ["forbid/matched delayed-elsewhere", "permit/uncovered"] }
"#;

/// What `docs/policy.md` says to change for durable nonces, done to the exchange's bundle.
#[test]
fn the_exchange_pays_under_durable_nonces_as_the_docs_say() {
    let docs = include_str!("../../../../docs/policy.md");
    let (_, behind) = docs.split_once("### Durable nonces of Solana").unwrap();
    let block = behind.split("```").nth(1).unwrap();
    let (permits, forbids) = block
        .split_once("permits:\n")
        .unwrap()
        .1
        .split_once("forbids:\n")
        .unwrap();
    let mut files = files("exchange-hot");
    let mut change = |path: &str, from: &str, to: &str| {
        let text = String::from_utf8(files[path].clone()).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{path}: {from}");
        files.insert(path.to_owned(), text.replacen(from, to, 1).into_bytes());
    };
    change("policy.yaml", "\npermits:\n", &format!("\npermits:\n{permits}"));
    change("policy.yaml", "\nforbids:\n", &format!("\nforbids:\n{forbids}"));
    change(
        "policy.yaml",
        "code-change, delayed-authorization, contract-call",
        "code-change, contract-call",
    );
    let list = "lists:\n  - id: nonce-accounts\n    entries:\n      - { name: First, address: \
                \"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:F25s3DdjXdCxYBhh2z8FBusVEMT4b9bGNFVKJi3wFoF4\" }\n";
    change("destinations.yaml", "lists:\n", list);
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    let cases = Case::load("tests.yaml", DURABLE.as_bytes(), &bundle);
    let cases = cases.map_err(|errors| errors.to_string()).unwrap();
    let different: Vec<_> = cases.iter().filter_map(|case| case.run(&bundle).difference).collect();
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn they_load_under_a_production_genesis() {
    for name in ["exchange-hot", "treasury"] {
        let refused = load(name).check_environment(true).map_err(|errors| errors.to_string());
        assert_eq!(refused, Ok(()), "{name}");
    }
}

#[test]
fn their_tests_hold_and_make_every_rule_do_what_it_is_for() {
    for name in ["exchange-hot", "treasury"] {
        let bundle = load(name);
        let verdicts = verdicts(name, &bundle);
        let differences: Vec<String> = verdicts
            .iter()
            .filter_map(|verdict| Some(format!("{}: {}", verdict.name, verdict.difference.as_ref()?)))
            .collect();
        assert!(differences.is_empty(), "{name}\n{}", differences.join("\n"));
        let untested: Vec<String> = rules(&bundle).difference(&done(&verdicts)).cloned().collect();
        assert!(untested.is_empty(), "{name}: {untested:?}");
    }
}

/// Each breaker freezes all that it names in some test, and in another one, of the same count, nothing.
#[test]
fn their_breakers_are_tested() {
    for name in ["exchange-hot", "treasury"] {
        let bundle = load(name);
        let cases = BreakerCase::load("tests/policy.yaml", &read(name, "tests/policy.yaml"), &bundle);
        let cases = cases.map_err(|errors| errors.to_string()).unwrap();
        for case in &cases {
            assert_eq!(case.difference(&bundle), None, "{name}: {}", case.name());
        }
        let frozen: BTreeSet<String> = cases.iter().flat_map(|case| case.frozen(&bundle)).collect();
        for breaker in bundle.policy().breakers() {
            for what in breaker.freezes() {
                assert!(
                    frozen.contains(&format!("{} {what}", breaker.id())),
                    "{name}: {}",
                    breaker.id()
                );
            }
        }
        let quiet = cases.iter().filter(|case| case.frozen(&bundle).is_empty());
        assert!(quiet.count() >= bundle.policy().breakers().count(), "{name}");
    }
}

/// The networks are the templates of `chains/`, so that a correction there is not forgotten here.
#[test]
fn their_networks_are_the_templates() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../chains");
    for (file, template) in [
        ("networks/bitcoin.yaml", "bitcoin/networks/bitcoin.yaml"),
        ("networks/ethereum.yaml", "evm/networks/ethereum.yaml"),
        ("networks/solana.yaml", "solana/networks/mainnet.yaml"),
    ] {
        for name in ["exchange-hot", "treasury"] {
            assert_eq!(
                read(name, file),
                fs::read(root.join(template)).unwrap(),
                "{name} {file}"
            );
        }
    }
}
