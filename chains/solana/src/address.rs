//! Solana addresses: base58 text, derived addresses, recipients nobody can spend from, and the account behind a key.

use std::{fmt, str::FromStr};

use countersign_types::{ChainId, Destination, DestinationError, KeyId, PublicKey, Tag};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

use crate::{base58, programs};

/// What ends the seeds of a program derived address.
const DERIVED_MARKER: &[u8] = b"ProgramDerivedAddress";

#[cfg(test)]
thread_local! {
    static DERIVATIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many addresses this thread has derived.
#[cfg(test)]
pub(crate) fn derivations() -> u64 {
    DERIVATIONS.with(std::cell::Cell::get)
}

/// Why an address is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not the base58 text of 32 bytes, in its one canonical form.
    #[error("a Solana address is the base58 text of 32 bytes")]
    BadShape,
    /// The zero address, the incinerator, a program or a sysvar.
    #[error("`{0}` is the zero address, the incinerator, a program or a sysvar: whatever is sent there is lost")]
    Reserved(Address),
    /// Not an address in CAIP-10's characters.
    #[error(transparent)]
    Destination(#[from] DestinationError),
}

impl AddressError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::BadShape | Self::Reserved(_) | Self::Destination(_) => Tag::TransactionBadDestination,
        }
    }
}

/// The 32 bytes that name an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 32]);

impl Address {
    /// The address of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The account on a network.
    pub(crate) fn on(self, chain: &ChainId) -> Result<Destination, AddressError> {
        Ok(Destination::new(chain, &base58::encode(&self.0))?)
    }

    /// Refuses an address that nobody can spend from.
    pub(crate) fn certify_spendable(self) -> Result<Self, AddressError> {
        if programs::RESERVED.contains(&self) {
            return Err(AddressError::Reserved(self));
        }
        Ok(self)
    }

    /// The program derived address of seeds: the highest bump whose hash is no point of the curve, so that nobody can
    /// have its private key. `None` with a probability of 2⁻²⁵⁶.
    ///
    /// Each bump is a hash and a decompression, half of all bumps do, and a sender can search for seeds that take some more;
    /// so a parse asks for at most one address an instruction, which a test counts.
    pub(crate) fn derive(seeds: &[&[u8]], program: Self) -> Option<Self> {
        #[cfg(test)]
        DERIVATIONS.with(|count| count.set(count.get() + 1));
        (0..=u8::MAX).rev().find_map(|bump| {
            let hash = seeds.iter().fold(Sha256::new(), |hash, seed| hash.chain_update(seed));
            let hash = hash.chain_update([bump]).chain_update(program.0);
            let candidate: [u8; 32] = hash.chain_update(DERIVED_MARKER).finalize().into();
            VerifyingKey::from_bytes(&candidate).is_err().then_some(Self(candidate))
        })
    }

    /// The address of a base, a seed and an owner: the base signs for it, and only the owner may change its data.
    pub(crate) fn with_seed(base: Self, seed: &[u8], owner: Self) -> Self {
        let hash = Sha256::new().chain_update(base.0).chain_update(seed);
        Self(hash.chain_update(owner.0).finalize().into())
    }

    /// The associated token account of an owner for a mint of one of the token programs.
    pub(crate) fn associated(owner: Self, token_program: Self, mint: Self) -> Option<Self> {
        Self::derive(&[&owner.0, &token_program.0, &mint.0], programs::ASSOCIATED_TOKEN)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base58::encode(&self.0))
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        // 32 bytes have 32 to 44 characters; the bound keeps base58, which is quadratic, short.
        if !(32..=44).contains(&text.len()) {
            return Err(AddressError::BadShape);
        }
        let mut bytes = [0; 32];
        let written = bs58::decode(text).onto(&mut bytes);
        let address = Self(bytes);
        if written != Ok(32) || base58::encode(&address.0) != text {
            return Err(AddressError::BadShape);
        }
        Ok(address)
    }
}

/// Parses a destination that something may be sent to: canonical base58, and not reserved.
pub fn parse_destination(chain: &ChainId, text: &str) -> Result<Destination, AddressError> {
    text.parse::<Address>()?.certify_spendable()?.on(chain)
}

/// Why wallet keys do not make an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// An account has one key; several are a multisig program's, which is another thing.
    #[error("a Solana wallet has exactly one key; this one has {0}")]
    NotOneKey(usize),
    /// secp256k1 keys sign nothing on Solana.
    #[error("key `{0}` is not an Ed25519 key")]
    WrongCurve(KeyId),
    /// The 32 bytes are no point on the curve, or one of the eight of small order, under which anybody can sign.
    #[error("key `{0}` is not a usable point on Ed25519's curve")]
    NotAPoint(KeyId),
}

/// The account of a wallet: one Ed25519 key, which is the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    address: Address,
    key: KeyId,
    verifying: VerifyingKey,
}

