//! Calls to effects: one file for each family of contracts, one exhaustive dispatch by selector.
//!
//! What a selector means is the contract's own business. Only a registered asset's contract is taken at its word, and
//! only where the effect carries every argument. Everywhere else the `ContractCall` with the raw arguments stays in the
//! list, and what it is known to mean stands behind it: nothing is ever less visible for being understood.

mod authority;
mod disperse;
mod erc20;
mod function;
mod multicall;
mod nft;
mod safe;
mod weth;

use alloy_primitives::{Address, U256};
use countersign_types::{Amount, AssetId, ChainId, Destination, Effect, OpaqueKind, Selector};

use crate::{
    EvmNetwork, Known, ParseError,
    address::{certify_spendable, destination},
    contracts::Standard,
};

use function::Function;
pub(crate) use safe::{Inner, Operation};

/// How deep calls inside calls are decoded (a Safe that calls a multicall of multicalls). Below, they are `Opaque`.
pub(crate) const MAX_DEPTH: usize = 4;

/// One message from one account to another, on chain or inside another call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// Who calls: the wallet's account, or the contract that passes a call on.
    pub(crate) actor: Address,
    pub(crate) to: Address,
    /// In wei.
    pub(crate) value: U256,
    pub(crate) input: &'a [u8],
    /// 0 for the transaction itself.
    pub(crate) depth: usize,
}

/// A call of a known function.
#[derive(Debug, Clone, Copy)]
struct Call<'a> {
    actor: Address,
    contract: Address,
    value: U256,
    /// Selector and arguments.
    input: &'a [u8],
    selector: [u8; 4],
    args: &'a [u8],
    depth: usize,
}

/// The effects so far, and what is known while they are derived.
pub(crate) struct Scene<'a> {
    network: &'a EvmNetwork,
    chain: &'a ChainId,
    known: &'a Known<'a>,
    effects: Vec<Effect>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(network: &'a EvmNetwork, known: &'a Known<'a>) -> Self {
        Self {
            network,
            chain: network.chain(),
            known,
            effects: Vec::new(),
        }
    }

    pub(crate) fn chain(&self) -> &'a ChainId {
        self.chain
    }

    /// Everything that was pushed, in the transaction's order.
    pub(crate) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The value is an effect of its own; a message without data is a transfer even of nothing, so that no message is
    /// without effect.
    pub(crate) fn message(&mut self, message: &Message<'_>) -> Result<(), ParseError> {
        certify_spendable(message.to)?;
        if !message.value.is_zero() || message.input.is_empty() {
            self.native_transfer(message.to, message.value)?;
        }
        if message.input.is_empty() {
            return Ok(());
        }
        self.calldata(message)
    }

    fn calldata(&mut self, message: &Message<'_>) -> Result<(), ParseError> {
        let Some((selector, args)) = message.input.split_first_chunk::<4>() else {
            return self.opaque(message.to, message.input);
        };
        if message.depth > MAX_DEPTH {
            return self.opaque(message.to, message.input);
        }
        let call = Call {
            actor: message.actor,
            contract: message.to,
            value: message.value,
            input: message.input,
            selector: *selector,
            args,
            depth: message.depth,
        };
        match Function::of(*selector) {
            Some(function) => self.known_function(function, &call),
            None => self.contract_call(&call),
        }
    }

    fn known_function(&mut self, function: Function, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            Function::Erc20(function) => self.erc20(function, call),
            Function::Nft(function) => self.nft(function, call),
            Function::Weth(function) => self.weth(function, call),
            Function::Authority(function) => self.authority(function, call),
            Function::Safe(function) => self.safe(function, call),
            Function::Multicall(function) => self.multicall(function, call),
            Function::Disperse(function) => self.disperse(function, call),
        }
    }

    /// The asset that a contract is, if the registry names it under exactly one standard.
    fn registered(&self, contract: Address) -> Option<(Standard, AssetId)> {
        let (standard, asset) = self.known.contracts.registered(self.chain, contract)?;
        Some((standard, asset.clone()))
    }

    /// The asset of a contract that is registered as `standard`.
    fn asset(&self, contract: Address, standard: Standard) -> Option<AssetId> {
        let (found, asset) = self.registered(contract)?;
        (found == standard).then_some(asset)
    }

    pub(crate) fn registered_erc20(&self, contract: Address) -> Option<AssetId> {
        self.asset(contract, Standard::Erc20)
    }

    /// Whether what `holder` owns is ours or the acting contract's to move, and not a third party's.
    pub(crate) fn is_ours(&self, holder: Address, actor: Address) -> Result<bool, ParseError> {
        Ok(holder == actor || self.known.own.contains_key(&self.destination(holder)?))
    }

    pub(crate) fn destination(&self, address: Address) -> Result<Destination, ParseError> {
        Ok(destination(self.chain, address)?)
    }

    /// The holder of a right; the zero address is nobody.
    fn holder(&self, address: Address) -> Result<Option<Destination>, ParseError> {
        if address.is_zero() {
            return Ok(None);
        }
        self.destination(address).map(Some)
    }

    pub(crate) fn native_transfer(&mut self, to: Address, value: U256) -> Result<(), ParseError> {
        let amount = Amount::from_be_bytes(value.to_be_bytes());
        self.transfer(self.network.native().id.clone(), amount, to)
    }

    /// Tokens to an account that can send them on.
    fn token_transfer(
        &mut self,
        contract: Address,
        asset: AssetId,
        amount: Amount,
        to: Address,
    ) -> Result<(), ParseError> {
        certify_spendable(to)?;
        if to == contract {
            return Err(ParseError::TokenToItself);
        }
        self.transfer(asset, amount, to)
    }

    fn transfer(&mut self, asset: AssetId, amount: Amount, to: Address) -> Result<(), ParseError> {
        let destination = self.destination(to)?;
        let effect = match self.known.own.get(&destination) {
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
        };
        self.push(effect);
        Ok(())
    }

    pub(crate) fn allowance(&mut self, asset: AssetId, amount: Amount, spender: Address) -> Result<(), ParseError> {
        certify_spendable(spender)?;
        let spender = self.destination(spender)?;
        self.push(Effect::Allowance { asset, amount, spender });
        Ok(())
    }

    fn contract_call(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let contract = self.destination(call.contract)?;
        self.push(Effect::ContractCall {
            contract,
            selector: Selector(call.selector),
            args: call.args.to_vec(),
        });
        Ok(())
    }

    fn opaque(&mut self, target: Address, bytes: &[u8]) -> Result<(), ParseError> {
        let target = Some(self.destination(target)?);
        self.push(Effect::Opaque {
            what: OpaqueKind::Calldata,
            target,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    /// The arguments are not the canonical encoding of the function's parameters.
    fn malformed(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        self.opaque(call.contract, call.input)
    }
}
