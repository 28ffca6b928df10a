//! The orchestrator's SQLite database: withdrawals, attempts and the statements collected for them.
//!
//! One task writes and groups what it finds waiting into one transaction, so that many callers share one commit; nobody
//! is answered before that commit is durable. Reads go through a pool of their own and never wait for a writer (WAL).

mod apply;
mod attempts;
mod due;
pub mod reads;
mod room;
mod schema;
mod unanswered;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_proto::{
    errors,
    limits::{MAX_ATTEMPTS, MAX_CANCEL_ATTEMPTS, MAX_STATEMENTS},
    signer::v1::Pending,
    v1,
};
use countersign_types::{StatementDigest, Tag, TenantId, WithdrawalId};
use sqlx::{
    Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{broadcast, mpsc, oneshot};
use tonic::Status;

use crate::{
    advice::{RequestAdvice, StatementAdvice, StatementKind},
    states::{Event, State},
};
use writer::{Counts, Job};

/// Statements of one submitter on one withdrawal: nobody can crowd out the others.
pub const MAX_STATEMENTS_OF_ONE: u32 = 16;
/// Observations of one withdrawal: as many as the signer considers.
pub const MAX_OBSERVATIONS: u32 = 32;
/// Observations of one observer on one withdrawal, in bytes: a few with every table that a message can name. Four observers
/// together leave half of what one `Authorize` may carry to people.
pub const MAX_OBSERVATION_BYTES_OF_ONE: i64 = 512 * 1024;
/// Attestations of one withdrawal. The signer considers 64 that it journaled; quotes that went stale come again.
pub const MAX_ATTESTATIONS: u32 = 96;
/// One attestation, in bytes: two screens of JSON.
pub const MAX_ATTESTATION_BYTES: i64 = 8 * 1024;
/// Observations of one withdrawal, in bytes.
pub const MAX_OBSERVATION_BYTES: i64 = 4 * MAX_OBSERVATION_BYTES_OF_ONE;
/// Connections that read.
const READERS: u32 = 4;
/// Writes that wait for their turn; more wait in their callers.
const QUEUE: usize = 4_096;
/// News that a watcher may lag behind before it reads the store again.
const NEWS: usize = 4_096;

/// Why something was not stored or not found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the database.
    #[error("the database `{0}` is in use by another process")]
    Locked(PathBuf),
    /// The lock file cannot be made.
    #[error("cannot lock the database `{path}`: {source}")]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The schema is not one that this version knows.
    #[error("the database schema: {0}")]
    Schema(Arc<sqlx::migrate::MigrateError>),
    /// The database did not answer or did not commit.
    #[error("the database: {0}")]
    Database(Arc<sqlx::Error>),
    /// A stored value is not of its form.
    #[error("the stored `{0}` is not of its form")]
    Corrupt(&'static str),
    /// The writing task is gone: the process is ending.
    #[error("the database is closing")]
    Closing,
    /// The reference names another request.
    #[error("the reference already names `{existing}`, whose request has other content")]
    ReferenceConflict {
        /// The withdrawal that has it.
        existing: WithdrawalId,
    },
    /// The request is known with another transaction.
    #[error("`{existing}` exists with another transaction; add an attempt to it")]
    OtherTransaction {
        /// The withdrawal.
        existing: WithdrawalId,
    },
    /// No such withdrawal, or not the caller's.
    #[error("there is no such withdrawal")]
    NotFound,
    /// The state does not allow it.
    #[error("the withdrawal is {}, which does not allow this", state.as_str())]
    WrongState {
        /// Where it stands.
        state: State,
    },
    /// A payment would displace a cancel attempt that is not decided yet.
    #[error("a cancel attempt of the withdrawal is being decided; no payment takes its place")]
    Cancelling,
    /// The bound of attempts is reached.
    #[error(
        "the withdrawal has {MAX_ATTEMPTS} attempts or more; behind them there is room for {MAX_CANCEL_ATTEMPTS} cancel attempts"
    )]
    TooManyAttempts,
    /// A bound of statements is reached.
    #[error(
        "the withdrawal has the most statements it may: {MAX_STATEMENTS}, {MAX_STATEMENTS_OF_ONE} of one submitter"
    )]
    TooManyStatements,
}

