//! `@ethersproject/testcases`: every transaction, each field.

use std::{fs::File, io::Read as _, path::Path};

use alloy_primitives::{Address, U256};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::{
    oracle::{Disagreements, NODE_MODULES},
    site::{Fields, nonce, reason, sign, sorted, world_of},
};

pub(crate) fn read(modules: &Path, name: &str) -> Vec<Value> {
    let path = modules.join(format!("@ethersproject/testcases/testcases/{name}.json.gz"));
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

pub(crate) fn secret(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

/// A JSON number, or hexadecimal digits, perhaps none; zero where it is absent.
fn number(value: &Value) -> U256 {
    match value {
        Value::Null => U256::ZERO,
        Value::Number(number) => U256::from(number.as_u64().unwrap()),
        Value::String(text) => match text.strip_prefix("0x").unwrap() {
            "" => U256::ZERO,
            digits => U256::from_str_radix(digits, 16).unwrap(),
        },
        other => panic!("{other}"),
    }
}

fn fields(tx: &Value) -> Fields {
    let address = |text: &str| text.parse::<Address>().unwrap();
    Fields {
        nonce: number(&tx["nonce"]).try_into().unwrap(),
        gas: number(&tx["gasLimit"]),
        gas_price: number(&tx["gasPrice"]).max(number(&tx["maxFeePerGas"])),
        to: tx["to"].as_str().filter(|to| *to != "0x").map(address),
        value: number(&tx["value"]),
        data: if tx["data"].is_null() {
            vec![]
        } else {
            bytes(&tx["data"])
        },
        ..Fields::default()
    }
}

/// One transaction of a vector, and who signs it.
struct Vector<'a> {
    chain_id: u64,
    secret: [u8; 32],
    sender: &'a Value,
    unsigned: Vec<u8>,
    signed: Vec<u8>,
    fields: Fields,
}

impl Vector<'_> {
    /// The reason why we refuse it, or nothing when every field agrees.
    fn judge(&self, name: &str) -> Option<String> {
        let world = world_of(self.chain_id, &self.secret);
        assert_eq!(world.address().to_lowercase(), self.sender.as_str().unwrap(), "{name}");
        let parsed = match world.parse(&self.unsigned) {
            Ok(parsed) => parsed,
            Err(error) => return Some(reason(&error)),
        };
        assert_eq!(sorted(&parsed), self.fields.effects(&world), "{name}");
        assert_eq!(nonce(&world, &parsed), self.fields.nonce, "{name}");
        let signed = sign(&world, &self.secret, &self.unsigned, &parsed);
        assert_eq!(hex::encode(signed.bytes), hex::encode(&self.signed), "{name}");
        None
    }
}

#[test]
fn legacy_transactions() {
    let Some(modules) = NODE_MODULES.find() else { return };
    let vectors = read(&modules, "transactions");
    assert_eq!(vectors.len(), 1_067);
    let mut disagreements = Disagreements::with("ethers-transactions");
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let of = |suffix: &str| Vector {
            chain_id: 5,
            secret: secret(&vector["privateKey"]),
            sender: &vector["accountAddress"],
            unsigned: bytes(&vector[format!("unsignedTransaction{suffix}")]),
            signed: bytes(&vector[format!("signedTransaction{suffix}")]),
            fields: fields(vector),
        };
        for suffix in ["", "ChainId5"] {
            if let Some(reason) = of(suffix).judge(name) {
                disagreements.note(&reason, name);
            }
        }
    }
    disagreements.settle();
}

#[test]
fn typed_transactions() {
    let Some(modules) = NODE_MODULES.find() else { return };
    let vectors = read(&modules, "typed-transactions");
    assert_eq!(vectors.len(), 1_792);
    let mut disagreements = Disagreements::with("ethers-typed-transactions");
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let tx = &vector["tx"];
        let vector = Vector {
            // No network has the id 0, so its transactions are held against another.
            chain_id: u64::try_from(number(&tx["chainId"])).unwrap().max(1),
            secret: secret(&vector["key"]),
            sender: &vector["address"],
            unsigned: bytes(&vector["unsigned"]),
            signed: bytes(&vector["signed"]),
            fields: fields(tx),
        };
        if let Some(reason) = vector.judge(name) {
            disagreements.note(&reason, name);
        }
    }
    disagreements.settle();
}
