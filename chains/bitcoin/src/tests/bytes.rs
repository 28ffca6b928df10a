//! Every single-byte change, and arbitrary bytes.

use std::ops::Range;

use bitcoin::{XOnlyPublicKey, consensus::serialize};
use countersign_types::{ConflictKey, Effect, ParsedTransaction, SigningPayload};
use proptest::prelude::*;

use super::fixtures::{
    Draft, HOT, Maps, STRANGER, World, claimed_key, compact, other_values, output, p2wpkh_of, public_key, script_of,
    two_of_three,
};
use crate::{account::KeyScript, address::p2tr, psbt::Psbt};

/// What a signer decides on and signs; the digest of the bytes themselves is left out on purpose.
pub(super) fn meaning(parsed: &ParsedTransaction) -> (Vec<Effect>, Vec<ConflictKey>, Vec<SigningPayload>) {
    (
        parsed.effects().to_vec(),
        parsed.conflict_keys().to_vec(),
        parsed.signing_payloads().to_vec(),
    )
}

/// A derivation of a key (BIP 32) and its value: a fingerprint and one step.
const ORIGIN: [u8; 8] = [1, 2, 3, 4, 5, 0, 0, 0x80];

/// The payment with everything in its maps that is checked against the transaction, and with derivations.
fn decorated() -> Maps {
    let (script, witness_script) = two_of_three();
    let internal_key = XOnlyPublicKey::from_slice(&public_key(&STRANGER).as_bytes()[1..]).unwrap();
    let outputs = vec![
        output(60_000, p2tr(internal_key, None)),
        output(139_000, script.clone()),
        output(2_000, script_of(KeyScript::P2shP2wpkh, &HOT[1])),
    ];
    let spent = [
        script,
        script_of(KeyScript::P2shP2wpkh, &HOT[0]),
        script_of(KeyScript::P2tr, &HOT[0]),
    ];
    let draft = Draft::spending(&spent, outputs);
    let mut maps = draft.maps();
    Maps::set(&mut maps.global, &xpub(1), &ORIGIN);
    Maps::set(&mut maps.inputs[0], &[0x05], witness_script.as_bytes());
    Maps::set(&mut maps.inputs[1], &[0x01], &serialize(&draft.previous[1].output[1]));
    Maps::set(&mut maps.inputs[1], &[0x03], &[1, 0, 0, 0]);
    Maps::set(&mut maps.inputs[1], &[0x04], p2wpkh_of(&HOT[0]).as_bytes());
    Maps::set(&mut maps.inputs[1], &claimed_key(), &ORIGIN);
    Maps::set(&mut maps.inputs[2], &[0x03], &[1, 0, 0, 0]);
    Maps::set(
        &mut maps.inputs[2],
        &tap_claim(0x16),
        &[&[1][..], &[9; 32], &ORIGIN].concat(),
    );
    Maps::set(&mut maps.outputs[0], &[0x05], &internal_key.serialize());
    Maps::set(&mut maps.outputs[0], &tap_claim(0x07), &[&[0][..], &ORIGIN].concat());
    Maps::set(&mut maps.outputs[1], &[0x01], witness_script.as_bytes());
    Maps::set(&mut maps.outputs[2], &[0x00], p2wpkh_of(&HOT[1]).as_bytes());
    let claim = [&[0x02], public_key(&HOT[1]).as_bytes()].concat();
    Maps::set(&mut maps.outputs[2], &claim, &ORIGIN);
    maps
}

/// An extended key of some depth, behind its type (BIP 174).
pub(super) fn xpub(depth: u8) -> Vec<u8> {
    let version = [0x01, 0x04, 0x88, 0xb2, 0x1e];
    [
        &version[..],
        &[depth],
        &[7; 4],
        &[0x80, 0, 0, 0],
        &[8; 32],
        public_key(&HOT[0]).as_bytes(),
    ]
    .concat()
}

fn tap_claim(kind: u8) -> Vec<u8> {
    [&[kind], &public_key(&HOT[0]).as_bytes()[1..]].concat()
}

fn fixtures() -> Vec<(String, Maps)> {
    let outputs = || vec![output(60_000, p2wpkh_of(&STRANGER)), output(39_000, p2wpkh_of(&HOT[0]))];
    let (script, witness_script) = two_of_three();
    let mut multisig = Draft::spending(&[script], outputs()).maps();
    Maps::set(&mut multisig.inputs[0], &[0x05], witness_script.as_bytes());
    let single = |form| Draft::spending(&[script_of(form, &HOT[0])], outputs());
    let mut unknown = Draft::payment().maps();
    Maps::set(&mut unknown.outputs[0], &[0xfc, 0x01], b"unknown");
    let v0 = [
        ("p2wpkh", Draft::payment().maps()),
        ("p2pkh", single(KeyScript::P2pkh).maps()),
        ("p2sh-p2wpkh", single(KeyScript::P2shP2wpkh).maps()),
        ("p2tr", single(KeyScript::P2tr).maps()),
        ("p2tr on trust", single(KeyScript::P2tr).taproot_maps()),
        ("p2wsh", multisig),
        ("unknown field", unknown),
        ("decorated", decorated()),
    ];
    let v2 = v0.iter().map(|(name, maps)| (format!("{name}, v2"), maps.to_v2()));
    let mut locked = Draft::payment().maps().to_v2();
    Maps::set(&mut locked.global, &[0x06], &[0]);
    Maps::set(&mut locked.inputs[0], &[0x11], &1_700_000_000_u32.to_le_bytes());
    Maps::set(&mut locked.inputs[0], &[0x12], &800_000_u32.to_le_bytes());
    let all = v0
        .iter()
        .map(|(name, maps)| (format!("{name}, v0"), maps.clone()))
        .chain(v2);
    all.chain([("lock times, v2".to_owned(), locked)]).collect()
}

