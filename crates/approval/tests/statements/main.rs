//! Statements against what hostile people and programs do to them, with `ssh-keygen` as the judge of signatures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and run ssh-keygen on files"
)]

mod activation;
mod attestations;
mod certifying;
mod genesis;
mod observations;
mod payloads;
mod properties;
mod rosters;
mod security_keys;
mod soft;
mod ssh_keygen;
mod support;
mod vectors;
mod verification;
