//! The record of a Bitcoin network, as a bundle writes it. A new network of the family is a file, not code.

use bitcoin::bech32::Hrp;
use countersign_types::{AmountError, AssetId, AssetRecord, AssetSymbol, CaipError, ChainId, Decimals};
use serde::Deserialize;

/// CAIP-2's namespace of networks that are named by their genesis block (BIP 122).
pub const NAMESPACE: &str = "bip122";
/// The longest network name; it stands in one line beside an amount.
pub const MAX_NAME_LEN: usize = 32;
/// CAIP-2 takes the first 32 hexadecimal characters of the genesis block's hash.
const REFERENCE_LEN: usize = 32;
/// Every network of the family counts in units of 10⁻⁸.
const NATIVE_DECIMALS: u8 = 8;

/// Why a record is not a Bitcoin network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not `bip122:` and 32 lower-case hexadecimal characters.
    #[error("`{0}` is not the id of a Bitcoin network: `bip122:` and the first 32 characters of its genesis hash")]
    BadChain(ChainId),
    /// Empty, too long, or with characters other than printable ASCII.
    #[error("a network name has 1 to {MAX_NAME_LEN} printable ASCII characters")]
    BadName,
    /// Not the lower-case human-readable part of a bech32 address.
    #[error("`{0}` is not a lower-case human-readable part of bech32 addresses")]
    BadHrp(String),
    /// One version for two kinds of address.
    #[error("p2pkh and p2sh addresses need different version bytes")]
    SameVersions,
    /// Taproot outputs have bech32m addresses only.
    #[error("a network with taproot needs a bech32 prefix")]
    TaprootWithoutSegwit,
    /// A bound of zero allows nothing, or everything.
    #[error("max-money-sat, dust-sat, max-fee-sat and max-fee-rate-sat-vb are at least 1")]
    ZeroBound,
    /// A share of nothing, or of more than all.
    #[error("max-fee-percent is 1 to 100, not {0}")]
    BadShare(u64),
    /// The native asset has no CAIP-19 id.
    #[error(transparent)]
    Asset(#[from] CaipError),
    /// The native asset's decimals are out of range.
    #[error(transparent)]
    Decimals(#[from] AmountError),
}

/// A Bitcoin network: what a parser must know to read and to refuse its transactions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Record")]
pub struct BitcoinNetwork {
    chain: ChainId,
    name: String,
    native: AssetRecord,
    hrp: Option<Hrp>,
    has_taproot: bool,
    p2pkh: u8,
    p2sh: u8,
    max_money_sat: u64,
    dust_sat: u64,
    fees: FeeBounds,
}

/// The highest fee that is signed on a network whatever a policy says. They keep mistakes and lies from becoming
/// miners' money; policies set the real bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeBounds {
    /// In base units.
    pub max_sat: u64,
    /// In base units for each virtual byte of the signed transaction.
    pub max_rate_sat_vb: u64,
    /// Of everything that is spent, in percent.
    pub max_percent: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Record {
    chain: ChainId,
    name: String,
    native: NativeRecord,
    addresses: AddressRecord,
    max_money_sat: u64,
    dust_sat: u64,
    max_fee_sat: u64,
    max_fee_rate_sat_vb: u64,
    max_fee_percent: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NativeRecord {
    symbol: AssetSymbol,
    /// The coin type of SLIP-44, without the hardening bit; 1 on every test network.
    slip44: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AddressRecord {
    /// The human-readable part; absent where the network has no segregated witness.
    bech32: Option<String>,
    #[serde(default)]
    taproot: bool,
    /// The version byte of base58check.
    p2pkh: u8,
    p2sh: u8,
}

impl BitcoinNetwork {
    /// The CAIP-2 id.
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The one asset: what outputs hold and what fees are paid in.
    pub fn native(&self) -> &AssetRecord {
        &self.native
    }

    /// No output and no sum is more (`MAX_MONEY` of the network's consensus), in base units.
    pub fn max_money_sat(&self) -> u64 {
        self.max_money_sat
    }

    /// The smallest spendable output that is signed on this network, in base units.
    pub fn dust_sat(&self) -> u64 {
        self.dust_sat
    }

    /// The highest fee that is signed on this network whatever a policy says.
    pub fn fees(&self) -> FeeBounds {
        self.fees
    }

    /// Whether outputs with witness programs of version 1 are spendable by key (BIP 341).
    pub fn has_taproot(&self) -> bool {
        self.has_taproot
    }

    /// Whether the network has segregated witness (BIP 141).
    pub fn has_segwit(&self) -> bool {
        self.hrp.is_some()
    }

    pub(crate) fn hrp(&self) -> Option<Hrp> {
        self.hrp
    }

    /// The version bytes of P2PKH and P2SH addresses.
    pub(crate) fn versions(&self) -> (u8, u8) {
        (self.p2pkh, self.p2sh)
    }
}

impl TryFrom<Record> for BitcoinNetwork {
    type Error = NetworkError;
    fn try_from(record: Record) -> Result<Self, NetworkError> {
        let addresses = &record.addresses;
        if !is_chain(&record.chain) {
            return Err(NetworkError::BadChain(record.chain));
        }
        if !is_name(&record.name) {
            return Err(NetworkError::BadName);
        }
        if addresses.p2pkh == addresses.p2sh {
            return Err(NetworkError::SameVersions);
        }
        if addresses.taproot && addresses.bech32.is_none() {
            return Err(NetworkError::TaprootWithoutSegwit);
        }
        let bounds = [
            record.max_money_sat,
            record.dust_sat,
            record.max_fee_sat,
            record.max_fee_rate_sat_vb,
        ];
        if bounds.contains(&0) {
            return Err(NetworkError::ZeroBound);
        }
        if !(1..=100).contains(&record.max_fee_percent) {
            return Err(NetworkError::BadShare(record.max_fee_percent));
        }
        let native = AssetRecord {
            id: AssetId::new(&record.chain, "slip44", &record.native.slip44.to_string())?,
            symbol: record.native.symbol,
            decimals: Decimals::new(NATIVE_DECIMALS)?,
            quirks: std::collections::BTreeSet::new(),
        };
        Ok(Self {
            hrp: addresses.bech32.as_deref().map(parse_hrp).transpose()?,
            has_taproot: addresses.taproot,
            p2pkh: addresses.p2pkh,
            p2sh: addresses.p2sh,
            chain: record.chain,
            name: record.name,
            native,
            max_money_sat: record.max_money_sat,
            dust_sat: record.dust_sat,
            fees: FeeBounds {
                max_sat: record.max_fee_sat,
                max_rate_sat_vb: record.max_fee_rate_sat_vb,
                max_percent: record.max_fee_percent,
            },
        })
    }
}

fn is_chain(chain: &ChainId) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    chain.namespace() == NAMESPACE && chain.reference().len() == REFERENCE_LEN && chain.reference().bytes().all(is_hex)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        && name.trim() == name
}

fn parse_hrp(text: &str) -> Result<Hrp, NetworkError> {
    let bad = || NetworkError::BadHrp(text.to_owned());
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_plain {
        return Err(bad());
    }
    Hrp::parse(text).map_err(|_| bad())
}
