//! What services say about a withdrawal, for whoever approves it.

use std::{collections::BTreeMap, fmt};

use countersign_approval::{Attestation as Stated, BookState, Payment, ScreeningResult, Verified};
use countersign_bundle::Bundle;
use countersign_decision::{DecisionEntry, Seen};
use countersign_types::{PrincipalId, Tag};
use serde::Serialize;

/// One attestation, in words; its signature holds under the roster in force.
#[derive(Debug, Serialize)]
pub(super) struct Attestation {
    by: PrincipalId,
    says: String,
    /// Why it does not count.
    discounted: Option<Tag>,
}

impl fmt::Display for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.by, self.says)?;
        match self.discounted {
            Some(tag) => write!(f, " (does not count: {tag})"),
            None => Ok(()),
        }
    }
}

/// The attestations among the statements, with what the decision made of them.
pub(super) fn among(statements: &[Seen], entry: &DecisionEntry) -> Vec<Attestation> {
    let attestation = |seen: &Seen| {
        let verified = seen.verified.as_ref().ok()?;
        let considered = entry.statements.iter().find(|one| one.statement == seen.digest);
        Some(Attestation {
            by: verified.signer().clone(),
            says: said(verified)?,
            discounted: considered.and_then(|considered| considered.discounted),
        })
    };
    statements.iter().filter_map(attestation).collect()
}

/// Whether a decision counted a statement, or had no reason not to.
pub(super) fn counts(entry: &DecisionEntry, seen: &Seen) -> bool {
    let considered = entry.statements.iter().find(|one| one.statement == seen.digest);
    considered.is_none_or(|considered| considered.discounted.is_none())
}

/// The services whose books have a payment's destination for its customer, by their latest word; only those that the policy looks into.
pub(super) fn books(
    statements: &[Seen],
    entry: &DecisionEntry,
    payment: &Payment,
    bundle: &Bundle,
) -> Vec<PrincipalId> {
    let mut latest: BTreeMap<&PrincipalId, (u64, bool)> = BTreeMap::new();
    for verified in statements
        .iter()
        .filter(|seen| counts(entry, seen))
        .filter_map(|seen| seen.verified.as_ref().ok())
    {
        let Some(Stated::AddressBook(said)) = verified.statement().body.attestation() else {
            continue;
        };
        if payment.subject.as_ref() == Some(&said.subject) && payment.destination == said.destination {
            // Of two words with one number the removal counts.
            let word = (said.sequence, said.entry == BookState::Removed);
            let held = latest.entry(verified.signer()).or_insert(word);
            *held = word.max(*held);
        }
    }
    let asked = &bundle.policy().wants().books;
    let having = latest
        .into_iter()
        .filter(|(service, (_, is_removed))| !is_removed && asked.contains(*service));
    having.map(|(service, _)| service.clone()).collect()
}

fn said(verified: &Verified) -> Option<String> {
    Some(match verified.statement().body.attestation()? {
        Stated::Price(quote) => {
            let (asset, price, currency, at) = (&quote.asset, quote.price, quote.currency, quote.observed_at);
            format!("one {asset} is worth {price} {currency} ({at})")
        }
        Stated::Screening(screening) => {
            let word = match screening.result {
                ScreeningResult::Pass => "passed",
                ScreeningResult::Fail => "FAILED",
            };
            let (amount, asset, at) = (screening.amount, &screening.asset, screening.screened_at);
            let (check, destination) = (screening.check, &screening.destination);
            format!("{check} {word} for {amount} {asset} to {destination} ({at})")
        }
        Stated::AddressBook(entry) => {
            let (subject, destination) = (&entry.subject, &entry.destination);
            match entry.entry {
                BookState::Registered { at } => format!("{destination} is of {subject} since {at}"),
                BookState::Removed => format!("{destination} is NOT of {subject} any more"),
            }
        }
    })
}
