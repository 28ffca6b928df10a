//! A Bitcoin wallet in the dev bundle: its forms and its key table, and one change of either.

use std::collections::BTreeSet;

use crate::support::{Files, dev, errors, seal};
use countersign_bundle::{Bundle, MAX_KEY_TABLE_BYTES, write_wallets};
use countersign_policy::analysis::{Budget, Conclusion, prove};
use countersign_types::{PublicKey, Scheme, ScriptForm};

const TABLE: &str = "keys/btc-hot.keys";
/// Multiples of the generator, ascending.
const FIVE: &str = "022f8bde4d1a07209355b4a7250a5c5128e88b84bddc619ab7cba8d569b240efe4";
const FOUR: &str = "02e493dbf1c10d80f3581e4904930b1404cc6c13900ee0758474fa94abe8c4cd13";
const THREE: &str = "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9";

const WALLET: &str = r#"  - id: btc-hot
    tier: hot
    keys: ["secp256k1:02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"]
    key-table: keys/btc-hot.keys
    networks:
      - { chain: "bip122:000000000019d6689c085ae165831e93", forms: [p2wpkh, p2tr] }
"#;

const PERMIT: &str = r#"  - id: btc-fees
    effects: [fee]
    wallets: [btc-hot]
    fee: { max: "0.001 BTC" }

requires:"#;

