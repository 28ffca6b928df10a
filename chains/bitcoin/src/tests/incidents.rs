//! Attacks that happened to others, or that were published, whole.

use bitcoin::{OutPoint, ScriptBuf, Transaction, TxOut, Witness, consensus::serialize};
use countersign_types::{RawSignature, Tag};

use super::{
    fixtures::{Draft, Field, HOT, Maps, STRANGER, World, output, p2wpkh_of, public_key, script_of, sign},
    signing::{judge, spent},
};
use crate::{
    ParseError,
    account::{KeyScript, OwnKey},
    sighash::digests,
    spend::{Spend, Unlock},
};

fn own_key() -> OwnKey {
    let public = public_key(&HOT[0]);
    OwnKey {
        id: public.id(),
        point: bitcoin::CompressedPublicKey::from_slice(public.as_bytes()).unwrap(),
    }
}

/// What a signer that believes claimed amounts signs for one input.
fn gullible(tx: &Transaction, claimed: &[TxOut], input: usize) -> Witness {
    let spend = |(index, spent): (usize, &TxOut)| Spend {
        outpoint: tx.input[index].previous_output,
        spent: spent.clone(),
        unlock: Unlock::Key {
            script: KeyScript::P2wpkh,
            key: own_key(),
        },
    };
    let spends: Vec<Spend> = claimed.iter().enumerate().map(spend).collect();
    let digest = &digests(tx, &spends).unwrap()[input][0];
    let RawSignature::Ecdsa(signature) = sign(&HOT[0], &digest.bytes) else {
        panic!("an ECDSA signature");
    };
    let signature = bitcoin::secp256k1::ecdsa::Signature::from_compact(&signature).unwrap();
    Witness::p2wpkh(&bitcoin::ecdsa::Signature::sighash_all(signature), &own_key().point.0)
}

/// The segwit fee attack: a BIP 143 signature commits to the amount of its own input alone. One session lies about the
/// second input and is good for the first, the other the reverse; each shows a fee of 10 000, together they burn 105 000.
/// Bitcoin Core accepts what a gullible signer makes of it; none of the ways to tell the lie is accepted here.
#[test]
fn two_sessions_that_lie_about_one_input_each_get_no_signature() {
    let world = World::new();
    let own = p2wpkh_of(&HOT[0]);
    let draft = Draft::spending(&[own.clone(), own.clone()], vec![output(95_000, p2wpkh_of(&STRANGER))]);
    let (truth, lie) = (output(100_000, own.clone()), output(5_000, own));

    let mut burnt = draft.tx.clone();
    burnt.input[0].witness = gullible(&draft.tx, &[truth.clone(), lie.clone()], 0);
    burnt.input[1].witness = gullible(&draft.tx, &[lie.clone(), truth.clone()], 1);
    judge(&serialize(&burnt), &spent(&draft)).unwrap();
    let fee = spent(&draft).iter().map(|output| output.value.to_sat()).sum::<u64>() - 95_000;
    assert_eq!(fee, 105_000);

    for lied in [0, 1] {
        let honest = draft.maps();
        let session = |change: &dyn Fn(&mut Vec<Field>)| {
            let mut maps = honest.clone();
            change(&mut maps.inputs[lied]);
            [maps.clone(), maps.to_v2()].map(|maps| world.parse(&maps.encode()).map(drop))
        };
        let lying = serialize(&lie);
        let mut other = draft.previous[lied].clone();
        other.output[1].value = lie.value;
        let cases = [
            session(&|input| *input = vec![(vec![0x01], lying.clone())]),
            session(&|input| Maps::set(input, &[0x01], &lying)),
            session(&|input| Maps::set(input, &[0x00], &serialize(&other))),
        ];
        let errors = [
            ParseError::MissingPrevious { input: lied },
            ParseError::FalseUtxo { input: lied },
            ParseError::WrongPrevious { input: lied },
        ];
        for (found, error) in cases.into_iter().zip(errors) {
            assert_eq!(error.tag(), Tag::TransactionMalformed);
            assert_eq!(found, [Err(error.clone()), Err(error)]);
        }
    }
    // Told the truth, the fee is what it is, and a person sees it: over half of what is spent is no fee.
    let found = world.parse(&draft.maps().encode());
    assert_eq!(
        found,
        Err(ParseError::FeeShareTooHigh {
            found: 105_000,
            inputs: 200_000,
            max: 50,
        })
    );
}

