//! What can be reached: every quorum without its initiator, every wallet by some permit.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Roster, fill_seats};
use countersign_chains::Registry;
use countersign_policy::{Actor, Asking, Obligations};
use countersign_types::{GroupId, PrincipalId, RuleId, WalletRecord};

use crate::{
    LoadError,
    error::Found,
    places::TOP,
    policy::Loaded,
    problem::Problem,
    wallets::{WalletsFile, place_of},
    yaml::Doc,
};

/// What the checks look at.
pub(crate) struct Reach<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) roster: &'a Roster,
    pub(crate) loaded: &'a Loaded,
    pub(crate) wallets: &'a Doc<'a, WalletsFile>,
}

impl Reach<'_> {
    /// For each wallet and each initiator that a permit lets use it: what the rules that can meet ask for, joined, must be
    /// reachable.
    pub(crate) fn certify(&self, found: &mut Found) {
        for wallet in self.registry.wallets().iter() {
            let mut is_reached = false;
            for initiator in self.roster.initiators() {
                let groups = self.roster.groups_of(initiator);
                let actor = Actor {
                    initiator,
                    initiator_groups: &groups,
                    wallet: &wallet.id,
                    tier: Some(wallet.tier),
                };
                if self
                    .loaded
                    .policy
                    .permits()
                    .any(|permit| permit.conditions().may_concern(&actor))
                {
                    is_reached = true;
                    found_each(found, self.quorums(&actor, wallet));
                }
            }
            if !is_reached {
                let place = place_of(self.wallets, Some(&wallet.id));
                found.push(
                    self.wallets
                        .value(&place, Problem::UnreachableWallet(wallet.id.clone())),
                );
            }
        }
    }

    /// Each rule by itself, so that the one at fault is named; if all can be met alone, all of them together.
    fn quorums(&self, actor: &Actor<'_>, wallet: &WalletRecord) -> Vec<LoadError> {
        let asking = self.loaded.policy.asking();
        let concerned = asking.filter(|rule| rule.conditions.may_concern(actor));
        let concerned: Vec<Asking<'_>> = concerned.collect();
        let alone: Vec<LoadError> = concerned
            .iter()
            .filter(|rule| !self.is_reachable(rule.obligations, actor.initiator))
            .map(|rule| self.error(rule.id, rule.obligations, actor.initiator, wallet))
            .collect();
        if !alone.is_empty() {
            return alone;
        }
        let mut joined = Obligations::default();
        for rule in &concerned {
            joined.join(rule.obligations);
        }
        match concerned.last() {
            Some(last) if !self.is_reachable(&joined, actor.initiator) => {
                vec![self.error(last.id, &joined, actor.initiator, wallet)]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether everybody who may count, sitting as well as they can, fills every seat.
    fn is_reachable(&self, obligations: &Obligations, initiator: &PrincipalId) -> bool {
        let excluded = self.roster.initiating_people(initiator);
        let seats: BTreeMap<GroupId, u32> = obligations.seats();
        let people: BTreeSet<PrincipalId> = seats
            .keys()
            .filter_map(|group| self.roster.group(group))
            .flatten()
            .filter(|person| !excluded.contains(person))
            .cloned()
            .collect();
        let is_member = |group: &GroupId, person: &PrincipalId| {
            self.roster.group(group).is_some_and(|people| people.contains(person))
        };
        fill_seats(&seats, &people, is_member).is_complete()
    }

    fn error(
        &self,
        rule: &RuleId,
        obligations: &Obligations,
        initiator: &PrincipalId,
        wallet: &WalletRecord,
    ) -> LoadError {
        let seats: Vec<String> = obligations
            .approvals()
            .map(|(group, seats)| format!("{seats} of {group}"))
            .collect();
        let problem = Problem::UnreachableQuorum {
            wallet: wallet.id.clone(),
            initiator: initiator.clone(),
            seats: seats.join(", "),
        };
        let place = self.loaded.asking.get(rule).copied().unwrap_or(TOP);
        LoadError::new("policy.yaml", place, problem)
    }
}

fn found_each(found: &mut Found, errors: Vec<LoadError>) {
    errors.into_iter().for_each(|error| found.push(error));
}
