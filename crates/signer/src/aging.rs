//! What became of attempts, and what that means for what they were charged (docs/adr/0015).

use std::collections::BTreeMap;

use countersign_decision::Fate;
use countersign_types::{AgesFrom, ConflictKey, RequestDigest, Timestamp};

use crate::{AttemptRecord, SpendStage, WithdrawalRecord, Write};

/// The writes that observers' word about attempts asks for. Nothing is given back while an attempt of the lineage may still
/// land, or did: replacements count once, at their largest, from when it is known which of them it was. Where what landed
/// `cancels` it took the place of them, and nothing was paid. Nor is given back what ended by a `foreign` spend: it may be the
/// attempt itself under another id (who mines a P2PKH input may rewrite its signature).
pub(crate) fn settlements(
    record: &WithdrawalRecord,
    fates: &BTreeMap<u32, Fate>,
    foreign: &BTreeMap<ConflictKey, String>,
    cancels: impl Fn(&AttemptRecord) -> bool,
) -> Vec<Write> {
    // Else every call about what is over would parse its attempts again, under the journal's lock.
    if !record.attempts.iter().any(is_outstanding) {
        return Vec::new();
    }
    let is_settled = |attempt: &AttemptRecord| fates.get(&attempt.number) == Some(&Fate::Settled);
    let mut settled = record.attempts.iter().filter(|attempt| is_settled(attempt)).peekable();
    let has_settled = settled.peek().is_some();
    let is_cancelled = record.ended.is_some() && has_settled && settled.all(cancels);
    let is_over = |attempt: &AttemptRecord| fates.get(&attempt.number).is_some_and(|fate| *fate != Fate::Live);
    if !has_settled && !record.attempts.iter().all(is_over) {
        return Vec::new();
    }
    let is_foreign = |attempt: &AttemptRecord| attempt.conflict_keys.iter().any(|key| foreign.contains_key(key));
    let outstanding = record.attempts.iter().filter(|attempt| is_outstanding(attempt));
    let one = |attempt: &AttemptRecord| {
        let (request, number) = (record.request, attempt.number);
        match fates.get(&number)? {
            Fate::Failed => Some(Write::Failed { request, number }),
            Fate::Dead if (!has_settled || is_cancelled) && !is_foreign(attempt) => {
                Some(Write::Released { request, number })
            }
            Fate::Settled | Fate::Dead => Some(Write::Aged { request, number }),
            Fate::Live => None,
        }
    };
    outstanding.filter_map(one).collect()
}

/// The aging of an attempt that is being recorded as signed, where charges age from signature.
pub(crate) fn of_signature(ages_from: AgesFrom, request: RequestDigest, attempt: &AttemptRecord) -> Option<Write> {
    let number = attempt.number;
    (ages_from == AgesFrom::Signature && is_outstanding(attempt)).then_some(Write::Aged { request, number })
}

/// The aging of attempts of a withdrawal that ended before they were recorded as signed, where charges age from signature: a
/// signature that exists all the same was made before the authorization ran out. One that `cancels` is not among them: the end is
/// what it is signed for, perhaps later.
pub(crate) fn of_ended(
    ages_from: AgesFrom,
    record: &WithdrawalRecord,
    now: Timestamp,
    cancels: impl Fn(&AttemptRecord) -> bool,
) -> Vec<Write> {
    if ages_from != AgesFrom::Signature || record.ended.is_none() {
        return Vec::new();
    }
    let is_lapsed = |attempt: &&AttemptRecord| is_outstanding(attempt) && now >= attempt.sign_by && !cancels(attempt);
    let lapsed = record.attempts.iter().filter(is_lapsed);
    let aged = |attempt: &AttemptRecord| Write::Aged {
        request: record.request,
        number: attempt.number,
    };
    lapsed.map(aged).collect()
}

fn is_outstanding(attempt: &AttemptRecord) -> bool {
    match attempt.spend {
        Some(SpendStage::Outstanding) => true,
        Some(SpendStage::Aged | SpendStage::Failed | SpendStage::Released) | None => false,
    }
}
