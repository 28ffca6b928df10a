//! Why a journal was not created or opened. Every message says what to do.

use std::path::PathBuf;

use countersign_signer::JournalError;
use countersign_types::{Tag, Timestamp};
use sqlx::postgres::PgDatabaseError;

use crate::Database;

/// Why a journal was not created or opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `create` where a database is.
    #[error("a journal exists at `{0}`; open it, or choose another place")]
    DatabaseExists(Database),
    /// `create` where an anchor is: a journal was here, and its reservations and signatures must not be forgotten.
    #[error(
        "an anchor exists at `{}`: a journal was here before; restore its database instead of creating another",
        .0.display()
    )]
    AnchorExists(PathBuf),
    /// `open` without a database.
    #[error(
        "there is no journal at `{0}`; restore it from the latest backup, or create one if this deployment never had one"
    )]
    DatabaseMissing(Database),
    /// `open` without an anchor.
    #[error(
        "the anchor `{}` is missing, so nobody can tell whether the database is the latest; restore the file", .0.display()
    )]
    AnchorMissing(PathBuf),
    /// The anchor does not parse.
    #[error("`{}` is no anchor file; restore it from where it was last whole", .0.display())]
    AnchorMalformed(PathBuf),
    /// `create` never finished, or this is another program's database.
    #[error("`{0}` is not a journal, or its creation was never finished; move it away before you create one")]
    NotAJournal(Database),
    /// Written by another version.
    #[error("the journal has schema version {found}, this program knows {known}; use the program that wrote it")]
    UnknownSchema {
        /// What the database says.
        found: i64,
        /// What this program writes.
        known: i64,
    },
    /// The journal, or its anchor, of another deployment.
    #[error("the {what} belongs to deployment {found}, not to {expected}; check the trust root and the paths")]
    WrongDeployment {
        /// Database or anchor.
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The log is another one than the key's.
    #[error("the journal's log is `{found}`, the log key is for `{expected}`; check the trust root and the log key")]
    WrongLog {
        /// The origin in the database.
        found: String,
        /// The key's name.
        expected: String,
    },
    /// The database is behind its anchor or does not contain the anchored commit.
    #[error("{0}; restore the latest database: an older one has forgotten signatures that were made")]
    Rewound(String),
    /// The clock is behind the last commit.
    #[error("the clock says {now}, the journal's last commit is from {last}; set the clock right")]
    TimeBackwards {
        /// What the clock says.
        now: Timestamp,
        /// The last commit's time.
        last: Timestamp,
    },
    /// A stored value does not verify.
    #[error("the journal is damaged: {0}; restore it from the latest backup")]
    Damaged(String),
    /// A file could not be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The log key did not sign the first checkpoint, or signed another.
    #[error("no checkpoint: {0}")]
    Checkpoint(String),
}

impl OpenError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Rewound(_) => Tag::JournalRewound,
            Self::TimeBackwards { .. } => Tag::TimeBackwards,
            Self::DatabaseExists(_)
            | Self::AnchorExists(_)
            | Self::DatabaseMissing(_)
            | Self::AnchorMissing(_)
            | Self::AnchorMalformed(_)
            | Self::NotAJournal(_)
            | Self::UnknownSchema { .. }
            | Self::WrongDeployment { .. }
            | Self::WrongLog { .. }
            | Self::Damaged(_)
            | Self::Io { .. }
            | Self::Database(_)
            | Self::Checkpoint(_) => Tag::JournalUnavailable,
        }
    }
}

/// Why a step inside a transaction failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The proposal's own fault, known before anything was written.
    #[error("{0}")]
    Refused(String),
    /// A write names what the journal does not hold.
    #[error("the writes change {changed} rows instead of {expected}: one names what the journal does not hold")]
    WrongRowCount {
        /// What they changed.
        changed: u64,
        /// What they must change.
        expected: u64,
    },
    /// The database refused: a constraint, a full disk.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The journal ends.
    #[error(transparent)]
    Fatal(#[from] JournalError),
}

impl From<crate::codec::BadValue> for StepError {
    fn from(bad: crate::codec::BadValue) -> Self {
        Self::Fatal(JournalError::Damaged(bad.to_string()))
    }
}

impl StepError {
    /// What the proposer learns when nothing of its proposal was committed.
    pub(crate) fn into_journal_error(self) -> JournalError {
        match self {
            Self::Fatal(error) => error,
            Self::Refused(_) | Self::WrongRowCount { .. } => JournalError::NotCommitted(self.to_string()),
            Self::Database(error) if is_damage(&error) => JournalError::Damaged(error.to_string()),
            Self::Database(error) => JournalError::NotCommitted(error.to_string()),
        }
    }
}

impl StepError {
    /// What a reader learns.
    pub(crate) fn into_read_error(self) -> JournalError {
        let error = self.into_journal_error();
        if let JournalError::NotCommitted(reason) = error {
            return JournalError::NotCommitted(format!("nothing was read: {reason}"));
        }
        error
    }
}

/// `SQLITE_CORRUPT` and `SQLITE_NOTADB` with their extended codes, PostgreSQL's corrupted data and indexes, and values of
/// an unexpected type.
pub(crate) fn is_damage(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else {
        return matches!(error, sqlx::Error::ColumnDecode { .. });
    };
    if let Some(postgres) = database.try_downcast_ref::<PgDatabaseError>() {
        return matches!(postgres.code(), "XX001" | "XX002");
    }
    let code = database.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}
