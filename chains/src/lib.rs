//! The closed enum of chain families, and the registry of what a bundle says about networks, wallets and assets.
//!
//! Promises: a [`Registry`] is consistent. Every wallet's keys fit its networks and are points on their curve, every asset
//! belongs to a network and is spelt as parses spell it, and own addresses are derived from public keys, never listed.
//!
//! Adding a family is one folder below this one, one variant of [`Network`], and what the compiler then asks for.

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

mod error;
mod lookalike;
mod network;
mod registry;

#[cfg(test)]
mod tests;

pub use countersign_bitcoin as bitcoin;
pub use countersign_evm as evm;
pub use countersign_solana as solana;
pub use error::{AccountError, AddressError, AssembleError, ParseError, RegistryError};
pub use lookalike::LOOKALIKE_END_CHARS;
pub use network::{DestinationError, Network};
pub use registry::Registry;
