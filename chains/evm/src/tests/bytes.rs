//! Strictness: what is not the one encoding of a supported transaction is refused with its own error.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Signature, TxKind, U256};
use alloy_rlp::{Encodable, Error as Rlp};
use countersign_types::{Amount, ConflictKey, Effect, Tag};
use proptest::prelude::*;

use super::{
    fixtures::{
        STRANGER, TOKEN, World, access_list, eip1559, eip1559_with, eip2930, eip4844, legacy, legacy_with, list,
        prehash, token_transfer, transfer_input,
    },
    messages::personal,
};
use crate::{GasPrice, MAX_TRANSACTION_BYTES, ParseError, TransferDraft, transaction::Unsigned};

fn encoded(value: impl Encodable) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// The nine encoded fields of the EIP-1559 fixture.
fn fields() -> [Vec<u8>; 9] {
    let tx = eip1559();
    [
        encoded(tx.chain_id),
        encoded(tx.nonce),
        encoded(tx.max_priority_fee_per_gas),
        encoded(tx.max_fee_per_gas),
        encoded(tx.gas_limit),
        encoded(tx.to),
        encoded(tx.value),
        encoded(tx.input),
        encoded(tx.access_list),
    ]
}

fn with_field(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut fields = fields();
    fields[at] = bytes.to_vec();
    [vec![0x02], list(&fields)].concat()
}

/// The nine encoded fields of the legacy fixture, the last three replaced.
fn legacy_ending(ending: &[Vec<u8>]) -> Vec<u8> {
    let tx = legacy();
    let mut fields = vec![
        encoded(tx.nonce),
        encoded(tx.gas_price),
        encoded(tx.gas_limit),
        encoded(tx.to),
        encoded(tx.value),
        encoded(tx.input),
    ];
    fields.extend_from_slice(ending);
    list(&fields)
}

#[test]
fn the_hand_made_encodings_are_the_fixtures() {
    assert_eq!(with_field(0, &[0x01]), eip1559().encoded_for_signing());
    let ending = [vec![0x01], vec![0x80], vec![0x80]];
    assert_eq!(legacy_ending(&ending), legacy().encoded_for_signing());
}

