//! Connections: the one that writes, and those that only read. What differs between the databases besides the schema is
//! here.

use std::{fmt, path::PathBuf, str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool,
    Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::sql::{Link, Sql};

/// How long a writer waits for another one before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The shapes of our statements vary with how many rows they have.
const CACHED_STATEMENTS: usize = 512;
/// After how many pages (of 4 KiB) SQLite moves its write-ahead log into the database: random keys touch the same pages again
/// and again, and this is how often each of them is written there.
const WAL_PAGES: &str = "8000";
/// Readers run beside the writer; more than the disk serves at once only wait elsewhere.
const READERS: u32 = 4;
/// How PostgreSQL is to behave, whatever its configuration says: a commit is on the disk before it is answered; who waits
/// for the lock gives up as with SQLite; a signer that hangs inside its transaction does not stop the others for ever.
const SESSION: [(&str, &str); 10] = [
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read committed"),
    // Plans are made once, most of them while the tables are empty, and used when they are large: only searches in indexes
    // stay good.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

/// Where the journal is.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file, for one signer.
    Sqlite(PathBuf),
    /// A PostgreSQL database that several signers share.
    Postgres(PostgresUrl),
}

/// `postgresql://user:password@localhost/journal`: a secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

/// Why a text is no address of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It does not parse.
    #[error("the address of the journal's database is not `postgresql://user@host/database`")]
    Malformed,
    /// Another machine: nothing here encrypts the connection.
    #[error("the journal's database is on another machine: use its Unix socket, or an encrypted tunnel to this one")]
    Remote,
}

impl PostgresUrl {
    /// Checks an address. Statements, signatures and the password would cross a network in the clear, so only this machine's
    /// own end of a connection is taken: a Unix socket or the loopback interface.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let is_postgres = url.starts_with("postgresql://") || url.starts_with("postgres://");
        let options = PgConnectOptions::from_str(url).map_err(|_| BadUrl::Malformed)?;
        if !is_postgres {
            return Err(BadUrl::Malformed);
        }
        let host = options.get_host();
        let is_here = options.get_socket().is_some()
            || host.starts_with('/')
            || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]");
        if !is_here {
            return Err(BadUrl::Remote);
        }
        Ok(Self(url.to_owned()))
    }

    fn options(&self) -> Result<PgConnectOptions, Error> {
        let options = PgConnectOptions::from_str(&self.0)?;
        Ok(options
            .application_name("countersign-signer")
            .statement_cache_capacity(CACHED_STATEMENTS)
            .options(SESSION))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(…)")
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => match url.options() {
                Ok(options) => write!(
                    f,
                    "postgresql {}/{}",
                    options.get_host(),
                    options.get_database().unwrap_or_default()
                ),
                Err(_) => f.write_str("postgresql"),
            },
        }
    }
}

impl Database {
    /// Whether several signers write to it.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }
}

fn sqlite_options(path: &PathBuf) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // Every table of ours has the index that a search needs: none is to be read as a whole to make one.
        .pragma("automatic_index", "OFF")
        .statement_cache_capacity(CACHED_STATEMENTS)
}

/// The one connection that writes. Every commit is on the disk before it is answered.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(crate) async fn open(database: &Database) -> Result<Self, Error> {
        match database {
            Database::Sqlite(path) => {
                let connection = sqlite_options(path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("temp_store", "MEMORY")
                    .pragma("wal_autocheckpoint", WAL_PAGES)
                    .connect()
                    .await?;
                Ok(Self::Sqlite(connection))
            }
            Database::Postgres(url) => {
                let mut connection = Self::Postgres(url.options()?.connect().await?);
                refuse_lossy(&mut connection.link()).await?;
                Ok(connection)
            }
        }
    }

    pub(crate) fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(connection) => Link::Sqlite(connection),
            Self::Postgres(connection) => Link::Postgres(connection),
        }
    }

    pub(crate) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

/// A server that does not write through loses signatures that were released.
async fn refuse_lossy(link: &mut Link<'_>) -> Result<(), Error> {
    let settings = "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages";
    let row = link.row(Sql::new(settings)).await?;
    if row.text("fsync")? != "on" || row.text("pages")? != "on" {
        let reason = "the server runs with fsync or full_page_writes off: a power cut would lose what was acknowledged";
        return Err(Error::Configuration(reason.into()));
    }
    Ok(())
}

impl Link<'_> {
    /// Begins a transaction and takes the lock that every writer takes first: nobody commits beside it.
    pub(crate) async fn begin_locked(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => self.script("BEGIN IMMEDIATE").await,
            // What is read after it in this transaction is newer than the lock: each statement sees the last commit.
            Self::Postgres(_) => {
                self.script("BEGIN; SELECT generation FROM fence WHERE id = 1 FOR UPDATE")
                    .await
            }
        }
    }
}

/// Connections that only read: each sees the last commit.
pub(crate) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Readers {
    pub(crate) async fn open(database: &Database) -> Result<Self, Error> {
        match database {
            Database::Sqlite(path) => {
                let pool = SqlitePoolOptions::new().max_connections(READERS);
                Ok(Self::Sqlite(
                    pool.connect_with(sqlite_options(path).read_only(true)).await?,
                ))
            }
            Database::Postgres(url) => {
                let pool = PgPoolOptions::new().max_connections(READERS);
                Ok(Self::Postgres(pool.connect_with(url.options()?).await?))
            }
        }
    }

    /// A transaction that sees one moment.
    pub(crate) async fn begin(&self) -> Result<Reading, Error> {
        match self {
            Self::Sqlite(pool) => Ok(Reading::Sqlite(pool.begin().await?)),
            Self::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Reading::Postgres(pool.begin_with(begin).await?))
            }
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A read transaction. Dropping it ends it: there is nothing to commit.
pub(crate) enum Reading {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Reading {
    pub(crate) fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(transaction) => Link::Sqlite(transaction),
            Self::Postgres(transaction) => Link::Postgres(transaction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_taken_and_nothing_is_shown() {
        for good in [
            "postgresql://signer:secret@localhost/journal",
            "postgres://signer@127.0.0.1:5433/journal",
            "postgresql:///journal?host=/run/postgresql",
        ] {
            let url = PostgresUrl::parse(good).unwrap();
            let shown = format!("{url:?} {0} {0:?}", Database::Postgres(url.clone()));
            assert!(!shown.contains("secret") && shown.contains("journal"), "{shown}");
        }
        for (bad, reason) in [
            ("postgresql://signer@db.example/journal", BadUrl::Remote),
            ("postgresql://signer@10.0.0.1/journal", BadUrl::Remote),
            ("journal", BadUrl::Malformed),
            ("mysql://localhost/journal", BadUrl::Malformed),
            ("", BadUrl::Malformed),
        ] {
            assert_eq!(PostgresUrl::parse(bad), Err(reason), "{bad}");
        }
    }
}
