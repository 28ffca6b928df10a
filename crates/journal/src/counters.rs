//! The writes that move counters: charging, aging, giving back, and counters that are defined late.
//!
//! All arithmetic is here and checked. Nothing is written before all of a proposal's changes are known to be possible, so
//! what cannot be charged refuses its own proposal alone.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::Charge;
use countersign_signer::{JournalError, Write};
use countersign_types::{Amount, CounterId, RequestDigest, Timestamp};

use crate::{
    batch::Batch,
    charged::{Charged, Stage},
    error::StepError,
    records::{attempt_number, column32},
    sql::{Link, Row, Sql},
    table::{Change, Table},
};

/// Counters that one attempt is charged to: every limit of two policies for every payment of a large batch.
pub const MAX_CHARGES: usize = 4_096;
/// The facts of one spend: every effect of the largest transaction.
pub const MAX_FACTS_BYTES: usize = 1 << 20;

/// The attempt of a spend.
pub(crate) type AttemptKey = (RequestDigest, u32);

/// Refuses what is out of bounds before anything is written.
pub(crate) fn refuse_unwritable(writes: &[Write]) -> Result<(), StepError> {
    for write in writes {
        let Write::Spend { facts, charges, .. } = write else {
            continue;
        };
        if facts.len() > MAX_FACTS_BYTES || charges.len() > MAX_CHARGES {
            return Err(StepError::Refused(format!(
                "{} charges with {} bytes of facts; at most {MAX_CHARGES} and {MAX_FACTS_BYTES}",
                charges.len(),
                facts.len()
            )));
        }
        let distinct: BTreeSet<CounterId> = charges.iter().map(|charge| charge.counter).collect();
        if distinct.len() != charges.len() {
            return Err(StepError::Refused(
                "a counter is charged twice by one attempt".to_owned(),
            ));
        }
    }
    let is_moving = |write: &Write| {
        matches!(
            write,
            Write::Spend { .. } | Write::Aged { .. } | Write::Failed { .. } | Write::Released { .. }
        )
    };
    let backfills = writes
        .iter()
        .filter(|write| matches!(write, Write::Backfill { .. }))
        .count();
    if backfills > 1 || (backfills == 1 && writes.iter().any(is_moving)) {
        return Err(StepError::Refused("a backfill goes alone".to_owned()));
    }
    Ok(())
}

/// The lineages and counters that writes charge, age or give back.
fn moved(writes: &[Write]) -> (BTreeSet<RequestDigest>, BTreeSet<CounterId>) {
    let mut requests = BTreeSet::new();
    let mut counters = BTreeSet::new();
    for write in writes {
        match write {
            Write::Spend { request, charges, .. } => {
                requests.insert(*request);
                counters.extend(charges.iter().map(|charge| charge.counter));
            }
            Write::Aged { request, .. } | Write::Failed { request, .. } | Write::Released { request, .. } => {
                requests.insert(*request);
            }
            Write::Statement { .. }
            | Write::Subject { .. }
            | Write::Sequence { .. }
            | Write::Freeze { .. }
            | Write::Thaw { .. }
            | Write::Mark { .. }
            | Write::LastWord { .. }
            | Write::Paid { .. }
            | Write::Listed { .. }
            | Write::Withdrawal { .. }
            | Write::Ended { .. }
            | Write::Decision { .. }
            | Write::Attempt { .. }
            | Write::Signed { .. }
            | Write::GivenUp { .. }
            | Write::Bundle { .. }
            | Write::Backfill { .. } => {}
        }
    }
    (requests, counters)
}

/// A counter's two sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) cum: Amount,
    pub(crate) pend: Amount,
}

impl Sums {
    pub(crate) const ZERO: Self = Self {
        cum: Amount::ZERO,
        pend: Amount::ZERO,
    };

    pub(crate) fn of(row: &Row) -> Result<Self, StepError> {
        Ok(Self {
            cum: Amount::from_be_bytes(column32(row, "cum")?),
            pend: Amount::from_be_bytes(column32(row, "pend")?),
        })
    }

