//! Every single-byte change, and arbitrary bytes.

use countersign_types::{ConflictKey, Effect, ParsedTransaction, SigningPayload};
use proptest::prelude::*;

use super::fixtures::{Draft, HOT, Maps, STRANGER, World, output, p2wpkh_of, script_of, two_of_three};
use crate::{account::KeyScript, psbt::Psbt};

/// What a signer decides on and signs; the digest of the bytes themselves is left out on purpose.
fn meaning(parsed: &ParsedTransaction) -> (Vec<Effect>, Vec<ConflictKey>, Vec<SigningPayload>) {
    (
        parsed.effects().to_vec(),
        parsed.conflict_keys().to_vec(),
        parsed.signing_payloads().to_vec(),
    )
}

fn fixtures() -> Vec<(&'static str, Vec<u8>)> {
    let outputs = || vec![output(60_000, p2wpkh_of(&STRANGER)), output(39_000, p2wpkh_of(&HOT[0]))];
    let (script, witness_script) = two_of_three();
    let mut multisig = Draft::spending(&[script], outputs()).maps();
    Maps::set(&mut multisig.inputs[0], &[0x05], witness_script.as_bytes());
    let single = |form| Draft::spending(&[script_of(form, &HOT[0])], outputs());
    let mut unknown = Draft::payment().maps();
    Maps::set(&mut unknown.outputs[0], &[0xfc, 0x01], b"unknown");
    vec![
        ("p2wpkh", Draft::payment().maps().encode()),
        ("p2pkh", single(KeyScript::P2pkh).maps().encode()),
        ("p2sh-p2wpkh", single(KeyScript::P2shP2wpkh).maps().encode()),
        ("p2tr", single(KeyScript::P2tr).maps().encode()),
        ("p2tr on trust", single(KeyScript::P2tr).taproot_maps().encode()),
        ("p2wsh", multisig.encode()),
        ("unknown field", unknown.encode()),
    ]
}

#[test]
fn every_single_byte_change_is_refused_or_means_something_else() {
    let world = World::new();
    for (name, valid) in fixtures() {
        let expected = meaning(&world.parse(&valid).unwrap());
        for at in 0..valid.len() {
            for flip in [0x01, 0x02, 0x04, 0x80, 0xff] {
                let mut bytes = valid.clone();
                bytes[at] ^= flip;
                if let Ok(parsed) = world.parse(&bytes) {
                    assert_ne!(meaning(&parsed), expected, "{name}: byte {at} xor {flip:#04x}");
                }
            }
        }
    }
}

#[test]
fn every_truncation_and_every_insertion_is_refused_or_means_something_else() {
    let world = World::new();
    for (name, valid) in fixtures() {
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
    ) {
        let mut maps = Draft::payment().maps();
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
            // Nothing is dropped: a field is known, claimed, or listed.
            let known = |key: &[u8]| key.len() == 1 || (key.len() == 34 && (key[0] == 0x06 || key[0] == 0x02));
            let unknown = maps.inputs[0].iter().filter(|(key, _)| !known(key)).count();
            let listed = psbt.unknown.iter().filter(|field| field.place == crate::Place::Input(0) && field.key.len() > 1);
            prop_assert_eq!(listed.filter(|field| !known(field.key)).count(), unknown);
        }
    }
}
