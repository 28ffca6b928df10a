//! Networks, wallets and assets of one bundle, checked together.

use std::collections::{BTreeMap, BTreeSet};

use countersign_evm as evm;
use countersign_solana as solana;
use countersign_types::{
    AssetId, AssetRecord, AssetRegistry, ChainId, Destination, KeyId, ParsedTransaction, RawSignature,
    RegistryError as RecordError, Scheme, SignedTransaction, Tag, WalletId, WalletRecord, WalletRegistry,
};

use crate::{DestinationError, Network};

/// Why keys do not fit a wallet's networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The keys do not fit an EVM network.
    #[error(transparent)]
    Evm(#[from] evm::AccountError),
    /// The keys do not fit a Solana network.
    #[error(transparent)]
    Solana(#[from] solana::AccountError),
    /// What is signed for the network commits to no chain: a second network of the key could land it too.
    #[error("signatures on network `{0}` are valid on other networks too, so it must be the wallet's only one")]
    NotTheOnlyNetwork(ChainId),
}

/// Why an address in a record is refused: an own one, or the one that names an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// By the EVM family.
    #[error(transparent)]
    Evm(#[from] evm::AddressError),
    /// By the Solana family.
    #[error(transparent)]
    Solana(#[from] solana::AddressError),
    /// The asset is not spelt as parses of Solana messages spell it.
    #[error(transparent)]
    SolanaAsset(#[from] solana::AssetError),
}

/// Why records do not make a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Chain ids are unique: a signature must not be valid on a second network.
    #[error("network `{0}` is listed twice")]
    DuplicateNetwork(ChainId),
    /// A wallet on a network that is not listed.
    #[error("wallet `{wallet}` is on network `{network}`, which is not listed")]
    UnknownWalletNetwork {
        /// The wallet.
        wallet: WalletId,
        /// The network.
        network: ChainId,
    },
    /// An asset of a network that is not listed.
    #[error("asset `{0}` is on a network that is not listed")]
    UnknownAssetNetwork(AssetId),
    /// The registered native asset contradicts the network's record.
    #[error("asset `{asset}` is the native asset of its network and must be `{symbol}` with {decimals} decimals")]
    NativeAssetDiffers {
        /// The asset.
        asset: AssetId,
        /// The symbol in the network's record.
        symbol: String,
        /// The decimals of the network's family.
        decimals: u8,
    },
    /// The keys do not fit the networks.
    #[error("wallet `{wallet}`: {error}")]
    Account {
        /// The wallet.
        wallet: WalletId,
        /// Why.
        error: AccountError,
    },
    /// The asset is not spelt as parses spell it.
    #[error(transparent)]
    Asset(#[from] evm::AssetError),
    /// An own address cannot be written, or one that names an asset is refused.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The records contradict each other.
    #[error(transparent)]
    Records(#[from] RecordError),
}

impl RegistryError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::DuplicateNetwork(_)
            | Self::UnknownWalletNetwork { .. }
            | Self::UnknownAssetNetwork(_)
            | Self::NativeAssetDiffers { .. }
            | Self::Account { .. }
            | Self::Asset(_)
            | Self::Address(_)
            | Self::Records(_) => Tag::BundleMalformed,
        }
    }
}

/// Why bytes are not a transaction of a wallet on a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bundle has no such network.
    #[error("unknown network `{0}`")]
    UnknownNetwork(ChainId),
    /// The bundle has no such wallet.
    #[error("unknown wallet `{0}`")]
    UnknownWallet(WalletId),
    /// The wallet does not sign for the network.
    #[error("wallet `{wallet}` is not on network `{network}`")]
    WalletNotOnNetwork {
        /// The wallet.
        wallet: WalletId,
        /// The network.
        network: ChainId,
    },
    /// The EVM family refuses the bytes.
    #[error(transparent)]
    Evm(#[from] evm::ParseError),
    /// The Solana family refuses the bytes.
    #[error(transparent)]
    Solana(#[from] solana::ParseError),
}

impl ParseError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::UnknownNetwork(_) | Self::WalletNotOnNetwork { .. } => Tag::RequestUnknownNetwork,
            Self::UnknownWallet(_) => Tag::RequestUnknownWallet,
            Self::Evm(error) => error.tag(),
            Self::Solana(error) => error.tag(),
        }
    }
}

