//! From signatures to signed bytes: verified, low-S, the right parity, reproduced.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy_eips::Decodable2718 as _;
use alloy_primitives::U256;
use countersign_types::{RawSignature, Scheme, Tag};
use k256::{ecdsa::Signature, elliptic_curve::ops::Neg as _};
use proptest::prelude::*;

use super::fixtures::{
    HOT_KEY, WARM_KEY, World, eip1559, eip1559_with, eip2930, eip4844_with, eip7702_with, legacy_with, network_of,
    prehash, public_key, sign,
};
use crate::{AssembleError, MAX_CHAIN_ID, ParseError, identify, transaction::Unsigned};

/// Half the order of secp256k1: the highest s that EIP-2 allows.
const HALF_ORDER: &str = "57896044618658097711785492504343953926418782139537452191302581570759080747168";

fn high_s(signature: RawSignature) -> RawSignature {
    let low = Signature::from_slice(signature.as_bytes()).unwrap().normalize_s();
    let high = Signature::from_scalars(low.r(), low.s().neg()).unwrap();
    RawSignature::Ecdsa(high.to_bytes().into())
}

#[test]
fn high_and_low_s_give_the_same_signed_bytes() {
    let world = World::new();
    let mut parities = [0; 2];
    for nonce in 0..16 {
        let unsigned = eip1559_with(|tx| tx.nonce = nonce);
        let signature = sign(&HOT_KEY, &prehash(&world.parse(&unsigned).unwrap()));
        let low = world.assemble(&unsigned, &[signature]).unwrap();
        let high = world.assemble(&unsigned, &[high_s(signature)]).unwrap();
        assert_eq!(low, high);

        let decoded = TxEnvelope::decode_2718_exact(&low.bytes).unwrap();
        assert_eq!(decoded.tx_hash().to_string(), low.txid);
        let expected = TxEip1559 { nonce, ..eip1559() };
        assert_eq!(decoded.as_eip1559().unwrap().tx(), &expected);
        assert!(decoded.signature().s() <= HALF_ORDER.parse::<U256>().unwrap());
        parities[usize::from(decoded.signature().v())] += 1;
    }
    assert!(
        parities.iter().all(|count| *count > 0),
        "both parities occur: {parities:?}"
    );
}

#[test]
fn one_wrong_signature_and_its_error() {
    let world = World::new();
    let unsigned = eip1559().encoded_for_signing();
    let hash = prehash(&world.parse(&unsigned).unwrap());
    let good = sign(&HOT_KEY, &hash);
    let other_hash = prehash(&world.parse(&eip1559_with(|tx| tx.nonce = 8)).unwrap());
    let with_byte = |at: usize, value| {
        let mut bytes = *good.as_bytes();
        bytes[at] = value;
        RawSignature::Ecdsa(bytes)
    };
    let zero_r = RawSignature::Ecdsa([&[0; 32], &good.as_bytes()[32..]].concat().try_into().unwrap());
    let cases: Vec<(&str, Vec<RawSignature>, AssembleError)> = vec![
        ("none", vec![], AssembleError::NotOneSignature(0)),
        ("two", vec![good, good], AssembleError::NotOneSignature(2)),
        (
            "Schnorr",
            vec![RawSignature::Schnorr(*good.as_bytes())],
            AssembleError::WrongScheme(Scheme::Schnorr),
        ),
        (
            "Ed25519",
            vec![RawSignature::Ed25519(*good.as_bytes())],
            AssembleError::WrongScheme(Scheme::Ed25519),
        ),
        ("another key", vec![sign(&WARM_KEY, &hash)], AssembleError::BadSignature),
        (
            "another transaction",
            vec![sign(&HOT_KEY, &other_hash)],
            AssembleError::BadSignature,
        ),
        ("r is zero", vec![zero_r], AssembleError::BadSignature),
        (
            "r is over the order",
            vec![RawSignature::Ecdsa([0xff; 64])],
            AssembleError::BadSignature,
        ),
        (
            "a changed r",
            vec![with_byte(31, !good.as_bytes()[31])],
            AssembleError::BadSignature,
        ),
        (
            "a changed s",
            vec![with_byte(63, !good.as_bytes()[63])],
            AssembleError::BadSignature,
        ),
    ];
    for (name, signatures, error) in cases {
        assert_eq!(world.assemble(&unsigned, &signatures), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), Tag::BackendBadSignature, "{name}");
    }
    let trailing = [&unsigned[..], &[0]].concat();
    let error = world.assemble(&trailing, &[good]).unwrap_err();
    assert_eq!(error, AssembleError::Parse(ParseError::TrailingBytes));
    assert_eq!(error.tag(), Tag::TransactionMalformed);
}

