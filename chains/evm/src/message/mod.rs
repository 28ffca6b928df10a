//! Messages: what is signed and goes nowhere by itself. A signature under one can be used by whoever holds it, whenever
//! they like; so a message excludes nothing, costs nothing and is never one of a template.

mod personal;
mod typed_data;

pub(crate) use personal::PersonalMessage;
pub(crate) use typed_data::{Field, Json, Primitive, Type, Value};
pub use typed_data::{
    MAX_STRUCT_FIELDS, MAX_STRUCT_TYPES, MAX_TYPE_NAME_BYTES, MAX_VALUE_DEPTH, TypedData, TypedDataError,
};

use alloy_primitives::{B256, keccak256};
use countersign_types::{Amount, Effect};

use crate::{
    EvmNetwork, ParseError,
    parse::certify_transaction,
    transaction::{FIRST_LIST_BYTE, Unsigned},
};

/// EIP-191's first byte, which was chosen so that no transaction starts with it.
const PERSONAL_MESSAGE: u8 = 0x19;
/// What the JSON of typed data starts with. Celo has a type of transaction of this number (CIP-64): behind it a list begins,
/// as nothing does in JSON.
const TYPED_DATA: u8 = b'{';

/// What unsigned bytes are. Their beginning says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signable<'a> {
    /// A transaction, with the hash of its bytes, which is what is signed.
    Transaction(Box<Unsigned>, B256),
    /// A message for people (EIP-191).
    Personal(PersonalMessage<'a>),
    /// Typed data (EIP-712) in its canonical form, for this network and a contract, with the hash that is signed.
    TypedData(Box<TypedData>, B256),
}

impl<'a> Signable<'a> {
    /// Decodes bytes and holds them against what the network's record says.
    pub(crate) fn decode_for(unsigned: &'a [u8], network: &EvmNetwork) -> Result<Self, ParseError> {
        match unsigned.first() {
            Some(&PERSONAL_MESSAGE) => PersonalMessage::decode(unsigned).map(Self::Personal),
            Some(&TYPED_DATA) if unsigned.get(1).is_none_or(|next| *next < FIRST_LIST_BYTE) => {
                let data = TypedData::decode(unsigned)?;
                data.certify_domain(network)?;
                let hash = data.signing_hash()?.into();
                Ok(Self::TypedData(Box::new(data), hash))
            }
            Some(_) | None => {
                let tx = Unsigned::decode(unsigned)?;
                certify_transaction(&tx, network)?;
                // The bytes are the encoding that is signed: decoding made sure of it.
                Ok(Self::Transaction(Box::new(tx), keccak256(unsigned)))
            }
        }
    }

    /// The Keccak-256 that is signed.
    pub(crate) fn signing_hash(&self) -> B256 {
        match self {
            Self::Transaction(_, hash) | Self::TypedData(_, hash) => *hash,
            Self::Personal(message) => message.signing_hash(),
        }
    }
}

/// A signature that nobody sends anywhere costs nothing; that it does is said.
pub(crate) fn no_fee(network: &EvmNetwork) -> Effect {
    Effect::Fee {
        asset: network.native().id.clone(),
        max: Amount::ZERO,
    }
}
