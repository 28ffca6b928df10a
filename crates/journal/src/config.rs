//! What a journal is opened with.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use countersign_audit::VerifierKey;
use countersign_types::{GenesisHash, Timestamp};

use crate::Database;

/// Proposals that wait for the owner task at most; more make their proposers wait.
pub const MAX_QUEUED_PROPOSALS: usize = 1_024;

/// The signer's clock. Read only while the write lock is held.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why a checkpoint was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log key did not sign: {0}")]
pub struct SignCheckpointError(pub String);

/// Holds the log key. Its name is the origin of every checkpoint.
pub trait CheckpointSigner: Send + Sync {
    /// The name and public key that verifiers pin.
    fn verifier_key(&self) -> &VerifierKey;

    /// An Ed25519 signature (RFC 8032) over the note's text. Called inside the write transaction: it must be quick.
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignCheckpointError>;
}

/// Bounds and cadences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Proposals in one commit at most. A larger group waits longer and loses more when it fails.
    pub max_group: NonZeroU32,
    /// The anchor is written after every so many commits. 1: nothing is answered before it is anchored.
    pub anchor_every: NonZeroU32,
    /// How old the latest checkpoint gets before an idle journal commits another one.
    pub max_checkpoint_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_group: NonZeroU32::MIN.saturating_add(255),
            anchor_every: NonZeroU32::MIN,
            // DESIGN.md §9 asks for a minute; ten seconds of it are for a slow disk.
            max_checkpoint_age: Duration::from_secs(50),
        }
    }
}

/// What [`crate::SqlJournal`] is opened with.
#[derive(Clone)]
pub struct JournalConfig {
    /// Where the journal is.
    pub database: Database,
    /// The anchor file, each signer's own: outside the database, best on another disk.
    pub anchor_path: PathBuf,
    /// The deployment whose journal this is.
    pub deployment: GenesisHash,
    /// The log key.
    pub checkpoint_signer: Arc<dyn CheckpointSigner>,
    /// The clock.
    pub clock: Clock,
    /// Bounds and cadences.
    pub limits: Limits,
}

/// Counters since the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commits.
    pub commits: u64,
    /// Proposals that were answered with a durable outcome.
    pub proposals: u64,
    /// The most proposals of one commit.
    pub largest_group: u64,
}
