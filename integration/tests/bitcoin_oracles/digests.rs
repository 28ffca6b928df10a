//! Signature hashes written down a second time from the standards, held against all of Core's vectors; then what we sign is
//! held against them.

use std::fs;

use bitcoin::{
    Script, ScriptBuf, Transaction, TxOut,
    consensus::{deserialize, serialize},
    hashes::{Hash as _, HashEngine as _, sha256, sha256d},
};
use countersign_types::SigningBytes;
use serde_json::Value;

use crate::{
    oracle::CORE_VECTORS,
    site::{Form, STRANGER, forms, output, p2wpkh, previous, psbt, world},
};

const ANYONE_CAN_PAY: u32 = 0x80;
const NONE: u32 = 2;
const SINGLE: u32 = 3;
const OP_CODESEPARATOR: u8 = 0xab;

/// Bitcoin's first signature hash, of which the low five bits of the type say what it covers.
fn legacy(tx: &Transaction, script: &[u8], index: usize, hash_type: u32) -> [u8; 32] {
    let covers = hash_type & 0x1f;
    let mut one = [0; 32];
    one[0] = 1;
    if index >= tx.input.len() || covers == SINGLE && index >= tx.output.len() {
        return one;
    }
    let mut tx = tx.clone();
    for (at, input) in tx.input.iter_mut().enumerate() {
        input.witness.clear();
        input.script_sig = if at == index {
            without_separators(script)
        } else {
            ScriptBuf::new()
        };
        if at != index && (covers == NONE || covers == SINGLE) {
            input.sequence = bitcoin::Sequence::ZERO;
        }
    }
    if hash_type & ANYONE_CAN_PAY != 0 {
        tx.input = vec![tx.input[index].clone()];
    }
    if covers == NONE {
        tx.output.clear();
    }
    if covers == SINGLE {
        tx.output.truncate(index + 1);
        let blank = TxOut {
            value: bitcoin::Amount::from_sat(u64::MAX),
            script_pubkey: ScriptBuf::new(),
        };
        tx.output[..index].fill(blank);
    }
    let message = [preimage(&tx), hash_type.to_le_bytes().to_vec()].concat();
    sha256d::Hash::hash(&message).to_byte_array()
}

/// The plain serialization, also of a transaction without inputs, which a library would take for one with witnesses.
fn preimage(tx: &Transaction) -> Vec<u8> {
    [
        tx.version.0.to_le_bytes().to_vec(),
        serialize(&tx.input),
        serialize(&tx.output),
        tx.lock_time.to_consensus_u32().to_le_bytes().to_vec(),
    ]
    .concat()
}

/// Core leaves the opcode out where it stands between whole instructions, and copies the rest from where reading fails.
fn without_separators(script: &[u8]) -> ScriptBuf {
    let mut kept = Vec::new();
    let mut rest = script;
    while let Some(&opcode) = rest.first() {
        let pushed = match opcode {
            1..=75 => Some(1 + usize::from(opcode)),
            76 => rest.get(1).map(|len| 2 + usize::from(*len)),
            77 => rest
                .get(1..3)
                .map(|len| 3 + usize::from(u16::from_le_bytes(len.try_into().unwrap()))),
            78 => rest
                .get(1..5)
                .map(|len| 5 + u32::from_le_bytes(len.try_into().unwrap()) as usize),
            _ => Some(1),
        };
        let Some(instruction) = pushed.and_then(|len| rest.get(..len)) else {
            break;
        };
        if opcode != OP_CODESEPARATOR {
            kept.extend(instruction);
        }
        rest = &rest[instruction.len()..];
    }
    kept.extend(rest);
    ScriptBuf::from_bytes(kept)
}

/// BIP 341, spending by key.
fn taproot(tx: &Transaction, spent: &[TxOut], index: usize, hash_type: u8) -> [u8; 32] {
    let anyone = hash_type & 0x80 != 0;
    let covers = u32::from(hash_type & 3);
    let hash = |parts: Vec<Vec<u8>>| sha256::Hash::hash(&parts.concat()).to_byte_array().to_vec();
    let amounts = || {
        spent
            .iter()
            .map(|output| output.value.to_sat().to_le_bytes().to_vec())
            .collect()
    };
    let scripts = || spent.iter().map(|output| serialize(&output.script_pubkey)).collect();
    let outpoints = || tx.input.iter().map(|input| serialize(&input.previous_output)).collect();
    let sequences = || tx.input.iter().map(|input| serialize(&input.sequence)).collect();
    let mut message = vec![0, hash_type];
    message.extend(tx.version.0.to_le_bytes());
    message.extend(tx.lock_time.to_consensus_u32().to_le_bytes());
    if !anyone {
        message.extend([hash(outpoints()), hash(amounts()), hash(scripts()), hash(sequences())].concat());
    }
    if covers != NONE && covers != SINGLE {
        message.extend(hash(tx.output.iter().map(serialize).collect()));
    }
    message.push(0); // by key, without an annex
    if anyone {
        let input = &tx.input[index];
        message.extend(
            [
                serialize(&input.previous_output),
                serialize(&spent[index]),
                serialize(&input.sequence),
            ]
            .concat(),
        );
    } else {
        message.extend((index as u32).to_le_bytes());
    }
    if covers == SINGLE {
        message.extend(hash(vec![serialize(&tx.output[index])]));
    }
    tagged(b"TapSighash", &message)
}

