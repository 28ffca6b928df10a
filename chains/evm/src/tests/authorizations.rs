//! EIP-2930 and EIP-7702: access lists, delegations, and the nonces that they use up.

use alloy_consensus::{SignableTransaction as _, TxEnvelope};
use alloy_eips::{
    Decodable2718 as _,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, U256};
use countersign_types::{AuthorityScope, ConflictKey, Effect, Tag};

use super::fixtures::{
    CONTRACT, ETHER, HOT_KEY, STRANGER, THEIR_KEY, WARM_KEY, World, access_list, authorize, eip1559_with, eip2930,
    eip4844, eip7702, eip7702_with, other_values, prehash, public_key, sign,
};
use crate::{
    Account, AddressError, MAX_ACCESS_LIST_ENTRIES, MAX_AUTHORIZATIONS, ParseError, Reserved, transaction::Unsigned,
};

/// The order of secp256k1.
const ORDER: U256 = U256::from_be_bytes(alloy_primitives::hex!(
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
));

fn to_contract(nonce: u64) -> Authorization {
    Authorization {
        chain_id: U256::from(1),
        address: CONTRACT,
        nonce,
    }
}

pub(super) fn their_address() -> Address {
    Account::derive(&[public_key(&THEIR_KEY)]).unwrap().address()
}

fn with_authorizations(list: Vec<SignedAuthorization>) -> Vec<u8> {
    eip7702_with(|tx| tx.authorization_list = list)
}

#[test]
fn an_access_list_changes_nothing_but_the_payload() {
    let world = World::new();
    let fee = world.fee(420_000_000_000_000);
    let parsed = world.parse(&eip2930().encoded_for_signing()).unwrap();
    assert_eq!(parsed.effects(), [world.ether(ETHER, STRANGER), fee.clone()]);
    let with = world
        .parse(&eip1559_with(|tx| tx.access_list = access_list(2, 3)))
        .unwrap();
    let without = world.parse(&eip1559_with(|_| ())).unwrap();
    assert_eq!(with.effects(), without.effects());
    assert_eq!(with.conflict_keys(), without.conflict_keys());
    assert_ne!(prehash(&with), prehash(&without));
}

#[test]
fn the_bound_of_an_access_list_is_exact() {
    let world = World::new();
    let with = |addresses, keys| eip1559_with(|tx| tx.access_list = access_list(addresses, keys));
    assert!(world.parse(&with(MAX_ACCESS_LIST_ENTRIES, 0)).is_ok());
    assert!(world.parse(&with(1, MAX_ACCESS_LIST_ENTRIES - 1)).is_ok());
    let found = MAX_ACCESS_LIST_ENTRIES + 1;
    let error = ParseError::AccessListTooLong { found };
    assert_eq!(world.parse(&with(found, 0)), Err(error.clone()));
    assert_eq!(world.parse(&with(1, MAX_ACCESS_LIST_ENTRIES)), Err(error.clone()));
    assert_eq!(error.tag(), Tag::TransactionMalformed);
}

#[test]
fn a_delegation_is_an_authority_change_ahead_of_the_call() {
    let world = World::new();
    let parsed = world.parse(&eip7702().encoded_for_signing()).unwrap();
    let fee = world.fee(2_000_000_000_000_000);
    let delegation = |authority, holder| world.authority(authority, AuthorityScope::Delegate, holder);
    let ether = world.ether(ETHER, STRANGER);
    let theirs = their_address();
    assert_eq!(
        parsed.effects(),
        [delegation(theirs, Some(CONTRACT)), ether.clone(), fee.clone()]
    );
    let sender = world.destination(world.account.address());
    assert_eq!(
        parsed.conflict_keys(),
        [ConflictKey::AccountNonce {
            account: sender,
            nonce: 7
        }]
    );

    let nobody = Authorization {
        address: Address::ZERO,
        ..to_contract(3)
    };
    let taken_back = world
        .parse(&with_authorizations(vec![authorize(&THEIR_KEY, nobody)]))
        .unwrap();
    assert_eq!(taken_back.effects(), [delegation(theirs, None), ether, fee]);
}

