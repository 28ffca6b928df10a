//! Published PSBTs: those of BIP 174 (version 0), BIP 370 (version 2) and BIP 371 (taproot fields).

use serde::Deserialize;

use super::fixtures::Maps;
use crate::{Place, PsbtError, psbt::Psbt};

#[derive(Deserialize)]
struct Vectors {
    invalid: Vec<Case>,
    valid: Vec<Case>,
    #[serde(default)]
    lock_times: Vec<LockTime>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    hex: String,
}

#[derive(Deserialize)]
struct LockTime {
    name: String,
    hex: String,
    /// None where there is none for all inputs.
    lock_time: Option<u32>,
}

fn bip174() -> Vectors {
    serde_json::from_str(include_str!("../../vectors/bip174.json")).unwrap()
}

fn bip370() -> Vectors {
    serde_json::from_str(include_str!("../../vectors/bip370.json")).unwrap()
}

fn bip371() -> Vectors {
    serde_json::from_str(include_str!("../../vectors/bip371.json")).unwrap()
}

const INPUT: Place = Place::Input(0);
const OUTPUT: Place = Place::Output(0);

fn missing(place: Place, kind: u8) -> PsbtError {
    PsbtError::MissingField { place, kind }
}

fn other(place: Place, kind: u8) -> PsbtError {
    PsbtError::OtherVersion { place, kind }
}

fn bad(place: Place, kind: u8) -> PsbtError {
    PsbtError::BadField { place, kind }
}

/// What is read, as the number of fields that are not known.
fn read(bytes: &[u8]) -> Result<usize, PsbtError> {
    Psbt::read(bytes).map(|psbt| psbt.unknown.len())
}

/// The vectors of BIP 370 carry final witnesses, which we refuse at once: without them the rest is judged.
fn without_final_witness(hex: &str, inputs: usize) -> Vec<u8> {
    let mut maps = Maps::decode(&hex::decode(hex).unwrap(), inputs, 2);
    for map in &mut maps.inputs {
        map.retain(|(key, _)| key[0] != 0x08);
    }
    maps.encode()
}

/// Each vector that BIP 370 calls invalid is refused, and for its own reason.
#[test]
fn bip370_invalid() {
    let expected = [
        other(Place::Global, 0x00),
        other(Place::Global, 0x02),
        other(Place::Global, 0x03),
        other(Place::Global, 0x04),
        other(Place::Global, 0x05),
        other(Place::Global, 0x06),
        other(INPUT, 0x0e),
        other(INPUT, 0x0f),
        other(INPUT, 0x10),
        other(INPUT, 0x11),
        other(INPUT, 0x12),
        other(OUTPUT, 0x03),
        other(OUTPUT, 0x04),
        other(Place::Global, 0x00),
        missing(Place::Global, 0x04),
        missing(Place::Global, 0x05),
        missing(Place::Global, 0x02),
        missing(INPUT, 0x0e),
        missing(INPUT, 0x0f),
        missing(OUTPUT, 0x03),
        missing(OUTPUT, 0x04),
        bad(INPUT, 0x11),
        bad(INPUT, 0x12),
        // A height of 0, but the flags come first.
        PsbtError::Modifiable(7),
    ];
    let cases = bip370().invalid;
    assert_eq!(cases.len(), expected.len());
    for (case, expected) in cases.iter().zip(expected) {
        let bytes = without_final_witness(&case.hex, 1);
        assert_eq!(read(&bytes), Err(expected), "{}", case.name);
        assert!(read(&hex::decode(&case.hex).unwrap()).is_err(), "{}", case.name);
    }
    let last = &cases.last().unwrap().hex;
    let mut maps = Maps::decode(&without_final_witness(last, 1), 1, 2);
    maps.global.retain(|(key, _)| *key != [0x06]);
    assert_eq!(read(&maps.encode()), Err(bad(INPUT, 0x12)));
}

