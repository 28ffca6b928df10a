//! One transaction of each type that we sign, valid on a network with the id of development chains.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use k256::ecdsa::SigningKey;

pub(crate) const CHAIN_ID: u64 = 31_337;
/// The wallet's key.
pub(crate) const HOT: [u8; 32] = [0x46; 32];
/// The key of another own wallet, which delegates its code.
pub(crate) const WARM: [u8; 32] = [0x47; 32];
/// Of an account that is not ours.
pub(crate) const THEIRS: [u8; 32] = [0x48; 32];
pub(crate) const STRANGER: Address = address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65");
/// What code the delegations name; nothing needs to be there.
pub(crate) const DELEGATE: Address = address!("5FC8d32690cc91D4c39d9d3abcBD16989F875707");
pub(crate) const VALUE: u64 = 1_500_000_000_000_000_000;
const GAS: u64 = 200_000;
pub(crate) const GWEI: u128 = 1_000_000_000;

/// A type's name and its unsigned bytes.
pub(crate) struct Draft {
    pub(crate) name: &'static str,
    pub(crate) unsigned: Vec<u8>,
}

/// A transaction with two blobs; what is in them goes beside it.
pub(crate) fn eip4844(data: &'static [u8]) -> Draft {
    let hash = |byte| {
        let mut hash = B256::repeat_byte(byte);
        hash[0] = 1;
        hash
    };
    let tx = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: 4,
        gas_limit: GAS,
        max_fee_per_gas: 5 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: STRANGER,
        value: U256::from(VALUE),
        access_list: AccessList::default(),
        blob_versioned_hashes: vec![hash(7), hash(8)],
        max_fee_per_blob_gas: 2 * GWEI,
        input: Bytes::from_static(data),
    };
    Draft {
        name: "eip-4844",
        unsigned: tx.encoded_for_signing(),
    }
}

/// Creates a contract.
pub(crate) fn creation(code: Vec<u8>) -> Draft {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 10 * GAS,
        max_fee_per_gas: 5 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Create,
        input: code.into(),
        ..TxEip1559::default()
    };
    Draft {
        name: "creation",
        unsigned: tx.encoded_for_signing(),
    }
}

/// One of each type that a node mines as it stands, with ascending nonces.
pub(crate) fn all(data: &'static [u8]) -> Vec<Draft> {
    let to = TxKind::Call(STRANGER);
    let (value, input) = (U256::from(VALUE), Bytes::from_static(data));
    let access_list = AccessList(vec![AccessListItem {
        address: STRANGER,
        storage_keys: vec![B256::repeat_byte(7), B256::ZERO],
    }]);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: 0,
        gas_price: 3 * GWEI,
        gas_limit: GAS,
        to,
        value,
        input: input.clone(),
    };
    let eip2930 = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_price: 3 * GWEI,
        gas_limit: GAS,
        to,
        value,
        access_list: access_list.clone(),
        input: input.clone(),
    };
    let eip1559 = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: 2,
        gas_limit: GAS,
        max_fee_per_gas: 5 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to,
        value,
        access_list,
        input: input.clone(),
    };
    let eip7702 = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 3,
        gas_limit: GAS,
        max_fee_per_gas: 5 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: STRANGER,
        value,
        access_list: AccessList::default(),
        authorization_list: vec![authorization(&WARM, 0), authorization(&THEIRS, 0)],
        input,
    };
    let draft = |name, unsigned| Draft { name, unsigned };
    vec![
        draft("legacy", legacy.encoded_for_signing()),
        draft("eip-2930", eip2930.encoded_for_signing()),
        draft("eip-1559", eip1559.encoded_for_signing()),
        draft("eip-7702", eip7702.encoded_for_signing()),
    ]
}

fn authorization(secret: &[u8; 32], nonce: u64) -> SignedAuthorization {
    let authorization = Authorization {
        chain_id: U256::from(CHAIN_ID),
        address: DELEGATE,
        nonce,
    };
    let key = SigningKey::from_slice(secret).unwrap();
    let hash = authorization.signature_hash();
    let (signature, recovery) = key.sign_prehash_recoverable(hash.as_slice());
    let (r, s) = signature.split_bytes();
    let scalar = |bytes: &[u8]| U256::from_be_slice(bytes);
    SignedAuthorization::new_unchecked(authorization, recovery.is_y_odd().into(), scalar(&r), scalar(&s))
}

/// Transactions that a network would take and we refuse, each for one reason.
pub(crate) fn refused_by_design() -> Vec<Draft> {
    let plain = || TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: 2,
        gas_limit: GAS,
        max_fee_per_gas: 5 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Call(STRANGER),
        value: U256::from(VALUE),
        ..TxEip1559::default()
    };
    let to = |address| TxEip1559 {
        to: TxKind::Call(address),
        ..plain()
    };
    let padded = AccessListItem {
        address: STRANGER,
        storage_keys: vec![B256::ZERO; 256],
    };
    let delegating = |authorizations| TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 3,
        gas_limit: 10 * GAS,
        max_fee_per_gas: 5 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: STRANGER,
        authorization_list: authorizations,
        ..TxEip7702::default()
    };
    let draft = |name, unsigned| Draft { name, unsigned };
    vec![
        draft("zero address", to(Address::ZERO).encoded_for_signing()),
        draft("precompile", to(Address::with_last_byte(4)).encoded_for_signing()),
        draft(
            "access list of 257 entries",
            TxEip1559 {
                access_list: AccessList(vec![padded]),
                gas_limit: 10 * GAS,
                ..plain()
            }
            .encoded_for_signing(),
        ),
        draft(
            "17 authorizations",
            delegating((0..17).map(|nonce| authorization(&THEIRS, nonce)).collect()).encoded_for_signing(),
        ),
        draft(
            "tip over the price",
            TxEip1559 {
                max_priority_fee_per_gas: 6 * GWEI,
                ..plain()
            }
            .encoded_for_signing(),
        ),
    ]
}
