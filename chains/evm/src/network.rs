//! The record of an EVM network, as a bundle writes it. A new network is a file, not code.

use countersign_types::{AmountError, AssetId, AssetRecord, AssetSymbol, CaipError, ChainId, Decimals};
use serde::Deserialize;

/// CAIP-2's namespace of EVM networks.
pub const NAMESPACE: &str = "eip155";
/// The longest network name; it stands in one line beside an amount.
pub const MAX_NAME_LEN: usize = 32;
/// EIP-2294: a larger id would overflow the 64-bit `v` of a legacy signature in other people's nodes.
pub const MAX_CHAIN_ID: u64 = u64::MAX / 2 - 36;
/// Every EVM network counts its native asset in units of 10⁻¹⁸.
const NATIVE_DECIMALS: u8 = 18;

/// Why a record is not an EVM network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not `eip155:` and a decimal number from 1 to [`MAX_CHAIN_ID`] without leading zeros.
    #[error("`{0}` is not the id of an EVM network: `eip155:` and a number from 1 to {MAX_CHAIN_ID}")]
    BadChain(ChainId),
    /// Empty, too long, or with characters other than printable ASCII.
    #[error("a network name has 1 to {MAX_NAME_LEN} printable ASCII characters")]
    BadName,
    /// No transaction fits.
    #[error("max-gas-limit is at least 21000, the gas of a plain transfer")]
    GasLimitTooLow,
    /// The native asset has no CAIP-19 id.
    #[error(transparent)]
    Asset(#[from] CaipError),
    /// The native asset's decimals are out of range.
    #[error(transparent)]
    Decimals(#[from] AmountError),
}

/// An EVM network: what a parser must know to read and to refuse its transactions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Record")]
pub struct EvmNetwork {
    chain: ChainId,
    chain_id: u64,
    name: String,
    native: AssetRecord,
    max_gas_limit: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Record {
    chain: ChainId,
    name: String,
    native: NativeRecord,
    max_gas_limit: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NativeRecord {
    symbol: AssetSymbol,
    /// The coin type of SLIP-44, without the hardening bit.
    slip44: u32,
}

impl EvmNetwork {
    /// The CAIP-2 id.
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The EIP-155 chain id that signatures commit to.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The asset that pays for gas and moves as a transaction's value.
    pub fn native(&self) -> &AssetRecord {
        &self.native
    }

    /// The highest gas limit that is signed on this network; it bounds the fee effect together with the gas price.
    pub fn max_gas_limit(&self) -> u64 {
        self.max_gas_limit
    }
}

impl TryFrom<Record> for EvmNetwork {
    type Error = NetworkError;
    fn try_from(record: Record) -> Result<Self, NetworkError> {
        let chain_id = parse_chain_id(&record.chain).ok_or_else(|| NetworkError::BadChain(record.chain.clone()))?;
        let is_name = (1..=MAX_NAME_LEN).contains(&record.name.len())
            && record.name.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
            && record.name.trim() == record.name;
        if !is_name {
            return Err(NetworkError::BadName);
        }
        if record.max_gas_limit < 21_000 {
            return Err(NetworkError::GasLimitTooLow);
        }
        let native = AssetRecord {
            id: AssetId::new(&record.chain, "slip44", &record.native.slip44.to_string())?,
            symbol: record.native.symbol,
            decimals: Decimals::new(NATIVE_DECIMALS)?,
            quirks: std::collections::BTreeSet::new(),
        };
        Ok(Self {
            chain: record.chain,
            chain_id,
            name: record.name,
            native,
            max_gas_limit: record.max_gas_limit,
        })
    }
}

/// The number behind `eip155:`, if it is written canonically and in range.
pub(crate) fn parse_chain_id(chain: &ChainId) -> Option<u64> {
    let number: u64 = chain.reference().parse().ok()?;
    let is_canonical = chain.namespace() == NAMESPACE && number.to_string() == chain.reference();
    (is_canonical && (1..=MAX_CHAIN_ID).contains(&number)).then_some(number)
}
