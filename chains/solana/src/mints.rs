//! The mints that the registry names, by address.

use std::collections::BTreeMap;

use countersign_types::{AssetId, AssetRegistry, ChainId, Decimals};

use crate::{Address, TOKEN};

/// The assets of a registry by their mint, so that a parser looks one up without writing the address as text first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mints {
    by_chain: BTreeMap<ChainId, BTreeMap<Address, (AssetId, Decimals)>>,
}

impl Mints {
    /// Takes the tokens of every Solana network. A reference in another spelling than base58's one is no address.
    pub fn new(assets: &AssetRegistry) -> Self {
        let mut mints = Self::default();
        for record in assets.iter().filter(|record| record.id.namespace() == TOKEN) {
            if let Ok(mint) = record.id.reference().parse::<Address>() {
                let on_chain = mints.by_chain.entry(record.id.chain().clone()).or_default();
                on_chain.insert(mint, (record.id.clone(), record.decimals));
            }
        }
        mints
    }

    /// The asset of a mint and its decimals, if the registry names it.
    pub(crate) fn registered(&self, chain: &ChainId, mint: Address) -> Option<(&AssetId, Decimals)> {
        let (asset, decimals) = self.by_chain.get(chain)?.get(&mint)?;
        Some((asset, *decimals))
    }
}
