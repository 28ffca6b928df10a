//! What the proposals of a group ask for, each thing once.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{UsageQuery, Window};
use countersign_signer::{Reads, TallyQuery};
use countersign_types::{
    ChainId, ConflictKey, CounterId, Destination, FreezeId, ListId, PaymentReference, PrincipalId, Reference,
    RequestDigest, StatementDigest, StatementNonce, TenantId, Timestamp,
};

use crate::error::StepError;

/// Things that one proposal may look up: every input and every payment of the largest transaction, and room. What the
/// proposals of a group look up together is at most as much.
pub const MAX_READS: usize = 8_192;
/// Withdrawals that are looked up together: each comes with the bytes of all of its attempts.
const MAX_REQUESTS: usize = 64;
/// Distinct windows of one proposal: every window of two policies. No bundle loads that could ask for more.
pub const MAX_WINDOWS: usize = 2 * countersign_policy::MAX_WINDOWS;

/// The things, as [`Reads`] has them.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) requests: BTreeSet<RequestDigest>,
    pub(crate) references: BTreeSet<(TenantId, Reference)>,
    pub(crate) payments: BTreeSet<(TenantId, PaymentReference)>,
    pub(crate) conflict_keys: BTreeSet<ConflictKey>,
    pub(crate) statements: BTreeSet<StatementDigest>,
    pub(crate) nonces: BTreeSet<(PrincipalId, StatementNonce)>,
    pub(crate) voices: BTreeSet<(RequestDigest, PrincipalId)>,
    pub(crate) sequences: BTreeSet<(PrincipalId, ChainId)>,
    pub(crate) freezes: bool,
    pub(crate) marks: BTreeSet<String>,
    pub(crate) made: BTreeSet<FreezeId>,
    pub(crate) matters: BTreeSet<(PrincipalId, String)>,
    pub(crate) destinations: BTreeSet<Destination>,
    pub(crate) lists: BTreeSet<ListId>,
    pub(crate) tallies: BTreeSet<TallyQuery>,
    pub(crate) marked: BTreeSet<(String, String)>,
    pub(crate) counters: BTreeSet<CounterId>,
    /// Where the windows of a counter begin: the last moment outside. What aged later, counts.
    pub(crate) outside: BTreeSet<(CounterId, Timestamp)>,
    /// Counters with the lineage whose charges on them are asked for.
    pub(crate) charges: BTreeSet<(RequestDigest, CounterId)>,
    pub(crate) spends_since: Option<Timestamp>,
}

impl Needs {
    /// Of one proposal. Refused where it asks for too much.
    pub(crate) fn of(reads: &Reads, now: Timestamp) -> Result<Self, StepError> {
        refuse_too_many(reads)?;
        let Reads {
            request,
            reference,
            payments,
            conflict_keys,
            statements,
            nonces,
            voices,
            usage,
            spends_since,
            sequences,
            freezes,
            marks,
            made,
            matters,
            destinations,
            lists,
            tallies,
            marked,
        } = reads;
        let mut needs = Self {
            requests: request.iter().copied().collect(),
            references: reference.iter().cloned().collect(),
            payments: payments.iter().cloned().collect(),
            conflict_keys: conflict_keys.iter().cloned().collect(),
            statements: statements.iter().copied().collect(),
            nonces: nonces.iter().cloned().collect(),
            voices: voices.iter().cloned().collect(),
            sequences: sequences.iter().cloned().collect(),
            // Whatever reads a withdrawal reads the freezes: no decision about one can forget them.
            freezes: *freezes || request.is_some(),
            marks: marks.iter().cloned().collect(),
            made: made.iter().copied().collect(),
            matters: matters.iter().cloned().collect(),
            destinations: destinations.iter().cloned().collect(),
            lists: lists.iter().cloned().collect(),
            tallies: tallies.iter().cloned().collect(),
            marked: marked.iter().cloned().collect(),
            spends_since: *spends_since,
            ..Self::default()
        };
        let mut windows = Windows::default();
        for UsageQuery { counter, window } in usage {
            needs.counters.insert(*counter);
            let outside = windows.outside(window, now);
            needs.outside.extend(outside.map(|outside| (*counter, outside)));
            needs.charges.extend(request.map(|request| (request, *counter)));
        }
        if windows.0.len() > MAX_WINDOWS {
            return Err(StepError::Refused(format!(
                "more than {MAX_WINDOWS} windows in one proposal"
            )));
        }
        Ok(needs)
    }

    /// Takes in what another proposal asks for. Not where that is too much together, or better asked alone.
    pub(crate) fn join(&mut self, other: Self) -> bool {
        let is_too_much = self.len().saturating_add(other.len()) > MAX_READS
            || self.requests.len().saturating_add(other.requests.len()) > MAX_REQUESTS;
        if other.spends_since.is_some() || is_too_much {
            return false;
        }
        self.requests.extend(other.requests);
        self.references.extend(other.references);
        self.payments.extend(other.payments);
        self.conflict_keys.extend(other.conflict_keys);
        self.statements.extend(other.statements);
        self.nonces.extend(other.nonces);
        self.voices.extend(other.voices);
        self.sequences.extend(other.sequences);
        self.freezes |= other.freezes;
        self.marks.extend(other.marks);
        self.made.extend(other.made);
        self.matters.extend(other.matters);
        self.destinations.extend(other.destinations);
        self.lists.extend(other.lists);
        self.tallies.extend(other.tallies);
        self.marked.extend(other.marked);
        self.counters.extend(other.counters);
        self.outside.extend(other.outside);
        self.charges.extend(other.charges);
        true
    }

    fn len(&self) -> usize {
        let counts = [
            self.requests.len(),
            self.references.len(),
            self.payments.len(),
            self.conflict_keys.len(),
            self.statements.len(),
            self.nonces.len(),
            self.voices.len(),
            self.sequences.len(),
            self.marks.len(),
            self.made.len(),
            self.matters.len(),
            self.destinations.len(),
            self.lists.len(),
            self.tallies.len(),
            self.marked.len(),
            self.counters.len(),
            self.outside.len(),
            self.charges.len(),
        ];
        counts.into_iter().fold(0, usize::saturating_add)
    }
}

/// Where windows begin, each looked up in its calendar once.
#[derive(Default)]
pub(crate) struct Windows(BTreeMap<Window, Option<Timestamp>>);

impl Windows {
    /// The last moment outside of it; `None` where it counts no history.
    pub(crate) fn outside(&mut self, window: &Window, now: Timestamp) -> Option<Timestamp> {
        if let Some(outside) = self.0.get(window) {
            return *outside;
        }
        let outside = window.last_outside(now);
        self.0.insert(window.clone(), outside);
        outside
    }
}

fn refuse_too_many(reads: &Reads) -> Result<(), StepError> {
    let counts = [
        reads.payments.len(),
        reads.conflict_keys.len(),
        reads.statements.len(),
        reads.nonces.len(),
        reads.voices.len(),
        reads.sequences.len(),
        reads.matters.len(),
        reads.destinations.len(),
        reads.lists.len(),
        reads.usage.len(),
        reads.marks.len(),
        reads.made.len(),
        reads.tallies.len(),
        reads.marked.len(),
    ];
    let total = counts.into_iter().fold(0, usize::saturating_add);
    if total > MAX_READS {
        return Err(StepError::Refused(format!(
            "a proposal reads {total} things; at most {MAX_READS} are looked up"
        )));
    }
    Ok(())
}
