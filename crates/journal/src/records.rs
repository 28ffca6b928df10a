//! Rows as the records that decisions and readers see.

use countersign_signer::{AttemptRecord, SignedAttempt, SpendStage, WithdrawalRecord};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, EntryDigest, RequestDigest, SignedTransaction, StatementDigest, Tag,
    Timestamp, TransactionDigest,
};

use crate::{
    charged::Stage,
    codec::{BadValue, bytes32, from_sql, parse_conflict_keys, parse_signatures},
    error::StepError,
    lookups::{Found, Lookups, NOTHING},
    sql::{Link, Row, Sql},
};

/// A 32-byte column.
pub(crate) fn column32(row: &Row, column: &str) -> Result<[u8; 32], StepError> {
    Ok(bytes32(row.bytes(column)?)?)
}

/// A time column.
pub(crate) fn column_time(row: &Row, column: &str) -> Result<Timestamp, StepError> {
    Ok(Timestamp::from_unix_millis(row.number(column)?))
}

/// What [`record_of`] reads; lookups of a view have other kinds.
const WITHDRAWAL: i64 = 101;
const ATTEMPT: i64 = 102;
const STATEMENT: i64 = 103;

/// A withdrawal and its attempts.
pub(crate) fn push_record(sql: &mut Sql, request: RequestDigest) {
    let request = request.as_bytes();
    sql.push(format_args!(
        "SELECT CAST({WITHDRAWAL} AS BIGINT) AS kind, withdrawals.* FROM withdrawals WHERE request = "
    ))
    .bind(request)
    .end()
    .push(format_args!(
        "SELECT CAST({ATTEMPT} AS BIGINT) AS kind, attempts.*, charged_at, aged_at, released_at, failed FROM attempts \
         LEFT JOIN spends ON spends.request = attempts.request AND spends.number = attempts.number \
         WHERE attempts.request = "
    ))
    .bind(request)
    .push(" ORDER BY attempts.number")
    .end();
}

/// The statements about a withdrawal, but for its request.
pub(crate) fn push_about(lookups: &mut Lookups<'_>, request: RequestDigest) {
    let found = Found {
        bytes: "digest",
        number: "seq",
        ..NOTHING
    };
    let about = "statement_subjects JOIN statements USING (seq) WHERE digest NOT IN \
                 (SELECT statement FROM withdrawals WHERE withdrawals.request = statement_subjects.request) AND request = ";
    lookups.push(STATEMENT, found, about).bind(request.as_bytes());
}

/// The record in the rows of [`push_record`], other rows passed over; `None` where it was never journaled.
pub(crate) fn record_of(request: RequestDigest, rows: &[Row]) -> Result<Option<WithdrawalRecord>, StepError> {
    let mut record = None;
    for row in rows {
        match (row.number("kind")?, &mut record) {
            (WITHDRAWAL, record) => *record = Some(withdrawal(request, row)?),
            (ATTEMPT, Some(record)) => record.attempts.push(attempt(row)?),
            _ => {}
        }
    }
    Ok(record)
}

/// The statements in the rows of [`push_about`], in the order of first sight: they can come before their withdrawal.
pub(crate) fn statements_of(rows: &[Row]) -> Result<Vec<StatementDigest>, StepError> {
    let mut statements = Vec::new();
    for row in rows {
        if row.number("kind")? == STATEMENT {
            let digest = StatementDigest::from_bytes(column32(row, "bytes")?);
            statements.push((row.number("number")?, digest));
        }
    }
    statements.sort_unstable();
    Ok(statements.into_iter().map(|(_, digest)| digest).collect())
}

/// What ended a withdrawal.
pub(crate) fn ending(row: &Row) -> Result<Option<Tag>, StepError> {
    let tag = row.optional_text("ended_by")?;
    Ok(tag.map(|tag| tag.parse().map_err(|_| BadValue("ending"))).transpose()?)
}

fn withdrawal(request: RequestDigest, row: &Row) -> Result<WithdrawalRecord, StepError> {
    let last_decision = row.optional_bytes("last_decision")?;
    let last_decision = last_decision.map(bytes32).transpose()?;
    Ok(WithdrawalRecord {
        request,
        first_seen_at: column_time(row, "first_seen_at")?,
        first_bundle: BundleDigest::from_bytes(column32(row, "bundle")?),
        ended: ending(row)?,
        last_decision: last_decision.map(EntryDigest::from_bytes),
        decisions: from_sql(row.number("decisions")?)?,
        attempts: Vec::new(),
    })
}

/// The record of a withdrawal; `None` where it was never journaled.
pub(crate) async fn load_withdrawal(
    link: &mut Link<'_>,
    request: RequestDigest,
) -> Result<Option<WithdrawalRecord>, StepError> {
    let mut sql = Sql::default();
    push_record(&mut sql, request);
    let rows = link.rows(sql).await?;
    record_of(request, &rows)
}

/// A row with every column of `attempts`, and those of its spend.
pub(crate) fn attempt(row: &Row) -> Result<AttemptRecord, StepError> {
    let number = u32::try_from(row.number("number")?).map_err(|_| BadValue("attempt number"))?;
    Ok(AttemptRecord {
        number,
        transaction: TransactionDigest::from_bytes(column32(row, "transaction_digest")?),
        unsigned: row.bytes("unsigned")?.to_vec(),
        conflict_keys: parse_conflict_keys(row.text("conflict_keys")?)?,
        fee_max: Amount::from_be_bytes(column32(row, "fee_max")?),
        authorization: AuthorizationId::from_bytes(column32(row, "authorization_id")?),
        authorized_at: column_time(row, "authorized_at")?,
        sign_by: column_time(row, "sign_by")?,
        signed: signed_attempt(row)?,
        spend: spend_stage(row)?,
    })
}

fn spend_stage(row: &Row) -> Result<Option<SpendStage>, StepError> {
    if row.optional_number("charged_at")?.is_none() {
        return Ok(None);
    }
    Ok(Some(match Stage::of(row)? {
        Stage::Outstanding => SpendStage::Outstanding,
        Stage::Aged(_) => SpendStage::Aged,
        Stage::Failed(_) => SpendStage::Failed,
        Stage::Released => SpendStage::Released,
    }))
}

fn signed_attempt(row: &Row) -> Result<Option<SignedAttempt>, StepError> {
    let Some(recorded_at) = row.optional_number("recorded_at")? else {
        return Ok(None);
    };
    Ok(Some(SignedAttempt {
        signatures: parse_signatures(row.bytes("signatures")?)?,
        transaction: SignedTransaction {
            bytes: row.bytes("signed")?.to_vec(),
            txid: row.text("txid")?.to_owned(),
        },
        recorded_at: Timestamp::from_unix_millis(recorded_at),
    }))
}
