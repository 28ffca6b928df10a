//! What was spent before a bundle came into force: its limits begin with it, so that a changed limit forgets nothing
//! (docs/adr/0020, 0015).

use std::collections::BTreeMap;

use countersign_bundle::Bundle;
use countersign_decision::{Past, Spend};
use countersign_policy::{Charge, MAX_ROLLING, Window};
use countersign_types::{Amount, CounterId, Timestamp};

use crate::{LateCharge, LedgerView, SignerError, SpendRecord};

/// By how much the clocks of signers that share a journal may differ, and more.
const SLACK_MILLIS: i64 = 86_400_000;

/// Whether the bundle has a limit that looks back.
pub(crate) fn is_asked(bundle: &Bundle) -> bool {
    let mut limits = bundle.policy().limits();
    limits.any(|limit| limit.meter().window != Window::Transaction)
}

/// How far the longest window looks back. No month is longer than the longest rolling one.
pub(crate) fn since(now: Timestamp) -> Timestamp {
    let length = i64::from(MAX_ROLLING.secs())
        .saturating_mul(1_000)
        .saturating_add(SLACK_MILLIS);
    Timestamp::from_unix_millis(now.unix_millis().saturating_sub(length))
}

/// What the spends that still count add to counters beyond what the bundle before counted of them.
pub(crate) fn late_charges(
    view: &LedgerView,
    previous: Option<&Bundle>,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Vec<LateCharge>, SignerError> {
    let mut late = Vec::new();
    for record in &view.spends {
        late.extend(late_charges_of(record, previous, bundle, now)?);
    }
    Ok(late)
}

fn late_charges_of(
    record: &SpendRecord,
    previous: Option<&Bundle>,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Vec<LateCharge>, SignerError> {
    let past = Past {
        charged_at: record.charged_at,
        aged_at: record.aged_at,
        now,
    };
    let spend = Spend::parse(&record.facts)?;
    // What the bundle in force counts was charged when it was authorized, or when that bundle came into force. What that one
    // could not say is asked of the new one.
    let counted = previous.and_then(|previous| spend.charges(previous, past).ok());
    let counted = counted.into_iter().flatten();
    let counted: BTreeMap<CounterId, Amount> = counted.map(|charge| (charge.counter, charge.amount)).collect();
    // A counter that stays may count more of a spend: a list has got an entry that a batch paid beside others, an asset has other
    // decimals.
    let is_more = |charge: &Charge| counted.get(&charge.counter).is_none_or(|held| *held < charge.amount);
    let late = spend.charges(bundle, past)?.into_iter().filter(is_more);
    let late = late.map(|charge| LateCharge {
        request: record.request,
        number: record.number,
        charge,
    });
    Ok(late.collect())
}