/// Why signatures do not make a signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// Network, wallet or their combination is unknown.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The EVM family refuses bytes or signatures.
    #[error(transparent)]
    Evm(#[from] evm::AssembleError),
    /// The Solana family refuses bytes or signatures.
    #[error(transparent)]
    Solana(#[from] solana::AssembleError),
}

impl AssembleError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Parse(error) => error.tag(),
            Self::Evm(error) => error.tag(),
            Self::Solana(error) => error.tag(),
        }
    }
}

/// What an activated bundle says about networks, wallets and assets.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    networks: BTreeMap<ChainId, Network>,
    wallets: WalletRegistry,
    assets: AssetRegistry,
    /// The accounts of the wallets that are on an EVM network.
    accounts: BTreeMap<WalletId, evm::Account>,
    /// The accounts of the wallets that are on a Solana network.
    solana_accounts: BTreeMap<WalletId, solana::Account>,
    own: BTreeMap<Destination, WalletId>,
}

/// A network, and a wallet of its family on it.
enum Site<'a> {
    Evm(evm::Sender<'a>),
    Solana(solana::Sender<'a>),
}

impl Registry {
    /// Checks the records together, adds native assets that are not listed, and derives the own addresses.
    pub fn new(networks: Vec<Network>, wallets: WalletRegistry, assets: AssetRegistry) -> Result<Self, RegistryError> {
        let networks = unique(networks)?;
        let mut registry = Self {
            assets: with_native_assets(&networks, &assets)?,
            networks,
            ..Self::default()
        };
        for wallet in wallets.iter() {
            registry.add_accounts(wallet)?;
        }
        registry.wallets = wallets;
        Ok(registry)
    }

    fn add_accounts(&mut self, wallet: &WalletRecord) -> Result<(), RegistryError> {
        for chain in wallet.networks.keys() {
            let network = self.networks.get(chain);
            let network = network.ok_or_else(|| RegistryError::UnknownWalletNetwork {
                wallet: wallet.id.clone(),
                network: chain.clone(),
            })?;
            let refused = |error| RegistryError::Account {
                wallet: wallet.id.clone(),
                error,
            };
            if !network.commits_to_chain() && wallet.networks.len() > 1 {
                return Err(refused(AccountError::NotTheOnlyNetwork(chain.clone())));
            }
            let destination = match network {
                Network::Evm(_) => {
                    let account = evm::Account::derive(&wallet.keys).map_err(|error| refused(error.into()))?;
                    let destination = account.destination(chain).map_err(AddressError::Evm)?;
                    self.accounts.insert(wallet.id.clone(), account);
                    destination
                }
                Network::Solana(_) => {
                    let account = solana::Account::derive(&wallet.keys).map_err(|error| refused(error.into()))?;
                    let destination = account.destination(chain).map_err(AddressError::Solana)?;
                    self.solana_accounts.insert(wallet.id.clone(), account);
                    destination
                }
            };
            self.own.insert(destination, wallet.id.clone());
        }
        Ok(())
    }

    /// The network, if the bundle has it.
    pub fn network(&self, chain: &ChainId) -> Option<&Network> {
        self.networks.get(chain)
    }

    /// Every network, in order of chain id.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    /// The wallets.
    pub fn wallets(&self) -> &WalletRegistry {
        &self.wallets
    }

    /// The assets, native ones included.
    pub fn assets(&self) -> &AssetRegistry {
        &self.assets
    }

    /// Parses unsigned bytes as a transaction of `wallet` on `network`.
    pub fn parse(
        &self,
        network: &ChainId,
        wallet: &WalletId,
        unsigned: &[u8],
    ) -> Result<ParsedTransaction, ParseError> {
        match self.site(network, wallet)? {
            Site::Evm(sender) => {
                let known = evm::Known {
                    assets: &self.assets,
                    own: &self.own,
                };
                Ok(evm::parse(unsigned, &sender, &known)?)
            }
            Site::Solana(sender) => {
                // No observations of nonce accounts reach a bundle: no message excludes another, and attempts are sequential.
                let known = solana::Known {
                    assets: &self.assets,
                    own: &self.own,
                    nonces: &BTreeSet::new(),
                };
                Ok(solana::parse(unsigned, &sender, &known)?)
            }
        }
    }

    /// Verifies the signatures of the payloads that [`Self::parse`] returned, in their order, and encodes the signed
    /// transaction.
    pub fn assemble(
        &self,
        network: &ChainId,
        wallet: &WalletId,
        unsigned: &[u8],
        signatures: &[RawSignature],
    ) -> Result<SignedTransaction, AssembleError> {
        match self.site(network, wallet)? {
            Site::Evm(sender) => Ok(evm::assemble(unsigned, &sender, signatures)?),
            Site::Solana(sender) => Ok(solana::assemble(unsigned, &sender, signatures)?),
        }
    }

    /// Parses an address of a network in its family's canonical form.
    pub fn parse_destination(&self, network: &ChainId, address: &str) -> Result<Destination, DestinationError> {
        self.network(network)
            .ok_or_else(|| DestinationError::UnknownNetwork(network.clone()))?
            .parse_destination(address)
    }

    /// The own wallet behind a destination, by public key.
    pub fn own_wallet(&self, destination: &Destination) -> Option<&WalletId> {
        self.own.get(destination)
    }

    /// The asset in which a network takes its fees.
    pub fn fee_asset(&self, network: &ChainId) -> Option<AssetId> {
        Some(self.network(network)?.native().id.clone())
    }

    /// The address from which a wallet sends on a network.
    pub fn wallet_destination(&self, network: &ChainId, wallet: &WalletId) -> Option<Destination> {
        match self.site(network, wallet).ok()? {
            Site::Evm(sender) => sender.account.destination(network).ok(),
            Site::Solana(sender) => sender.account.destination(network).ok(),
        }
    }

    /// The schemes that a backend must offer for each key, so that what a token lacks shows when the bundle loads.
    pub fn required_schemes(&self) -> BTreeSet<(KeyId, Scheme)> {
        let evm = self.accounts.values().map(|account| (account.key(), Scheme::Ecdsa));
        let solana = self.solana_accounts.values();
        evm.chain(solana.map(|account| (account.key(), Scheme::Ed25519)))
            .collect()
    }

    fn site<'a>(&'a self, network: &ChainId, wallet: &'a WalletId) -> Result<Site<'a>, ParseError> {
        let found = self.network(network);
        let found = found.ok_or_else(|| ParseError::UnknownNetwork(network.clone()))?;
        let record = self.wallets.wallet(wallet);
        let record = record.ok_or_else(|| ParseError::UnknownWallet(wallet.clone()))?;
        let stranger = || ParseError::WalletNotOnNetwork {
            wallet: wallet.clone(),
            network: network.clone(),
        };
        if !record.networks.contains_key(network) {
            return Err(stranger());
        }
        Ok(match found {
            Network::Evm(network) => Site::Evm(evm::Sender {
                network,
                wallet,
                account: self.accounts.get(wallet).ok_or_else(stranger)?,
            }),
            Network::Solana(network) => Site::Solana(solana::Sender {
                network,
                wallet,
                account: self.solana_accounts.get(wallet).ok_or_else(stranger)?,
            }),
        })
    }
}

fn unique(networks: Vec<Network>) -> Result<BTreeMap<ChainId, Network>, RegistryError> {
    let mut by_chain = BTreeMap::new();
    for network in networks {
        if let Some(twice) = by_chain.insert(network.chain().clone(), network) {
            return Err(RegistryError::DuplicateNetwork(twice.chain().clone()));
        }
    }
    Ok(by_chain)
}

fn with_native_assets(
    networks: &BTreeMap<ChainId, Network>,
    assets: &AssetRegistry,
) -> Result<AssetRegistry, RegistryError> {
    for asset in assets.iter() {
        let network = networks.get(asset.id.chain());
        let network = network.ok_or_else(|| RegistryError::UnknownAssetNetwork(asset.id.clone()))?;
        network.certify_asset(&asset.id)?;
        certify_native(network.native(), asset)?;
    }
    let unlisted = networks
        .values()
        .map(Network::native)
        .filter(|native| assets.asset(&native.id).is_none());
    Ok(AssetRegistry::new(assets.iter().chain(unlisted).cloned())?)
}

/// Decimals are what turns base units into the number a person approves: two opinions on them are an error.
fn certify_native(native: &AssetRecord, asset: &AssetRecord) -> Result<(), RegistryError> {
    if asset.id != native.id || asset == native {
        return Ok(());
    }
    Err(RegistryError::NativeAssetDiffers {
        asset: native.id.clone(),
        symbol: native.symbol.to_string(),
        decimals: native.decimals.into(),
    })
}
