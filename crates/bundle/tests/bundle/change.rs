//! The step from one bundle to the next: the dev bundle, and one change at a time.

use countersign_bundle::{Bundle, Change, Class, classify};
use countersign_policy::change::Direction;

use crate::support::{Files, dev, seal};

fn load(files: Files) -> Bundle {
    Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap()
}

/// The dev bundle with texts of one file replaced.
fn changed(path: &str, changes: &[(&str, &str)]) -> Change {
    let mut files = dev();
    let mut text = String::from_utf8(files[path].clone()).unwrap();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "`{from}` must stand once in {path}");
        text = text.replace(from, to);
    }
    files.insert(path.to_owned(), text.into_bytes());
    classify(&load(dev()), &load(files))
}

fn told(change: &Change) -> Vec<String> {
    change.findings().iter().map(ToString::to_string).collect()
}

#[test]
fn a_bundle_and_itself() {
    let change = classify(&load(dev()), &load(dev()));
    assert_eq!((change.class(), told(&change)), (Class::None, vec![]));
    assert!(!change.class().is_pure_tightening());
}

#[test]
fn a_comment_changes_nothing() {
    for path in ["policy.yaml", "destinations.yaml"] {
        let mut files = dev();
        files.get_mut(path).unwrap().extend(b"# hello\n");
        assert_eq!(classify(&load(dev()), &load(files)).class(), Class::None, "{path}");
    }
}

#[test]
fn rules_and_entries_tighten() {
    let limit = changed("policy.yaml", &[("hard: \"8 ETH\"", "hard: \"7 ETH\"")]);
    assert_eq!(
        told(&limit),
        ["tightens  policy.yaml, limit eth-per-transaction: `hard` is lower, or stands for one more unit"]
    );
    assert_eq!(limit.class(), Class::Tightening);
    assert!(limit.class().is_pure_tightening());
    let second =
        "      - { name: Customer two, address: \"eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\" }\n";
    let entry = changed("destinations.yaml", &[(second, "")]);
    assert_eq!(
        told(&entry),
        [
            "tightens  destinations.yaml, list customers: entries removed: 1; only permits name the list, so they cover less"
        ]
    );
}

#[test]
fn what_is_not_compared_loosens() {
    let loosened = |path: &str, from: &str, to: &str| {
        let change = changed(path, &[(from, to)]);
        assert_eq!(change.class(), Class::Loosening, "{path}");
        told(&change)
    };
    let whole = |path| format!("loosens   {path}: the file is another one; only rules and list entries are compared");
    assert_eq!(
        loosened("roster.yaml", "admins: { threshold: 2", "admins: { threshold: 3"),
        [whole("roster.yaml")]
    );
    assert_eq!(
        loosened("wallets.yaml", "tier: hot", "tier: cold"),
        [whole("wallets.yaml")]
    );
    assert_eq!(
        loosened(
            "assets.yaml",
            "symbol: DEMO, decimals: 6,",
            "symbol: DEMO, decimals: 6, quirks: [pausable],"
        ),
        [whole("assets.yaml")]
    );
    assert_eq!(
        loosened(
            "networks/dev.yaml",
            "max-gas-limit: 16777216",
            "max-gas-limit: 16777215"
        ),
        [whole("networks/dev.yaml")]
    );
    assert_eq!(
        loosened("destinations.yaml", "Customer two", "Customer 2"),
        ["loosens   destinations.yaml, list customers: entries renamed: 1; people read the names"]
    );
}

#[test]
fn files_that_come_and_go_loosen() {
    let mut more = dev();
    more.insert(
        "networks/other.yaml".to_owned(),
        String::from_utf8(more["networks/dev.yaml"].clone())
            .unwrap()
            .replace("31337", "31338")
            .into_bytes(),
    );
    let (old, new) = (load(dev()), load(more));
    for (from, to, what) in [(&old, &new, "new"), (&new, &old, "gone")] {
        let change = classify(from, to);
        // Symbols mean more or fewer assets now, which rules say as well.
        assert!(!change.class().is_pure_tightening());
        let expected =
            format!("loosens   networks/other.yaml: the file is {what}; only rules and list entries are compared");
        assert!(told(&change).contains(&expected), "{:?}", told(&change));
    }
}

#[test]
fn some_of_each_is_both() {
    let change = changed(
        "policy.yaml",
        &[
            ("hard: \"8 ETH\"", "hard: \"7 ETH\""),
            ("hard: \"8000 DEMO\"", "hard: \"8001 DEMO\""),
        ],
    );
    assert_eq!(change.class(), Class::Both);
    assert!(!change.class().is_pure_tightening());
}

