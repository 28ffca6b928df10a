//! Transfers of SOL, from the messages that `solders` wrote (`chains/solana/vectors`) with this wallet as their payer: written out,
//! and to an account in a lookup table, which observers read. Under a durable nonce, one is cancelled by another one.

use countersign_chains::solana::{Lifetime, TransferDraft};
use countersign_integration::workspace_root;
use countersign_types::{Amount, Destination, TransactionDigest};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

use crate::line::{Line, SOLANA, SOLANA_CUSTOMER};

/// The payer in the vectors.
const PAYER: &str = "ee93a4f66f8d16b819bb9beb9ffccdfcdc1412e87fee6a324c2a99a1e0e67148";

/// The table of the vectors, and another one; 32 bytes in hex.
const TABLE: &str = "d54207da194977dcf46adbfec2bc2e75b52d5a8a42184fedfdc00024f0e3e8da";
const OTHER_TABLE: &str = "3131313131313131313131313131313131313131313131313131313131313131";
/// Neither a customer nor ours.
const STRANGER: [u8; 32] = [0x30; 32];

fn message(line: &Line, name: &str) -> Vec<u8> {
    let vectors = std::fs::read(workspace_root().join("chains/solana/vectors/messages.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_slice(&vectors).unwrap();
    let found = vectors.iter().find(|vector| vector["name"] == name).unwrap();
    let text = found["unsigned"].as_str().unwrap();
    assert_eq!(text.matches(PAYER).count(), 1);
    hex::decode(text.replace(PAYER, &hex::encode(line.solana_key))).unwrap()
}

pub(crate) fn a_listed_customer_is_paid(line: &Line) {
    let message = message(line, "transfer");
    let file = line.file("sol-1", &message);
    let signed = line.sign("sol-hot", SOLANA, "sol-1", ["--transaction", &file]);
    assert_signed(line, &message, &signed);
}

/// One signature of the wallet, and the message as it was submitted.
fn assert_signed(line: &Line, message: &[u8], (raw, txid): &(Vec<u8>, String)) {
    assert_eq!((raw[0], &raw[65..]), (1, message));
    let signature = Signature::from_slice(&raw[1..65]).unwrap();
    let key = VerifyingKey::from_bytes(&line.solana_key).unwrap();
    key.verify_strict(message, &signature).unwrap();
    assert!((86..=88).contains(&txid.len()), "{txid} is base58 of the signature");
}

/// The same payment on another recent blockhash, which stands behind the accounts.
fn with_blockhash(message: &[u8], blockhash: [u8; 32]) -> Vec<u8> {
    let at = 4 + 32 * usize::from(message[3]);
    [&message[..at], &blockhash, &message[at + 32..]].concat()
}

/// Two messages with recent blockhashes can both land, so the second one waits until observers saw that the first cannot, and is then
/// signed by itself. No approval is asked for again: what was approved is the payment and its fee.
pub(crate) fn an_expired_payment_is_replaced_once_observers_say_so(line: &Line) {
    let first = with_blockhash(&message(line, "transfer"), [0x41; 32]);
    let file = line.file("sol-late", &first);
    let given = ["--transaction", &file, "--template"];
    let pending = line.submit("sol-hot", SOLANA, "sol-late", &given).expect(4);
    assert_signed(line, &first, &line.approve(&pending));

    let id = pending["id"].as_str().unwrap();
    let second = with_blockhash(&first, [0x42; 32]);
    let file = line.file("sol-again", &second);
    let replace = ["withdraw", "replace", id, "--transaction", &file, "--wait"];
    line.deny_later(line.countersign(&replace), "lineage/anchor-changed");
    let fact = json!({ "transaction": TransactionDigest::of(&first).to_string(), "last_valid_height": 310 });
    for observer in ["watch-1", "watch-3"] {
        line.observe(observer, SOLANA, id, &json!([{ "expired": fact }]));
    }
    let replaced = line.until(id, |shown| shown["attempts"][1]["signed_transaction"] != Value::Null);
    assert_eq!(
        (&replaced["state"], &replaced["missing"]),
        (&json!("signed"), &json!([])),
        "{replaced}"
    );
    let text = |field: &str| replaced["attempts"][1][field].as_str().unwrap();
    let raw = hex::decode(text("signed_transaction").strip_prefix("0x").unwrap()).unwrap();
    assert_signed(line, &second, &(raw, text("txid").to_owned()));
    line.verify(id, text("txid"));
}

/// SwissBorg lost 41 million to an instruction that nobody read.
pub(crate) fn a_stake_authorization_behind_a_payment_is_denied(line: &Line) {
    let file = line.file("sol-hidden", &message(line, "stake authorize behind a transfer"));
    let said = line.submit("sol-hot", SOLANA, "sol-hidden", &["--transaction", &file]);
    let denied = line.deny(said, "forbid/matched");
    assert!(denied.to_string().contains("no-code-or-authority"), "{denied}");
}

/// A lookup table, in hex, and what it holds.
struct Table {
    account: &'static str,
    holds: [[u8; 32]; 2],
}

impl Table {
    fn account(&self) -> String {
        bs58::encode(hex::decode(self.account).unwrap()).into_string()
    }

    /// As the initiator claims it to be.
    fn claim(&self, line: &Line, name: &str) -> String {
        let addresses = self.holds.map(|address| bs58::encode(address).into_string());
        let claims = json!({ "lookup_tables": [{ "account": self.account(), "height": 311, "addresses": addresses }] });
        line.file(name, claims.to_string().as_bytes())
    }

    /// As an observer's own node has it.
    fn observe(&self, line: &Line, observer: &str, withdrawal: &str) {
        let fact = json!({ "lookup-table": {
            "account": format!("{SOLANA}:{}", self.account()),
            "addresses": self.holds.map(hex::encode),
        }});
        line.observe(observer, SOLANA, withdrawal, &json!([fact]));
    }
}

fn customer() -> [u8; 32] {
    bs58::decode(SOLANA_CUSTOMER).into_vec().unwrap().try_into().unwrap()
}

/// To the second account of a table: the message has its index and nothing else.
fn looked_up(line: &Line, table: &str) -> Vec<u8> {
    let text = hex::encode(message(line, "transfer to a looked-up account"));
    assert_eq!(
        (text.matches(TABLE).count(), text.contains(&hex::encode(customer()))),
        (1, false)
    );
    hex::decode(text.replace(TABLE, table)).unwrap()
}

pub(crate) fn a_customer_behind_a_lookup_table_is_paid_once_observers_say_who_it_is(line: &Line) {
    let table = Table {
        account: TABLE,
        holds: [STRANGER, customer()],
    };
    let message = looked_up(line, TABLE);
    let file = line.file("sol-lookup", &message);
    let claims = table.claim(line, "sol-lookup.facts");
    let given = ["--transaction", &file, "--facts", &claims];
    let waiting = line.submit("sol-hot", SOLANA, "sol-lookup", &given).expect(4);
    assert_eq!(waiting["reasons"][0]["tag"], "facts/unattested", "{waiting}");
    let id = waiting["id"].as_str().unwrap();

    table.observe(line, "watch-1", id);
    let still = line.countersign(&["withdraw", "show", id, "--wait"]).expect(4);
    assert_eq!(
        still["reasons"][0]["tag"], "facts/unattested",
        "one observer is none: {still}"
    );
    table.observe(line, "watch-3", id);
    let attested = line.until(id, |shown| shown["missing"] != json!([]));
    assert_signed(line, &message, &line.approve(&attested));
}

/// What the initiator claims is what the request asks for: bytes that do something else are refused, and another attempt awaited.
pub(crate) fn a_table_that_observers_read_otherwise_pays_nobody(line: &Line) {
    let claimed = Table {
        account: OTHER_TABLE,
        holds: [STRANGER, customer()],
    };
    let found = Table {
        account: OTHER_TABLE,
        holds: [customer(), STRANGER],
    };
    let file = line.file("sol-lie", &looked_up(line, OTHER_TABLE));
    let claims = claimed.claim(line, "sol-lie.facts");
    let given = ["--transaction", &file, "--facts", &claims];
    let waiting = line.submit("sol-hot", SOLANA, "sol-lie", &given).expect(4);
    let id = waiting["id"].as_str().unwrap();
    for observer in ["watch-1", "watch-2"] {
        found.observe(line, observer, id);
    }
    let refused = line.until(id, |shown| shown["state"] == "refused");
    assert_eq!(refused["reasons"][0]["tag"], "request/payments-mismatch", "{refused}");
    assert_eq!(refused["attempts"][0]["signed_transaction"], Value::Null);
}

/// A durable nonce account of this wallet's, and what it stores.
const NONCE_ACCOUNT: [u8; 32] = [0x51; 32];
const NONCE_VALUE: [u8; 32] = [0x52; 32];

pub(crate) fn nonce_account() -> String {
    bs58::encode(NONCE_ACCOUNT).into_string()
}

/// One lamport under the durable nonce, to a customer or back to the wallet.
fn under_nonce(line: &Line, to: [u8; 32]) -> Vec<u8> {
    let account = |address: [u8; 32]| -> Destination {
        let address = bs58::encode(address).into_string();
        format!("{SOLANA}:{address}").parse().unwrap()
    };
    let draft = TransferDraft {
        wallet: account(line.solana_key),
        asset: format!("{SOLANA}/slip44:501").parse().unwrap(),
        token: None,
        amount: Amount::from_base_units(1),
        destination: account(to),
        lifetime: Lifetime::Nonce {
            account: account(NONCE_ACCOUNT),
            value: NONCE_VALUE,
        },
        budget: None,
        memo: None,
    };
    draft.encode().unwrap()
}

/// Both advance the same nonce, so whichever lands excludes the other. What the account stores, observers say.
pub(crate) fn a_stuck_payment_is_cancelled_under_its_nonce(line: &Line) {
    let authority = bs58::encode(line.solana_key).into_string();
    let value = bs58::encode(NONCE_VALUE).into_string();
    let claims = json!({ "nonce_accounts": [
        { "account": nonce_account(), "height": 311, "authority": authority, "value": value },
    ]});
    let claims = line.file("nonce.facts", claims.to_string().as_bytes());
    let payment = under_nonce(line, customer());
    let file = line.file("sol-wrong", &payment);
    let given = ["--transaction", &file, "--facts", &claims, "--template"];
    let waiting = line.submit("sol-hot", SOLANA, "sol-wrong", &given).expect(4);
    let id = waiting["id"].as_str().unwrap();
    let fact = json!({ "nonce-account": {
        "account": format!("{SOLANA}:{}", nonce_account()),
        "authority": format!("{SOLANA}:{authority}"),
        "value": hex::encode(NONCE_VALUE),
    }});
    for observer in ["watch-1", "watch-3"] {
        line.observe(observer, SOLANA, id, &json!([fact]));
    }
    let attested = line.until(id, |shown| shown["missing"] != json!([]));
    assert_signed(line, &payment, &line.approve(&attested));

    let back = under_nonce(line, line.solana_key);
    let file = line.file("sol-back", &back);
    let given = [
        "--transaction",
        &file,
        "--facts",
        &claims,
        "--fee-ceiling",
        "0.00001 SOL",
        "--wait",
    ];
    let signed = line
        .countersign(&[&["withdraw", "cancel", id][..], &given].concat())
        .expect(0);
    let attempt = signed["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!(attempt["cancels"], true, "{signed}");
    let text = |field: &str| attempt[field].as_str().unwrap();
    let raw = hex::decode(text("signed_transaction").strip_prefix("0x").unwrap()).unwrap();
    assert_signed(line, &back, &(raw, text("txid").to_owned()));
    line.verify(id, text("txid"));
}
