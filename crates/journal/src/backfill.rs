//! Counters that a new bundle defines, or that count more under it, begin with what was spent before: their charges are written
//! down for the attempts that were authorized earlier, and their sums and entries are built again from all of their charges.

use std::collections::{BTreeMap, BTreeSet};

use countersign_signer::LateCharge;
use countersign_types::{Amount, CounterId, RequestDigest, Timestamp};

use crate::{
    batch::Batch,
    charged::{Aging, Charged, Stage},
    counters::{AttemptKey, Sums, push_entries, push_sums},
    error::StepError,
    records::{attempt_number, column32},
    sql::{Link, Row, Sql},
    table::Table,
};

/// Values of one lookup.
const LOOKUP: usize = 2_000;

/// Everything that one counter was charged.
type Lineages = BTreeMap<RequestDigest, Charged>;

pub(crate) async fn apply(link: &mut Link<'_>, batch: &mut Batch, late: &[LateCharge]) -> Result<(), StepError> {
    let stages = load_stages(link, late).await?;
    let counters: BTreeSet<CounterId> = late.iter().map(|late| late.charge.counter).collect();
    let mut charges = load_charges(link, &counters).await?;
    let mut rows = Vec::new();
    for LateCharge {
        request,
        number,
        charge,
    } in late
    {
        let Some(stage) = stages.get(&(*request, *number)) else {
            return Err(StepError::Refused(format!(
                "attempt {number} of {request} spends nothing that the journal knows"
            )));
        };
        let lineages = charges.entry(charge.counter).or_default();
        let charged = lineages.entry(*request).or_default();
        // A charge never falls.
        if charged.amount(*number).is_some_and(|held| held >= charge.amount) {
            continue;
        }
        charged.set(*number, charge.amount, *stage);
        rows.push(vec![
            request.as_bytes().into(),
            i64::from(*number).into(),
            charge.counter.as_bytes().into(),
            charge.amount.to_be_bytes().to_vec().into(),
        ]);
    }
    batch.insert(Table::Charges, rows);
    let mut all_sums = Vec::new();
    let mut all_entries = Vec::new();
    for (counter, lineages) in &charges {
        let (sums, entries) = build(lineages)?;
        all_sums.push((*counter, sums));
        all_entries.extend(entries.into_iter().map(|(at, cum)| (*counter, at, cum)));
    }
    push_sums(batch, all_sums.into_iter());
    push_entries(batch, all_entries.into_iter());
    Ok(())
}

/// Sums and entries from nothing but the charges.
pub(crate) fn build(lineages: &Lineages) -> Result<(Sums, BTreeMap<Timestamp, Amount>), StepError> {
    let too_large = || StepError::Refused("a counter would exceed 256 bits".to_owned());
    let mut agings: Vec<(Aging, &RequestDigest)> = Vec::new();
    let mut sums = Sums::ZERO;
    for (request, charged) in lineages {
        agings.extend(charged.agings().map(|aging| (aging, request)));
        sums.pend = sums.pend.checked_add(charged.held()).ok_or_else(too_large)?;
    }
    agings.sort_unstable();
    let mut aged: BTreeMap<&RequestDigest, Amount> = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for (Aging { at, has_failed, amount }, request) in agings {
        let more = if has_failed {
            amount
        } else {
            let before = aged.entry(request).or_default();
            let more = amount.checked_sub(*before).unwrap_or_default();
            *before = amount.max(*before);
            more
        };
        sums.cum = sums.cum.checked_add(more).ok_or_else(too_large)?;
        entries.insert(at, sums.cum);
    }
    sums.cum.checked_add(sums.pend).ok_or_else(too_large)?;
    Ok((sums, entries))
}

async fn load_stages(link: &mut Link<'_>, late: &[LateCharge]) -> Result<BTreeMap<AttemptKey, Stage>, StepError> {
    let keys: BTreeSet<AttemptKey> = late.iter().map(|late| (late.request, late.number)).collect();
    let keys: Vec<AttemptKey> = keys.into_iter().collect();
    let mut stages = BTreeMap::new();
    for chunk in keys.chunks(LOOKUP) {
        let key = |(request, number): &AttemptKey| vec![request.as_bytes().into(), i64::from(*number).into()];
        let mut sql = Sql::new("SELECT request, number, aged_at, released_at, failed FROM ");
        sql.given(chunk.iter().map(key).collect()).push(
            " CROSS JOIN attempts CROSS JOIN spends WHERE request = column1 AND number = column2 AND attempt = attempts.seq",
        );
        for row in link.rows(sql).await? {
            stages.insert(attempt_key(&row)?, Stage::of(&row)?);
        }
    }
    Ok(stages)
}

/// Every charge of these counters.
pub(crate) async fn load_charges(
    link: &mut Link<'_>,
    counters: &BTreeSet<CounterId>,
) -> Result<BTreeMap<CounterId, Lineages>, StepError> {
    let counters: Vec<CounterId> = counters.iter().copied().collect();
    let mut charges: BTreeMap<CounterId, Lineages> = BTreeMap::new();
    for chunk in counters.chunks(LOOKUP) {
        let keys = chunk.iter().map(|counter| vec![counter.as_bytes().into()]);
        let mut sql = Sql::new("SELECT counter, request, number, amount, aged_at, released_at, failed FROM ");
        sql.given(keys.collect()).push(
            " CROSS JOIN charges CROSS JOIN spends CROSS JOIN attempts \
             WHERE counter = column1 AND spends.attempt = charges.attempt AND attempts.seq = charges.attempt",
        );
        for row in link.rows(sql).await? {
            let counter = CounterId::from_bytes(column32(&row, "counter")?);
            let (request, number) = attempt_key(&row)?;
            let amount = Amount::from_be_bytes(column32(&row, "amount")?);
            let lineages = charges.entry(counter).or_default();
            lineages
                .entry(request)
                .or_default()
                .set(number, amount, Stage::of(&row)?);
        }
    }
    Ok(charges)
}

fn attempt_key(row: &Row) -> Result<AttemptKey, StepError> {
    let request = RequestDigest::from_bytes(column32(row, "request")?);
    Ok((request, attempt_number(row)?))
}
