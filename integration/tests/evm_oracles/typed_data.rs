//! EIP-712: every vector of `@ethersproject/testcases`, and messages that anvil signs with the same key.

use alloy_primitives::keccak256;
use countersign_chains::evm::TypedData;
use countersign_types::SigningBytes;
use serde_json::{Value, json};

use crate::{
    drafts::CHAIN_ID,
    node::{self, Node},
    oracle::{Disagreements, NODE_MODULES, World, sign_ecdsa},
    site::{reason, world_of},
    vectors::{bytes, read, secret},
};

/// The first key that anvil makes of its default mnemonic.
const ANVIL_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Signs the payload of a message and assembles it: r, s and v.
fn sign(world: &World, secret: &[u8; 32], unsigned: &[u8], digest: &[u8]) -> String {
    let parsed = world.parse(unsigned).unwrap();
    let [payload] = parsed.signing_payloads() else {
        panic!("one payload");
    };
    assert_eq!(*payload.bytes(), SigningBytes::EcdsaPrehash(digest.try_into().unwrap()));
    let signed = world.assemble(unsigned, &[sign_ecdsa(secret, digest)]).unwrap();
    format!("0x{}", hex::encode(signed.bytes))
}

/// What a wallet would be asked to sign.
fn wallet_json(vector: &Value) -> Value {
    json!({
        "types": vector["types"],
        "primaryType": vector["primaryType"],
        "domain": vector["domain"],
        "message": vector["data"],
    })
}

fn chain_id(vector: &Value) -> u64 {
    match &vector["domain"]["chainId"] {
        Value::Number(number) => number.as_u64().unwrap(),
        Value::String(text) => text.parse().unwrap(),
        _ => 1,
    }
}

#[test]
fn every_vector_has_its_digest_and_is_signed_where_its_domain_binds() {
    let Some(modules) = NODE_MODULES.find() else { return };
    let vectors = read(&modules, "eip712");
    assert_eq!(vectors.len(), 1_025);
    let mut disagreements = Disagreements::with("ethers-eip712");
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let data = match TypedData::from_wallet_json(wallet_json(vector).to_string().as_bytes()) {
            Ok(data) => data,
            Err(error) => {
                disagreements.note(&format!("unread: {error:?}"), name);
                continue;
            }
        };
        let digest = bytes(&vector["digest"]);
        assert_eq!(data.signing_hash().unwrap().to_vec(), digest, "{name}");
        let canonical = data.canonical_bytes().unwrap();
        assert_eq!(TypedData::decode(&canonical).unwrap(), data, "{name}");

        let secret = match &vector["privateKey"] {
            Value::Null => [0x46; 32],
            key => secret(key),
        };
        let world = world_of(chain_id(vector), &secret);
        match world.parse(&canonical) {
            Ok(_) => {
                let signature = sign(&world, &secret, &canonical, &digest);
                assert!(
                    vector["signature"].is_null() || vector["signature"] == signature,
                    "{name}"
                );
            }
            Err(error) => disagreements.note(&format!("refused: {}", reason(&error)), name),
        }
    }
    disagreements.settle();
}

/// The same key in the node and in our wallet signs the same text to the same bytes.
#[test]
fn a_node_signs_the_same_messages() {
    let Some(program) = node::find() else { return };
    let node = Node::start(&program);
    let secret = secret(&json!(ANVIL_KEY));
    let world = world_of(CHAIN_ID, &secret);
    for text in ["", "hello", "transfer everything\n", &"x".repeat(300)] {
        let unsigned = [
            b"\x19Ethereum Signed Message:\n",
            text.len().to_string().as_bytes(),
            text.as_bytes(),
        ]
        .concat();
        let theirs = node.call(
            "personal_sign",
            json!([format!("0x{}", hex::encode(text)), world.address()]),
        );
        assert_eq!(
            theirs,
            sign(&world, &secret, &unsigned, keccak256(&unsigned).as_slice()),
            "{text}"
        );
    }

    let permit = json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" },
                { "name": "chainId", "type": "uint256" },
                { "name": "verifyingContract", "type": "address" },
            ],
            "Permit": [
                { "name": "owner", "type": "address" },
                { "name": "spender", "type": "address" },
                { "name": "value", "type": "uint256" },
                { "name": "nonce", "type": "uint256" },
                { "name": "deadline", "type": "uint256" },
            ],
        },
        "primaryType": "Permit",
        "domain": {
            "name": "Token",
            "chainId": CHAIN_ID,
            "verifyingContract": "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707",
        },
        "message": {
            "owner": world.address(),
            "spender": "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
            "value": "1000000",
            "nonce": "0",
            "deadline": "1900000000",
        },
    });
    let data = TypedData::from_wallet_json(permit.to_string().as_bytes()).unwrap();
    let theirs = node.call("eth_signTypedData_v4", json!([world.address(), permit]));
    let digest = data.signing_hash().unwrap();
    assert_eq!(theirs, sign(&world, &secret, &data.canonical_bytes().unwrap(), &digest));
}
