//! One variant for each family.

use countersign_bitcoin as bitcoin;
use countersign_evm as evm;
use countersign_solana as solana;
use countersign_types::{AssetId, AssetRecord, ChainId, Destination, Tag};
use serde::Deserialize;

use crate::{AddressError, RegistryError};

/// Why a text is no destination of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// The registry has no such network.
    #[error("unknown network `{0}`")]
    UnknownNetwork(ChainId),
    /// The EVM family refuses it.
    #[error(transparent)]
    Evm(#[from] evm::AddressError),
    /// The Bitcoin family refuses it.
    #[error(transparent)]
    Bitcoin(#[from] bitcoin::AddressError),
    /// The Solana family refuses it.
    #[error(transparent)]
    Solana(#[from] solana::AddressError),
}

impl DestinationError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::UnknownNetwork(_) => Tag::RequestUnknownNetwork,
            Self::Evm(error) => error.tag(),
            Self::Bitcoin(error) => error.tag(),
            Self::Solana(error) => error.tag(),
        }
    }
}

/// A network of one of the families, as a bundle's file writes it: the family's name over the family's record
/// (`evm: { chain: …, … }`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// `eip155`.
    Evm(evm::EvmNetwork),
    /// `bip122`.
    Bitcoin(bitcoin::BitcoinNetwork),
    /// `solana`.
    Solana(solana::SolanaNetwork),
}

impl Network {
    /// The CAIP-2 id.
    pub fn chain(&self) -> &ChainId {
        match self {
            Self::Evm(network) => network.chain(),
            Self::Bitcoin(network) => network.chain(),
            Self::Solana(network) => network.chain(),
        }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Evm(network) => network.name(),
            Self::Bitcoin(network) => network.name(),
            Self::Solana(network) => network.name(),
        }
    }

    /// The native asset, in which fees are paid.
    pub fn native(&self) -> &AssetRecord {
        match self {
            Self::Evm(network) => network.native(),
            Self::Bitcoin(network) => network.native(),
            Self::Solana(network) => network.native(),
        }
    }

    /// Whether a signature for this network is valid on no other, so that a key may belong to several (DESIGN.md §3).
    pub fn commits_to_chain(&self) -> bool {
        match self {
            // EIP-155: what does not carry its chain id is refused.
            Self::Evm(_) => true,
            Self::Bitcoin(_) => false,
            Self::Solana(network) => network.commits_to_chain(),
        }
    }

    /// Parses an address in the one canonical form of its family; refuses those nobody can spend from.
    pub fn parse_destination(&self, address: &str) -> Result<Destination, DestinationError> {
        Ok(match self {
            Self::Evm(network) => evm::parse_destination(network.chain(), address)?,
            Self::Bitcoin(network) => bitcoin::parse_destination(network, address)?,
            Self::Solana(network) => solana::parse_destination(network.chain(), address)?,
        })
    }

    /// Refuses an asset that no parse of this network would ever name.
    pub(crate) fn certify_asset(&self, asset: &AssetId) -> Result<(), RegistryError> {
        match self {
            Self::Evm(network) => Ok(evm::certify_asset(network, asset)?),
            Self::Bitcoin(network) => Ok(bitcoin::certify_asset(network, asset).map_err(AddressError::BitcoinAsset)?),
            Self::Solana(network) => Ok(solana::certify_asset(network, asset).map_err(AddressError::SolanaAsset)?),
        }
    }
}
