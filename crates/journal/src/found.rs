//! Rows of [`crate::lookups`] as what they say.

use std::str::FromStr;

use countersign_signer::{FreezeRecord, LastWord, Marked, SpendRecord, Tally, TallyQuery};
use countersign_types::{
    Amount, CounterId, Destination, Duration, FreezeId, RequestDigest, StatementDigest, Timestamp,
};

use crate::{
    charged::Stage,
    codec::{BadValue, from_sql, parse_conflict_key},
    counters::Sums,
    error::StepError,
    lookups::Kind,
    records::{attempt, attempt_number, column_time, column32, withdrawal},
    seen::Seen,
    sql::Row,
    usage::MAX_SPENDS,
};

impl Seen {
    /// What the rows say.
    pub(crate) fn of(rows: &[Row]) -> Result<Self, StepError> {
        let mut seen = Self::default();
        for row in rows {
            seen.add(row)?;
        }
        for attempts in seen.attempts.values_mut() {
            attempts.sort_unstable_by_key(|attempt| attempt.number);
        }
        for (request, counter, number, amount) in std::mem::take(&mut seen.amounts) {
            let stage = seen.stages.get(&(request, number)).ok_or(BadValue("charge"))?;
            let charged = seen.charged.entry((request, counter)).or_default();
            charged.set(number, amount, *stage);
        }
        if seen.spends.len() > MAX_SPENDS {
            return Err(StepError::Refused(format!(
                "more than {MAX_SPENDS} spends still count in some window: a shorter look back is needed"
            )));
        }
        Ok(seen)
    }

    fn add(&mut self, row: &Row) -> Result<(), StepError> {
        match Kind::of(row.number("kind")?).ok_or(BadValue("lookup"))? {
            Kind::Withdrawal => drop(self.withdrawals.insert(request(row)?, withdrawal(row)?)),
            Kind::Attempt => self.add_attempt(row)?,
            Kind::About => {
                let statement = StatementDigest::from_bytes(column32(row, "bytes2")?);
                let about = self.about.entry(request(row)?).or_default();
                about.insert((row.number("number")?, statement));
            }
            Kind::Reference => {
                let key = (parsed(row, "text", "tenant")?, parsed(row, "text2", "reference")?);
                self.reference_owners.insert(key, request(row)?);
            }
            Kind::Payment => {
                let key = (
                    parsed(row, "text", "tenant")?,
                    parsed(row, "text2", "payment reference")?,
                );
                self.payment_owners.insert(key, request(row)?);
            }
            Kind::Conflict => {
                let key = parse_conflict_key(row.text("text")?)?;
                self.conflict_owners.insert(key, request(row)?);
            }
            Kind::Nonce => self.add_next_nonce(row)?,
            Kind::Statement => drop(self.statements.insert(statement(row)?, column_time(row, "number")?)),
            Kind::Used => {
                let key = (parsed(row, "text", "signer")?, parsed(row, "text2", "statement nonce")?);
                self.nonce_owners.insert(key, statement(row)?);
            }
            Kind::Voice => {
                let count = from_sql(row.number("number")?)?;
                if count > 0 {
                    self.voices
                        .insert((request(row)?, parsed(row, "text", "signer")?), count);
                }
            }
            Kind::Sequence => {
                let key = (parsed(row, "text", "observer")?, parsed(row, "text2", "network")?);
                self.sequences.insert(key, sequence(row)?);
            }
            Kind::Matter => {
                let key = (parsed(row, "text", "service")?, row.text("text2")?.to_owned());
                let word = LastWord {
                    sequence: sequence(row)?,
                    since: row.optional_number("number")?.map(Timestamp::from_unix_millis),
                };
                self.matters.insert(key, word);
            }
            Kind::Paid => {
                let by = (request(row)?, row.number("number")? != 0);
                self.paid.insert(destination(row)?, by);
            }
            Kind::Listed => drop(self.listed.insert(destination(row)?, column_time(row, "number")?)),
            Kind::Begun => {
                let list = parsed(row, "text", "list")?;
                self.lists.insert(list, column_time(row, "number")?);
            }
            Kind::Freeze => {
                let place = (row.number("number2")?, row.number("number3")?);
                self.freezes.insert(place, freeze(row)?);
            }
            Kind::FreezesMade => self.freezes_made = from_sql(row.number("number")?)?,
            Kind::Made => drop(self.made.insert(FreezeId::from_bytes(column32(row, "bytes")?))),
            Kind::Mark => {
                let topic = self.marks.entry(row.text("text")?.to_owned()).or_default();
                topic.insert(row.text("text2")?.to_owned(), column_time(row, "number")?);
            }
            Kind::Tally => {
                let (query, tally) = tally(row)?;
                self.tallies.insert(query, tally);
            }
            Kind::Marked => {
                let mark = (row.text("text")?.to_owned(), row.text("text2")?.to_owned());
                let marked = Marked {
                    first_at: column_time(row, "number")?,
                    last_at: column_time(row, "number2")?,
                };
                self.marked.insert(mark, marked);
            }
            Kind::Counter => {
                let sums = Sums {
                    cum: Amount::from_be_bytes(column32(row, "bytes2")?),
                    pend: Amount::from_be_bytes(column32(row, "bytes3")?),
                };
                self.counters.insert(counter(row, "bytes")?, sums);
            }
            Kind::Outside => {
                // Nothing has aged before the window begins.
                if row.optional_bytes("bytes2")?.is_some() {
                    let key = (counter(row, "bytes")?, column_time(row, "number")?);
                    let cum = Amount::from_be_bytes(column32(row, "bytes2")?);
                    self.outside.insert(key, cum);
                }
            }
            Kind::Charge => {
                let amount = Amount::from_be_bytes(column32(row, "bytes3")?);
                let charge = (request(row)?, counter(row, "bytes2")?, attempt_number(row)?, amount);
                self.amounts.push(charge);
            }
            Kind::Spend => self.spends.push(spend(row)?),
        }
        Ok(())
    }