#[test]
fn the_other_fields_are_held_to_the_same_rules() {
    let world = World::new();
    let cases: [(Vec<u8>, ParseError); 4] = [
        (
            eip7702_with(|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1),
            ParseError::PriorityFeeOverMax,
        ),
        (
            eip7702_with(|tx| tx.access_list = access_list(1, MAX_ACCESS_LIST_ENTRIES)),
            ParseError::AccessListTooLong {
                found: MAX_ACCESS_LIST_ENTRIES + 1,
            },
        ),
        (
            eip7702_with(|tx| tx.to = Address::ZERO),
            ParseError::Recipient(AddressError::Reserved(Reserved::Zero)),
        ),
        (
            eip7702_with(|tx| tx.chain_id = 10),
            ParseError::WrongChain {
                network: "eip155:1".parse().unwrap(),
                found: 10,
            },
        ),
    ];
    for (unsigned, error) in cases {
        assert_eq!(world.parse(&unsigned), Err(error));
    }
}

#[test]
fn own_authorities_lose_a_nonce_of_their_own() {
    let world = World::new();
    let key = |account: &Account, nonce| ConflictKey::AccountNonce {
        account: world.destination(account.address()),
        nonce,
    };
    let list = vec![
        authorize(&WARM_KEY, to_contract(12)),
        authorize(&THEIR_KEY, to_contract(3)),
        authorize(&HOT_KEY, to_contract(8)),
        authorize(&WARM_KEY, to_contract(12)),
    ];
    let parsed = world.parse(&with_authorizations(list)).unwrap();
    let expected = [key(&world.account, 7), key(&world.warm, 12), key(&world.account, 8)];
    assert_eq!(parsed.conflict_keys(), expected);
    let subjects = [
        world.warm.address(),
        their_address(),
        world.account.address(),
        world.warm.address(),
    ];
    let changes = subjects.map(|subject| world.authority(subject, AuthorityScope::Delegate, Some(CONTRACT)));
    assert_eq!(parsed.effects()[..4], changes);
}

#[test]
fn one_change_of_an_authorization_and_its_error() {
    let world = World::new();
    let valid = authorize(&THEIR_KEY, to_contract(3));
    let (r, s, y) = (valid.r(), valid.s(), valid.y_parity());
    let signed = |y, r, s| SignedAuthorization::new_unchecked(to_contract(3), y, r, s);
    let on_chain = |chain_id| {
        let authorization = Authorization {
            chain_id,
            ..to_contract(3)
        };
        authorize(&THEIR_KEY, authorization)
    };
    let bad = ParseError::BadAuthorization { index: 0 };
    let wrong_chain = ParseError::AuthorizationWrongChain {
        index: 0,
        network: "eip155:1".parse().unwrap(),
    };
    let (malformed, chain) = (Tag::TransactionMalformed, Tag::TransactionWrongChain);
    let many = |count| vec![valid.clone(); count];
    let found = MAX_AUTHORIZATIONS + 1;
    let cases = [
        ("none", vec![], ParseError::NoAuthorization, malformed),
        (
            "too many",
            many(found),
            ParseError::TooManyAuthorizations { found },
            malformed,
        ),
        ("every network", vec![on_chain(U256::ZERO)], wrong_chain.clone(), chain),
        (
            "another network",
            vec![on_chain(U256::from(10))],
            wrong_chain.clone(),
            chain,
        ),
        (
            "a chain id over 64 bits",
            vec![on_chain((U256::from(1) << 64) + U256::from(1))],
            wrong_chain,
            chain,
        ),
        (
            "the last nonce",
            vec![authorize(&THEIR_KEY, to_contract(u64::MAX))],
            bad.clone(),
            malformed,
        ),
        ("parity 2", vec![signed(2, r, s)], bad.clone(), malformed),
        ("parity 27", vec![signed(27 + y, r, s)], bad.clone(), malformed),
        ("high s", vec![signed(1 - y, r, ORDER - s)], bad.clone(), malformed),
        ("r is zero", vec![signed(y, U256::ZERO, s)], bad.clone(), malformed),
        ("s is zero", vec![signed(y, r, U256::ZERO)], bad.clone(), malformed),
        ("r is the order", vec![signed(y, ORDER, s)], bad.clone(), malformed),
        // x = 5 is on no point: 5³ + 7 is not a square modulo p.
        ("r is on no point", vec![signed(y, U256::from(5), s)], bad, malformed),
        (
            "the second one",
            vec![valid.clone(), signed(2, r, s)],
            ParseError::BadAuthorization { index: 1 },
            malformed,
        ),
    ];
    for (name, list, error, tag) in cases {
        assert_eq!(world.parse(&with_authorizations(list)), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), tag, "{name}");
    }
    assert!(world.parse(&with_authorizations(many(MAX_AUTHORIZATIONS))).is_ok());
}