/// The one exception: derivations (BIP 32, BIP 371) and extended keys are claims that nothing is decided on, so their keys and
/// values are bytes without a meaning. Where they stand: the key behind its type, and the value, each without its length.
fn ignored(maps: &Maps) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 5;
    let parts = std::iter::once((&maps.global, [Some(0x01), None]))
        .chain(maps.inputs.iter().map(|map| (map, [Some(0x06), Some(0x16)])))
        .chain(maps.outputs.iter().map(|map| (map, [Some(0x02), Some(0x07)])));
    for (map, derivations) in parts {
        for (key, value) in map {
            let key_at = at + compact(key.len()).len();
            let value_at = key_at + key.len() + compact(value.len()).len();
            at = value_at + value.len();
            if derivations.contains(&Some(key[0])) {
                ranges.extend([key_at + 1..key_at + key.len(), value_at..at]);
            }
        }
        at += 1;
    }
    ranges
}

/// Every value of every byte of the payment, in both versions; elsewhere every bit, and all of them.
fn flips(name: &str) -> Vec<u8> {
    match name.starts_with("p2wpkh") {
        true => (1..=0xff).collect(),
        false => (0..8).map(|bit| 1 << bit).chain([0xff]).collect(),
    }
}

#[test]
fn every_single_byte_change_is_refused_or_means_something_else() {
    let world = World::new();
    let mut excepted = 0;
    for (name, maps) in fixtures() {
        let valid = maps.encode();
        let ignored = ignored(&maps);
        let expected = meaning(&world.parse(&valid).unwrap());
        for at in 0..valid.len() {
            for value in other_values(valid[at], &flips(&name)) {
                let mut bytes = valid.clone();
                bytes[at] = value;
                let Ok(parsed) = world.parse(&bytes) else {
                    continue;
                };
                if ignored.iter().any(|range| range.contains(&at)) {
                    assert_eq!(
                        meaning(&parsed),
                        expected,
                        "{name}: a derivation means something at {at}"
                    );
                    excepted += 1;
                } else {
                    assert_ne!(meaning(&parsed), expected, "{name}: byte {at} to {value:#04x}");
                }
            }
        }
    }
    assert!(excepted > 0, "the exception is not exercised");
}

#[test]
fn every_truncation_and_every_insertion_is_refused_or_means_something_else() {
    let world = World::new();
    for (name, maps) in fixtures() {
        let valid = maps.encode();
        let expected = meaning(&world.parse(&valid).unwrap());
        for at in 0..valid.len() {
            assert!(world.parse(&valid[..at]).is_err(), "{name}: cut at {at}");
            let inserted = [&valid[..at], &[0], &valid[at..]].concat();
            if let Ok(parsed) = world.parse(&inserted) {
                assert_ne!(meaning(&parsed), expected, "{name}: a zero at {at}");
            }
        }
    }
}

fn field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let key = prop_oneof![
        (0_u8..0x20).prop_map(|kind| vec![kind]),
        prop::collection::vec(any::<u8>(), 1..40)
    ];
    (key, prop::collection::vec(any::<u8>(), 0..40))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(World::new().parse(&bytes));
        drop(Psbt::read(&[b"psbt\xff", &bytes[..]].concat()));
    }

    /// Fields in any map of a payment; what is accepted is encoded in the one way that there is.
    #[test]
    fn arbitrary_fields_never_panic(
        global in prop::collection::vec(field(), 0..3),
        input in prop::collection::vec(field(), 0..3),
        output in prop::collection::vec(field(), 0..3),
        keeps_order: bool,
        is_v2: bool,
    ) {
        let mut maps = Draft::payment().maps();
        if is_v2 {
            maps = maps.to_v2();
        }
        for (map, fields) in [(&mut maps.global, global), (&mut maps.inputs[0], input), (&mut maps.outputs[0], output)] {
            for (key, value) in fields {
                match keeps_order {
                    true => Maps::set(map, &key, &value),
                    false => map.push((key, value)),
                }
            }
        }
        let is_canonical = std::iter::once(&maps.global).chain(&maps.inputs).chain(&maps.outputs)
            .all(|map| map.is_sorted_by(|a, b| a.0 < b.0));
        let bytes = maps.encode();
        drop(World::new().parse(&bytes));
        if let Ok(psbt) = Psbt::read(&bytes) {
            prop_assert!(is_canonical);
            // Nothing is dropped: a field of a longer key is a derivation or is listed.
            let is_derivation = |key: &[u8]| match key[0] {
                0x06 => key.len() == 34,
                0x16 => key.len() == 33,
                _ => false,
            };
            let unknown = maps.inputs[0].iter().filter(|(key, _)| key.len() > 1 && !is_derivation(key)).count();
            let of_input = psbt.unknown.iter().filter(|field| field.place == crate::Place::Input(0));
            prop_assert_eq!(of_input.filter(|field| field.key.len() > 1).count(), unknown);
        }
    }
}
