//! `countersign tx decode`: one transaction of each family, one change, and what is said of it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_types::Amount;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BINARY, code, dev_bundle, json, path, run, text};

const EVM: &str = "eip155:31337";
const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// The key of RFC 8032's first test, and what it is in base58.
const SOLANA_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const SOLANA_ACCOUNT: &str = "FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z";
/// Two nonce accounts: the addresses of 32 bytes of 7 and of 8.
const NONCE_ACCOUNT: &str = "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx";
const OTHER_ACCOUNT: &str = "YMN9Qj5jPNp7j14VPcML1B6xGgcPWVZUGLFU3Mnyfaf";

/// 5 DEMO of the example wallet for whoever holds the spender's key, as a wallet would be asked to sign it.
const PERMIT: &[u8] = include_bytes!("permit.json");

/// What the message below is built on: 32 bytes of 9.
const NONCE: &str = "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN";

/// The development bundle with a wallet on each family's network, sealed.
fn three_families() -> TempDir {
    let folder = dev_bundle();
    let chains = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../chains");
    let wallets = fs::read_to_string(folder.path().join("wallets.yaml")).unwrap();
    // The public key of EIP-155's example, private key 0x46…46, and RFC 8032's.
    let more = format!(
        r#"  - id: btc-hot
    tier: hot
    keys: ["secp256k1:024bc2a31265153f07e70e0bab08724e6b85e217f8cd628ceb62974247bb493382"]
    networks: [{{ chain: "{BITCOIN}", first-nonce: 0 }}]
  - id: sol-hot
    tier: hot
    keys: ["ed25519:{SOLANA_KEY}"]
    networks: [{{ chain: "{SOLANA}", first-nonce: 0 }}]
"#
    );
    fs::write(folder.path().join("wallets.yaml"), wallets + &more).unwrap();
    permit_fees(folder.path(), "btc-hot, sol-hot");
    for (from, to) in [
        ("bitcoin/networks/bitcoin.yaml", "networks/bitcoin.yaml"),
        ("solana/networks/mainnet.yaml", "networks/solana.yaml"),
    ] {
        fs::copy(chains.join(from), folder.path().join(to)).unwrap();
    }
    seal(folder.path());
    folder
}

/// The same with a descriptor of DEMO's permits, and DEMO as it could be on the main network.
fn described() -> TempDir {
    let folder = three_families();
    let assets = fs::read_to_string(folder.path().join("assets.yaml")).unwrap();
    let quirks = assets.replacen("symbol: DEMO, ", "symbol: DEMO, quirks: [pausable, freezable], ", 1);
    assert_ne!(quirks, assets);
    fs::write(folder.path().join("assets.yaml"), quirks).unwrap();
    fs::create_dir(folder.path().join("descriptors")).unwrap();
    let descriptor = include_bytes!("permit-descriptor.json");
    fs::write(folder.path().join("descriptors/demo-permit.json"), descriptor).unwrap();
    seal(folder.path());
    folder
}

/// A wallet that no permit reaches is no wallet of a bundle.
fn permit_fees(folder: &Path, wallets: &str) {
    let policy = fs::read_to_string(folder.join("policy.yaml")).unwrap();
    let permit = format!(
        "permits:\n  - {{ id: fees-of-{}, effects: [fee], wallets: [{wallets}] }}\n",
        wallets.len()
    );
    fs::write(folder.join("policy.yaml"), policy.replacen("permits:\n", &permit, 1)).unwrap();
}

/// Writes the manifest of a bundle's folder.
pub(crate) fn seal(folder: &Path) {
    let mut files = BTreeMap::new();
    for below in ["", "networks", "descriptors"] {
        if !folder.join(below).is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder.join(below)).unwrap() {
            let found = entry.unwrap().path();
            let name = found.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".yaml") || name.starts_with("descriptors/") {
                files.insert(name, fs::read(&found).unwrap());
            }
        }
    }
    let manifest = countersign_bundle::Manifest::build(1, None, &files).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_bytes()).unwrap();
}

fn evm() -> Vec<u8> {
    draft().encode().unwrap()
}

