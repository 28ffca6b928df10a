//! EIP-4844: a blob's fee is a fee, and a blob is data that nobody here has seen.

use alloy_consensus::{SignableTransaction as _, TxEip4844};
use alloy_primitives::{Address, B256};
use countersign_types::{Effect, OpaqueKind, Tag};

use super::fixtures::{ETHER, STRANGER, THIEF, World, blob_hash, eip4844, eip4844_with};
use crate::{AddressError, MAX_BLOBS, ParseError, Reserved};

const FEE: u64 = 21_000 * 20_000_000_000 + 2 * 131_072 * 3;

fn blob(world: &World, to: Address, number: u8) -> Effect {
    Effect::Opaque {
        what: OpaqueKind::Blob,
        target: Some(world.destination(to)),
        bytes: blob_hash(number).to_vec(),
    }
}

#[test]
fn one_change_and_its_effects() {
    let world = World::new();
    let (ether, first, second) = (
        world.ether(ETHER, STRANGER),
        blob(&world, STRANGER, 1),
        blob(&world, STRANGER, 2),
    );
    let cases: Vec<(&str, Vec<u8>, Vec<Effect>)> = vec![
        (
            "as it is",
            eip4844_with(|_| ()),
            vec![ether.clone(), first.clone(), second.clone(), world.fee(FEE)],
        ),
        (
            "a blob less",
            eip4844_with(|tx| tx.blob_versioned_hashes.truncate(1)),
            vec![ether.clone(), first.clone(), world.fee(FEE - 131_072 * 3)],
        ),
        (
            "another blob",
            eip4844_with(|tx| tx.blob_versioned_hashes[0] = blob_hash(2)),
            vec![ether.clone(), second.clone(), second.clone(), world.fee(FEE)],
        ),
        (
            "a higher price of blobs",
            eip4844_with(|tx| tx.max_fee_per_blob_gas = 4),
            vec![ether, first, second, world.fee(FEE + 2 * 131_072)],
        ),
        (
            "another recipient",
            eip4844_with(|tx| tx.to = THIEF),
            vec![
                world.ether(ETHER, THIEF),
                blob(&world, THIEF, 1),
                blob(&world, THIEF, 2),
                world.fee(FEE),
            ],
        ),
    ];
    for (name, unsigned, effects) in cases {
        let parsed = world.parse(&unsigned).unwrap();
        assert_eq!(parsed.effects(), effects, "{name}");
        // The blobs are neither nonce nor fee: a template leaves them open to nobody.
        assert_eq!(parsed.template(), None, "{name}");
    }
}

#[test]
fn one_change_and_its_error() {
    let hashes = |count: usize| eip4844_with(|tx| tx.blob_versioned_hashes = vec![blob_hash(1); count]);
    let version = |version: u8| {
        eip4844_with(|tx| {
            let mut hash = blob_hash(2);
            hash[0] = version;
            tx.blob_versioned_hashes[1] = hash;
        })
    };
    let zero = ParseError::Recipient(AddressError::Reserved(Reserved::Zero));
    let malformed = Tag::TransactionMalformed;
    let cases: Vec<(&str, Vec<u8>, ParseError, Tag)> = vec![
        ("no blob", hashes(0), ParseError::NoBlob, malformed),
        (
            "too many",
            hashes(MAX_BLOBS + 1),
            ParseError::TooManyBlobs { found: MAX_BLOBS + 1 },
            malformed,
        ),
        (
            "version 0",
            version(0),
            ParseError::BadBlobVersion { index: 1 },
            malformed,
        ),
        (
            "version 2",
            version(2),
            ParseError::BadBlobVersion { index: 1 },
            malformed,
        ),
        (
            "a tip over the price",
            eip4844_with(|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1),
            ParseError::PriorityFeeOverMax,
            malformed,
        ),
        (
            "the zero address",
            eip4844_with(|tx| tx.to = Address::ZERO),
            zero,
            Tag::TransactionBadDestination,
        ),
        (
            "another chain",
            eip4844_with(|tx| tx.chain_id = 2),
            ParseError::WrongChain {
                network: "eip155:1".parse().unwrap(),
                found: 2,
            },
            Tag::TransactionWrongChain,
        ),
    ];
    let world = World::new();
    assert!(world.parse(&hashes(MAX_BLOBS)).is_ok());
    for (name, unsigned, error, tag) in cases {
        assert_eq!(world.parse(&unsigned), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

/// With the sidecar of a transaction pool around it, it is another thing than what is signed.
#[test]
fn creation_and_the_form_with_blobs_do_not_decode() {
    let world = World::new();
    let unsigned = eip4844().encoded_for_signing();
    let to = unsigned
        .windows(20)
        .position(|bytes| bytes == STRANGER.as_slice())
        .unwrap();
    let mut creation = [&unsigned[..to - 1], &[0x80], &unsigned[to + 20..]].concat();
    // The list's one length byte behind its marker.
    creation[2] -= 20;
    assert!(matches!(world.parse(&creation), Err(ParseError::Rlp(_))));
    let empty_lists = [&unsigned[1..], &[0xc0, 0xc0, 0xc0]].concat();
    let wrapped = [
        &[0x03, 0xf8, u8::try_from(empty_lists.len()).unwrap()][..],
        &empty_lists,
    ]
    .concat();
    assert!(matches!(world.parse(&wrapped), Err(ParseError::Rlp(_))));
}

#[test]
fn the_highest_prices_are_counted_in_full() {
    let world = World::new();
    let unsigned = eip4844_with(|tx: &mut TxEip4844| {
        tx.max_fee_per_gas = u128::MAX;
        tx.max_fee_per_blob_gas = u128::MAX;
        tx.blob_versioned_hashes = vec![B256::from([1; 32]); MAX_BLOBS];
    });
    let parsed = world.parse(&unsigned).unwrap();
    let fee = parsed.effects().last().and_then(Effect::amount).unwrap();
    // (21 000 + 6 · 131 072) · (2¹²⁸ − 1)
    assert_eq!(fee.to_string(), "274754872087707185431159486027847470511533560");
}