fn record(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn table(keys: &[&str]) -> Vec<u8> {
    keys.iter().flat_map(|key| record(key)).collect()
}

fn key(hex: &str) -> PublicKey {
    format!("secp256k1:{hex}").parse().unwrap()
}

/// The dev bundle with the wallet, not sealed.
fn files() -> Files {
    let mut files = dev();
    let network = include_str!("../../../../chains/bitcoin/networks/bitcoin.yaml");
    files.insert("networks/bitcoin.yaml".to_owned(), network.into());
    files.insert(TABLE.to_owned(), table(&[FIVE, FOUR, THREE]));
    let wallets = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
    files.insert("wallets.yaml".to_owned(), format!("{wallets}{WALLET}").into_bytes());
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    assert_eq!(policy.matches("requires:").count(), 1);
    files.insert(
        "policy.yaml".to_owned(),
        policy.replace("requires:", PERMIT).into_bytes(),
    );
    files
}

fn wallets(from: &str, to: &str) -> Files {
    let mut files = files();
    let text = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    files.insert("wallets.yaml".to_owned(), text.replace(from, to).into_bytes());
    seal(files)
}

fn with_table(bytes: Vec<u8>) -> Files {
    let mut files = files();
    files.insert(TABLE.to_owned(), bytes);
    seal(files)
}

#[test]
fn forms_and_key_table_are_the_wallets() {
    let bundle = Bundle::load(&seal(files()))
        .map_err(|errors| errors.to_string())
        .unwrap();
    let registry = bundle.registry();
    let wallet = registry.wallets().wallet(&"btc-hot".parse().unwrap()).unwrap();
    let site = wallet.networks.values().next().unwrap();
    assert_eq!(site.forms, Some(BTreeSet::from([ScriptForm::P2wpkh, ScriptForm::P2tr])));
    assert_eq!(registry.wallets().owner(&key(THREE)), Some(&wallet.id));
    assert_eq!(registry.wallets().key(&key(FOUR).id()), Some(key(FOUR)));
    let listed = wallet.keys[0].id();
    let asked = registry.required_schemes();
    assert!(asked.contains(&(listed, Scheme::Schnorr)) && asked.contains(&(listed, Scheme::Ecdsa)));
    assert!(asked.iter().all(|(id, _)| *id != key(FOUR).id()));

    // The table is policy: other keys are another policy digest.
    let other = Bundle::load(&with_table(table(&[FIVE, FOUR]))).unwrap();
    assert_ne!(other.policy_digest(), bundle.policy_digest());

    // What the writer writes is the same wallets.
    let records: Vec<_> = registry.wallets().iter().cloned().collect();
    let mut written = files();
    written.insert("wallets.yaml".to_owned(), write_wallets(&records).into_bytes());
    let written = Bundle::load(&seal(written))
        .map_err(|errors| errors.to_string())
        .unwrap();
    assert!(written.registry().wallets().iter().eq(registry.wallets().iter()));
}

/// The bundle names no address of it, and what it may do is looked at all the same.
#[test]
fn an_invariant_is_held_against_a_wallet_of_multisig_outputs_alone() {
    let permit =
        "permits:\n  - id: btc-payouts\n    effects: [transfer, internal]\n    wallets: [btc-hot]\n    assets: [BTC]\n";
    let invariants = "\ninvariants:\n  - { id: stays, when: { wallets: [btc-hot], effects: [transfer] }, then: deny }\n  \
                      - { id: still, when: { to: { own: [btc-hot] } }, then: deny }\n";
    for id in ["btc-hot", "btc_hot.1"] {
        let mut files = files();
        for (path, from, to) in [
            ("wallets.yaml", "forms: [p2wpkh, p2tr]", "forms: [p2wsh]"),
            ("policy.yaml", "permits:\n", permit),
        ] {
            let text = String::from_utf8(files[path].clone()).unwrap();
            let more = if path == "policy.yaml" { invariants } else { "" };
            let text = (text.replace(from, to) + more)
                .replace("id: btc-hot", &format!("id: {id}"))
                .replace("[btc-hot]", &format!("[{id}]"));
            files.insert(path.to_owned(), text.into_bytes());
        }
        let bundle = Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap();
        for invariant in bundle.invariants() {
            let conclusion = prove(invariant, &bundle.setting(), Budget::DEFAULT);
            let Conclusion::Violated(found) = conclusion else {
                panic!("{id}: {conclusion:?}")
            };
            assert_eq!(found.0.wallet.as_str(), id);
        }
    }
}

#[test]
fn one_change_and_its_report() {
    let mut unlisted = files();
    unlisted.insert("keys/other.keys".to_owned(), table(&[THREE]));
    let mut twice = files();
    twice.insert("keys/other.keys".to_owned(), table(&[THREE]));
    let text = String::from_utf8(twice["wallets.yaml"].clone()).unwrap();
    let second = WALLET
        .replace("btc-hot\n", "btc-warm\n")
        .replace("btc-hot.keys", "other.keys")
        .replace(
            "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
            &format!("03{}", &FIVE[2..]),
        );
    twice.insert("wallets.yaml".to_owned(), format!("{text}{second}").into_bytes());
    let chain = "\"bip122:000000000019d6689c085ae165831e93\", forms: [p2wpkh, p2tr]";
    let cases = [
        (
            wallets("[p2wpkh, p2tr]", "[p2wpkh, p2pk]"),
            "wallets.yaml:13:77: bundle/bad-value: `p2pk` is no form of output: use",
        ),
        (
            wallets("[p2wpkh, p2tr]", "[p2wpkh, p2wpkh]"),
            "wallets.yaml:13:77: bundle/listed-twice: form `p2wpkh` is listed twice",
        ),
        (
            wallets("[p2wpkh, p2tr]", "[]"),
            "wallets.yaml:8:9: bundle/missing-value: wallet `btc-hot`: `forms` names no form",
        ),
        (
            wallets(chain, "\"eip155:31337\", forms: [p2wpkh, p2tr]"),
            "wallets.yaml:8:9: bundle/inconsistent: wallet `btc-hot`: network `eip155:31337` has no output scripts",
        ),
        (
            wallets("keys/btc-hot.keys", "keys/btc-cold.keys"),
            "keys/btc-hot.keys:1:1: bundle/inconsistent: no wallet names this key table: name it as `key-table`, or remove it\n\
             wallets.yaml:11:16: bundle/unknown-name: unknown key table `keys/btc-cold.keys`: the bundle has no such file in `keys/`",
        ),
        (
            wallets("keys/btc-hot.keys", "policy.yaml"),
            "keys/btc-hot.keys:1:1: bundle/inconsistent: no wallet names this key table: name it as `key-table`, or remove it\n\
             wallets.yaml:11:16: bundle/unknown-name: unknown key table `policy.yaml`: the bundle has no such file in `keys/`",
        ),
        (
            seal(unlisted),
            "keys/other.keys:1:1: bundle/inconsistent: no wallet names this key table: name it",
        ),
        (seal(twice), "wallets.yaml:14:9: bundle/listed-twice: key `"),
        (
            with_table(table(&[FOUR, FIVE])),
            "keys/btc-hot.keys:1:1: bundle/bad-value: key 1 is not above the one before it",
        ),
        (
            with_table(vec![]),
            "keys/btc-hot.keys:1:1: bundle/bad-value: a key table is one or more compressed public keys",
        ),
        (
            with_table(vec![2; MAX_KEY_TABLE_BYTES + 1]),
            "keys/btc-hot.keys:1:1: bundle/too-many: 66000001 bytes; at most 16777216 in one file (66000000 in a key table, 104000000 in a list)",
        ),
        (
            with_table([vec![2], vec![4; 32]].concat()),
            "wallets.yaml:8:9: bundle/bad-value: wallet `btc-hot`: key `sha256:",
        ),
        (
            with_table(record(
                "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
            )),
            "wallets.yaml:8:9: bundle/listed-twice: key `sha256:",
        ),
    ];
    for (files, expected) in cases {
        let report = errors(&files).to_string();
        assert!(report.starts_with(expected), "{report}");
    }
}
