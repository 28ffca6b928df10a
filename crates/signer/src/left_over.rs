//! What dead attempts of a lineage still hold is given up, so that the next withdrawal can use it (docs/adr/0036).

use std::collections::{BTreeMap, BTreeSet};

use countersign_decision::{Decision, Fate};
use countersign_types::ConflictKey;

use crate::{AttemptRecord, LedgerView, WithdrawalRecord, ruling::Bench};

/// The most conflict keys of other attempts that are looked at in one call: below what one proposal may read.
const MAX_LEFT_OVER: usize = 4_096;

/// What other attempts of a lineage leave over.
pub(crate) enum LeftOver {
    Nothing,
    /// Perhaps these keys; whose they are was not asked.
    Unread(BTreeSet<ConflictKey>),
    /// What the withdrawal still owns of them: to be given up.
    Owned(Vec<ConflictKey>),
}

impl Bench {
    /// What dead attempts of a lineage still hold is given up once it is known that nothing of theirs can land: an outpoint that nobody
    /// may spend would be lost (docs/adr/0036). Not beside a foreign spend, which may be one of them under another id.
    pub(crate) fn left_over(&self, view: &LedgerView, record: &WithdrawalRecord, decision: &Decision) -> LeftOver {
        if !decision.foreign.is_empty() {
            return LeftOver::Nothing;
        }
        let keys = left_over(record, &decision.fates);
        let request = record.request;
        let is_own = |key: &&ConflictKey| view.conflict_owners.get(key) == Some(&request);
        // Those of the bytes are looked up in any case: however many there are, asking about each attempt frees all of them.
        let owned: Vec<ConflictKey> = keys.iter().filter(is_own).cloned().collect();
        if !owned.is_empty() {
            return LeftOver::Owned(owned);
        }
        let known = self.prepared.conflict_keys();
        let first = keys.iter().take(MAX_LEFT_OVER);
        let unread: BTreeSet<ConflictKey> = first.filter(|key| !known.contains(key)).cloned().collect();
        match unread.is_empty() {
            true => LeftOver::Nothing,
            false => LeftOver::Unread(unread),
        }
    }
}

/// The conflict keys of attempts that can never land, because another attempt of their lineage did and used up a key of theirs: those that no
/// attempt uses that landed, or still may.
fn left_over(record: &WithdrawalRecord, fates: &BTreeMap<u32, Fate>) -> BTreeSet<ConflictKey> {
    let has_landed = |attempt: &&AttemptRecord| match fates.get(&attempt.number) {
        Some(Fate::Settled | Fate::Failed) => true,
        Some(Fate::Dead | Fate::Live) | None => false,
    };
    let keys = |attempt: &AttemptRecord| attempt.conflict_keys.clone();
    let used: BTreeSet<ConflictKey> = record.attempts.iter().filter(has_landed).flat_map(keys).collect();
    if used.is_empty() {
        return BTreeSet::new();
    }
    let is_excluded = |attempt: &&AttemptRecord| attempt.conflict_keys.iter().any(|key| used.contains(key));
    let (excluded, open): (Vec<_>, Vec<_>) = record.attempts.iter().partition(is_excluded);
    let open: BTreeSet<ConflictKey> = open.into_iter().flat_map(keys).collect();
    let excluded = excluded.into_iter().flat_map(keys);
    excluded
        .filter(|key| !used.contains(key) && !open.contains(key))
        .collect()
}
