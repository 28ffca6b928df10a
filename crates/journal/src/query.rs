//! Reading beside the writer: every call sees the last commit, and what belongs together in one read transaction.

use std::collections::BTreeMap;

use countersign_signer::{Basis, JournaledStatement, Page, ProvenEntries, StoredBundle, Unfinished, WithdrawalHistory};
use countersign_types::{BundleDigest, PrincipalId, RequestDigest, Timestamp};

use crate::{
    codec::{bytes32, from_sql, to_sql},
    error::StepError,
    found::parsed,
    log::load_proven_entries,
    needs::Needs,
    records::{attempt, column_time, column32, ending},
    sql::{Link, Row, Sql, Value},
    view::look_up,
};

/// Authorizations without signatures, in the order of their first authorization.
pub(crate) async fn unfinished(link: &mut Link<'_>, page: Page) -> Result<Vec<Unfinished>, StepError> {
    let mut sql = Sql::new(
        "SELECT attempts.*, charged_at, aged_at, released_at, failed, envelope, ended_by FROM attempts \
         LEFT JOIN spends ON attempt = attempts.seq \
         JOIN withdrawals ON withdrawals.request = attempts.request \
         JOIN statements ON digest = statement WHERE recorded_at IS NULL ORDER BY attempts.seq LIMIT ",
    );
    sql.bind(i64::from(page.limit.min(Page::MAX)))
        .push(" OFFSET ")
        .bind(i64::try_from(page.offset).unwrap_or(i64::MAX));
    let rows = link.rows(sql).await?;
    let one = |row: &Row| {
        Ok(Unfinished {
            request: RequestDigest::from_bytes(column32(row, "request")?),
            envelope: row.bytes("envelope")?.to_vec(),
            attempt: attempt(row)?,
            ended: ending(row, "ended_by")?,
        })
    };
    rows.iter().map(one).collect()
}

/// The statements about a withdrawal in the order of first sight, the request not among them.
pub(crate) async fn statements(
    link: &mut Link<'_>,
    request: RequestDigest,
) -> Result<Vec<JournaledStatement>, StepError> {
    let mut sql = Sql::new(
        "SELECT envelope, signer, first_seen_at FROM statement_subjects JOIN statements USING (seq) \
         WHERE digest NOT IN (SELECT statement FROM withdrawals WHERE withdrawals.request = statement_subjects.request) \
         AND request = ",
    );
    sql.bind(request.as_bytes()).push(" ORDER BY seq");
    let rows = link.rows(sql).await?;
    rows.iter().map(journaled).collect()
}

fn journaled(row: &Row) -> Result<JournaledStatement, StepError> {
    Ok(JournaledStatement {
        envelope: row.bytes("envelope")?.to_vec(),
        signer: parsed(row, "signer", "signer")?,
        first_seen_at: column_time(row, "first_seen_at")?,
    })
}

/// What a decision about a withdrawal would rest on now; `None` if it was never journaled.
pub(crate) async fn basis(
    link: &mut Link<'_>,
    request: RequestDigest,
    entries: &[(PrincipalId, String)],
) -> Result<Option<Basis>, StepError> {
    let mut sql = Sql::new(
        "SELECT ended_by, (SELECT digest FROM bundles ORDER BY version DESC LIMIT 1) AS bundle, \
         (SELECT count(*) FROM statement_subjects JOIN statements USING (seq) \
         WHERE statement_subjects.request = withdrawals.request AND digest <> withdrawals.statement) AS statements, \
         (SELECT coalesce(max(seq), 0) FROM freezes) AS freezes \
         FROM withdrawals WHERE request = ",
    );
    sql.bind(request.as_bytes());
    let Some(row) = link.optional_row(sql).await? else {
        return Ok(None);
    };
    let bundle = row.optional_bytes("bundle")?;
    Ok(Some(Basis {
        bundle: bundle.map(bytes32).transpose()?.map(BundleDigest::from_bytes),
        ended: ending(&row, "ended_by")?,
        statements: from_sql(row.number("statements")?)?,
        freezes: from_sql(row.number("freezes")?)?,
        entries: book_entries(link, entries).await?,
    }))
}

