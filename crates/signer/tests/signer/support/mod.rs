//! A signer over a real SQLite journal and real keys, with a clock that the test turns.

pub(crate) mod faults;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use countersign_audit::VerifierKey;
use countersign_decision::{
    Entry, GenesisEntry,
    testing::{Ask, LOG_SEED, WALLET_KEY, WALLET_SEED, World, sealed, solana},
};
use countersign_journal::{CheckpointSigner, Database, JournalConfig, Limits, SignCheckpointError, SqlJournal};
use countersign_signer::{
    Answer, BackendError, Cleared, Clearing, Journal as _, KeyBackend, Notary, Page, Signer, SignerError, SignerParts,
    SigningJob, Submission,
};
use countersign_types::{Duration, KeyId, PublicKey, RawSignature, Scheme, SigningBytes, Tag, Timestamp, WithdrawalId};
use ed25519_dalek::Signer as _;
use futures_core::future::BoxFuture;
use k256::ecdsa::signature::hazmat::RandomizedPrehashSigner as _;
use k256::elliptic_curve::rand_core;

use faults::{Faults, FaultyJournal};

/// Journals with the log key, and notarizes with it.
struct LogKey {
    key: ed25519_dalek::SigningKey,
    verifier: VerifierKey,
}

impl LogKey {
    fn new(world: &World) -> Self {
        let name = world.genesis.log_origin().parse().unwrap();
        let verifier = VerifierKey::new(name, world.genesis.log_key()).unwrap();
        Self {
            key: ed25519_dalek::SigningKey::from_bytes(&LOG_SEED),
            verifier,
        }
    }
}

impl CheckpointSigner for LogKey {
    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignCheckpointError> {
        Ok(self.key.sign(text).to_bytes())
    }
}

impl Notary for LogKey {
    fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(text).to_bytes()
    }
}

/// What a backend of these tests does with a job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Signs.
    Signs,
    /// Answers with an error: a token that is gone.
    Fails,
    /// Signs something else: a broken token.
    Lies,
    /// Waits until the gate opens, and signs: a slow token.
    Waits,
}

/// Real keys in memory that count how often they are used.
pub(crate) struct MemoryKey {
    /// The wallet's of the development bundle, and those of the secrets 2 and 3.
    keys: Vec<k256::ecdsa::SigningKey>,
    ed25519: ed25519_dalek::SigningKey,
    pub(crate) mood: std::sync::Mutex<Mood>,
    pub(crate) uses: AtomicU64,
    /// One permit for each job that arrived at a slow token.
    pub(crate) arrived: tokio::sync::Semaphore,
    /// One permit for each job that a slow token may answer.
    pub(crate) gate: tokio::sync::Semaphore,
    pub(crate) faults: Arc<Faults>,
}

impl MemoryKey {
    fn new() -> Self {
        let small = |secret: u8| {
            let mut bytes = [0; 32];
            bytes[31] = secret;
            bytes
        };
        let keys = [WALLET_SEED, small(2), small(3)];
        let keys: Vec<_> = keys
            .iter()
            .map(|secret| k256::ecdsa::SigningKey::from_slice(secret).unwrap())
            .collect();
        assert_eq!(public(&keys[0]), WALLET_KEY.parse().unwrap());
        Self {
            keys,
            ed25519: ed25519_dalek::SigningKey::from_bytes(&solana::WALLET_SEED),
            mood: std::sync::Mutex::new(Mood::Signs),
            uses: AtomicU64::new(0),
            arrived: tokio::sync::Semaphore::new(0),
            gate: tokio::sync::Semaphore::new(0),
            faults: Arc::new(Faults::new()),
        }
    }

    fn solana(&self) -> PublicKey {
        PublicKey::Ed25519(self.ed25519.verifying_key().to_bytes())
    }

    fn ecdsa(&self, key: &KeyId) -> Option<&k256::ecdsa::SigningKey> {
        self.keys.iter().find(|held| public(held).id() == *key)
    }

