//! Limits over windows through real processes: under a production genesis, and under 16 submitters, two signers that share a
//! journal, and `kill -9`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests fail by panicking, and a race says how it went"
)]

#[allow(dead_code, reason = "tests of the journal use all of it")]
#[path = "../../../crates/journal/tests/support/cluster.rs"]
mod cluster;
mod production;
mod race;
mod replay;
mod site;
#[path = "../support/mod.rs"]
mod support;
