//! What a production genesis refuses: a policy with every cap, and one change at a time.

use countersign_bundle::Bundle;

use crate::support::{Files, dev, seal};

const CAPS: &str = r#"
  - { id: eth-day, effects: [transfer], assets: [ETH], scope: [], window: 24h, hard: "500 ETH" }
  - { id: demo-month, effects: [transfer], wallets: [eth-hot], scope: [wallet], window: month, zone: UTC, hard: "9000 DEMO" }
  - { id: fees-day, effects: [fee], scope: [wallet], window: 24h, hard: "3 ETH" }
"#;

/// The development files with charges that age from signature: nobody observes the network.
fn aging() -> Files {
    let mut files = timed();
    let wallets = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
    let aging = wallets.replace(" }", ", ages-from: signature }");
    assert_ne!(aging, wallets);
    files.insert("wallets.yaml".to_owned(), aging.into_bytes());
    files
}

/// The dev policy with the caps changed, and what production says of it.
fn production(changes: &[(&str, &str)]) -> Result<(), String> {
    let mut files = aging();
    let mut policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    policy = policy.replace("limits:\n", &format!("limits:{CAPS}"));
    for (from, to) in changes {
        assert_eq!(policy.matches(from).count(), 1, "`{from}` must stand once");
        policy = policy.replace(from, to);
    }
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    assert!(bundle.check_environment(false).is_ok(), "development takes what loads");
    bundle.check_environment(true).map_err(|errors| errors.to_string())
}

/// The dev bundle with a time-lock.
fn timed() -> Files {
    let mut files = dev();
    let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
    let admins = "admins: { threshold: 2, members: [alice, bob, carol]";
    assert_eq!(roster.matches(admins).count(), 1);
    let roster = roster.replace(admins, &format!("{admins}, time-lock: 24h"));
    files.insert("roster.yaml".to_owned(), roster.into_bytes());
    files
}

#[test]
fn what_loosens_waits() {
    let mut files = aging();
    files.insert("roster.yaml".to_owned(), dev()["roster.yaml"].clone());
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replace("limits:\n", &format!("limits:{CAPS}"));
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    assert!(bundle.check_environment(false).is_ok());
    let errors = bundle.check_environment(true).map_err(|errors| errors.to_string());
    let expected = "roster.yaml:1:1: bundle/unsafe: a production genesis needs a time-lock on what loosens: write `admins: { threshold: \u{2026}, \
                    members: [\u{2026}], time-lock: 24h }`";
    assert_eq!(errors, Err(expected.to_owned()));
}

fn uncapped(kind: &str, asset: &str) -> Result<(), String> {
    Err(format!(
        "policy.yaml:1:1: bundle/unsafe: a production genesis needs a limit over a window on every {kind} that a permit lets out, and `{asset}` of \
         wallet `eth-hot` has none: add one whose `scope` has nothing but asset, wallet, network and tier, and whose \
         conditions leave nothing of it out"
    ))
}

const ETH: &str = "eip155:31337/slip44:60";
const DEMO: &str = "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3";
const ETH_DAY: &str = "id: eth-day, effects: [transfer], assets: [ETH], scope: [], window: 24h, hard: \"500 ETH\"";

#[test]
fn a_policy_with_every_cap_is_accepted() {
    assert_eq!(production(&[]), Ok(()));
    let dollars = "id: eth-day, effects: [transfer], scope: [tier, network, asset], window: 24h, hard: \"500000 USD\"";
    let said = "roster.yaml:1:1: bundle/unsafe: a production genesis needs price sources in USD with a threshold of at least 2: one alone makes no price";
    assert_eq!(
        production(&[(ETH_DAY, dollars)]),
        Err(said.to_owned()),
        "money caps what is valued in it, once it has prices"
    );
}

#[test]
fn whatever_a_caller_can_get_around_is_no_cap() {
    let eth = |limit: &str| production(&[(ETH_DAY, limit)]);
    for limit in [
        "id: eth-day, effects: [transfer], assets: [ETH], scope: [], window: transaction, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], assets: [ETH], scope: [destination], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], assets: [ETH], scope: [subject], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], assets: [ETH], scope: [initiator], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], assets: [ETH], scope: [tenant], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [internal], assets: [ETH], scope: [], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], tiers: [cold], scope: [], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], to: { list: customers }, scope: [], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], initiators: [payout-service], scope: [], window: 24h, hard: \"500 ETH\"",
        "id: eth-day, effects: [transfer], scope: [], window: 24h, count: 5",
        "id: eth-day, effects: [transfer], scope: [], window: 24h, new-destinations: 5",
    ] {
        assert_eq!(eth(limit), uncapped("transfer", ETH), "{limit}");
    }
}