/// EIP-155's `v` is wider than 64 bits could be trusted to hold: the highest chain id round-trips.
#[test]
fn the_highest_chain_id_has_its_v() {
    let yaml = format!(
        "evm: {{ chain: 'eip155:{MAX_CHAIN_ID}', name: x, native: {{ symbol: X, slip44: 1 }}, max-gas-limit: 21000 }}"
    );
    let world = World::on(network_of(&yaml).unwrap(), public_key(&HOT_KEY));
    let unsigned = legacy_with(|tx| tx.chain_id = Some(MAX_CHAIN_ID));
    let signature = sign(&HOT_KEY, &prehash(&world.parse(&unsigned).unwrap()));
    let signed = world.assemble(&unsigned, &[signature]).unwrap();
    let decoded = TxEnvelope::decode_2718_exact(&signed.bytes).unwrap();
    assert_eq!(decoded.as_legacy().unwrap().tx().chain_id, Some(MAX_CHAIN_ID));
    let parity = u64::from(decoded.signature().v());
    let v = MAX_CHAIN_ID * 2 + 35 + parity;
    assert!(
        signed
            .bytes
            .windows(9)
            .any(|bytes| bytes == [&[0x88][..], &v.to_be_bytes()].concat())
    );
}

/// The last check stands on its own: bytes with other fields, the other parity or a trailing byte are not released.
#[test]
fn bytes_that_do_not_reproduce_the_transaction_are_refused() {
    let world = World::new();
    let unsigned = eip1559().encoded_for_signing();
    let signature = sign(&HOT_KEY, &prehash(&world.parse(&unsigned).unwrap()));
    let signed = world.assemble(&unsigned, &[signature]).unwrap().bytes;
    let tx = Unsigned::decode(&unsigned).unwrap();
    let key = world.account.verifying_key();
    let certify = |bytes: &[u8]| crate::assemble::certify(&tx, bytes, key);
    assert_eq!(certify(&signed), Ok(()));
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert_eq!(certify(&changed), Err(AssembleError::NotReproduced), "byte {at}");
    }
    assert_eq!(
        certify(&[&signed[..], &[0]].concat()),
        Err(AssembleError::NotReproduced)
    );
    assert_eq!(certify(&[]), Err(AssembleError::NotReproduced));
}

/// With n − s and the other parity the same key is recovered. EIP-2 refuses such bytes, and they have an id of their own: who
/// waited for that one would never see the transaction land that the low s makes.
#[test]
fn signed_bytes_with_a_high_s_are_nobodys() {
    let world = World::new();
    let bytes_of = |unsigned: &[u8], raw: &[u8; 64], is_odd: bool| {
        let [r, s] = [&raw[..32], &raw[32..]].map(U256::from_be_slice);
        let signature = alloy_primitives::Signature::new(r, s, is_odd);
        match Unsigned::decode(unsigned) {
            Ok(tx) => tx.signed_bytes(&signature),
            Err(_) => signature.as_bytes().to_vec(),
        }
    };
    for unsigned in [
        legacy_with(|_| {}),
        eip2930().encoded_for_signing(),
        eip1559().encoded_for_signing(),
        eip4844_with(|_| {}),
        eip7702_with(|_| {}),
        b"\x19Ethereum Signed Message:\n2hi".to_vec(),
    ] {
        let raw = sign(&HOT_KEY, &prehash(&world.parse(&unsigned).unwrap()));
        let good = world.assemble(&unsigned, &[raw]).unwrap();
        let found = |bytes: &[u8]| identify(&unsigned, &world.sender(), bytes);
        assert_eq!(found(&good.bytes), Ok(good.txid));
        let high = high_s(raw);
        for is_odd in [false, true] {
            let bytes = bytes_of(&unsigned, high.as_bytes(), is_odd);
            assert_eq!(found(&bytes), Err(AssembleError::NotReproduced), "{:02x}", unsigned[0]);
        }
    }
}

proptest! {
    #[test]
    fn assembling_never_panics_and_never_accepts_noise(signature: [[u8; 32]; 2]) {
        let unsigned = eip1559().encoded_for_signing();
        let raw = RawSignature::Ecdsa(signature.concat().try_into().unwrap());
        prop_assert_eq!(World::new().assemble(&unsigned, &[raw]), Err(AssembleError::BadSignature));
    }
}
