//! What the bytes of a transaction do not carry, and observers of a chain attest.

use std::collections::BTreeMap;

use crate::Destination;

/// The most addresses of one lookup table (Solana: the index is one byte).
pub const MAX_TABLE_ADDRESSES: usize = 256;

/// Which fact a parse needs: without it, what rests on the fact is `Opaque` or excludes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactKey {
    /// Solana: the contents of an address lookup table.
    LookupTable(Destination),
    /// Solana: the value that a durable nonce account stores.
    NonceAccount(Destination),
}

/// The contents of an address lookup table at a finalised block. Tables only grow, so what stood at an index stays there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LookupTable {
    /// The height of the finalised block at which it was read.
    pub height: u64,
    /// The addresses, by index; at most [`MAX_TABLE_ADDRESSES`].
    pub addresses: Vec<[u8; 32]>,
}

/// What a durable nonce account stores at a finalised block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NonceAccount {
    /// The height of the finalised block at which it was read.
    pub height: u64,
    /// Who may advance it.
    pub authority: Destination,
    /// The stored nonce, which takes the place of a recent blockhash.
    pub value: [u8; 32],
}

/// Facts about chains that a quorum of observers attested. What is absent is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainFacts {
    /// Lookup tables by account.
    pub tables: BTreeMap<Destination, LookupTable>,
    /// Durable nonce accounts by account.
    pub nonces: BTreeMap<Destination, NonceAccount>,
}

impl ChainFacts {
    /// Nothing is known.
    pub fn none() -> &'static Self {
        static NONE: ChainFacts = ChainFacts {
            tables: BTreeMap::new(),
            nonces: BTreeMap::new(),
        };
        &NONE
    }
}
