//! Why bytes are no unsigned PSBT.

use countersign_types::{MAX_SIGNING_PAYLOADS, Tag};

use super::{MAX_FIELDS, MAX_OUTPUTS, MAX_PSBT_BYTES, MAX_UNSIGNED_BYTES};

/// Which map of a PSBT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first map.
    Global,
    /// The map of the input with this index.
    Input(usize),
    /// The map of the output with this index.
    Output(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global => f.write_str("the global map"),
            Self::Input(index) => write!(f, "input {index}"),
            Self::Output(index) => write!(f, "output {index}"),
        }
    }
}

/// Why bytes are no unsigned PSBT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PsbtError {
    /// Over [`MAX_PSBT_BYTES`].
    #[error("the PSBT has {0} bytes; at most {MAX_PSBT_BYTES} are accepted")]
    TooLarge(usize),
    /// Does not start with `psbt` and `0xff`.
    #[error("the bytes do not start like a PSBT (in binary form, not base64)")]
    BadMagic,
    /// A map, key or value runs over the end.
    #[error("the PSBT ends too early")]
    Truncated,
    /// A length with a shorter encoding.
    #[error("a length in the PSBT is not in its shortest form")]
    NotMinimal,
    /// Keys of one map that do not ascend, or one key twice.
    #[error("the keys of {0} are not in ascending order, or one is there twice")]
    Unordered(Place),
    /// More fields than a map may have.
    #[error("{0} has more than {MAX_FIELDS} fields")]
    TooManyFields(Place),
    /// Bytes behind the last map.
    #[error("there is more behind the last map of the PSBT")]
    TrailingBytes,
    /// A PSBT version that does not exist.
    #[error("PSBT version {0} is not supported; use version 0 or 2")]
    UnsupportedVersion(u32),
    /// No transaction in the global map of version 0.
    #[error("the PSBT has no unsigned transaction")]
    NoTransaction,
    /// A field that the PSBT's version requires.
    #[error("{place} has no field 0x{kind:02x}, which PSBT version 2 requires")]
    MissingField {
        /// Its map.
        place: Place,
        /// Its type.
        kind: u8,
    },
    /// A field that the PSBT's version excludes.
    #[error("{place} has a field 0x{kind:02x}, which belongs to another PSBT version than the PSBT's own")]
    OtherVersion {
        /// Its map.
        place: Place,
        /// Its type.
        kind: u8,
    },
    /// Somebody may still add inputs or outputs, or asks for a signature that lets them.
    #[error("the PSBT says that its transaction may still be changed (flags 0x{0:02x}); finish it first")]
    Modifiable(u8),
    /// One input asks for a block height, another for a time.
    #[error("the inputs require lock times of different kinds")]
    NoCommonLockTime,
    /// The unsigned transaction or a previous one does not decode, or in another encoding.
    #[error("the transaction in {0} does not decode to the same bytes")]
    BadTransaction(Place),
    /// Over [`MAX_UNSIGNED_BYTES`].
    #[error("the unsigned transaction has {0} bytes; at most {MAX_UNSIGNED_BYTES} are accepted")]
    TransactionTooLarge(usize),
    /// No input or output, or too many.
    #[error("a transaction has 1 to {MAX_SIGNING_PAYLOADS} inputs and 1 to {MAX_OUTPUTS} outputs")]
    BadCounts,
    /// Signatures where none may be yet.
    #[error("{0} already carries a signature")]
    AlreadySigned(Place),
    /// A witness in a previous transaction: its id does not commit to it.
    #[error("the previous transaction of {0} carries witnesses; write it without, as its id is computed")]
    PreviousWithWitness(Place),
    /// A field whose key or value is not of its form.
    #[error("field 0x{kind:02x} of {place} is not of its form")]
    BadField {
        /// Its map.
        place: Place,
        /// Its type.
        kind: u8,
    },
}

impl PsbtError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLarge(_) | Self::TransactionTooLarge(_) => Tag::TransactionTooLarge,
            Self::NotMinimal | Self::Unordered(_) | Self::PreviousWithWitness(_) => Tag::TransactionNotCanonical,
            Self::UnsupportedVersion(_) => Tag::TransactionUnsupportedType,
            Self::BadMagic
            | Self::Truncated
            | Self::TooManyFields(_)
            | Self::TrailingBytes
            | Self::NoTransaction
            | Self::MissingField { .. }
            | Self::OtherVersion { .. }
            | Self::Modifiable(_)
            | Self::NoCommonLockTime
            | Self::BadTransaction(_)
            | Self::BadCounts
            | Self::AlreadySigned(_)
            | Self::BadField { .. } => Tag::TransactionMalformed,
        }
    }
}
