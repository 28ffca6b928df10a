//! Reading beside the writer: every call sees the last commit, and what belongs together in one read transaction.

use std::collections::BTreeMap;

use countersign_signer::{Basis, JournaledStatement, Page, StoredBundle, Unfinished, WithdrawalHistory};
use countersign_types::{BundleDigest, RequestDigest};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::{
    codec::{bytes32, from_sql, to_sql},
    error::StepError,
    log::load_proven_entries,
    records::{attempt, column_time, column32, ending, load_withdrawal},
};

/// Authorizations without signatures, in the order of their first authorization.
pub(crate) async fn unfinished(connection: &mut SqliteConnection, page: Page) -> Result<Vec<Unfinished>, StepError> {
    let rows = sqlx::query(
        "SELECT attempts.*, envelope FROM attempts JOIN withdrawals USING (request) \
         JOIN statements ON digest = statement WHERE recorded_at IS NULL ORDER BY attempts.seq LIMIT ? OFFSET ?",
    )
    .bind(i64::from(page.limit.min(Page::MAX)))
    .bind(i64::try_from(page.offset).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let one = |row: &SqliteRow| {
        Ok(Unfinished {
            request: RequestDigest::from_bytes(column32(row, "request")?),
            envelope: row.try_get("envelope")?,
            attempt: attempt(row)?,
        })
    };
    rows.iter().map(one).collect()
}

/// The statements about a withdrawal in the order of first sight, the request not among them.
pub(crate) async fn statements(
    connection: &mut SqliteConnection,
    request: RequestDigest,
) -> Result<Vec<JournaledStatement>, StepError> {
    let rows = sqlx::query(
        "SELECT envelope, first_seen_at FROM statement_subjects JOIN statements USING (seq) WHERE request = ? \
         AND digest NOT IN (SELECT statement FROM withdrawals WHERE withdrawals.request = statement_subjects.request) \
         ORDER BY seq",
    )
    .bind(request.as_bytes().to_vec())
    .fetch_all(connection)
    .await?;
    rows.iter().map(journaled).collect()
}

fn journaled(row: &SqliteRow) -> Result<JournaledStatement, StepError> {
    Ok(JournaledStatement {
        envelope: row.try_get("envelope")?,
        first_seen_at: column_time(row, "first_seen_at")?,
    })
}

/// What a decision about a withdrawal would rest on now; `None` if it was never journaled.
pub(crate) async fn basis(
    connection: &mut SqliteConnection,
    request: RequestDigest,
) -> Result<Option<Basis>, StepError> {
    let row = sqlx::query(
        "SELECT ended_by, (SELECT digest FROM bundles ORDER BY version DESC LIMIT 1) AS bundle, \
         (SELECT count(*) FROM statement_subjects JOIN statements USING (seq) \
         WHERE statement_subjects.request = withdrawals.request AND digest <> withdrawals.statement) AS statements \
         FROM withdrawals WHERE request = ?",
    )
    .bind(request.as_bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let bundle: Option<&[u8]> = row.try_get("bundle")?;
        Ok(Basis {
            bundle: bundle.map(bytes32).transpose()?.map(BundleDigest::from_bytes),
            ended: ending(&row)?,
            statements: from_sql(row.try_get("statements")?)?,
        })
    })
    .transpose()
}

/// Activated bundles behind a version, with files and activations. The caller holds a read transaction.
pub(crate) async fn bundles_after(
    connection: &mut SqliteConnection,
    version: u64,
) -> Result<Vec<StoredBundle>, StepError> {
    // A version over 63 bits was never stored, and nothing is behind it.
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    let rows = sqlx::query("SELECT * FROM bundles WHERE version > ? ORDER BY version LIMIT ?")
        .bind(version)
        .bind(i64::from(Page::MAX))
        .fetch_all(&mut *connection)
        .await?;
    load_bundles(connection, rows).await
}

/// The bundle in force. The caller holds a read transaction.
pub(crate) async fn active_bundle(connection: &mut SqliteConnection) -> Result<Option<StoredBundle>, StepError> {
    let rows = sqlx::query("SELECT * FROM bundles ORDER BY version DESC LIMIT 1")
        .fetch_all(&mut *connection)
        .await?;
    Ok(load_bundles(connection, rows).await?.pop())
}

async fn load_bundles(connection: &mut SqliteConnection, rows: Vec<SqliteRow>) -> Result<Vec<StoredBundle>, StepError> {
    let mut bundles = Vec::new();
    for row in rows {
        let version: i64 = row.try_get("version")?;
        bundles.push(StoredBundle {
            version: from_sql(version)?,
            digest: BundleDigest::from_bytes(column32(&row, "digest")?),
            files: load_files(connection, version).await?,
            statements: load_activations(connection, version).await?,
            activated_at: column_time(&row, "activated_at")?,
        });
    }
    Ok(bundles)
}

async fn load_files(connection: &mut SqliteConnection, version: i64) -> Result<BTreeMap<String, Vec<u8>>, StepError> {
    let rows = sqlx::query("SELECT path, bytes FROM bundle_files WHERE version = ?")
        .bind(version)
        .fetch_all(connection)
        .await?;
    let file = |row: &SqliteRow| Ok((row.try_get("path")?, row.try_get("bytes")?));
    rows.iter().map(file).collect()
}

async fn load_activations(connection: &mut SqliteConnection, version: i64) -> Result<Vec<Vec<u8>>, StepError> {
    let rows = sqlx::query(
        "SELECT envelope FROM bundle_statements JOIN statements ON digest = statement WHERE version = ? ORDER BY position",
    )
    .bind(version)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(row.try_get("envelope")?)).collect()
}

/// Everything about one withdrawal. The caller holds a read transaction.
pub(crate) async fn history(
    connection: &mut SqliteConnection,
    request: RequestDigest,
) -> Result<Option<WithdrawalHistory>, StepError> {
    let Some(record) = load_withdrawal(connection, request).await? else {
        return Ok(None);
    };
    let row = sqlx::query(
        "SELECT envelope, statements.first_seen_at FROM withdrawals JOIN statements ON digest = statement WHERE request = ?",
    )
    .bind(request.as_bytes().to_vec())
    .fetch_one(&mut *connection)
    .await?;
    let (checkpoint, size) = checkpoint(connection).await?;
    Ok(Some(WithdrawalHistory {
        record,
        request: journaled(&row)?,
        statements: statements(connection, request).await?,
        entries: load_proven_entries(connection, request, size).await?,
        checkpoint,
    }))
}

/// The latest checkpoint and the size of its log.
pub(crate) async fn checkpoint(connection: &mut SqliteConnection) -> Result<(Vec<u8>, u64), StepError> {
    let row = sqlx::query("SELECT checkpoint, log_size FROM commits ORDER BY number DESC LIMIT 1")
        .fetch_one(connection)
        .await?;
    Ok((row.try_get("checkpoint")?, from_sql(row.try_get("log_size")?)?))
}

/// The latest checkpoint.
pub(crate) async fn latest_checkpoint(connection: &mut SqliteConnection) -> Result<Vec<u8>, StepError> {
    Ok(checkpoint(connection).await?.0)
}

/// Log entries from `start`.
pub(crate) async fn entries(
    connection: &mut SqliteConnection,
    start: u64,
    count: u32,
) -> Result<Vec<Vec<u8>>, StepError> {
    let Ok(start) = to_sql(start) else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query("SELECT bytes FROM log_entries WHERE position >= ? ORDER BY position LIMIT ?")
        .bind(start)
        .bind(i64::from(count.min(Page::MAX)))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("bytes")?)).collect()
}
