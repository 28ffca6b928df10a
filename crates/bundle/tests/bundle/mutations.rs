//! The valid dev bundle, one mutation of its text, and exactly what is said about it, where.

use crate::support::{dev, errors, mutated, seal};
use countersign_types::Tag;

/// File, text to replace (it stands once), replacement, and the whole report.
const MUTATIONS: &[(&str, &str, &str, &str)] = &[
    // YAML.
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    walets: [eth-hot]\n    assets",
        "policy.yaml:9:5: unknown field `walets`, expected one of id, amount, fee, total, effects, initiators, initiator-groups, wallets, tiers, networks, assets, to, subjects",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: [eth-hot]\n    wallets: [eth-hot]\n    assets",
        "policy.yaml:10:5: duplicate mapping key `wallets` is not allowed here",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets:\n    assets",
        "policy.yaml:9:5: `permits[0].wallets` has no value: write one, or leave the key out",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: ~\n    assets",
        "policy.yaml:9:5: `permits[0].wallets` has no value: write one, or leave the key out",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: eth-hot\n    assets",
        "policy.yaml:9:14: expected sequence start",
    ),
    (
        "policy.yaml",
        "  - id: network-fees",
        "  - id: 12",
        "policy.yaml:13:9: put the value in quotes: without them it is a number or a truth value",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 2.0",
        "policy.yaml:23:28: write a whole number in plain decimal digits",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: \"2\"",
        "policy.yaml:23:28: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 0x2",
        "policy.yaml:23:28: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 0_2",
        "policy.yaml:23:28: write a whole number in plain decimal digits",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: &a { list: customers }",
        "policy.yaml:11:12: the file is too large or too deep, or holds anchors, aliases or a second document",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: *a",
        "policy.yaml:11:9: aliases are not accepted: write the value out",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: !x { list: customers }",
        "policy.yaml:11:12: unsupported tag `!x`",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "<<: { list: customers }",
        "policy.yaml:11:5: merge key not allowed here",
    ),
    (
        "policy.yaml",
        "delayed-authorization, opaque] }\n",
        "delayed-authorization, opaque] }\n---\nforbids: []\n",
        "policy.yaml:33:1: the file is too large or too deep, or holds anchors, aliases or a second document",
    ),
    (
        "policy.yaml",
        "forbids:\n",
        "other: 1\nforbids:\n",
        "policy.yaml:30:1: unknown field `other`, expected one of schema, permits, requires, limits, forbids",
    ),
    (
        "policy.yaml",
        "forbids:\n",
        "forbids: [\n",
        "policy.yaml:31:3: \"-\" is only valid inside a block",
    ),
    (
        "policy.yaml",
        "# Hard, whichever",
        "# \u{202e}Hard, whichever",
        "policy.yaml:26:5: character U+202E is invisible or reorders the text: remove it",
    ),
    (
        "policy.yaml",
        "# Hard, whichever",
        "#\tHard, whichever",
        "policy.yaml:26:4: character U+0009 is invisible or reorders the text: remove it",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: [[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]",
        "policy.yaml:11:9: expected mapping start",
    ),
    (
        "policy.yaml",
        "schema: countersign.policy/1",
        "schema: countersign.policy/2",
        "policy.yaml:3:9: `schema` must be `countersign.policy/1`",
    ),
    (
        "policy.yaml",
        "schema: countersign.policy/1\n",
        "",
        "policy.yaml:29:1: missing field `schema`",
    ),
    // Names.
    (
        "policy.yaml",
        "- id: network-fees",
        "- id: customer-payouts",
        "policy.yaml:13:9: rule id `customer-payouts` is used twice: a tag must name one rule",
    ),
    (
        "policy.yaml",
        "- id: two-of-treasury",
        "- id: customer-payouts",
        "policy.yaml:19:9: rule id `customer-payouts` is used twice: a tag must name one rule",
    ),
    (
        "policy.yaml",
        "- id: two-of-treasury",
        "- id: Two",
        "policy.yaml:19:9: rule id `Two` may hold only a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: [eth-hott]\n    assets",
        "policy.yaml:9:15: unknown wallet `eth-hott`: wallets.yaml has no such wallet",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: [eth-hot, eth-hot]\n    assets",
        "policy.yaml:9:24: name `eth-hot` is listed twice",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: []\n    assets",
        "policy.yaml:9:5: rule `customer-payouts` has an empty `wallets`: name at least one, or leave it out",
    ),
    (
        "policy.yaml",
        "initiators: [payout-service]",
        "initiators: [alice]",
        "policy.yaml:8:18: unknown initiator `alice`: roster.yaml lists it under no tenant of `initiators`",
    ),
    (
        "policy.yaml",
        "initiators: [payout-service]",
        "initiator-groups: [operations]",
        "policy.yaml:8:24: unknown group `operations`: the roster has no such group",
    ),
    (
        "policy.yaml",
        "initiators: [payout-service]",
        "tiers: [lukewarm]",
        "policy.yaml:8:13: `lukewarm` is not one of `hot`, `warm`, `cold`",
    ),
    (
        "policy.yaml",
        "initiators: [payout-service]",
        "networks: [\"eip155:1\"]",
        "policy.yaml:8:16: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "policy.yaml",
        "assets: [ETH, DEMO]",
        "assets: [ETH, USDC]",
        "policy.yaml:10:19: unknown asset `USDC`: assets.yaml has no asset with this symbol",
    ),
    (
        "policy.yaml",
        "assets: [ETH, DEMO]",
        "assets: [ETH, USD]",
        "policy.yaml:10:19: `USD` is no asset, and this version has no price source: write the bound in each asset's own unit",
    ),
    (
        "policy.yaml",
        "list: customers",
        "list: customer",
        "policy.yaml:11:17: unknown list `customer`: destinations.yaml has no such list",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: { list: customers, unknown: true }",
        "policy.yaml:11:5: `to` needs exactly one of `list`, `own` and `unknown: true`",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: { unknown: false }",
        "policy.yaml:11:5: `to` needs exactly one of `list`, `own` and `unknown: true`",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: { unknown: yes }",
        "policy.yaml:11:20: invalid boolean (true or false expected)",
    ),
    (
        "policy.yaml",
        "to: { list: customers }",
        "to: { own: [eth-cold] }",
        "policy.yaml:11:17: unknown wallet `eth-cold`: wallets.yaml has no such wallet",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasure: 2",
        "policy.yaml:23:18: unknown group `treasure`: the roster has no such group",
    ),
    (
        "policy.yaml",
        "effects: [fee]",
        "effects: [fees]",
        "policy.yaml:14:15: `fees` is not one of `transfer`, `internal`, `fee`, `allowance`, `authority-change`, `code-change`, `delayed-authorization`, `contract-call`, `opaque`",
    ),
    // Amounts.
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: \"10.0000000000000000001 ETH\"",
        "policy.yaml:12:27: `10.0000000000000000001 ETH`: the amount has 19 fraction digits; the asset has 18",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: \"1e1 ETH\"",
        "policy.yaml:12:27: `1e1 ETH`: an amount is decimal digits without sign, exponent, leading zeros or spaces",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: \"-10 ETH\"",
        "policy.yaml:12:27: `-10 ETH`: an amount is decimal digits without sign, exponent, leading zeros or spaces",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: 10",
        "policy.yaml:12:27: put the value in quotes: without them it is a number or a truth value",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: \"10 DEMO\"",
        "policy.yaml:12:27: the amount is in `DEMO` and its key is `ETH`: they must be the same",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: \"10 USD\"",
        "policy.yaml:12:27: `USD` is no asset, and this version has no price source: write the bound in each asset's own unit",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "BTC: \"10 BTC\"",
        "policy.yaml:12:22: unknown asset `BTC`: assets.yaml has no asset with this symbol",
    ),
    (
        "policy.yaml",
        "ETH: \"10 ETH\"",
        "ETH: \"0 ETH\"",
        "policy.yaml:12:15: rule `customer-payouts` has a bound of zero in `amount.max`: use a forbid to allow nothing",
    ),
    (
        "policy.yaml",
        "hard: \"8 ETH\"",
        "hard: \"0 ETH\"",
        "policy.yaml:27:100: rule `eth-per-transaction` has a bound of zero in `hard`: use a forbid to allow nothing",
    ),
    (
        "policy.yaml",
        "hard: \"8 ETH\"",
        "hard: \"8ETH\"",
        "policy.yaml:27:106: an amount is written `12.5 ETH`: a number, one space, the symbol of an asset",
    ),
    // Rules.
    (
        "policy.yaml",
        "    effects: [fee]\n",
        "",
        "policy.yaml:13:9: permit `network-fees` names no effects: what is not named is not permitted",
    ),
    (
        "policy.yaml",
        "amount: { max: {",
        "amount: { over: {",
        "policy.yaml:12:15: unknown field `over`, expected one of max",
    ),
    (
        "policy.yaml",
        "total: { over: {",
        "total: { max: {",
        "policy.yaml:22:16: unknown field `max`, expected one of over",
    ),
    (
        "policy.yaml",
        "assets: [ETH], scope: [], window: transaction",
        "assets: [ETH], scope: [], window: 24h",
        "policy.yaml:27:87: window `24h` is not in this version: only `transaction` is",
    ),
    (
        "policy.yaml",
        "assets: [ETH], scope: [], window: transaction",
        "assets: [ETH], scope: [subject], window: transaction",
        "policy.yaml:27:76: `subject` is not one of `asset`, `destination`, `wallet`",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 0",
        "policy.yaml:23:28: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 65",
        "policy.yaml:23:28: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "policy.yaml",
        "    approvals: { treasury: 2 }\n",
        "",
        "policy.yaml:19:9: require `two-of-treasury` asks for nothing: give it approvals or a time-lock",
    ),
    (
        "policy.yaml",
        "    approvals: { treasury: 2 }\n",
        "    approvals: {}\n",
        "policy.yaml:19:9: require `two-of-treasury` asks for nothing: give it approvals or a time-lock",
    ),
    (
        "policy.yaml",
        "    approvals: { treasury: 2 }\n",
        "    time-lock: 30\n",
        "policy.yaml:23:16: put the value in quotes: without them it is a number or a truth value",
    ),
    (
        "policy.yaml",
        "when: { effects: [code-change, authority-change, delayed-authorization, opaque] }",
        "when: {}",
        "policy.yaml:31:9: forbid `no-code-or-authority` has no condition: it would forbid every transaction",
    ),
    // Reach.
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 4",
        "policy.yaml:23:5: wallet `eth-hot`, initiator `payout-service`: the quorum (4 of treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer",
    ),
    (
        "roster.yaml",
        "operators: [dave]",
        "operators: [alice, bob]",
        "policy.yaml:23:5: wallet `eth-hot`, initiator `payout-service`: the quorum (2 of treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer",
    ),
    (
        "roster.yaml",
        "members: [alice, bob, carol] }\ninitiators",
        "members: [dave, bob] }\ninitiators",
        "policy.yaml:23:5: wallet `eth-hot`, initiator `payout-service`: the quorum (2 of treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer",
    ),
    (
        "roster.yaml",
        "members: [alice, bob, carol] }\ninitiators",
        "members: [] }\ninitiators",
        "roster.yaml:22:30: group `treasury` has no people",
    ),
    (
        "wallets.yaml",
        "  - id: eth-hot\n",
        "  - id: eth-cold\n    tier: cold\n    keys: [\"secp256k1:02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5\"]\n    networks: [{ chain: \"eip155:31337\" }]\n  - id: eth-hot\n",
        "wallets.yaml:3:9: no permit can ever reach wallet `eth-cold`: add one, or remove the wallet",
    ),
    // Roster.
    (
        "roster.yaml",
        "admins: { threshold: 2",
        "admins: { threshold: 4",
        "roster.yaml:25:22: a threshold of 4 can never be reached by 3 members",
    ),
    (
        "roster.yaml",
        "admins: { threshold: 2",
        "admins: { threshold: 0",
        "roster.yaml:25:22: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "roster.yaml",
        "admins: { threshold: 2",
        "admins: { threshold: 1_0",
        "roster.yaml:25:22: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "roster.yaml",
        "officers: [dave]",
        "officers: [erin]",
        "roster.yaml:26:12: `erin` is not a person of the roster",
    ),
    (
        "roster.yaml",
        "  - id: bob",
        "  - id: alice",
        "roster.yaml:7:9: `alice` is listed twice\nroster.yaml:22:38: `bob` is not a person of the roster\nroster.yaml:25:42: `bob` is not a person of the roster",
    ),
    (
        "roster.yaml",
        "officers: [dave]\n",
        "",
        "roster.yaml:25:1: missing field `officers`",
    ),
    // Wallets, networks, assets, destinations.
    (
        "wallets.yaml",
        "tier: hot",
        "tier: warmish",
        "wallets.yaml:4:11: `warmish` is not one of `hot`, `warm`, `cold`",
    ),
    (
        "wallets.yaml",
        "secp256k1:0279be",
        "secp256k1:0579be",
        "wallets.yaml:5:12: a public key is written `secp256k1:` and 66, or `ed25519:` and 64 lower-case hex characters",
    ),
    (
        "wallets.yaml",
        "secp256k1:0279be667",
        "secp256k1:0279be",
        "wallets.yaml:5:12: a public key is written `secp256k1:` and 66, or `ed25519:` and 64 lower-case hex characters",
    ),
    (
        "wallets.yaml",
        "eip155:31337",
        "eip155:1",
        "wallets.yaml:7:18: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "wallets.yaml",
        "first-nonce: 0",
        "first-nonce: 00",
        "wallets.yaml:7:47: write a whole number in plain decimal digits",
    ),
    (
        "wallets.yaml",
        "first-nonce: 0",
        "first-nonce: -1",
        "wallets.yaml:7:47: write a whole number in plain decimal digits",
    ),
    (
        "wallets.yaml",
        "first-nonce: 0 }",
        "first-nonce: 0 }\n      - { chain: \"eip155:31337\" }",
        "wallets.yaml:8:18: network `eip155:31337` is listed twice",
    ),
    (
        "networks/dev.yaml",
        "eip155:31337",
        "eip155:031337",
        "networks/dev.yaml:3:3: `eip155:031337` is not the id of an EVM network: `eip155:` and a number from 1 to 9223372036854775771",
    ),
    (
        "networks/dev.yaml",
        "evm:",
        "bitcoin:",
        "networks/dev.yaml:2:1: unknown variant `bitcoin`, expected one of evm",
    ),
    (
        "assets.yaml",
        "symbol: DEMO",
        "symbol: ETH",
        "assets.yaml:5:11: symbol `ETH` names two assets of network `eip155:31337`",
    ),
    (
        "assets.yaml",
        "symbol: DEMO",
        "symbol: demo",
        "assets.yaml:5:84: asset symbol `demo` may hold only A-Z, a-z, 0-9 and `.`, starting with A-Z",
    ),
    (
        "assets.yaml",
        "decimals: 6",
        "decimals: 37",
        "assets.yaml:5:100: write a whole number from 0 to 36 in plain decimal digits",
    ),
    (
        "assets.yaml",
        "symbol: ETH, decimals: 18",
        "symbol: ETH, decimals: 8",
        "assets.yaml:3:11: asset `eip155:31337/slip44:60` is the native asset of its network and must be `ETH` with 18 decimals",
    ),
    (
        "assets.yaml",
        "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "0x5fbdb2315678afecb367f032d93f642f64180aa3",
        "assets.yaml:5:11: the contract of `eip155:31337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3` is refused: the address does not carry its EIP-55 checksum",
    ),
    (
        "assets.yaml",
        "eip155:31337/erc20",
        "eip155:1/erc20",
        "assets.yaml:5:11: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "assets.yaml",
        "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3\", symbol: DEMO",
        "eip155:31337/slip44:60\", symbol: DEMO",
        "assets.yaml:5:11: asset `eip155:31337/slip44:60` is listed twice",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79c8",
        "destinations.yaml:5:40: `eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79c8`: the address does not carry its EIP-55 checksum",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        "destinations.yaml:5:40: the address is wallet `eth-hot` of this bundle: use `to: { own: [eth-hot] }`",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x0000000000000000000000000000000000000000",
        "destinations.yaml:5:40: `eip155:31337:0x0000000000000000000000000000000000000000`: the address is the zero address: whatever is sent there is lost",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "destinations.yaml:6:40: address `eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC` is listed twice",
    ),
    (
        "destinations.yaml",
        "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "destinations.yaml:5:40: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "destinations.yaml",
        "Customer one",
        "Customer two",
        "destinations.yaml:6:17: name `Customer two` is listed twice",
    ),
    (
        "destinations.yaml",
        "Customer one",
        "Kundin \u{c4}nne",
        "destinations.yaml:5:17: a name has 1 to 64 printable ASCII characters",
    ),
];

