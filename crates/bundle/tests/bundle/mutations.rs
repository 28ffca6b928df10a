//! The valid dev bundle, one mutation of its text, and exactly what is said about it, where.

use crate::support::{dev, errors, mutated, seal};
use crate::{file_mutations, language_mutations, policy_mutations};
use countersign_types::{Class, Tag};

fn all() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str, &'static str)> {
    let language = language_mutations::MUTATIONS.iter();
    policy_mutations::MUTATIONS
        .iter()
        .chain(language)
        .chain(file_mutations::MUTATIONS)
}

#[test]
fn the_dev_bundle_loads_and_each_mutation_is_told() {
    assert_eq!(countersign_bundle::Bundle::load(&dev()).err(), None);
    let mut others = Vec::new();
    for (path, from, to, expected) in all() {
        let errors = errors(&mutated(path, from, to));
        if errors.to_string() != *expected {
            others.push(format!("{path}: {from:?} -> {to:?}\n{errors}\nand not\n{expected}"));
            continue;
        }
        assert_eq!(errors.tag(), Tag::BundleMalformed);
        let first = errors.iter().next().unwrap();
        let place = format!(
            "{}:{}:{}: {}: ",
            first.file(),
            first.line(),
            first.column(),
            first.tag()
        );
        assert!(expected.starts_with(&place), "{expected} at {place}");
    }
    assert!(others.is_empty(), "{}", others.join("\n\n"));
}

/// Each tag of a line, with a mutation whose report has it. What only a production genesis refuses, and what there is too much of, stand in tests of
/// their own.
#[test]
fn every_tag_of_a_line_has_a_vector() {
    let elsewhere = [
        (Tag::BundleUnsafe, include_str!("caps.rs")),
        (Tag::BundleTooMany, include_str!("mutations.rs")),
    ];
    let of_lines = |tag: &&Tag| tag.as_str().starts_with("bundle/") && tag.class() == Class::Malformed;
    let of_the_whole = Tag::BundleMalformed;
    let mut vectors = 0;
    for tag in Tag::ALL.iter().filter(of_lines).filter(|tag| **tag != of_the_whole) {
        let has = |report: &str| report.contains(&format!(": {tag}: "));
        let is_elsewhere = elsewhere.iter().any(|(other, text)| other == tag && has(text));
        assert!(
            all().any(|(.., report)| has(report)) || is_elsewhere,
            "no vector of {tag}"
        );
        vectors += 1;
    }
    assert_eq!(vectors, 22);
}

/// Whichever number of a network file is spelt otherwise, it is told: a reviewer reads no hexadecimal, and no octal by surprise.
#[test]
fn numbers_of_networks_are_plain() {
    let templates = [
        include_str!("../../../../chains/evm/networks/base.yaml"),
        include_str!("../../../../chains/bitcoin/networks/bitcoin.yaml"),
        include_str!("../../../../chains/solana/networks/mainnet.yaml"),
    ];
    let load = |text: &str| {
        let mut files = dev();
        files.insert("networks/other.yaml".to_owned(), text.as_bytes().to_vec());
        countersign_bundle::Bundle::load(&seal(files))
            .map(drop)
            .map_err(|errors| errors.to_string())
    };
    let mut numbers = 0;
    for template in templates {
        assert_eq!(load(template), Ok(()));
        for (at, _) in template.match_indices(": ") {
            let (before, rest) = template.split_at(at + 2);
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let Ok(value) = rest[..end].parse::<u64>() else {
                continue;
            };
            numbers += 1;
            let [quoted, hexadecimal] = [format!("\"{value}\""), format!("{value:#x}")];
            for other in [quoted, hexadecimal, format!("0o{value:o}"), format!("+{value}")] {
                let errors = load(&format!("{before}{other}{}", &rest[end..])).expect_err(&other);
                let expected = "networks/other.yaml:";
                assert!(
                    errors.starts_with(expected) && errors.ends_with(": write a whole number in plain decimal digits"),
                    "{other}: {errors}"
                );
            }
        }
    }
    assert_eq!(numbers, 11);
}

