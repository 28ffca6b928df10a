//! What an evaluation may know. Whoever builds these facts has verified them; the engine believes nothing else.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    Amount, AssetId, AssetRegistry, AttributeName, AttributeValue, ChainId, Duration, Effect, GroupId, PrincipalId,
    SubjectId, TenantId, Tier, Timestamp, WalletId,
};

use crate::{Currency, DestinationLists, Prices, Usage};

/// Who asks, through which wallet: what is the same for every effect, and known before there is a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Who signed the request.
    pub initiator: &'a PrincipalId,
    /// The groups that the initiator is a member of.
    pub initiator_groups: &'a BTreeSet<GroupId>,
    /// The wallet that signs.
    pub wallet: &'a WalletId,
    /// Its tier; `None` is unknown.
    pub tier: Option<Tier>,
}

/// Everything that the rules of one transaction look at.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Who asks, through which wallet.
    pub actor: Actor<'a>,
    /// The network that the bytes are for.
    pub network: &'a ChainId,
    /// Everything that the transaction does, in its order, own change and fee included.
    pub effects: Vec<EffectFact<'a>>,
    /// The assets of the bundle: an amount of any other asset is unknown.
    pub assets: &'a AssetRegistry,
    /// The destination lists of the bundle.
    pub lists: &'a DestinationLists,
    /// What neither the bytes nor the bundle say.
    pub context: Context<'a>,
}

impl<'a> Facts<'a> {
    /// By what amounts are valued.
    pub(crate) fn values(&self) -> Values<'a> {
        Values {
            assets: self.assets,
            prices: self.context.prices,
        }
    }
}

/// What neither the bytes nor the bundle say. Whatever is left unknown counts against the withdrawal.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The signer's clock, read behind its locks.
    pub now: Option<Timestamp>,
    /// Whose withdrawal it is.
    pub tenant: Option<&'a TenantId>,
    /// What the request says of itself.
    pub attributes: Option<&'a BTreeMap<AttributeName, AttributeValue>>,
    /// The units that the fee is paid for, where it has one rate.
    pub fee_units: Option<u64>,
    /// What assets are worth at most, from verified and fresh quotes.
    pub prices: &'a Prices,
    /// What the counters of the policy's limits stand at.
    pub usage: &'a Usage,
}

impl Context<'static> {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self {
            now: None,
            tenant: None,
            attributes: None,
            fee_units: None,
            prices: Prices::none(),
            usage: Usage::unknown(),
        }
    }
}

/// By what amounts are valued: the assets of the bundle, and prices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) assets: &'a AssetRegistry,
    pub(crate) prices: &'a Prices,
}

impl Values<'_> {
    pub(crate) fn is_registered(&self, asset: &AssetId) -> bool {
        self.assets.asset(asset).is_some()
    }

    /// What an amount is worth; `None` is unknown.
    pub(crate) fn worth(&self, asset: &AssetId, amount: Amount, currency: Currency) -> Option<Amount> {
        self.prices.value(self.assets.asset(asset)?, amount, currency)
    }
}

/// One effect and what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct EffectFact<'a> {
    /// What the bytes do.
    pub effect: &'a Effect,
    /// The customer behind the payment; `None` is unknown. Only transfers have one.
    pub subject: Option<&'a SubjectId>,
    /// What is known about where it goes.
    pub destination: DestinationFacts<'a>,
}

impl<'a> EffectFact<'a> {
    /// An effect of which no more is known than the bytes and the request say.
    pub fn new(effect: &'a Effect, subject: Option<&'a SubjectId>) -> Self {
        Self {
            effect,
            subject,
            destination: DestinationFacts::default(),
        }
    }
}

/// What is known about a destination beyond its address.
#[derive(Debug, Clone, Copy, Default)]
pub struct DestinationFacts<'a> {
    /// Whether no transaction that this deployment signed has paid it; `None` is unknown.
    pub is_first_seen: Option<bool>,
    /// How long ago the youngest entry that names it (in a list of the bundle or an address book that the policy names) took effect; `None` is
    /// unknown.
    pub entry_age: Option<Duration>,
    /// The address-book services that say whether they have the destination for this effect's subject, and what they say. A
    /// service that says nothing is unknown.
    pub address_books: Option<&'a BTreeMap<PrincipalId, bool>>,
}
