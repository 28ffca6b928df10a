//! The dev bundle loads, means what it says, and what the writers write loads too.

use crate::support::{dev, seal};
use countersign_approval::RosterFile;
use countersign_bundle::{Bundle, Component, Manifest, write_roster, write_wallets};
use countersign_policy::{Actor, Context, EffectFact, Evaluation, Facts, Obligations, Outcome, evaluate};
use countersign_types::{Amount, Destination, Effect, GroupId, SubjectId, Tag};

fn bundle() -> Bundle {
    Bundle::load(&dev()).map_err(|errors| errors.to_string()).unwrap()
}

/// What the dev policy says of a transfer, given as amount in base units, asset and destination, with a fee.
fn answer(bundle: &Bundle, amount: u128, asset: &str, to: &str, fee: u128) -> Evaluation {
    let transfer = Effect::Transfer {
        asset: asset.parse().unwrap(),
        amount: Amount::from(amount),
        destination: to.parse().unwrap(),
    };
    let fee = Effect::Fee {
        asset: ETH.parse().unwrap(),
        max: Amount::from(fee),
    };
    let subject: SubjectId = "customer-1".parse().unwrap();
    let wallet = bundle.registry().wallets().iter().next().unwrap();
    let initiator = "payout-service".parse().unwrap();
    let facts = Facts {
        actor: Actor {
            initiator: &initiator,
            initiator_groups: &bundle.roster().groups_of(&initiator),
            wallet: &wallet.id,
            tier: Some(wallet.tier),
        },
        network: &"eip155:31337".parse().unwrap(),
        effects: vec![EffectFact::new(&transfer, Some(&subject)), EffectFact::new(&fee, None)],
        assets: bundle.registry().assets(),
        lists: bundle.destinations(),
        context: Context::unknown(),
    };
    evaluate(bundle.policy(), &facts)
}

const ETH: &str = "eip155:31337/slip44:60";
const DEMO: &str = "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3";
const CUSTOMER: &str = "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const STRANGER: &str = "eip155:31337:0x90F79bf6EB2c4f870365E785982E1f101E93b906";
const MILLI: u128 = 1_000_000_000_000_000;

#[test]
fn small_payments_need_nobody_and_larger_ones_two_of_treasury() {
    let bundle = bundle();
    let treasury: GroupId = "treasury".parse().unwrap();
    let seats = |evaluation: Evaluation| match evaluation.outcome {
        Outcome::Allow(obligations) => obligations.seats().get(&treasury).copied().unwrap_or(0),
        Outcome::Deny => panic!("denied: {:?}", evaluation.reasons),
    };
    let table = [
        (100 * MILLI, ETH, 0),
        (100 * MILLI + 1, ETH, 2),
        (8_000 * MILLI, ETH, 2),
        (100_000_000, DEMO, 0),
        (100_000_001, DEMO, 2),
        (8_000_000_000, DEMO, 2),
    ];
    for (amount, asset, expected) in table {
        assert_eq!(
            seats(answer(&bundle, amount, asset, CUSTOMER, MILLI)),
            expected,
            "{amount} {asset}"
        );
    }
}

#[test]
fn everything_else_is_denied_with_its_tag() {
    let bundle = bundle();
    let table = [
        (MILLI, ETH, STRANGER, MILLI, Tag::PermitUncovered, None),
        (10_001 * MILLI, ETH, CUSTOMER, MILLI, Tag::PermitUncovered, None),
        (
            8_001 * MILLI,
            ETH,
            CUSTOMER,
            MILLI,
            Tag::LimitPerTransactionExceeded,
            Some("eth-per-transaction"),
        ),
        (
            8_000_000_001,
            DEMO,
            CUSTOMER,
            MILLI,
            Tag::LimitPerTransactionExceeded,
            Some("demo-per-transaction"),
        ),
        (MILLI, ETH, CUSTOMER, 51 * MILLI, Tag::PermitUncovered, None),
    ];
    for (amount, asset, to, fee, tag, rule) in table {
        let evaluation = answer(&bundle, amount, asset, to, fee);
        assert_eq!(evaluation.outcome, Outcome::Deny);
        let reason = &evaluation.reasons[0];
        assert_eq!(
            (reason.tag, reason.rule.as_ref().map(|rule| rule.as_str())),
            (tag, rule),
            "{amount} {asset} {to}"
        );
    }
}

#[test]
fn the_trace_names_the_permit_of_each_effect() {
    let evaluation = answer(&bundle(), 100 * MILLI, ETH, CUSTOMER, MILLI);
    assert_eq!(evaluation.outcome, Outcome::Allow(Obligations::default()));
    assert_eq!(evaluation.effects[0].permits[0].as_str(), "customer-payouts");
    assert_eq!(evaluation.effects[1].permits[0].as_str(), "network-fees");
}

#[test]
fn destinations_have_names() {
    let bundle = bundle();
    let customer = CUSTOMER.parse().unwrap();
    let entries: Vec<_> = bundle
        .entries(&customer)
        .map(|entry| (entry.list.as_str(), entry.name))
        .collect();
    assert_eq!(entries, [("customers", Some("Customer one"))]);
    assert_eq!(bundle.entries(&STRANGER.parse().unwrap()).count(), 0);
}

