//! PSBT version 2: the same transaction means the same in both versions, and one change of the maps and its error.

use bitcoin::{ScriptBuf, Sequence, absolute::LockTime, transaction::Version};
use countersign_types::{Effect, OpaqueKind, Tag, TemplateKind};
use proptest::prelude::*;

use super::{
    bytes::meaning,
    fixtures::{Draft, HOT, Maps, STRANGER, World, output, p2wpkh_of, payment_v2_with, script_of, two_of_three},
};
use crate::{MAX_UNSIGNED_BYTES, ParseError, Place, PsbtError, account::KeyScript};

const INPUT: Place = Place::Input(0);
const OUTPUT: Place = Place::Output(0);

#[test]
fn one_change_of_the_maps_and_its_error() {
    let global = |key: u8, value: &[u8]| payment_v2_with(|maps| Maps::set(&mut maps.global, &[key], value));
    let input = |key: u8, value: &[u8]| payment_v2_with(|maps| Maps::set(&mut maps.inputs[0], &[key], value));
    let out = |key: u8, value: &[u8]| payment_v2_with(|maps| Maps::set(&mut maps.outputs[0], &[key], value));
    let bad = |place, kind| PsbtError::BadField { place, kind };
    let time = 500_000_000_u32.to_le_bytes();
    let (malformed, large) = (Tag::TransactionMalformed, Tag::TransactionTooLarge);
    let canonical = Tag::TransactionNotCanonical;
    let at = Place::Global;
    let cases: Vec<(&str, Vec<u8>, PsbtError, Tag)> = vec![
        (
            "version 1",
            global(0xfb, &[1, 0, 0, 0]),
            PsbtError::UnsupportedVersion(1),
            Tag::TransactionUnsupportedType,
        ),
        (
            "version 3",
            global(0xfb, &[3, 0, 0, 0]),
            PsbtError::UnsupportedVersion(3),
            Tag::TransactionUnsupportedType,
        ),
        (
            "a transaction version of two bytes",
            global(0x02, &[2, 0]),
            bad(at, 0x02),
            malformed,
        ),
        (
            "a fallback of three bytes",
            global(0x03, &[0; 3]),
            bad(at, 0x03),
            malformed,
        ),
        ("no count", global(0x04, &[]), PsbtError::Truncated, malformed),
        ("a count and a byte", global(0x04, &[1, 0]), bad(at, 0x04), malformed),
        (
            "a count not in its shortest form",
            global(0x05, &[0xfd, 2, 0]),
            PsbtError::NotMinimal,
            canonical,
        ),
        ("no inputs", global(0x04, &[0]), PsbtError::BadCounts, malformed),
        ("no outputs", global(0x05, &[0]), PsbtError::BadCounts, malformed),
        (
            "an input too many",
            global(0x04, &[2]),
            missing_of_the_next_input(),
            malformed,
        ),
        (
            "an output too many",
            global(0x05, &[3]),
            PsbtError::Truncated,
            malformed,
        ),
        (
            "an output too few",
            global(0x05, &[1]),
            PsbtError::TrailingBytes,
            malformed,
        ),
        (
            "inputs beyond every bound",
            global(0x04, &[0xfe, 0, 0, 1, 0]),
            PsbtError::BadCounts,
            malformed,
        ),
        (
            "outputs beyond every byte",
            global(0x05, &[0xff; 9]),
            PsbtError::BadCounts,
            malformed,
        ),
        (
            "as many outputs as there may be",
            global(0x05, &[0xfd, 0xff, 0x0f]),
            PsbtError::Truncated,
            malformed,
        ),
        (
            "one more, and a map for each",
            payment_v2_with(|maps| {
                Maps::set(&mut maps.global, &[0x05], &[0xfd, 0x00, 0x10]);
                maps.outputs = vec![vec![]; 0x1000];
            }),
            PsbtError::BadCounts,
            malformed,
        ),
        (
            "inputs may be added",
            global(0x06, &[1]),
            PsbtError::Modifiable(1),
            malformed,
        ),
        (
            "outputs may be added",
            global(0x06, &[2]),
            PsbtError::Modifiable(2),
            malformed,
        ),
        (
            "a SIGHASH_SINGLE is there",
            global(0x06, &[4]),
            PsbtError::Modifiable(4),
            malformed,
        ),
        (
            "a flag that is not defined",
            global(0x06, &[0x80]),
            PsbtError::Modifiable(0x80),
            malformed,
        ),
        ("flags of two bytes", global(0x06, &[0, 0]), bad(at, 0x06), malformed),
        ("a txid of 31 bytes", input(0x0e, &[1; 31]), bad(INPUT, 0x0e), malformed),
        ("an index of a byte", input(0x0f, &[1]), bad(INPUT, 0x0f), malformed),
        ("a sequence of a byte", input(0x10, &[1]), bad(INPUT, 0x10), malformed),
        (
            "a time that is a height",
            input(0x11, &[0xff, 0x64, 0xcd, 0x1d]),
            bad(INPUT, 0x11),
            malformed,
        ),
        (
            "a height that is a time",
            input(0x12, &time),
            bad(INPUT, 0x12),
            malformed,
        ),
        ("a height of zero", input(0x12, &[0; 4]), bad(INPUT, 0x12), malformed),
        (
            "an amount of seven bytes",
            out(0x03, &[1; 7]),
            bad(OUTPUT, 0x03),
            malformed,
        ),
        (
            "a script under a longer key",
            payment_v2_with(|maps| maps.outputs[0][1].0.push(0)),
            bad(OUTPUT, 0x04),
            malformed,
        ),
        (
            "a script that makes the transaction too large",
            out(0x04, &vec![0x6a; MAX_UNSIGNED_BYTES]),
            PsbtError::TransactionTooLarge(MAX_UNSIGNED_BYTES + 95),
            large,
        ),
        (
            "a partial signature",
            input(0x02, &[1]),
            PsbtError::AlreadySigned(INPUT),
            malformed,
        ),
    ];
    let world = World::new();
    for (name, bytes, error, tag) in cases {
        assert_eq!(world.parse(&bytes), Err(ParseError::Psbt(error.clone())), "{name}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

/// The second input's map is what was the first output's.
fn missing_of_the_next_input() -> PsbtError {
    PsbtError::BadField {
        place: Place::Input(1),
        kind: 0x03,
    }
}

/// Nothing that is signed says what such a field says: it is shown, and a rule has to name it.
#[test]
fn lock_times_that_are_not_the_transactions_are_opaque() {
    let world = World::new();
    let plain = payment_v2_with(|_| {});
    let height = |at: u32| {
        payment_v2_with(|maps| {
            Maps::set(&mut maps.inputs[0], &[0x12], &at.to_le_bytes());
            Maps::set(&mut maps.global, &[0x03], &800_000_u32.to_le_bytes());
        })
    };
    let fields = |bytes: &[u8]| {
        let parsed = world.parse(bytes).unwrap();
        let opaque = |effect: &&Effect| {
            matches!(
                effect,
                Effect::Opaque {
                    what: OpaqueKind::PsbtField,
                    ..
                }
            )
        };
        parsed.effects().iter().filter(opaque).count()
    };
    assert_eq!(fields(&plain), 0);
    // The fallback is the required height: all say the same.
    assert_eq!(fields(&height(800_000)), 0);
    assert_eq!(fields(&height(800_001)), 1);
    let parsed = |bytes: &[u8]| world.parse(bytes).unwrap();
    assert_eq!(parsed(&plain).template(), Some(TemplateKind::BitcoinInputsAndFee));
    assert_eq!(parsed(&height(800_000)).template(), None);
    assert_ne!(
        parsed(&height(800_000)).signing_payloads(),
        parsed(&plain).signing_payloads()
    );
}

#[test]
fn what_is_optional_has_the_value_of_the_standard() {
    let world = World::new();
    let expected = meaning(&world.parse(&payment_v2_with(|_| {})).unwrap());
    let without = |change: fn(&mut Maps)| meaning(&world.parse(&payment_v2_with(change)).unwrap());
    assert_eq!(without(|maps| maps.global.retain(|(key, _)| *key != [0x03])), expected);
    assert_eq!(without(|maps| Maps::set(&mut maps.global, &[0x06], &[0])), expected);
    let omitted = without(|maps| maps.inputs[0].retain(|(key, _)| *key != [0x10]));
    let last = without(|maps| Maps::set(&mut maps.inputs[0], &[0x10], &[0xff; 4]));
    assert_eq!(omitted, last);
    assert_ne!(omitted, expected);
}

fn own_scripts() -> impl Strategy<Value = Vec<(ScriptBuf, Option<ScriptBuf>)>> {
    let (script, witness_script) = two_of_three();
    let forms = [
        KeyScript::P2pkh,
        KeyScript::P2shP2wpkh,
        KeyScript::P2wpkh,
        KeyScript::P2tr,
    ];
    let mut all: Vec<_> = forms
        .iter()
        .flat_map(|form| HOT.iter().map(|secret| (script_of(*form, secret), None)))
        .collect();
    all.push((script, Some(witness_script)));
    prop::collection::vec(prop::sample::select(all), 1..4)
}

fn frame() -> impl Strategy<Value = (i32, u32, Vec<u32>)> {
    let sequence = prop_oneof![Just(0xffff_fffd_u32), Just(0xffff_ffff), any::<u32>()];
    let lock_time = prop_oneof![Just(0_u32), any::<u32>()];
    (1..=3_i32, lock_time, prop::collection::vec(sequence, 4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the transaction, both versions have the same effects, conflict keys, payloads and template, and both
    /// read to the transaction that was written.
    #[test]
    fn both_versions_mean_the_same(
        scripts in own_scripts(),
        (version, lock_time, sequences) in frame(),
        sats in prop::collection::vec(546_u64..30_000, 1..4),
    ) {
        let pay = |(index, sat): (usize, &u64)| match index {
            0 => output(*sat, p2wpkh_of(&STRANGER)),
            1 => output(0, ScriptBuf::new_op_return([7; 9])),
            _ => output(*sat, p2wpkh_of(&HOT[1])),
        };
        let change = 100_000 * scripts.len() as u64 - sats.iter().sum::<u64>() - 1_000;
        let change = output(change, p2wpkh_of(&HOT[2]));
        let outputs = sats.iter().enumerate().map(pay).chain([change]).collect();
        let scripts_alone: Vec<ScriptBuf> = scripts.iter().map(|(script, _)| script.clone()).collect();
        let mut draft = Draft::spending(&scripts_alone, outputs);
        draft.tx.version = Version(version);
        draft.tx.lock_time = LockTime::from_consensus(lock_time);
        for (input, sequence) in draft.tx.input.iter_mut().zip(sequences) {
            input.sequence = Sequence::from_consensus(sequence);
        }
        let mut maps = draft.maps();
        for (map, (_, shown)) in maps.inputs.iter_mut().zip(&scripts) {
            if let Some(shown) = shown {
                Maps::set(map, &[0x05], shown.as_bytes());
            }
        }
        let world = World::new();
        let (v0, v2) = (maps.encode(), maps.to_v2().encode());
        let (first, second) = (world.parse(&v0).unwrap(), world.parse(&v2).unwrap());
        prop_assert_eq!(meaning(&first), meaning(&second));
        prop_assert_eq!(first.template(), second.template());
        let read = crate::psbt::Psbt::read(&v2).unwrap();
        prop_assert_eq!(read.tx, draft.tx);
        // An independent reader and writer gives the same bytes.
        prop_assert_eq!(&bitcoin::Psbt::deserialize(&v0).unwrap().serialize(), &v0);
        let signatures = world.sign(&first);
        prop_assert_eq!(world.assemble(&v0, &signatures), world.assemble(&v2, &signatures));
    }
}
