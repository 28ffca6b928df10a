//! The contracts that the registry names, by address.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use countersign_types::{AssetId, AssetRegistry, ChainId};

use crate::{ERC20, ERC721, ERC1155, address::parse_address};

/// The kinds of contracts whose functions are taken at their word, because the registry names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    Erc20,
    Erc721,
    Erc1155,
}

impl Standard {
    fn of(namespace: &str) -> Option<Self> {
        match namespace {
            ERC20 => Some(Self::Erc20),
            ERC721 => Some(Self::Erc721),
            ERC1155 => Some(Self::Erc1155),
            _ => None,
        }
    }
}

/// The assets of a registry by their contract's address, so that a parser looks one up without writing the address as text
/// first: its checksum is a Keccak-256.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contracts {
    /// `None` for a contract that is registered under two standards: two opinions on what its functions mean are none.
    by_chain: BTreeMap<ChainId, BTreeMap<Address, Option<(Standard, AssetId)>>>,
}

impl Contracts {
    /// Takes the tokens of every EVM network. A reference in another spelling than EIP-55's is no address.
    pub fn new(assets: &AssetRegistry) -> Self {
        let mut contracts = Self::default();
        for record in assets.iter() {
            let id = &record.id;
            let (Some(standard), Ok(address)) = (Standard::of(id.namespace()), parse_address(id.reference())) else {
                continue;
            };
            let on_chain = contracts.by_chain.entry(id.chain().clone()).or_default();
            let named = on_chain.entry(address);
            named
                .and_modify(|known| *known = None)
                .or_insert_with(|| Some((standard, id.clone())));
        }
        contracts
    }

    /// The asset that a contract is, if the registry names it under exactly one standard.
    pub(crate) fn registered(&self, chain: &ChainId, contract: Address) -> Option<(Standard, &AssetId)> {
        let (standard, asset) = self.by_chain.get(chain)?.get(&contract)?.as_ref()?;
        Some((*standard, asset))
    }
}