/// Native assets stand in no `assets.yaml`: their symbols are held against those that do, against each other and against money.
#[test]
fn symbols_of_native_assets_are_told_apart() {
    let with = |native: &str, token: &str| {
        let mut files = dev();
        let template = include_str!("../../../../chains/evm/networks/polygon.yaml");
        assert_eq!(template.matches("symbol: POL,").count(), 1);
        let network = template.replace("symbol: POL,", &format!("symbol: {native},"));
        files.insert("networks/polygon.yaml".to_owned(), network.into_bytes());
        let assets = String::from_utf8(files["assets.yaml"].clone()).unwrap();
        let assets = assets.replace("symbol: DEMO,", &format!("symbol: {token},"));
        files.insert("assets.yaml".to_owned(), assets.into_bytes());
        if token != "DEMO" {
            let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
            files.insert("policy.yaml".to_owned(), policy.replace("DEMO", token).into_bytes());
        }
        countersign_bundle::Bundle::load(&seal(files))
            .map(drop)
            .map_err(|errors| errors.to_string())
    };
    for (native, token) in [("POL", "DEMO"), ("ETH", "DEMO"), ("POL", "POL")] {
        assert_eq!(with(native, token), Ok(()), "{native} {token}");
    }
    let table = [
        ("POL", "P0L", "assets.yaml:"),
        ("POL", "PoL", "assets.yaml:"),
        ("ETh", "DEMO", "networks/polygon.yaml:"),
        ("USD", "DEMO", "networks/polygon.yaml:"),
    ];
    for (native, token, place) in table {
        let error = with(native, token).expect_err(native);
        assert!(
            error.lines().any(|line| line.starts_with(place)),
            "{native} {token}: {error}"
        );
    }
}

/// Independent mistakes come together, in order of place; what follows from a file that does not load is not guessed.
#[test]
fn all_errors_come_at_once() {
    let mut files = mutated("policy.yaml", "list: customers", "list: nobody");
    let text = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let text = text
        .replace("treasury: 2", "nobody: 2")
        .replace("hard: \"8 ETH\"", "hard: \"8 BTC\"");
    files.insert("policy.yaml".to_owned(), text.into_bytes());
    let lines: Vec<_> = errors(&seal(files)).iter().map(|error| error.line()).collect();
    assert_eq!(lines, [11, 23, 27]);

    let mut files = dev();
    for path in ["policy.yaml", "roster.yaml", "wallets.yaml", "assets.yaml"] {
        files.insert(path.to_owned(), b"[".to_vec());
    }
    let errors = errors(&seal(files));
    let found: Vec<_> = errors.iter().map(|error| error.file()).collect();
    assert_eq!(
        found,
        ["assets.yaml", "roster.yaml", "wallets.yaml"],
        "the policy waits for what it names"
    );
}

#[test]
fn the_number_of_errors_is_bounded() {
    let ids: Vec<String> = (0..150).map(|n| format!("nobody-{n}")).collect();
    let errors = errors(&mutated(
        "policy.yaml",
        "[payout-service]",
        &format!("[{}]", ids.join(", ")),
    ));
    assert_eq!(
        (errors.iter().count(), errors.left_out()),
        (countersign_bundle::MAX_LOAD_ERRORS, 50)
    );
    assert!(errors.to_string().ends_with("\nand 50 more"));
}

/// What `docs/policy.md` shows as errors is what is said.
#[test]
fn the_documented_errors_are_real() {
    let docs = include_str!("../../../../docs/policy.md");
    // What is proven and what is broken stand there too, and are no errors.
    let is_conclusion = |line: &str| line.ends_with(" holds") || line.ends_with(" violated");
    let documented = docs.lines().filter(|line| line.starts_with("policy.yaml:"));
    let documented: Vec<&str> = documented.filter(|line| !is_conclusion(line)).collect();
    assert_eq!(documented.len(), 2);
    for line in documented {
        let mut mutations = policy_mutations::MUTATIONS.iter();
        assert!(mutations.any(|(.., expected)| *expected == line), "{line}");
    }
}

/// Two requires that can each be met, and together need more people than there are.
#[test]
fn joined_requires_must_be_reachable_where_they_can_meet() {
    let both = |second: &str| {
        let mut files = mutated(
            "policy.yaml",
            "    approvals: { treasury: 2 }\n",
            &format!("    approvals: {{ treasury: 2 }}\n  - id: risk-too\n{second}    approvals: {{ risk: 2 }}\n"),
        );
        let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
        let roster = roster.replace("groups:\n", "groups:\n  - { id: risk, members: [alice, bob] }\n");
        files.insert("roster.yaml".to_owned(), roster.into_bytes());
        countersign_bundle::Bundle::load(&seal(files))
            .map(drop)
            .map_err(|errors| errors.to_string())
    };
    let together = both("").unwrap_err();
    assert_eq!(
        together,
        "policy.yaml:23:5: bundle/unreachable-quorum: wallet `eth-hot`, initiator `payout-service`: the quorum (2 of risk, 2 of treasury) can never \
         be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer"
    );
    assert_eq!(
        both("    when: { tiers: [cold] }\n"),
        Ok(()),
        "a hot wallet never meets it"
    );
}