#[test]
fn one_change_and_its_error() {
    let valid = eip1559().encoded_for_signing();
    let as_type = |kind: u8| [&[kind], &valid[1..]].concat();
    let signature = Signature::new(U256::from(1), U256::from(2), false);
    let signed_1559 = Unsigned::Eip1559(eip1559()).signed_bytes(&signature);
    let signed_legacy = Unsigned::Legacy(legacy()).signed_bytes(&signature);
    let wrong_chain = |found| ParseError::WrongChain {
        network: "eip155:1".parse().unwrap(),
        found,
    };
    let gas = |found| ParseError::GasLimitTooHigh { found, max: 1 << 24 };
    let (malformed, canonical) = (Tag::TransactionMalformed, Tag::TransactionNotCanonical);
    let unsupported = Tag::TransactionUnsupportedType;

    let cases: Vec<(&str, Vec<u8>, ParseError, Tag)> = vec![
        ("no bytes", vec![], ParseError::Empty, malformed),
        ("type alone", vec![0x02], ParseError::Rlp(Rlp::InputTooShort), malformed),
        ("type 0", as_type(0x00), ParseError::UnsupportedType(0), unsupported),
        (
            "nine fields as EIP-2930",
            as_type(0x01),
            ParseError::Rlp(Rlp::UnexpectedLength),
            malformed,
        ),
        (
            "nine fields as EIP-4844",
            as_type(0x03),
            ParseError::Rlp(Rlp::InputTooShort),
            malformed,
        ),
        (
            "nine fields as EIP-7702",
            as_type(0x04),
            ParseError::Rlp(Rlp::InputTooShort),
            malformed,
        ),
        ("EIP-8141", as_type(0x05), ParseError::UnsupportedType(5), unsupported),
        (
            "the last type",
            as_type(0x7f),
            ParseError::UnsupportedType(0x7f),
            unsupported,
        ),
        ("a string", as_type(0x80), ParseError::NotATransaction, malformed),
        ("a long string", as_type(0xbf), ParseError::NotATransaction, malformed),
        (
            "a trailing byte",
            [&valid[..], &[0]].concat(),
            ParseError::TrailingBytes,
            malformed,
        ),
        (
            "a missing byte",
            valid[..valid.len() - 1].to_vec(),
            ParseError::Rlp(Rlp::InputTooShort),
            malformed,
        ),
        ("signed", signed_1559, ParseError::TrailingBytes, malformed),
        ("signed legacy", signed_legacy, ParseError::AlreadySigned, malformed),
        (
            "legacy without chain id",
            legacy_ending(&[]),
            ParseError::UnprotectedLegacy,
            unsupported,
        ),
        (
            "legacy with r",
            legacy_ending(&[vec![1], vec![1], vec![0x80]]),
            ParseError::AlreadySigned,
            malformed,
        ),
        (
            "legacy with s",
            legacy_ending(&[vec![1], vec![0x80], vec![1]]),
            ParseError::AlreadySigned,
            malformed,
        ),
        (
            "legacy with eight fields",
            legacy_ending(&[vec![1], vec![0x80]]),
            ParseError::Rlp(Rlp::InputTooShort),
            malformed,
        ),
        (
            "legacy with ten fields",
            legacy_ending(&[vec![1], vec![0x80], vec![0x80], vec![0x80]]),
            ParseError::TrailingBytes,
            malformed,
        ),
        (
            "legacy with zeros for nothing",
            legacy_ending(&[vec![1], vec![0x00], vec![0x80]]),
            ParseError::NotMinimal(Rlp::LeadingZero),
            canonical,
        ),
        (
            "other chain",
            eip1559_with(|tx| tx.chain_id = 2),
            wrong_chain(2),
            Tag::TransactionWrongChain,
        ),
        (
            "no chain",
            eip1559_with(|tx| tx.chain_id = 0),
            wrong_chain(0),
            Tag::TransactionWrongChain,
        ),
        (
            "other chain, legacy",
            legacy_with(|tx| tx.chain_id = Some(61)),
            wrong_chain(61),
            Tag::TransactionWrongChain,
        ),
        (
            "priority over maximum",
            eip1559_with(|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1),
            ParseError::PriorityFeeOverMax,
            malformed,
        ),
        (
            "last nonce",
            eip1559_with(|tx| tx.nonce = u64::MAX),
            ParseError::NonceExhausted,
            malformed,
        ),
        (
            "too much gas",
            eip1559_with(|tx| tx.gas_limit = (1 << 24) + 1),
            gas((1 << 24) + 1),
            malformed,
        ),
        (
            "leading zero",
            with_field(1, &[0x82, 0, 7]),
            ParseError::NotMinimal(Rlp::LeadingZero),
            canonical,
        ),
        (
            "a zero byte for nothing",
            with_field(1, &[0x00]),
            ParseError::NotMinimal(Rlp::LeadingZero),
            canonical,
        ),
        (
            "a byte with a length",
            with_field(1, &[0x81, 7]),
            ParseError::NotMinimal(Rlp::NonCanonicalSingleByte),
            canonical,
        ),
        (
            "a long length for short data",
            with_field(7, &[0xb8, 2, 0xaa, 0xbb]),
            ParseError::NotMinimal(Rlp::NonCanonicalSize),
            canonical,
        ),
        (
            "a list for a number",
            with_field(1, &[0xc0]),
            ParseError::Rlp(Rlp::UnexpectedList),
            malformed,
        ),
        (
            "an address of 19 bytes",
            with_field(5, &[&[0x93][..], &[0x70; 19]].concat()),
            ParseError::Rlp(Rlp::UnexpectedLength),
            malformed,
        ),
        (
            "a value of 33 bytes",
            with_field(6, &[&[0xa1][..], &[1; 33]].concat()),
            ParseError::Rlp(Rlp::Overflow),
            malformed,
        ),
        (
            "a nonce of 9 bytes",
            with_field(1, &[&[0x89][..], &[1; 9]].concat()),
            ParseError::Rlp(Rlp::Overflow),
            malformed,
        ),
    ];
    let world = World::new();
    for (name, unsigned, error, tag) in cases {
        assert_eq!(world.parse(&unsigned), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

#[test]
fn the_size_bound_is_exact() {
    let world = World::new();
    let sized = |data: usize| eip1559_with(|tx| tx.input = vec![1; data].into());
    let overhead = sized(100_000).len() - 100_000;
    let largest = sized(MAX_TRANSACTION_BYTES - overhead);
    assert_eq!(largest.len(), MAX_TRANSACTION_BYTES);
    assert!(world.parse(&largest).is_ok());
    let found = MAX_TRANSACTION_BYTES + 1;
    let error = world.parse(&sized(found - overhead)).unwrap_err();
    assert_eq!(error, ParseError::TooLarge { found });
    assert_eq!(error.tag(), Tag::TransactionTooLarge);
}

/// Both boundaries of what a nonce and a gas limit may be.
#[test]
fn the_last_usable_nonce_and_gas_limit_are_accepted() {
    let world = World::new();
    assert!(world.parse(&eip1559_with(|tx| tx.nonce = u64::MAX - 1)).is_ok());
    assert!(world.parse(&eip1559_with(|tx| tx.gas_limit = 1 << 24)).is_ok());
    assert!(
        world
            .parse(&eip1559_with(|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas))
            .is_ok()
    );
}

/// The same fields with tip and access list of `other`: what no effect and no conflict key shows, because it only
/// changes how much of the fee's bound is spent.
fn with_prices_of(mut tx: Unsigned, other: &Unsigned) -> Unsigned {
    match (&mut tx, other) {
        (Unsigned::Eip1559(tx), Unsigned::Eip1559(other)) => {
            tx.max_priority_fee_per_gas = other.max_priority_fee_per_gas;
            tx.access_list.clone_from(&other.access_list);
        }
        (Unsigned::Eip4844(tx), Unsigned::Eip4844(other)) => {
            tx.max_priority_fee_per_gas = other.max_priority_fee_per_gas;
            tx.access_list.clone_from(&other.access_list);
        }
        (Unsigned::Eip7702(tx), Unsigned::Eip7702(other)) => {
            tx.max_priority_fee_per_gas = other.max_priority_fee_per_gas;
            tx.access_list.clone_from(&other.access_list);
        }
        (Unsigned::Eip2930(tx), Unsigned::Eip2930(other)) => tx.access_list.clone_from(&other.access_list),
        _ => {}
    }
    tx
}

fn fixtures() -> Vec<(&'static str, Vec<u8>)> {
    let creation = |tx: &mut TxEip1559| (tx.to, tx.input) = (TxKind::Create, vec![0x60, 0x00, 0xf3].into());
    vec![
        ("value", eip1559().encoded_for_signing()),
        ("legacy value", legacy().encoded_for_signing()),
        ("token", token_transfer().encoded_for_signing()),
        (
            "legacy token",
            legacy_with(|tx| (tx.to, tx.input) = (TxKind::Call(TOKEN), transfer_input(STRANGER, 5))),
        ),
        ("creation", eip1559_with(creation)),
        ("call", eip1559_with(|tx| tx.input = vec![1, 2, 3, 4, 5].into())),
        ("opaque", legacy_with(|tx| tx.input = vec![1, 2].into())),
        ("EIP-2930", eip2930().encoded_for_signing()),
        ("EIP-4844", eip4844().encoded_for_signing()),
        ("access list", eip1559_with(|tx| tx.access_list = access_list(1, 1))),
    ]
}

/// Every value of every byte: refused, or another payload, and but for tip and access list another effect, fee or
/// conflict key.
#[test]
fn every_single_byte_change_is_seen() {
    let world = World::new();
    for (name, unsigned) in fixtures() {
        let original = world.parse(&unsigned).unwrap();
        let decoded = Unsigned::decode(&unsigned).unwrap();
        let mut accepted = 0_usize;
        for at in 0..unsigned.len() {
            for value in (0..=u8::MAX).filter(|value| *value != unsigned[at]) {
                let mut changed = unsigned.clone();
                changed[at] = value;
                let Ok(parsed) = world.parse(&changed) else {
                    continue;
                };
                accepted += 1;
                assert_ne!(prehash(&parsed), prehash(&original), "{name} byte {at} to {value:#x}");
                if parsed.effects() == original.effects() && parsed.conflict_keys() == original.conflict_keys() {
                    let restored = with_prices_of(Unsigned::decode(&changed).unwrap(), &decoded);
                    assert_eq!(restored, decoded, "{name} byte {at} to {value:#x}");
                }
            }
        }
        assert!(
            accepted > 1_000,
            "{name}: most changes of amounts and addresses are other transactions"
        );
    }
}

/// The same for messages, whose every byte is in the one effect or in the length that it has.
#[test]
fn every_single_byte_change_of_a_message_is_seen() {
    let world = World::new();
    for data in [&b"hello, these are 21 b"[..], b"1", b"0123456789", &[0xaa; 32]] {
        let unsigned = personal(data);
        let original = world.parse(&unsigned).unwrap();
        for at in 0..unsigned.len() {
            for value in (0..=u8::MAX).filter(|value| *value != unsigned[at]) {
                let mut changed = unsigned.clone();
                changed[at] = value;
                let Ok(parsed) = world.parse(&changed) else {
                    continue;
                };
                assert!(at >= unsigned.len() - data.len(), "byte {at} to {value:#x}");
                assert_ne!(prehash(&parsed), prehash(&original), "byte {at} to {value:#x}");
                assert_ne!(parsed.effects(), original.effects(), "byte {at} to {value:#x}");
            }
        }
    }
}

fn price() -> impl Strategy<Value = GasPrice> {
    prop_oneof![
        any::<u128>().prop_map(|gas_price| GasPrice::Legacy { gas_price }),
        (any::<u128>(), any::<u128>()).prop_map(|(a, b)| GasPrice::Eip1559 {
            max_fee_per_gas: a.max(b),
            max_priority_fee_per_gas: a.min(b),
        }),
    ]
}

proptest! {
    #[test]
    fn drafts_parse_to_what_was_drafted(
        (is_token, amount, to) in (any::<bool>(), any::<[u8; 32]>(), any::<[u8; 20]>()),
        nonce in 0..u64::MAX, gas_limit in 0_u64..=1 << 24, price in price(),
    ) {
        let world = World::new();
        let destination = world.destination(to.into());
        prop_assume!(crate::parse_destination(world.network.chain(), destination.address()).is_ok());
        let native = world.network.native().id.clone();
        let asset = if is_token { format!("eip155:1/erc20:{TOKEN}").parse().unwrap() } else { native.clone() };
        let amount = Amount::from_be_bytes(amount);
        let draft = TransferDraft { asset, amount, destination, nonce, gas_limit, price };
        let unsigned = draft.encode().unwrap();
        let parsed = world.parse(&unsigned).unwrap();

        let (TransferDraft { asset, destination, .. }, max_price) = (draft, match price {
            GasPrice::Legacy { gas_price } => gas_price,
            GasPrice::Eip1559 { max_fee_per_gas, .. } => max_fee_per_gas,
        });
        let max = Amount::from(max_price).checked_mul(gas_limit.into()).unwrap();
        let fee = Effect::Fee { asset: native, max };
        prop_assert_eq!(parsed.effects(), [Effect::Transfer { asset, amount, destination }, fee]);
        let account = world.account.destination(world.network.chain()).unwrap();
        prop_assert_eq!(parsed.conflict_keys(), [ConflictKey::AccountNonce { account, nonce }]);
        prop_assert_eq!(Unsigned::decode(&unsigned).unwrap().signing_bytes(), unsigned);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(World::new().parse(&bytes));
    }

    /// Well-formed lists of nine fields reach the decoders of the fields; what they accept encodes to itself.
    #[test]
    fn arbitrary_fields_never_panic(
        fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 5..12), kind in prop::option::of(1_u8..5),
    ) {
        let fields: Vec<_> = fields.iter().map(|field| encoded(field.as_slice())).collect();
        let bytes = [kind.as_slice(), &list(&fields)].concat();
        if let Ok(tx) = Unsigned::decode(&bytes) {
            prop_assert_eq!(tx.signing_bytes(), bytes);
        }
    }
}
