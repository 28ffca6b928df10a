//! The tests of `decision` through its public face, as one program: linking is most of what a small one costs.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod attested;
mod backtest;
mod cancels;
mod chain;
mod claims;
mod decide;
mod entries;
mod fewer;
mod governance;
mod lineage;
mod observed;
mod receipt;
mod spends;
mod support;
mod tags;
