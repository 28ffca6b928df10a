//! The Bitcoin family: PSBTs to effects, signing payloads and assembly.
//!
//! Promises: every amount is proven (each input's previous transaction hashes to the id that is spent), every output,
//! every field of the PSBT that is not known and the fee are in the list of effects, and what is the wallet's own is
//! found by its public keys. A signed transaction leaves [`assemble`] only after every signature was verified and the
//! bytes were decoded again.
//!
//! Reads PSBT versions 0 (BIP 174) and 2 (BIP 370, with no inputs or outputs still to come) and spends P2PKH,
//! P2SH-P2WPKH, P2WPKH, P2WSH multisig of which the wallet holds all keys, and taproot by key path.
//!
//! Refuses: every signature hash type but ALL (and taproot's DEFAULT), inputs of other people, coins for scripts without an
//! address, previous transactions with witnesses (their id does not commit to them), dust, fees over the network's bounds
//! (absolute, by rate, by share of what is spent), and text that is not canonical.
//!
//! Stated limits: a taproot output's key is the wallet's key itself, without BIP 86's tweak, because a token signs with
//! the keys it holds. Derivations (BIP 32, BIP 371) and extended keys in a PSBT are checked for their form and otherwise
//! ignored.

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

mod account;
mod address;
mod assemble;
mod effects;
mod fee;
mod network;
mod parse;
mod psbt;
mod sighash;
mod spend;
mod table;

#[cfg(test)]
mod tests;

pub use account::{Account, AccountError, Holdings, MAX_MULTISIG_KEYS};
pub use address::{AddressError, parse_destination};
pub use assemble::{AssembleError, assemble, identify};
pub use effects::{AssetError, Known, certify_asset};
pub use network::{BitcoinNetwork, FeeBounds, MAX_NAME_LEN, NAMESPACE, NetworkError};
pub use parse::{MAX_SIGNED_VBYTES, ParseError, Sender, parse};
pub use psbt::{MAX_PSBT_BYTES, MAX_UNSIGNED_BYTES, Place, PsbtError};
