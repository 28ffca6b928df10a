//! What a transaction does: every effect, in the transaction's order, the fee last.

use std::collections::BTreeMap;

use alloy_primitives::{Address, TxKind, U256};
use countersign_types::{
    Amount, AssetId, AssetRegistry, ChainId, CodeChangeKind, Destination, Effect, OpaqueKind, Selector, WalletId,
};

use crate::{
    AddressError, EvmNetwork, ParseError, Sender,
    address::{certify_spendable, destination, parse_address},
    transaction::Unsigned,
};

/// CAIP-19's namespace of ERC-20 tokens; the reference is the contract's EIP-55 address.
pub const ERC20: &str = "erc20";

/// ERC-20 `transfer(address,uint256)`.
pub(crate) const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// What a parser may know of the bundle beside the sender.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The assets. A contract that is not listed is just a contract, whatever it calls itself.
    pub assets: &'a AssetRegistry,
    /// The addresses of all own wallets, derived from their public keys.
    pub own: &'a BTreeMap<Destination, WalletId>,
}

/// Why a registered asset is none of an EVM network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// Neither the native asset nor an ERC-20 token.
    #[error("`{0}` is neither its network's native asset nor an ERC-20 token (`erc20`)")]
    UnknownKind(AssetId),
    /// The reference of an ERC-20 token is no acceptable address.
    #[error("the contract of `{asset}` is refused: {error}")]
    BadContract {
        /// The asset.
        asset: AssetId,
        /// Why.
        error: AddressError,
    },
}

/// Accepts the network's native asset and ERC-20 tokens under their EIP-55 address: a token that is registered under
/// another spelling would never match what is parsed.
pub fn certify_asset(network: &EvmNetwork, asset: &AssetId) -> Result<(), AssetError> {
    if *asset == network.native().id {
        return Ok(());
    }
    if asset.namespace() != ERC20 || asset.chain() != network.chain() {
        return Err(AssetError::UnknownKind(asset.clone()));
    }
    parse_address(asset.reference())
        .and_then(certify_spendable)
        .map_err(|error| AssetError::BadContract {
            asset: asset.clone(),
            error,
        })
}

pub(crate) fn derive_effects(tx: &Unsigned, sender: &Sender<'_>, known: &Known<'_>) -> Result<Vec<Effect>, ParseError> {
    let scene = Scene {
        network: sender.network,
        chain: sender.network.chain(),
        known,
    };
    let mut effects = match tx.to() {
        TxKind::Call(to) => scene.call(to, tx)?,
        TxKind::Create => scene.creation(sender.account.address().create(tx.nonce()), tx)?,
    };
    effects.push(fee(tx, sender.network)?);
    Ok(effects)
}

/// The most that the network may take: gas limit times the highest price.
fn fee(tx: &Unsigned, network: &EvmNetwork) -> Result<Effect, ParseError> {
    let gas = Amount::from(tx.gas_limit());
    let max = gas
        .checked_mul(Amount::from(tx.max_gas_price()))
        .ok_or(ParseError::FeeOverflow)?;
    Ok(Effect::Fee {
        asset: network.native().id.clone(),
        max,
    })
}

struct Scene<'a> {
    network: &'a EvmNetwork,
    chain: &'a ChainId,
    known: &'a Known<'a>,
}

impl Scene<'_> {
    fn call(&self, to: Address, tx: &Unsigned) -> Result<Vec<Effect>, ParseError> {
        certify_spendable(to)?;
        let mut effects = Vec::with_capacity(3);
        // A call without data is a transfer even of nothing: a transaction is never without effect.
        if !tx.value().is_zero() || tx.input().is_empty() {
            effects.push(self.native_transfer(to, tx.value())?);
        }
        if !tx.input().is_empty() {
            effects.push(self.calldata(to, tx.input())?);
        }
        Ok(effects)
    }

    /// The new contract's address follows from sender and nonce, so even value sent along has a destination.
    fn creation(&self, created: Address, tx: &Unsigned) -> Result<Vec<Effect>, ParseError> {
        let mut effects = vec![Effect::CodeChange {
            subject: None,
            change: CodeChangeKind::Deploy,
            code: tx.input().to_vec(),
        }];
        if !tx.value().is_zero() {
            effects.push(self.native_transfer(created, tx.value())?);
        }
        Ok(effects)
    }

    fn calldata(&self, contract: Address, input: &[u8]) -> Result<Effect, ParseError> {
        let Some((selector, args)) = input.split_first_chunk::<4>() else {
            return self.opaque(contract, input);
        };
        if *selector != TRANSFER {
            return self.contract_call(contract, *selector, args);
        }
        match decode_transfer(args) {
            Some((to, amount)) => self.token_transfer(contract, args, to, amount),
            None => self.opaque(contract, input),
        }
    }

    fn token_transfer(
        &self,
        contract: Address,
        args: &[u8],
        to: Address,
        amount: Amount,
    ) -> Result<Effect, ParseError> {
        let asset = AssetId::new(self.chain, ERC20, &contract.to_checksum(None))?;
        if self.known.assets.asset(&asset).is_none() {
            return self.contract_call(contract, TRANSFER, args);
        }
        certify_spendable(to)?;
        if to == contract {
            return Err(ParseError::TokenToItself);
        }
        self.transfer(asset, amount, to)
    }

    fn native_transfer(&self, to: Address, value: U256) -> Result<Effect, ParseError> {
        let amount = Amount::from_be_bytes(value.to_be_bytes());
        self.transfer(self.network.native().id.clone(), amount, to)
    }

    fn transfer(&self, asset: AssetId, amount: Amount, to: Address) -> Result<Effect, ParseError> {
        let destination = destination(self.chain, to)?;
        Ok(match self.known.own.get(&destination) {
            Some(wallet) => Effect::Internal {
                asset,
                amount,
                wallet: wallet.clone(),
                destination,
                change: false,
            },
            None => Effect::Transfer {
                asset,
                amount,
                destination,
            },
        })
    }

    fn contract_call(&self, contract: Address, selector: [u8; 4], args: &[u8]) -> Result<Effect, ParseError> {
        Ok(Effect::ContractCall {
            contract: destination(self.chain, contract)?,
            selector: Selector(selector),
            args: args.to_vec(),
        })
    }

    fn opaque(&self, target: Address, bytes: &[u8]) -> Result<Effect, ParseError> {
        Ok(Effect::Opaque {
            what: OpaqueKind::Calldata,
            target: Some(destination(self.chain, target)?),
            bytes: bytes.to_vec(),
        })
    }
}

/// The arguments of `transfer(address,uint256)`: exactly two words, the address padded with zeros.
fn decode_transfer(args: &[u8]) -> Option<(Address, Amount)> {
    let (padding, rest) = args.split_first_chunk::<12>()?;
    let (address, amount) = rest.split_first_chunk::<20>()?;
    let amount: [u8; 32] = amount.try_into().ok()?;
    (*padding == [0; 12]).then(|| (Address::from(*address), Amount::from_be_bytes(amount)))
}