/// BIP 340.
fn tagged(tag: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = sha256::Hash::hash(tag);
    let mut engine = sha256::Hash::engine();
    for part in [tag.as_ref(), tag.as_ref(), message] {
        engine.input(part);
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}

fn core(file: &str) -> Option<Value> {
    let text = fs::read_to_string(CORE_VECTORS.find()?.join(file)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn transaction(value: &Value) -> Transaction {
    deserialize(&hex::decode(value.as_str().unwrap()).unwrap()).unwrap()
}

/// The 500 of `sighash.json`, random scripts and types.
#[test]
fn the_legacy_reference_is_cores() {
    let Some(vectors) = core("sighash.json") else { return };
    let vectors = &vectors.as_array().unwrap()[1..];
    assert_eq!(vectors.len(), 500);
    for vector in vectors {
        let script = hex::decode(vector[1].as_str().unwrap()).unwrap();
        let (index, hash_type) = (vector[2].as_u64().unwrap() as usize, vector[3].as_i64().unwrap() as u32);
        let mut found = legacy(&transaction(&vector[0]), &script, index, hash_type);
        found.reverse();
        assert_eq!(vector[4], hex::encode(found), "{vector}");
    }
}

/// The seven inputs of BIP 341's wallet vectors, all types.
#[test]
fn the_taproot_reference_is_bip_341s() {
    let Some(vectors) = core("bip341_wallet_vectors.json") else {
        return;
    };
    let vector = &vectors["keyPathSpending"][0];
    let tx = transaction(&vector["given"]["rawUnsignedTx"]);
    let spent: Vec<TxOut> = vector["given"]["utxosSpent"]
        .as_array()
        .unwrap()
        .iter()
        .map(utxo)
        .collect();
    let inputs = vector["inputSpending"].as_array().unwrap();
    assert_eq!(inputs.len(), 7);
    for input in inputs {
        let number = |name: &str| input["given"][name].as_u64().unwrap();
        let found = taproot(&tx, &spent, number("txinIndex") as usize, number("hashType") as u8);
        assert_eq!(input["intermediary"]["sigHash"], hex::encode(found), "{input}");
    }
}

fn utxo(value: &Value) -> TxOut {
    let script = Script::from_bytes(&hex::decode(value["scriptPubKey"].as_str().unwrap()).unwrap()).to_owned();
    output(value["amountSats"].as_u64().unwrap(), script)
}

/// The transactions of `sighash.json` with inputs of ours, P2PKH and taproot in turn: what we would sign for each input is
/// what the references say for ALL, and for taproot DEFAULT.
#[test]
fn what_we_sign_is_what_the_references_hash() {
    let Some(vectors) = core("sighash.json") else { return };
    let world = world();
    let forms: Vec<Form> = forms()
        .into_iter()
        .filter(|form| form.is_taproot || form.name == "p2pkh")
        .collect();
    let mut compared = 0;
    for vector in &vectors.as_array().unwrap()[1..] {
        let mut tx = transaction(&vector[0]);
        let spent: Vec<Transaction> = (0_u8..)
            .zip(&mut tx.input)
            .map(|(number, input)| {
                let script = forms[usize::from(number) % forms.len()].script.clone();
                let previous = previous(number, output(u64::from(number) + 2_000, script));
                input.previous_output = bitcoin::OutPoint::new(previous.compute_txid(), 0);
                input.script_sig = ScriptBuf::new();
                previous
            })
            .collect();
        // Amounts and scripts of the vectors are noise.
        tx.output = vec![output(1_500, p2wpkh(&STRANGER)); tx.output.len().clamp(1, tx.input.len())];
        tx.version = bitcoin::transaction::Version(tx.version.0.rem_euclid(3) + 1);
        let bytes: Vec<Vec<u8>> = spent.iter().map(serialize).collect();
        let parsed = world
            .parse(&psbt(&tx, &bytes, &[]))
            .unwrap_or_else(|error| panic!("{error}: {vector}"));
        let outputs: Vec<TxOut> = spent.iter().map(|tx| tx.output[0].clone()).collect();
        assert_eq!(parsed.signing_payloads().len(), outputs.len());
        for (index, payload) in parsed.signing_payloads().iter().enumerate() {
            let script = &outputs[index].script_pubkey;
            let reference = match script.is_p2tr() {
                true => SigningBytes::SchnorrPrehash(taproot(&tx, &outputs, index, 0)),
                false => SigningBytes::EcdsaPrehash(legacy(&tx, script.as_bytes(), index, 1)),
            };
            assert_eq!(*payload.bytes(), reference, "input {index} of {vector}");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "only {compared}");
}
