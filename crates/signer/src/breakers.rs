//! Breakers: what looks like an attack makes the signer freeze by itself (docs/adr/0017).
//!
//! Counts come from marks of the journal, which the same transaction writes; nobody in front of the signer can leave one out.

use std::collections::BTreeSet;

use countersign_approval::{FreezeScope, Kind, Request, Roster};
use countersign_bundle::Bundle;
use countersign_decision::{Decision, EntryError, FreezeCause, FreezeFact, Seen};
use countersign_policy::{Breaker, Frozen, Policy, Trip};
use countersign_types::{
    Destination, Effect, FreezeId, ParsedTransaction, PrincipalId, Tag, Timestamp, WalletId, WithdrawalId,
};

use crate::{LedgerView, TallyQuery, Write, changes::Changes, freezes::freeze_now, watch::ForeignSpend};

/// What networks with authorized payments are marked under.
const NETWORKS: &str = "networks";

/// What rejections of a withdrawal, and approvals that ran out, are marked under.
pub(crate) fn rejections(withdrawal: WithdrawalId) -> String {
    format!("rejections {withdrawal}")
}

/// What the destinations that a wallet ever paid are marked under.
fn destinations(wallet: &WalletId) -> String {
    format!("destinations {wallet}")
}

/// A withdrawal as breakers see it.
pub(crate) struct Suspect<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) withdrawal: WithdrawalId,
    pub(crate) request: &'a Request,
    pub(crate) initiator: &'a PrincipalId,
}

/// What the transaction at hand adds to the counts.
#[derive(Default)]
pub(crate) struct Adds {
    /// Names under [`rejections`].
    pub(crate) rejections: BTreeSet<String>,
    /// Whom an authorization pays; `None` where nothing is authorized.
    pub(crate) paid: Option<Vec<String>>,
}

/// A freeze that nobody signed: a breaker asks for it, or a foreign spend does.
pub(crate) struct Tripped {
    scope: FreezeScope,
    cause: FreezeCause,
}

impl Tripped {
    /// Not a breaker's: what observers saw.
    pub(crate) fn by_foreign_spend(spend: &ForeignSpend) -> Self {
        let (scope, cause) = spend.freeze();
        Self { scope, cause }
    }

    /// As the decision sees it.
    pub(crate) fn fact(&self, now: Timestamp) -> FreezeFact {
        FreezeFact {
            freeze: self.cause.freeze(&self.scope),
            scope: self.scope.clone(),
            since: now,
        }
    }

    /// Writes and logs it.
    pub(crate) fn freeze(self, now: Timestamp, changes: &mut Changes) -> Result<(), EntryError> {
        freeze_now(self.scope, self.cause, now, changes)
    }
}

/// Whether a rejection counts for breakers: by somebody who sits in an approval group.
pub(crate) fn is_voice(roster: &Roster, person: &PrincipalId) -> bool {
    !roster.groups_of(person).is_empty()
}

/// Who rejects among the statements about a withdrawal, and whose approvals the decision found to have run out. Journaled ones
/// count as well: they may have come with another withdrawal, or with what became of an attempt, where no breaker was asked.
pub(crate) fn heard(roster: &Roster, statements: &[Seen], decision: &Decision) -> BTreeSet<String> {
    let verified = statements.iter().filter_map(|seen| seen.verified.as_ref().ok());
    let rejecting = verified
        .filter(|verified| verified.envelope().kind() == Kind::Rejection && is_voice(roster, verified.signer()))
        .map(|verified| verified.signer().to_string());
    let considered = decision.entry.statements.iter();
    let expired: BTreeSet<_> = considered
        .filter(|one| one.discounted == Some(Tag::StatementExpired))
        .map(|one| one.statement)
        .collect();
    let ran_out = statements.iter().filter(|seen| expired.contains(&seen.digest));
    let ran_out = ran_out.filter_map(|seen| seen.verified.as_ref().ok());
    let ran_out = ran_out.filter(|verified| verified.envelope().kind() == Kind::Approval);
    rejecting
        .chain(ran_out.map(|verified| format!("expired {}", verified.signer())))
        .collect()
}