#[test]
fn the_new_types_assemble_and_reproduce() {
    let world = World::new();
    for unsigned in [
        eip2930().encoded_for_signing(),
        eip4844().encoded_for_signing(),
        eip7702().encoded_for_signing(),
    ] {
        let parsed = world.parse(&unsigned).unwrap();
        assert_eq!(prehash(&parsed), alloy_primitives::keccak256(&unsigned).0);
        let signed = world.assemble(&unsigned, &[sign(&HOT_KEY, &prehash(&parsed))]).unwrap();
        let decoded = TxEnvelope::decode_2718_exact(&signed.bytes).unwrap();
        assert_eq!(decoded.tx_hash().to_string(), signed.txid);
        let tx = match decoded {
            TxEnvelope::Eip2930(tx) => Unsigned::Eip2930(tx.strip_signature()),
            TxEnvelope::Eip4844(tx) => Unsigned::Eip4844(tx.tx().tx().clone()),
            TxEnvelope::Eip7702(tx) => Unsigned::Eip7702(tx.strip_signature()),
            other => panic!("{other:?}"),
        };
        assert_eq!(tx.signing_bytes(), unsigned);
        let other = sign(&WARM_KEY, &prehash(&parsed));
        assert!(world.assemble(&unsigned, &[other]).is_err());
    }
}

/// A changed byte is refused, or another payload and other effects, but for the tip. (Every value recovers 50 000 keys.)
#[test]
fn every_changed_byte_of_a_delegation_is_seen() {
    let world = World::new();
    let own = with_authorizations(vec![authorize(&WARM_KEY, to_contract(12))]);
    for unsigned in [eip7702().encoded_for_signing(), own] {
        let original = world.parse(&unsigned).unwrap();
        let Unsigned::Eip7702(original_tx) = Unsigned::decode(&unsigned).unwrap() else {
            panic!("of the type");
        };
        for at in 0..unsigned.len() {
            for value in other_values(unsigned[at], &[0x01, 0x10, 0x80, 0xff]) {
                let mut changed = unsigned.clone();
                changed[at] = value;
                let Ok(parsed) = world.parse(&changed) else {
                    continue;
                };
                assert_ne!(prehash(&parsed), prehash(&original), "byte {at}");
                if parsed.effects() == original.effects() && parsed.conflict_keys() == original.conflict_keys() {
                    let Unsigned::Eip7702(mut tx) = Unsigned::decode(&changed).unwrap() else {
                        panic!("of the type");
                    };
                    tx.max_priority_fee_per_gas = original_tx.max_priority_fee_per_gas;
                    assert_eq!(tx, original_tx, "byte {at}");
                }
            }
        }
    }
}

/// A delegation hidden behind a payment is one more effect, whoever's account it is.
#[test]
fn a_delegation_is_never_covered_by_a_transfer() {
    let world = World::new();
    let parsed = world.parse(&eip7702().encoded_for_signing()).unwrap();
    let changes = parsed
        .effects()
        .iter()
        .filter(|effect| matches!(effect, Effect::AuthorityChange { .. }));
    assert_eq!(changes.count(), 1);
}