    /// What a lineage stood for before is replaced by what it stands for now.
    fn exchange(&mut self, before: &Charged, after: &Charged) -> Result<(), StepError> {
        let damaged = || JournalError::Damaged("a counter holds less than one of its lineages".to_owned());
        let too_large = || StepError::Refused("a counter would exceed 256 bits".to_owned());
        let (aged, was_aged) = after.aged().zip(before.aged()).ok_or_else(too_large)?;
        let aged = aged.checked_sub(was_aged).ok_or_else(damaged)?;
        let rest = self.pend.checked_sub(before.held()).ok_or_else(damaged)?;
        let cum = self.cum.checked_add(aged);
        let pend = rest.checked_add(after.held());
        // Together they fit, so that no sum over a window overflows and nothing that was charged cannot age.
        let fits = |(cum, pend): &(Amount, Amount)| cum.checked_add(*pend).is_some();
        let Some((cum, pend)) = cum.zip(pend).filter(fits) else {
            return Err(too_large());
        };
        *self = Self { cum, pend };
        Ok(())
    }
}

/// What is known of lineages and counters inside one transaction: what the database had, and every change since, also
/// those that the database does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The lineages whose spends are known, all of them.
    lineages: BTreeSet<RequestDigest>,
    stages: BTreeMap<AttemptKey, Stage>,
    charged: BTreeMap<(RequestDigest, CounterId), Charged>,
    /// The counters that are known; zero where the database has no row.
    sums: BTreeMap<CounterId, Sums>,
    /// What the database does not have yet: sums, and whether `cum` is among it.
    changed: BTreeMap<CounterId, bool>,
}

impl Ledger {
    /// What a counter stands at, where that is known.
    pub(crate) fn sums(&self, counter: CounterId) -> Option<Sums> {
        self.sums.get(&counter).copied()
    }

    /// What the database has of a counter. Where more is known already, that is newer.
    pub(crate) fn note_sums(&mut self, counter: CounterId, sums: Sums) {
        self.sums.entry(counter).or_insert(sums);
    }

    /// A lineage without attempts has no spends.
    pub(crate) fn note_unspent(&mut self, request: RequestDigest) {
        self.lineages.insert(request);
    }

    /// Charges, ages and gives back what the writes of one proposal say. Where one of them is not possible, nothing has changed.
    pub(crate) async fn apply(
        &mut self,
        link: &mut Link<'_>,
        batch: &mut Batch,
        writes: &[Write],
        at: Timestamp,
    ) -> Result<(), StepError> {
        let (requests, counters) = moved(writes);
        if requests.is_empty() {
            return Ok(());
        }
        self.load(link, &requests, &counters).await?;
        let mut part = self.part(&requests, &counters);
        for write in writes {
            part.change(batch, write, at)?;
        }
        self.take_in(part);
        Ok(())
    }

    /// A copy of what some lineages and counters stand at.
    fn part(&self, requests: &BTreeSet<RequestDigest>, counters: &BTreeSet<CounterId>) -> Self {
        let mut part = Self::default();
        for request in requests {
            let stages = self.stages.range((*request, 0)..=(*request, u32::MAX));
            part.stages.extend(stages.map(|(key, stage)| (*key, *stage)));
            let [first, last] = [[0; 32], [0xff; 32]].map(CounterId::from_bytes);
            let charged = self.charged.range((*request, first)..=(*request, last));
            part.charged
                .extend(charged.map(|(key, charged)| (*key, charged.clone())));
        }
        let of_lineages = part.charged.keys().map(|(_, counter)| counter);
        let known = |counter: &CounterId| Some((*counter, self.sums(*counter)?));
        part.sums = counters.iter().chain(of_lineages).filter_map(known).collect();
        part
    }

    fn take_in(&mut self, part: Self) {
        self.stages.extend(part.stages);
        self.charged.extend(part.charged);
        self.sums.extend(part.sums);
        for (counter, has_aged) in part.changed {
            *self.changed.entry(counter).or_default() |= has_aged;
        }
    }