/// The dev bundle with one of everything that a bundle may have.
fn whole() -> Files {
    let more: &[(&str, &str, &str)] = &[
        (
            "roster.yaml",
            "admins: { threshold: 2, members: [alice, bob, carol] }\n",
            "admins: { threshold: 2, members: [alice, bob, carol], time-lock: 24h }\nthaw-delay: 12h\n",
        ),
        ("wallets.yaml", "first-nonce: 0", "first-nonce: 0, ages-from: signature"),
        (
            "policy.yaml",
            "    approvals: { treasury: 2 }\n",
            "    approvals: { treasury: 2 }\n    time-lock: 30m\n    attestations: [{ kind: sanctions, by: screening-service, max-age: 15m }]\n",
        ),
        (
            "policy.yaml",
            "limits:\n",
            "limits:\n  - { id: day, effects: [transfer], scope: [wallet], window: 24h, soft: \"50 USD\", hard: \"900 USD\", over-soft: { approvals: { treasury: 1 } } }\n  \
             - { id: rate, scope: [initiator], window: 1h, count: 60 }\n",
        ),
        (
            "policy.yaml",
            "forbids:\n",
            "breakers:\n  - { id: rejected-twice, when: { rejections-on-lineage: 2 }, freeze: [initiator, wallet] }\n\
             invariants:\n  - { id: nothing-to-strangers, when: { to: { unknown: true } }, then: deny }\nforbids:\n  \
             - { id: at-night, when: { hours: { zone: UTC, days: [mon, tue, wed, thu, fri, sat, sun], from: \"00:00\", to: \"04:00\" } } }\n",
        ),
    ];
    more.iter().fold(dev(), edited)
}

