//! What of a bundle its decisions rest on, as the analysis takes it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::analysis::{Asker, Setting, Site};
use countersign_types::{ChainId, Destination, PrincipalId, TenantId, WalletId};

use crate::Bundle;

impl Bundle {
    /// The bundle as [`countersign_policy::analysis`] looks at it.
    pub fn setting(&self) -> Setting<'_> {
        let sites = self.registry().wallets().iter().flat_map(|wallet| {
            wallet.networks.keys().filter_map(|network| {
                let known = self.registry().wallet_destination(network, &wallet.id);
                let receives = known.or_else(|| stand_in(network, &wallet.id))?;
                let tier = wallet.tier;
                Some(((wallet.id.clone(), network.clone()), Site { tier, receives }))
            })
        });
        let fees = self.registry().networks().filter_map(|network| {
            let chain = network.chain();
            Some((chain.clone(), self.registry().fee_asset(chain)?))
        });
        Setting {
            policy: self.policy(),
            assets: self.registry().assets(),
            lists: self.destinations(),
            initiators: self.askers(),
            wallets: sites.collect(),
            fee_assets: fees.collect(),
        }
    }

    fn askers(&self) -> BTreeMap<PrincipalId, Asker> {
        let asker = |id: &&PrincipalId| {
            let tenants = self
                .roster()
                .tenants()
                .filter(|tenant| self.roster().may_initiate(tenant, id));
            let tenants: BTreeSet<TenantId> = tenants.cloned().collect();
            let groups = self.roster().groups_of(id);
            ((*id).clone(), Asker { groups, tenants })
        };
        self.roster().initiators().iter().map(asker).collect()
    }
}

/// For an address of a wallet of multisig outputs alone, of which the bundle names none: a wallet that is left out would keep
/// every invariant. What ids may hold addresses may too, but for `_`, and `%` is in no id.
fn stand_in(network: &ChainId, wallet: &WalletId) -> Option<Destination> {
    Destination::new(network, &format!("own-{}", wallet.as_str().replace('_', "%"))).ok()
}