fn draft() -> TransferDraft {
    TransferDraft {
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        amount: Amount::from_base_units(1_500_000_000_000_000_000),
        destination: format!("{EVM}:{CUSTOMER}").parse().unwrap(),
        nonce: 7,
        gas_limit: 21_000,
        price: GasPrice::Eip1559 {
            max_fee_per_gas: 30_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
        },
    }
}

/// 60 000 satoshi to a stranger, 39 000 back, 1 000 for the miners: the golden PSBT of the family's own tests.
fn bitcoin() -> Vec<u8> {
    hex::decode(include_str!("../../../../chains/bitcoin/vectors/payment.psbt.hex").trim()).unwrap()
}

/// A legacy message behind a durable nonce: 5 lamports to whoever holds RFC 8032's second key.
fn solana() -> Vec<u8> {
    let key = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
    let recipient = key("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let recent_blockhashes = key("06a7d517192c568ee08a845f73d29788cf035c3145b21ab344d8062ea9400000");
    let keys = [key(SOLANA_KEY), [7; 32], recipient, [0; 32], recent_blockhashes].concat();
    let advance = [3, 3, 1, 4, 0, 4, 4, 0, 0, 0];
    let transfer = [3, 2, 0, 2, 12, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    [&[1, 0, 2, 5], &keys[..], &[9; 32], &[2], &advance, &transfer].concat()
}

fn decode(bundle: &TempDir, network: &str, file: &str, more: &[&str]) -> Output {
    let folder = bundle.path().to_str().unwrap();
    let fixed = ["tx", "decode", "--bundle", folder, "--network", network, file];
    run(&[&fixed, more].concat())
}

fn decode_bytes(bundle: &TempDir, network: &str, bytes: &[u8], more: &[&str]) -> Output {
    let file = path(bundle, "transaction");
    fs::write(&file, bytes).unwrap();
    decode(bundle, network, &file, more)
}

fn report(bundle: &TempDir, network: &str, bytes: &[u8], more: &[&str]) -> Value {
    let output = decode_bytes(bundle, network, bytes, &[&["--output", "json"], more].concat());
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    json(&output.stdout)
}

/// Golden: people read these in docs/transactions.md, and scripts read them too. Digest and sighash of the EVM transaction
/// were computed from RLP, SHA-256 and Keccak-256 in Python; its address is the well-known one of private key 1.
#[test]
fn the_documented_output_is_what_is_said() {
    let documented = include_str!("../../../../docs/transactions.md");
    let bundle = described();
    let mut missing = String::new();
    for (network, bytes) in [
        (EVM, evm()),
        (BITCOIN, bitcoin()),
        (SOLANA, solana()),
        (EVM, PERMIT.to_vec()),
    ] {
        let output = decode_bytes(&bundle, network, &bytes, &[]);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        // The last line is the bundle's own digest, which follows the example policy.
        let (said, used) = text(&output.stdout).split_once("decoded with bundle ").unwrap();
        assert!(used.ends_with("(version 1), NOT verified here\n"), "{used}");
        if !documented.contains(said) {
            missing.push_str(said);
        }
    }
    assert_eq!(missing, "", "docs/transactions.md lacks it");
}

#[test]
fn a_transaction_is_the_same_in_every_form() {
    let bundle = three_families();
    let raw = bitcoin();
    let expected = report(&bundle, BITCOIN, &raw, &[]);
    let digits = hex::encode(&raw);
    // What `base64` writes, without and with broken lines.
    let base64 = include_str!("payment.psbt.base64");
    let broken = base64.as_bytes().chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..]);
    for form in [
        format!("0x{digits}\n").as_bytes(),
        digits.to_uppercase().as_bytes(),
        base64.as_bytes(),
        &broken,
    ] {
        assert_eq!(report(&bundle, BITCOIN, form, &[]), expected, "{}", text(form));
    }
    assert_eq!(heard(&bundle, BITCOIN, &raw), expected);
}

/// The report of bytes on standard input.
fn heard(bundle: &TempDir, network: &str, bytes: &[u8]) -> Value {
    let mut command = Command::new(BINARY);
    command.args(["--output", "json", "tx", "decode", "--network", network, "--bundle"]);
    command.arg(bundle.path()).arg("-");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    json(&child.wait_with_output().unwrap().stdout)
}

