//! The journal: the signer's one durable, ordered, hash-chained store.
//!
//! A proposal says what it reads and carries a pure decision. The implementation loads the reads *inside* its write
//! transaction, reads the clock after it holds the lock, lets the decision see the effects of every proposal before it, and
//! commits a group of proposals at once. A denial is an entry, not a rollback.

use std::collections::{BTreeMap, BTreeSet};

use futures_core::future::BoxFuture;

use countersign_approval::FreezeScope;
use countersign_policy::{Charge, Usage, UsageQuery};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, ChainId, ConflictKey, Destination, EntryDigest, FreezeId, ListId,
    PaymentReference, PrincipalId, RawSignature, Reference, RequestDigest, SignedTransaction, StatementDigest,
    StatementNonce, Tag, TenantId, Timestamp, TransactionDigest,
};

use crate::{FreezeRecord, LastWord, Marked, Tally, TallyQuery};

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

/// What a proposal needs to see. Everything else of the ledger is absent from its view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The withdrawal: its record, its attempts, and the statements about it.
    pub request: Option<RequestDigest>,
    /// Who owns this reference.
    pub reference: Option<(TenantId, Reference)>,
    /// Who owns these payment references of the tenant.
    pub payments: Vec<(TenantId, PaymentReference)>,
    /// Who owns these conflict keys, and for account nonces the next one of the account.
    pub conflict_keys: Vec<ConflictKey>,
    /// When these statements were first seen.
    pub statements: Vec<StatementDigest>,
    /// Which statement used these nonces.
    pub nonces: Vec<(PrincipalId, StatementNonce)>,
    /// How many statements these people made about these withdrawals.
    pub voices: Vec<(RequestDigest, PrincipalId)>,
    /// What these counters stand at; with `request`, what its lineage was charged as well.
    pub usage: Vec<UsageQuery>,
    /// What authorized attempts spend that was not released, and has not aged or aged after this moment: what a bundle's
    /// new counters must begin with.
    pub spends_since: Option<Timestamp>,
    /// How far these observers are in their order on these networks.
    pub sequences: Vec<(PrincipalId, ChainId)>,
    /// The freezes in force. They are read with `request` as well.
    pub freezes: bool,
    /// Who made marks under these topics.
    pub marks: Vec<String>,
    /// Freezes that were made, in force or not.
    pub made: Vec<FreezeId>,
    /// What services said last on these matters.
    pub matters: Vec<(PrincipalId, String)>,
    /// Whether these were paid by another withdrawal than the one asked for, and since when lists name them.
    pub destinations: Vec<Destination>,
    /// Since when these lists are there, where they came as a whole.
    pub lists: Vec<ListId>,
    /// How many names came up under topics lately.
    pub tallies: Vec<TallyQuery>,
    /// When these names came up under these topics.
    pub marked: Vec<(String, String)>,
}

