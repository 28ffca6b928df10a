//! Everything here runs on real SQLite files in temporary directories, and what may differ on PostgreSQL there as well.

/// Each of these is a test on SQLite and a test on PostgreSQL.
macro_rules! on_each_database {
    ($($name:ident,)+) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::tests::Place::new()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::tests::Place::postgres().await).await;
            })+
        }
    };
}

mod counters;
mod crash;
mod freezes;
mod group;
mod migrating;
mod model;
mod observers;
mod opening;
mod pending;
mod plans;
mod services;
mod shared;
mod writes;

#[path = "../../tests/support/cluster.rs"]
mod cluster;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use countersign_audit::{Frontier, LeafHash, SignedCheckpoint, TreeHead, VerifierKey};
use countersign_signer::{Journal as _, JournalError, LedgerView, LogEntry, Page, Reads, Verdict, Write, propose};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, ConflictKey, Destination, GenesisHash, PaymentReference, PrincipalId,
    Reference, RequestDigest, StatementDigest, StatementNonce, Tag, TenantId, Timestamp, TransactionDigest,
};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::{
    CheckpointSigner, Database, JournalConfig, Limits, PostgresUrl, SignCheckpointError, SqlJournal, fail::Fail,
};

pub(crate) const GENESIS_ENTRY: &[u8] = b"genesis entry";
pub(crate) const START: i64 = 1_780_000_000_000;

pub(crate) struct TestKey {
    key: SigningKey,
    verifier: VerifierKey,
}

impl TestKey {
    pub(crate) fn new(name: &str) -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::new(name.parse().unwrap(), key.verifying_key().as_bytes()).unwrap();
        Self { key, verifier }
    }
}

impl CheckpointSigner for TestKey {
    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignCheckpointError> {
        Ok(self.key.sign(text).to_bytes())
    }
}

/// The databases that a journal is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

/// A directory for one journal, and a clock that the test moves.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    database: Option<Database>,
    clock: Arc<AtomicI64>,
    pub(crate) limits: Limits,
    pub(crate) fail: Fail,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            database: None,
            clock: Arc::new(AtomicI64::new(START)),
            limits: Limits::default(),
            fail: Fail::default(),
        }
    }

    /// A place with a PostgreSQL database of its own.
    pub(crate) async fn postgres() -> Self {
        let url = PostgresUrl::parse(&cluster::new_url()).unwrap();
        Self {
            database: Some(Database::Postgres(url)),
            ..Self::new()
        }
    }

    /// Another signer's place beside the same database: its own clock, and its anchor a copy of ours.
    pub(crate) fn beside(&self) -> Self {
        let other = Self {
            database: self.database.clone(),
            ..Self::new()
        };
        std::fs::copy(self.anchor(), other.anchor()).unwrap();
        other
    }

    pub(crate) async fn of(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::new(),
            Kind::Postgres => Self::postgres().await,
        }
    }

    pub(crate) fn set_clock(&self, millis: i64) {
        self.clock.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("journal.db")
    }

    pub(crate) fn anchor(&self) -> PathBuf {
        self.directory.path().join("anchor")
    }

    pub(crate) fn config(&self) -> JournalConfig {
        let clock = Arc::clone(&self.clock);
        JournalConfig {
            database: self
                .database
                .clone()
                .unwrap_or_else(|| Database::Sqlite(self.database())),
            anchor_path: self.anchor(),
            deployment: GenesisHash::of(b"deployment"),
            checkpoint_signer: Arc::new(TestKey::new("log.example/test")),
            clock: Arc::new(move || Timestamp::from_unix_millis(clock.load(Ordering::SeqCst))),
            limits: self.limits,
        }
    }

    pub(crate) async fn create(&self) -> SqlJournal {
        crate::open::create(&self.config(), GENESIS_ENTRY.to_vec())
            .await
            .unwrap();
        self.open().await
    }

    pub(crate) async fn open(&self) -> SqlJournal {
        SqlJournal::open_with(self.config(), self.fail.clone()).await.unwrap()
    }
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

pub(crate) fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

pub(crate) fn request(name: &str) -> RequestDigest {
    RequestDigest::of(name.as_bytes())
}

pub(crate) fn statement_digest(name: &str) -> StatementDigest {
    StatementDigest::of(name.as_bytes())
}

pub(crate) fn nonce_of(name: &str) -> StatementNonce {
    let digest = *statement_digest(name).as_bytes();
    StatementNonce::from_bytes(digest[..16].try_into().unwrap())
}

pub(crate) fn signer() -> PrincipalId {
    "bot".parse().unwrap()
}

pub(crate) fn statement(name: &str, subjects: &[&str]) -> Write {
    Write::Statement {
        digest: statement_digest(name),
        signer: signer(),
        nonce: nonce_of(name),
        subjects: subjects.iter().map(|name| request(name)).collect(),
        envelope: envelope(name),
    }
}