/// Whom an authorized transaction pays; nobody, where it takes the place of a payment.
pub(crate) fn paid(parsed: &ParsedTransaction) -> BTreeSet<Destination> {
    let paid = parsed.effects().iter().filter_map(|effect| match effect {
        Effect::Transfer { destination, .. } => Some(destination.clone()),
        Effect::Internal { .. }
        | Effect::Fee { .. }
        | Effect::Allowance { .. }
        | Effect::AuthorityChange { .. }
        | Effect::CodeChange { .. }
        | Effect::DelayedAuthorization { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => None,
    });
    paid.collect()
}

impl Suspect<'_> {
    fn policy(&self) -> &Policy {
        self.bundle.policy()
    }

    /// Every freeze that a breaker can make of it: those that were made are not made again.
    pub(crate) fn possible(&self) -> Vec<FreezeId> {
        let possible = self.policy().breakers().flat_map(|breaker| self.freezes(breaker));
        possible.map(|one| one.cause.freeze(&one.scope)).collect()
    }

    /// What the breakers' windows hold.
    pub(crate) fn tallies(&self) -> Vec<TallyQuery> {
        let query = |breaker: &Breaker| {
            Some(TallyQuery {
                topic: self.topic(breaker.trip()),
                within: breaker.trip().within()?,
            })
        };
        let distinct: BTreeSet<TallyQuery> = self.policy().breakers().filter_map(query).collect();
        distinct.into_iter().collect()
    }

    /// The marks that say whether what is paid now was paid before.
    pub(crate) fn marked(&self, paid: &[String]) -> Vec<(String, String)> {
        let destinations = destinations(&self.request.wallet);
        let paid = paid.iter().map(|name| (destinations.clone(), name.clone()));
        let network = (NETWORKS.to_owned(), self.request.network.to_string());
        paid.chain(std::iter::once(network)).collect()
    }

    /// What an authorization leaves behind for later counts, whether or not a breaker is there to look.
    pub(crate) fn marks(&self, paid: &[String]) -> Vec<Write> {
        if paid.is_empty() {
            return Vec::new();
        }
        let mark = |(topic, name)| Write::Mark { topic, name };
        self.marked(paid).into_iter().map(mark).collect()
    }

    /// What rejections leave behind for later counts.
    pub(crate) fn rejection_marks(&self, names: BTreeSet<String>) -> Vec<Write> {
        let topic = rejections(self.withdrawal);
        let mark = |name| Write::Mark {
            topic: topic.clone(),
            name,
        };
        names.into_iter().map(mark).collect()
    }

    /// The freezes that the breakers ask for now and that were not made before.
    pub(crate) fn tripped(&self, view: &LedgerView, adds: &Adds, now: Timestamp) -> Vec<Tripped> {
        let reached = |breaker: &&Breaker| {
            let trip = breaker.trip();
            trip.is_reached(self.count(trip, view, adds, now))
        };
        let breakers = self.policy().breakers().filter(reached);
        let is_new = |one: &Tripped| !view.made.contains(&one.cause.freeze(&one.scope));
        breakers
            .flat_map(|breaker| self.freezes(breaker))
            .filter(is_new)
            .collect()
    }

    fn freezes(&self, breaker: &Breaker) -> Vec<Tripped> {
        let tripped = |frozen: &Frozen| Tripped {
            scope: self.scope(*frozen),
            cause: FreezeCause::Breaker {
                rule: breaker.id().clone(),
                withdrawal: self.withdrawal,
            },
        };
        breaker.freezes().iter().map(tripped).collect()
    }

    fn scope(&self, frozen: Frozen) -> FreezeScope {
        match frozen {
            Frozen::All => FreezeScope::All,
            Frozen::Wallet => FreezeScope::Wallet(self.request.wallet.clone()),
            Frozen::Network => FreezeScope::Network(self.request.network.clone()),
            Frozen::Initiator => FreezeScope::Initiator(self.initiator.clone()),
            Frozen::Tenant => FreezeScope::Tenant(self.request.tenant.clone()),
        }
    }

    fn topic(&self, trip: Trip) -> String {
        match trip {
            Trip::RejectionsOnLineage(_) => rejections(self.withdrawal),
            Trip::NewDestinations(..) => destinations(&self.request.wallet),
            Trip::Networks(..) => NETWORKS.to_owned(),
        }
    }

    fn count(&self, trip: Trip, view: &LedgerView, adds: &Adds, now: Timestamp) -> u64 {
        let topic = self.topic(trip);
        let tally = |within| {
            let query = TallyQuery {
                topic: topic.clone(),
                within,
            };
            // One that was not read would be a hole: it counts as reached.
            view.tallies.get(&query)
        };
        let is_marked = |name: &String| view.marked.get(&(topic.clone(), name.clone()));
        match (trip, &adds.paid) {
            (Trip::RejectionsOnLineage(_), _) => {
                let known = view
                    .marks
                    .get(&topic)
                    .map(|marks| marks.keys().cloned())
                    .into_iter()
                    .flatten();
                let names: BTreeSet<String> = known.chain(adds.rejections.iter().cloned()).collect();
                count(names.len())
            }
            (Trip::NewDestinations(_, within), Some(paid)) if !paid.is_empty() => {
                let new = paid.iter().filter(|name| is_marked(name).is_none()).count();
                tally(within).map_or(u64::MAX, |tally| tally.first.saturating_add(count(new)))
            }
            (Trip::Networks(_, within), Some(paid)) if !paid.is_empty() => {
                let network = self.request.network.to_string();
                let is_active = is_marked(&network).is_some_and(|mark| mark.is_within(within, now));
                tally(within).map_or(u64::MAX, |tally| tally.last.saturating_add(u64::from(!is_active)))
            }
            // Where nothing is paid, nothing is added to a window.
            (Trip::NewDestinations(..) | Trip::Networks(..), _) => 0,
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
