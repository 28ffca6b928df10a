//! Why records make no registry, bytes no transaction, and signatures no signed transaction.

use countersign_bitcoin as bitcoin;
use countersign_evm as evm;
use countersign_solana as solana;
use countersign_types::{AssetId, ChainId, RegistryError as RecordError, Tag, WalletId};

/// Why a wallet's keys do not fit one of its networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The EVM family refuses them.
    #[error(transparent)]
    Evm(#[from] evm::AccountError),
    /// The Bitcoin family refuses them.
    #[error(transparent)]
    Bitcoin(#[from] bitcoin::AccountError),
    /// The Solana family refuses them.
    #[error(transparent)]
    Solana(#[from] solana::AccountError),
    /// With one key on two networks, a signature for one that commits to no chain would be valid on the other.
    #[error("signatures on network `{0}` do not commit to it, so its keys may be on no other network")]
    NotTheOnlyNetwork(ChainId),
    /// Key tables and forms of outputs are a Bitcoin network's.
    #[error("network `{0}` has no output scripts: `key-table` and `forms` are for Bitcoin networks")]
    NoScripts(ChainId),
    /// Two wallets with one address: whose money it holds would be left open.
    #[error("wallet `{0}` has an address of this wallet's keys")]
    SharedAddress(WalletId),
}

impl AccountError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Evm(
                evm::AccountError::NotOneKey(_) | evm::AccountError::WrongCurve(_) | evm::AccountError::NotAPoint(_),
            )
            | Self::Solana(
                solana::AccountError::NotOneKey(_)
                | solana::AccountError::WrongCurve(_)
                | solana::AccountError::NotAPoint(_),
            )
            | Self::Bitcoin(
                bitcoin::AccountError::WrongCurve(_)
                | bitcoin::AccountError::NotAPoint(_)
                | bitcoin::AccountError::FormNotOnNetwork(_),
            ) => Tag::BundleBadValue,
            Self::Bitcoin(bitcoin::AccountError::NoKey | bitcoin::AccountError::NoForm) => Tag::BundleMissingValue,
            Self::Bitcoin(bitcoin::AccountError::DuplicateKey(_)) => Tag::BundleListedTwice,
            Self::NotTheOnlyNetwork(_) | Self::NoScripts(_) | Self::SharedAddress(_) => Tag::BundleInconsistent,
        }
    }
}

/// Why an own address cannot be written, or an asset of a family other than EVM is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The EVM family refuses the address.
    #[error(transparent)]
    Evm(#[from] evm::AddressError),
    /// The Bitcoin family refuses the address.
    #[error(transparent)]
    Bitcoin(#[from] bitcoin::AddressError),
    /// The Solana family refuses the address.
    #[error(transparent)]
    Solana(#[from] solana::AddressError),
    /// The Bitcoin family knows no such asset.
    #[error(transparent)]
    BitcoinAsset(bitcoin::AssetError),
    /// The Solana family refuses the asset, or the address of its mint.
    #[error(transparent)]
    SolanaAsset(solana::AssetError),
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
            Self::DuplicateNetwork(_) => Tag::BundleListedTwice,
            Self::UnknownWalletNetwork { .. } | Self::UnknownAssetNetwork(_) => Tag::BundleUnknownName,
            Self::NativeAssetDiffers { .. } => Tag::BundleInconsistent,
            Self::Account { error, .. } => error.tag(),
            Self::Asset(evm::AssetError::UnknownKind(_))
            | Self::Address(
                AddressError::BitcoinAsset(_) | AddressError::SolanaAsset(solana::AssetError::UnknownKind(_)),
            ) => Tag::BundleBadValue,
            Self::Asset(evm::AssetError::BadContract { .. })
            | Self::Address(
                AddressError::Evm(_)
                | AddressError::Bitcoin(_)
                | AddressError::Solana(_)
                | AddressError::SolanaAsset(solana::AssetError::BadMint { .. }),
            ) => Tag::BundleBadAddress,
            Self::Records(error) => error.tag(),
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
    /// The Bitcoin family refuses the bytes.
    #[error(transparent)]
    Bitcoin(#[from] bitcoin::ParseError),
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
            Self::Bitcoin(error) => error.tag(),
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
    /// The Bitcoin family refuses bytes or signatures.
    #[error(transparent)]
    Bitcoin(#[from] bitcoin::AssembleError),
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
            Self::Bitcoin(error) => error.tag(),
            Self::Solana(error) => error.tag(),
        }
    }
}