#[test]
fn json_has_everything_that_text_has() {
    let bundle = three_families();
    let bitcoin = report(&bundle, BITCOIN, &bitcoin(), &[]);
    assert_eq!(bitcoin["fee"]["shown"], "0.00001 BTC");
    let change = &bitcoin["change"][0];
    assert_eq!(
        (&change["amount"], &change["wallet"]),
        (&json!("39000"), &json!("btc-hot"))
    );
    assert_eq!(change["shown"], "0.00039 BTC");
    assert_eq!(bitcoin["template"], "bitcoin-inputs-and-fee");
    assert_eq!(bitcoin["payloads"][0]["scheme"], "ecdsa");
    assert_eq!(bitcoin["bundle"]["version"], 1);
    assert_eq!(bitcoin["bundle"]["verified"], false, "nobody vouched for the folder");
    let evm = report(&bundle, EVM, &evm(), &[]);
    assert_eq!(evm["fee"]["max"], "630000000000000");
    assert_eq!(
        (&evm["change"], &evm["template"]),
        (&json!([]), &json!("evm-nonce-and-fee"))
    );
    assert_eq!(evm["claimed_facts"], false);
}

#[test]
fn bytes_that_are_not_understood_are_code_5_with_their_tag() {
    let bundle = three_families();
    let other_chain = TransferDraft {
        asset: "eip155:1/slip44:60".parse().unwrap(),
        destination: format!("eip155:1:{CUSTOMER}").parse().unwrap(),
        ..draft()
    };
    let behind = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    let table = [
        (EVM, evm()[..20].to_vec(), "transaction/malformed"),
        (EVM, behind(evm()), "transaction/malformed"),
        (EVM, other_chain.encode().unwrap(), "transaction/wrong-chain"),
        (EVM, vec![5, 0xc0], "transaction/unsupported-type"),
        (EVM, vec![], "transaction/malformed"),
        (BITCOIN, behind(bitcoin()), "transaction/malformed"),
        (BITCOIN, evm(), "transaction/malformed"),
        (SOLANA, behind(solana()), "transaction/malformed"),
        (SOLANA, bitcoin(), "transaction/malformed"),
    ];
    for (at, (network, bytes, tag)) in table.into_iter().enumerate() {
        let output = decode_bytes(&bundle, network, &bytes, &["--output", "json"]);
        assert_eq!(code(&output), 5, "row {at}: {}", text(&output.stderr));
        assert_eq!(json(&output.stderr)["error"]["tag"], tag, "row {at}");
        assert_eq!(text(&output.stdout), "", "row {at}: nothing is shown of it");
    }
}

