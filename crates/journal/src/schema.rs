//! The schema and its versions.

use crate::sql::{Link, Sql};

/// Applied in order; version n is the n-th. A migration that was released never changes.
const SQLITE: [&str; 9] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_counters.sql"),
    include_str!("../migrations/0003_observers.sql"),
    include_str!("../migrations/0004_freezes.sql"),
    include_str!("../migrations/0005_failed_spends.sql"),
    include_str!("../migrations/0006_services.sql"),
    include_str!("../migrations/0007_lists.sql"),
    include_str!("../migrations/0008_in_order.sql"),
    include_str!("../migrations/0009_given_up.sql"),
];
/// PostgreSQL came with version 2.
const POSTGRES: [&str; 8] = [
    include_str!("../migrations/postgres/0002_whole.sql"),
    include_str!("../migrations/postgres/0003_observers.sql"),
    include_str!("../migrations/postgres/0004_freezes.sql"),
    include_str!("../migrations/postgres/0005_failed_spends.sql"),
    include_str!("../migrations/postgres/0006_services.sql"),
    include_str!("../migrations/postgres/0007_lists.sql"),
    include_str!("../migrations/postgres/0008_in_order.sql"),
    include_str!("../migrations/postgres/0009_given_up.sql"),
];
/// The schema that this program reads and writes.
pub(crate) const SCHEMA_VERSION: i64 = 9;

/// All migrations of a database, and the version that the first of them makes.
pub(crate) fn migrations(link: &Link<'_>) -> (&'static [&'static str], i64) {
    match link {
        Link::Sqlite(_) => (&SQLITE, 1),
        Link::Postgres(_) => (&POSTGRES, 2),
    }
}

/// Writes the schema into an empty database, inside the caller's transaction.
pub(crate) async fn write_schema(link: &mut Link<'_>) -> Result<(), sqlx::Error> {
    let (migrations, _) = migrations(link);
    for migration in migrations {
        link.script(migration).await?;
    }
    link.script("CREATE TABLE schema_version (id INTEGER PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL)")
        .await?;
    let mut sql = Sql::new("INSERT INTO schema_version (id, version) VALUES (1, ");
    sql.bind(SCHEMA_VERSION).push(")");
    link.execute(sql).await.map(drop)
}

/// Brings an older schema up to date, inside the caller's transaction. An unknown version is left alone.
pub(crate) async fn migrate(link: &mut Link<'_>, found: i64) -> Result<i64, sqlx::Error> {
    let (migrations, first) = migrations(link);
    let missing = found
        .checked_sub(first)
        .and_then(|applied| usize::try_from(applied).ok());
    let (Some(applied), true) = (missing, found < SCHEMA_VERSION) else {
        return Ok(found);
    };
    for migration in migrations.iter().skip(applied.saturating_add(1)) {
        link.script(migration).await?;
    }
    let mut sql = Sql::new("UPDATE schema_version SET version = ");
    sql.bind(SCHEMA_VERSION).push(" WHERE id = 1");
    link.execute(sql).await?;
    Ok(SCHEMA_VERSION)
}

/// The version of the schema; `None` where the database has no such table.
pub(crate) async fn read_schema_version(link: &mut Link<'_>) -> Result<Option<i64>, sqlx::Error> {
    let tables = match link {
        Link::Sqlite(_) => {
            "SELECT count(*) AS tables FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'"
        }
        Link::Postgres(_) => {
            "SELECT count(*) AS tables FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_version'"
        }
    };
    if link.row(Sql::new(tables)).await?.number("tables")? == 0 {
        return Ok(None);
    }
    let version = link.optional_row(Sql::new("SELECT version FROM schema_version WHERE id = 1"));
    version.await?.map(|row| row.number("version")).transpose()
}
