//! The dev bundle: that it loads and means what it says, and what every single change to it is answered with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and one of them measures time"
)]

mod analysis;
mod bitcoin;
mod breakers;
mod caps;
mod cases;
mod change;
mod descriptors;
mod dev;
mod docs;
mod examples;
mod file_mutations;
mod hostile;
mod language_mutations;
mod lists;
mod manifest;
mod mutations;
mod observers;
mod policy_mutations;
mod price_sources;
mod support;
