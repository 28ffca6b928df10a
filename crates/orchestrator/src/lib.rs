//! The withdrawal service. Untrusted for safety: it stores, drives and streams, and decides nothing.
//!
//! Promises: what was acknowledged is durable; every withdrawal that is not decided is driven again after a restart; one
//! withdrawal has one state, from one table; callers see what is theirs.
//! Refuses: to judge statements (it links no statement, policy, bundle or signing code), to mint identifiers, to hold keys
//! other than its own TLS key.

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

pub mod advice;
pub mod api;
pub mod clock;
pub mod config;
pub mod driver;
pub mod listener;
pub mod serve;
pub mod signer;
pub mod states;
pub mod store;
