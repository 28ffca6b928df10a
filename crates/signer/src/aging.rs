//! What became of attempts, and what that means for what they were charged (docs/adr/0015).

use std::collections::BTreeMap;

use countersign_decision::Fate;
use countersign_types::{AgesFrom, ConflictKey, RequestDigest, Timestamp};

use crate::{AttemptRecord, SpendStage, WithdrawalRecord, Write};

/// The writes that observers' word about attempts asks for. Nothing is given back while an attempt of the lineage may still
/// land, or did: replacements count once, at their largest, from when it is known which of them it was. Where what landed
/// `cancels` it took the place of them, and nothing was paid. Nor is given back what ended by a `foreign` spend: it may be the
/// attempt itself under another id (who mines a P2PKH input may rewrite its signature). Where none of ours is known to have landed, that
/// counts beside whatever the lineage signs later, which may be paid as well; of several attempts each, though one of them can have landed.
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
            Fate::Dead if !has_settled => Some(Write::Failed { request, number }),
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

#[cfg(test)]
mod tests {
    use countersign_types::{Amount, AuthorizationId, BundleDigest, Tag, TransactionDigest};

    use super::*;

    fn key(number: u32) -> ConflictKey {
        ConflictKey::Outpoint {
            chain: "bip122:000000000019d6689c085ae165831e93".parse().unwrap(),
            txid: [1; 32],
            index: number,
        }
    }

    /// Two outstanding attempts: both spend output 0, and each an output with its number.
    fn record(ended: Option<Tag>) -> WithdrawalRecord {
        let at = Timestamp::from_unix_millis(0);
        let attempt = |number| AttemptRecord {
            number,
            transaction: TransactionDigest::of(&[]),
            unsigned: Vec::new(),
            conflict_keys: vec![key(0), key(number)],
            fee_max: Amount::ZERO,
            authorization: AuthorizationId::of(&[]),
            authorized_at: at,
            sign_by: at,
            signed: None,
            spend: Some(SpendStage::Outstanding),
        };
        WithdrawalRecord {
            request: RequestDigest::of(&[]),
            first_seen_at: at,
            first_bundle: BundleDigest::of(&[]),
            ended,
            last_decision: None,
            decisions: 0,
            attempts: vec![attempt(1), attempt(2)],
        }
    }

    #[test]
    fn what_became_of_two_attempts_is_what_is_written() {
        const CANCELLED: Option<Tag> = Some(Tag::WithdrawalCancelled);
        use Fate::{Dead, Failed, Live, Settled};
        /// Fates, outputs that a stranger spent, whether the withdrawal ended and the second attempt cancels; the writes.
        type Case = ([Fate; 2], &'static [u32], Option<Tag>, &'static str);
        let table: [Case; 12] = [
            ([Live, Live], &[], None, ""),
            ([Settled, Live], &[], None, "aged 1"),
            ([Settled, Dead], &[], None, "aged 1, aged 2"),
            ([Dead, Dead], &[], None, "released 1, released 2"),
            ([Dead, Live], &[], None, ""),
            ([Failed, Dead], &[], None, "failed 1, released 2"),
            // One that ended by a stranger's spend counts by itself; the other ended by something else.
            ([Dead, Dead], &[1], None, "failed 1, released 2"),
            ([Dead, Dead], &[0], None, "failed 1, failed 2"),
            ([Dead, Live], &[1], None, ""),
            // What is known to have landed is what was paid, whatever else spends.
            ([Settled, Dead], &[2], None, "aged 1, aged 2"),
            ([Dead, Settled], &[], CANCELLED, "released 1, aged 2"),
            ([Dead, Settled], &[1], CANCELLED, "aged 1, aged 2"),
        ];
        for (fates, foreign, ended, expected) in table {
            let fates: BTreeMap<u32, Fate> = (1..).zip(fates).collect();
            let spent = foreign.iter().map(|number| (key(*number), "stranger".to_owned()));
            let writes = settlements(&record(ended), &fates, &spent.collect(), |attempt| attempt.number == 2);
            let written = writes.iter().map(|write| match write {
                Write::Aged { number, .. } => format!("aged {number}"),
                Write::Failed { number, .. } => format!("failed {number}"),
                Write::Released { number, .. } => format!("released {number}"),
                other => panic!("{other:?}"),
            });
            let written: Vec<String> = written.collect();
            assert_eq!(written.join(", "), expected, "{fates:?} {foreign:?} {ended:?}");
        }
    }
}
