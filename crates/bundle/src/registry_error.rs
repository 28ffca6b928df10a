//! Which entry a contradiction between networks, wallets and assets is about.

use countersign_chains::{RegistryError, evm::AssetError};
use countersign_types::{AssetId, RegistryError as RecordError, WalletId};

use crate::{
    LoadError, Problem,
    assets::AssetsFile,
    wallets::{WalletsFile, place_of},
    yaml::Doc,
};

impl From<&RegistryError> for Problem {
    fn from(error: &RegistryError) -> Self {
        Self::Registry(error.tag(), error.to_string())
    }
}

impl From<&RecordError> for Problem {
    fn from(error: &RecordError) -> Self {
        Self::Registry(error.tag(), error.to_string())
    }
}

/// The error at the wallet or the asset that it names.
pub(crate) fn locate(error: &RegistryError, wallets: &Doc<'_, WalletsFile>, assets: &Doc<'_, AssetsFile>) -> LoadError {
    let problem = Problem::from(error);
    match (wallet(error), asset(error)) {
        (Some(id), _) => wallets.value(&place_of(wallets, Some(id)), problem),
        (None, Some(id)) => {
            let n = assets.raw.assets.iter().rposition(|raw| raw.id == id.to_string());
            assets.value(
                &n.map_or_else(|| "assets".to_owned(), |n| format!("assets[{n}].id")),
                problem,
            )
        }
        // Two assets of one symbol, one of them the native asset of its network.
        (None, None) => assets.key("assets", problem),
    }
}

fn wallet(error: &RegistryError) -> Option<&WalletId> {
    match error {
        RegistryError::UnknownWalletNetwork { wallet, .. } | RegistryError::Account { wallet, .. } => Some(wallet),
        RegistryError::Records(error) => records_wallet(error),
        RegistryError::DuplicateNetwork(_)
        | RegistryError::UnknownAssetNetwork(_)
        | RegistryError::NativeAssetDiffers { .. }
        | RegistryError::Asset(_)
        | RegistryError::Address(_) => None,
    }
}

fn asset(error: &RegistryError) -> Option<&AssetId> {
    match error {
        RegistryError::UnknownAssetNetwork(asset) | RegistryError::NativeAssetDiffers { asset, .. } => Some(asset),
        RegistryError::Asset(AssetError::UnknownKind(asset) | AssetError::BadContract { asset, .. }) => Some(asset),
        RegistryError::DuplicateNetwork(_)
        | RegistryError::UnknownWalletNetwork { .. }
        | RegistryError::Account { .. }
        | RegistryError::Address(_)
        | RegistryError::Records(_) => None,
    }
}

fn records_wallet(error: &RecordError) -> Option<&WalletId> {
    match error {
        RecordError::DuplicateWallet(wallet) | RecordError::EmptyWallet(wallet) => Some(wallet),
        RecordError::SharedKey { second, .. } => Some(second),
        RecordError::RepeatedKey { wallet, .. } => Some(wallet),
        RecordError::DuplicateAsset(_) | RecordError::AmbiguousSymbol { .. } => None,
    }
}