    fn add_attempt(&mut self, row: &Row) -> Result<(), StepError> {
        let request = RequestDigest::from_bytes(column32(row, "request")?);
        let attempt = attempt(row)?;
        if attempt.spend.is_some() {
            self.stages.insert((request, attempt.number), Stage::of(row)?);
        }
        self.attempts.entry(request).or_default().push(attempt);
        Ok(())
    }

    fn add_next_nonce(&mut self, row: &Row) -> Result<(), StepError> {
        let nonce = |column| {
            let bytes = row.optional_bytes(column)?.map(<[u8; 8]>::try_from).transpose();
            let bytes = bytes.map_err(|_| BadValue("account nonce"))?;
            Ok::<_, StepError>(bytes.map(u64::from_be_bytes))
        };
        // An account without claims has no highest nonce.
        let Some(highest) = nonce("bytes2")? else {
            return Ok(());
        };
        let next = match nonce("bytes")? {
            Some(given_up) => given_up,
            // The last nonce is refused when it is claimed.
            None => highest.checked_add(1).ok_or(BadValue("account nonce"))?,
        };
        self.next_nonces.insert(parsed(row, "text", "account")?, next);
        Ok(())
    }
}

pub(crate) fn parsed<T: FromStr>(row: &Row, column: &str, what: &'static str) -> Result<T, StepError> {
    Ok(row.text(column)?.parse().map_err(|_| BadValue(what))?)
}

fn request(row: &Row) -> Result<RequestDigest, StepError> {
    Ok(RequestDigest::from_bytes(column32(row, "bytes")?))
}

fn statement(row: &Row) -> Result<StatementDigest, StepError> {
    Ok(StatementDigest::from_bytes(column32(row, "bytes")?))
}

fn counter(row: &Row, column: &str) -> Result<CounterId, StepError> {
    Ok(CounterId::from_bytes(column32(row, column)?))
}

fn destination(row: &Row) -> Result<Destination, StepError> {
    parsed(row, "text", "destination")
}

fn sequence(row: &Row) -> Result<u64, StepError> {
    let bytes = row.bytes("bytes")?.try_into().map_err(|_| BadValue("sequence"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn tally(row: &Row) -> Result<(TallyQuery, Tally), StepError> {
    let within = u32::try_from(row.number("number")?).map_err(|_| BadValue("tally"))?;
    let query = TallyQuery {
        topic: row.text("text")?.to_owned(),
        within: Duration::from_secs(within),
    };
    let tally = Tally {
        first: from_sql(row.number("number2")?)?,
        last: from_sql(row.number("number3")?)?,
    };
    Ok((query, tally))
}

fn freeze(row: &Row) -> Result<FreezeRecord, StepError> {
    let thaws_at = row.number("number2")?;
    Ok(FreezeRecord {
        id: FreezeId::from_bytes(column32(row, "bytes")?),
        scope: parsed(row, "text", "freeze scope")?,
        cause: row.text("text2")?.to_owned(),
        since: column_time(row, "number")?,
        // The end of time: nobody has thawed it.
        thaws_at: (thaws_at != i64::MAX).then(|| Timestamp::from_unix_millis(thaws_at)),
    })
}

fn spend(row: &Row) -> Result<SpendRecord, StepError> {
    Ok(SpendRecord {
        request: RequestDigest::from_bytes(column32(row, "request")?),
        number: attempt_number(row)?,
        facts: row.bytes("facts")?.to_vec(),
        charged_at: column_time(row, "charged_at")?,
        authorized_at: column_time(row, "authorized_at")?,
        aged_at: row.optional_number("aged_at")?.map(Timestamp::from_unix_millis),
    })
}