/// What a limit asks for above its soft maximum must be reachable too, beside what requires ask for.
#[test]
fn soft_limits_must_be_reachable_beside_requires() {
    let with = |members: &str| {
        let mut files = mutated(
            "policy.yaml",
            "window: transaction, hard: \"8 ETH\"",
            "window: transaction, soft: \"7 ETH\", hard: \"8 ETH\", over-soft: { approvals: { risk: 2 } }",
        );
        let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
        let roster = roster.replace(
            "groups:\n",
            &format!("groups:\n  - {{ id: risk, members: [{members}] }}\n"),
        );
        files.insert("roster.yaml".to_owned(), roster.into_bytes());
        countersign_bundle::Bundle::load(&seal(files))
            .map(drop)
            .map_err(|errors| errors.to_string())
    };
    assert_eq!(with("alice, dave, bob, carol").unwrap_err(), UNREACHABLE_SOFT);
    let mut alone = String::from(UNREACHABLE_SOFT);
    alone = alone.replace("2 of risk, 2 of treasury", "2 of risk");
    assert_eq!(with("alice, dave").unwrap_err(), alone, "dave operates the initiator");
}

const UNREACHABLE_SOFT: &str = "policy.yaml:27:143: bundle/unreachable-quorum: wallet `eth-hot`, initiator `payout-service`: the quorum (2 of risk, 2 of \
     treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask \
     for fewer";

/// Who is behind an initiator says nothing that counts about what it asks for, through whatever service.
#[test]
fn who_asks_neither_attests_nor_keeps_a_book() {
    for (service, from, to, place) in [
        (
            "address-book",
            "to: { list: customers }",
            "to: { address-book: address-book }",
            "11:25",
        ),
        (
            "desk",
            "    approvals: { treasury: 2 }\n",
            "    attestations: [{ kind: sanctions, by: desk, max-age: 15m }]\n",
            "23:43",
        ),
    ] {
        let mut files = mutated("policy.yaml", from, to);
        let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
        let roster = roster.replace("id: address-book", &format!("id: {service}")).replace(
            "operators: [carol], keys: [\"ed25519:fc",
            "operators: [carol, dave], keys: [\"ed25519:fc",
        );
        files.insert("roster.yaml".to_owned(), roster.into_bytes());
        assert_eq!(
            errors(&seal(files)).to_string(),
            format!(
                "policy.yaml:{place}: bundle/conflicting-duties: `dave` operates service `{service}` and is behind the initiator `payout-service`, so \
                 what it attests proves nothing: name a service whose people ask for no withdrawals"
            )
        );
    }
}

/// One bound alone means what it means under its symbol.
#[test]
fn a_bound_alone_is_the_bound_of_its_symbol() {
    let policy = |over: &str| {
        let files = mutated("policy.yaml", "over: { ETH: \"0.1 ETH\", DEMO: \"100 DEMO\" }", over);
        let bundle = countersign_bundle::Bundle::load(&files).map_err(|errors| errors.to_string());
        bundle.unwrap().policy().clone()
    };
    assert_eq!(policy("over: \"0.1 ETH\""), policy("over: { ETH: \"0.1 ETH\" }"));
    assert_eq!(policy("over: \"100 USD\""), policy("over: { USD: \"100 USD\" }"));
    assert_ne!(policy("over: \"0.1 ETH\""), policy("over: \"0.2 ETH\""));
}

/// A currency in which nobody quotes: nothing would ever be worth anything in it.
#[test]
fn a_rule_in_money_has_price_sources() {
    let mut files = mutated("policy.yaml", "hard: \"8 ETH\"", "hard: \"8 EUR\"");
    let assets = String::from_utf8(files["assets.yaml"].clone()).unwrap();
    files.insert(
        "assets.yaml".to_owned(),
        assets.replace("[USD]", "[USD, EUR]").into_bytes(),
    );
    assert_eq!(
        errors(&seal(files)).to_string(),
        "policy.yaml:27:11: bundle/no-price-source: the rule is in EUR, and nobody quotes prices in it: name its `price-sources` in roster.yaml"
    );
}

/// A journal looks up the windows of two policies at once, and refuses more: such a bundle would deny everything.
#[test]
fn the_number_of_windows_is_bounded() {
    let with = |windows: usize| {
        let limits: Vec<String> = (1..=windows)
            .map(|n| format!("  - {{ id: rate-{n}, effects: [transfer], scope: [], window: {n}m, count: 9 }}\n"))
            .collect();
        // The same windows again are no more of them.
        let again = "  - { id: again, effects: [transfer], scope: [wallet], window: 1m, count: 9 }\n";
        mutated(
            "policy.yaml",
            "limits:\n",
            &format!("limits:\n{}{again}", limits.concat()),
        )
    };
    assert_eq!(countersign_bundle::Bundle::load(&with(32)).err(), None);
    let errors = errors(&with(34));
    assert_eq!(
        errors.to_string(),
        "policy.yaml:58:60: bundle/too-many: 34 different windows; at most 32 are accepted"
    );
    assert_eq!(errors.tag(), Tag::BundleMalformed);
}