/// Since when those of the entries that stand do.
async fn book_entries(
    link: &mut Link<'_>,
    entries: &[(PrincipalId, String)],
) -> Result<BTreeMap<(PrincipalId, String), Timestamp>, StepError> {
    if entries.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked = entries.iter();
    let asked = asked.map(|(service, matter)| vec![Value::from(service.as_str()), Value::from(matter.as_str())]);
    let mut sql = Sql::new("SELECT service, matter, since FROM ");
    sql.given(asked.collect())
        .push(" CROSS JOIN last_words WHERE service = column1 AND matter = column2 AND since IS NOT NULL");
    let rows = link.rows(sql).await?;
    let one = |row: &Row| {
        let key = (parsed(row, "service", "service")?, row.text("matter")?.to_owned());
        Ok((key, column_time(row, "since")?))
    };
    rows.iter().map(one).collect()
}

/// The bytes of files after which a page of bundles ends: one with a list of a million destinations has half as many.
const MAX_PAGE_BYTES: usize = 128 * 1024 * 1024;

/// Activated bundles behind a version, with files and activations: a page, and at least one where there is one. The caller
/// holds a read transaction.
pub(crate) async fn bundles_after(link: &mut Link<'_>, version: u64) -> Result<Vec<StoredBundle>, StepError> {
    bundles_page(link, version, MAX_PAGE_BYTES).await
}

/// Bundles until they have more bytes than `max`.
async fn bundles_page(link: &mut Link<'_>, version: u64, max: usize) -> Result<Vec<StoredBundle>, StepError> {
    // A version over 63 bits was never stored, and nothing is behind it.
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    let mut sql = Sql::new("SELECT * FROM bundles WHERE version > ");
    sql.bind(version)
        .push(" ORDER BY version LIMIT ")
        .bind(i64::from(Page::MAX));
    let rows = link.rows(sql).await?;
    load_bundles(link, rows, max).await
}

/// The bundle in force. The caller holds a read transaction.
pub(crate) async fn active_bundle(link: &mut Link<'_>) -> Result<Option<StoredBundle>, StepError> {
    let rows = link
        .rows(Sql::new("SELECT * FROM bundles ORDER BY version DESC LIMIT 1"))
        .await?;
    Ok(load_bundles(link, rows, 0).await?.pop())
}

/// The first of them, and more while they have at most so many bytes.
async fn load_bundles(link: &mut Link<'_>, rows: Vec<Row>, max: usize) -> Result<Vec<StoredBundle>, StepError> {
    let (mut bundles, mut size) = (Vec::new(), 0_usize);
    for row in rows {
        if size > max {
            break;
        }
        let version = row.number("version")?;
        let files = load_files(link, version).await?;
        size = files.values().map(Vec::len).fold(size, usize::saturating_add);
        bundles.push(StoredBundle {
            version: from_sql(version)?,
            digest: BundleDigest::from_bytes(column32(&row, "digest")?),
            files,
            statements: load_activations(link, version).await?,
            activated_at: column_time(&row, "activated_at")?,
        });
    }
    Ok(bundles)
}

async fn load_files(link: &mut Link<'_>, version: i64) -> Result<BTreeMap<String, Vec<u8>>, StepError> {
    let mut sql = Sql::new("SELECT path, bytes FROM bundle_files WHERE version = ");
    sql.bind(version);
    let rows = link.rows(sql).await?;
    let file = |row: &Row| Ok((row.text("path")?.to_owned(), row.bytes("bytes")?.to_vec()));
    rows.iter().map(file).collect()
}

async fn load_activations(link: &mut Link<'_>, version: i64) -> Result<Vec<JournaledStatement>, StepError> {
    let mut sql = Sql::new(
        "SELECT envelope, signer, first_seen_at FROM bundle_statements JOIN statements ON digest = statement WHERE version = ",
    );
    sql.bind(version).push(" ORDER BY position");
    let rows = link.rows(sql).await?;
    rows.iter().map(journaled).collect()
}

