//! The signer's journal in SQLite or PostgreSQL: one hash-chained, group-committed ledger, and the audit log inside it.
//!
//! Promises: a proposal is answered after its commit is on the disk and, at the configured cadence, anchored outside the
//! database. Every decision sees all earlier ones; a group of them shares one transaction. Of every reference, payment
//! reference, conflict key, statement nonce, attempt number and bundle version there is one owner, and the schema says so
//! as well. The log's checkpoint is signed inside the transaction that appends to it. Counters are exact: a decision sees every
//! charge before it, and what was charged never falls out of a sum but by age or by an explicit release (docs/adr/0020).
//!
//! Refuses: to be created where a journal was, to open a database that is behind its anchor or does not verify, to
//! repair anything, to go on after the clock went back or another process took over.

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

mod anchor;
mod apply;
mod backfill;
mod batch;
mod chain;
mod charged;
mod codec;
mod commit;
mod config;
mod counters;
mod database;
mod error;
mod fail;
mod follow;
mod found;
mod given;
mod log;
mod lookups;
mod needs;
mod open;
mod owner;
mod pending;
mod query;
mod records;
mod schema;
mod seen;
mod shared;
mod sql;
mod store;
mod table;
mod usage;
mod view;

#[cfg(test)]
mod tests;

pub use apply::MAX_ENTRIES;
pub use config::{CheckpointSigner, Clock, JournalConfig, Limits, MAX_QUEUED_PROPOSALS, SignCheckpointError, Stats};
pub use counters::{MAX_CHARGES, MAX_FACTS_BYTES};
pub use database::{BadUrl, Database, PostgresUrl};
pub use error::OpenError;
pub use needs::{MAX_READS, MAX_WINDOWS};
pub use open::FIRST_EPOCH;
pub use store::SqlJournal;
pub use usage::MAX_SPENDS;
