//! Signatures: the right one, and everything else.

use countersign_types::{RawSignature, Scheme, Tag};

use super::fixtures::{HOT_SEED, World, alice, message, sign, thief, transfer};
use crate::{AssembleError, ParseError, assemble};

#[test]
fn the_signed_transaction_is_count_signature_message() {
    let world = World::new();
    let unsigned = message(&[transfer(1, alice())]).encode();
    let signature = sign(&HOT_SEED, &unsigned);
    let signed = assemble(&unsigned, &world.sender(), &[signature]).unwrap();
    assert_eq!(signed.bytes, [&[1], &signature.as_bytes()[..], &unsigned].concat());
    assert_eq!(signed.txid, bs58::encode(signature.as_bytes()).into_string());
}

#[test]
fn one_change_of_the_signature_and_its_error() {
    let world = World::new();
    let unsigned = message(&[transfer(1, alice())]).encode();
    let good = sign(&HOT_SEED, &unsigned);
    let other_message = message(&[transfer(2, alice())]).encode();
    let mut flipped = *good.as_bytes();
    flipped[63] ^= 1;
    let cases: Vec<(&str, Vec<RawSignature>, AssembleError)> = vec![
        ("none", vec![], AssembleError::NotOneSignature(0)),
        ("two", vec![good, good], AssembleError::NotOneSignature(2)),
        (
            "ECDSA",
            vec![RawSignature::Ecdsa(*good.as_bytes())],
            AssembleError::WrongScheme(Scheme::Ecdsa),
        ),
        (
            "Schnorr",
            vec![RawSignature::Schnorr(*good.as_bytes())],
            AssembleError::WrongScheme(Scheme::Schnorr),
        ),
        (
            "a flipped bit",
            vec![RawSignature::Ed25519(flipped)],
            AssembleError::BadSignature,
        ),
        (
            "zeros",
            vec![RawSignature::Ed25519([0; 64])],
            AssembleError::BadSignature,
        ),
        (
            "another key",
            vec![sign(&[0x12; 32], &unsigned)],
            AssembleError::BadSignature,
        ),
        (
            "another message",
            vec![sign(&HOT_SEED, &other_message)],
            AssembleError::BadSignature,
        ),
    ];
    for (name, signatures, error) in cases {
        assert_eq!(
            assemble(&unsigned, &world.sender(), &signatures),
            Err(error.clone()),
            "{name}"
        );
        assert_eq!(error.tag(), Tag::BackendBadSignature);
    }
    let mut foreign = message(&[transfer(1, alice())]);
    foreign.keys[0] = thief();
    let foreign = foreign.encode();
    let error = assemble(&foreign, &world.sender(), &[sign(&[0x12; 32], &foreign)]).unwrap_err();
    assert_eq!(error, AssembleError::Parse(ParseError::WrongFeePayer(thief())));
}
