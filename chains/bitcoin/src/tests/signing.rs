//! Every supported form signed, assembled, and judged by Bitcoin Core's interpreter with all spent outputs.

use bitcoin::{
    OutPoint, ScriptBuf, Transaction, TxIn, TxOut,
    consensus::{deserialize, serialize},
};
use bitcoinconsensus::{Utxo, VERIFY_ALL_PRE_TAPROOT, VERIFY_TAPROOT};
use countersign_types::{ConflictKey, RawSignature, Scheme, Tag};

use super::fixtures::{
    Draft, HOT, Maps, STRANGER, World, dogecoin, funding, output, p2wpkh_of, script_of, sign, two_of_three,
};
use crate::{AssembleError, ParseError, account::KeyScript, fee::signed_vbytes, identify, parse::read_for};

/// Bitcoin Core accepts every input. Spent outputs are always passed: without them taproot is not checked at all.
pub(super) fn judge(signed: &[u8], spent: &[TxOut]) -> Result<(), bitcoinconsensus::Error> {
    let utxo = |output: &TxOut| Utxo {
        script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
        script_pubkey_len: output.script_pubkey.len() as u32,
        value: output.value.to_sat() as i64,
    };
    let utxos: Vec<Utxo> = spent.iter().map(utxo).collect();
    let flags = VERIFY_ALL_PRE_TAPROOT | VERIFY_TAPROOT;
    for (index, output) in spent.iter().enumerate() {
        let (script, value) = (output.script_pubkey.as_bytes(), output.value.to_sat());
        bitcoinconsensus::verify_with_flags(script, value, signed, Some(&utxos), index, flags)?;
    }
    Ok(())
}

pub(super) fn spent(draft: &Draft) -> Vec<TxOut> {
    draft.previous.iter().map(|tx| tx.output[1].clone()).collect()
}

struct Form {
    name: &'static str,
    script: ScriptBuf,
    witness_script: Option<ScriptBuf>,
    signatures: usize,
}

fn forms() -> Vec<Form> {
    let single = |name, form| Form {
        name,
        script: script_of(form, &HOT[1]),
        witness_script: None,
        signatures: 1,
    };
    let (script, witness_script) = two_of_three();
    vec![
        single("p2pkh", KeyScript::P2pkh),
        single("p2sh-p2wpkh", KeyScript::P2shP2wpkh),
        single("p2wpkh", KeyScript::P2wpkh),
        single("p2tr", KeyScript::P2tr),
        Form {
            name: "p2wsh 2 of 3",
            script,
            witness_script: Some(witness_script),
            signatures: 2,
        },
    ]
}

fn maps_of(draft: &Draft, forms: &[&Form]) -> Maps {
    let mut maps = draft.maps();
    for (map, form) in maps.inputs.iter_mut().zip(forms) {
        if let Some(script) = &form.witness_script {
            Maps::set(map, &[0x05], script.as_bytes());
        }
    }
    maps
}