impl StoreError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Locked(_)
            | Self::LockFile { .. }
            | Self::Schema(_)
            | Self::Database(_)
            | Self::Corrupt(_)
            | Self::Closing => Tag::StoreUnavailable,
            Self::ReferenceConflict { .. } | Self::OtherTransaction { .. } => Tag::ReferenceConflict,
            Self::NotFound => Tag::WithdrawalNotFound,
            Self::WrongState { .. } | Self::Cancelling => Tag::WithdrawalWrongState,
            Self::TooManyAttempts => Tag::LineageTooManyAttempts,
            Self::TooManyStatements => Tag::MessageTooLarge,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        // What the database says about itself is for our log, not for callers.
        if error.tag() == Tag::StoreUnavailable {
            tracing::error!(%error, "store");
            return errors::status(error.tag(), "the database did not answer");
        }
        errors::status(error.tag(), error.to_string())
    }
}

/// Whose withdrawals a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Of one tenant.
    Tenant(TenantId),
    /// Of all.
    All,
}

impl Scope {
    /// Whether a withdrawal of `tenant` is inside.
    pub fn covers(&self, tenant: &str) -> bool {
        match self {
            Self::Tenant(own) => own.as_str() == tenant,
            Self::All => true,
        }
    }

    fn tenant(&self) -> Option<&str> {
        match self {
            Self::Tenant(own) => Some(own.as_str()),
            Self::All => None,
        }
    }
}

/// A withdrawal to create.
#[derive(Debug)]
pub struct NewWithdrawal {
    /// What the request says.
    pub advice: RequestAdvice,
    /// The request's envelope.
    pub request: Vec<u8>,
    /// The first attempt.
    pub unsigned: Vec<u8>,
}

/// An attempt to add.
#[derive(Debug)]
pub struct NewAttempt {
    /// The withdrawal.
    pub id: WithdrawalId,
    /// Whose withdrawals the caller may change.
    pub scope: Scope,
    /// The bytes.
    pub unsigned: Vec<u8>,
    /// The statement about this withdrawal that comes with it: what raises its fee ceiling, or the cancel of a cancel attempt.
    pub statement: Option<NewStatement>,
}

impl NewAttempt {
    /// Whether it is to take the place of what is signed, and pays nobody.
    fn cancels(&self) -> bool {
        let statement = self.statement.as_ref();
        statement.is_some_and(|statement| statement.advice.kind == StatementKind::Cancel)
    }
}

/// A statement to add.
#[derive(Debug)]
pub struct NewStatement {
    /// What it says.
    pub advice: StatementAdvice,
    /// Its envelope.
    pub envelope: Vec<u8>,
    /// The caller who brought it.
    pub submitted_by: String,
    /// Whose withdrawals the caller may change.
    pub scope: Scope,
}

/// What the signer said about a withdrawal.
#[derive(Debug)]
pub struct Outcome {
    /// The withdrawal's row.
    pub seq: i64,
    /// The inputs that the signer was given: later ones make most outcomes stale.
    pub inputs: i64,
    /// What happened.
    pub event: Event,
    /// Reasons, what is missing and until when.
    pub standing: Pending,
    /// The signed transaction of an attempt.
    pub signed: Option<SignedAttempt>,
    /// Whether it is about a cancel attempt whose cancel is in force: the signer decides it after the request has expired as well.
    pub outlives_request: bool,
}

/// A signed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttempt {
    /// From 1, as numbered here.
    pub number: u32,
    /// The raw signed transaction.
    pub transaction: Vec<u8>,
    /// As explorers write it.
    pub txid: String,
}

/// What the signer said about one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It journaled it.
    Acknowledged(Vec<u8>),
    /// It did not take it.
    Refused {
        /// Why.
        tag: Tag,
        /// Why, for people.
        message: String,
    },
}

/// A statement as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStatement {
    /// Its row.
    pub seq: i64,
    /// Its kind.
    pub kind: StatementKind,
    /// Its envelope.
    pub envelope: Vec<u8>,
    /// What the signer said, if it was asked.
    pub answer: Option<Answer>,
}

/// A withdrawal as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its row; newer rows are larger.
    pub seq: i64,
    /// As callers see it.
    pub withdrawal: v1::Withdrawal,
}

/// Everything that the signer is given for one withdrawal.
#[derive(Debug)]
pub struct Work {
    /// The row.
    pub seq: i64,
    /// Where it stands.
    pub state: State,
    /// Compared when the outcome is applied.
    pub inputs: i64,
    /// When the request expires (Unix milliseconds).
    pub expires_at_ms: i64,
    /// The request's envelope.
    pub request: Vec<u8>,
    /// Number of the latest attempt.
    pub attempt: u32,
    /// Its bytes.
    pub unsigned: Vec<u8>,
    /// Whether it came with a cancel.
    pub cancels: bool,
    /// Statements, oldest first.
    pub statements: Vec<StoredStatement>,
}

