//! Networks, wallets and assets of one bundle, checked together.

use std::collections::{BTreeMap, BTreeSet};

use countersign_bitcoin as bitcoin;
use countersign_evm as evm;
use countersign_solana as solana;
use countersign_types::{
    AssetId, AssetRecord, AssetRegistry, ChainFacts, ChainId, Destination, FactKey, KeyId, ParsedTransaction,
    RawSignature, Scheme, SignedTransaction, WalletId, WalletRecord, WalletRegistry,
};

use crate::{AccountError, AddressError, AssembleError, DestinationError, Network, ParseError, RegistryError};

/// What an activated bundle says about networks, wallets and assets.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    networks: BTreeMap<ChainId, Network>,
    wallets: WalletRegistry,
    assets: AssetRegistry,
    /// The assets of EVM networks by their contract.
    contracts: evm::Contracts,
    /// The assets of Solana networks by their mint.
    mints: solana::Mints,
    /// The accounts of the wallets that are on an EVM network.
    accounts: BTreeMap<WalletId, evm::Account>,
    /// The accounts of the wallets that are on a Bitcoin network.
    bitcoin_accounts: BTreeMap<WalletId, bitcoin::Account>,
    /// The accounts of the wallets that are on a Solana network.
    solana_accounts: BTreeMap<WalletId, solana::Account>,
    /// The addresses of the listed keys.
    own: BTreeMap<Destination, WalletId>,
    /// The wallets with a key table, whose addresses are too many to list.
    tables: BTreeMap<ChainId, Vec<WalletId>>,
}