/// What a decision sees: the ledger after every earlier proposal, restricted to the [`Reads`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerView {
    /// The recovery epoch; statements of another epoch are void.
    pub epoch: u64,
    /// The bundle in force.
    pub bundle: Option<ActiveBundle>,
    /// The withdrawal asked for, if it was ever journaled.
    pub withdrawal: Option<WithdrawalRecord>,
    /// Every statement about the withdrawal asked for but its request, in the order of first sight. People may speak before
    /// the withdrawal is first seen, so these do not depend on its record.
    pub about: Vec<StatementDigest>,
    /// Owner of the reference asked for.
    pub reference_owner: Option<RequestDigest>,
    /// Owners of the payment references asked for; unowned ones are absent.
    pub payment_owners: BTreeMap<(TenantId, PaymentReference), RequestDigest>,
    /// Owners of the conflict keys asked for; unowned ones are absent.
    pub conflict_owners: BTreeMap<ConflictKey, RequestDigest>,
    /// One more than the highest nonce claimed, for each account of the conflict keys that has claims.
    pub next_nonces: BTreeMap<Destination, u64>,
    /// Statements asked for that are journaled.
    pub statements: BTreeMap<StatementDigest, Timestamp>,
    /// Statements that used the nonces asked for; unused ones are absent.
    pub nonce_owners: BTreeMap<(PrincipalId, StatementNonce), StatementDigest>,
    /// How many statements are journaled for the voices asked for; silent ones are absent.
    pub voices: BTreeMap<(RequestDigest, PrincipalId), u64>,
    /// What the counters asked for stand at.
    pub usage: Usage,
    /// The spends asked for, in the order of their first authorization.
    pub spends: Vec<SpendRecord>,
    /// The highest sequence of the observers asked for; those who have said nothing yet are absent.
    pub sequences: BTreeMap<(PrincipalId, ChainId), u64>,
    /// The freezes in force, those that end first before the others, then in the order in which they were made; at most
    /// [`MAX_READ_FREEZES`].
    pub freezes: Vec<FreezeRecord>,
    /// How many freezes were ever made; it never falls.
    pub freezes_made: u64,
    /// The marks asked for: topic, then name and when it was made; at most [`MAX_READ_MARKS`] of a topic.
    pub marks: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// Which of the freezes asked for were made.
    pub made: BTreeSet<FreezeId>,
    /// The last words asked for; matters on which a service has said nothing yet are absent.
    pub matters: BTreeMap<(PrincipalId, String), LastWord>,
    /// The destinations asked for that a signed transaction of another withdrawal has paid.
    pub paid: BTreeSet<Destination>,
    /// When one of the destinations asked for last came into a list that was there before, or since when it was in one that it
    /// left, whatever is later.
    pub listed: BTreeMap<Destination, Timestamp>,
    /// When those of the lists asked for last came, as a whole.
    pub lists: BTreeMap<ListId, Timestamp>,
    /// The tallies asked for.
    pub tallies: BTreeMap<TallyQuery, Tally>,
    /// The marks asked for by topic and name; those that were never made are absent.
    pub marked: BTreeMap<(String, String), Marked>,
}

/// The bundle in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveBundle {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: BundleDigest,
    /// When it was activated.
    pub activated_at: Timestamp,
}

/// A withdrawal that the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalRecord {
    /// Its request.
    pub request: RequestDigest,
    /// When the signer first journaled the request.
    pub first_seen_at: Timestamp,
    /// The bundle in force at first sight: its policy must allow as well (POLICY.md step 9).
    pub first_bundle: BundleDigest,
    /// What ended it for good: the tag of a cancel or of a rejection that counted.
    pub ended: Option<Tag>,
    /// The last decision entry without its time, so that asking again does not grow the log.
    pub last_decision: Option<EntryDigest>,
    /// How many decisions about it were logged.
    pub decisions: u64,
    /// The authorized attempts, in order of their number.
    pub attempts: Vec<AttemptRecord>,
}

/// What a decision rests on besides the bytes. A signature is made, recorded and released only on the basis that its
/// decision saw (docs/adr/0008).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The bundle in force.
    pub bundle: Option<BundleDigest>,
    /// What ended the withdrawal.
    pub ended: Option<Tag>,
    /// How many statements about the withdrawal are journaled. None is ever removed: as many are the same ones.
    pub statements: u64,
    /// How many freezes were ever made. None is ever removed, and whether a new one stops this withdrawal is decided anew.
    pub freezes: u64,
}

impl Basis {
    /// The basis in the view of a proposal that reads the withdrawal.
    pub fn of(view: &LedgerView) -> Self {
        Self {
            bundle: view.bundle.as_ref().map(|bundle| bundle.digest),
            ended: view.withdrawal.as_ref().and_then(|record| record.ended),
            statements: u64::try_from(view.about.len()).unwrap_or(u64::MAX),
            freezes: view.freezes_made,
        }
    }
}

/// What an authorized attempt spends, for counters that are defined later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendRecord {
    /// The withdrawal.
    pub request: RequestDigest,
    /// The attempt.
    pub number: u32,
    /// What the pipeline wrote about it; the journal does not look inside.
    pub facts: Vec<u8>,
    /// When it was charged first.
    pub charged_at: Timestamp,
    /// When it began to age; until then it counts in every window.
    pub aged_at: Option<Timestamp>,
}

/// A charge of an attempt that is already authorized, to a counter that was defined later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateCharge {
    /// The withdrawal.
    pub request: RequestDigest,
    /// The attempt.
    pub number: u32,
    /// The charge.
    pub charge: Charge,
}

