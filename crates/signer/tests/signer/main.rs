//! The tests of `signer` through its public face, as one program: linking is most of what a small one costs.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod attested;
mod breakers;
mod cancels;
mod copies;
mod crash;
mod freezes;
mod gates;
mod governance;
mod key_tables;
mod left_over;
mod limits;
mod limits_model;
mod lists;
mod observed;
mod pipeline;
mod replace;
mod rooms;
mod support;