    /// Reads what is not known yet.
    async fn load(
        &mut self,
        link: &mut Link<'_>,
        requests: &BTreeSet<RequestDigest>,
        counters: &BTreeSet<CounterId>,
    ) -> Result<(), StepError> {
        let requests: Vec<RequestDigest> = requests.difference(&self.lineages).copied().collect();
        let is_unknown = |counter: &&CounterId| !self.sums.contains_key(counter);
        let counters: Vec<CounterId> = counters.iter().filter(is_unknown).copied().collect();
        let mut sql = Sql::default();
        if !requests.is_empty() {
            let keys = requests.iter().map(|request| vec![request.as_bytes().into()]);
            sql.push(
                "SELECT attempts.request AS request, attempts.number AS number, aged_at, released_at, failed, \
                 counters.counter AS counter, amount, cum, pend FROM ",
            )
            .given(keys.collect())
            .push(
                " CROSS JOIN attempts CROSS JOIN spends LEFT JOIN charges ON charges.attempt = spends.attempt \
                 LEFT JOIN counters ON counters.counter = charges.counter \
                 WHERE attempts.request = column1 AND spends.attempt = attempts.seq",
            )
            .end();
        }
        if !counters.is_empty() {
            let keys = counters.iter().map(|counter| vec![counter.as_bytes().into()]);
            // The same columns, so that one loop reads both.
            sql.push(
                "SELECT NULL AS request, NULL AS number, NULL AS aged_at, NULL AS released_at, NULL AS failed, counter, NULL AS amount, \
                 cum, pend FROM ",
            )
            .given(keys.collect())
            .push(" CROSS JOIN counters WHERE counter = column1")
            .end();
        }
        if sql.is_empty() {
            return Ok(());
        }
        for row in link.rows(sql).await? {
            self.add(&row)?;
        }
        self.lineages.extend(requests);
        for counter in counters {
            self.note_sums(counter, Sums::ZERO);
        }
        Ok(())
    }

    fn add(&mut self, row: &Row) -> Result<(), StepError> {
        let counter = row.optional_bytes("counter")?;
        let counter = counter
            .map(crate::codec::bytes32)
            .transpose()?
            .map(CounterId::from_bytes);
        if let Some(counter) = counter {
            self.note_sums(counter, Sums::of(row)?);
        }
        // A counter of the second statement has no attempt.
        if row.optional_bytes("request")?.is_none() {
            return Ok(());
        }
        let request = RequestDigest::from_bytes(column32(row, "request")?);
        let number = attempt_number(row)?;
        let stage = Stage::of(row)?;
        self.stages.insert((request, number), stage);
        if let Some(counter) = counter {
            let amount = Amount::from_be_bytes(column32(row, "amount")?);
            self.charged
                .entry((request, counter))
                .or_default()
                .set(number, amount, stage);
        }
        Ok(())
    }

    fn change(&mut self, batch: &mut Batch, write: &Write, at: Timestamp) -> Result<(), StepError> {
        match write {
            Write::Spend {
                request,
                number,
                facts,
                charges,
            } => self.spend(batch, (*request, *number), (facts, charges), at),
            Write::Aged { request, number } => {
                self.advance((*request, *number), Stage::Aged(at))?;
                push_stage(batch, Change::Aged, (*request, *number), at);
                Ok(())
            }
            Write::Failed { request, number } => {
                self.advance((*request, *number), Stage::Failed(at))?;
                push_stage(batch, Change::Failed, (*request, *number), at);
                Ok(())
            }
            Write::Released { request, number } => {
                self.advance((*request, *number), Stage::Released)?;
                push_stage(batch, Change::Released, (*request, *number), at);
                Ok(())
            }
            Write::Statement { .. }
            | Write::Subject { .. }
            | Write::Sequence { .. }
            | Write::Freeze { .. }
            | Write::Thaw { .. }
            | Write::Mark { .. }
            | Write::LastWord { .. }
            | Write::Paid { .. }
            | Write::Listed { .. }
            | Write::Withdrawal { .. }
            | Write::Ended { .. }
            | Write::Decision { .. }
            | Write::Attempt { .. }
            | Write::Signed { .. }
            | Write::GivenUp { .. }
            | Write::Bundle { .. }
            | Write::Backfill { .. } => Ok(()),
        }
    }

