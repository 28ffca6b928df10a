//! The parsers as the signer calls them: through a registry with one wallet, and keys to sign with.

use std::collections::BTreeMap;

use countersign_chains::{AssembleError, Network, ParseError, Registry};
use countersign_types::{
    AssetRecord, AssetRegistry, ChainFacts, ChainId, ParsedTransaction, PublicKey, RawSignature, ScriptForm,
    SignedTransaction, Tier, WalletId, WalletNetwork, WalletRecord, WalletRegistry,
};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

/// A network, a wallet of ours on it, and other wallets of ours.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) chain: ChainId,
    pub(crate) wallet: WalletId,
    pub(crate) facts: ChainFacts,
}

impl World {
    /// `network` is the record of a bundle's file in JSON; the first wallet is the one that signs.
    pub(crate) fn new(network: &str, wallets: &[&[PublicKey]], assets: Vec<AssetRecord>) -> Self {
        let network: Network = serde_json::from_str(network).unwrap_or_else(|error| panic!("{error}: {network}"));
        let chain = network.chain().clone();
        // Bitcoin wallets use every form, taproot too.
        let forms = matches!(network, Network::Bitcoin(_)).then(|| ScriptForm::ALL.into());
        let site = WalletNetwork {
            forms,
            ..WalletNetwork::default()
        };
        let name = |index: usize| format!("wallet-{index}").parse::<WalletId>().unwrap();
        let records = wallets.iter().enumerate().map(|(index, keys)| WalletRecord {
            id: name(index),
            tier: Tier::Hot,
            keys: keys.to_vec(),
            table: None,
            networks: BTreeMap::from([(chain.clone(), site.clone())]),
        });
        let wallets = WalletRegistry::new(records).unwrap();
        let registry = Registry::new(vec![network], wallets, AssetRegistry::new(assets).unwrap());
        Self {
            registry: registry.unwrap(),
            chain,
            wallet: name(0),
            facts: ChainFacts::default(),
        }
    }

    pub(crate) fn parse(&self, unsigned: &[u8]) -> Result<ParsedTransaction, ParseError> {
        self.registry.parse(&self.chain, &self.wallet, unsigned, &self.facts)
    }

    pub(crate) fn assemble(
        &self,
        unsigned: &[u8],
        signatures: &[RawSignature],
    ) -> Result<SignedTransaction, AssembleError> {
        self.registry.assemble(&self.chain, &self.wallet, unsigned, signatures)
    }

    /// The address that the wallet shows.
    pub(crate) fn address(&self) -> String {
        let destination = self.registry.wallet_destination(&self.chain, &self.wallet);
        destination.unwrap().address().to_owned()
    }
}

pub(crate) fn public_key(secret: &[u8; 32]) -> PublicKey {
    let key = SigningKey::from_slice(secret).unwrap();
    let point = key.verifying_key().to_sec1_point(true);
    PublicKey::Secp256k1(point.as_bytes().try_into().unwrap())
}

/// RFC 6979, not made low-S: that is the parser's part.
pub(crate) fn sign_ecdsa(secret: &[u8; 32], digest: &[u8]) -> RawSignature {
    let key = SigningKey::from_slice(secret).unwrap();
    let signature: Signature = key.sign_prehash(digest).unwrap();
    RawSignature::Ecdsa(signature.to_bytes().into())
}
