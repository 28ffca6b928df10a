//! Key backend over PKCS#11 v2.40: keys that were generated inside a token and sign there.
//!
//! Promises: [`Pkcs11Backend::open`] holds exactly the keys that it was told to hold, each found by its CKA_ID, compared
//! with its whole public key and refused unless the token says that it is sensitive, not extractable and may sign. A
//! call into the token never blocks a task and never hangs one: the queue is bounded and every answer has a deadline.
//!
//! Refuses: to sign a digest that is not 32 bytes (tokens accept others in silence), to repeat a login whose PIN was
//! refused (that is how tokens get locked), to overwrite a data object, to sign for a caller who no longer waits.
//!
//! What it cannot see: PKCS#11 shows the point on the public object only, so a private object that was swapped under
//! the right CKA_ID shows first in a signature that does not verify. The signing core verifies every signature.
//!
//! SoftHSM is a PKCS#11 token in software: [`countersign_signer::KeyBackend::is_development`] is `false` for it like for
//! any token, because a module cannot be told from its answers. Whether a token is hardware is the operator's to know.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )
)]

mod backend;
mod data;
mod error;
mod generate;
mod keys;
mod pin;
mod point;
mod pool;
mod token;

pub use backend::{
    DEFAULT_QUEUE, DEFAULT_SESSIONS, DEFAULT_TIMEOUT, MAX_KEYS, MAX_QUEUE, MAX_SESSIONS, Pkcs11Backend, Pkcs11Config,
};
pub use error::TokenError;
pub use pin::Pin;
pub use token::{Token, init_token};
