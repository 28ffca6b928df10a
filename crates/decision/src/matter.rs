//! What a policy looks at that neither the ledger nor the clock decides: who asks, and what the bytes do.

use std::collections::BTreeSet;

use countersign_approval::Request;
use countersign_bundle::Bundle;
use countersign_policy::{Actor, Context, EffectFact, Facts, Usage, UsageQuery};
use countersign_types::{GroupId, ParsedTransaction, PrincipalId};

use crate::binding;

/// A request and its bytes before one bundle's policy.
#[derive(Clone, Copy)]
pub(crate) struct Matter<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) initiator: &'a PrincipalId,
    /// The groups of the initiator in the bundle's roster.
    pub(crate) initiator_groups: &'a BTreeSet<GroupId>,
    pub(crate) request: &'a Request,
    pub(crate) parsed: &'a ParsedTransaction,
}

impl<'a> Matter<'a> {
    /// With a context whose parts that request and bytes say are filled in.
    pub(crate) fn facts(self, context: Context<'a>) -> Facts<'a> {
        let parsed = self.parsed;
        let subjects = binding::subjects(&self.request.payments, parsed.effects());
        let effects = parsed
            .effects()
            .iter()
            .zip(subjects)
            .map(|(effect, subject)| EffectFact::new(effect, subject))
            .collect();
        let wallet = self.bundle.registry().wallets().wallet(parsed.wallet());
        let actor = Actor {
            initiator: self.initiator,
            initiator_groups: self.initiator_groups,
            wallet: parsed.wallet(),
            tier: wallet.map(|wallet| wallet.tier),
        };
        Facts {
            actor,
            network: parsed.network(),
            effects,
            assets: self.bundle.registry().assets(),
            lists: self.bundle.destinations(),
            context: Context {
                tenant: Some(&self.request.tenant),
                attributes: Some(&self.request.attributes),
                fee_units: parsed.fee_units(),
                ..context
            },
        }
    }
}

/// The counters that a decision looks at, under the bundle in force and the first one, whatever the ledger holds and
/// whenever it is taken: what is not known here (time, prices, history) matches, so that nothing is missing later.
pub fn usage_queries<'a>(
    bundles: impl IntoIterator<Item = &'a Bundle>,
    initiator: &PrincipalId,
    request: &Request,
    parsed: &ParsedTransaction,
) -> BTreeSet<UsageQuery> {
    let of_bundle = |bundle: &Bundle| {
        let groups = bundle.roster().groups_of(initiator);
        let matter = Matter {
            bundle,
            initiator,
            initiator_groups: &groups,
            request,
            parsed,
        };
        bundle.policy().usage_queries(&matter.facts(Context::unknown()))
    };
    bundles.into_iter().flat_map(of_bundle).collect()
}

/// The usage of a ledger in which nothing was spent before: what somebody who cannot see the journal decides with.
pub fn unspent<'a>(
    bundles: impl IntoIterator<Item = &'a Bundle>,
    initiator: &PrincipalId,
    request: &Request,
    parsed: &ParsedTransaction,
) -> Usage {
    Usage::uncharged(usage_queries(bundles, initiator, request, parsed))
}
