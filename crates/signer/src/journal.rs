//! The journal: the signer's one durable, ordered, hash-chained store.
//!
//! A proposal says what it reads and carries a pure decision. The implementation loads the reads *inside* its write
//! transaction, reads the clock after it holds the lock, lets the decision see the effects of every proposal before it, and
//! commits a group of proposals at once. A denial is an entry, not a rollback.

mod view;
mod write;

use std::collections::BTreeMap;

use futures_core::future::BoxFuture;

use countersign_types::{BundleDigest, PrincipalId, RequestDigest, Tag, Timestamp};

pub use self::{
    view::{
        ActiveBundle, AttemptRecord, Basis, LateCharge, LedgerView, Reads, SignedAttempt, SpendRecord, SpendStage,
        WithdrawalRecord,
    },
    write::Write,
};

/// Why the journal did not do what was asked. Every one of them is also a no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Nothing of the proposal was committed.
    #[error("the journal did not commit: {0}")]
    NotCommitted(String),
    /// The commit's outcome is not known. Read again by content before anything else.
    #[error("the journal cannot say whether it committed: {0}")]
    InDoubt(String),
    /// Another signer has taken the journal over. Final for this process.
    #[error("another signer has taken the journal over")]
    Fenced,
    /// The database is behind its anchor, or its chain does not contain it. Final for this process.
    #[error("the journal is behind its anchor: {0}")]
    Rewound(String),
    /// The clock is behind the last commit. Final for this process.
    #[error("the clock ({now}) is behind the journal's last commit ({last})")]
    TimeBackwards {
        /// What the clock said.
        now: Timestamp,
        /// The last commit's time.
        last: Timestamp,
    },
    /// A stored value does not read back: the database is damaged. Final for this process.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
}

impl JournalError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::NotCommitted(_) | Self::Damaged(_) => Tag::JournalUnavailable,
            Self::InDoubt(_) => Tag::JournalInDoubt,
            Self::Fenced => Tag::JournalFenced,
            Self::Rewound(_) => Tag::JournalRewound,
            Self::TimeBackwards { .. } => Tag::TimeBackwards,
        }
    }

    /// Whether the process must stop taking work.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::NotCommitted(_) | Self::InDoubt(_) => false,
            Self::Fenced | Self::Rewound(_) | Self::TimeBackwards { .. } | Self::Damaged(_) => true,
        }
    }
}

/// What a decision makes of the view: entries for the log, changes of the ledger, and an answer for the proposer.
#[derive(Debug)]
pub struct Verdict<R> {
    /// Audit log entries, in order.
    pub entries: Vec<LogEntry>,
    /// Changes, in order.
    pub writes: Vec<Write>,
    /// What the proposer learns once the group is durable.
    pub reply: R,
}

impl<R> Verdict<R> {
    /// An answer that changes nothing.
    pub fn unchanged(reply: R) -> Self {
        Self {
            entries: Vec::new(),
            writes: Vec::new(),
            reply,
        }
    }

    /// Whether nothing is written: such a verdict needs no commit.
    pub fn is_unchanged(&self) -> bool {
        self.entries.is_empty() && self.writes.is_empty()
    }
}

/// An entry for the audit log, and the withdrawals whose receipts need it. Every receipt needs what is said about bundles
/// that came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The entry's bytes, at most `countersign_audit::MAX_ENTRY_BYTES`.
    pub bytes: Vec<u8>,
    /// The withdrawals whose receipts need it.
    pub subjects: Vec<RequestDigest>,
}

/// The boxed answer of a decision; [`crate::propose`] gives it back its type.
pub type Reply = Box<dyn std::any::Any + Send>;

/// A pure function of the view and the journal's clock. Called again when the group that it was in did not commit.
pub type Decide = Box<dyn Fn(&LedgerView, Timestamp) -> Verdict<Reply> + Send + Sync>;

/// What is proposed.
pub struct Proposal {
    /// What the decision needs to see.
    pub reads: Reads,
    /// The decision.
    pub decide: Decide,
}

/// A durable verdict.
pub struct Outcome {
    /// The decision's answer.
    pub reply: Reply,
    /// The clock that the decision saw.
    pub at: Timestamp,
    /// A signed checkpoint (C2SP) that covers every entry of the verdict.
    pub checkpoint: Vec<u8>,
}

/// An authorization without recorded signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The withdrawal.
    pub request: RequestDigest,
    /// The request statement's envelope.
    pub envelope: Vec<u8>,
    /// The attempt.
    pub attempt: AttemptRecord,
    /// What ended the withdrawal for good.
    pub ended: Option<Tag>,
}

