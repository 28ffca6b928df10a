//! The bytes of unsigned transactions: strict decoding, and the encodings that follow from the fields.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    transaction::{RlpEcdsaDecodableTx, RlpEcdsaEncodableTx as _},
};
use alloy_eips::{eip2930::AccessListItem, eip7702::SignedAuthorization};
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use alloy_rlp::{Decodable as _, Header};

use crate::ParseError;

/// The most bytes of one transaction: what the transaction pools of Ethereum clients accept (four slots of 32 KiB).
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// The most addresses and storage keys of an access list (EIP-2930). They cost gas and do nothing: more than a call of
/// a few contracts can use is padding that nobody reads.
pub const MAX_ACCESS_LIST_ENTRIES: usize = 256;
/// The most authorizations of one transaction (EIP-7702); each costs the recovery of a key.
pub const MAX_AUTHORIZATIONS: usize = 16;

/// The most blobs of one transaction (EIP-7594, Osaka).
pub const MAX_BLOBS: usize = 6;
/// EIP-4844: what a blob costs, in blob gas.
const GAS_PER_BLOB: u64 = 131_072;
/// EIP-4844: a versioned hash of a KZG commitment starts with it.
const KZG_VERSION: u8 = 0x01;

const TYPE_EIP_2930: u8 = 0x01;
const TYPE_EIP_1559: u8 = 0x02;
const TYPE_EIP_4844: u8 = 0x03;
const TYPE_EIP_7702: u8 = 0x04;
/// EIP-2718: up to here a first byte is a transaction type.
const LAST_TYPE: u8 = 0x7f;
/// RLP: from here a first byte opens a list, which is a legacy transaction.
pub(crate) const FIRST_LIST_BYTE: u8 = 0xc0;

/// A decoded unsigned transaction of a supported type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// EIP-155: `rlp([nonce, gasPrice, gas, to, value, input, chainId, 0, 0])`.
    Legacy(TxLegacy),
    /// EIP-2930: `0x01 ‖ rlp([…8 fields])`.
    Eip2930(TxEip2930),
    /// EIP-1559: `0x02 ‖ rlp([…9 fields])`.
    Eip1559(TxEip1559),
    /// EIP-4844: `0x03 ‖ rlp([…11 fields])`, as it stands in blocks, without blobs, commitments and proofs.
    Eip4844(TxEip4844),
    /// EIP-7702: `0x04 ‖ rlp([…10 fields])`.
    Eip7702(TxEip7702),
}