    fn sign_bytes(&self, job: &SigningJob, mood: Mood) -> Option<RawSignature> {
        let lie = u8::from(mood == Mood::Lies);
        Some(match job.bytes().clone() {
            SigningBytes::EcdsaPrehash(mut digest) => {
                digest[0] ^= lie;
                // Tokens draw their nonces: two signatures over one digest differ.
                let mut draw = Draw(self.uses.load(Ordering::SeqCst));
                let key = self.ecdsa(&job.key())?;
                let signature: k256::ecdsa::Signature = key.sign_prehash_with_rng(&mut draw, &digest).unwrap();
                RawSignature::Ecdsa(signature.to_bytes().into())
            }
            SigningBytes::Ed25519Message(mut message) => {
                message[0] ^= lie;
                RawSignature::Ed25519(self.ed25519.sign(&message).to_bytes())
            }
            SigningBytes::SchnorrPrehash(_) => panic!("no key for it"),
        })
    }
}

fn public(key: &k256::ecdsa::SigningKey) -> PublicKey {
    PublicKey::Secp256k1(key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap())
}

impl KeyBackend for MemoryKey {
    fn public_key(&self, key: &KeyId) -> Option<PublicKey> {
        let held = self.keys.iter().map(public).chain([self.solana()]);
        held.into_iter().find(|held| held.id() == *key)
    }
    fn schemes(&self, key: &KeyId) -> &[Scheme] {
        if self.ecdsa(key).is_some() {
            &[Scheme::Ecdsa]
        } else if *key == self.solana().id() {
            &[Scheme::Ed25519]
        } else {
            &[]
        }
    }
    fn is_development(&self) -> bool {
        true
    }
    fn sign(&self, job: SigningJob) -> BoxFuture<'_, Result<RawSignature, BackendError>> {
        Box::pin(async move {
            if self.faults.reach().await {
                return Err(BackendError::Unavailable("the job was lost".to_owned()));
            }
            let mood = *self.mood.lock().unwrap();
            if mood == Mood::Fails {
                return Err(BackendError::Unavailable("the token is gone".to_owned()));
            }
            if mood == Mood::Waits {
                self.arrived.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            let signature = self.sign_bytes(&job, mood);
            let signature = signature.ok_or(BackendError::KeyMissing(job.key()))?;
            self.uses.fetch_add(1, Ordering::SeqCst);
            if self.faults.reach().await {
                return Err(BackendError::Unavailable("the answer was lost".to_owned()));
            }
            Ok(signature)
        })
    }
}

/// What a token draws its nonce from: another one each time.
struct Draw(u64);

impl rand_core::TryRng for Draw {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0 as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        to.fill(self.0 as u8);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Draw {}

/// Everything a test needs.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) signer: Signer,
    pub(crate) journal: Arc<SqlJournal>,
    pub(crate) key: Arc<MemoryKey>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) folder: tempfile::TempDir,
}

fn config(world: &World, folder: PathBuf, clock: &Arc<AtomicI64>) -> JournalConfig {
    let clock = Arc::clone(clock);
    JournalConfig {
        database: Database::Sqlite(folder.join("journal.sqlite")),
        anchor_path: folder.join("anchor"),
        deployment: world.genesis.hash(),
        checkpoint_signer: Arc::new(LogKey::new(world)),
        clock: Arc::new(move || Timestamp::from_unix_millis(clock.load(Ordering::SeqCst))),
        limits: Limits::default(),
    }
}

async fn open(world: &World, journal: &Arc<SqlJournal>, key: &Arc<MemoryKey>, clock: &Arc<AtomicI64>) -> Signer {
    try_open(world, journal, key, clock).await.unwrap()
}

async fn try_open(
    world: &World,
    journal: &Arc<SqlJournal>,
    key: &Arc<MemoryKey>,
    clock: &Arc<AtomicI64>,
) -> Result<Signer, SignerError> {
    let clock = Arc::clone(clock);
    let parts = SignerParts {
        genesis: world.genesis.clone(),
        genesis_bytes: world.genesis_bytes.clone(),
        journal: Arc::new(FaultyJournal {
            inner: Arc::clone(journal),
            faults: Arc::clone(&key.faults),
        }),
        backend: Arc::clone(key) as Arc<_>,
        notary: Arc::new(LogKey::new(world)),
        clock: Arc::new(move || Timestamp::from_unix_millis(clock.load(Ordering::SeqCst))),
        sign_within: Duration::from_secs(30),
    };
    Signer::open(parts).await
}

