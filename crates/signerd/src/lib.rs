//! The signer process: an I/O shell around [`countersign_signer::Signer`].
//!
//! Promises: two listeners, both mutual TLS. The first lets in orchestrators alone, the second people and auditors alone,
//! looked at on every call and before its message is read. Every message, connection, queue and wait has a bound. What
//! was started for a caller is finished even when the caller has gone. The process stops, with an exit code and a
//! reason, as soon as the journal says that it cannot go on.
//!
//! Refuses: to decide anything itself; to read a secret that another user could read; to overwrite a key, a trust root or
//! a journal; to start under another genesis than the one that the journal and the token were initialized with.

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

pub mod alarm;
pub mod clearing;
pub mod clock;
pub mod commands;
pub mod config;
pub mod files;
pub mod gate;
pub mod genesis;
pub mod keys;
pub mod listener;
pub mod log_key;
pub mod logs;
pub mod ready;
pub mod serve;
pub mod services;
