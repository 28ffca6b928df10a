//! The software keystore for development: one file of keys, encrypted at rest, used in the signer's own memory.
//!
//! Promises: no key is on disk in the clear (Argon2id, RFC 9106, and XChaCha20-Poly1305, each key bound to its public
//! key and algorithm), the file is replaced as a whole or not at all, a changed file does not open, and every log line
//! has the target `insecure-dev`.
//!
//! Refuses: to be more than a tool for development. [`countersign_signer::KeyBackend::is_development`] is `true`, so that
//! the signing core refuses it under a production genesis: whoever can read the process's memory has the keys.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )
)]

mod backend;
mod cost;
mod disk;
mod document;
mod error;
mod key;
mod passphrase;
mod seal;

pub use backend::SoftBackend;
pub use cost::Cost;
pub use error::KeystoreError;
pub use passphrase::Passphrase;
