//! What counters stand at. The cost of a window's sum does not depend on how much lies in it: it is the difference of two
//! running sums, each one search in an index.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{CounterUsage, Usage, UsageQuery, Window};
use countersign_signer::{Reads, SpendRecord};
use countersign_types::{Amount, CounterId, RequestDigest, Timestamp};

use crate::{
    charged::{Charged, Stage},
    codec::{BadValue, bytes32},
    counters::{Ledger, Sums},
    error::StepError,
    lookups::select,
    records::column32,
    sql::{Row, Sql},
};

/// Distinct windows of one proposal: every window of two policies. No bundle loads that could ask for more.
pub const MAX_WINDOWS: usize = 2 * countersign_policy::MAX_WINDOWS;
/// Spends that one proposal may look back on when a bundle defines new counters: a year and a half of 2 000 a day, in
/// some 500 MB of memory.
pub const MAX_SPENDS: usize = 1_000_000;

/// Kinds of rows in a view; lookups and records have others.
const COUNTER: i64 = 201;
const CHARGE: i64 = 202;
const SPEND: i64 = 203;

/// The counters that a proposal asks for, and how far back.
pub(crate) struct Sought {
    windows: BTreeMap<CounterId, BTreeSet<Window>>,
    /// The last moment outside of each window. What aged later, counts.
    outside: BTreeMap<Window, Timestamp>,
}

impl Sought {
    pub(crate) fn of(reads: &Reads, now: Timestamp) -> Self {
        let mut sought = Self {
            windows: BTreeMap::new(),
            outside: BTreeMap::new(),
        };
        for UsageQuery { counter, window } in &reads.usage {
            let windows = sought.windows.entry(*counter).or_default();
            windows.insert(window.clone());
            if let Some(outside) = window.last_outside(now) {
                sought.outside.insert(window.clone(), outside);
            }
        }
        sought
    }

    /// How many distinct windows.
    pub(crate) fn windows(&self) -> usize {
        self.outside.len()
    }

    /// One row a counter, with the running sum at the start of every window; and what the lineage was charged.
    pub(crate) fn push(&self, sql: &mut Sql, lineage: Option<RequestDigest>) {
        if self.windows.is_empty() {
            return;
        }
        select(sql, COUNTER, "counter, cum, pend");
        for (position, outside) in self.outside.values().enumerate() {
            sql.push(
                ", (SELECT cum_after FROM counter_entries WHERE counter_entries.counter = counters.counter AND at <= ",
            )
            .bind(outside.unix_millis())
            .push(format_args!(" ORDER BY at DESC LIMIT 1) AS before_{position}"));
        }
        sql.push(" FROM counters WHERE counter IN ");
        sql.list(self.windows.keys().map(CounterId::as_bytes)).end();
        let Some(request) = lineage else {
            return;
        };
        let charges = "counter, number, amount, aged_at, released_at, failed FROM charges JOIN spends USING (request, number) \
                       WHERE request = ";
        select(sql, CHARGE, charges);
        sql.bind(request.as_bytes()).push(" AND counter IN ");
        sql.list(self.windows.keys().map(CounterId::as_bytes)).end();
    }

    /// The answer in the rows of [`Sought::push`], and in what the ledger knows that the database does not have yet. A counter
    /// without a row was never charged before this transaction.
    pub(crate) fn usage(&self, rows: &[Row], ledger: &mut Ledger) -> Result<Usage, StepError> {
        let mut heads = BTreeMap::new();
        let mut charged: BTreeMap<CounterId, Charged> = BTreeMap::new();
        for row in rows {
            match row.number("kind")? {
                COUNTER => drop(heads.insert(CounterId::from_bytes(column32(row, "counter")?), row)),
                CHARGE => add_charge(&mut charged, row)?,
                _ => {}
            }
        }
        let mut counters = BTreeMap::new();
        for (counter, windows) in &self.windows {
            let head = heads.get(counter).copied();
            ledger.note_sums(*counter, head.map(Sums::of).transpose()?.unwrap_or(Sums::ZERO));
            let sums = ledger.sums(*counter).ok_or(BadValue("counter"))?;
            let usage = CounterUsage {
                windows: self.over_windows(windows, sums, head)?,
                lineage: charged.get(counter).map_or(Amount::ZERO, Charged::standing),
            };
            counters.insert(*counter, usage);
        }
        Ok(Usage::new(counters))
    }

