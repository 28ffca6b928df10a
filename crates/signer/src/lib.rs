//! The signing core, sans-IO: the authorization pipeline, lineage, and the traits of the journal and of key backends.
//!
//! Promises: no key is used without an [`Authorization`] that a durable journal commit produced. Refuses: to sign bytes
//! that it did not parse, decide and log itself.

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

mod activation;
mod admission;
mod aging;
mod alarm;
mod authorization;
mod backend;
mod breakers;
mod changes;
mod clearing;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod entries;
mod error;
mod facts;
mod freezes;
mod journal;
mod left_over;
mod past;
mod people;
mod pipeline;
mod prepare;
mod records;
mod release;
mod room;
mod ruling;
mod signature;
mod statements;
mod stored;
mod submission;
mod watch;
mod words;

pub use authorization::Authorization;
pub use backend::{BackendError, KeyBackend, SigningJob};
pub use clearing::{Cleared, Clearing};
pub use error::SignerError;
pub use journal::*;
pub use pipeline::{Clock, Notary, Signer, SignerParts};
pub use records::{FreezeRecord, LastWord, MAX_READ_FREEZES, MAX_READ_MARKS, Marked, Tally, TallyQuery};
pub use signature::SignatureError;
pub use submission::{Activated, Answer, Submission};
