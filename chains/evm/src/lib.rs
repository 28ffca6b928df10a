//! The EVM family: unsigned transactions and messages to effects, signing payloads and assembly.
//!
//! Promises: every byte of an accepted transaction is accounted for (what is decoded encodes to the same bytes again),
//! every effect is in the list, calls inside calls included, and what is not understood stands there as `ContractCall` or
//! `Opaque`. Assets are known from the registry alone, never by what a contract calls itself. A signed
//! transaction leaves [`assemble`] only after it was decoded again and its sender recovered.
//!
//! Refuses: everything but EIP-1559, EIP-2930, EIP-4844, EIP-7702 and EIP-155 legacy transactions, EIP-191 personal
//! messages and EIP-712 typed data whose domain names network and contract; recipients nobody can spend from,
//! authorizations for more than one network, and text that is not canonical (EIP-55, CAIP-2, CAIP-19).
//!
//! Stated limit: on roll-ups the fee for the data on the layer below (OP stack: the "L1 data fee") is charged outside the
//! transaction's own fields. The fee effect is the bound on execution gas alone.

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

mod abi;
mod address;
mod assemble;
mod authorization;
mod calls;
mod contracts;
mod display;
mod draft;
mod effects;
mod message;
mod network;
mod parse;
mod transaction;

#[cfg(test)]
mod tests;

pub use address::{Account, AccountError, AddressError, Reserved, parse_destination};
pub use assemble::{AssembleError, assemble, identify};
pub use contracts::Contracts;
pub use display::{Descriptor, DescriptorError, Display, DisplayLine, MAX_DESCRIPTOR_BYTES, display};
pub use draft::{DraftError, GasPrice, TransferDraft};
pub use effects::{AssetError, ERC20, ERC721, ERC1155, Known, certify_asset};
pub use message::{
    MAX_STRUCT_FIELDS, MAX_STRUCT_TYPES, MAX_TYPE_NAME_BYTES, MAX_VALUE_DEPTH, TypedData, TypedDataError,
};
pub use network::{EvmNetwork, MAX_CHAIN_ID, MAX_NAME_LEN, NAMESPACE, NetworkError};
pub use parse::{ParseError, Sender, parse};
pub use transaction::{MAX_ACCESS_LIST_ENTRIES, MAX_AUTHORIZATIONS, MAX_BLOBS, MAX_TRANSACTION_BYTES};
