//! Policy tests: those of `policies/dev` hold, each fails when its expectation is changed, and mistakes are told.

use countersign_bundle::{BreakerCase, Bundle, Case};

use crate::support::{dev, mutated, seal};

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
            "tests/policy.yaml:2:9: bundle/bad-value: `schema` must be `countersign.policy-tests/1`",
        ),
        (
            "\"8.1 ETH\"",
            "\"8.1 BTC\"",
            "tests/policy.yaml:38:21: bundle/unknown-name: unknown asset `BTC`: assets.yaml has no asset with this symbol",
        ),
        (
            "opaque: true,",
            "opaque: false,",
            "tests/policy.yaml:56:9: bundle/bad-value: an effect is exactly one of `transfer`, `internal`, `fee`, `allowance`, `call`, `opaque: true`, `authority-change: true`, `code-change: true`, `delayed-authorization: true` and `personal-message: true`",
        ),
        (
            "{ allow: {} }",
            "{}",
            "tests/policy.yaml:12:13: bundle/bad-value: `expect` needs `allow` with seats (`{}` for none), or `deny` with tags",
        ),
        (
            "{ allow: {} }",
            "{ permit: {} }",
            "tests/policy.yaml:12:15: bundle/unknown-field: unknown field `permit`, expected one of allow, time-lock, attestations, deny",
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

/// One test of the first payment, a change of it, and the place in it that is wrong: what could not reach the policy would be
/// decided all the same, and the decision would mean something else than its author reads.
#[test]
fn a_test_speaks_of_what_there_is() {
    let first = TESTS.split("  - name: a larger one").next().unwrap();
    let pay = "{ transfer: \"0.1 ETH\", to: \"eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8\", subject: customer-1 }";
    let to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let limits = "limits:\n  - { id: day, effects: [transfer], scope: [], window: 24h, hard: \"9 ETH\" }\n  - { id: dollars, \
                  effects: [transfer], scope: [], window: 24h, hard: \"9 USD\" }\n  - { id: rate, scope: [], window: 1h, count: 3 }\n";
    let mut files = dev();
    let policy = String::from_utf8(files["policy.yaml"].clone())
        .unwrap()
        .replace("limits:\n", limits);
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    let spent = |text: &str| format!("    spent: {{ {text} }}\n    effects:\n");
    let prices = |text: &str| format!("    prices: {{ {text} }}\n    effects:\n");
    for (from, to, expected) in [
        (
            "initiator: payout-service",
            "initiator: alice",
            "5:16: bundle/unknown-name: unknown initiator `alice`: roster.yaml does not list it",
        ),
        (
            "tenant: demo",
            "tenant: demos",
            "6:13: bundle/unknown-name: unknown tenant `demos`",
        ),
        (
            "wallet: eth-hot",
            "wallet: eth-hott",
            "7:13: bundle/unknown-name: unknown wallet `eth-hott`",
        ),
        (
            "eip155:31337\"\n",
            "eip155:1\"\n",
            "8:14: bundle/unknown-name: unknown network `eip155:1`",
        ),
        (
            to,
            "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
            "10:36: bundle/bad-address: `eip155:31337:0x70997970c51812dc3a010c7d01b50e0d17dc79c8`: the address does not carry",
        ),
        (
            to,
            "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
            "10:36: bundle/bad-address: `eip155:31337:0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf`: the address is wallet `eth-hot`",
        ),
        (
            "eip155:31337:0x",
            "eip155:1:0x",
            "10:36: bundle/bad-address: `eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8`: the address is of another network",
        ),
        (
            "subject: customer-1",
            "subject: customer-1, address-books: [nobody]",
            "unknown service `nobody`",
        ),
        (
            "subject: customer-1",
            "subject: customer-1, words: [\"1\"]",
            "this kind of effect has no such field",
        ),
        (
            "subject: customer-1",
            "subject: customer-1, wallet: eth-hot",
            "this kind of effect has no such field",
        ),
        (
            "fee: \"0.001 ETH\"",
            "fee: \"0.001 ETH\", subject: customer-1",
            "11:38: bundle/unknown-field: this kind of effect has no such field",
        ),
        (
            "    effects:\n",
            &spent("eth-per-transaction: \"1 ETH\""),
            "9:35: bundle/bad-value: the limit is of one transaction",
        ),
        (
            "    effects:\n",
            &spent("day: \"1 DEMO\""),
            "9:19: bundle/bad-amount: the limit counts another asset",
        ),
        ("    effects:\n", &spent("day: \"500 USD\""), "9:19: "),
        (
            "    effects:\n",
            &spent("day: \"5\""),
            "9:19: bundle/bad-amount: an amount is written",
        ),
        (
            "    effects:\n",
            &prices("ETH: \"2500\""),
            "9:20: bundle/bad-amount: a price is written `2500 USD`: a number, one space, a currency",
        ),
        (
            "    effects:\n",
            &prices("ETH: \"2500 DEMO\""),
            "9:20: bundle/bad-amount: a price is written `2500 USD`: a number, one space, a currency",
        ),
        (
            "    effects:\n",
            &prices("ETHER: \"2500 USD\""),
            "9:22: bundle/unknown-name: unknown asset `ETHER`: assets.yaml has no asset with this symbol",
        ),
        (
            "    effects:\n",
            &spent("dollars: \"5 ETH\""),
            "9:23: bundle/bad-amount: the limit counts money in its currency",
        ),
        (
            "    effects:\n",
            &spent("dollars: \"5 EUR\""),
            "9:23: bundle/bad-amount: the limit counts money in its currency",
        ),
        (
            "    effects:\n",
            &spent("rate: \"5 ETH\""),
            "9:20: bundle/bad-value: the limit counts transactions",
        ),
        (
            "{ allow: {} }",
            "{ allow: {}, attestations: [{ kind: sanctions, by: nobody, max-age: 1m }] }",
            "unknown service `nobody`",
        ),
        (
            "{ allow: {} }",
            "{ allow: {}, attestations: [{ kind: sanction, by: desk, max-age: 1m }] }",
            "`sanction` is not one of",
        ),
        (
            "{ allow: {} }",
            "{ deny: [permit/uncovered], time-lock: 1m }",
            "12:13: bundle/bad-value: `expect` needs",
        ),
    ] {
        let text = first.replacen(from, to, 1);
        assert_ne!(text, first, "{from}");
        let errors = Case::load("t", text.as_bytes(), &bundle)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(errors.contains(expected) && errors.starts_with("t:"), "{to}: {errors}");
    }
    assert!(first.contains(pay), "the fixture");
    let twice = format!("{first}{}", first.split("tests:\n").nth(1).unwrap());
    let errors = Case::load("t", twice.as_bytes(), &bundle)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert_eq!(
        errors,
        "t:13:11: bundle/listed-twice: test `a small payment needs nobody` is listed twice"
    );
    // What the analysis makes up stands for any that no rule names.
    let stranger = first
        .replace(to, "stranger-1")
        .replace("{ allow: {} }", "{ deny: [\"permit/uncovered\"] }");
    let none: [String; 0] = [];
    assert_eq!(differences(&Bundle::load(&dev()).unwrap(), &stranger), none);
}

/// A test may say what must be attested; where it does, exactly that.
#[test]
fn attestations_are_compared_where_a_test_names_them() {
    let mut files = dev();
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replace(
        "requires:\n",
        "requires:\n  - { id: screened, when: { effects: [transfer] }, attestations: [{ kind: sanctions, by: screening-service, max-age: \
         15m }] }\n",
    );
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    let first = TESTS.split("  - name: a larger one").next().unwrap();
    let asked = |expect: &str| differences(&bundle, &first.replace("{ allow: {} }", expect));
    let none: [String; 0] = [];
    assert_eq!(asked("{ allow: {} }"), none);
    let screening = "{ kind: sanctions, by: screening-service, max-age: 15m }";
    assert_eq!(asked(&format!("{{ allow: {{}}, attestations: [{screening}] }}")), none);
    let found = "found allow by nobody after 0s, with sanctions by screening-service at most 15m old";
    for wrong in [
        String::new(),
        screening.replace("15m", "16m"),
        screening.replace("sanctions", "travel-rule"),
        screening.replace("screening-service", "address-book"),
        format!("{screening}, {}", screening.replace("sanctions", "travel-rule")),
    ] {
        let differences = asked(&format!("{{ allow: {{}}, attestations: [{wrong}] }}"));
        assert!(
            differences.len() == 1 && differences[0].ends_with(found),
            "{differences:?}"
        );
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

const BREAKERS: &str = "breakers:
  - { id: rejected-twice, when: { rejections-on-lineage: 2 }, freeze: [initiator] }
  - { id: many-strangers, when: { new-destinations: 20, within: 1h }, freeze: [wallet, tenant] }
  - { id: everywhere-at-once, when: { networks: 3, within: 10m }, freeze: [all] }
forbids:
";

fn with_breakers() -> Bundle {
    Bundle::load(&mutated("policy.yaml", "forbids:\n", BREAKERS)).unwrap()
}

fn breaker_cases(counted: &str, expect: &str) -> Result<Vec<BreakerCase>, String> {
    let text = format!("{TESTS}breakers:\n  - {{ name: one, counted: {counted}, expect: {expect} }}\n");
    BreakerCase::load("t", text.as_bytes(), &with_breakers()).map_err(|errors| errors.to_string())
}

#[test]
fn what_is_counted_freezes_what_the_breaker_names_and_nothing_else() {
    for (counted, frozen) in [
        ("{ rejections-on-lineage: 1 }", "[]"),
        ("{ rejections-on-lineage: 2 }", "[rejected-twice initiator]"),
        ("{ new-destinations: 19, within: 1h }", "[]"),
        (
            "{ new-destinations: 20, within: 1h }",
            "[many-strangers tenant, many-strangers wallet]",
        ),
        ("{ new-destinations: 20, within: 61m }", "[]"),
        ("{ networks: 2, within: 10m }", "[]"),
        ("{ networks: 3, within: 10m }", "[everywhere-at-once all]"),
        ("{ networks: 3, within: 11m }", "[]"),
    ] {
        let cases = breaker_cases(counted, frozen).unwrap();
        assert_eq!(cases[0].difference(&with_breakers()), None, "{counted}");
    }
    // An expectation that is not met is told with what was found, whichever of the two is nothing.
    let said = |counted: &str, expect: &str| breaker_cases(counted, expect).unwrap()[0].difference(&with_breakers());
    assert_eq!(
        said("{ rejections-on-lineage: 2 }", "[]").unwrap(),
        "expected no freeze, found freezes by rejected-twice initiator"
    );
    assert_eq!(
        said("{ new-destinations: 20, within: 1h }", "[many-strangers wallet]").unwrap(),
        "expected freezes by many-strangers wallet, found freezes by many-strangers tenant, many-strangers wallet"
    );
}

#[test]
fn mistakes_in_tests_of_breakers_are_told() {
    for (counted, expect, told) in [
        (
            "{ rejections-on-lineage: 2 }",
            "[rejected-thrice initiator]",
            "unknown breaker `rejected-thrice initiator`",
        ),
        // The breaker freezes something else.
        (
            "{ rejections-on-lineage: 2 }",
            "[rejected-twice wallet]",
            "unknown breaker `rejected-twice wallet`",
        ),
        ("{ networks: 3 }", "[]", "a breaker has one of"),
        (
            "{ networks: 0, within: 1m }",
            "[]",
            "write a whole number from 1 to 1000000",
        ),
        (
            "{ networks: 3, within: soon }",
            "[]",
            "a duration is a whole number and a unit",
        ),
        ("{ rejections: 2 }", "[]", "unknown field `rejections`"),
    ] {
        let said = breaker_cases(counted, expect).unwrap_err();
        assert!(said.contains(told), "{counted} {expect}: {said}");
    }
    let one = "  - { name: one, counted: { rejections-on-lineage: 1 }, expect: [] }\n";
    let twice = format!("{TESTS}breakers:\n{one}{one}");
    let errors = BreakerCase::load("t", twice.as_bytes(), &with_breakers())
        .unwrap_err()
        .to_string();
    assert!(errors.contains("test `one` is listed twice"), "{errors}");
}
