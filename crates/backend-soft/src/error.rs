//! Why a keystore could not be used.

use std::{io, path::PathBuf};

use countersign_types::{PublicKey, Tag};

/// Why a keystore could not be made, opened or changed. No message holds a key or a passphrase.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Reading or writing failed.
    #[error("the keystore `{path}` cannot be {verb}: {source}")]
    Io {
        /// What was tried: `read` or `written`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A keystore is never created over another file.
    #[error("`{0}` already exists")]
    Exists(PathBuf),
    /// The file is over the bound and was not read.
    #[error("the keystore is over {0} bytes")]
    TooLarge(u64),
    /// Others may read or write the file.
    #[error("the keystore's mode is {0:03o}; it must not be open to group or others (`chmod 600`)")]
    Permissions(u32),
    /// Not the JSON of a keystore.
    #[error("the file is no keystore: {0}")]
    Malformed(String),
    /// Parameters that are too weak to protect keys, or so strong that opening would take the machine down.
    #[error("the keystore's argon2id parameters are out of bounds: {memory_kib} KiB, {passes} passes, {lanes} lanes")]
    CostOutOfBounds {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The key derived from the passphrase does not open the keystore.
    #[error("the passphrase is wrong, or the head of the keystore was changed")]
    WrongPassphrase,
    /// The passphrase is right and the key does not open: the file was changed.
    #[error("the record of key `{0}` was changed")]
    Tampered(PublicKey),
    /// The passphrase is right and the list of keys is not the one that was written.
    #[error("keys were added to the keystore or removed from it")]
    InventoryChanged,
    /// Two records of one key.
    #[error("the keystore holds key `{0}` twice")]
    Duplicate(PublicKey),
    /// More keys than a development keystore is for.
    #[error("the keystore holds {0} keys at most")]
    TooManyKeys(usize),
    /// Another process wrote the file; generating would lose its keys.
    #[error("the keystore was changed by somebody else since it was opened; open it again")]
    ChangedOnDisk,
    /// The system gave no randomness.
    #[error("the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
}

impl KeystoreError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        Tag::BackendUnavailable
    }
}
