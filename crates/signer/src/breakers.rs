//! Breakers: what looks like an attack makes the signer freeze by itself (docs/adr/0017).
//!
//! Counts come from marks of the journal, which the same transaction writes; nobody in front of the signer can leave one out.

use std::collections::BTreeSet;

use countersign_approval::{FreezeScope, Kind, Request, Roster, Verified};
use countersign_bundle::Bundle;
use countersign_decision::{EntryError, FreezeCause, FreezeFact, Seen};
use countersign_policy::{Breaker, Frozen, Policy, Trip};
use countersign_types::{
    Destination, Effect, FreezeId, ParsedTransaction, PrincipalId, Timestamp, WalletId, WithdrawalId,
};

use crate::{LedgerView, TallyQuery, Write, changes::Changes, freezes::freeze_now, watch::ForeignSpend};

/// What networks with authorized payments are marked under.
const NETWORKS: &str = "networks";
/// What the freezes are marked under that a breaker would have made of a scope that was frozen already.
const COVERED: &str = "tripped while frozen";

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

/// What breakers ask for.
#[derive(Default)]
pub(crate) struct Trips {
    /// What is to be frozen.
    pub(crate) freezes: Vec<Tripped>,
    /// What would have been: the scope is frozen already, and nothing ends that yet.
    covered: Vec<FreezeId>,
}

impl Trips {
    /// What is not frozen for a withdrawal now is not frozen for it later: it tripped once.
    pub(crate) fn marks(&self) -> impl Iterator<Item = Write> {
        let mark = |(topic, name)| Write::Mark { topic, name };
        self.covered.iter().map(covered).map(mark)
    }
}

fn covered(freeze: &FreezeId) -> (String, String) {
    (COVERED.to_owned(), freeze.to_string())
}

/// The scopes that are frozen with nothing on its way to end it.
pub(crate) fn frozen(view: &LedgerView) -> BTreeSet<FreezeScope> {
    let stays = view.freezes.iter().filter(|freeze| freeze.thaws_at.is_none());
    stays.map(|freeze| freeze.scope.clone()).collect()
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

/// Who rejects among the statements about a withdrawal, and whose approvals have run out before anything was signed. Journaled ones
/// count as well: they may have come with another withdrawal, or with what became of an attempt, where no breaker was asked. So does
/// what a decision never looks at, because something else denies.
pub(crate) fn heard(roster: &Roster, statements: &[Seen], is_signed: bool, now: Timestamp) -> BTreeSet<String> {
    let verified = statements.iter().filter_map(|seen| seen.verified.as_ref().ok());
    let voices = verified.filter(|verified| is_voice(roster, verified.signer()));
    let name = |verified: &Verified| match verified.envelope().kind() {
        Kind::Rejection => Some(verified.signer().to_string()),
        Kind::Approval => {
            let has_run_out = verified.statement().header.validity.is_expired(now);
            (has_run_out && !is_signed).then(|| format!("expired {}", verified.signer()))
        }
        Kind::Request
        | Kind::Cancel
        | Kind::Replace
        | Kind::Activation
        | Kind::Veto
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Observation
        | Kind::Price
        | Kind::Screening
        | Kind::AddressBook => None,
    };
    voices.filter_map(name).collect()
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

    /// Those that were left out because their scope was frozen.
    pub(crate) fn covered(&self) -> Vec<(String, String)> {
        self.possible().iter().map(covered).collect()
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

    /// The freezes that the breakers ask for now and did not before. One of a scope that is in `frozen` stops nothing more, and thousands of
    /// them would have to be thawed one by one; what is to be frozen is in it from now on.
    pub(crate) fn tripped(
        &self,
        (view, now): (&LedgerView, Timestamp),
        adds: &Adds,
        frozen: &mut BTreeSet<FreezeScope>,
    ) -> Trips {
        let reached = |breaker: &&Breaker| {
            let trip = breaker.trip();
            trip.is_reached(self.count(trip, view, adds, now))
        };
        let breakers = self.policy().breakers().filter(reached);
        let is_new = |freeze: &FreezeId| !view.made.contains(freeze) && !view.marked.contains_key(&covered(freeze));
        let mut trips = Trips::default();
        for one in breakers.flat_map(|breaker| self.freezes(breaker)) {
            let freeze = one.cause.freeze(&one.scope);
            match is_new(&freeze) {
                true if frozen.insert(one.scope.clone()) => trips.freezes.push(one),
                true => trips.covered.push(freeze),
                false => {}
            }
        }
        trips
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
