//! What was found of the things that a group's proposals ask for; the view of each is made from it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_signer::{
    AttemptRecord, FreezeRecord, LastWord, LedgerView, Marked, Reads, SpendRecord, Tally, TallyQuery, WithdrawalRecord,
};
use countersign_types::{
    Amount, ChainId, ConflictKey, CounterId, Destination, FreezeId, ListId, PaymentReference, PrincipalId, Reference,
    RequestDigest, StatementDigest, StatementNonce, TenantId, Timestamp,
};

use crate::{
    charged::{Charged, Stage},
    codec::account_nonce,
    counters::Sums,
    error::StepError,
    pending::Pending,
    usage::usage,
    view::InForce,
};

/// By key, as [`LedgerView`] has it.
#[derive(Default)]
pub(crate) struct Seen {
    /// Without their attempts.
    pub(crate) withdrawals: BTreeMap<RequestDigest, WithdrawalRecord>,
    pub(crate) attempts: BTreeMap<RequestDigest, Vec<AttemptRecord>>,
    /// In the order of first sight.
    pub(crate) about: BTreeMap<RequestDigest, BTreeSet<(i64, StatementDigest)>>,
    pub(crate) reference_owners: BTreeMap<(TenantId, Reference), RequestDigest>,
    pub(crate) payment_owners: BTreeMap<(TenantId, PaymentReference), RequestDigest>,
    pub(crate) conflict_owners: BTreeMap<ConflictKey, RequestDigest>,
    pub(crate) next_nonces: BTreeMap<Destination, u64>,
    pub(crate) statements: BTreeMap<StatementDigest, Timestamp>,
    pub(crate) nonce_owners: BTreeMap<(PrincipalId, StatementNonce), StatementDigest>,
    pub(crate) voices: BTreeMap<(RequestDigest, PrincipalId), u64>,
    pub(crate) sequences: BTreeMap<(PrincipalId, ChainId), u64>,
    pub(crate) matters: BTreeMap<(PrincipalId, String), LastWord>,
    /// By which withdrawal first, and whether by another one as well.
    pub(crate) paid: BTreeMap<Destination, (RequestDigest, bool)>,
    pub(crate) listed: BTreeMap<Destination, Timestamp>,
    pub(crate) lists: BTreeMap<ListId, Timestamp>,
    /// Those that end first before the others, then in the order in which they were made.
    pub(crate) freezes: BTreeMap<(i64, i64), FreezeRecord>,
    pub(crate) freezes_made: u64,
    pub(crate) marks: BTreeMap<String, BTreeMap<String, Timestamp>>,
    pub(crate) made: BTreeSet<FreezeId>,
    pub(crate) tallies: BTreeMap<TallyQuery, Tally>,
    pub(crate) marked: BTreeMap<(String, String), Marked>,
    pub(crate) counters: BTreeMap<CounterId, Sums>,
    pub(crate) outside: BTreeMap<(CounterId, Timestamp), Amount>,
    /// The amounts, until their stages are known.
    pub(crate) amounts: Vec<(RequestDigest, CounterId, u32, Amount)>,
    pub(crate) stages: BTreeMap<(RequestDigest, u32), Stage>,
    pub(crate) charged: BTreeMap<(RequestDigest, CounterId), Charged>,
    pub(crate) spends: Vec<SpendRecord>,
}

/// Those of the keys that have something.
fn of<'k, K: Ord + Clone + 'k, V: Clone>(
    all: &BTreeMap<K, V>,
    keys: impl IntoIterator<Item = &'k K>,
) -> BTreeMap<K, V> {
    let found = keys
        .into_iter()
        .filter_map(|key| Some((key.clone(), all.get(key)?.clone())));
    found.collect()
}

impl Seen {
    /// What one proposal asked for, and nothing else, with what waits of it; but for the spends that still count, which are too
    /// many for two of them. The ledger learns what this says of counters and of the withdrawal's spends.
    pub(crate) fn view(
        &self,
        in_force: &InForce,
        reads: &Reads,
        pending: &mut Pending,
    ) -> Result<LedgerView, StepError> {
        let now = pending.moment();
        let withdrawal = reads.request.and_then(|request| self.withdrawal(request));
        if let Some(request) = reads.request
            && withdrawal.as_ref().is_none_or(|record| record.attempts.is_empty())
        {
            pending.ledger().note_unspent(request);
        }
        let accounts: BTreeSet<&Destination> = reads
            .conflict_keys
            .iter()
            .filter_map(account_nonce)
            .map(|(account, _)| account)
            .collect();
        let has_freezes = reads.freezes || reads.request.is_some();
        Ok(LedgerView {
            epoch: in_force.epoch,
            bundle: in_force.bundle.clone(),
            withdrawal,
            about: reads.request.map(|request| self.about(request)).unwrap_or_default(),
            reference_owner: reads
                .reference
                .as_ref()
                .and_then(|key| self.reference_owners.get(key))
                .copied(),
            payment_owners: of(&self.payment_owners, &reads.payments),
            conflict_owners: of(&self.conflict_owners, &reads.conflict_keys),
            next_nonces: self.next_nonces(accounts, pending),
            statements: of(&self.statements, &reads.statements),
            nonce_owners: of(&self.nonce_owners, &reads.nonces),
            voices: of(&self.voices, &reads.voices),
            sequences: of(&self.sequences, &reads.sequences),
            matters: of(&self.matters, &reads.matters),
            paid: self.paid_by_others(reads),
            listed: of(&self.listed, &reads.destinations),
            lists: of(&self.lists, &reads.lists),
            usage: usage(self, reads, now, pending.ledger())?,
            spends: Vec::new(),
            freezes: if has_freezes {
                self.freezes.values().cloned().collect()
            } else {
                Vec::new()
            },
            freezes_made: if has_freezes { self.freezes_made } else { 0 },
            marks: of(&self.marks, &reads.marks),
            made: reads
                .made
                .iter()
                .filter(|id| self.made.contains(*id))
                .copied()
                .collect(),
            tallies: of(&self.tallies, &reads.tallies),
            marked: of(&self.marked, &reads.marked),
        })
    }

    /// The record of a withdrawal; `None` where it was never journaled.
    pub(crate) fn withdrawal(&self, request: RequestDigest) -> Option<WithdrawalRecord> {
        let mut record = self.withdrawals.get(&request)?.clone();
        record.attempts = self.attempts.get(&request).cloned().unwrap_or_default();
        Some(record)
    }

    fn about(&self, request: RequestDigest) -> Vec<StatementDigest> {
        let about = self.about.get(&request).into_iter().flatten();
        about.map(|(_, digest)| *digest).collect()
    }

    /// While a group takes nonces that were given up, the next one may look further than it is. Who owns a nonce is asked beside it,
    /// so that one is refused or waits, and the next group knows better.
    fn next_nonces(&self, accounts: BTreeSet<&Destination>, pending: &Pending) -> BTreeMap<Destination, u64> {
        let next = |account: &Destination| self.next_nonces.get(account).copied().max(pending.next_nonce(account));
        let next = accounts
            .into_iter()
            .filter_map(|account| Some((account.clone(), next(account)?)));
        next.collect()
    }

    fn paid_by_others(&self, reads: &Reads) -> BTreeSet<Destination> {
        let is_others = |destination: &&Destination| {
            let paid = self.paid.get(*destination);
            paid.is_some_and(|(by, is_shared)| *is_shared || Some(*by) != reads.request)
        };
        reads.destinations.iter().filter(is_others).cloned().collect()
    }
}