/// A network, and a wallet of its family on it.
enum Site<'a> {
    Evm(evm::Sender<'a>),
    Bitcoin(bitcoin::Sender<'a>),
    Solana(solana::Sender<'a>),
}

impl Registry {
    /// Checks the records together, adds native assets that are not listed, and derives the own addresses.
    pub fn new(networks: Vec<Network>, wallets: WalletRegistry, assets: AssetRegistry) -> Result<Self, RegistryError> {
        let networks = unique(networks)?;
        let assets = with_native_assets(&networks, &assets)?;
        let mut registry = Self {
            contracts: evm::Contracts::new(&assets),
            mints: solana::Mints::new(&assets),
            assets,
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
        for (chain, site) in &wallet.networks {
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
            let holdings = bitcoin::Holdings {
                keys: &wallet.keys,
                table: wallet.table.as_ref(),
                forms: site.forms.as_ref(),
            };
            let has_tables = matches!(network, Network::Bitcoin(_));
            if !has_tables && (holdings.table.is_some() || holdings.forms.is_some()) {
                return Err(refused(AccountError::NoScripts(chain.clone())));
            }
            let destinations = match network {
                Network::Evm(_) => {
                    let account = evm::Account::derive(&wallet.keys).map_err(|error| refused(error.into()))?;
                    let destination = account.destination(chain).map_err(AddressError::from)?;
                    self.accounts.insert(wallet.id.clone(), account);
                    BTreeSet::from([destination])
                }
                Network::Bitcoin(network) => {
                    let account = bitcoin::Account::derive(&holdings, network);
                    let account = account.map_err(|error| refused(error.into()))?;
                    let destinations = account.destinations(network).map_err(AddressError::from)?;
                    if account.has_table() {
                        self.tables.entry(chain.clone()).or_default().push(wallet.id.clone());
                    }
                    self.bitcoin_accounts.insert(wallet.id.clone(), account);
                    destinations
                }
                Network::Solana(_) => {
                    let account = solana::Account::derive(&wallet.keys).map_err(|error| refused(error.into()))?;
                    let destination = account.destination(chain).map_err(AddressError::from)?;
                    self.solana_accounts.insert(wallet.id.clone(), account);
                    BTreeSet::from([destination])
                }
            };
            for destination in destinations {
                if let Some(other) = self.own.insert(destination, wallet.id.clone()) {
                    return Err(refused(AccountError::SharedAddress(other)));
                }
            }
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
        facts: &ChainFacts,
    ) -> Result<ParsedTransaction, ParseError> {
        match self.site(network, wallet)? {
            Site::Evm(sender) => {
                let known = evm::Known {
                    assets: &self.assets,
                    contracts: &self.contracts,
                    own: &self.own,
                };
                Ok(evm::parse(unsigned, &sender, &known)?)
            }
            Site::Bitcoin(sender) => {
                let tables: Vec<_> = self.tables_on(network).collect();
                let known = bitcoin::Known {
                    own: &self.own,
                    tables: &tables,
                };
                Ok(bitcoin::parse(unsigned, &sender, &known)?)
            }
            Site::Solana(sender) => {
                let known = solana::Known {
                    mints: &self.mints,
                    own: &self.own,
                    facts,
                };
                Ok(solana::parse(unsigned, &sender, &known)?)
            }
        }
    }

    /// The facts that [`Self::parse`] asks for with these bytes: what to collect attestations of before a decision.
    pub fn wanted_facts(
        &self,
        network: &ChainId,
        wallet: &WalletId,
        unsigned: &[u8],
    ) -> Result<Vec<FactKey>, ParseError> {
        match self.site(network, wallet)? {
            // All they do stands in the bytes; what a Bitcoin input is worth comes with its previous transaction.
            Site::Evm(_) | Site::Bitcoin(_) => Ok(Vec::new()),
            Site::Solana(sender) => Ok(solana::wanted_facts(unsigned, &sender)?),
        }
    }

    /// What ERC-7730 descriptors say of unsigned bytes; `None` where none is for them, and outside the EVM family. For
    /// people to read beside the effects, and for nothing else.
    pub fn display(
        &self,
        network: &ChainId,
        wallet: &WalletId,
        unsigned: &[u8],
        descriptors: &[evm::Descriptor],
    ) -> Result<Option<evm::Display>, ParseError> {
        match self.site(network, wallet)? {
            Site::Evm(sender) => {
                let known = evm::Known {
                    assets: &self.assets,
                    contracts: &self.contracts,
                    own: &self.own,
                };
                Ok(evm::display(unsigned, &sender, &known, descriptors)?)
            }
            Site::Bitcoin(_) | Site::Solana(_) => Ok(None),
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
            Site::Bitcoin(sender) => Ok(bitcoin::assemble(unsigned, &sender, signatures)?),
            Site::Solana(sender) => Ok(solana::assemble(unsigned, &sender, signatures)?),
        }
    }

    /// The id of signed bytes that are `unsigned` with signatures; refuses any others. So whoever is handed both by somebody else knows
    /// what [`Self::parse`] says of the unsigned ones of what is broadcast.
    pub fn identify(
        &self,
        network: &ChainId,
        wallet: &WalletId,
        unsigned: &[u8],
        signed: &[u8],
    ) -> Result<String, AssembleError> {
        match self.site(network, wallet)? {
            Site::Evm(sender) => Ok(evm::identify(unsigned, &sender, signed)?),
            Site::Bitcoin(sender) => Ok(bitcoin::identify(unsigned, &sender, signed)?),
            Site::Solana(sender) => Ok(solana::identify(unsigned, &sender, signed)?),
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
        self.own.get(destination).or_else(|| self.table_wallet(destination))
    }

    fn table_wallet(&self, destination: &Destination) -> Option<&WalletId> {
        let Network::Bitcoin(network) = self.network(destination.chain())? else {
            return None;
        };
        let mut tables = self.tables_on(destination.chain());
        let (wallet, _) = tables.find(|(_, account)| account.owns(network, destination))?;
        Some(wallet)
    }

    fn tables_on(&self, chain: &ChainId) -> impl Iterator<Item = (&WalletId, &bitcoin::Account)> {
        let wallets = self.tables.get(chain).into_iter().flatten();
        wallets.filter_map(|wallet| Some((wallet, self.bitcoin_accounts.get(wallet)?)))
    }

    /// Every address of an own wallet.
    pub fn own_destinations(&self) -> impl Iterator<Item = (&Destination, &WalletId)> {
        self.own.iter()
    }

    /// The asset in which a network takes its fees.
    pub fn fee_asset(&self, network: &ChainId) -> Option<AssetId> {
        Some(self.network(network)?.native().id.clone())
    }

    /// The address from which a wallet sends on a network; none for one of multisig outputs alone.
    pub fn wallet_destination(&self, network: &ChainId, wallet: &WalletId) -> Option<Destination> {
        match self.site(network, wallet).ok()? {
            Site::Evm(sender) => sender.account.destination(network).ok(),
            Site::Bitcoin(sender) => sender.account.destination(sender.network).ok().flatten(),
            Site::Solana(sender) => sender.account.destination(network).ok(),
        }
    }

    /// The schemes that a backend must offer for each listed key, so that what a token lacks shows when the bundle
    /// loads: Schnorr for the wallets that use taproot. Keys of tables are too many to be asked for.
    pub fn required_schemes(&self) -> BTreeSet<(KeyId, Scheme)> {
        let evm = self.accounts.values().map(|account| (account.key(), Scheme::Ecdsa));
        let solana = self.solana_accounts.values();
        let bitcoin = self.bitcoin_accounts.values();
        evm.chain(bitcoin.flat_map(bitcoin::Account::required_schemes))
            .chain(solana.map(|account| (account.key(), Scheme::Ed25519)))
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
            Network::Bitcoin(network) => Site::Bitcoin(bitcoin::Sender {
                network,
                wallet,
                account: self.bitcoin_accounts.get(wallet).ok_or_else(stranger)?,
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
