//! What a parser may know of assets: those of an activated bundle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{Amount, AssetId, AssetSymbol, ChainId, Decimals, KeyId, Tag, WalletId};

/// Why records do not make a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The same asset twice.
    #[error("asset `{0}` is listed twice")]
    DuplicateAsset(AssetId),
    /// One symbol for two assets of one network: a person could not tell them apart.
    #[error("symbol `{symbol}` names two assets of network `{chain}`")]
    AmbiguousSymbol {
        /// The symbol.
        symbol: AssetSymbol,
        /// The network.
        chain: ChainId,
    },
    /// The same wallet id twice.
    #[error("wallet `{0}` is listed twice")]
    DuplicateWallet(WalletId),
    /// A key belongs to one wallet only (DESIGN.md §3).
    #[error("key `{key}` belongs to wallet `{first}` and to wallet `{second}`")]
    SharedKey {
        /// The key.
        key: KeyId,
        /// One wallet.
        first: WalletId,
        /// The other.
        second: WalletId,
    },
    /// A key twice in one wallet, in a table or beside it, or a key and its negation.
    #[error("key `{key}` of wallet `{wallet}` is listed twice, or its negation is listed too")]
    RepeatedKey {
        /// The key.
        key: KeyId,
        /// The wallet.
        wallet: WalletId,
    },
    /// A wallet without a key or without a network.
    #[error("wallet `{0}` needs at least one key and one network")]
    EmptyWallet(WalletId),
}

impl RegistryError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::DuplicateAsset(_)
            | Self::AmbiguousSymbol { .. }
            | Self::DuplicateWallet(_)
            | Self::SharedKey { .. }
            | Self::RepeatedKey { .. } => Tag::BundleListedTwice,
            Self::EmptyWallet(_) => Tag::BundleMissingValue,
        }
    }
}

/// How a token's contract strays from what people expect of a transfer. For displays: effects and limits count what was
/// asked for, which is the most that leaves the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetQuirk {
    /// The recipient gets less than was sent.
    FeeOnTransfer,
    /// Its functions return nothing: a failed transfer shows in the receipt's events alone.
    NoReturnValue,
    /// Somebody can stop all transfers.
    Pausable,
    /// Somebody can stop the transfers of one account.
    Freezable,
    /// Balances change without a transfer.
    Rebasing,
}

impl AssetQuirk {
    /// Every quirk.
    pub const ALL: [Self; 5] = [
        Self::FeeOnTransfer,
        Self::NoReturnValue,
        Self::Pausable,
        Self::Freezable,
        Self::Rebasing,
    ];

    /// The name in a bundle.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FeeOnTransfer => "fee-on-transfer",
            Self::NoReturnValue => "no-return-value",
            Self::Pausable => "pausable",
            Self::Freezable => "freezable",
            Self::Rebasing => "rebasing",
        }
    }
}

impl fmt::Display for AssetQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An asset of the bundle. Decimals and symbol come from here alone, never from a chain or a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetRecord {
    /// The identity.
    pub id: AssetId,
    /// What people read.
    pub symbol: AssetSymbol,
    /// Decimal places of the unit people read.
    pub decimals: Decimals,
    /// What a display should say beside the asset; no rule and no effect depends on it.
    pub quirks: BTreeSet<AssetQuirk>,
}

/// Up to so many records are looked at one after the other: whether two ids are equal is found out sooner than their order.
const FEW: usize = 8;

/// All assets of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetRegistry {
    /// In order of id, each once.
    records: Vec<AssetRecord>,
}

impl AssetRegistry {
    /// Checks that ids are unique and symbols unambiguous within a network.
    pub fn new(records: impl IntoIterator<Item = AssetRecord>) -> Result<Self, RegistryError> {
        let mut by_id = BTreeMap::new();
        let mut symbols = BTreeMap::new();
        for record in records {
            let symbol = (record.id.chain().clone(), record.symbol.clone());
            if symbols.insert(symbol.clone(), ()).is_some() {
                return Err(RegistryError::AmbiguousSymbol {
                    symbol: symbol.1,
                    chain: symbol.0,
                });
            }
            if let Some(twice) = by_id.insert(record.id.clone(), record) {
                return Err(RegistryError::DuplicateAsset(twice.id));
            }
        }
        Ok(Self {
            records: by_id.into_values().collect(),
        })
    }

