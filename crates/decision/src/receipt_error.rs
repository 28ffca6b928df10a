//! Why a receipt does not verify.

use countersign_types::Tag;

use crate::{ChainError, EntryError};

/// Why a receipt does not verify: the first thing that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Not the JSON of a receipt.
    #[error("the receipt cannot be read: {0}")]
    Unreadable(String),
    /// Another deployment.
    #[error("the receipt is of deployment {found}, you trust {trusted}")]
    OtherDeployment {
        /// In the receipt.
        found: String,
        /// Pinned.
        trusted: String,
    },
    /// The chain of bundles does not hold.
    #[error("the bundles do not follow from the genesis: {0}")]
    Chain(#[from] ChainError),
    /// A log entry is malformed.
    #[error("a log entry is malformed: {0}")]
    Entry(#[from] EntryError),
    /// Something else does not hold.
    #[error("{0}")]
    Broken(String),
}

impl ReceiptError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Unreadable(_) | Self::OtherDeployment { .. } | Self::Chain(_) | Self::Entry(_) | Self::Broken(_) => {
                Tag::ReceiptInvalid
            }
        }
    }
}

pub(crate) fn broken(what: impl Into<String>) -> ReceiptError {
    ReceiptError::Broken(what.into())
}