/// A page of a listing, in the order of commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many to skip.
    pub offset: u64,
    /// How many at most; implementations cap it at [`Page::MAX`].
    pub limit: u32,
}

impl Page {
    /// The largest page.
    pub const MAX: u32 = 256;
    /// The first page.
    pub const FIRST: Self = Self {
        offset: 0,
        limit: Self::MAX,
    };
}

/// A statement with the moment the signer first journaled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournaledStatement {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// Who signed it, by the roster of then.
    pub signer: PrincipalId,
    /// The signer's clock at first sight.
    pub first_seen_at: Timestamp,
}

/// A bundle that was activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBundle {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: BundleDigest,
    /// Its files, the manifest among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The statements that activated it.
    pub statements: Vec<JournaledStatement>,
    /// When it came into force.
    pub activated_at: Timestamp,
}

/// Everything the journal holds about one withdrawal, for its receipt, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalHistory {
    /// The record.
    pub record: WithdrawalRecord,
    /// The request statement.
    pub request: JournaledStatement,
    /// The other statements, in the order of first sight.
    pub statements: Vec<JournaledStatement>,
    /// The log entries about it with their inclusion proofs.
    pub entries: Vec<ProvenEntry>,
    /// The checkpoint that the proofs lead to.
    pub checkpoint: Vec<u8>,
}

/// A log entry with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// Position in the log.
    pub index: u64,
    /// The entry.
    pub bytes: Vec<u8>,
    /// RFC 6962 inclusion proof, leaf to root.
    pub proof: Vec<[u8; 32]>,
}

/// Log entries with the checkpoint that their proofs lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntries {
    /// In the order of the log.
    pub entries: Vec<ProvenEntry>,
    /// The checkpoint.
    pub checkpoint: Vec<u8>,
}

/// The signer's store. The implementation owns the task that groups proposals into commits.
pub trait Journal: Send + Sync {
    /// Decides inside the write transaction and answers once the group is durable and, where configured, anchored.
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Outcome, JournalError>>;

    /// Authorizations without signatures, oldest first.
    fn unfinished(&self, page: Page) -> BoxFuture<'_, Result<Vec<Unfinished>, JournalError>>;

    /// The statements about a withdrawal, in the order of first sight, the request not among them.
    fn statements(&self, request: RequestDigest) -> BoxFuture<'_, Result<Vec<JournaledStatement>, JournalError>>;

    /// What a decision about the withdrawal that counts on these entries of address books would rest on now; `None` if it was
    /// never journaled.
    fn basis(
        &self,
        request: RequestDigest,
        entries: Vec<(PrincipalId, String)>,
    ) -> BoxFuture<'_, Result<Option<Basis>, JournalError>>;

    /// The bundle in force.
    fn active_bundle(&self) -> BoxFuture<'_, Result<Option<StoredBundle>, JournalError>>;

    /// Activated bundles behind a version, in order: at most [`Page::MAX`], fewer where they are large, at least one where there
    /// is one.
    fn bundles(&self, after_version: u64) -> BoxFuture<'_, Result<Vec<StoredBundle>, JournalError>>;

    /// What the log says of a bundle.
    fn activation(&self, bundle: BundleDigest) -> BoxFuture<'_, Result<ProvenEntries, JournalError>>;

    /// Everything about one withdrawal.
    fn history(&self, request: RequestDigest) -> BoxFuture<'_, Result<Option<WithdrawalHistory>, JournalError>>;

    /// The latest signed checkpoint.
    fn checkpoint(&self) -> BoxFuture<'_, Result<Vec<u8>, JournalError>>;

    /// Log entries from `start`, at most `count` and [`Page::MAX`].
    fn entries(&self, start: u64, count: u32) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>>;
}

/// Proposes a decision with a typed answer.
pub async fn propose<R, F>(journal: &dyn Journal, reads: Reads, decide: F) -> Result<(R, Timestamp), JournalError>
where
    R: Send + 'static,
    F: Fn(&LedgerView, Timestamp) -> Verdict<R> + Send + Sync + 'static,
{
    let decide: Decide = Box::new(move |view, now| {
        let Verdict { entries, writes, reply } = decide(view, now);
        let reply: Reply = Box::new(reply);
        Verdict { entries, writes, reply }
    });
    let outcome = journal.propose(Proposal { reads, decide }).await?;
    match outcome.reply.downcast::<R>() {
        Ok(reply) => Ok((*reply, outcome.at)),
        Err(_) => Err(JournalError::Damaged(
            "the journal answered another proposal".to_owned(),
        )),
    }
}