/// A descriptor is beside the effects: it changes nothing of them, and hides nothing that it has no words for.
#[test]
fn typed_data_is_shown_as_effects_with_what_helps_reading() {
    let (plain, bundle) = (three_families(), described());
    let shown = report(&bundle, EVM, PERMIT, &[]);
    let bare = report(&plain, EVM, PERMIT, &[]);
    for same in [
        "transaction",
        "effects",
        "typed_data",
        "payloads",
        "conflict_keys",
        "rewritten",
    ] {
        assert_eq!(shown[same], bare[same], "{same}");
    }
    assert_eq!((&bare["display"], &bare["quirks"]), (&Value::Null, &json!([])));
    let token = format!("{EVM}/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3");
    assert_eq!(
        shown["quirks"],
        json!([{ "asset": token, "symbol": "DEMO", "quirks": ["pausable", "freezable"] }])
    );
    let labels = |of: &Value| -> Vec<String> {
        let lines = of["display"]["lines"].as_array().unwrap();
        lines
            .iter()
            .map(|line| line["label"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        labels(&shown),
        ["Who may spend", "At most", "Until", "`owner`", "`nonce`"]
    );
    assert_eq!(shown["display"]["lines"][1]["text"], "5 DEMO (pausable) (freezable)");

    // The one text of it is what is decoded, and has the same digest in whatever form it came.
    let canonical = shown["typed_data"].as_str().unwrap().as_bytes();
    let again = report(&bundle, EVM, canonical, &[]);
    assert_eq!(
        (&shown["rewritten"], &again["rewritten"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(again["transaction"], shown["transaction"]);
    assert_eq!(again["effects"], shown["effects"]);
    assert_eq!(heard(&bundle, EVM, PERMIT), shown);

    // Another contract's message is not this descriptor's, and payments have no display.
    let elsewhere = text(PERMIT).replace("0x5fbdb2315678afecb367f032d93f642f64180aa3", CUSTOMER);
    assert_eq!(report(&bundle, EVM, elsewhere.as_bytes(), &[])["display"], Value::Null);
    let payment = report(&bundle, EVM, &evm(), &[]);
    assert_eq!(
        (&payment["typed_data"], &payment["display"], &payment["rewritten"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
}

/// Whoever writes a message cannot write to the terminal.
#[test]
fn the_text_of_typed_data_is_harmless() {
    let bundle = three_families();
    let hostile = text(PERMIT).replace("\"Demo\"", "\"De\u{202e}mo\\u001b[2J\"");
    let output = decode_bytes(&bundle, EVM, hostile.as_bytes(), &[]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.bytes().all(|b| b == b'\n' || b == b' ' || b.is_ascii_graphic()),
        "{said}"
    );
    assert!(said.contains("De\\u{202e}mo"), "{said}");
}

#[test]
fn one_change_of_typed_data_is_code_5_with_its_tag() {
    let bundle = three_families();
    let contract = "\"0x5fbdb2315678afecb367f032d93f642f64180aa3\"";
    let table = [
        ("31337", "31338", "transaction/wrong-chain"),
        (
            contract,
            "\"0x0000000000000000000000000000000000000000\"",
            "transaction/unbound-message",
        ),
        ("5000000", "-1", "transaction/malformed"),
        ("\"nonce\": 0,", "", "transaction/malformed"),
        ("\"nonce\": 0,", "\"nonce\": 0, \"more\": 0,", "transaction/malformed"),
        (
            "\"primaryType\": \"Permit\"",
            "\"primaryType\": \"EIP712Domain\"",
            "transaction/malformed",
        ),
        ("\"domain\":", "\"price\": 1, \"domain\":", "transaction/malformed"),
    ];
    for (at, (from, to, tag)) in table.into_iter().enumerate() {
        let changed = text(PERMIT).replacen(from, to, 1);
        assert_ne!(changed.as_bytes(), PERMIT, "row {at}");
        let output = decode_bytes(&bundle, EVM, changed.as_bytes(), &["--output", "json"]);
        assert_eq!(code(&output), 5, "row {at}: {}", text(&output.stderr));
        assert_eq!(json(&output.stderr)["error"]["tag"], tag, "row {at}");
    }
    let output = decode_bytes(&bundle, SOLANA, PERMIT, &["--output", "json"]);
    assert_eq!(json(&output.stderr)["error"]["tag"], "transaction/malformed");
}

#[test]
fn a_nonce_account_excludes_others_once_its_value_is_known() {
    let bundle = three_families();
    let unknown = report(&bundle, SOLANA, &solana(), &[]);
    assert_eq!(unknown["conflict_keys"], json!([]));
    let claims = json!({ "nonce_accounts": [
        { "account": NONCE_ACCOUNT, "height": 5, "authority": SOLANA_ACCOUNT, "value": NONCE }
    ] });
    let facts = path(&bundle, "facts.json");
    fs::write(&facts, claims.to_string()).unwrap();
    let known = report(&bundle, SOLANA, &solana(), &["--facts", &facts]);
    assert_eq!(known["claimed_facts"], true);
    let value = "09".repeat(32);
    assert_eq!(
        known["conflict_keys"],
        json!([format!("nonce-account {SOLANA}:{NONCE_ACCOUNT} {value}")])
    );
    let output = decode_bytes(&bundle, SOLANA, &solana(), &["--facts", &facts]);
    assert!(text(&output.stdout).contains("as the facts file claims"));
}

#[test]
fn one_change_of_a_facts_file_and_it_is_refused() {
    let valid = json!({
        "lookup_tables": [{ "account": OTHER_ACCOUNT, "height": 5, "addresses": [SOLANA_ACCOUNT] }],
        "nonce_accounts": [{ "account": NONCE_ACCOUNT, "height": 5, "authority": SOLANA_ACCOUNT, "value": NONCE }],
    });
    let changed = |pointer: &str, to: Value| {
        let mut claims = valid.clone();
        *claims.pointer_mut(pointer).unwrap() = to;
        claims
    };
    let twice = |list: &str| {
        let mut claims = valid.clone();
        let entry = claims[list][0].clone();
        claims[list].as_array_mut().unwrap().push(entry);
        claims
    };
    let mut unknown = valid.clone();
    unknown["price"] = json!(1);
    let table = [
        (valid.clone(), 0),
        (json!({}), 0),
        (unknown, 1),
        (changed("/lookup_tables/0/height", json!(-1)), 1),
        (changed("/lookup_tables/0/addresses/0", json!("abc")), 5),
        (
            changed("/lookup_tables/0/addresses", json!(vec![SOLANA_ACCOUNT; 257])),
            5,
        ),
        (changed("/lookup_tables/0/account", json!(CUSTOMER)), 5),
        (changed("/nonce_accounts/0/authority", json!("")), 5),
        (changed("/nonce_accounts/0/value", json!("0x00")), 5),
        (twice("lookup_tables"), 5),
        (twice("nonce_accounts"), 5),
    ];
    let bundle = three_families();
    let facts = path(&bundle, "facts.json");
    for (at, (claims, expected)) in table.into_iter().enumerate() {
        fs::write(&facts, claims.to_string()).unwrap();
        let output = decode_bytes(&bundle, SOLANA, &solana(), &["--facts", &facts]);
        assert_eq!(code(&output), expected, "row {at}: {}", text(&output.stderr));
    }
}

/// Address poisoning: the same ends, another middle.
#[test]
fn a_destination_that_looks_like_a_listed_one_is_warned_about() {
    let bundle = three_families();
    let poisoned = TransferDraft {
        destination: format!("{EVM}:0x70990000000000000000000000000000000079c8")
            .parse()
            .unwrap(),
        ..draft()
    };
    let poisoned = poisoned.encode().unwrap();
    let warned = report(&bundle, EVM, &poisoned, &[]);
    assert_eq!(warned["lookalikes"][0]["resembles"], format!("{EVM}:{CUSTOMER}"));
    assert_eq!(warned["lookalikes"][0]["known_as"], "Customer one (customers)");
    let output = decode_bytes(&bundle, EVM, &poisoned, &[]);
    let said = text(&output.stdout).lines().find(|line| line.starts_with("warning: "));
    let documented = include_str!("../../../../docs/transactions.md");
    assert!(
        documented.lines().any(|line| Some(line) == said),
        "docs/transactions.md lacks {said:?}"
    );
    assert_eq!(report(&bundle, EVM, &evm(), &[])["lookalikes"], json!([]));
}

#[test]
fn a_wallet_is_named_where_a_network_has_several() {
    let bundle = three_families();
    let wallets = fs::read_to_string(bundle.path().join("wallets.yaml")).unwrap();
    let second = format!(
        "  - id: sol-warm\n    tier: warm\n    keys: [\"ed25519:{}\"]\n    networks: [{{ chain: \"{SOLANA}\", first-nonce: 0 }}]\n",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    );
    fs::write(bundle.path().join("wallets.yaml"), wallets + &second).unwrap();
    permit_fees(bundle.path(), "sol-warm");
    seal(bundle.path());
    let output = decode_bytes(&bundle, SOLANA, &solana(), &[]);
    assert_eq!(code(&output), 2, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--wallet"));
    report(&bundle, SOLANA, &solana(), &["--wallet", "sol-hot"]);
    let elsewhere = decode_bytes(&bundle, "eip155:1", &evm(), &[]);
    assert_eq!(code(&elsewhere), 5, "{}", text(&elsewhere.stderr));
    assert!(text(&elsewhere.stderr).contains("request/unknown-network"));
}