impl Account {
    /// Derives the account of a wallet's keys: exactly one, on Ed25519, a point of large order.
    pub fn derive(keys: &[PublicKey]) -> Result<Self, AccountError> {
        let [key] = keys else {
            return Err(AccountError::NotOneKey(keys.len()));
        };
        let id = key.id();
        let PublicKey::Ed25519(bytes) = key else {
            return Err(AccountError::WrongCurve(id));
        };
        let verifying = VerifyingKey::from_bytes(bytes).map_err(|_| AccountError::NotAPoint(id))?;
        if verifying.is_weak() {
            return Err(AccountError::NotAPoint(id));
        }
        Ok(Self {
            address: Address(*bytes),
            key: id,
            verifying,
        })
    }

    /// The account as a destination on one network.
    pub fn destination(&self, chain: &ChainId) -> Result<Destination, AddressError> {
        self.address.on(chain)
    }

    /// The wallet key.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

    fn mainnet() -> ChainId {
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap()
    }

    #[test]
    fn only_the_canonical_text_of_32_bytes_is_an_address() {
        let destination = parse_destination(&mainnet(), USDC).unwrap();
        assert_eq!(destination.to_string(), format!("{}:{USDC}", mainnet()));
        for bad in [
            "".to_owned(),
            format!("1{USDC}"),
            format!(" {USDC}"),
            USDC.replace('E', "0"),
            USDC.replace('E', "l"),
            USDC.replacen("EP", "", 1),
            "z".repeat(44),
            "1".repeat(31),
        ] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::BadShape), "{bad}");
        }
    }

    #[test]
    fn reserved_addresses_are_no_destinations() {
        use solana_sdk_ids::{self as ids, sysvar};
        let sdk = [
            ids::address_lookup_table::ID,
            ids::bpf_loader::ID,
            ids::bpf_loader_deprecated::ID,
            ids::bpf_loader_upgradeable::ID,
            ids::compute_budget::ID,
            ids::config::ID,
            ids::ed25519_program::ID,
            ids::feature::ID,
            ids::incinerator::ID,
            ids::loader_v4::ID,
            ids::native_loader::ID,
            ids::secp256k1_program::ID,
            ids::secp256r1_program::ID,
            ids::stake::ID,
            ids::stake::config::ID,
            ids::system_program::ID,
            ids::vote::ID,
            ids::zk_elgamal_proof_program::ID,
            ids::zk_token_proof_program::ID,
            sysvar::ID,
            sysvar::clock::ID,
            sysvar::epoch_rewards::ID,
            sysvar::epoch_schedule::ID,
            sysvar::fees::ID,
            sysvar::instructions::ID,
            sysvar::last_restart_slot::ID,
            sysvar::recent_blockhashes::ID,
            sysvar::rent::ID,
            sysvar::rewards::ID,
            sysvar::slot_hashes::ID,
            sysvar::slot_history::ID,
            sysvar::stake_history::ID,
        ];
        // And the programs of the program library.
        let library = [
            spl_token_interface::ID.to_string(),
            spl_associated_token_account_interface::program::ID.to_string(),
            "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb".to_owned(),
            "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo".to_owned(),
            "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr".to_owned(),
        ];
        let all: std::collections::BTreeSet<_> = sdk.map(|id| id.to_string()).into_iter().chain(library).collect();
        for reserved in &all {
            let error = parse_destination(&mainnet(), reserved).unwrap_err();
            assert!(matches!(error, AddressError::Reserved(_)), "{reserved}");
            assert_eq!(error.tag(), Tag::TransactionBadDestination);
        }
        assert_eq!(all.len(), programs::RESERVED.len());
    }

    #[test]
    fn an_account_is_one_point_of_large_order() {
        let secp256k1 = PublicKey::Secp256k1([2; 33]);
        let good = PublicKey::Ed25519([1; 32]);
        assert!(Account::derive(&[good]).is_ok());
        // y = 1 is the neutral element; y = 2 is on no point.
        let (mut neutral, mut off) = ([0; 32], [0; 32]);
        (neutral[0], off[0]) = (1, 2);
        let (neutral, off) = (PublicKey::Ed25519(neutral), PublicKey::Ed25519(off));
        let refused: [(&[PublicKey], AccountError); 5] = [
            (&[], AccountError::NotOneKey(0)),
            (&[good, off], AccountError::NotOneKey(2)),
            (&[secp256k1], AccountError::WrongCurve(secp256k1.id())),
            (&[neutral], AccountError::NotAPoint(neutral.id())),
            (&[off], AccountError::NotAPoint(off.id())),
        ];
        for (keys, error) in refused {
            assert_eq!(Account::derive(keys), Err(error));
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            prop_assert_eq!(Address(bytes).to_string().parse(), Ok(Address(bytes)));
        }
        #[test]
        fn parsing_never_panics(text in "\\PC{0,50}") {
            drop(text.parse::<Address>());
        }
    }
}
