//! EIP-191 personal messages: one text, its exact preimage, and a signature that is worth what its reader makes of it.

use alloy_primitives::{hex, keccak256};
use countersign_types::{Effect, RawSignature, Tag, TransactionDigest};
use proptest::prelude::*;
use serde::Deserialize;

use super::{
    fixtures::{HOT_KEY, WARM_KEY, World, prehash, sign},
    vectors::effect_lines,
};
use crate::{AssembleError, MAX_TRANSACTION_BYTES, ParseError, assemble::certify_message, message::Signable};

pub(super) const PREFIX: &[u8] = b"\x19Ethereum Signed Message:\n";

pub(super) fn personal(data: &[u8]) -> Vec<u8> {
    [PREFIX, data.len().to_string().as_bytes(), data].concat()
}

/// A message, and what `eth-account` makes of it with the key of [`HOT_KEY`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    unsigned: String,
    hash: String,
    /// r ‖ s ‖ v.
    signed: String,
    effect: String,
}

#[test]
fn messages_that_eth_account_signed() {
    let world = World::new();
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../vectors/messages.json")).unwrap();
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let unsigned = hex::decode(&vector.unsigned).unwrap();
        let parsed = world.parse(&unsigned).unwrap();
        assert_eq!(hex::encode_prefixed(prehash(&parsed)), vector.hash, "{}", vector.name);
        assert_eq!(effect_lines(&world, &parsed), [vector.effect], "{}", vector.name);
        let theirs = hex::decode(&vector.signed).unwrap();
        let raw = RawSignature::Ecdsa(theirs[..64].try_into().unwrap());
        let signed = world.assemble(&unsigned, &[raw]).unwrap();
        assert_eq!(signed.bytes, theirs, "{}", vector.name);
        assert_eq!(signed.txid, vector.hash, "{}", vector.name);
    }
}

#[test]
fn a_message_excludes_nothing_and_costs_nothing() {
    let world = World::new();
    let unsigned = personal(b"hello");
    let parsed = world.parse(&unsigned).unwrap();
    let message = Effect::PersonalMessage {
        bytes: b"hello".to_vec(),
    };
    assert_eq!(parsed.effects(), [message, world.fee(0)]);
    assert_eq!(parsed.conflict_keys(), []);
    assert_eq!(parsed.template(), None);
    assert_eq!(parsed.transaction(), TransactionDigest::of(&unsigned));
    assert_eq!(parsed.signing_payloads()[0].key(), world.account.key());
    assert_eq!(prehash(&parsed), keccak256(&unsigned).0);
}

#[test]
fn one_change_and_its_error() {
    let valid = personal(b"hello");
    let of = |length: &str, data: &[u8]| [PREFIX, length.as_bytes(), data].concat();
    let (prefix, length) = (ParseError::NotAPersonalMessage, ParseError::PersonalMessageLength);
    let cases: Vec<(&str, Vec<u8>, ParseError)> = vec![
        ("first byte alone", vec![0x19], prefix.clone()),
        ("prefix alone", PREFIX.to_vec(), length.clone()),
        ("no line end", valid.replacen(b'\n', b' '), prefix.clone()),
        ("another prefix", valid.replacen(b'E', b'e'), prefix.clone()),
        (
            "typed data's preimage",
            [&[0x19, 1][..], &[7; 64]].concat(),
            prefix.clone(),
        ),
        ("a validator's data", [&[0x19, 0][..], &[7; 40]].concat(), prefix),
        ("no length", of("", b"hello"), length.clone()),
        ("one too few", of("4", b"hello"), length.clone()),
        ("one too many", of("6", b"hello"), length.clone()),
        ("a leading zero", of("05", b"hello"), length.clone()),
        ("a sign", of("+5", b"hello"), length.clone()),
        ("hex", of("0x5", b"hello"), length.clone()),
        ("a space behind the length", of("5 ", b"hello"), length.clone()),
        ("a trailing byte", [&valid[..], b"!"].concat(), length.clone()),
        ("a missing byte", valid[..valid.len() - 1].to_vec(), length),
    ];
    let world = World::new();
    assert!(world.parse(&valid).is_ok());
    for (name, unsigned, error) in cases {
        assert_eq!(world.parse(&unsigned), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), Tag::TransactionMalformed, "{name}");
        let refused = world.assemble(&unsigned, &[sign(&HOT_KEY, &keccak256(&unsigned))]);
        assert_eq!(refused, Err(AssembleError::Parse(error)), "{name}");
    }
}

