//! What could leave a wallet without end: outside development, every asset that a permit lets out has a limit that adds up
//! over time, and so do the fees of every wallet (DESIGN.md §5).
//!
//! A cap counts only if nothing that a caller chooses gets around it: a limit by destination, customer or initiator bounds each
//! of them and not the wallet, and a limit with any other condition than on kind, wallet, tier, network and asset leaves
//! something out.

use countersign_approval::Roster;
use countersign_chains::{Network, Registry};
use countersign_policy::{
    Assets, Ceiling, Condition, Conditions, Effects, Limit, Networks, Policy, ScopeBy, Tiers, Wallets, Window,
};
use countersign_types::{AgesFrom, AssetId, ChainId, EffectKind, Tier, WalletRecord};

use crate::problem::Problem;

/// The kinds of effect by which an asset leaves, or may be taken, for good.
const OUTFLOWS: [EffectKind; 2] = [EffectKind::Transfer, EffectKind::Allowance];

/// The kinds of effect that name no asset and may let anything leave all the same: no cap bounds them.
const UNBOUNDED: [EffectKind; 5] = [
    EffectKind::AuthorityChange,
    EffectKind::CodeChange,
    EffectKind::DelayedAuthorization,
    EffectKind::ContractCall,
    EffectKind::Opaque,
];

/// Some effects of a wallet: one kind on one network, in one asset or in none.
struct Flow<'a> {
    wallet: &'a WalletRecord,
    kind: EffectKind,
    network: &'a ChainId,
    asset: Option<&'a AssetId>,
}

/// Everything that a permit lets out without a cap, and cold wallets that pay others.
pub(crate) fn uncapped(registry: &Registry, policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    for wallet in registry.wallets().iter() {
        let assets = registry.assets().iter().map(|record| &record.id);
        for asset in assets.filter(|asset| wallet.networks.contains_key(asset.chain())) {
            let flows = OUTFLOWS.map(|kind| Flow {
                wallet,
                kind,
                network: asset.chain(),
                asset: Some(asset),
            });
            let permitted = flows.iter().filter(|flow| flow.is_permitted(policy));
            problems.extend(permitted.filter_map(|flow| flow.problem(policy)));
        }
        let fee_assets = wallet.networks.keys().filter_map(|chain| registry.fee_asset(chain));
        for asset in fee_assets {
            let fee = Flow {
                wallet,
                kind: EffectKind::Fee,
                network: asset.chain(),
                asset: Some(&asset),
            };
            if fee.is_permitted(policy) {
                problems.extend(fee.problem(policy));
            }
        }
        if wallet.tier == Tier::Cold {
            problems.extend(beyond_payments(wallet, registry, policy));
        }
    }
    problems
}

/// What a cold wallet may do besides payments, by which it pays whom it likes.
fn beyond_payments<'a>(
    wallet: &'a WalletRecord,
    registry: &'a Registry,
    policy: &'a Policy,
) -> impl Iterator<Item = Problem> + 'a {
    let is_permitted = move |kind: EffectKind| {
        let mut networks = wallet.networks.keys();
        networks.any(|network| {
            // Advancing its own durable nonce is how a wallet on Solana signs at leisure.
            let is_nonce = kind == EffectKind::DelayedAuthorization
                && matches!(registry.network(network), Some(Network::Solana(_)));
            let asset = None;
            let flow = Flow {
                wallet,
                kind,
                network,
                asset,
            };
            !is_nonce && flow.is_permitted(policy)
        })
    };
    let permitted = UNBOUNDED.into_iter().filter(move |kind| is_permitted(*kind));
    permitted.map(|kind| Problem::ColdWalletPays {
        wallet: wallet.id.clone(),
        kind,
    })
}

/// Wallets whose charges would never age, or age before observers say what became of them.
pub(crate) fn unaging(registry: &Registry, roster: &Roster) -> Vec<Problem> {
    let mut problems = Vec::new();
    for wallet in registry.wallets().iter() {
        for (network, site) in &wallet.networks {
            let (wallet, network) = (wallet.id.clone(), network.clone());
            match (site.ages_from, roster.observers(&network)) {
                (AgesFrom::Mined, Some(_)) | (AgesFrom::Signature, None) => {}
                (AgesFrom::Mined, None) => problems.push(Problem::NeverAges { wallet, network }),
                (AgesFrom::Signature, Some(_)) => problems.push(Problem::AgesEarly { wallet, network }),
            }
        }
    }
    problems
}

impl Flow<'_> {
    /// Whether some permit may cover it, whatever else the permit asks.
    fn is_permitted(&self, policy: &Policy) -> bool {
        let may_hold =
            |conditions: &Conditions| conditions.iter().all(|condition| self.holds(condition) != Some(false));
        policy.permits().any(|permit| may_hold(permit.conditions()))
    }

    fn problem(&self, policy: &Policy) -> Option<Problem> {
        let (wallet, asset, kind) = (self.wallet.id.clone(), Box::new(self.asset?.clone()), self.kind);
        if self.wallet.tier == Tier::Cold && kind != EffectKind::Fee {
            return Some(Problem::ColdWalletPays { wallet, kind });
        }
        if policy.limits().any(|limit| self.is_capped_by(limit)) {
            return None;
        }
        Some(Problem::Uncapped { wallet, asset, kind })
    }

    fn is_capped_by(&self, limit: &Limit) -> bool {
        let is_bounded = match &limit.meter().hard {
            Ceiling::Amounts(bounds) => self.asset.is_some_and(|asset| bounds.bound(asset).is_some()),
            Ceiling::Money(..) => true,
            Ceiling::Count(_) | Ceiling::NewDestinations(_) => false,
        };
        let is_chosen_by_nobody = |by: &ScopeBy| match by {
            ScopeBy::Asset | ScopeBy::Wallet | ScopeBy::Network | ScopeBy::Tier => true,
            ScopeBy::Destination | ScopeBy::Subject | ScopeBy::Initiator | ScopeBy::Tenant => false,
        };
        is_bounded
            && limit.meter().window != Window::Transaction
            && limit.scope().iter().all(is_chosen_by_nobody)
            && limit
                .conditions()
                .iter()
                .all(|condition| self.holds(condition) == Some(true))
    }

    /// Whether a condition holds for the whole flow; `None` where it may hold for a part.
    fn holds(&self, condition: &Condition) -> Option<bool> {
        match condition {
            Condition::Effects(Effects(kinds)) => Some(kinds.contains(&self.kind)),
            Condition::Wallets(Wallets(wallets)) => Some(wallets.contains(&self.wallet.id)),
            Condition::Tiers(Tiers(tiers)) => Some(tiers.contains(&self.wallet.tier)),
            Condition::Networks(Networks(networks)) => Some(networks.contains(self.network)),
            // What has no asset is in none that a permit could name.
            Condition::Assets(Assets(assets)) => Some(self.asset.is_some_and(|asset| assets.contains(asset))),
            Condition::Initiators(_)
            | Condition::InitiatorGroups(_)
            | Condition::To(_)
            | Condition::Subjects(_)
            | Condition::Selectors(_)
            | Condition::Words(_)
            | Condition::Hours(_)
            | Condition::Attributes(_)
            | Condition::AmountOver(_)
            | Condition::TotalOver(_) => None,
            // What cannot be valued is within no maximum.
            Condition::AmountMax(_)
            | Condition::FeeMax(_)
            | Condition::FeeShare(_)
            | Condition::FeeRate(_)
            | Condition::TotalMax(_) => self.asset.is_none().then_some(false),
        }
    }
}
