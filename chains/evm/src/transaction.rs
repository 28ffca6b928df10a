//! The bytes of unsigned transactions: strict decoding, and the encodings that follow from the fields.

use alloy_consensus::{
    SignableTransaction, Transaction as _, TxEip1559, TxLegacy,
    transaction::{RlpEcdsaDecodableTx, RlpEcdsaEncodableTx as _},
};
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use alloy_rlp::{Decodable as _, Header};

use crate::ParseError;

/// The most bytes of one transaction: what the transaction pools of Ethereum clients accept (four slots of 32 KiB).
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

const TYPE_EIP_1559: u8 = 0x02;
/// EIP-2718: up to here a first byte is a transaction type.
const LAST_TYPE: u8 = 0x7f;
/// RLP: from here a first byte opens a list, which is a legacy transaction.
const FIRST_LIST_BYTE: u8 = 0xc0;

/// A decoded unsigned transaction of a supported type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// EIP-155: `rlp([nonce, gasPrice, gas, to, value, input, chainId, 0, 0])`.
    Legacy(TxLegacy),
    /// EIP-1559: `0x02 ‖ rlp([…9 fields])`.
    Eip1559(TxEip1559),
}

impl Unsigned {
    /// Decodes bytes that encode to themselves again, and nothing else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_TRANSACTION_BYTES {
            return Err(ParseError::TooLarge { found: bytes.len() });
        }
        let decoded = match bytes.split_first() {
            None => return Err(ParseError::Empty),
            Some((&TYPE_EIP_1559, payload)) => Self::Eip1559(decode_eip1559(payload)?),
            Some((&kind, _)) if kind <= LAST_TYPE => return Err(ParseError::UnsupportedType(kind)),
            Some((&first, _)) if first < FIRST_LIST_BYTE => return Err(ParseError::NotATransaction),
            Some(_) => Self::Legacy(decode_legacy(bytes)?),
        };
        // The last word is with the bytes: whatever leniency a decoder has or will get, it ends here.
        if decoded.signing_bytes() != bytes {
            return Err(ParseError::NotCanonical);
        }
        Ok(decoded)
    }

    /// The unsigned encoding, which is also the preimage of the signing hash.
    pub(crate) fn signing_bytes(&self) -> Vec<u8> {
        match self {
            Self::Legacy(tx) => tx.encoded_for_signing(),
            Self::Eip1559(tx) => tx.encoded_for_signing(),
        }
    }

    /// The Keccak-256 that is signed.
    pub(crate) fn signing_hash(&self) -> B256 {
        match self {
            Self::Legacy(tx) => tx.signature_hash(),
            Self::Eip1559(tx) => tx.signature_hash(),
        }
    }

    /// The signed encoding: legacy with `v = 35 + 2·chainId + parity` (EIP-155), EIP-1559 with the parity.
    pub(crate) fn signed_bytes(&self, signature: &Signature) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Legacy(tx) => tx.eip2718_encode(signature, &mut bytes),
            Self::Eip1559(tx) => tx.eip2718_encode(signature, &mut bytes),
        }
        bytes
    }

    pub(crate) fn chain_id(&self) -> Option<u64> {
        match self {
            Self::Legacy(tx) => tx.chain_id,
            Self::Eip1559(tx) => Some(tx.chain_id),
        }
    }

    pub(crate) fn nonce(&self) -> u64 {
        match self {
            Self::Legacy(tx) => tx.nonce,
            Self::Eip1559(tx) => tx.nonce,
        }
    }

    pub(crate) fn gas_limit(&self) -> u64 {
        match self {
            Self::Legacy(tx) => tx.gas_limit,
            Self::Eip1559(tx) => tx.gas_limit,
        }
    }

    /// The most wei that one unit of gas may cost.
    pub(crate) fn max_gas_price(&self) -> u128 {
        match self {
            Self::Legacy(tx) => tx.gas_price,
            Self::Eip1559(tx) => tx.max_fee_per_gas,
        }
    }

    pub(crate) fn to(&self) -> TxKind {
        match self {
            Self::Legacy(tx) => tx.to,
            Self::Eip1559(tx) => tx.to,
        }
    }

    pub(crate) fn value(&self) -> U256 {
        match self {
            Self::Legacy(tx) => tx.value,
            Self::Eip1559(tx) => tx.value,
        }
    }

    pub(crate) fn input(&self) -> &Bytes {
        match self {
            Self::Legacy(tx) => tx.input(),
            Self::Eip1559(tx) => tx.input(),
        }
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

fn decode_eip1559(bytes: &[u8]) -> Result<TxEip1559, ParseError> {
    let mut fields = list_payload(bytes)?;
    let tx = TxEip1559::rlp_decode_fields(&mut fields)?;
    if !fields.is_empty() {
        // A signed transaction has three fields more.
        return Err(ParseError::TrailingBytes);
    }
    if !tx.access_list.is_empty() {
        return Err(ParseError::AccessList);
    }
    if tx.max_priority_fee_per_gas > tx.max_fee_per_gas {
        return Err(ParseError::PriorityFeeOverMax);
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
