//! The database: how it is connected to, and its versions.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Row as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Applied in order by whoever creates a journal; version n is the n-th. A migration that was released never changes.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_initial.sql")];
/// The schema that this program reads and writes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// How long a writer waits for another one before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The shapes of our statements vary with how many rows they have.
const CACHED_STATEMENTS: usize = 512;
/// Readers run beside the writer; more than the disk serves at once only wait elsewhere.
const READERS: u32 = 4;

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(CACHED_STATEMENTS)
}

/// The one connection that writes. Every commit is on the disk before it is answered.
pub(crate) async fn connect_writer(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
}

/// Connections that only read: each sees the last commit.
pub(crate) async fn connect_readers(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options(path).read_only(true))
        .await
}

/// Writes the schema into an empty database, inside the caller's transaction.
pub(crate) async fn write_schema(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for migration in MIGRATIONS {
        sqlx::raw_sql(migration).execute(&mut *connection).await?;
    }
    sqlx::raw_sql(
        "CREATE TABLE schema_version (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO schema_version (id, version) VALUES (1, ?)")
        .bind(SCHEMA_VERSION)
        .execute(connection)
        .await?;
    Ok(())
}

/// The version of the schema; `None` where the database has no such table.
pub(crate) async fn read_schema_version(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let tables = sqlx::query("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'")
        .fetch_one(&mut *connection)
        .await?;
    if tables.try_get::<i64, _>(0)? == 0 {
        return Ok(None);
    }
    let row = sqlx::query("SELECT version FROM schema_version WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}
