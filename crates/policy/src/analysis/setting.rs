//! What a policy is analysed in: everything of a bundle that its decisions rest on.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use countersign_types::{
    AssetId, AssetRegistry, ChainId, Destination, Effect, GroupId, PrincipalId, TenantId, Tier, WalletId,
};

use super::Withdrawal;
use crate::{
    Actor, Conditions, Context, CounterUsage, DestinationFacts, DestinationLists, EffectFact, Evaluation, Facts,
    Obligations, Outcome, Policy, Usage, evaluate,
    rule::{self, Seen},
};

/// Somebody who may ask for withdrawals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The groups that they are a member of.
    pub groups: BTreeSet<GroupId>,
    /// For whom they may ask; never empty.
    pub tenants: BTreeSet<TenantId>,
}

/// A wallet on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The wallet's tier.
    pub tier: Tier,
    /// Where it receives.
    pub receives: Destination,
}

/// A policy and what its decisions rest on.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// The rules.
    pub policy: &'a Policy,
    /// The assets of the bundle.
    pub assets: &'a AssetRegistry,
    /// Its destination lists.
    pub lists: &'a DestinationLists,
    /// Who may ask.
    pub initiators: BTreeMap<PrincipalId, Asker>,
    /// The wallets, once for each network that they are on.
    pub wallets: BTreeMap<(WalletId, ChainId), Site>,
    /// What each network takes its fees in.
    pub fee_assets: BTreeMap<ChainId, AssetId>,
}

impl Setting<'_> {
    /// The decision about a withdrawal; `None` where the bundle does not know who asks or through which wallet, which the
    /// signer refuses before any rule is asked.
    pub fn decide(&self, withdrawal: &Withdrawal) -> Option<Evaluation> {
        let effects = self.effects(withdrawal);
        let mut facts = self.facts(withdrawal, &effects)?;
        let usage = usage(self.policy, &facts, withdrawal);
        facts.context.usage = &usage;
        Some(evaluate(self.policy, &facts))
    }

    /// The effects as this bundle's parser names them: what goes to an own wallet is a move, and to anybody else a transfer.
    pub(super) fn effects<'w>(&self, withdrawal: &'w Withdrawal) -> Vec<Cow<'w, Effect>> {
        withdrawal.items.iter().map(|item| self.effect(&item.effect)).collect()
    }

    fn effect<'w>(&self, effect: &'w Effect) -> Cow<'w, Effect> {
        let named = match effect {
            Effect::Transfer {
                asset,
                amount,
                destination,
            } => self.owner(destination).map(|wallet| Effect::Internal {
                asset: asset.clone(),
                amount: *amount,
                wallet: wallet.clone(),
                destination: destination.clone(),
                change: false,
            }),
            Effect::Internal {
                asset,
                amount,
                destination,
                change: false,
                ..
            } if self.owner(destination).is_none() => Some(Effect::Transfer {
                asset: asset.clone(),
                amount: *amount,
                destination: destination.clone(),
            }),
            Effect::Internal { .. }
            | Effect::Fee { .. }
            | Effect::Allowance { .. }
            | Effect::AuthorityChange { .. }
            | Effect::CodeChange { .. }
            | Effect::DelayedAuthorization { .. }
            | Effect::ContractCall { .. }
            | Effect::Opaque { .. }
            | Effect::PersonalMessage { .. } => None,
        };
        named.map_or(Cow::Borrowed(effect), Cow::Owned)
    }

    fn owner(&self, destination: &Destination) -> Option<&WalletId> {
        let mut sites = self.wallets.iter();
        let owner = sites.find(|(_, site)| site.receives == *destination);
        owner.map(|((wallet, _), _)| wallet)
    }

    /// Everything but usage.
    pub(super) fn facts<'f>(&'f self, withdrawal: &'f Withdrawal, effects: &'f [Cow<'f, Effect>]) -> Option<Facts<'f>> {
        let asker = self.initiators.get(&withdrawal.initiator)?;
        let wallet = (withdrawal.wallet.clone(), withdrawal.network.clone());
        let site = self.wallets.get(&wallet)?;
        if !asker.tenants.contains(&withdrawal.tenant) {
            return None;
        }
        let fact = |(item, effect): (&'f super::Item, &'f Cow<'f, Effect>)| EffectFact {
            destination: DestinationFacts {
                is_first_seen: item.is_first_seen,
                entry_age: item.entry_age,
                address_books: item.books.as_ref(),
            },
            ..EffectFact::new(effect, item.subject.as_ref())
        };
        Some(Facts {
            actor: Actor {
                initiator: &withdrawal.initiator,
                initiator_groups: &asker.groups,
                wallet: &withdrawal.wallet,
                tier: Some(site.tier),
            },
            network: &withdrawal.network,
            effects: withdrawal.items.iter().zip(effects).map(fact).collect(),
            assets: self.assets,
            lists: self.lists,
            context: Context {
                now: Some(withdrawal.now),
                tenant: Some(&withdrawal.tenant),
                attributes: Some(&withdrawal.attributes),
                fee_units: withdrawal.fee_units,
                prices: &withdrawal.prices,
                usage: Usage::unknown(),
            },
        })
    }
}

/// Whether conditions select something of a withdrawal, or may.
pub(super) fn may_match(setting: &Setting<'_>, conditions: &Conditions, withdrawal: &Withdrawal) -> bool {
    let effects = setting.effects(withdrawal);
    let facts = setting.facts(withdrawal, &effects);
    facts.is_some_and(|facts| rule::may_match(conditions, &Seen::all(&facts)))
}

/// What a journal would answer: every counter stands at zero, but for the one that the withdrawal names, in every window
/// that counts at least what the named window counts.
fn usage(policy: &Policy, facts: &Facts<'_>, withdrawal: &Withdrawal) -> Usage {
    let mut counters: BTreeMap<_, CounterUsage> = BTreeMap::new();
    for query in policy.usage_queries(facts) {
        let held = withdrawal.held.as_ref();
        let held = held.filter(|held| held.counter == query.counter && query.window.covers(&held.window));
        let amount = held.map(|held| held.amount).unwrap_or_default();
        counters
            .entry(query.counter)
            .or_default()
            .windows
            .insert(query.window, amount);
    }
    Usage::new(counters)
}

/// What an evaluation asks for; `None` if it denies.
pub(super) fn asked(evaluation: Option<&Evaluation>) -> Option<&Obligations> {
    match &evaluation?.outcome {
        Outcome::Allow(obligations) => Some(obligations),
        Outcome::Deny => None,
    }
}

#[cfg(test)]
mod tests;
