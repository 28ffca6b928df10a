//! Connections: the one that writes, and those that only read.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::sql::Link;

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
pub(crate) struct Connection(SqliteConnection);

impl Connection {
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let connection = options(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await?;
        Ok(Self(connection))
    }

    pub(crate) fn link(&mut self) -> Link<'_> {
        Link::Sqlite(&mut self.0)
    }

    pub(crate) async fn close(self) -> Result<(), Error> {
        self.0.close().await
    }
}

/// Connections that only read: each sees the last commit.
pub(crate) struct Readers(SqlitePool);

impl Readers {
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let pool = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options(path).read_only(true))
            .await?;
        Ok(Self(pool))
    }

    pub(crate) async fn begin(&self) -> Result<Reading, Error> {
        Ok(Reading(self.0.begin().await?))
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// A read transaction. Dropping it ends it: there is nothing to commit.
pub(crate) struct Reading(Transaction<'static, Sqlite>);

impl Reading {
    pub(crate) fn link(&mut self) -> Link<'_> {
        Link::Sqlite(&mut self.0)
    }
}