impl Rig {
    /// Hands a statement to the second listener.
    pub(crate) async fn say(&self, envelope: &countersign_approval::Envelope) -> Result<Vec<u8>, SignerError> {
        self.signer.record_statement(&envelope.to_bytes()).await
    }

    /// A signer without a bundle.
    pub(crate) async fn bare() -> Self {
        Self::of(World::new()).await
    }

    /// A signer with the Solana wallet, its observers and bundle version 1 in force.
    pub(crate) async fn observed() -> Self {
        let rig = Self::of(World::observed()).await;
        rig.activate(&["alice", "bob"], rig.world.files.clone()).await.unwrap();
        rig
    }

    /// A signer with price sources, a desk and a policy in force.
    pub(crate) async fn attested(policy: &str) -> Self {
        let rig = Self::of(World::attested(policy)).await;
        rig.activate(&["alice", "bob"], rig.world.files.clone()).await.unwrap();
        rig
    }

    /// A signer with bundle version 1 in force, its policy with these limits as well.
    pub(crate) async fn limited(limits: &[&str]) -> Self {
        Self::changed(World::new(), limits, |_| {}).await
    }

    /// The same with the Solana wallet and its observers.
    pub(crate) async fn observed_limited(limits: &[&str]) -> Self {
        Self::changed(World::observed(), limits, |_| {}).await
    }

    /// A signer with bundle version 1 in force, with these limits and other changes.
    pub(crate) async fn changed(
        mut world: World,
        limits: &[&str],
        change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> Self {
        let policy = String::from_utf8(world.files["policy.yaml"].clone()).unwrap();
        let mut files = with_limits(&world.files, &policy, limits);
        change(&mut files);
        world.files = sealed(1, None, files);
        let rig = Self::of(world).await;
        rig.activate(&["alice", "bob"], rig.world.files.clone()).await.unwrap();
        rig
    }

    /// Activates the next bundle: the development policy with these limits.
    pub(crate) async fn limit(&mut self, limits: &[&str]) -> Result<countersign_signer::Activated, SignerError> {
        let bundle = self.world.bundle();
        let policy = include_str!("../../../../../policies/dev/policy.yaml");
        let files = with_limits(&self.world.files, policy, limits);
        let files = sealed(bundle.version() + 1, Some(bundle.digest()), files);
        let activated = self.activate(&["alice", "bob"], files.clone()).await?;
        self.world.files = files;
        Ok(activated)
    }

    /// A signer of a world, without a bundle.
    async fn of(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(world.issued_at.unix_millis() + 1_000));
        let first = Entry::Genesis(GenesisEntry {
            deployment: world.genesis.hash(),
        })
        .to_bytes()
        .unwrap();
        let config = config(&world, folder.path().to_owned(), &clock);
        let journal = Arc::new(SqlJournal::create(config, first).await.unwrap());
        let key = Arc::new(MemoryKey::new());
        let signer = open(&world, &journal, &key, &clock).await;
        Self {
            world,
            signer,
            journal,
            key,
            clock,
            folder,
        }
    }

    /// A signer with bundle version 1 in force.
    pub(crate) async fn new() -> Self {
        let rig = Self::bare().await;
        rig.activate(&["alice", "bob"], rig.world.files.clone()).await.unwrap();
        rig
    }