fn assert_signs(world: &World, draft: &Draft, maps: &Maps, name: &str) -> Vec<u8> {
    let unsigned = maps.encode();
    let parsed = world.parse(&unsigned).unwrap_or_else(|error| panic!("{name}: {error}"));
    let signed = world.assemble(&unsigned, &world.sign(&parsed)).unwrap();
    judge(&signed.bytes, &spent(draft)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let tx: Transaction = deserialize(&signed.bytes).unwrap();
    assert_eq!(tx.compute_txid().to_string(), signed.txid);
    // The size that the fee rate is bounded by: that of the longest signatures.
    let read = read_for(&unsigned, &world.sender()).unwrap();
    let (foreseen, found) = (signed_vbytes(&read.psbt.tx, &read.spends).unwrap(), tx.vsize() as u64);
    let signatures = parsed.signing_payloads().len() as u64;
    assert!(
        (found..=found + 2 * signatures).contains(&foreseen),
        "{name}: {foreseen} for {found}"
    );
    signed.bytes
}

#[test]
fn every_form_is_accepted_by_bitcoin_core() {
    let world = World::new();
    for form in forms() {
        let outputs = vec![output(199_000, p2wpkh_of(&STRANGER))];
        let draft = Draft::spending(&[form.script.clone(), form.script.clone()], outputs);
        let maps = maps_of(&draft, &[&form, &form]);
        let parsed = world.parse(&maps.encode()).unwrap();
        assert_eq!(parsed.signing_payloads().len(), form.signatures * 2, "{}", form.name);
        let signed = assert_signs(&world, &draft, &maps, form.name);

        // The judge does judge: neither other amounts (but for P2PKH, which commits to none) nor other bytes pass.
        let mut other = spent(&draft);
        other[1].value += bitcoin::Amount::ONE_SAT;
        assert_eq!(judge(&signed, &other).is_ok(), form.name == "p2pkh", "{}", form.name);
        let mut tx: Transaction = deserialize(&signed).unwrap();
        tx.output[0].value -= bitcoin::Amount::ONE_SAT;
        assert!(judge(&serialize(&tx), &spent(&draft)).is_err(), "{}", form.name);
    }
}

/// As many P2PKH inputs as fit, each of which is signed over the whole transaction, and one more.
#[test]
fn the_signed_transaction_is_bounded() {
    let world = World::new();
    let consolidation = |inputs: u32| {
        let fund = |vout| {
            let mut funding = funding(1, 100_000, script_of(KeyScript::P2pkh, &HOT[0]));
            funding.input[0].previous_output.vout = vout;
            funding
        };
        let rest = u64::from(inputs) * 100_000 - 100_000;
        let mut draft = Draft::spending(&[], vec![output(rest, p2wpkh_of(&STRANGER))]);
        draft.previous = (0..inputs).map(fund).collect();
        let spend = |previous: &Transaction| TxIn {
            previous_output: OutPoint::new(previous.compute_txid(), 1),
            ..TxIn::default()
        };
        draft.tx.input = draft.previous.iter().map(spend).collect();
        world.parse(&draft.maps().encode())
    };
    // 148 bytes an input; version, lock time, both counts and the output are 43.
    assert_eq!(consolidation(675).unwrap().fee_units(), Some(675 * 148 + 43));
    let error = ParseError::SignedTooLarge { found: 676 * 148 + 43 };
    assert_eq!(error.tag(), Tag::TransactionTooLarge);
    assert_eq!(consolidation(676), Err(error));
}

#[test]
fn all_forms_in_one_transaction() {
    let (world, forms) = (World::new(), forms());
    let scripts: Vec<ScriptBuf> = forms.iter().map(|form| form.script.clone()).collect();
    let draft = Draft::spending(&scripts, vec![output(400_000, p2wpkh_of(&STRANGER))]);
    let all: Vec<&Form> = forms.iter().collect();
    assert_signs(&world, &draft, &maps_of(&draft, &all), "all forms");
}

#[test]
fn taproot_needs_no_previous_transactions_and_signs_default_or_all() {
    let world = World::new();
    let script = script_of(KeyScript::P2tr, &HOT[0]);
    let draft = Draft::spending(&[script.clone(), script], vec![output(199_000, p2wpkh_of(&STRANGER))]);
    let mut maps = draft.taproot_maps();
    let default = assert_signs(&world, &draft, &maps, "default");
    Maps::set(&mut maps.inputs[0], &[0x03], &[0, 0, 0, 0]);
    assert_eq!(assert_signs(&world, &draft, &maps, "explicit default"), default);
    Maps::set(&mut maps.inputs[0], &[0x03], &[1, 0, 0, 0]);
    assert_eq!(assert_signs(&world, &draft, &maps, "all").len(), default.len() + 1);
}

#[test]
fn networks_without_segwit_sign_p2pkh() {
    let world = World::on(dogecoin(), &HOT);
    let draft = Draft::spending(
        &vec![script_of(KeyScript::P2pkh, &HOT[0]); 30],
        vec![output(2_900_000, script_of(KeyScript::P2pkh, &STRANGER))],
    );
    assert_signs(&world, &draft, &draft.maps(), "dogecoin");
}

#[test]
fn conflict_keys_are_every_outpoint_ascending() {
    let world = World::new();
    let mut draft = Draft::spending(
        &[p2wpkh_of(&HOT[0]), p2wpkh_of(&HOT[1]), p2wpkh_of(&HOT[2])],
        vec![output(299_000, p2wpkh_of(&STRANGER))],
    );
    let keys = world.parse(&draft.maps().encode()).unwrap().conflict_keys().to_vec();
    assert!(keys.is_sorted() && keys.len() == 3);
    for input in &draft.tx.input {
        let outpoint = ConflictKey::Outpoint {
            chain: world.network.chain().clone(),
            txid: *input.previous_output.txid.as_ref(),
            index: 1,
        };
        assert!(keys.contains(&outpoint));
    }
    draft.tx.input.reverse();
    draft.previous.reverse();
    assert_eq!(world.parse(&draft.maps().encode()).unwrap().conflict_keys(), keys);
}

#[test]
fn one_change_of_the_signatures_and_its_error() {
    let world = World::new();
    let (script, witness_script) = two_of_three();
    let draft = Draft::spending(&[script], vec![output(99_000, p2wpkh_of(&STRANGER))]);
    let mut maps = draft.maps();
    Maps::set(&mut maps.inputs[0], &[0x05], witness_script.as_bytes());
    let unsigned = maps.encode();
    let parsed = world.parse(&unsigned).unwrap();
    let good = world.sign(&parsed);
    let third = sign(&HOT[2], parsed.signing_payloads()[0].bytes());
    let bad = AssembleError::BadSignature { input: 0 };
    let count = |found| AssembleError::WrongCount { needed: 2, found };
    let scheme = |found| AssembleError::WrongScheme { input: 0, found };
    let cases = [
        ("none", vec![], count(0)),
        ("one", vec![good[0]], count(1)),
        ("three", vec![good[0], good[1], third], count(3)),
        ("swapped", vec![good[1], good[0]], bad.clone()),
        ("the same twice", vec![good[0], good[0]], bad.clone()),
        ("the third key's", vec![good[0], third], bad.clone()),
        ("zeros", vec![good[0], RawSignature::Ecdsa([0; 64])], bad.clone()),
        ("ones", vec![good[0], RawSignature::Ecdsa([0xff; 64])], bad),
        (
            "schnorr",
            vec![RawSignature::Schnorr([1; 64]), good[1]],
            scheme(Scheme::Schnorr),
        ),
        (
            "ed25519",
            vec![RawSignature::Ed25519([1; 64]), good[1]],
            scheme(Scheme::Ed25519),
        ),
    ];
    for (name, signatures, error) in cases {
        let found = world.assemble(&unsigned, &signatures).unwrap_err();
        assert_eq!(found, error, "{name}");
        assert_eq!(found.tag(), Tag::BackendBadSignature);
    }
    assert_eq!(world.assemble(&[], &good).unwrap_err().tag(), Tag::TransactionMalformed);
}

/// The id of a P2PKH input's transaction takes in its script signature: who waited for the id under another one would never
/// see the transaction land.
#[test]
fn signed_bytes_with_other_signatures_are_nobodys() {
    let world = World::new();
    for form in forms() {
        let outputs = vec![output(99_000, p2wpkh_of(&STRANGER))];
        let draft = Draft::spending(std::slice::from_ref(&form.script), outputs);
        let unsigned = maps_of(&draft, &[&form]).encode();
        let signed = world
            .assemble(&unsigned, &world.sign(&world.parse(&unsigned).unwrap()))
            .unwrap();
        let found = |bytes: &[u8]| identify(&unsigned, &world.sender(), bytes);
        assert_eq!(found(&signed.bytes), Ok(signed.txid));
        let mut bare: Transaction = deserialize(&signed.bytes).unwrap();
        bare.input[0].script_sig = ScriptBuf::new();
        bare.input[0].witness.clear();
        let error = found(&serialize(&bare)).unwrap_err();
        assert_eq!(error, AssembleError::NotReproduced, "{}", form.name);
        for at in 0..signed.bytes.len() {
            for flip in [0x01, 0x80] {
                let mut changed = signed.bytes.clone();
                changed[at] ^= flip;
                let error = found(&changed).expect_err(form.name);
                assert_eq!(error.tag(), Tag::BackendBadSignature, "{} {at}", form.name);
            }
        }
    }
}

#[test]
fn high_s_is_made_low() {
    let world = World::new();
    let unsigned = Draft::payment().maps().encode();
    let good = world.sign(&world.parse(&unsigned).unwrap());
    let RawSignature::Ecdsa(low) = good[0] else {
        panic!("ECDSA");
    };
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let mut high = low;
    let mut borrow = 0_i16;
    for (at, n) in hex::decode(order).unwrap().iter().enumerate().rev() {
        let difference = i16::from(*n) - i16::from(low[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        high[32 + at] = difference.rem_euclid(256) as u8;
    }
    assert_ne!(high, low);
    let signed = world.assemble(&unsigned, &[RawSignature::Ecdsa(high)]).unwrap();
    assert_eq!(signed, world.assemble(&unsigned, &good).unwrap());
}
