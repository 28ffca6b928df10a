//! The ledger as a decision sees it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_decision::{AttemptFact, LedgerFacts};
use countersign_types::{ConflictKey, Destination, RequestDigest};

use crate::{AttemptRecord, LedgerView, freezes::freeze_fact, prepare::Prepared};

/// The most owners of payments, and of conflict keys, that an entry names: one of them is enough for a no.
const MAX_OWNERS: usize = 32;

/// The view, reduced to what the decision and its auditors need.
pub(crate) fn ledger_facts(view: &LedgerView, prepared: &Prepared) -> LedgerFacts {
    let request = prepared.decoded.digest;
    let record = view.withdrawal.as_ref();
    let attempts = record.map(|record| record.attempts.as_slice()).unwrap_or_default();
    // Not of what other attempts leave over, which was looked up beside it.
    let used_up = prepared.used_up();
    let owner = |key| Some((key, *view.conflict_owners.get(key)?));
    let of_bytes: BTreeMap<&ConflictKey, RequestDigest> = used_up.iter().filter_map(owner).collect();
    let accounts: BTreeSet<&Destination> = used_up.iter().filter_map(account).collect();
    LedgerFacts {
        epoch: view.epoch,
        reference_owner: view.reference_owner.filter(|owner| *owner != request),
        payment_owners: view
            .payment_owners
            .iter()
            .filter(|(_, owner)| **owner != request)
            .take(MAX_OWNERS)
            .map(|((_, payment), owner)| (payment.clone(), *owner))
            .collect(),
        conflict_owners: of_bytes
            .iter()
            .filter(|(_, owner)| **owner != request)
            .take(MAX_OWNERS)
            .map(|(key, owner)| (key.to_string(), *owner))
            .collect(),
        next_nonces: view
            .next_nonces
            .iter()
            .filter(|(account, _)| accounts.contains(account))
            .map(|(account, next)| (account.clone(), *next))
            .collect(),
        own_nonces: own_nonces(&of_bytes, request),
        ended: record.and_then(|record| record.ended),
        attempts: attempt_facts(attempts, used_up),
        usage: view.usage.clone(),
        freezes: view.freezes.iter().map(freeze_fact).collect(),
        standing: BTreeMap::new(),
        failed: BTreeSet::new(),
        destinations: None,
    }
}

/// The account of a nonce.
fn account(key: &ConflictKey) -> Option<&Destination> {
    match key {
        ConflictKey::AccountNonce { account, .. } => Some(account),
        ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
    }
}

/// The nonces of the bytes that the withdrawal itself has claimed.
fn own_nonces(of_bytes: &BTreeMap<&ConflictKey, RequestDigest>, request: RequestDigest) -> Vec<String> {
    let own = of_bytes
        .iter()
        .filter(|(key, owner)| account(key).is_some() && **owner == request);
    own.take(MAX_OWNERS).map(|(key, _)| key.to_string()).collect()
}

/// An attempt keeps the anchor of the one before it, where that is among its keys: it was authorized because it does, or
/// because every earlier one was provably dead. Beside bytes that lack it, an outpoint that both spend stands for it: that excludes as
/// well, and whether an anchor is on any chain nobody can tell.
fn attempt_facts(attempts: &[AttemptRecord], used_up: &[ConflictKey]) -> Vec<AttemptFact> {
    let used_up: BTreeSet<&ConflictKey> = used_up.iter().collect();
    let is_shared_outpoint = |key: &&ConflictKey| is_outpoint(key) && used_up.contains(key);
    let mut anchor: Option<&ConflictKey> = None;
    let mut facts = Vec::new();
    for attempt in attempts {
        let keys = &attempt.conflict_keys;
        anchor = anchor.filter(|anchor| keys.contains(anchor)).or(keys.first());
        let kept = anchor.filter(|anchor| used_up.contains(anchor));
        let shared = kept.or_else(|| keys.iter().find(is_shared_outpoint));
        facts.push(AttemptFact {
            number: attempt.number,
            transaction: attempt.transaction,
            anchor: shared.or(anchor).cloned(),
            txid: attempt.signed.as_ref().map(|signed| signed.transaction.txid.clone()),
        });
    }
    facts
}

/// One of several nonces of a transaction excludes less: the chain passes over an authorization (EIP-7702) whose nonce is used.
fn is_outpoint(key: &ConflictKey) -> bool {
    match key {
        ConflictKey::Outpoint { .. } => true,
        ConflictKey::AccountNonce { .. } | ConflictKey::NonceAccount { .. } => false,
    }
}
