//! The hash chain of commits.

use countersign_types::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::codec::Encoder;

/// What the first commit names as its predecessor.
pub(crate) const NO_PREVIOUS: [u8; 32] = [0; 32];

/// Everything a commit's hash covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitParts {
    /// From 1, without gaps.
    pub(crate) number: u64,
    /// The clock of the last proposal in it.
    pub(crate) at: Timestamp,
    /// The hash of the commit before it.
    pub(crate) previous: [u8; 32],
    /// Of everything written, see [`content_digest`].
    pub(crate) content: [u8; 32],
    /// Entries in the log.
    pub(crate) log_size: u64,
    /// The log's root at that size.
    pub(crate) log_root: [u8; 32],
}

impl CommitParts {
    /// The commit's identity: what the next commit, and the anchor, name.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut to = Encoder::default();
        to.digest(&self.previous)
            .number(self.number)
            .time(self.at)
            .digest(&self.content)
            .number(self.log_size)
            .digest(&self.log_root);
        prefixed("countersign/commit/v1\n", &to.into_bytes())
    }
}

/// Of the encoded verdicts of a commit, in order.
pub(crate) fn content_digest(encoded: &[u8]) -> [u8; 32] {
    prefixed("countersign/commit-content/v1\n", encoded)
}

fn prefixed(prefix: &str, bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(prefix).chain_update(bytes).finalize().into()
}
