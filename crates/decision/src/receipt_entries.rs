//! What a receipt's log entries say, in their order.

use countersign_types::{BundleDigest, StatementDigest, WithdrawalId};

use crate::{DecisionEntry, Entry, ReceiptError, SignatureEntry, receipt_error::broken};

/// The bundle in force at a place of the log.
fn in_force_at(entries: &[Entry], is_here: impl Fn(&Entry) -> bool) -> Option<BundleDigest> {
    let activated = |entry: &Entry| match entry {
        Entry::Activation(activation) => Some(activation.bundle),
        Entry::Genesis(_)
        | Entry::Request(_)
        | Entry::Statement(_)
        | Entry::Decision(_)
        | Entry::Signature(_)
        | Entry::Freeze(_)
        | Entry::Thaw(_) => None,
    };
    let before = entries.iter().take_while(|entry| !is_here(entry));
    before.filter_map(activated).last()
}

/// A decision is taken under the bundle in force at its place in the log, and under the one in force where the request was first
/// seen: nobody goes back to an older one that is in the chain as well.
pub(crate) fn verify_in_force(entries: &[Entry], allowed: &DecisionEntry) -> Result<(), ReceiptError> {
    let is_request =
        |entry: &Entry| matches!(entry, Entry::Request(seen) if seen.withdrawals.contains(&allowed.withdrawal));
    let first = in_force_at(entries, is_request);
    let active = in_force_at(entries, |entry| as_decision(entry) == Some(allowed));
    if (first, active) == (Some(allowed.first_bundle), Some(allowed.bundle)) {
        return Ok(());
    }
    Err(broken(
        "the decision was not taken under the bundles that were in force then and where the request was first seen",
    ))
}

/// Signatures are recorded behind their decision, under the same bundle, before the authorization runs out (docs/adr/0008).
pub(crate) fn verify_recorded(
    entries: &[Entry],
    decision: &DecisionEntry,
    recorded: &SignatureEntry,
) -> Result<(), ReceiptError> {
    let is_here = |entry: &Entry| matches!(entry, Entry::Signature(signature) if signature == recorded);
    let is_behind = entries
        .iter()
        .take_while(|entry| !is_here(entry))
        .any(|entry| as_decision(entry) == Some(decision));
    let authorization = decision.authorization.as_ref();
    let is_in_time = authorization.is_some_and(|authorization| recorded.recorded_at < authorization.sign_by);
    if is_behind && is_in_time && in_force_at(entries, is_here) == Some(decision.bundle) {
        return Ok(());
    }
    Err(broken(
        "the signature was not recorded in time, behind its decision and under its bundle",
    ))
}

pub(crate) fn last_decision(entries: &[Entry]) -> Option<&DecisionEntry> {
    entries.iter().rev().find_map(as_decision)
}

pub(crate) fn last_allowed(entries: &[Entry], is_wanted: impl Fn(&DecisionEntry) -> bool) -> Option<&DecisionEntry> {
    let decisions = entries.iter().rev().filter_map(as_decision);
    decisions
        .filter(|entry| entry.authorization.is_some())
        .find(|entry| is_wanted(entry))
}

/// The decision under which the withdrawal was signed first: from it on it counts, whatever took the place of what was signed.
pub(crate) fn first_signed(entries: &[Entry]) -> Option<&DecisionEntry> {
    let mut decisions = entries.iter().filter_map(as_decision);
    decisions.find(|decision| signature_of(entries, decision).is_some())
}

/// The signature that was made under a decision's authorization.
pub(crate) fn signature_of<'e>(entries: &'e [Entry], decision: &DecisionEntry) -> Option<&'e SignatureEntry> {
    let authorization = decision.authorization.as_ref()?.id;
    entries.iter().rev().find_map(|entry| match entry {
        Entry::Signature(signature) if signature.authorization == authorization => Some(signature),
        Entry::Signature(_)
        | Entry::Freeze(_)
        | Entry::Thaw(_)
        | Entry::Genesis(_)
        | Entry::Activation(_)
        | Entry::Request(_)
        | Entry::Statement(_)
        | Entry::Decision(_) => None,
    })
}

pub(crate) fn as_decision(entry: &Entry) -> Option<&DecisionEntry> {
    match entry {
        Entry::Decision(decision) => Some(decision),
        Entry::Genesis(_)
        | Entry::Activation(_)
        | Entry::Request(_)
        | Entry::Statement(_)
        | Entry::Signature(_)
        | Entry::Freeze(_)
        | Entry::Thaw(_) => None,
    }
}

pub(crate) fn as_statement_about(entry: &Entry, withdrawal: WithdrawalId) -> Option<StatementDigest> {
    match entry {
        Entry::Statement(entry) => entry.withdrawals.contains(&withdrawal).then_some(entry.statement),
        Entry::Genesis(_)
        | Entry::Activation(_)
        | Entry::Request(_)
        | Entry::Decision(_)
        | Entry::Signature(_)
        | Entry::Freeze(_)
        | Entry::Thaw(_) => None,
    }
}

pub(crate) fn last_signature(entries: &[Entry]) -> Option<&SignatureEntry> {
    entries.iter().rev().find_map(|entry| match entry {
        Entry::Signature(signature) => Some(signature),
        Entry::Genesis(_)
        | Entry::Activation(_)
        | Entry::Request(_)
        | Entry::Statement(_)
        | Entry::Decision(_)
        | Entry::Freeze(_)
        | Entry::Thaw(_) => None,
    })
}