#[test]
fn every_permitted_kind_and_asset_and_the_fees_need_one() {
    let other = [(
        "wallets: [eth-hot], scope: [wallet], window: month",
        "tiers: [warm], scope: [wallet], window: month",
    )];
    assert_eq!(production(&other), uncapped("transfer", DEMO));
    let fees = [(
        "effects: [fee], scope: [wallet], window: 24h",
        "effects: [fee], scope: [wallet], window: transaction",
    )];
    assert_eq!(production(&fees), uncapped("fee", ETH));
    let only_eth = [
        ("assets: [ETH, DEMO]", "assets: [ETH]"),
        (
            "wallets: [eth-hot], scope: [wallet], window: month",
            "tiers: [warm], scope: [wallet], window: month",
        ),
    ];
    assert_eq!(production(&only_eth), Ok(()), "what no permit lets out needs no cap");
    let allowance = [
        (
            "    effects: [transfer]\n    initiators",
            "    effects: [transfer, allowance]\n    initiators",
        ),
        ("assets: [ETH, DEMO]", "assets: [DEMO]"),
    ];
    assert_eq!(production(&allowance), uncapped("allowance", DEMO));
}

#[test]
fn a_cold_wallet_pays_own_wallets_only() {
    let mut files = aging();
    let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
    let policy = text("policy.yaml").replace("limits:\n", &format!("limits:{CAPS}"));
    let wallets = text("wallets.yaml").replace("tier: hot", "tier: cold");
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    files.insert("wallets.yaml".to_owned(), wallets.into_bytes());
    let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    let errors = bundle
        .check_environment(true)
        .map_err(|errors| errors.to_string())
        .unwrap_err();
    assert_eq!(errors, pays("transfer"));
}

fn pays(kind: &str) -> String {
    format!(
        "policy.yaml:1:1: bundle/unsafe: a permit lets cold wallet `eth-hot` out by an effect of kind `{kind}`: cold wallets pay own wallets only; \
         name the permit's `wallets`"
    )
}

/// Calls, code, authority and bytes that nobody understands pay whomever they like.
#[test]
fn a_cold_wallet_does_nothing_by_which_it_could_pay_others() {
    let cold = |permit: &str| {
        let mut files = aging();
        let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
        let own = "    effects: [internal]\n    to: { own: [eth-hot] }\n";
        let policy = text("policy.yaml");
        let (start, end) = (
            policy.find("    effects: [transfer]\n").unwrap(),
            policy.find("  # A cancel attempt").unwrap(),
        );
        let policy = format!("{}{own}{permit}{}", &policy[..start], &policy[end..]);
        let policy = policy.replace("limits:\n", &format!("limits:{CAPS}"));
        let wallets = text("wallets.yaml").replace("tier: hot", "tier: cold");
        files.insert("policy.yaml".to_owned(), policy.into_bytes());
        files.insert("wallets.yaml".to_owned(), wallets.into_bytes());
        let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
        bundle.check_environment(true).map_err(|errors| errors.to_string())
    };
    for kind in [
        "authority-change",
        "code-change",
        "delayed-authorization",
        "contract-call",
        "opaque",
    ] {
        let permit = |rest: &str| format!("  - {{ id: more, effects: [{kind}]{rest} }}\n");
        assert_eq!(cold(&permit("")), Err(pays(kind)));
        let listed = ", to: { list: customers }, initiators: [payout-service]";
        assert_eq!(cold(&permit(listed)), Err(pays(kind)), "wherever it goes");
        assert_eq!(cold(&permit(", tiers: [warm]")), Ok(()), "{kind} of another tier");
        assert_eq!(cold(&permit(", assets: [ETH]")), Ok(()), "{kind} has no asset");
        assert_eq!(
            cold(&permit(", amount: { max: { ETH: \"1 ETH\" } }")),
            Ok(()),
            "{kind} has no amount"
        );
    }
    assert_eq!(cold("  - { id: more, effects: [personal-message] }\n"), Ok(()));
}

#[test]
fn charges_age_once_and_for_a_reason() {
    let production = |wallets: &str, observers: &str| {
        let mut files = timed();
        let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
        let policy = text("policy.yaml").replace("limits:\n", &format!("limits:{CAPS}"));
        let of_wallets = text("wallets.yaml").replace(" }", wallets);
        let roster = format!("{}{observers}", text("roster.yaml").replace("observers: []\n", ""));
        files.insert("policy.yaml".to_owned(), policy.into_bytes());
        files.insert("wallets.yaml".to_owned(), of_wallets.into_bytes());
        files.insert("roster.yaml".to_owned(), roster.into_bytes());
        let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string())?;
        bundle.check_environment(true).map_err(|errors| errors.to_string())
    };
    let never = "wallets.yaml:1:1: bundle/unsafe: nobody observes network `eip155:31337`, so what wallet `eth-hot` spends there would count in every \
                 window for ever: name observers in roster.yaml, or write `ages-from: signature`";
    assert_eq!(production(" }", ""), Err(never.to_owned()));
    assert_eq!(production(", ages-from: mined }", ""), Err(never.to_owned()));
    assert_eq!(production(", ages-from: signature }", ""), Ok(()));
    let word = production(", ages-from: never }", "").unwrap_err();
    assert!(word.contains("`never` is not one of `mined`, `signature`"), "{word}");
}