    fn spend(
        &mut self,
        batch: &mut Batch,
        key: AttemptKey,
        (facts, charges): (&[u8], &[Charge]),
        at: Timestamp,
    ) -> Result<(), StepError> {
        let (request, number) = key;
        match self.stages.insert(key, Stage::Outstanding) {
            None | Some(Stage::Outstanding) => {}
            Some(Stage::Aged(_) | Stage::Failed(_) | Stage::Released) => return Err(is_final(key)),
        }
        let row = vec![
            request.as_bytes().into(),
            i64::from(number).into(),
            facts.to_vec().into(),
            at.unix_millis().into(),
        ];
        batch.insert(Table::Spends, [row]);
        let mut rows = Vec::new();
        for charge in charges {
            let charged = self.charged.entry((request, charge.counter)).or_default();
            let before = charged.clone();
            let amount = before.amount(number).unwrap_or_default().max(charge.amount);
            charged.set(number, amount, Stage::Outstanding);
            let sums = self.sums.entry(charge.counter).or_insert(Sums::ZERO);
            sums.exchange(&before, charged)?;
            self.changed.entry(charge.counter).or_insert(false);
            rows.push(vec![
                request.as_bytes().into(),
                i64::from(number).into(),
                charge.counter.as_bytes().into(),
                amount.to_be_bytes().to_vec().into(),
            ]);
        }
        batch.insert(Table::Charges, rows);
        Ok(())
    }

    fn advance(&mut self, key: AttemptKey, to: Stage) -> Result<(), StepError> {
        let (request, number) = key;
        match self.stages.insert(key, to) {
            Some(Stage::Outstanding) => {}
            Some(Stage::Aged(_) | Stage::Failed(_) | Stage::Released) => return Err(is_final(key)),
            None => {
                return Err(StepError::Refused(format!(
                    "attempt {number} of {request} spends nothing that the journal knows"
                )));
            }
        }
        let of_lineage = self.charged.range_mut((request, CounterId::from_bytes([0; 32]))..);
        for ((_, counter), charged) in of_lineage.take_while(|((owner, _), _)| *owner == request) {
            let before = charged.clone();
            charged.advance(number, to);
            let sums = self.sums.entry(*counter).or_insert(Sums::ZERO);
            let cum = sums.cum;
            sums.exchange(&before, charged)?;
            *self.changed.entry(*counter).or_default() |= sums.cum != cum;
        }
        Ok(())
    }

    /// Adds the sums and entries that the database does not have yet. All of them were made at this moment.
    pub(crate) fn push(&mut self, batch: &mut Batch, at: Timestamp) {
        let changed = std::mem::take(&mut self.changed);
        let sums = |counter: &CounterId| self.sums(*counter).unwrap_or(Sums::ZERO);
        push_sums(batch, changed.keys().map(|counter| (*counter, sums(counter))));
        let aged = changed.iter().filter(|(_, has_aged)| **has_aged);
        push_entries(batch, aged.map(|(counter, _)| (*counter, at, sums(counter).cum)));
    }
}

/// Sums of counters, old or new.
pub(crate) fn push_sums(batch: &mut Batch, sums: impl Iterator<Item = (CounterId, Sums)>) {
    let row = |(counter, sums): (CounterId, Sums)| {
        vec![
            counter.as_bytes().into(),
            sums.cum.to_be_bytes().to_vec().into(),
            sums.pend.to_be_bytes().to_vec().into(),
        ]
    };
    batch.insert(Table::Counters, sums.map(row));
}

/// Entries of counters; what ages in one millisecond shares one.
pub(crate) fn push_entries(batch: &mut Batch, entries: impl Iterator<Item = (CounterId, Timestamp, Amount)>) {
    let row = |(counter, at, cum): (CounterId, Timestamp, Amount)| {
        vec![
            counter.as_bytes().into(),
            at.unix_millis().into(),
            cum.to_be_bytes().to_vec().into(),
        ]
    };
    batch.insert(Table::CounterEntries, entries.map(row));
}

fn push_stage(batch: &mut Batch, change: Change, (request, number): AttemptKey, at: Timestamp) {
    let values = vec![
        request.as_bytes().into(),
        i64::from(number).into(),
        at.unix_millis().into(),
    ];
    batch.change(change, values);
}

fn is_final((request, number): AttemptKey) -> StepError {
    StepError::Refused(format!(
        "what attempt {number} of {request} spends has aged or was given back, for good"
    ))
}