fn edited(mut files: Files, (path, from, to): &(&str, &str, &str)) -> Files {
    let text = String::from_utf8(files[*path].clone()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` must stand once in {path}");
    files.insert((*path).to_owned(), text.replace(from, to).into_bytes());
    files
}

/// One change of each component, most of which somebody would pass off as harmless or as a tightening.
const SMUGGLED: &[(&str, &str, &str)] = &[
    (
        "roster.yaml",
        "threshold: 2, members: [alice, bob, carol], time",
        "threshold: 3, members: [alice, bob, carol], time",
    ),
    ("roster.yaml", "time-lock: 24h", "time-lock: 48h"),
    ("roster.yaml", "time-lock: 24h", "time-lock: 1h"),
    ("roster.yaml", "thaw-delay: 12h", "thaw-delay: 1m"),
    ("roster.yaml", "officers: [dave]", "officers: [dave, bob]"),
    (
        "roster.yaml",
        "id: treasury, members: [alice, bob, carol]",
        "id: treasury, members: [alice, bob, carol, dave]",
    ),
    ("roster.yaml", "operators: [dave]", "operators: [dave, bob]"),
    ("roster.yaml", "tenant: demo", "tenant: other"),
    (
        "roster.yaml",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    ),
    ("roster.yaml", "max-age: 5m", "max-age: 6m"),
    ("roster.yaml", "max-spread: \"2 %\"", "max-spread: \"1 %\""),
    ("wallets.yaml", "tier: hot", "tier: warm"),
    ("wallets.yaml", "first-nonce: 0", "first-nonce: 1"),
    ("wallets.yaml", ", ages-from: signature", ""),
    ("assets.yaml", "symbol: DEMO, decimals: 6", "symbol: DEMO, decimals: 7"),
    (
        "assets.yaml",
        "erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "erc20:0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
    ),
    (
        "assets.yaml",
        "decimals: 6, priced-in: [USD]",
        "decimals: 6, quirks: [pausable], priced-in: [USD]",
    ),
    ("networks/dev.yaml", "16777216", "16777217"),
    ("networks/dev.yaml", "name: Development", "name: Mainnet"),
    ("destinations.yaml", "name: Customer one", "name: Customer 1"),
    (
        "destinations.yaml",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    ),
    (
        "destinations.yaml",
        "  - id: customers\n",
        "  - { id: more, entries: [] }\n  - id: customers\n",
    ),
    (
        "policy.yaml",
        "  - { id: nothing-to-strangers, when: { to: { unknown: true } }, then: deny }\n",
        "  - { id: nothing-to-others, when: { to: { unknown: true } }, then: deny }\n",
    ),
    ("policy.yaml", "rejections-on-lineage: 2", "rejections-on-lineage: 1"),
    ("policy.yaml", "freeze: [initiator, wallet]", "freeze: [all]"),
    ("policy.yaml", "ETH: \"10 ETH\"", "ETH: \"9 ETH\""),
    (
        "policy.yaml",
        "effects: [fee], wallets: [eth-hot]",
        "effects: [fee], wallets: [eth-hot], initiators: [payout-service]",
    ),
    (
        "policy.yaml",
        "fee: { max: \"0.05 ETH\" }",
        "fee: { max: \"0.05 ETH\", share: \"2 %\" }",
    ),
    (
        "policy.yaml",
        "    when:\n      effects: [transfer]\n      total",
        "    when:\n      total",
    ),
    (
        "policy.yaml",
        "{ ETH: \"0.1 ETH\", DEMO: \"100 DEMO\" }",
        "{ ETH: \"0.09 ETH\", DEMO: \"100 DEMO\" }",
    ),
    ("policy.yaml", "time-lock: 30m", "time-lock: 29m"),
    (
        "policy.yaml",
        "by: screening-service, max-age: 15m",
        "by: address-book, max-age: 15m",
    ),
    ("policy.yaml", "max-age: 15m", "max-age: 16m"),
    ("policy.yaml", "window: 24h", "window: 48h"),
    ("policy.yaml", "scope: [wallet]", "scope: []"),
    ("policy.yaml", "soft: \"50 USD\"", "soft: \"51 USD\""),
    (
        "policy.yaml",
        ", soft: \"50 USD\", hard: \"900 USD\", over-soft: { approvals: { treasury: 1 } }",
        ", hard: \"900 USD\"",
    ),
    ("policy.yaml", "count: 60", "count: 61"),
    ("policy.yaml", "to: \"04:00\"", "to: \"05:00\""),
    ("policy.yaml", "opaque] }", "opaque, allowance] }"),
];

#[test]
fn nothing_is_smuggled_along_with_a_tightening() {
    let old = load(whole());
    let tighter = ("policy.yaml", "hard: \"8 ETH\"", "hard: \"7 ETH\"");
    assert_eq!(
        classify(&old, &load(edited(whole(), &tighter))).class(),
        Class::Tightening
    );
    for change in SMUGGLED {
        let alone = classify(&old, &load(edited(whole(), change)));
        assert!(
            alone.going(Direction::Loosens).count() > 0,
            "{change:?}: {:?}",
            told(&alone)
        );
        let both = classify(&old, &load(edited(edited(whole(), change), &tighter)));
        assert_eq!(both.class(), Class::Both, "{change:?}: {:?}", told(&both));
        assert!(!both.class().is_pure_tightening());
    }
}

/// What an officer writes in an incident, beside the limit above: still a tightening.
#[test]
fn what_stops_an_incident_is_a_tightening() {
    let old = load(whole());
    let stops = [
        (
            "policy.yaml",
            "forbids:\n",
            "forbids:\n  - { id: stop, when: { effects: [transfer] } }\n",
        ),
        (
            "policy.yaml",
            "requires:\n",
            "requires:\n  - { id: look, approvals: { treasury: 2 } }\n",
        ),
        (
            "policy.yaml",
            "limits:\n",
            "limits:\n  - { id: slow, scope: [], window: 1h, count: 1 }\n",
        ),
        (
            "policy.yaml",
            "breakers:\n",
            "breakers:\n  - { id: burst, when: { new-destinations: 1, within: 1h }, freeze: [all] }\n",
        ),
        ("policy.yaml", "time-lock: 30m", "time-lock: 31m"),
        ("policy.yaml", "max-age: 15m", "max-age: 14m"),
        (
            "policy.yaml",
            "soft: \"50 USD\", hard: \"900 USD\"",
            "soft: \"49 USD\", hard: \"800 USD\"",
        ),
        (
            "policy.yaml",
            "over-soft: { approvals: { treasury: 1 } }",
            "over-soft: { approvals: { treasury: 2 } }",
        ),
        ("policy.yaml", "count: 60", "count: 59"),
        (
            "policy.yaml",
            "  - { id: network-fees, effects: [fee], wallets: [eth-hot], fee: { max: \"0.05 ETH\" } }\n",
            "",
        ),
        (
            "destinations.yaml",
            "      - { name: Customer two, address: \"eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\" }\n",
            "",
        ),
    ];
    for change in &stops {
        let found = classify(&old, &load(edited(whole(), change)));
        assert_eq!(found.class(), Class::Tightening, "{change:?}: {:?}", told(&found));
    }
}
