//! What people sign with wallets and no transaction is: EIP-191 messages and EIP-712 typed data.

use alloy_primitives::{Address, keccak256};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use serde_json::{Value, json};

use crate::line::{EVM, Line};

fn personal(text: &str) -> Vec<u8> {
    format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len()).into_bytes()
}

/// Whoever is shown the signature decides what it means, so no example policy permits one.
pub(crate) fn a_message_for_people_is_denied(line: &Line) {
    let text = "I give everything to 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
    let file = line.file("message", &personal(text));
    let decoded = line
        .countersign(&["tx", "decode", "--network", EVM, "--wallet", "eth-hot", &file])
        .expect(0);
    assert!(decoded["effects"].as_str().unwrap().contains(text), "{decoded}");
    let said = line.submit("eth-hot", EVM, "message-1", &["--tx", &file]);
    line.deny(said, "permit/uncovered");
}

/// The address of a key, from the curve and Keccak-256 alone.
fn address(key: &[u8]) -> Address {
    let key = VerifyingKey::from_sec1_bytes(key).unwrap();
    let point = key.to_sec1_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
}

/// EIP-2612, as a wallet would be asked for it: numbers are numbers, and nothing is in the order in which it is signed.
fn permit(owner: Address) -> Value {
    let fields = |fields: &[(&str, &str)]| {
        let field = |(name, of): &(&str, &str)| json!({ "name": name, "type": of });
        fields.iter().map(field).collect::<Value>()
    };
    json!({
        "types": {
            "Permit": fields(&[
                ("owner", "address"), ("spender", "address"), ("value", "uint256"), ("nonce", "uint256"), ("deadline", "uint256"),
            ]),
            "EIP712Domain": fields(&[
                ("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address"),
            ]),
        },
        "message": {
            "owner": owner.to_string(), "spender": "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
            "value": 5_000_000, "nonce": 0, "deadline": 1_893_456_000,
        },
        "domain": {
            "name": "Demo", "version": "1", "chainId": 31337,
            "verifyingContract": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
        },
        "primaryType": "Permit",
    })
}

/// It moves tokens later and without a transaction of ours, which phishing lives on. It is shown as what it is, and denied.
pub(crate) fn a_permit_in_typed_data_is_denied(line: &Line) {
    let wallet_json = serde_json::to_vec_pretty(&permit(address(&line.evm_key))).unwrap();
    let file = line.file("permit.json", &wallet_json);
    let decoded = line
        .countersign(&["tx", "decode", "--network", EVM, "--wallet", "eth-hot", &file])
        .expect(0);
    assert_eq!(decoded["rewritten"], true);
    let effects: Vec<&str> = decoded["effects"].as_str().unwrap().lines().collect();
    let token = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
    assert_eq!(
        effects[3..5],
        [
            format!(
                "allowance 5000000 {EVM}/erc20:{token} (5 DEMO) for {EVM}:0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
            ),
            format!("delayed-authorization through {EVM}:{token}"),
        ]
    );
    let said = line.submit("eth-hot", EVM, "permit-1", &["--typed-data", &file]);
    assert!(said.error.contains("typed data was rewritten"), "{}", said.error);
    let denied = line.deny(said, "forbid/matched");
    assert!(denied.to_string().contains("delayed-elsewhere"), "{denied}");
}

/// r, s and v, good for the wallet's key and for the bytes that were submitted.
pub(crate) fn a_wallet_for_messages_signs_them(line: &Line) {
    let message = personal("example.com wants you to sign in: 7f3a");
    let file = line.file("sign-in", &message);
    let (raw, txid) = line.sign("eth-notary", EVM, "message-2", ["--tx", &file]);
    let hash = keccak256(&message);
    assert_eq!((raw.len(), txid), (65, hash.to_string()));
    let signature = Signature::from_slice(&raw[..64]).unwrap();
    let parity = RecoveryId::new(raw[64] == 28, false);
    let signer = VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, parity).unwrap();
    assert_eq!(signer, VerifyingKey::from_sec1_bytes(&line.notary_key).unwrap());
}
