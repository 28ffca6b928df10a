//! The record of a Solana cluster, as a bundle writes it.

use countersign_types::{AmountError, AssetId, AssetRecord, AssetSymbol, CaipError, ChainId, Decimals};
use serde::Deserialize;

/// CAIP-2's namespace of Solana clusters.
pub const NAMESPACE: &str = "solana";
/// The longest network name; it stands in one line beside an amount.
pub const MAX_NAME_LEN: usize = 32;
/// A local validator has a new genesis hash each time it starts; this name stands for it.
const LOCAL: &str = "localnet";
/// CAIP-2 takes the first 32 characters of the genesis hash.
const REFERENCE_LEN: usize = 32;
/// A SOL is 10⁹ lamports.
const NATIVE_DECIMALS: u8 = 9;

/// Why a record is not a Solana network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither `solana:` and 32 base58 characters nor `solana:localnet`.
    #[error("`{0}` is not the id of a Solana network: `solana:` and the first 32 characters of its genesis hash")]
    BadChain(ChainId),
    /// Empty, too long, or with characters other than printable ASCII.
    #[error("a network name has 1 to {MAX_NAME_LEN} printable ASCII characters")]
    BadName,
    /// The native asset has no CAIP-19 id.
    #[error(transparent)]
    Asset(#[from] CaipError),
    /// The native asset's decimals are out of range.
    #[error(transparent)]
    Decimals(#[from] AmountError),
}

/// A Solana cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Record")]
pub struct SolanaNetwork {
    chain: ChainId,
    name: String,
    native: AssetRecord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Record {
    chain: ChainId,
    name: String,
    native: NativeRecord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NativeRecord {
    symbol: AssetSymbol,
    /// The coin type of SLIP-44, without the hardening bit.
    slip44: u32,
}

impl SolanaNetwork {
    /// The CAIP-2 id.
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The asset that pays for fees and rent.
    pub fn native(&self) -> &AssetRecord {
        &self.native
    }

    /// Whether a signature is valid on this network alone: never, a message names no cluster. A blockhash is unique to one
    /// in practice, but a durable nonce's value is whatever its account stores. So a key belongs to one network only.
    pub fn commits_to_chain(&self) -> bool {
        false
    }
}

impl TryFrom<Record> for SolanaNetwork {
    type Error = NetworkError;
    fn try_from(record: Record) -> Result<Self, NetworkError> {
        if !is_cluster(&record.chain) {
            return Err(NetworkError::BadChain(record.chain));
        }
        let is_name = (1..=MAX_NAME_LEN).contains(&record.name.len())
            && record.name.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
            && record.name.trim() == record.name;
        if !is_name {
            return Err(NetworkError::BadName);
        }
        let native = AssetRecord {
            id: AssetId::new(&record.chain, "slip44", &record.native.slip44.to_string())?,
            symbol: record.native.symbol,
            decimals: Decimals::new(NATIVE_DECIMALS)?,
            quirks: std::collections::BTreeSet::new(),
        };
        Ok(Self {
            chain: record.chain,
            name: record.name,
            native,
        })
    }
}

fn is_cluster(chain: &ChainId) -> bool {
    let reference = chain.reference();
    let is_hash = reference.len() == REFERENCE_LEN && bs58::decode(reference).into_vec().is_ok();
    chain.namespace() == NAMESPACE && (is_hash || reference == LOCAL)
}