#[test]
fn the_policy_digest_binds_everything_but_destinations() {
    let digests = |path: &str| {
        let mut files = dev();
        files.get_mut(path).unwrap().extend(b"# reviewed\n");
        let manifest = Manifest::parse(&seal(files)["manifest.json"]).unwrap();
        (manifest.digest(), manifest.policy_digest())
    };
    let original = (bundle().digest(), bundle().policy_digest());
    for file in bundle().manifest().files() {
        let changed = digests(file.path());
        assert_ne!(changed.0, original.0, "{}", file.path());
        assert_eq!(
            changed.1 == original.1,
            file.component() == Component::Data,
            "{}",
            file.path()
        );
    }
}

/// Golden: approvals and activations bind these; the same text is in `docs/policy.md`.
#[test]
fn golden_digests() {
    let files = [
        ("policy.yaml", "abc"),
        ("destinations.yaml", ""),
        ("roster.yaml", "x"),
        ("assets.yaml", ""),
    ];
    let mut files: crate::support::Files = files.map(|(path, text)| (path.to_owned(), text.into())).into();
    files.insert("wallets.yaml".to_owned(), vec![]);
    files.insert("networks/dev.yaml".to_owned(), vec![]);
    let manifest = Manifest::build(1, None, &files).unwrap();
    let docs = include_str!("../../../../docs/policy.md");
    let text = String::from_utf8(manifest.to_bytes()).unwrap();
    assert!(docs.contains(&text), "docs/policy.md lacks the manifest\n{text}");
    assert!(
        docs.contains(&manifest.digest().to_string()),
        "docs/policy.md lacks {}",
        manifest.digest()
    );
    assert!(
        docs.contains(&manifest.policy_digest().to_string()),
        "docs/policy.md lacks {}",
        manifest.policy_digest()
    );
}

#[test]
fn the_next_version_names_its_predecessor() {
    let mut files = dev();
    files.remove("manifest.json");
    let first = Manifest::build(1, None, &files).unwrap();
    let second = Manifest::build(2, Some(first.digest()), &files).unwrap();
    files.insert("manifest.json".to_owned(), second.to_bytes());
    let bundle = Bundle::load(&files).unwrap();
    assert_eq!((bundle.version(), bundle.previous()), (2, Some(first.digest())));
    assert_eq!(bundle.policy_digest(), first.policy_digest(), "the policy is the same");
}

/// What the ends of an address look like: of a listed customer, of the wallet itself, of nobody.
#[test]
fn lookalikes_of_listed_and_of_own_addresses_are_found() {
    let bundle = bundle();
    let known = |address: &str| {
        let destination: Destination = format!("eip155:31337:{address}").parse().unwrap();
        let known = bundle.lookalikes(&destination).map(|known| known.source.to_string());
        known.collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(
        known("0x70990000000000000000000000000000000079c8"),
        ["Customer one (customers)"]
    );
    assert_eq!(
        known("0x7E5F000000000000000000000000000000005Bdf"),
        ["own wallet eth-hot"]
    );
    assert_eq!(
        known("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        none,
        "the customer itself"
    );
    assert_eq!(
        known("0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"),
        none,
        "the wallet itself"
    );
    assert_eq!(known("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"), none, "a stranger");
}

#[test]
fn what_the_writers_write_loads() {
    let bundle = bundle();
    let wallets: Vec<_> = bundle.registry().wallets().iter().cloned().collect();
    let mut files = dev();
    files.insert("wallets.yaml".to_owned(), write_wallets(&wallets).into_bytes());
    let keys = |text: &str| {
        text.lines()
            .filter(|l| l.contains("ssh-"))
            .map(|l| l.trim().trim_matches(['-', ' ', '"']).to_owned())
            .collect::<Vec<_>>()
    };
    let keys = keys(std::str::from_utf8(&files["roster.yaml"]).unwrap());
    let person = |n: usize, id: &str| serde_json::json!({ "id": id, "keys": [keys[n]] });
    let roster: RosterFile = serde_json::from_value(serde_json::json!({
        "people": [person(0, "alice"), person(1, "bob"), person(2, "carol"), person(3, "dave")],
        "services": [
            { "id": "payout-service", "operators": ["dave"],
                "keys": ["ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"] },
            { "id": "screening-service", "operators": ["carol"],
                "keys": ["ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"] },
            { "id": "address-book", "operators": ["carol"],
                "keys": ["ed25519:fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"] },
        ],
        "groups": [{ "id": "treasury", "members": ["alice", "bob", "carol"] }],
        "initiators": [{ "tenant": "demo", "principals": ["payout-service"] }],
        "admins": { "threshold": 2, "members": ["alice", "bob", "carol"] },
        "officers": ["dave"],
        "price-sources": [{ "currency": "USD", "threshold": 1, "members": ["screening-service"], "max-age": "5m",
            "max-spread": "2 %" }],
    }))
    .unwrap();
    files.insert("roster.yaml".to_owned(), write_roster(&roster).into_bytes());
    let written = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
    assert_eq!(written.roster(), bundle.roster());
    assert!(
        written
            .registry()
            .wallets()
            .iter()
            .eq(bundle.registry().wallets().iter())
    );
}
