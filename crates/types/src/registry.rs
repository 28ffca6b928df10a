//! What a parser may know: the assets and the wallets of an activated bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AssetId, AssetSymbol, ChainId, Decimals, KeyId, PublicKey, WalletId};

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
    /// A wallet without a key or without a network.
    #[error("wallet `{0}` needs at least one key and one network")]
    EmptyWallet(WalletId),
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
}

/// All assets of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetRegistry {
    by_id: BTreeMap<AssetId, AssetRecord>,
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
        Ok(Self { by_id })
    }

    /// The record of an asset, if the bundle has it.
    pub fn asset(&self, id: &AssetId) -> Option<&AssetRecord> {
        self.by_id.get(id)
    }

    /// The asset that a person means by a symbol on a network.
    pub fn by_symbol(&self, chain: &ChainId, symbol: &AssetSymbol) -> Option<&AssetRecord> {
        self.by_id
            .values()
            .find(|record| record.id.chain() == chain && record.symbol == *symbol)
    }

    /// Every asset that carries a symbol, on whatever network: what a policy means by the bare symbol.
    pub fn all_by_symbol<'a>(&'a self, symbol: &'a AssetSymbol) -> impl Iterator<Item = &'a AssetRecord> {
        self.by_id.values().filter(move |record| record.symbol == *symbol)
    }

    /// Every record, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &AssetRecord> {
        self.by_id.values()
    }
}

/// How far a wallet is from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Pays customers.
    Hot,
    /// Refills hot wallets.
    Warm,
    /// Pays own wallets only.
    Cold,
}

/// A wallet of the bundle: it pins its public keys and its networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletRecord {
    /// The identity.
    pub id: WalletId,
    /// Its tier.
    pub tier: Tier,
    /// Its keys; never shared with another wallet.
    pub keys: Vec<PublicKey>,
    /// The networks it may sign for, each with the first account nonce that is ours to use (0 for a fresh account;
    /// families without account nonces ignore it).
    pub networks: BTreeMap<ChainId, u64>,
}

/// All wallets of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletRegistry {
    by_id: BTreeMap<WalletId, WalletRecord>,
    owners: BTreeMap<PublicKey, WalletId>,
}

impl WalletRegistry {
    /// Checks that ids are unique, that no key is shared, and that no wallet is empty.
    pub fn new(records: impl IntoIterator<Item = WalletRecord>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for record in records {
            if record.keys.is_empty() || record.networks.is_empty() {
                return Err(RegistryError::EmptyWallet(record.id));
            }
            for key in &record.keys {
                if let Some(first) = registry.owners.insert(*key, record.id.clone()) {
                    return Err(RegistryError::SharedKey {
                        key: key.id(),
                        first,
                        second: record.id,
                    });
                }
            }
            if let Some(twice) = registry.by_id.insert(record.id.clone(), record) {
                return Err(RegistryError::DuplicateWallet(twice.id));
            }
        }
        Ok(registry)
    }

    /// The record of a wallet, if the bundle has it.
    pub fn wallet(&self, id: &WalletId) -> Option<&WalletRecord> {
        self.by_id.get(id)
    }

    /// The wallet that a key belongs to.
    pub fn owner(&self, key: &PublicKey) -> Option<&WalletId> {
        self.owners.get(key)
    }

    /// Every record, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &WalletRecord> {
        self.by_id.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(id: &str, key: u8) -> WalletRecord {
        WalletRecord {
            id: id.parse().unwrap(),
            tier: Tier::Hot,
            keys: vec![PublicKey::Ed25519([key; 32])],
            networks: BTreeMap::from([("eip155:1".parse().unwrap(), 0)]),
        }
    }

    #[test]
    fn a_key_belongs_to_one_wallet() {
        assert!(WalletRegistry::new([wallet("a", 1), wallet("b", 2)]).is_ok());
        let shared = WalletRegistry::new([wallet("a", 1), wallet("b", 1)]);
        assert!(matches!(shared, Err(RegistryError::SharedKey { .. })));
        let twice = WalletRegistry::new([wallet("a", 1), wallet("a", 2)]);
        assert_eq!(twice, Err(RegistryError::DuplicateWallet("a".parse().unwrap())));
    }

    #[test]
    fn a_wallet_without_keys_is_refused() {
        let empty = WalletRecord {
            keys: vec![],
            ..wallet("a", 1)
        };
        assert_eq!(
            WalletRegistry::new([empty]),
            Err(RegistryError::EmptyWallet("a".parse().unwrap()))
        );
    }

    #[test]
    fn symbols_are_unambiguous_within_a_network() {
        let asset = |id: &str| AssetRecord {
            id: id.parse().unwrap(),
            symbol: "USDC".parse().unwrap(),
            decimals: Decimals::new(6).unwrap(),
        };
        assert!(AssetRegistry::new([asset("eip155:1/erc20:0xa"), asset("eip155:2/erc20:0xa")]).is_ok());
        let ambiguous = AssetRegistry::new([asset("eip155:1/erc20:0xa"), asset("eip155:1/erc20:0xb")]);
        assert!(matches!(ambiguous, Err(RegistryError::AmbiguousSymbol { .. })));
    }
}