/// Each vector that BIP 370 calls valid is read, unless its transaction may still be changed.
#[test]
fn bip370_valid() {
    let modifiable = |flags| Err(PsbtError::Modifiable(flags));
    let expected = [
        Ok(0),
        Ok(0),
        Ok(0),
        // A height and a time are required, and the fallback is neither: the height is the transaction's.
        Ok(2),
        modifiable(1),
        modifiable(2),
        modifiable(4),
        modifiable(8),
        modifiable(3),
        modifiable(5),
        modifiable(6),
        modifiable(7),
        modifiable(0xff),
        modifiable(7),
    ];
    let cases = bip370().valid;
    assert_eq!(cases.len(), expected.len());
    for (case, expected) in cases.iter().zip(expected) {
        let bytes = without_final_witness(&case.hex, 1);
        assert_eq!(read(&bytes), expected, "{}", case.name);
    }
}

#[test]
fn bip370_lock_times() {
    let cases = bip370().lock_times;
    assert_eq!(cases.len(), 10);
    for case in cases {
        let bytes = hex::decode(&case.hex).unwrap();
        let found = Psbt::read(&bytes).map(|psbt| psbt.tx.lock_time.to_consensus_u32());
        let expected = case.lock_time.ok_or(PsbtError::NoCommonLockTime);
        assert_eq!(found, expected, "{}", case.name);
    }
}

#[test]
fn bip371_invalid() {
    let signed = PsbtError::AlreadySigned(INPUT);
    let expected = [
        bad(INPUT, 0x17),
        signed.clone(),
        signed.clone(),
        bad(INPUT, 0x16),
        bad(Place::Output(1), 0x05),
        bad(Place::Output(1), 0x07),
        signed.clone(),
        signed.clone(),
        signed,
        bad(INPUT, 0x15),
        bad(INPUT, 0x15),
    ];
    let cases = bip371().invalid;
    assert_eq!(cases.len(), expected.len());
    for (case, expected) in cases.iter().zip(expected) {
        assert_eq!(read(&hex::decode(&case.hex).unwrap()), Err(expected), "{}", case.name);
    }
}

/// Trees of scripts are not read: they, and an internal key beside one, are shown as they are.
#[test]
fn bip371_valid() {
    let expected = [
        Ok(0),
        Err(PsbtError::AlreadySigned(INPUT)),
        Ok(0),
        // Three leaves.
        Ok(3),
        // A tree and its internal key.
        Ok(2),
        Err(PsbtError::AlreadySigned(INPUT)),
    ];
    let cases = bip371().valid;
    assert_eq!(cases.len(), expected.len());
    for (case, expected) in cases.iter().zip(expected) {
        assert_eq!(read(&hex::decode(&case.hex).unwrap()), expected, "{}", case.name);
    }
}

/// No vector that BIP 174 calls invalid is read.
#[test]
fn bip174_invalid() {
    let cases = bip174().invalid;
    assert_eq!(cases.len(), 20);
    for case in cases {
        let bytes = hex::decode(&case.hex).unwrap();
        assert!(Psbt::read(&bytes).is_err(), "{}", case.name);
    }
}

/// Where we are stricter than BIP 174, and why: signatures have no place in what is to be signed, witnesses none in a
/// previous transaction, and a transaction has inputs and outputs. In order of the vectors.
#[test]
fn bip174_valid() {
    let first = Place::Input(0);
    let expected = [
        Err(PsbtError::PreviousWithWitness(first)),
        Err(PsbtError::AlreadySigned(first)),
        Err(PsbtError::PreviousWithWitness(first)),
        Ok(0),
        Err(PsbtError::AlreadySigned(first)),
        // Two extended public keys, which are claims as derivations are.
        Ok(0),
        Ok(1),
        Err(PsbtError::AlreadySigned(first)),
        // Without inputs, a transaction reads like the beginning of one with witnesses.
        Err(PsbtError::BadTransaction(Place::Global)),
        Err(PsbtError::BadTransaction(Place::Global)),
    ];
    let cases = bip174().valid;
    assert_eq!(cases.len(), expected.len());
    let mut found = Vec::new();
    for case in &cases {
        let bytes = hex::decode(&case.hex).unwrap();
        found.push(Psbt::read(&bytes).map(|psbt| psbt.unknown.len()));
    }
    assert_eq!(found, expected);
}
