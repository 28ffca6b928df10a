//! What spoke for a payment until its service said something later: nothing rests on it any more.
//!
//! Quotes and screenings that passed come again with every attempt. A decision is without those that were replaced, or a lineage would
//! run out of room for what its next attempt needs, a cancel attempt's quotes among it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Attestation, ScreeningResult, Verified};
use countersign_types::{PrincipalId, StatementDigest};

use crate::matter;

/// Whether a statement counts only together with the decision that it allows. Quotes and passed screenings go stale and come
/// again while people think: they are journaled once they were of use. What speaks against a payment is journaled at once.
pub fn is_passing(verified: &Verified) -> bool {
    match verified.statement().body.attestation() {
        Some(Attestation::Price(_)) => true,
        Some(Attestation::Screening(screening)) => screening.result == ScreeningResult::Pass,
        Some(Attestation::AddressBook(_)) | None => false,
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
        let said = matter(verified).filter(|_| is_passing(verified));
        said.is_some_and(|(about, sequence)| {
            last.get(&(verified.signer(), about))
                .is_some_and(|last| sequence < *last)
        })
    };
    statements.filter(is_replaced).map(Verified::digest).collect()
}
