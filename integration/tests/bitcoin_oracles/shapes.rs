//! Bitcoin Core's `tx_valid.json` and `tx_invalid.json`: as previous transactions with every byte, and, with their inputs
//! replaced by outputs of ours, as transactions that we sign.

use std::{collections::BTreeMap, fs, path::Path};

use bitcoin::{
    Address, Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime,
    consensus::{deserialize, serialize},
    transaction::Version,
};
use countersign_types::Effect;
use serde_json::Value;

use crate::{
    oracle::{CORE_VECTORS, Disagreements, World},
    site::{HOT, STRANGER, effect, fee, output, p2wpkh, previous, psbt, reason, sign, world},
};

const FEE_SAT: u64 = 1_000;

/// One transaction of a file, and whether Core's `CheckTransaction` refuses it whatever its scripts say.
struct Vector {
    name: String,
    bytes: Vec<u8>,
    is_bad: bool,
}

fn read(folder: &Path, file: &str) -> Vec<Vector> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let rows: Vec<Vec<Value>> = serde_json::from_str(&text).unwrap();
    let mut comment = String::new();
    let mut vectors = Vec::new();
    for row in rows {
        let Some(bytes) = row.get(1).and_then(Value::as_str) else {
            comment = row[0].as_str().unwrap().to_owned();
            continue;
        };
        vectors.push(Vector {
            name: format!("{file} {} ({comment})", vectors.len()),
            bytes: hex::decode(bytes).unwrap(),
            is_bad: row[2] == "BADTX",
        });
    }
    vectors
}

fn vectors() -> Option<Vec<Vector>> {
    let folder = CORE_VECTORS.find()?;
    let (valid, invalid) = (read(&folder, "tx_valid.json"), read(&folder, "tx_invalid.json"));
    assert_eq!((valid.len(), invalid.len()), (121, 93));
    Some(valid.into_iter().chain(invalid).collect())
}

fn spending(outpoint: OutPoint) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: outpoint,
            sequence: Sequence::MAX,
            script_sig: ScriptBuf::new(),
            witness: Witness::new(),
        }],
        output: vec![output(1, p2wpkh(&STRANGER))],
    }
}

/// Every transaction of Core's is read as a previous transaction, under the id that Core gives it: what is refused then is
/// that the spent output is not ours. Where it carries witnesses, which its id leaves out, it must come without.
#[test]
fn every_transaction_is_read_as_a_previous_one() {
    let Some(vectors) = vectors() else { return };
    let world = world();
    let mut disagreements = Disagreements::with("core-previous");
    let mut plain = 0;
    for vector in vectors {
        let mut tx: Transaction = deserialize(&vector.bytes).unwrap();
        let spend = spending(OutPoint::new(tx.compute_txid(), 0));
        let has_witness = tx.input.iter().any(|input| !input.witness.is_empty());
        let refusal = |bytes: Vec<u8>| reason(&world.parse(&psbt(&spend, &[bytes], &[])).unwrap_err());
        if has_witness {
            assert_eq!(refusal(vector.bytes.clone()), "PreviousWithWitness", "{}", vector.name);
            tx.input.iter_mut().for_each(|input| input.witness.clear());
        }
        match refusal(serialize(&tx)).as_str() {
            "ForeignInput" => plain += 1,
            other => disagreements.note(other, &vector.name),
        }
        // Not one byte more, and none less.
        let longer = [&serialize(&tx)[..], &[0]].concat();
        let shorter = serialize(&tx)[..longer.len() - 2].to_vec();
        for other in [longer, shorter] {
            assert_eq!(refusal(other), "BadTransaction", "{}", vector.name);
        }
    }
    assert!(plain > 200, "only {plain}");
    disagreements.settle();
}

/// The transaction with its flaws and other inputs: each outpoint becomes one of ours, equal ones stay equal and null ones
/// null. Coins for scripts without an address, which we refuse and Core does not, become none; where they are what Core
/// refuses the transaction for, they get an address.
fn with_own_inputs(vector: &Vector) -> (Transaction, Vec<Transaction>) {
    let mut tx: Transaction = deserialize(&vector.bytes).unwrap();
    for output in &mut tx.output {
        if Address::from_script(&output.script_pubkey, Network::Bitcoin).is_ok() {
            continue;
        }
        match vector.is_bad {
            true => output.script_pubkey = p2wpkh(&STRANGER),
            false => output.value = Amount::ZERO,
        }
    }
    let leaves = tx
        .output
        .iter()
        .try_fold(0_u64, |sum, output| sum.checked_add(output.value.to_sat()));
    let mut ours: BTreeMap<OutPoint, Transaction> = BTreeMap::new();
    let mut spent = Vec::new();
    for input in &mut tx.input {
        let number = ours.len() as u8 + 1;
        let is_first = ours.is_empty();
        let transaction = ours.entry(input.previous_output).or_insert_with(|| {
            let pays = if is_first {
                leaves.unwrap_or_default().saturating_add(FEE_SAT)
            } else {
                0
            };
            previous(number, output(pays, p2wpkh(&HOT[0])))
        });
        spent.push(transaction.clone());
        if input.previous_output != OutPoint::null() {
            input.previous_output = OutPoint::new(transaction.compute_txid(), 0);
        }
        input.script_sig = ScriptBuf::new();
        input.witness.clear();
    }
    (tx, spent)
}

fn expected(world: &World, outputs: &[TxOut]) -> Vec<Effect> {
    let outputs = outputs.iter().map(|output| effect(world, output));
    outputs.chain([fee(world, FEE_SAT)]).collect()
}

#[test]
fn transactions_of_every_shape_are_signed_or_refused_for_a_reason() {
    let Some(vectors) = vectors() else { return };
    let world = world();
    let mut disagreements = Disagreements::with("core-shapes");
    let (mut signed, mut as_core) = (0, Vec::new());
    for vector in vectors {
        let (tx, previous) = with_own_inputs(&vector);
        let bytes: Vec<Vec<u8>> = previous.iter().map(serialize).collect();
        let unsigned = psbt(&tx, &bytes, &[]);
        match world.parse(&unsigned) {
            Ok(_) if vector.is_bad => disagreements.note("accepted: BADTX", &vector.name),
            Ok(parsed) => {
                assert_eq!(parsed.effects(), expected(&world, &tx.output), "{}", vector.name);
                let spent: Vec<TxOut> = previous.iter().map(|tx| tx.output[0].clone()).collect();
                sign(&world, &unsigned, &spent, &vector.name);
                signed += 1;
            }
            // As Core says, and for its reason.
            Err(error) if vector.is_bad => as_core.push(reason(&error)),
            Err(error) => disagreements.note(&format!("refused: {}", reason(&error)), &vector.name),
        }
    }
    assert!(signed > 100, "only {signed}");
    // No outputs, more money than there is (one output, and two together), one outpoint twice, coinbases, and nulls among other
    // inputs.
    let (money, null) = ("OverMaxMoney", "NullOutpoint");
    let reasons = [
        "BadCounts",
        money,
        money,
        money,
        "DuplicateOutpoint",
        null,
        null,
        null,
        null,
    ];
    assert_eq!(as_core, reasons);
    disagreements.settle();
}