/// The same lie with taproot inputs on trust: BIP 341 commits to every amount, so a signature over a lie is none.
#[test]
fn taproot_signatures_over_a_lie_are_void() {
    let world = World::new();
    let own = script_of(KeyScript::P2tr, &HOT[0]);
    let draft = Draft::spending(&[own.clone(), own.clone()], vec![output(195_000, p2wpkh_of(&STRANGER))]);
    let mut maps = draft.taproot_maps();
    let honest = world.parse(&maps.encode()).unwrap();
    Maps::set(&mut maps.inputs[1], &[0x01], &serialize(&output(96_000, own)));
    let lying = maps.encode();
    let parsed = world.parse(&lying).unwrap();
    assert_eq!(parsed.effects().last(), Some(&world.fee(1_000)));
    assert_eq!(honest.effects().last(), Some(&world.fee(5_000)));
    let signed = world.assemble(&lying, &world.sign(&parsed)).unwrap();
    assert!(judge(&signed.bytes, &spent(&draft)).is_err());
}

/// The first output is the payment that everybody looks at; the second one empties the wallet, to an address that
/// looks like change, with a derivation that says so.
#[test]
fn the_second_output_is_the_theft() {
    let world = World::new();
    let thief = p2wpkh_of(&[0x66; 32]);
    let outputs = vec![output(1_000, p2wpkh_of(&STRANGER)), output(98_000, thief.clone())];
    let mut maps = Draft::spending(&[p2wpkh_of(&HOT[0])], outputs).maps();
    let derivation = [&[0x02], public_key(&HOT[1]).as_bytes()].concat();
    Maps::set(&mut maps.outputs[1], &derivation, &[0xde, 0xad, 0xbe, 0xef, 1, 0, 0, 0]);
    for maps in [maps.clone(), maps.to_v2()] {
        let parsed = world.parse(&maps.encode()).unwrap();
        let expected = [
            world.transfer(1_000, &p2wpkh_of(&STRANGER)),
            world.transfer(98_000, &thief),
            world.fee(1_000),
        ];
        assert_eq!(parsed.effects(), expected);
    }
}

/// A multisig script with a stranger's key, or one signature fewer, pays back "to ourselves".
#[test]
fn change_to_a_weaker_script_is_no_change() {
    let world = World::new();
    let weak = super::fixtures::multisig_of(1, &[HOT[0], STRANGER]);
    let script = ScriptBuf::new_p2wsh(&weak.wscript_hash());
    let outputs = vec![output(60_000, p2wpkh_of(&STRANGER)), output(39_000, script.clone())];
    let mut maps = Draft::spending(&[p2wpkh_of(&HOT[0])], outputs).maps();
    Maps::set(&mut maps.outputs[1], &[0x01], weak.as_bytes());
    let parsed = world.parse(&maps.encode()).unwrap();
    assert_eq!(parsed.effects()[1], world.transfer(39_000, &script));
}

/// Spending one output twice in one transaction counts its amount twice.
#[test]
fn one_outpoint_is_not_spent_twice() {
    let world = World::new();
    let mut draft = Draft::payment();
    draft.tx.input.push(draft.tx.input[0].clone());
    draft.previous.push(draft.previous[0].clone());
    draft.tx.output[1].value = bitcoin::Amount::from_sat(139_000);
    assert_ne!(draft.tx.input[0].previous_output, OutPoint::null());
    for maps in [draft.maps(), draft.maps().to_v2()] {
        assert_eq!(world.parse(&maps.encode()), Err(ParseError::DuplicateOutpoint));
    }
}
