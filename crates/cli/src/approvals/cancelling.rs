//! A cancel attempt as an approver sees it: who cancelled, why, and what it may cost (docs/adr/0037).

use std::fmt;

use countersign_approval::{Body, FeeCeiling, Kind, Verified};
use countersign_decision::{AttemptFact, Case, Decision, LedgerFacts, Seen};
use countersign_types::{ParsedTransaction, PrincipalId, Timestamp, TransactionDigest};
use serde::Serialize;

use super::{attested::counts, ceiling::named_by};

/// `{"by","reason"}`
#[derive(Debug, Serialize)]
pub(super) struct Cancelling {
    by: PrincipalId,
    /// In the words of that person or service.
    reason: String,
}

impl Cancelling {
    /// Who lets a cancel attempt cost what it may; `None` where the decision is about something else.
    pub(super) fn of(decision: &Decision, statements: &[Seen]) -> Option<Self> {
        let counted = statements
            .iter()
            .filter(|seen| decision.cancels && counts(&decision.entry, seen));
        let named = named_by(counted, &decision.fee_ceiling, of_cancel)?;
        Some(Self {
            by: named.0.clone(),
            reason: named.1.to_owned(),
        })
    }
}

fn of_cancel(body: &Body) -> Option<(&FeeCeiling, &str)> {
    let Body::Cancel(cancel) = body else { return None };
    Some((cancel.fee_ceiling.as_ref()?, &cancel.reason))
}

impl fmt::Display for Cancelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cancelled by {}", self.by)?;
        match self.reason.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.reason),
        }
    }
}

/// Decides as the signer does. A cancel attempt outlives its request, and takes the place of something that was signed when the request was valid.
pub(super) fn decide(case: &Case<'_>) -> Decision {
    let decision = countersign_decision::decide(case);
    if !decision.cancels {
        return decision;
    }
    countersign_decision::decide(&Case {
        first_seen_at: issued_at(case.verified).min(case.now),
        ledger: &beside_a_payment(case.ledger.clone(), case.reading.parsed().ok()),
        ..*case
    })
}

/// A ledger with something to take the place of: what is signed, and whether the bytes exclude all of it, only the signer knows.
fn beside_a_payment(ledger: LedgerFacts, parsed: Option<&ParsedTransaction>) -> LedgerFacts {
    let attempt = |parsed: &ParsedTransaction| AttemptFact {
        number: 1,
        transaction: TransactionDigest::of(b"what is signed"),
        anchor: parsed.conflict_keys().first().cloned(),
        txid: None,
    };
    LedgerFacts {
        attempts: parsed.map(attempt).into_iter().collect(),
        ..ledger
    }
}

/// When a statement is taken to have been seen first. Cancels and raised ceilings that were valid when the signer saw them stay, and it
/// was the signer who saw them: an approver may come when their time on the way is over.
pub(super) fn first_seen_at(verified: Option<&Verified>, now: Timestamp) -> Timestamp {
    let Some(verified) = verified else { return now };
    let stays = matches!(verified.envelope().kind(), Kind::Cancel | Kind::Replace);
    match stays {
        true => issued_at(verified).min(now),
        false => now,
    }
}

/// When something was said, in its own words.
fn issued_at(verified: &Verified) -> Timestamp {
    verified.statement().header.validity.issued_at().to_timestamp()
}
