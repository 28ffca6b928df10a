//! What attestations are about, and which of them a later one replaces.
//!
//! What spoke for a payment until its service said something later counts no more, and a decision is without it: quotes and screenings that
//! passed come again with every attempt, and a lineage would run out of room for what its next attempt needs, a cancel attempt's quotes among it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{
    Attestation, Body, BookState, Envelope, Payment, Request, Screening, ScreeningResult, Statement, Verified,
};
use countersign_policy::Wants;
use countersign_types::{
    AssetId, AttestationKind, Destination, Effect, ParsedTransaction, PrincipalId, StatementDigest, WithdrawalId,
};

/// Whether an attestation says something that the policies of a withdrawal look at.
pub fn is_wanted(verified: &Verified, wants: &Wants, request: &Request, parsed: Option<&ParsedTransaction>) -> bool {
    let signer = verified.signer();
    let effects = parsed.map(ParsedTransaction::effects).unwrap_or_default();
    let Some(attestation) = verified.statement().body.attestation() else {
        return false;
    };
    match attestation {
        Attestation::Price(quote) => {
            wants.currencies.contains(&quote.currency)
                && effects.iter().any(|effect| effect.asset() == Some(&quote.asset))
        }
        Attestation::Screening(screening) => {
            let pays = |effect: &Effect| effect.destination() == Some(&screening.destination);
            wants.attesters.contains(signer) && effects.iter().any(pays)
        }
        Attestation::AddressBook(entry) => {
            let pays = |payment: &Payment| {
                payment.subject.as_ref() == Some(&entry.subject) && payment.destination == entry.destination
            };
            wants.books.contains(signer) && entry.tenant == request.tenant && request.payments.iter().any(pays)
        }
    }
}

/// What a screening is about, as [`matter`] names it.
pub fn screening_matter(
    (check, withdrawal): (AttestationKind, WithdrawalId),
    destination: &Destination,
    asset: &AssetId,
) -> String {
    format!("screening {check} {withdrawal} {destination} {asset}")
}

/// What an attestation is about, as the journal keeps its order: an attestation never stands behind a later one of the same
/// service on the same matter. `None` for other statements.
pub fn matter(verified: &Verified) -> Option<(String, u64)> {
    Some(match verified.statement().body.attestation()? {
        Attestation::Price(quote) => (format!("price {} {}", quote.asset, quote.currency), quote.sequence),
        Attestation::Screening(screening) => {
            let Screening {
                check,
                withdrawal,
                destination,
                asset,
                ..
            } = screening;
            let about = (*check, *withdrawal);
            (screening_matter(about, destination, asset), screening.sequence)
        }
        Attestation::AddressBook(entry) => {
            let (tenant, subject) = (&entry.tenant, &entry.subject);
            let matter = format!("address-book {tenant} {subject} {}", entry.destination);
            (matter, entry.sequence)
        }
    })
}

/// Whether a statement counts only together with the decision that it allows. Quotes and passed screenings go stale and come
/// again while people think: they are journaled once they were of use. What speaks against a payment is journaled at once.
pub fn is_passing(verified: &Verified) -> bool {
    match verified.statement().body.attestation() {
        Some(Attestation::Price(_)) => true,
        Some(Attestation::Screening(screening)) => screening.result == ScreeningResult::Pass,
        Some(Attestation::AddressBook(_)) | None => false,
    }
}

/// Whether a statement is a service's word for a payment. What it replaces by a later number counts for nothing.
pub fn speaks_for(verified: &Verified) -> bool {
    is_for(&verified.statement().body)
}

/// The same of a journaled statement that verifies no more, because its service has other keys or has left: it was verified when it was
/// journaled, and counts for nothing now.
pub fn spoke_for(envelope: &Envelope) -> bool {
    let statement = Statement::parse(envelope.kind(), envelope.payload());
    statement.is_ok_and(|statement| is_for(&statement.body))
}

fn is_for(body: &Body) -> bool {
    match body.attestation() {
        Some(Attestation::Price(_)) => true,
        Some(Attestation::Screening(screening)) => screening.result == ScreeningResult::Pass,
        Some(Attestation::AddressBook(entry)) => entry.entry != BookState::Removed,
        None => false,
    }
}

/// Those of the statements that spoke for a payment, and whose service has said something with a later number on the same matter in
/// another of them. No decision counts them, whatever the journal holds besides; of two with one number both stay.
pub fn outdated<'a>(statements: impl Iterator<Item = &'a Verified> + Clone) -> BTreeSet<StatementDigest> {
    let mut last: BTreeMap<(&PrincipalId, String), u64> = BTreeMap::new();
    for verified in statements.clone() {
        if let Some((about, sequence)) = matter(verified) {
            let held = last.entry((verified.signer(), about)).or_insert(sequence);
            *held = sequence.max(*held);
        }
    }
    let is_replaced = |verified: &&Verified| {
        let said = matter(verified).filter(|_| speaks_for(verified));
        said.is_some_and(|(about, sequence)| {
            last.get(&(verified.signer(), about))
                .is_some_and(|last| sequence < *last)
        })
    };
    statements.filter(is_replaced).map(Verified::digest).collect()
}