/// What the log says of a bundle. The caller holds a read transaction.
pub(crate) async fn activation(link: &mut Link<'_>, bundle: BundleDigest) -> Result<ProvenEntries, StepError> {
    let (checkpoint, size) = checkpoint(link).await?;
    let mut about = Sql::new("SELECT position FROM log_subjects WHERE request = ");
    about.bind(bundle.as_bytes());
    Ok(ProvenEntries {
        entries: load_proven_entries(link, about, size).await?,
        checkpoint,
    })
}

/// Everything about one withdrawal. The caller holds a read transaction.
pub(crate) async fn history(
    link: &mut Link<'_>,
    request: RequestDigest,
) -> Result<Option<WithdrawalHistory>, StepError> {
    let needs = Needs {
        requests: [request].into(),
        ..Needs::default()
    };
    // Nothing of it depends on the time.
    let seen = look_up(link, &needs, Timestamp::from_unix_millis(0)).await?;
    let Some(record) = seen.withdrawal(request) else {
        return Ok(None);
    };
    let mut sql = Sql::new(
        "SELECT envelope, signer, statements.first_seen_at FROM withdrawals JOIN statements ON digest = statement WHERE request = ",
    );
    sql.bind(request.as_bytes());
    let row = link.row(sql).await?;
    let (checkpoint, size) = checkpoint(link).await?;
    // A bundle that came into force is a subject of its own, which every receipt needs.
    let mut about = Sql::new("SELECT position FROM log_subjects WHERE request = ");
    about
        .bind(request.as_bytes())
        .push(" OR request IN (SELECT digest FROM bundles)");
    Ok(Some(WithdrawalHistory {
        record,
        request: journaled(&row)?,
        statements: statements(link, request).await?,
        entries: load_proven_entries(link, about, size).await?,
        checkpoint,
    }))
}

/// The latest checkpoint and the size of its log.
pub(crate) async fn checkpoint(link: &mut Link<'_>) -> Result<(Vec<u8>, u64), StepError> {
    let newest = "SELECT checkpoint, log_size FROM commits ORDER BY number DESC LIMIT 1";
    let row = link.row(Sql::new(newest)).await?;
    Ok((row.bytes("checkpoint")?.to_vec(), from_sql(row.number("log_size")?)?))
}

/// The latest checkpoint.
pub(crate) async fn latest_checkpoint(link: &mut Link<'_>) -> Result<Vec<u8>, StepError> {
    Ok(checkpoint(link).await?.0)
}

/// Log entries from `start`.
pub(crate) async fn entries(link: &mut Link<'_>, start: u64, count: u32) -> Result<Vec<Vec<u8>>, StepError> {
    let Ok(start) = to_sql(start) else {
        return Ok(Vec::new());
    };
    let mut sql = Sql::new("SELECT bytes FROM log_entries WHERE position >= ");
    sql.bind(start)
        .push(" ORDER BY position LIMIT ")
        .bind(i64::from(count.min(Page::MAX)));
    let rows = link.rows(sql).await?;
    rows.iter().map(|row| Ok(row.bytes("bytes")?.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Place, bundle, write};

    /// A page of large bundles is short, and asking behind its last one comes to an end.
    #[tokio::test]
    async fn a_page_of_bundles_has_a_bound() {
        let place = Place::new();
        let journal = place.create().await;
        for version in 1..=3 {
            write(&journal, bundle(version), Vec::new()).await.unwrap();
        }
        journal.close().await;
        let mut connection = crate::database::Connection::open(&place.config().database)
            .await
            .unwrap();
        let one = "manifest 1rules".len();
        for (after, max, expected) in [
            (0, 0, vec![1]),
            (1, 0, vec![2]),
            (3, 0, vec![]),
            (0, one, vec![1, 2]),
            (0, 2 * one, vec![1, 2, 3]),
            (1, usize::MAX, vec![2, 3]),
        ] {
            let page = bundles_page(&mut connection.link(), after, max).await.unwrap();
            let versions: Vec<u64> = page.iter().map(|bundle| bundle.version).collect();
            assert_eq!(versions, expected, "after {after}, at most {max} bytes");
        }
    }
}
