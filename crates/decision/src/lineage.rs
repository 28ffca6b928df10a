//! Lineage: never pay twice (DESIGN.md §6).
//!
//! All authorized attempts of one request exclude each other on chain: each keeps the first attempt's anchor. From its
//! authorization on, an attempt counts as signed, whether or not the token answered.

use countersign_approval::Request;
use countersign_types::{ConflictKey, ParsedTransaction, Tag, TransactionDigest};

use crate::{LedgerFacts, Reason, decide::MAX_ATTEMPTS};

/// Where an attempt stands in its lineage, if it may stand there.
pub(crate) struct Place {
    /// The attempt's number, from 1; an authorized attempt keeps its own.
    pub(crate) attempt: u32,
}

/// What the ledger knows of the request itself, before any bytes.
pub(crate) fn conflicts(request: &Request, ledger: &LedgerFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(owner) = &ledger.reference_owner {
        let message = format!(
            "reference `{}` of tenant `{}` already names request {owner}",
            request.reference, request.tenant
        );
        reasons.push(Reason::new(Tag::ReferenceConflict, message));
    }
    for (payment, owner) in &ledger.payment_owners {
        reasons.push(Reason::new(
            Tag::PaymentAlreadyClaimed,
            format!("payment `{payment}` is signed under request {owner}"),
        ));
    }
    if let Some(tag) = ledger.ended {
        let message = format!("it ended for good: {}", tag.meaning());
        reasons.push(Reason::new(tag, message));
    }
    reasons
}

/// Places an attempt, or says why it cannot be signed beside what is signed already.
pub(crate) fn place(
    transaction: TransactionDigest,
    parsed: &ParsedTransaction,
    first_nonce: Option<u64>,
    ledger: &LedgerFacts,
) -> Result<Place, Vec<Reason>> {
    let known = ledger
        .attempts
        .iter()
        .find(|attempt| attempt.transaction == transaction);
    if let Some(known) = known {
        // The same bytes again: no new claim, and the anchor is the lineage's by construction.
        return Ok(Place { attempt: known.number });
    }
    let mut reasons = Vec::new();
    reasons.extend(anchor(parsed, ledger));
    for key in parsed.conflict_keys() {
        reasons.extend(claim(key, first_nonce, ledger));
    }
    let highest = ledger.attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0);
    let attempt = highest.saturating_add(1);
    if attempt > MAX_ATTEMPTS {
        let message = format!("the withdrawal has {highest} signed attempts; at most {MAX_ATTEMPTS} are accepted");
        reasons.push(Reason::new(Tag::LineageTooManyAttempts, message));
    }
    if reasons.is_empty() {
        Ok(Place { attempt })
    } else {
        Err(reasons)
    }
}

/// While any attempt counts as signed, a new one must exclude it: it has the first attempt's anchor among its keys.
fn anchor(parsed: &ParsedTransaction, ledger: &LedgerFacts) -> Option<Reason> {
    let first = ledger.attempts.iter().min_by_key(|attempt| attempt.number)?;
    let keeps = |anchor: &String| parsed.conflict_keys().iter().any(|key| key.to_string() == *anchor);
    match &first.anchor {
        Some(anchor) if keeps(anchor) => None,
        Some(anchor) => Some(Reason::new(
            Tag::LineageAnchorChanged,
            format!(
                "attempt {} is signed and not provably dead; a new attempt must keep its {anchor}",
                first.number
            ),
        )),
        None => Some(Reason::new(
            Tag::LineageAnchorChanged,
            format!(
                "attempt {} is signed and excludes nothing; it must be provably dead first",
                first.number
            ),
        )),
    }
}

fn claim(key: &ConflictKey, first_nonce: Option<u64>, ledger: &LedgerFacts) -> Option<Reason> {
    if let Some(owner) = ledger.conflict_owners.get(&key.to_string()) {
        return Some(Reason::new(
            Tag::ConflictKeyTaken,
            format!("{key} belongs to request {owner}{}", hint(key, ledger)),
        ));
    }
    match key {
        ConflictKey::AccountNonce { account, nonce } => {
            let lineage_holds = ledger
                .attempts
                .iter()
                .any(|attempt| attempt.anchor.as_ref() == Some(&key.to_string()));
            let next = ledger.next_nonces.get(account).copied().or(first_nonce);
            nonce_gap(*nonce, next, lineage_holds)
        }
        // Outpoints and nonce accounts have no order: only ownership counts.
        ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
    }
}

/// New nonces follow the journal without gaps: a later nonce would be a signature that waits for somebody to fill the gap.
fn nonce_gap(nonce: u64, next: Option<u64>, lineage_holds: bool) -> Option<Reason> {
    let Some(next) = next else {
        return Some(Reason::new(
            Tag::ConflictKeyGap,
            "the wallet record names no first nonce for the network",
        ));
    };
    match nonce.cmp(&next) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less if lineage_holds => None,
        std::cmp::Ordering::Less => Some(Reason::new(
            Tag::ConflictKeyTaken,
            format!("nonce {nonce} is not ours to use; the next one is {next}"),
        )),
        std::cmp::Ordering::Greater => Some(Reason::new(
            Tag::ConflictKeyGap,
            format!("nonce {nonce} leaves a gap; the next one is {next}"),
        )),
    }
}

fn hint(key: &ConflictKey, ledger: &LedgerFacts) -> String {
    match key {
        ConflictKey::AccountNonce { account, .. } => ledger
            .next_nonces
            .get(account)
            .map(|next| format!("; the next nonce is {next}"))
            .unwrap_or_default(),
        ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => String::new(),
    }
}