    /// The process dies and starts again on what is on disk.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            world,
            signer,
            journal,
            key,
            clock,
            folder,
        } = self;
        drop(signer);
        journal.close().await;
        drop(journal);
        let config = config(&world, folder.path().to_owned(), &clock);
        let journal = Arc::new(SqlJournal::open(config).await.unwrap());
        let signer = open(&world, &journal, &key, &clock).await;
        Self {
            world,
            signer,
            journal,
            key,
            clock,
            folder,
        }
    }

    /// Another signer on the same journal.
    pub(crate) async fn another(&self) -> Signer {
        open(&self.world, &self.journal, &self.key, &self.clock).await
    }

    /// The same where it does not open.
    pub(crate) async fn refusal_of_another(&self) -> SignerError {
        let opened = try_open(&self.world, &self.journal, &self.key, &self.clock).await;
        opened.err().unwrap()
    }

    pub(crate) async fn activate(
        &self,
        admins: &[&str],
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<countersign_signer::Activated, SignerError> {
        let statements = admins
            .iter()
            .map(|admin| self.world.activation(admin, &files).to_bytes())
            .collect();
        self.signer.activate(files, statements).await
    }

    pub(crate) fn advance(&self, secs: i64) {
        self.clock.fetch_add(secs * 1_000, Ordering::SeqCst);
    }

    pub(crate) fn uses(&self) -> u64 {
        self.key.uses.load(Ordering::SeqCst)
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.key.mood.lock().unwrap() = mood;
    }

    /// Submits an ask with its request and statements.
    pub(crate) async fn authorize(
        &self,
        ask: &Ask,
        request: &countersign_approval::Envelope,
        statements: &[&countersign_approval::Envelope],
    ) -> Result<Answer, SignerError> {
        self.signer.authorize(submission(ask, request, statements)).await
    }

    /// Asks again for everything that was authorized and not signed, as an orchestrator does that comes back: how much is signed, and
    /// why the rest is not.
    pub(crate) async fn ask_again(&self) -> (u64, Vec<(WithdrawalId, Vec<Tag>)>) {
        let (mut signed, mut left) = (0, Vec::new());
        for work in self.journal.unfinished(Page::FIRST).await.unwrap() {
            let submission = Submission {
                request: work.envelope,
                unsigned: work.attempt.unsigned,
                statements: Vec::new(),
            };
            let tags = match self.signer.authorize(submission).await {
                Ok(Answer::Signed { .. }) => {
                    signed += 1;
                    continue;
                }
                Ok(answer) => tags(&answer),
                Err(error) => vec![error.tag()],
            };
            left.push((WithdrawalId::of(work.request), tags));
        }
        (signed, left)
    }

    /// One pass behind what ended unsigned.
    pub(crate) async fn clear(&self) -> Clearing {
        let uses = self.uses();
        let cleared = self.signer.clear(&mut Cleared::default()).await.unwrap();
        assert_eq!(self.uses(), uses, "it never uses a key");
        cleared
    }

    /// A withdrawal that two of the treasury approved: signed.
    pub(crate) async fn sign(&self, ask: &Ask) -> Answer {
        let request = self.world.request(ask);
        let alice = self.world.approval("alice", &request, ask);
        let bob = self.world.approval("bob", &request, ask);
        self.authorize(ask, &request, &[&alice, &bob]).await.unwrap()
    }
}

/// The files of a bundle with the limits of a policy and these.
pub(crate) fn with_limits(
    files: &BTreeMap<String, Vec<u8>>,
    policy: &str,
    limits: &[&str],
) -> BTreeMap<String, Vec<u8>> {
    let lines: String = limits.iter().map(|limit| format!("  - {{ {limit} }}\n")).collect();
    let policy = policy.replace("limits:\n", &format!("limits:\n{lines}"));
    let mut files = files.clone();
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    files
}

pub(crate) fn submission(
    ask: &Ask,
    request: &countersign_approval::Envelope,
    statements: &[&countersign_approval::Envelope],
) -> Submission {
    Submission {
        request: request.to_bytes(),
        unsigned: ask.unsigned(),
        statements: statements.iter().map(|envelope| envelope.to_bytes()).collect(),
    }
}

/// The tags of an answer; `signed` for a signature.
pub(crate) fn tags(answer: &Answer) -> Vec<Tag> {
    match answer {
        Answer::Signed { .. } | Answer::Allowed { .. } => Vec::new(),
        Answer::Pending { reasons, .. } | Answer::Denied { reasons, .. } | Answer::Malformed { reasons, .. } => {
            reasons.iter().map(|reason| reason.tag).collect()
        }
    }
}

#[track_caller]
pub(crate) fn assert_denied(answer: &Answer, tag: Tag) {
    assert!(matches!(answer, Answer::Denied { .. }), "{answer:?}");
    assert!(tags(answer).contains(&tag), "{tag} is not in {answer:?}");
}

#[track_caller]
pub(crate) fn assert_pending(answer: &Answer, tag: Tag) {
    assert!(matches!(answer, Answer::Pending { .. }), "{answer:?}");
    assert!(tags(answer).contains(&tag), "{tag} is not in {answer:?}");
}

#[track_caller]
pub(crate) fn assert_signed(answer: &Answer) -> countersign_types::SignedTransaction {
    match answer {
        Answer::Signed { transaction, .. } => transaction.clone(),
        other => panic!("not signed: {other:?}"),
    }
}
