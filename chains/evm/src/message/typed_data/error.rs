//! Why JSON is not typed data that can be signed.

use alloy_primitives::U256;
use countersign_types::{ChainId, Tag};

use super::{MAX_STRUCT_FIELDS, MAX_STRUCT_TYPES, MAX_VALUE_DEPTH};
use crate::{MAX_TRANSACTION_BYTES, abi::MAX_LIST_ITEMS};

/// Why JSON is not typed data that can be signed. Names are printable and bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedDataError {
    /// Over [`MAX_TRANSACTION_BYTES`].
    #[error("the typed data has {found} bytes; at most {MAX_TRANSACTION_BYTES} are accepted")]
    TooLarge {
        /// The number of bytes.
        found: usize,
    },
    /// No JSON, or null, a fraction or a number of more than 64 bits in it.
    #[error(
        "line {line}, column {column} is not JSON of objects, arrays, strings, whole numbers up to 64 bits, true and false; \
         write larger numbers as strings"
    )]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// One of the four members is missing or of the wrong kind.
    #[error(
        "typed data is an object with `types`, `primaryType`, `domain` and `message`; `{0}` is not there or not of its kind"
    )]
    BadMember(&'static str),
    /// A fifth member, or one of the four twice.
    #[error("typed data has `types`, `primaryType`, `domain` and `message`, once each; `{0}` is one too many")]
    UnknownMember(String),
    /// More struct types than [`MAX_STRUCT_TYPES`].
    #[error("there are {found} types; at most {MAX_STRUCT_TYPES} are accepted")]
    TooManyTypes {
        /// The number of types.
        found: usize,
    },
    /// A struct type without fields, or with more than [`MAX_STRUCT_FIELDS`].
    #[error("type `{name}` has {found} fields; 1 to {MAX_STRUCT_FIELDS} are accepted")]
    BadFieldCount {
        /// The type.
        name: String,
        /// The number of its fields.
        found: usize,
    },
    /// A name or a field's type that EIP-712 does not have.
    #[error("type `{0}` is not a name over an array of fields `{{\"name\",\"type\"}}` with EIP-712's types")]
    BadType(String),
    /// Two types of one name, or a type with two fields of one name.
    #[error("`{0}` is listed twice, or has a field that is")]
    NamedTwice(String),
    /// A field of a type that is not listed.
    #[error("type `{0}` is not among the types")]
    UnknownType(String),
    /// The primary type is the domain's.
    #[error("`EIP712Domain` cannot be the primary type")]
    BadPrimaryType,
    /// The domain's type has other fields than EIP-712 gives it, or is part of another type.
    #[error(
        "`EIP712Domain` has some of name, version, chainId, verifyingContract and salt, in this order, and is no field's type"
    )]
    BadDomainType,
    /// Not an object where one is needed.
    #[error("a value of type `{0}` must be an object")]
    NotAStruct(String),
    /// A member missing, unknown or twice.
    #[error("a value of type `{0}` must have each of the type's fields once, and nothing else")]
    BadMembers(String),
    /// A value that is not one of its field's type.
    #[error("field `{0}`: the value is not of the field's type, or out of its range")]
    BadValue(String),
    /// More items than [`MAX_LIST_ITEMS`].
    #[error("field `{field}` has {found} items; at most {MAX_LIST_ITEMS} are accepted")]
    TooManyItems {
        /// The field.
        field: String,
        /// The number of items.
        found: usize,
    },
    /// Deeper than [`MAX_VALUE_DEPTH`].
    #[error("values are nested deeper than {MAX_VALUE_DEPTH}")]
    TooDeep,
    /// Another JSON of the same message.
    #[error("the typed data is not in its canonical form; `docs/formats.md` says how it is written")]
    NotCanonical,
    /// Without both, the signature would be good on other networks or for other contracts.
    #[error("the domain must name `chainId` and, as `verifyingContract`, a contract")]
    UnboundDomain,
    /// The domain's chain id is not the network's.
    #[error("the typed data is for chain id {found}; the network is `{network}`")]
    WrongChain {
        /// The network it was submitted for.
        network: ChainId,
        /// The chain id of the domain.
        found: U256,
    },
}

impl TypedDataError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLarge { .. } => Tag::TransactionTooLarge,
            Self::NotCanonical => Tag::TransactionNotCanonical,
            Self::UnboundDomain => Tag::TransactionUnboundMessage,
            Self::WrongChain { .. } => Tag::TransactionWrongChain,
            Self::NotJson { .. }
            | Self::BadMember(_)
            | Self::UnknownMember(_)
            | Self::TooManyTypes { .. }
            | Self::BadFieldCount { .. }
            | Self::BadType(_)
            | Self::NamedTwice(_)
            | Self::UnknownType(_)
            | Self::BadPrimaryType
            | Self::BadDomainType
            | Self::NotAStruct(_)
            | Self::BadMembers(_)
            | Self::BadValue(_)
            | Self::TooManyItems { .. }
            | Self::TooDeep => Tag::TransactionMalformed,
        }
    }
}
