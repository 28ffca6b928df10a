//! The application in front of the HSM is assumed hostile. Here it is.
//!
//! Each test plays the orchestrator against a real signer process: it holds the orchestrator's certificate, every statement
//! that people made, and no key of theirs except where the attack is that of an insider. Each attempt is a valid withdrawal with one
//! thing changed; it must meet its exact tag, and no key may be used. Where it can be shown, the same withdrawal is signed
//! once that one thing is put right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod bundles;
mod bytes;
mod callers;
mod cancels;
mod freezes;
mod lineage;
