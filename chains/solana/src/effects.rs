//! What a message does: every effect of every instruction in their order, the fee last.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    Amount, AssetId, AuthorityScope, ChainFacts, ChainId, Destination, Effect, OpaqueKind, Selector, WalletId,
};

use crate::{
    Address, AddressError, Mints, ParseError, Sender, SolanaNetwork,
    associated::{self, Opening},
    budget::{self, Budget},
    call::{Call, Unread},
    loader,
    message::Message,
    programs, rent, stake, system, tables, token, vote,
};

/// CAIP-19's namespace of tokens of both token programs; the reference is the mint's address.
pub const TOKEN: &str = "token";

/// What a parser may know beside the sender.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The assets by their mint. One that is not listed is just an account, whatever it calls itself.
    pub mints: &'a Mints,
    /// The addresses of all own wallets, derived from their public keys.
    pub own: &'a BTreeMap<Destination, WalletId>,
    /// What observers attested. A message cannot show that its blockhash is the value that its nonce account stores: with
    /// a recent blockhash instead, two messages that advance one nonce can both land. So a nonce excludes other messages
    /// only where its value is attested.
    pub facts: &'a ChainFacts,
}

/// Why a registered asset is none of a Solana network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// Neither the native asset nor a token.
    #[error("`{0}` is neither its network's native asset nor a token (`token`)")]
    UnknownKind(AssetId),
    /// The reference of a token is no acceptable address.
    #[error("the mint of `{asset}` is refused: {error}")]
    BadMint {
        /// The asset.
        asset: AssetId,
        /// Why.
        error: AddressError,
    },
}

/// Accepts the network's native asset and tokens under their mint's canonical address: a token that is registered under
/// another spelling would never match what is parsed.
pub fn certify_asset(network: &SolanaNetwork, asset: &AssetId) -> Result<(), AssetError> {
    if *asset == network.native().id {
        return Ok(());
    }
    if asset.namespace() != TOKEN || asset.chain() != network.chain() {
        return Err(AssetError::UnknownKind(asset.clone()));
    }
    let mint = asset.reference().parse::<Address>();
    mint.and_then(Address::certify_spendable)
        .map(drop)
        .map_err(|error| AssetError::BadMint {
            asset: asset.clone(),
            error,
        })
}

