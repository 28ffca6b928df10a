//! Policy tests: those of `policies/dev` hold, each fails when its expectation is changed, and mistakes are told.

use countersign_bundle::{Bundle, Case};

use crate::support::{dev, seal};

const TESTS: &str = include_str!("../../../../policies/dev/tests/policy.yaml");

fn bundle() -> Bundle {
    Bundle::load(&dev()).map_err(|errors| errors.to_string()).unwrap()
}

fn differences(bundle: &Bundle, text: &str) -> Vec<String> {
    let cases = Case::load("tests/policy.yaml", text.as_bytes(), bundle)
        .map_err(|errors| errors.to_string())
        .unwrap();
    cases.iter().filter_map(|case| case.run(bundle).difference).collect()
}

#[test]
fn the_dev_tests_hold() {
    let none: [String; 0] = [];
    assert_eq!(differences(&bundle(), TESTS), none);
}

#[test]
fn a_wrong_expectation_is_told_with_what_was_found() {
    let table = [
        (
            "{ allow: {} }",
            "{ allow: { treasury: 1 } }",
            "expected allow by 1 of treasury after 0s, found allow by nobody after 0s",
        ),
        (
            "{ allow: {} }",
            "{ allow: {}, time-lock: 1h }",
            "expected allow by nobody after 1h, found allow by nobody after 0s",
        ),
        (
            "{ allow: {} }",
            "{ deny: [\"permit/uncovered\"] }",
            "expected deny with permit/uncovered, found allow by nobody after 0s",
        ),
        (
            "eth-per-transaction\"]",
            "demo-per-transaction\"]",
            "expected deny with limit/per-transaction-exceeded demo-per-transaction, found deny with \
             limit/per-transaction-exceeded eth-per-transaction",
        ),
        (
            ", \"permit/uncovered\"] }",
            "] }",
            "expected deny with forbid/matched no-code-or-authority, found deny with forbid/matched no-code-or-authority, \
             permit/uncovered",
        ),
    ];
    for (from, to, expected) in table {
        assert_eq!(TESTS.matches(from).count(), 1, "{from} must stand once");
        assert_eq!(differences(&bundle(), &TESTS.replace(from, to)), [expected], "{to}");
    }
    let any_limit = TESTS.replace("exceeded eth-per-transaction", "exceeded");
    assert!(
        differences(&bundle(), &any_limit).is_empty(),
        "a tag alone stands for any rule"
    );
}

#[test]
fn mistakes_are_told_with_their_place() {
    let table = [
        (
            "schema: countersign.policy-tests/1",
            "schema: x",
            "tests/policy.yaml:2:9: `schema` must be `countersign.policy-tests/1`",
        ),
        (
            "\"8.1 ETH\"",
            "\"8.1 BTC\"",
            "tests/policy.yaml:38:21: unknown asset `BTC`: assets.yaml has no asset with this symbol",
        ),
        (
            "opaque: true,",
            "opaque: false,",
            "tests/policy.yaml:56:9: an effect is exactly one of `transfer`, `internal`, `fee`, `allowance`, `call`, `opaque: true`, `authority-change: true`, `code-change: true`, `delayed-authorization: true` and `personal-message: true`",
        ),
        (
            "{ allow: {} }",
            "{}",
            "tests/policy.yaml:12:13: `expect` needs `allow` with seats (`{}` for none), or `deny` with tags",
        ),
        (
            "{ allow: {} }",
            "{ permit: {} }",
            "tests/policy.yaml:12:15: unknown field `permit`, expected one of allow, time-lock, deny",
        ),
    ];
    for (from, to, expected) in table {
        let text = TESTS.replace(from, to);
        let errors = Case::load("tests/policy.yaml", text.as_bytes(), &bundle())
            .map(drop)
            .unwrap_err();
        assert_eq!(errors.to_string(), expected, "{to}");
    }
}

/// History, prices and what is known of destinations reach the rules.
#[test]
fn what_a_test_says_of_history_counts() {
    let mut files = dev();
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replace(
        "limits:\n",
        "limits:\n  - { id: day, effects: [transfer], scope: [], window: 24h, hard: \"1000 USD\" }\n  \
         - { id: new, effects: [transfer], scope: [], window: 24h, new-destinations: 1 }\n",
    );
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    let case = |first_seen: &str, prices: &str, spent: &str, expect: &str| {
        format!(
            "schema: countersign.policy-tests/1\ntests:\n  - name: history\n    initiator: payout-service\n    tenant: demo\n    \
             wallet: eth-hot\n    network: \"eip155:31337\"\n    prices: {{ {prices} }}\n    spent: {{ {spent} }}\n    effects:\n      \
             - {{ transfer: \"0.1 ETH\", to: \"eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"{first_seen} }}\n    \
             expect: {{ {expect} }}\n"
        )
    };
    let (seen, new) = (", first-seen: false", ", first-seen: true");
    let dollars = "ETH: \"3000 USD\"";
    for text in [
        case(seen, dollars, "day: \"700 USD\"", "allow: {}"),
        case(
            seen,
            dollars,
            "day: \"700.01 USD\"",
            "deny: [\"limit/window-exceeded day\"]",
        ),
        case(seen, "", "", "deny: [\"limit/unknown-amount day\"]"),
        case(new, dollars, "", "allow: {}"),
        case(new, dollars, "new: \"1\"", "deny: [\"limit/window-exceeded new\"]"),
        case("", dollars, "", "deny: [\"limit/unknown-amount new\"]"),
    ] {
        let none: [String; 0] = [];
        assert_eq!(differences(&bundle, &text), none, "{text}");
    }
}
