//! Rows as the records that decisions and readers see.

use countersign_signer::{AttemptRecord, SignedAttempt, WithdrawalRecord};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, EntryDigest, RequestDigest, SignedTransaction, StatementDigest, Timestamp,
    TransactionDigest,
};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::{
    codec::{BadValue, bytes32, parse_conflict_keys, parse_signatures},
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

/// The record of a withdrawal; `None` where it was never journaled.
pub(crate) async fn load_withdrawal(
    connection: &mut SqliteConnection,
    request: RequestDigest,
) -> Result<Option<WithdrawalRecord>, StepError> {
    let row = sqlx::query(
        "SELECT bundle, first_seen_at, cancelled_at, last_decision, statement FROM withdrawals WHERE request = ?",
    )
    .bind(request.as_bytes().as_slice())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let last_decision: Option<&[u8]> = row.try_get("last_decision")?;
    let last_decision = last_decision.map(bytes32).transpose()?;
    let request_statement = StatementDigest::from_bytes(column32(&row, "statement")?);
    Ok(Some(WithdrawalRecord {
        request,
        first_seen_at: column_time(&row, "first_seen_at")?,
        first_bundle: BundleDigest::from_bytes(column32(&row, "bundle")?),
        cancelled: row.try_get::<Option<i64>, _>("cancelled_at")?.is_some(),
        last_decision: last_decision.map(EntryDigest::from_bytes),
        attempts: load_attempts(connection, request).await?,
        statements: load_statements(connection, request, request_statement).await?,
    }))
}

async fn load_attempts(
    connection: &mut SqliteConnection,
    request: RequestDigest,
) -> Result<Vec<AttemptRecord>, StepError> {
    let rows = sqlx::query("SELECT * FROM attempts WHERE request = ? ORDER BY number")
        .bind(request.as_bytes().as_slice())
        .fetch_all(connection)
        .await?;
    rows.iter().map(attempt).collect()
}

async fn load_statements(
    connection: &mut SqliteConnection,
    request: RequestDigest,
    but: StatementDigest,
) -> Result<Vec<StatementDigest>, StepError> {
    let rows = sqlx::query(
        "SELECT digest FROM statement_subjects JOIN statements USING (seq) WHERE request = ? AND digest <> ? ORDER BY seq",
    )
    .bind(request.as_bytes().as_slice())
    .bind(but.as_bytes().as_slice())
    .fetch_all(connection)
    .await?;
    let digest = |row| Ok(StatementDigest::from_bytes(column32(row, "digest")?));
    rows.iter().map(digest).collect()
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