pub(crate) fn derive_effects(
    message: &Message,
    calls: &[Call<'_>],
    scene: &Scene<'_>,
) -> Result<Vec<Effect>, ParseError> {
    let mut effects = Vec::new();
    let mut budget = Budget::default();
    for (at, call) in calls.iter().enumerate() {
        if call.program == programs::COMPUTE_BUDGET {
            budget.add(call)?;
        } else {
            effects.extend(scene.effects(at, call)?);
        }
    }
    // Opening accounts for the transfers beside it is no purpose of its own, and neither is a fee.
    if effects.is_empty() {
        return Err(ParseError::NoEffects);
    }
    effects.push(Effect::Fee {
        asset: scene.native.clone(),
        max: budget::fee(message, calls, &budget, scene.rent_lamports(calls)),
    });
    Ok(effects)
}

/// What the readers of single instructions share.
pub(crate) struct Scene<'a> {
    chain: &'a ChainId,
    native: &'a AssetId,
    account: Address,
    known: &'a Known<'a>,
    /// The associated token accounts that the message opens, by instruction.
    openings: BTreeMap<usize, Opening>,
    /// The token accounts that registered tokens go to.
    paid: BTreeSet<Address>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(calls: &[Call<'_>], sender: &Sender<'a>, known: &'a Known<'a>) -> Self {
        let openings = calls.iter().map(associated::opening).enumerate();
        let mut scene = Self {
            chain: sender.network.chain(),
            native: &sender.network.native().id,
            account: sender.account.address(),
            known,
            openings: openings.filter_map(|(at, opening)| Some((at, opening?))).collect(),
            paid: BTreeSet::new(),
        };
        scene.paid = calls.iter().filter_map(|call| token::paid(&scene, call)).collect();
        scene
    }

    fn effects(&self, at: usize, call: &Call<'_>) -> Result<Vec<Effect>, ParseError> {
        // Before the lookup test: a nonce that hides in a table is refused, not opaque.
        let read = if system::is_advance_nonce(call) {
            system::advance_nonce(self, at, call)
        } else if call.has_unknown() {
            Err(Unread::Opaque)
        } else {
            self.read(at, call)
        };
        self.or_opaque(call, read)
    }

    /// What is not understood is there as a whole.
    pub(crate) fn or_opaque(
        &self,
        call: &Call<'_>,
        read: Result<Vec<Effect>, Unread>,
    ) -> Result<Vec<Effect>, ParseError> {
        match read {
            Ok(effects) => Ok(effects),
            Err(Unread::Opaque) => Ok(vec![Effect::Opaque {
                what: OpaqueKind::Instruction,
                target: Some(self.place(call.program)?),
                bytes: call.to_bytes(),
            }]),
            Err(Unread::Refused(error)) => Err(error),
        }
    }

    fn read(&self, at: usize, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
        match call.program {
            programs::SYSTEM => system::effects(self, call),
            programs::STAKE => stake::effects(self, call),
            programs::VOTE => vote::effects(self, call),
            programs::LOADER => loader::effects(self, call),
            programs::LOOKUP_TABLE => tables::effects(self, call),
            programs::ASSOCIATED_TOKEN => associated::effects(self, at, call),
            program if programs::is_token(program) => token::effects(self, call),
            _ => Ok(vec![self.contract_call(call)?]),
        }
    }

    pub(crate) fn place(&self, address: Address) -> Result<Destination, AddressError> {
        address.on(self.chain)
    }

    /// The wallet's address.
    pub(crate) fn account(&self) -> Address {
        self.account
    }

    /// Whether the wallet itself must sign for this. Nobody else signs, so with another authority the chain refuses the
    /// message, and what is not understood that far is opaque.
    pub(crate) fn certify_ours(&self, authority: Address) -> Result<(), Unread> {
        (authority == self.account).then_some(()).ok_or(Unread::Opaque)
    }

    pub(crate) fn is_paid(&self, token_account: Address) -> bool {
        self.paid.contains(&token_account)
    }

    pub(crate) fn lamports(&self, lamports: u64, to: Address) -> Result<Effect, Unread> {
        self.transfer(self.native.clone(), lamports, to)
    }

    pub(crate) fn transfer(&self, asset: AssetId, units: u64, to: Address) -> Result<Effect, Unread> {
        let destination = self.place(to.certify_spendable()?)?;
        let amount = Amount::from_base_units(units);
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

    pub(crate) fn authority(
        &self,
        subject: Address,
        scope: AuthorityScope,
        holder: Option<Address>,
    ) -> Result<Effect, Unread> {
        Ok(Effect::AuthorityChange {
            subject: self.place(subject)?,
            scope,
            holder: holder.map(|holder| self.place(holder)).transpose()?,
        })
    }

    pub(crate) fn contract_call(&self, call: &Call<'_>) -> Result<Effect, Unread> {
        Ok(Effect::ContractCall {
            contract: self.place(call.program)?,
            selector: Selector(call.selector()),
            args: call.to_bytes(),
        })
    }

    /// The registered asset of a mint, if its decimals are those that the instruction states.
    pub(crate) fn token(&self, mint: Address, decimals: u8) -> Result<AssetId, Unread> {
        match self.known.mints.registered(self.chain, mint) {
            Some((asset, registered)) if u8::from(registered) == decimals => Ok(asset.clone()),
            Some(_) | None => Err(Unread::Opaque),
        }
    }

    pub(crate) fn opening(&self, at: usize) -> Option<&Opening> {
        self.openings.get(&at)
    }

    /// Whose a token account is: the owner's, where the message also opens the account for that owner (if need be), which
    /// fails on chain if it is anybody else's. Otherwise nobody knows, and the token account stands for itself.
    pub(crate) fn owner_of(&self, token_account: Address, token_program: Address, mint: Address) -> Address {
        let of = |opening: &&Opening| {
            opening.account == token_account && opening.token_program == token_program && opening.mint == mint
        };
        let opening = self.openings.values().find(of);
        opening.map_or(token_account, |opening| opening.owner)
    }

    fn rent_lamports(&self, calls: &[Call<'_>]) -> u64 {
        let calls = calls.iter().enumerate();
        let rents = calls.map(|(at, call)| rent::lamports(call, self.opening(at)));
        rents.fold(0, u64::saturating_add)
    }
}