/// An attempt that was authorized: from that moment it counts as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// From 1.
    pub number: u32,
    /// The unsigned bytes' digest.
    pub transaction: TransactionDigest,
    /// The unsigned bytes.
    pub unsigned: Vec<u8>,
    /// What it excludes; the lineage's anchor is the first attempt's first key.
    pub conflict_keys: Vec<ConflictKey>,
    /// The most its fee can be, in the network's fee asset.
    pub fee_max: Amount,
    /// Its latest authorization.
    pub authorization: AuthorizationId,
    /// When the latest authorization was committed.
    pub authorized_at: Timestamp,
    /// Until when the latest authorization may be used.
    pub sign_by: Timestamp,
    /// What was signed, once it is recorded.
    pub signed: Option<SignedAttempt>,
    /// Where its spend stands; `None` where it was authorized before spends were written.
    pub spend: Option<SpendStage>,
}

/// Where the spend of an attempt stands. Every stage but the first is for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendStage {
    /// It counts in every window.
    Outstanding,
    /// It leaves windows as time passes.
    Aged,
    /// It leaves windows as time passes, and does not stand for what a later attempt spends.
    Failed,
    /// It was given back.
    Released,
}

/// The signatures of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttempt {
    /// One per signing payload, in order; ECDSA already low-S.
    pub signatures: Vec<RawSignature>,
    /// The assembled transaction.
    pub transaction: SignedTransaction,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// One change of the ledger. The implementation applies the writes of a verdict in order, atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A statement at its first sight. The signer's nonce is claimed with it.
    Statement {
        /// Its digest.
        digest: StatementDigest,
        /// Who signed it.
        signer: PrincipalId,
        /// Its nonce.
        nonce: StatementNonce,
        /// The withdrawals that it is about.
        subjects: Vec<RequestDigest>,
        /// The envelope.
        envelope: Vec<u8>,
    },
    /// A statement that is journaled already is about one more withdrawal: an observation serves all who need it.
    Subject {
        /// The statement.
        statement: StatementDigest,
        /// The withdrawal.
        request: RequestDigest,
    },
    /// How far an observer is in its order on a network. It never goes back.
    Sequence {
        /// The observer.
        observer: PrincipalId,
        /// The network.
        network: ChainId,
        /// The highest sequence journaled.
        sequence: u64,
    },
    /// What a service says on a matter from now on. Its number never goes back.
    LastWord {
        /// The service.
        service: PrincipalId,
        /// The matter, as `countersign_decision::matter` writes it.
        matter: String,
        /// What it says.
        word: LastWord,
    },
    /// A signed transaction of a withdrawal pays these.
    Paid {
        /// The withdrawal.
        request: RequestDigest,
        /// Where to.
        destinations: BTreeSet<Destination>,
    },
    /// The bundle that comes into force has lists that the one before did not have, or more or less in those that it had.
    Listed {
        /// The new lists, as a whole: what is in them is not noted one by one.
        lists: BTreeSet<ListId>,
        /// New in some other list.
        added: BTreeSet<Destination>,
        /// Gone from a list that stays, with the moment that the entry had of its list: a destination that has another entry
        /// is as old as before. None of `added`; what is already noted of a destination stays where it is younger.
        kept: BTreeMap<Destination, Timestamp>,
    },
    /// A withdrawal at its first sight: claims the reference, and nothing else yet.
    Withdrawal {
        /// Its request.
        request: RequestDigest,
        /// The request statement (a [`Write::Statement`] of the same verdict or earlier).
        statement: StatementDigest,
        /// The tenant.
        tenant: TenantId,
        /// The reference.
        reference: Reference,
        /// The bundle in force.
        bundle: BundleDigest,
    },
    /// The end of a withdrawal, for good. The first one stays.
    Ended {
        /// The withdrawal.
        request: RequestDigest,
        /// The tag of the cancel or of the rejection that counted.
        tag: Tag,
    },
    /// The decision that was logged last.
    Decision {
        /// The withdrawal.
        request: RequestDigest,
        /// The decision without its time.
        decision: EntryDigest,
    },
    /// An authorized attempt: claims its conflict keys and the request's payment references (an attempt that is never
    /// authorized claims only the reference; what the same request already owns stays its own). With the number of an
    /// attempt that is not signed it renews that attempt's authorization.
    Attempt {
        /// The withdrawal.
        request: RequestDigest,
        /// The tenant of the request.
        tenant: TenantId,
        /// The payment references of the request.
        payments: Vec<PaymentReference>,
        /// Number, from 1.
        number: u32,
        /// The unsigned bytes' digest.
        transaction: TransactionDigest,
        /// The unsigned bytes.
        unsigned: Vec<u8>,
        /// What it excludes.
        conflict_keys: Vec<ConflictKey>,
        /// The most its fee can be.
        fee_max: Amount,
        /// The authorization.
        authorization: AuthorizationId,
        /// Until when it may be used.
        sign_by: Timestamp,
    },
    /// What an authorized attempt (a [`Write::Attempt`] of the same verdict or earlier) spends. The charges count in every
    /// window from now on. With a renewed authorization they are charged again: each counter keeps the larger charge.
    Spend {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
        /// The facts that charges were computed from, for counters that are defined later.
        facts: Vec<u8>,
        /// What it adds to counters.
        charges: Vec<Charge>,
    },
    /// An attempt's charges begin to age: it was attested mined, or it was signed and its wallet's charges age from
    /// signature. From now on they leave windows as time passes.
    Aged {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
    },
    /// An attempt landed and did nothing but pay its fee. Its charges age, and a later attempt of the lineage is charged in
    /// full beside them: what it pays was not paid.
    Failed {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
    },
    /// An attempt's charges are given back. Only for what was never signed and never will be, or is proven dead.
    Released {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
    },
    /// Charges of attempts that are already authorized, to counters that a new bundle defines. They count from when their
    /// attempts were charged and age when those did. What a counter was charged before stays.
    Backfill {
        /// The charges.
        charges: Vec<LateCharge>,
    },
    /// A freeze: from this commit on nothing that it stops is signed. Its name is new.
    Freeze {
        /// Its name.
        freeze: FreezeId,
        /// What it stops.
        scope: FreezeScope,
        /// What made it, in words.
        cause: String,
    },
    /// The end of a freeze; it is set once.
    Thaw {
        /// The freeze.
        freeze: FreezeId,
        /// From when on it is not in force.
        at: Timestamp,
    },
    /// Somebody has spoken on a topic, or something came up. The first time stays, and the last one is kept beside it.
    Mark {
        /// The topic.
        topic: String,
        /// Who, or what.
        name: String,
    },
    /// The signatures of an attempt.
    Signed {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
        /// One per signing payload.
        signatures: Vec<RawSignature>,
        /// The assembled transaction.
        transaction: SignedTransaction,
    },
    /// A bundle comes into force. Its files are kept for ever.
    Bundle {
        /// Its version.
        version: u64,
        /// Its digest.
        digest: BundleDigest,
        /// Its files, the manifest among them.
        files: BTreeMap<String, Vec<u8>>,
        /// The statements that activated it.
        statements: Vec<StatementDigest>,
    },
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

/// The signer's store. The implementation owns the task that groups proposals into commits.
pub trait Journal: Send + Sync {
    /// Decides inside the write transaction and answers once the group is durable and, where configured, anchored.
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Outcome, JournalError>>;

    /// Authorizations without signatures, oldest first.
    fn unfinished(&self, page: Page) -> BoxFuture<'_, Result<Vec<Unfinished>, JournalError>>;

    /// The statements about a withdrawal, in the order of first sight, the request not among them.
    fn statements(&self, request: RequestDigest) -> BoxFuture<'_, Result<Vec<JournaledStatement>, JournalError>>;

    /// What a decision about the withdrawal would rest on now; `None` if it was never journaled.
    fn basis(&self, request: RequestDigest) -> BoxFuture<'_, Result<Option<Basis>, JournalError>>;

    /// The bundle in force.
    fn active_bundle(&self) -> BoxFuture<'_, Result<Option<StoredBundle>, JournalError>>;

    /// Activated bundles behind a version, in order: at most [`Page::MAX`], fewer where they are large, at least one where there
    /// is one.
    fn bundles(&self, after_version: u64) -> BoxFuture<'_, Result<Vec<StoredBundle>, JournalError>>;

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