impl Unsigned {
    /// Decodes bytes that encode to themselves again, and nothing else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_TRANSACTION_BYTES {
            return Err(ParseError::TooLarge { found: bytes.len() });
        }
        let decoded = match bytes.split_first() {
            None => return Err(ParseError::Empty),
            Some((&TYPE_EIP_2930, payload)) => Self::Eip2930(decode_fields(payload)?),
            Some((&TYPE_EIP_1559, payload)) => Self::Eip1559(decode_fields(payload)?),
            Some((&TYPE_EIP_4844, payload)) => Self::Eip4844(decode_fields(payload)?),
            Some((&TYPE_EIP_7702, payload)) => Self::Eip7702(decode_fields(payload)?),
            Some((&kind, _)) if kind <= LAST_TYPE => return Err(ParseError::UnsupportedType(kind)),
            Some((&first, _)) if first < FIRST_LIST_BYTE => return Err(ParseError::NotATransaction),
            Some(_) => Self::Legacy(decode_legacy(bytes)?),
        };
        // The last word is with the bytes: whatever leniency a decoder has or will get, it ends here.
        if decoded.signing_bytes() != bytes {
            return Err(ParseError::NotCanonical);
        }
        certify_fields(decoded.fields())?;
        Ok(decoded)
    }

    fn fields(&self) -> &dyn SignableTransaction<Signature> {
        match self {
            Self::Legacy(tx) => tx,
            Self::Eip2930(tx) => tx,
            Self::Eip1559(tx) => tx,
            Self::Eip4844(tx) => tx,
            Self::Eip7702(tx) => tx,
        }
    }

    /// The unsigned encoding, which is also the preimage of the signing hash.
    pub(crate) fn signing_bytes(&self) -> Vec<u8> {
        let fields = self.fields();
        let mut bytes = Vec::with_capacity(fields.payload_len_for_signature());
        fields.encode_for_signing(&mut bytes);
        bytes
    }

    /// The signed encoding: legacy with `v = 35 + 2·chainId + parity` (EIP-155), the other types with the parity.
    pub(crate) fn signed_bytes(&self, signature: &Signature) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Legacy(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip2930(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip1559(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip4844(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip7702(tx) => tx.eip2718_encode(signature, &mut bytes),
        }
        bytes
    }

    pub(crate) fn chain_id(&self) -> Option<u64> {
        self.fields().chain_id()
    }

    pub(crate) fn nonce(&self) -> u64 {
        self.fields().nonce()
    }

    pub(crate) fn gas_limit(&self) -> u64 {
        self.fields().gas_limit()
    }

    /// The most wei that one unit of gas may cost; the gas price of the types without a tip.
    pub(crate) fn max_gas_price(&self) -> u128 {
        self.fields().max_fee_per_gas()
    }

    pub(crate) fn to(&self) -> TxKind {
        self.fields().kind()
    }

    pub(crate) fn value(&self) -> U256 {
        self.fields().value()
    }

    pub(crate) fn input(&self) -> &Bytes {
        self.fields().input()
    }

    /// Addresses and storage keys that the transaction announces (EIP-2930).
    pub(crate) fn access_list(&self) -> &[AccessListItem] {
        self.fields().access_list().map_or(&[][..], |list| list.as_slice())
    }

    /// The versioned hashes of the blobs that go with the transaction (EIP-4844).
    pub(crate) fn blob_hashes(&self) -> &[B256] {
        self.fields().blob_versioned_hashes().unwrap_or_default()
    }

    /// The gas that the blobs take, and the most wei that one unit of it may cost (EIP-4844).
    pub(crate) fn blob_gas(&self) -> (u64, u128) {
        let blobs = u64::try_from(self.blob_hashes().len()).unwrap_or(u64::MAX);
        let price = self.fields().max_fee_per_blob_gas().unwrap_or_default();
        (blobs.saturating_mul(GAS_PER_BLOB), price)
    }

    /// The delegations of other accounts' code that the transaction carries (EIP-7702), as they stand there.
    pub(crate) fn authorizations(&self) -> &[SignedAuthorization] {
        self.fields().authorization_list().unwrap_or_default()
    }
}

/// What holds for the fields of every type that has them.
fn certify_fields(tx: &dyn SignableTransaction<Signature>) -> Result<(), ParseError> {
    if tx.max_priority_fee_per_gas() > Some(tx.max_fee_per_gas()) {
        return Err(ParseError::PriorityFeeOverMax);
    }
    let items = tx.access_list().map_or(&[][..], |list| list.as_slice());
    let keys = |sum: usize, item: &AccessListItem| sum.saturating_add(item.storage_keys.len());
    let found = items.iter().fold(items.len(), keys);
    if found > MAX_ACCESS_LIST_ENTRIES {
        return Err(ParseError::AccessListTooLong { found });
    }
    if let Some(hashes) = tx.blob_versioned_hashes() {
        certify_blobs(hashes)?;
    }
    match tx.authorization_list().map(<[_]>::len) {
        // EIP-7702: the list is not empty.
        Some(0) => Err(ParseError::NoAuthorization),
        Some(found) if found > MAX_AUTHORIZATIONS => Err(ParseError::TooManyAuthorizations { found }),
        Some(_) | None => Ok(()),
    }
}

/// EIP-4844: there is a blob, and every versioned hash is of the version that exists.
fn certify_blobs(hashes: &[B256]) -> Result<(), ParseError> {
    let found = hashes.len();
    if found == 0 {
        return Err(ParseError::NoBlob);
    }
    if found > MAX_BLOBS {
        return Err(ParseError::TooManyBlobs { found });
    }
    let is_other = |hash: &B256| hash.first() != Some(&KZG_VERSION);
    match hashes.iter().position(is_other) {
        Some(index) => Err(ParseError::BadBlobVersion { index }),
        None => Ok(()),
    }
}

/// The payload of the one list that `bytes` are.
fn list_payload(mut bytes: &[u8]) -> Result<&[u8], ParseError> {
    let payload = Header::decode_bytes(&mut bytes, true)?;
    if !bytes.is_empty() {
        return Err(ParseError::TrailingBytes);
    }
    Ok(payload)
}

fn decode_fields<T: RlpEcdsaDecodableTx>(bytes: &[u8]) -> Result<T, ParseError> {
    let mut fields = list_payload(bytes)?;
    let tx = T::rlp_decode_fields(&mut fields)?;
    if !fields.is_empty() {
        // A signed transaction has three fields more.
        return Err(ParseError::TrailingBytes);
    }
    Ok(tx)
}

fn decode_legacy(bytes: &[u8]) -> Result<TxLegacy, ParseError> {
    let mut fields = list_payload(bytes)?;
    let mut tx = TxLegacy::rlp_decode_fields(&mut fields)?;
    if fields.is_empty() {
        return Err(ParseError::UnprotectedLegacy);
    }
    // Both as wide as a signature's r and s, so that a signed transaction is told apart from noise.
    let chain_id = u64::decode(&mut fields)?;
    let (r, s) = (U256::decode(&mut fields)?, U256::decode(&mut fields)?);
    if !fields.is_empty() {
        return Err(ParseError::TrailingBytes);
    }
    if !r.is_zero() || !s.is_zero() {
        return Err(ParseError::AlreadySigned);
    }
    tx.chain_id = Some(chain_id);
    Ok(tx)
}