    /// The record of an asset, if the bundle has it.
    pub fn asset(&self, id: &AssetId) -> Option<&AssetRecord> {
        if self.records.len() <= FEW {
            return self.records.iter().find(|record| record.id == *id);
        }
        let at = self.records.binary_search_by(|record| record.id.cmp(id)).ok();
        at.and_then(|at| self.records.get(at))
    }

    /// The asset that a person means by a symbol on a network.
    pub fn by_symbol(&self, chain: &ChainId, symbol: &AssetSymbol) -> Option<&AssetRecord> {
        self.records
            .iter()
            .find(|record| record.id.chain() == chain && record.symbol == *symbol)
    }

    /// Every asset that carries a symbol, on whatever network: what a policy means by the bare symbol.
    pub fn all_by_symbol<'a>(&'a self, symbol: &'a AssetSymbol) -> impl Iterator<Item = &'a AssetRecord> {
        self.records.iter().filter(move |record| record.symbol == *symbol)
    }

    /// An amount as people read it: `0.1 ETH`, or `100 base units of eip155:…` where the asset is not among these.
    pub fn shown(&self, asset: &AssetId, amount: Amount) -> String {
        self.asset(asset).map_or_else(
            || format!("{amount} base units of {asset}"),
            |record| format!("{} {}", amount.to_decimal(record.decimals), record.symbol),
        )
    }

    /// Every record, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &AssetRecord> {
        self.records.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_the_unit_that_people_read() {
        let record = AssetRecord {
            id: "eip155:1/erc20:0xa".parse().unwrap(),
            symbol: "USDC".parse().unwrap(),
            decimals: Decimals::new(6).unwrap(),
            quirks: BTreeSet::new(),
        };
        let other: AssetId = "eip155:1/erc20:0xb".parse().unwrap();
        let registry = AssetRegistry::new([record.clone()]).unwrap();
        assert_eq!(registry.shown(&record.id, Amount::from(1_500_000_u128)), "1.5 USDC");
        assert_eq!(
            registry.shown(&other, Amount::from(1_500_000_u128)),
            "1500000 base units of eip155:1/erc20:0xb"
        );
    }

    #[test]
    fn symbols_are_unambiguous_within_a_network() {
        let asset = |id: &str| AssetRecord {
            id: id.parse().unwrap(),
            symbol: "USDC".parse().unwrap(),
            decimals: Decimals::new(6).unwrap(),
            quirks: BTreeSet::new(),
        };
        assert!(AssetRegistry::new([asset("eip155:1/erc20:0xa"), asset("eip155:2/erc20:0xa")]).is_ok());
        let ambiguous = AssetRegistry::new([asset("eip155:1/erc20:0xa"), asset("eip155:1/erc20:0xb")]);
        assert!(matches!(ambiguous, Err(RegistryError::AmbiguousSymbol { .. })));
    }

    /// Few records and many.
    #[test]
    fn every_asset_is_found_and_no_other() {
        let id = |n: usize| format!("eip155:1/erc20:{n:02}").parse::<AssetId>().unwrap();
        let record = |n: usize| AssetRecord {
            id: id(n),
            symbol: format!("A{n}").parse().unwrap(),
            decimals: Decimals::new(18).unwrap(),
            quirks: BTreeSet::new(),
        };
        for count in [0, 1, FEW, FEW + 1, 3 * FEW] {
            let registry = AssetRegistry::new((0..count).rev().map(record)).unwrap();
            for n in 0..=count {
                assert_eq!(
                    registry.asset(&id(n)),
                    (n < count).then(|| record(n)).as_ref(),
                    "{n} of {count}"
                );
            }
            assert!(registry.iter().map(|record| &record.id).is_sorted());
        }
    }
}