/// When the signer is to be asked about a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// The row.
    pub seq: i64,
    /// Unix milliseconds.
    pub due_at_ms: i64,
}

/// Something that has become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A withdrawal changed.
    Changed {
        /// Its row.
        seq: i64,
        /// Its id.
        id: WithdrawalId,
        /// Its tenant.
        tenant: String,
        /// Its new revision.
        revision: u64,
    },
    /// The signer said something about a statement.
    Answered {
        /// The statement's row.
        statement: i64,
    },
}

/// The open database.
#[derive(Debug)]
pub struct Store {
    readers: SqlitePool,
    jobs: mpsc::Sender<Job>,
    news: broadcast::Sender<News>,
    counts: Arc<Counts>,
    /// Held while the store lives: two processes would not see each other's news.
    _lock: Lock,
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
}

/// Held by the one process that has the database open.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Closing is not enough: a child that was forked just now has the file until it becomes another program.
    fn drop(&mut self) {
        // Nothing is lost where it fails: the file is closed next.
        drop(self.0.unlock());
    }
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let failed = |source| StoreError::LockFile {
        path: name.clone(),
        source: Arc::new(source),
    };
    let file = File::create(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Store {
    /// Opens or makes the database, brings its schema up to date and starts the writing task. What is to be driven is
    /// sent to `wakes` as it becomes durable; what was left over from before is in [`Store::unfinished`].
    pub async fn open(path: &Path, wakes: mpsc::UnboundedSender<Wake>) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let mut connection = SqliteConnection::connect_with(&options(path)).await?;
        schema::migrator()
            .run(&mut connection)
            .await
            .map_err(|error| StoreError::Schema(Arc::new(error)))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options(path).read_only(true).create_if_missing(false));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (news, _) = broadcast::channel(NEWS);
        let counts = Arc::new(Counts::default());
        let writer = writer::Writer {
            counts: Arc::clone(&counts),
            connection: Some(connection),
            options: options(path),
            news: news.clone(),
            wakes,
        };
        tokio::spawn(writer.run(queue));
        Ok(Self {
            readers,
            jobs,
            news,
            counts,
            _lock: lock,
        })
    }

    /// Commits since the store was opened, and the writes that they made durable: what a benchmark wants to know.
    pub fn commits_and_writes(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.commits), read(&self.counts.writes))
    }

    /// Everything that becomes durable from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Stores a withdrawal with its first attempt, or finds that it is there already.
    pub async fn create(&self, new: NewWithdrawal) -> Result<(), StoreError> {
        self.write(|reply| Job::Create(new, reply)).await
    }

    /// Stores another attempt, and the statement that comes with it, whose row it returns; the same again changes nothing.
    pub async fn add_attempt(&self, new: NewAttempt) -> Result<Option<i64>, StoreError> {
        self.write(|reply| Job::AddAttempt(new, reply)).await
    }

    /// Stores a statement and files it under the withdrawals that it names; returns its row.
    pub async fn add_statement(&self, new: NewStatement) -> Result<i64, StoreError> {
        self.write(|reply| Job::AddStatement(new, reply)).await
    }

    /// Stores what the signer said about a withdrawal; returns when to ask again.
    pub async fn apply(&self, outcome: Outcome) -> Result<Option<i64>, StoreError> {
        self.write(|reply| Job::Apply(outcome, reply)).await
    }

    /// Stores why the signer gave no answer about a withdrawal, for whoever waits for it.
    pub async fn unanswered(&self, seq: i64, tag: Tag) -> Result<(), StoreError> {
        self.write(|reply| Job::Unanswered(seq, tag, reply)).await
    }

    /// Stores what the signer said about a statement.
    pub async fn answer(&self, statement: i64, answer: Answer) -> Result<(), StoreError> {
        self.write(|reply| Job::Answer(statement, answer, reply)).await
    }

    async fn write<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| StoreError::Closing)?;
        answer.await.map_err(|_| StoreError::Closing)?
    }
}

/// The 32 bytes under which a withdrawal is stored.
fn key(id: &WithdrawalId) -> Vec<u8> {
    id.request().as_bytes().to_vec()
}

/// The 32 bytes under which a statement is stored.
fn digest_key(digest: &StatementDigest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}
