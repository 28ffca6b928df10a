//! Rows as the records that decisions and readers see.

use countersign_signer::{AttemptRecord, SignedAttempt, WithdrawalRecord};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, EntryDigest, RequestDigest, SignedTransaction, StatementDigest, Tag,
    Timestamp, TransactionDigest,
};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, sqlite::SqliteRow};

use crate::{
    codec::{BadValue, bytes32, from_sql, parse_conflict_keys, parse_signatures},
    error::StepError,
};

/// A 32-byte column.
pub(crate) fn column32(row: &SqliteRow, column: &str) -> Result<[u8; 32], StepError> {
    Ok(bytes32(row.try_get(column)?)?)
}

/// A time column.
pub(crate) fn column_time(row: &SqliteRow, column: &str) -> Result<Timestamp, StepError> {
    Ok(Timestamp::from_unix_millis(row.try_get(column)?))
}

/// What [`record_of`] reads; lookups of a view have other kinds.
const WITHDRAWAL: i64 = 101;
const ATTEMPT: i64 = 102;
const STATEMENT: i64 = 103;

/// Three statements in one round trip to the database, which costs more than what they do.
pub(crate) fn push_record(sql: &mut QueryBuilder<Sqlite>, request: RequestDigest) {
    let request = request.as_bytes();
    sql.push(format_args!("SELECT {WITHDRAWAL} AS kind, * FROM withdrawals WHERE request = "))
        .push_bind(request.to_vec())
        .push(format_args!("; SELECT {ATTEMPT} AS kind, * FROM attempts WHERE request = "))
        .push_bind(request.to_vec())
        .push(format_args!(
            " ORDER BY number; SELECT {STATEMENT} AS kind, digest FROM statement_subjects JOIN statements USING (seq) \
             WHERE digest NOT IN (SELECT statement FROM withdrawals WHERE withdrawals.request = statement_subjects.request) \
             AND request = "
        ))
        .push_bind(request.to_vec())
        .push(" ORDER BY seq; ");
}

/// The record in the rows of [`push_record`], other rows passed over; `None` where it was never journaled.
pub(crate) fn record_of(request: RequestDigest, rows: &[SqliteRow]) -> Result<Option<WithdrawalRecord>, StepError> {
    let mut record = None;
    for row in rows {
        match (row.try_get::<i64, _>("kind")?, &mut record) {
            (WITHDRAWAL, record) => *record = Some(withdrawal(request, row)?),
            (ATTEMPT, Some(record)) => record.attempts.push(attempt(row)?),
            _ => {}
        }
    }
    Ok(record)
}

/// The statements in the rows of [`push_record`]: they can come before their withdrawal.
pub(crate) fn statements_of(rows: &[SqliteRow]) -> Result<Vec<StatementDigest>, StepError> {
    let mut statements = Vec::new();
    for row in rows {
        if row.try_get::<i64, _>("kind")? == STATEMENT {
            statements.push(StatementDigest::from_bytes(column32(row, "digest")?));
        }
    }
    Ok(statements)
}

/// What ended a withdrawal.
pub(crate) fn ending(row: &SqliteRow) -> Result<Option<Tag>, StepError> {
    let tag: Option<&str> = row.try_get("ended_by")?;
    Ok(tag.map(|tag| tag.parse().map_err(|_| BadValue("ending"))).transpose()?)
}

fn withdrawal(request: RequestDigest, row: &SqliteRow) -> Result<WithdrawalRecord, StepError> {
    let last_decision: Option<&[u8]> = row.try_get("last_decision")?;
    let last_decision = last_decision.map(bytes32).transpose()?;
    Ok(WithdrawalRecord {
        request,
        first_seen_at: column_time(row, "first_seen_at")?,
        first_bundle: BundleDigest::from_bytes(column32(row, "bundle")?),
        ended: ending(row)?,
        last_decision: last_decision.map(EntryDigest::from_bytes),
        decisions: from_sql(row.try_get("decisions")?)?,
        attempts: Vec::new(),
    })
}

/// The record of a withdrawal; `None` where it was never journaled.
pub(crate) async fn load_withdrawal(
    connection: &mut SqliteConnection,
    request: RequestDigest,
) -> Result<Option<WithdrawalRecord>, StepError> {
    let mut sql = QueryBuilder::new("");
    push_record(&mut sql, request);
    let rows = sql.build().fetch_all(connection).await?;
    record_of(request, &rows)
}

/// A row with every column of `attempts`.
pub(crate) fn attempt(row: &SqliteRow) -> Result<AttemptRecord, StepError> {
    let number = u32::try_from(row.try_get::<i64, _>("number")?).map_err(|_| BadValue("attempt number"))?;
    Ok(AttemptRecord {
        number,
        transaction: TransactionDigest::from_bytes(column32(row, "transaction_digest")?),
        unsigned: row.try_get("unsigned")?,
        conflict_keys: parse_conflict_keys(row.try_get("conflict_keys")?)?,
        fee_max: Amount::from_be_bytes(column32(row, "fee_max")?),
        authorization: AuthorizationId::from_bytes(column32(row, "authorization_id")?),
        authorized_at: column_time(row, "authorized_at")?,
        sign_by: column_time(row, "sign_by")?,
        signed: signed_attempt(row)?,
    })
}

fn signed_attempt(row: &SqliteRow) -> Result<Option<SignedAttempt>, StepError> {
    let Some(recorded_at) = row.try_get::<Option<i64>, _>("recorded_at")? else {
        return Ok(None);
    };
    Ok(Some(SignedAttempt {
        signatures: parse_signatures(row.try_get("signatures")?)?,
        transaction: SignedTransaction {
            bytes: row.try_get("signed")?,
            txid: row.try_get("txid")?,
        },
        recorded_at: Timestamp::from_unix_millis(recorded_at),
    }))
}
