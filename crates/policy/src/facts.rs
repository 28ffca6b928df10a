//! What an evaluation may know. Whoever builds these facts has verified them; the engine believes nothing else.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    AssetRegistry, ChainId, Destination, Effect, GroupId, ListId, PrincipalId, SubjectId, Tier, WalletId,
};

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
}

/// One effect and what the request says about it.
#[derive(Debug, Clone, Copy)]
pub struct EffectFact<'a> {
    /// What the bytes do.
    pub effect: &'a Effect,
    /// The customer behind the payment; `None` is unknown. Only transfers have one.
    pub subject: Option<&'a SubjectId>,
}

/// The destination lists of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestinationLists {
    by_id: BTreeMap<ListId, BTreeSet<Destination>>,
}

impl DestinationLists {
    /// The lists by id.
    pub fn new(by_id: BTreeMap<ListId, BTreeSet<Destination>>) -> Self {
        Self { by_id }
    }

    /// The destinations of a list, if there is such a list.
    pub fn list(&self, id: &ListId) -> Option<&BTreeSet<Destination>> {
        self.by_id.get(id)
    }

    /// Whether any list names the destination.
    pub fn is_listed(&self, destination: &Destination) -> bool {
        self.by_id.values().any(|list| list.contains(destination))
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &ListId> {
        self.by_id.keys()
    }
}