    /// What was made in this transaction was made now, which is inside of every window: only the database has entries that
    /// lie outside.
    fn over_windows(
        &self,
        windows: &BTreeSet<Window>,
        Sums { cum, pend }: Sums,
        head: Option<&Row>,
    ) -> Result<BTreeMap<Window, Amount>, StepError> {
        let mut sums = BTreeMap::new();
        for (position, window) in self.outside.keys().enumerate() {
            if !windows.contains(window) {
                continue;
            }
            let before = head.map(|head| head.optional_bytes(&format!("before_{position}")));
            let before = before.transpose()?.flatten();
            let before = before
                .map(bytes32)
                .transpose()?
                .map_or(Amount::ZERO, Amount::from_be_bytes);
            let aged = cum.checked_sub(before).ok_or(BadValue("counter entry"))?;
            // Charging refuses what would overflow.
            let sum = aged.checked_add(pend).ok_or(BadValue("counter"))?;
            sums.insert(window.clone(), sum);
        }
        // One transaction counts no history.
        for window in windows.iter().filter(|window| !self.outside.contains_key(window)) {
            sums.insert(window.clone(), Amount::ZERO);
        }
        Ok(sums)
    }
}

fn add_charge(charged: &mut BTreeMap<CounterId, Charged>, row: &Row) -> Result<(), StepError> {
    let counter = CounterId::from_bytes(column32(row, "counter")?);
    let amount = Amount::from_be_bytes(column32(row, "amount")?);
    let stage = Stage::of(row)?;
    let number = attempt_number(row)?;
    charged.entry(counter).or_default().set(number, amount, stage);
    Ok(())
}

/// The attempt in a row.
pub(crate) fn attempt_number(row: &Row) -> Result<u32, StepError> {
    Ok(u32::try_from(row.number("number")?).map_err(|_| BadValue("attempt number"))?)
}

/// What still counts somewhere.
pub(crate) fn push_spends(sql: &mut Sql, reads: &Reads) {
    let Some(since) = reads.spends_since else {
        return;
    };
    let spends = "request, number, facts, charged_at, aged_at FROM spends WHERE released_at IS NULL \
                  AND (aged_at IS NULL OR aged_at > ";
    select(sql, SPEND, spends);
    let one_too_many = i64::try_from(MAX_SPENDS).unwrap_or(i64::MAX).saturating_add(1);
    sql.bind(since.unix_millis())
        .push(") ORDER BY seq LIMIT ")
        .bind(one_too_many)
        .end();
}

/// The answer in the rows of [`push_spends`].
pub(crate) fn spends_of(reads: &Reads, rows: &[Row]) -> Result<Vec<SpendRecord>, StepError> {
    let mut spends = Vec::new();
    if reads.spends_since.is_none() {
        return Ok(spends);
    }
    for row in rows {
        if row.number("kind")? != SPEND {
            continue;
        }
        spends.push(SpendRecord {
            request: RequestDigest::from_bytes(column32(row, "request")?),
            number: attempt_number(row)?,
            facts: row.bytes("facts")?.to_vec(),
            charged_at: Timestamp::from_unix_millis(row.number("charged_at")?),
            aged_at: row.optional_number("aged_at")?.map(Timestamp::from_unix_millis),
        });
    }
    if spends.len() > MAX_SPENDS {
        return Err(StepError::Refused(format!(
            "more than {MAX_SPENDS} spends still count in some window: a shorter look back is needed"
        )));
    }
    Ok(spends)
}
