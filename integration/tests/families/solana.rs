//! A transfer of SOL, from the messages that `solders` wrote (`chains/solana/vectors`) with this wallet as their payer.

use countersign_integration::workspace_root;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

use crate::line::{Line, SOLANA};

/// The payer in the vectors.
const PAYER: &str = "ee93a4f66f8d16b819bb9beb9ffccdfcdc1412e87fee6a324c2a99a1e0e67148";

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
    let (raw, txid) = line.sign("sol-hot", SOLANA, "sol-1", ["--transaction", &file]);
    // One signature, and the message as it was submitted.
    assert_eq!((raw[0], &raw[65..]), (1, &message[..]));
    let signature = Signature::from_slice(&raw[1..65]).unwrap();
    let key = VerifyingKey::from_bytes(&line.solana_key).unwrap();
    key.verify_strict(&message, &signature).unwrap();
    assert!((86..=88).contains(&txid.len()), "{txid} is base58 of the signature");
}

/// SwissBorg lost 41 million to an instruction that nobody read.
pub(crate) fn a_stake_authorization_behind_a_payment_is_denied(line: &Line) {
    let file = line.file("sol-hidden", &message(line, "stake authorize behind a transfer"));
    let said = line.submit("sol-hot", SOLANA, "sol-hidden", ["--transaction", &file]);
    let denied = line.deny(said, "forbid/matched");
    assert!(denied.to_string().contains("no-code-or-authority"), "{denied}");
}
