//! The Solana family: messages to effects, signing payloads and assembly.
//!
//! Promises: every byte of an accepted message is accounted for (what is decoded encodes to the same bytes again), every
//! instruction of every program is looked at, and what is not understood stands in the list as `ContractCall` or
//! `Opaque` with its accounts and its data. A signed transaction leaves [`assemble`] only after its signature verified.
//!
//! Refuses: messages that need another signature than the wallet's, versions other than legacy and 0, duplicate accounts,
//! messages that do nothing, duplicate compute budget instructions, nonce advances that are not first or not ours, and
//! recipients nobody can spend from.
//!
//! How instructions become effects:
//! - Known are System, SPL Token, Token-2022, Associated Token Account, Compute Budget, Stake, Vote, the upgradeable loader,
//!   Address Lookup Table, and Memo. Their encoders are the judges of the tests.
//! - A program that the parser does not know, memo included, is a `ContractCall` of that program. The selector is the
//!   first four bytes of the data (padded with zeros); the arguments are the whole instruction, accounts and data.
//! - An instruction of a known program that moves nothing the taxonomy names (mint, burn, freeze, allocate) is a
//!   `ContractCall` too. One that cannot be read, has other accounts than it must have, is signed by somebody else, or
//!   touches an account of a lookup table that nobody can name is `Opaque`. Named are the accounts at indices that a quorum
//!   of observers attested at a finalised block; instructions on them read as if they were written out.
//! - The destination of a token transfer is the token account's owner where the chain itself proves it: the same message
//!   opens that owner's associated token account (`CreateIdempotent` where it may be there already), which fails, and with
//!   it the whole message, if the account is anybody else's. Otherwise the destination is the token account itself, which
//!   no allowlist of owners names. That an owner's key stands in a message proves nothing: accounts change hands.
//! - Rent is a cost. Where an instruction names its lamports (System), they are a transfer to the new account. Where the
//!   program takes them from the payer by itself (associated token accounts, lookup tables, programs), the most it can take
//!   is in the fee's maximum. An associated account opened for anybody but a recipient of the message is also a
//!   `ContractCall`, because its owner may close it and keep the rent.
//! - A stake account's withdrawer and a mint's minting authority are `owner`; staker is `stake`; the custodian of a lock-up
//!   is `guard`; freeze and close are `token`. Subject and scope together say which authority changes. Whoever gets the
//!   rest of a closed account, or of an upgraded program's buffer, stands in an authority change too, with the call or the code behind it.
//! - What leaves a nonce or vote account is a transfer, with the call behind it: without its lamports the account is gone.
//! - Extensions of Token-2022 are opaque but for a transfer that states its fee: its amount leaves the wallet, and the call
//!   that tells the fee stands behind it.
//!
//! A message is one of the template where it is payments alone: transfers out of the wallet and its own associated token
//! accounts, the accounts opened for them, memos, compute budget and a nonce. Every account is named by an instruction, so
//! what varies is blockhash, budget, legacy or 0, and in which order, with which flags and from which table accounts come.
//!
//! Stated limits: Token-2022 extensions (transfer fees, hooks) are properties of a mint that a message does not show. What
//! is listed is what leaves the wallet; a registered Token-2022 asset must be one whose extensions were reviewed.

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

mod address;
mod assemble;
mod associated;
mod base58;
mod budget;
mod bytes;
mod call;
mod draft;
mod effects;
mod facts;
mod loader;
mod message;
mod mints;
mod network;
mod parse;
mod programs;
mod rent;
mod stake;
mod system;
mod tables;
mod template;
mod token;
mod vote;

#[cfg(test)]
mod tests;

pub use address::{Account, AccountError, Address, AddressError, parse_destination};
pub use assemble::{AssembleError, assemble, identify};
pub use draft::{ComputeBudget, DraftError, Lifetime, TokenProgram, TokenTerms, TransferDraft};
pub use effects::{AssetError, Known, TOKEN, certify_asset};
pub use facts::wanted_facts;
pub use message::MAX_MESSAGE_BYTES;
pub use mints::Mints;
pub use network::{MAX_NAME_LEN, NAMESPACE, NetworkError, SolanaNetwork};
pub use parse::{ParseError, Sender, parse};
