//! Solana messages before a machine that is not ours: LiteSVM executes what we sign, and what moves is what our effects say.
//! Where it and we disagree, `docs/oracles.md` has the row.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

#[path = "../oracle/mod.rs"]
mod oracle;

mod drafts;
mod executed;
mod moved;
mod mutants;
mod site;
