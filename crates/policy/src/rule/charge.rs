//! What a transaction charges to a limit.

use std::borrow::Cow;

use countersign_types::{
    Amount, AssetId, ChainId, CounterId, Destination, PrincipalId, SubjectId, TenantId, Tier, WalletId,
};

use super::ScopeBy;
use crate::{condition::tier_word, sums::Sum, trace::LimitKey};

/// What one limit counts separately, by reference; the order is that of [`LimitKey`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChargeKey<'a> {
    pub(crate) asset: Option<&'a AssetId>,
    pub(crate) destination: Option<&'a Destination>,
    pub(crate) wallet: Option<&'a WalletId>,
    pub(crate) subject: Option<&'a SubjectId>,
    pub(crate) initiator: Option<&'a PrincipalId>,
    pub(crate) network: Option<&'a ChainId>,
    pub(crate) tier: Option<Tier>,
    pub(crate) tenant: Option<&'a TenantId>,
}

impl<'a> ChargeKey<'a> {
    /// For the trace.
    pub(crate) fn to_limit_key(self) -> LimitKey {
        LimitKey {
            asset: self.asset.cloned(),
            destination: self.destination.cloned(),
            wallet: self.wallet.cloned(),
            subject: self.subject.cloned(),
            initiator: self.initiator.cloned(),
            network: self.network.cloned(),
            tier: self.tier,
            tenant: self.tenant.cloned(),
        }
    }

    /// The value of one scope, for a counter's text.
    pub(crate) fn value(self, by: ScopeBy) -> Cow<'a, str> {
        let text = match by {
            ScopeBy::Asset => self.asset.map(|asset| Cow::Owned(asset.to_string())),
            ScopeBy::Destination => self.destination.map(|at| Cow::Borrowed(at.as_str())),
            ScopeBy::Wallet => self.wallet.map(|id| Cow::Borrowed(id.as_str())),
            ScopeBy::Subject => self.subject.map(|id| Cow::Borrowed(id.as_str())),
            ScopeBy::Initiator => self.initiator.map(|id| Cow::Borrowed(id.as_str())),
            ScopeBy::Network => self.network.map(|id| Cow::Borrowed(id.as_str())),
            ScopeBy::Tier => self.tier.map(|tier| Cow::Borrowed(tier_word(tier))),
            ScopeBy::Tenant => self.tenant.map(|id| Cow::Borrowed(id.as_str())),
        };
        text.unwrap_or(Cow::Borrowed("none"))
    }
}

/// One charge to one limit: POLICY.md step 6.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charged<'a> {
    /// What is charged.
    pub(crate) key: ChargeKey<'a>,
    /// What was charged before: nothing, for a limit of one transaction; `None` is unknown.
    pub(crate) before: Sum,
    /// What this transaction charges; `None` is unknown.
    pub(crate) charge: Sum,
    /// Both together; `None` is unknown, and over every bound.
    pub(crate) after: Sum,
    /// The hard maximum; `None` where the charge cannot be valued.
    pub(crate) hard: Option<Amount>,
    /// The soft maximum, if there is one.
    pub(crate) soft: Option<Amount>,
    /// The counter that the journal charges, for a limit over more than one transaction.
    pub(crate) counter: Option<CounterId>,
}

impl Charged<'_> {
    /// Step 7: known to be at most the hard maximum.
    pub(crate) fn is_within(&self) -> bool {
        self.after.zip(self.hard).is_some_and(|(after, hard)| after <= hard)
    }

    /// Step 7: over the soft maximum.
    pub(crate) fn is_over_soft(&self) -> bool {
        self.after.zip(self.soft).is_some_and(|(after, soft)| after > soft)
    }
}
