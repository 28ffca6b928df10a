//! What a transaction does: every effect, in the transaction's order, the fee last.

use std::collections::BTreeMap;

use alloy_primitives::{Address, TxKind};
use countersign_types::{Amount, AssetId, AssetRegistry, CodeChangeKind, Destination, Effect, OpaqueKind, WalletId};

use crate::{
    AddressError, Contracts, EvmNetwork, ParseError, Sender,
    address::{certify_spendable, destination, parse_address},
    authorization::Delegation,
    calls::{Message, Scene},
    transaction::Unsigned,
};

/// CAIP-19's namespace of ERC-20 tokens; the reference is the contract's EIP-55 address.
pub const ERC20: &str = "erc20";

/// CAIP-19's namespace of ERC-721 collections; the reference is the contract's EIP-55 address.
pub const ERC721: &str = "erc721";
/// CAIP-19's namespace of ERC-1155 collections; the reference is the contract's EIP-55 address.
pub const ERC1155: &str = "erc1155";

/// ERC-20 `transfer(address,uint256)`.
pub(crate) const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// What a parser may know of the bundle beside the sender.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The assets. A contract that is not listed is just a contract, whatever it calls itself.
    pub assets: &'a AssetRegistry,
    /// The same assets by the address of their contract.
    pub contracts: &'a Contracts,
    /// The addresses of all own wallets, derived from their public keys.
    pub own: &'a BTreeMap<Destination, WalletId>,
}

/// Why a registered asset is none of an EVM network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// Neither the native asset nor a token.
    #[error("`{0}` is neither its network's native asset nor a token (`erc20`, `erc721`, `erc1155`)")]
    UnknownKind(AssetId),
    /// The reference of a token is no acceptable address.
    #[error("the contract of `{asset}` is refused: {error}")]
    BadContract {
        /// The asset.
        asset: AssetId,
        /// Why.
        error: AddressError,
    },
}

/// Accepts the network's native asset, ERC-20 tokens and ERC-721 and ERC-1155 collections under their EIP-55 address: one that is registered under
/// another spelling would never match what is parsed.
pub fn certify_asset(network: &EvmNetwork, asset: &AssetId) -> Result<(), AssetError> {
    if *asset == network.native().id {
        return Ok(());
    }
    if ![ERC20, ERC721, ERC1155].contains(&asset.namespace()) || asset.chain() != network.chain() {
        return Err(AssetError::UnknownKind(asset.clone()));
    }
    parse_address(asset.reference())
        .and_then(certify_spendable)
        .map_err(|error| AssetError::BadContract {
            asset: asset.clone(),
            error,
        })
}

pub(crate) fn derive_effects(
    tx: &Unsigned,
    delegations: &[Delegation],
    sender: &Sender<'_>,
    known: &Known<'_>,
) -> Result<Vec<Effect>, ParseError> {
    let mut scene = Scene::new(sender.network, known);
    // Delegations are in force before the call runs.
    for delegation in delegations {
        scene.push(delegation.effect(sender)?);
    }
    let actor = sender.account.address();
    match tx.to() {
        TxKind::Call(to) => scene.message(&Message {
            actor,
            to,
            value: tx.value(),
            input: tx.input(),
            depth: 0,
        })?,
        TxKind::Create => scene.creation(actor.create(tx.nonce()), tx)?,
    }
    scene.blobs(tx)?;
    scene.push(fee(tx, sender.network)?);
    Ok(scene.into_effects())
}

/// The most that the network may take: gas times its highest price, and blob gas times its own (EIP-4844).
fn fee(tx: &Unsigned, network: &EvmNetwork) -> Result<Effect, ParseError> {
    let cost = |gas: u64, price: u128| Amount::from(gas).checked_mul(Amount::from(price));
    let (blob_gas, blob_price) = tx.blob_gas();
    let max = cost(tx.gas_limit(), tx.max_gas_price())
        .zip(cost(blob_gas, blob_price))
        .and_then(|(execution, blobs)| execution.checked_add(blobs))
        .ok_or(ParseError::FeeOverflow)?;
    Ok(Effect::Fee {
        asset: network.native().id.clone(),
        max,
    })
}

impl Scene<'_> {
    /// The new contract's address follows from sender and nonce, so even value sent along has a destination.
    fn creation(&mut self, created: Address, tx: &Unsigned) -> Result<(), ParseError> {
        self.push(Effect::CodeChange {
            subject: None,
            change: CodeChangeKind::Deploy,
            code: tx.input().to_vec(),
        });
        if tx.value().is_zero() {
            return Ok(());
        }
        self.native_transfer(created, tx.value())
    }

    /// What is in the blobs does not stand in the bytes: whoever relies on them is told their hash and nothing else.
    fn blobs(&mut self, tx: &Unsigned) -> Result<(), ParseError> {
        let target = match tx.to() {
            TxKind::Call(to) => Some(destination(self.chain(), to)?),
            TxKind::Create => None,
        };
        for hash in tx.blob_hashes() {
            self.push(Effect::Opaque {
                what: OpaqueKind::Blob,
                target: target.clone(),
                bytes: hash.to_vec(),
            });
        }
        Ok(())
    }
}