trait Replacen {
    fn replacen(&self, from: u8, to: u8) -> Vec<u8>;
}

impl Replacen for Vec<u8> {
    /// The first of a byte.
    fn replacen(&self, from: u8, to: u8) -> Vec<u8> {
        let mut bytes = self.clone();
        let at = bytes.iter().position(|byte| *byte == from).unwrap();
        bytes[at] = to;
        bytes
    }
}

#[test]
fn the_size_bound_is_exact() {
    let world = World::new();
    let sized = |total: usize| {
        let unsigned = personal(&vec![b'a'; total - PREFIX.len() - 6]);
        assert_eq!(unsigned.len(), total);
        world.parse(&unsigned)
    };
    assert!(sized(MAX_TRANSACTION_BYTES).is_ok());
    let found = MAX_TRANSACTION_BYTES + 1;
    assert_eq!(sized(found), Err(ParseError::TooLarge { found }));
}

#[test]
fn a_signature_of_another_key_or_message_is_refused() {
    let world = World::new();
    let unsigned = personal(b"hello");
    let hash = prehash(&world.parse(&unsigned).unwrap());
    for raw in [sign(&WARM_KEY, &hash), sign(&HOT_KEY, &keccak256(b"hello"))] {
        assert_eq!(world.assemble(&unsigned, &[raw]), Err(AssembleError::BadSignature));
    }
}

/// The last check stands on its own: another byte, parity or length is not released.
#[test]
fn bytes_that_do_not_recover_to_the_wallet_are_refused() {
    let world = World::new();
    let key = world.account.verifying_key();
    let unsigned = personal(b"hello");
    let hash = prehash(&world.parse(&unsigned).unwrap());
    let signed = world.assemble(&unsigned, &[sign(&HOT_KEY, &hash)]).unwrap().bytes;
    let certify = |bytes: &[u8]| certify_message(hash.into(), bytes, key);
    assert_eq!(certify(&signed), Ok(()));
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert_eq!(certify(&changed), Err(AssembleError::NotReproduced), "byte {at}");
    }
    for bytes in [&signed[..64], &[&signed[..], &[27]].concat(), &[]] {
        assert_eq!(certify(bytes), Err(AssembleError::NotReproduced));
    }
}

proptest! {
    /// Digits around the length are where a lenient reader would slip.
    #[test]
    fn a_message_reads_back_as_what_it_is(data in prop::collection::vec(prop_oneof![Just(b'0'), Just(b'1'), any::<u8>()], 0..200)) {
        let parsed = World::new().parse(&personal(&data)).unwrap();
        prop_assert_eq!(&parsed.effects()[0], &Effect::PersonalMessage { bytes: data });
    }

    /// What is accepted is the preimage of what is shown.
    #[test]
    fn arbitrary_tails_never_panic(tail in prop::collection::vec(prop_oneof![b'0'..=b'9', any::<u8>()], 0..40)) {
        let world = World::new();
        let unsigned = [PREFIX, &tail].concat();
        if let Ok(Signable::Personal(message)) = Signable::decode_for(&unsigned, &world.network) {
            let Effect::PersonalMessage { bytes } = message.effect() else { panic!("a message") };
            prop_assert_eq!(personal(&bytes), unsigned);
        }
    }
}