#[test]
fn the_dev_bundle_loads_and_each_mutation_is_told() {
    assert_eq!(countersign_bundle::Bundle::load(&dev()).err(), None);
    for (path, from, to, expected) in MUTATIONS {
        let errors = errors(&mutated(path, from, to));
        assert_eq!(errors.to_string(), *expected, "{path}: {from:?} -> {to:?}");
        assert!(errors.iter().all(|error| error.tag() == Tag::BundleMalformed));
        let first = errors.iter().next().unwrap();
        let place = format!("{}:{}:{}: ", first.file(), first.line(), first.column());
        assert!(expected.starts_with(&place), "{expected} at {place}");
    }
}

/// Independent mistakes come together, in order of place; what follows from a file that does not load is not guessed.
#[test]
fn all_errors_come_at_once() {
    let mut files = mutated("policy.yaml", "list: customers", "list: nobody");
    let text = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let text = text
        .replace("treasury: 2", "nobody: 2")
        .replace("hard: \"8 ETH\"", "hard: \"8 USD\"");
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
    let documented: Vec<&str> = docs.lines().filter(|line| line.starts_with("policy.yaml:")).collect();
    assert_eq!(documented.len(), 2);
    for line in documented {
        assert!(MUTATIONS.iter().any(|(.., expected)| *expected == line), "{line}");
    }
}