pub(crate) fn envelope(name: &str) -> Vec<u8> {
    format!("envelope of {name}").into_bytes()
}

pub(crate) fn bundle_digest(version: u64) -> BundleDigest {
    BundleDigest::of(&version.to_be_bytes())
}

/// A bundle whose activation statement is called `activation-<version>`.
pub(crate) fn bundle(version: u64) -> Vec<Write> {
    let name = format!("activation-{version}");
    let activation = Write::Bundle {
        version,
        digest: bundle_digest(version),
        files: BTreeMap::from([
            ("manifest.json".to_owned(), format!("manifest {version}").into_bytes()),
            ("policy.yaml".to_owned(), b"rules".to_vec()),
        ]),
        statements: vec![statement_digest(&name)],
    };
    vec![statement(&name, &[]), activation]
}

/// The first sight of a withdrawal called `name`, with the reference `ref-<name>`.
pub(crate) fn withdrawal(name: &str) -> Vec<Write> {
    let withdrawal = Write::Withdrawal {
        request: request(name),
        statement: statement_digest(name),
        tenant: tenant(),
        reference: reference(name),
        bundle: bundle_digest(1),
    };
    vec![statement(name, &[name]), withdrawal]
}

pub(crate) fn reference(name: &str) -> Reference {
    format!("ref-{name}").parse().unwrap()
}

pub(crate) fn payment(name: &str) -> PaymentReference {
    format!("pay-{name}").parse().unwrap()
}

pub(crate) fn account() -> Destination {
    "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7".parse().unwrap()
}

pub(crate) fn account_nonce(nonce: u64) -> ConflictKey {
    ConflictKey::AccountNonce {
        account: account(),
        nonce,
    }
}

/// An attempt that claims the payment `pay-<name>` and an account nonce.
pub(crate) fn attempt(name: &str, number: u32, nonce: u64) -> Write {
    let unsigned = format!("unsigned {name} {number} {nonce}").into_bytes();
    Write::Attempt {
        request: request(name),
        tenant: tenant(),
        payments: vec![payment(name)],
        number,
        transaction: TransactionDigest::of(&unsigned),
        authorization: AuthorizationId::of(&unsigned),
        unsigned,
        conflict_keys: vec![account_nonce(nonce)],
        fee_max: Amount::MAX,
        sign_by: at(START + 60_000),
    }
}

pub(crate) fn entry(text: &str, subjects: &[&str]) -> LogEntry {
    LogEntry {
        bytes: text.as_bytes().to_vec(),
        subjects: subjects.iter().map(|name| request(name)).collect(),
    }
}

/// The end of a withdrawal by a cancel.
pub(crate) fn ended(request: RequestDigest) -> Write {
    Write::Ended {
        request,
        tag: Tag::WithdrawalCancelled,
    }
}

/// Proposes writes and entries whatever the view is.
pub(crate) async fn write(
    journal: &SqlJournal,
    writes: Vec<Write>,
    entries: Vec<LogEntry>,
) -> Result<Timestamp, JournalError> {
    let decided = propose(journal, Reads::default(), move |_, _| Verdict {
        entries: entries.clone(),
        writes: writes.clone(),
        reply: (),
    });
    decided.await.map(|((), at)| at)
}

/// What a decision with these reads sees.
pub(crate) async fn view(journal: &SqlJournal, reads: Reads) -> LedgerView {
    let seen = propose(journal, reads, |view: &LedgerView, _| Verdict::unchanged(view.clone()));
    seen.await.unwrap().0
}

/// A journal with bundle 1 in force.
pub(crate) async fn with_bundle(place: &Place) -> SqlJournal {
    let journal = place.create().await;
    write(&journal, bundle(1), Vec::new()).await.unwrap();
    journal
}

/// Every entry of the log, page by page.
pub(crate) async fn all_entries(journal: &SqlJournal) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    loop {
        let page = journal.entries(entries.len() as u64, Page::MAX).await.unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

/// The tree head of the latest checkpoint, its signature verified.
pub(crate) fn verified_head(checkpoint: &[u8]) -> TreeHead {
    let key = TestKey::new("log.example/test");
    let signed = SignedCheckpoint::parse(checkpoint).unwrap();
    *signed.verify(key.verifier_key()).unwrap().checkpoint().head()
}

/// The log as recomputed from its entries is the one that the checkpoint signs.
pub(crate) async fn assert_log_is_whole(journal: &SqlJournal) {
    let mut frontier = Frontier::empty();
    for entry in all_entries(journal).await {
        frontier.append(LeafHash::of(&entry).unwrap()).unwrap();
    }
    assert_eq!(verified_head(&journal.checkpoint().await.unwrap()), frontier.head());
}
