//! One valid payment, one change, and the exact error.

use bitcoin::{
    OutPoint, ScriptBuf, TxOut, Txid, consensus::serialize, hashes::Hash as _, script::Builder, transaction::Version,
};
use countersign_types::Tag;

use super::fixtures::{
    Draft, HOT, Maps, STRANGER, World, claimed_key, drafted, output, p2wpkh_of, payment_with, two_of_three,
};
use crate::{AddressError, MAX_PSBT_BYTES, MAX_UNSIGNED_BYTES, ParseError, Place, PsbtError};

const INPUT: Place = Place::Input(0);
/// Of Bitcoin: 21 million.
const MAX_MONEY: u64 = 2_100_000_000_000_000;

/// The payment with a field more, or another one, in its input.
fn with_input(key: &[u8], value: &[u8]) -> Vec<u8> {
    payment_with(|maps| Maps::set(&mut maps.inputs[0], key, value))
}

fn with_output(key: &[u8], value: &[u8]) -> Vec<u8> {
    payment_with(|maps| Maps::set(&mut maps.outputs[0], key, value))
}

#[test]
fn one_change_of_the_psbt_and_its_error() {
    let valid = Draft::payment().maps().encode();
    let bad_field = |kind| PsbtError::BadField { place: INPUT, kind };
    let output_field = |kind| PsbtError::BadField {
        place: Place::Output(0),
        kind,
    };
    let (malformed, canonical) = (Tag::TransactionMalformed, Tag::TransactionNotCanonical);
    let unsupported = Tag::TransactionUnsupportedType;
    let signed_tx = || {
        let mut tx = Draft::payment().tx;
        tx.input[0].script_sig = Builder::new().push_int(1).into_script();
        serialize(&tx)
    };
    let with_witness = || {
        let mut previous = Draft::payment().previous.remove(0);
        previous.input[0].witness.push([1, 2, 3]);
        serialize(&previous)
    };
    let cases: Vec<(&str, Vec<u8>, PsbtError, Tag)> = vec![
        ("no bytes", vec![], PsbtError::BadMagic, malformed),
        ("base64", b"cHNidP8BAHECAAAA".to_vec(), PsbtError::BadMagic, malformed),
        ("magic alone", valid[..5].to_vec(), PsbtError::Truncated, malformed),
        (
            "a missing byte",
            valid[..valid.len() - 1].to_vec(),
            PsbtError::Truncated,
            malformed,
        ),
        (
            "a trailing byte",
            [&valid[..], &[0]].concat(),
            PsbtError::TrailingBytes,
            malformed,
        ),
        (
            "too large",
            vec![0; MAX_PSBT_BYTES + 1],
            PsbtError::TooLarge(MAX_PSBT_BYTES + 1),
            Tag::TransactionTooLarge,
        ),
        (
            "no transaction",
            payment_with(|maps| maps.global.clear()),
            PsbtError::NoTransaction,
            malformed,
        ),
        (
            "version 2 with the transaction of version 0",
            payment_with(|maps| Maps::set(&mut maps.global, &[0xfb], &[2, 0, 0, 0])),
            PsbtError::OtherVersion {
                place: Place::Global,
                kind: 0x00,
            },
            malformed,
        ),
        (
            "version 1",
            payment_with(|maps| Maps::set(&mut maps.global, &[0xfb], &[1, 0, 0, 0])),
            PsbtError::UnsupportedVersion(1),
            unsupported,
        ),
        (
            "a version of three bytes",
            payment_with(|maps| Maps::set(&mut maps.global, &[0xfb], &[0, 0, 0])),
            PsbtError::BadField {
                place: Place::Global,
                kind: 0xfb,
            },
            malformed,
        ),
        (
            "a transaction under a longer key",
            payment_with(|maps| maps.global[0].0.push(0)),
            PsbtError::BadField {
                place: Place::Global,
                kind: 0,
            },
            malformed,
        ),
        (
            "a transaction with a byte more",
            payment_with(|maps| maps.global[0].1.push(0)),
            PsbtError::BadTransaction(Place::Global),
            malformed,
        ),
        (
            "too large a transaction",
            payment_with(|maps| maps.global[0].1.resize(MAX_UNSIGNED_BYTES + 1, 0)),
            PsbtError::TransactionTooLarge(MAX_UNSIGNED_BYTES + 1),
            Tag::TransactionTooLarge,
        ),
        (
            "a script signature",
            payment_with(|maps| maps.global[0].1 = signed_tx()),
            PsbtError::AlreadySigned(Place::Global),
            malformed,
        ),
        (
            "no outputs",
            drafted(|draft| draft.tx.output.clear()),
            PsbtError::BadCounts,
            malformed,
        ),
        (
            "reordered keys",
            payment_with(|maps| maps.inputs[0].insert(0, (vec![0x03], vec![1, 0, 0, 0]))),
            PsbtError::Unordered(INPUT),
            canonical,
        ),
        (
            "a key twice",
            payment_with(|maps| {
                let field = maps.inputs[0][0].clone();
                maps.inputs[0].push(field);
            }),
            PsbtError::Unordered(INPUT),
            canonical,
        ),
        (
            "a length that is not minimal",
            [&valid[..5], &[0xfd, 1, 0], &valid[6..]].concat(),
            PsbtError::NotMinimal,
            canonical,
        ),
        (
            "a length over everything",
            [&valid[..5], &[0xff; 9]].concat(),
            PsbtError::Truncated,
            malformed,
        ),
        (
            "65 fields",
            payment_with(|maps| {
                for n in 0..65_u8 {
                    Maps::set(&mut maps.outputs[0], &[0xfc, n], &[]);
                }
            }),
            PsbtError::TooManyFields(Place::Output(0)),
            malformed,
        ),
        (
            "a partial signature",
            with_input(&[0x02], &[1]),
            PsbtError::AlreadySigned(INPUT),
            malformed,
        ),
        (
            "a final script",
            with_input(&[0x07], &[1]),
            PsbtError::AlreadySigned(INPUT),
            malformed,
        ),
        (
            "a final witness",
            with_input(&[0x08], &[1]),
            PsbtError::AlreadySigned(INPUT),
            malformed,
        ),
        (
            "a taproot signature",
            with_input(&[0x13], &[1; 64]),
            PsbtError::AlreadySigned(INPUT),
            malformed,
        ),
        (
            "a taproot script signature",
            with_input(&[0x14], &[1]),
            PsbtError::AlreadySigned(INPUT),
            malformed,
        ),
        (
            "a claimed output that is none",
            with_input(&[0x01], &[1, 2]),
            bad_field(0x01),
            malformed,
        ),
        (
            "a hash type of one byte",
            with_input(&[0x03], &[1]),
            bad_field(0x03),
            malformed,
        ),
        (
            "a derivation of no key",
            with_input(&[0x06, 2], &[0; 4]),
            bad_field(0x06),
            malformed,
        ),
        (
            "a derivation of half a step",
            with_input(&claimed_key(), &[0; 6]),
            bad_field(0x06),
            malformed,
        ),
        (
            "an output script under a longer key",
            with_output(&[0x00, 1], &[]),
            output_field(0x00),
            malformed,
        ),
        (
            "an output derivation of no key",
            with_output(&[0x02], &[0; 4]),
            output_field(0x02),
            malformed,
        ),
        (
            "a witness in the previous transaction",
            with_input(&[0x00], &with_witness()),
            PsbtError::PreviousWithWitness(INPUT),
            canonical,
        ),
        (
            "half a previous transaction",
            payment_with(|maps| maps.inputs[0][0].1.truncate(20)),
            PsbtError::BadTransaction(INPUT),
            malformed,
        ),
    ];
    let world = World::new();
    for (name, bytes, error, tag) in cases {
        assert_eq!(world.parse(&bytes), Err(ParseError::Psbt(error.clone())), "{name}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

fn over_max(found: u64) -> ParseError {
    ParseError::OverMaxMoney { found, max: MAX_MONEY }
}

fn utxo(sat: u64, script: ScriptBuf) -> Vec<u8> {
    serialize(&output(sat, script))
}

#[test]
fn one_change_of_the_transaction_and_its_error() {
    let input = 0;
    let hash_type = |found| ParseError::SighashType { input, found };
    let stranger_script = p2wpkh_of(&STRANGER);
    let pay_first = |to: TxOut| drafted(|draft| draft.tx.output[0] = to);
    let unspendable = |address: &str| ParseError::Recipient(AddressError::Unspendable(address.to_owned()));
    let foreign = Draft::spending(
        std::slice::from_ref(&stranger_script),
        vec![output(99_000, p2wpkh_of(&HOT[0]))],
    );
    let (malformed, unsupported) = (Tag::TransactionMalformed, Tag::TransactionUnsupportedType);
    let cases: Vec<(&str, Vec<u8>, ParseError, Tag)> = vec![
        (
            "transaction version 4",
            drafted(|draft| draft.tx.version = Version(4)),
            ParseError::UnsupportedVersion(4),
            unsupported,
        ),
        (
            "transaction version 0",
            drafted(|draft| draft.tx.version = Version(0)),
            ParseError::UnsupportedVersion(0),
            unsupported,
        ),
        (
            "one outpoint twice",
            drafted(|draft| {
                draft.tx.input.push(draft.tx.input[0].clone());
                draft.previous.push(draft.previous[0].clone());
            }),
            ParseError::DuplicateOutpoint,
            malformed,
        ),
        (
            "no outpoint",
            drafted(|draft| draft.tx.input[0].previous_output = OutPoint::null()),
            ParseError::NullOutpoint { input },
            malformed,
        ),
        (
            "no previous transaction",
            payment_with(|maps| maps.inputs[0].clear()),
            ParseError::MissingPrevious { input },
            malformed,
        ),
        (
            "segwit amount on trust",
            Draft::payment().taproot_maps().encode(),
            ParseError::MissingPrevious { input },
            malformed,
        ),
        (
            "another previous transaction",
            drafted(|draft| draft.previous[0].output[1].value += bitcoin::Amount::ONE_SAT),
            ParseError::WrongPrevious { input },
            malformed,
        ),
        (
            "another outpoint",
            drafted(|draft| draft.tx.input[0].previous_output.txid = Txid::from_byte_array([9; 32])),
            ParseError::WrongPrevious { input },
            malformed,
        ),
        (
            "an output that does not exist",
            drafted(|draft| draft.tx.input[0].previous_output.vout = 2),
            ParseError::WrongPrevious { input },
            malformed,
        ),
        (
            "somebody else's output of the same transaction",
            drafted(|draft| draft.tx.input[0].previous_output.vout = 0),
            ParseError::ForeignInput { input },
            malformed,
        ),
        (
            "a lie about the amount (segwit fee attack)",
            with_input(&[0x01], &utxo(61_000, p2wpkh_of(&HOT[0]))),
            ParseError::FalseUtxo { input },
            malformed,
        ),
        (
            "a lie about the script",
            with_input(&[0x01], &utxo(100_000, p2wpkh_of(&HOT[1]))),
            ParseError::FalseUtxo { input },
            malformed,
        ),
        (
            "a stranger's output",
            foreign.maps().encode(),
            ParseError::ForeignInput { input },
            malformed,
        ),
        (
            "SIGHASH_DEFAULT on ECDSA",
            with_input(&[3], &[0, 0, 0, 0]),
            hash_type(0),
            unsupported,
        ),
        (
            "SIGHASH_NONE",
            with_input(&[3], &[2, 0, 0, 0]),
            hash_type(2),
            unsupported,
        ),
        (
            "SIGHASH_SINGLE",
            with_input(&[3], &[3, 0, 0, 0]),
            hash_type(3),
            unsupported,
        ),
        (
            "SIGHASH_ALL|ANYONECANPAY",
            with_input(&[3], &[0x81, 0, 0, 0]),
            hash_type(0x81),
            unsupported,
        ),
        (
            "a hash type beyond a byte",
            with_input(&[3], &[1, 1, 0, 0]),
            hash_type(0x101),
            unsupported,
        ),
        (
            "a redeem script for P2WPKH",
            with_input(&[4], p2wpkh_of(&HOT[0]).as_bytes()),
            ParseError::FalseScript { input },
            malformed,
        ),
        (
            "a witness script for P2WPKH",
            with_input(&[5], two_of_three().1.as_bytes()),
            ParseError::FalseScript { input },
            malformed,
        ),
        (
            "a false redeem script of an output",
            with_output(&[0], stranger_script.as_bytes()),
            ParseError::FalseOutputScript { output: 0 },
            malformed,
        ),
        (
            "a false witness script of an output",
            with_output(&[1], two_of_three().1.as_bytes()),
            ParseError::FalseOutputScript { output: 0 },
            malformed,
        ),
        (
            "dust",
            pay_first(output(545, stranger_script.clone())),
            ParseError::Dust { output: 0, found: 545 },
            malformed,
        ),
        (
            "nothing",
            pay_first(output(0, stranger_script)),
            ParseError::Dust { output: 0, found: 0 },
            malformed,
        ),
        (
            "a hash of zeros",
            pay_first(output(60_000, ScriptBuf::from_bytes([&[0, 20][..], &[0; 20]].concat()))),
            unspendable("bc1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq9e75rs"),
            Tag::TransactionBadDestination,
        ),
        (
            "a taproot key off the curve",
            pay_first(output(
                60_000,
                ScriptBuf::from_bytes([&[0x51, 32][..], &[0xff; 32]].concat()),
            )),
            unspendable("bc1pllllllllllllllllllllllllllllllllllllllllllllllllllls0c6jeu"),
            Tag::TransactionBadDestination,
        ),
        (
            "more than comes in",
            drafted(|draft| draft.tx.output[1].value = bitcoin::Amount::from_sat(40_001)),
            ParseError::OutputsOverInputs {
                inputs: 100_000,
                outputs: 100_001,
            },
            malformed,
        ),
        (
            "all the money there can be",
            drafted(|draft| {
                draft.tx.output[0].value = bitcoin::Amount::from_sat(600);
                draft.tx.output[1].value = bitcoin::Amount::from_sat(MAX_MONEY - 600);
            }),
            ParseError::OutputsOverInputs {
                inputs: 100_000,
                outputs: MAX_MONEY,
            },
            malformed,
        ),
        (
            "more money than there can be",
            drafted(|draft| draft.tx.output[1].value = bitcoin::Amount::from_sat(MAX_MONEY + 1)),
            over_max(MAX_MONEY + 1),
            malformed,
        ),
        (
            "together more than there can be",
            drafted(|draft| {
                draft.tx.output[0].value = bitcoin::Amount::from_sat(600);
                draft.tx.output[1].value = bitcoin::Amount::from_sat(MAX_MONEY - 599);
            }),
            over_max(MAX_MONEY + 1),
            malformed,
        ),
        (
            "amounts over 64 bits",
            drafted(|draft| draft.tx.output[1].value = bitcoin::Amount::from_sat(u64::MAX)),
            over_max(u64::MAX),
            malformed,
        ),
    ];
    let world = World::new();
    for (name, bytes, error, tag) in cases {
        let found = world.parse(&bytes).unwrap_err();
        match (&found, &error) {
            // The text of an address is compared elsewhere.
            (
                ParseError::Recipient(AddressError::Unspendable(_)),
                ParseError::Recipient(AddressError::Unspendable(_)),
            ) => {}
            _ => assert_eq!(found, error, "{name}"),
        }
        assert_eq!(found.tag(), tag, "{name}");
    }
}
