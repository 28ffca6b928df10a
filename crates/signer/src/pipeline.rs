//! The pipeline, in the order of DESIGN.md §7 and no other.
//!
//! decode → verify and parse → one journal transaction that decides, reserves and logs → (durable, covered by a checkpoint,
//! anchored) → stop re-checked → sign → verify the signature → record → stop re-checked → release.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use countersign_approval::{Environment, Genesis};
use countersign_audit::VerifierKey;
use countersign_bundle::Bundle;
use countersign_decision::{Decision, Entry, SignatureEntry};
use countersign_types::{
    BundleDigest, Duration, KeyId, PublicKey, RawSignature, Scheme, SignedTransaction, SigningPayload, Timestamp,
    WithdrawalId,
};
use futures_util::future::try_join_all;

use crate::{
    Answer, Authorization, Journal, JournalError, KeyBackend, LedgerView, LogEntry, Page, Reads, SignedAttempt,
    SignerError, Submission, Verdict, Write,
    authorization::Spent,
    prepare::Prepared,
    propose,
    ruling::{Bench, Ruling},
    signature::certify,
    submission::Decoded,
};

/// How often the pipeline starts over because the bundle or the statements changed under it.
const MAX_ROUNDS: usize = 8;

/// Signs acknowledgements with the log key.
pub trait Notary: Send + Sync {
    /// An Ed25519 signature over the text of a note.
    fn sign(&self, text: &[u8]) -> [u8; 64];
}

/// The clock of the signer process. The journal reads it again under its own lock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a signer is made of.
pub struct SignerParts {
    /// The pinned genesis.
    pub genesis: Genesis,
    /// The bytes it was read from, for receipts.
    pub genesis_bytes: Vec<u8>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The keys.
    pub backend: Arc<dyn KeyBackend>,
    /// The log key.
    pub notary: Arc<dyn Notary>,
    /// The clock.
    pub clock: Clock,
    /// How long an authorization may be used.
    pub sign_within: Duration,
}

/// The signing core.
pub struct Signer {
    pub(crate) genesis: Genesis,
    pub(crate) genesis_bytes: Vec<u8>,
    pub(crate) log_key: VerifierKey,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) notary: Arc<dyn Notary>,
    backend: Arc<dyn KeyBackend>,
    clock: Clock,
    sign_within: Duration,
    bundles: RwLock<Bundles>,
}

/// Loaded bundles: a cache of what the journal holds. The journal's view decides which one is in force.
#[derive(Default, Clone)]
struct Bundles {
    active: Option<Arc<Bundle>>,
    by_digest: BTreeMap<BundleDigest, Arc<Bundle>>,
}

impl Signer {
    /// Opens the core: refuses a development backend under a production genesis, and a backend that lacks a key or scheme
    /// that the bundle in force needs.
    pub async fn open(parts: SignerParts) -> Result<Self, SignerError> {
        if parts.genesis.environment() == Environment::Production && parts.backend.is_development() {
            return Err(SignerError::DevelopmentBackend(Environment::Production));
        }
        let log_key = crate::people::log_key(&parts.genesis)?;
        let signer = Self {
            log_key,
            genesis: parts.genesis,
            genesis_bytes: parts.genesis_bytes,
            journal: parts.journal,
            notary: parts.notary,
            backend: parts.backend,
            clock: parts.clock,
            sign_within: parts.sign_within,
            bundles: RwLock::default(),
        };
        signer.refresh().await?;
        if let Some(bundle) = signer.loaded().active {
            signer.certify_keys(&bundle)?;
        }
        Ok(signer)
    }

    /// Decides a withdrawal and signs it if it is allowed. Idempotent: what is signed is returned again.
    pub async fn authorize(&self, submission: Submission) -> Result<Answer, SignerError> {
        let decoded = Arc::new(submission.decode()?);
        for _ in 0..MAX_ROUNDS {
            let prepared = Arc::new(self.prepare(&decoded).await?);
            match self.rule(&prepared).await? {
                Ruling::Stale => self.refresh().await?,
                Ruling::NeedsBundle(digest) => self.load(digest).await?,
                Ruling::Answered(answer) => return Ok(answer),
                Ruling::Unloggable(error) => return Err(error.into()),
                Ruling::AlreadySigned(attempt, signed) => {
                    let transaction = self.release(&decoded, signed.transaction).await?;
                    return Ok(Answer::Signed {
                        transaction,
                        attempt,
                        decision: Vec::new(),
                    });
                }
                Ruling::Authorized(decision, entry) => return self.sign(&decoded, &decision, entry, &prepared).await,
            }
        }
        Err(SignerError::Contended)
    }

    /// The same decision without side effects.
    pub async fn evaluate(&self, submission: Submission) -> Result<Answer, SignerError> {
        let decoded = Arc::new(submission.decode()?);
        for _ in 0..MAX_ROUNDS {
            let prepared = Arc::new(self.prepare(&decoded).await?);
            let bench = self.bench(Arc::clone(&prepared));
            let decide = move |view: &LedgerView, now| Verdict::unchanged(bench.rule(view, now).reply);
            match propose(self.journal.as_ref(), prepared.reads(), decide).await?.0 {
                Ruling::Stale => self.refresh().await?,
                Ruling::NeedsBundle(digest) => self.load(digest).await?,
                Ruling::Answered(answer) => return Ok(answer),
                Ruling::Unloggable(error) => return Err(error.into()),
                Ruling::AlreadySigned(..) => return Ok(Answer::Allowed { decision: Vec::new() }),
                Ruling::Authorized(_, entry) => return Ok(Answer::Allowed { decision: entry }),
            }
        }
        Err(SignerError::Contended)
    }

    /// Takes up what was authorized and not signed before a crash. Each is decided anew: what was allowed then may be
    /// cancelled, expired or forbidden now (docs/adr/0006). Returns how many are signed now.
    pub async fn resume(&self) -> Result<u64, SignerError> {
        let mut signed = 0_u64;
        let mut page = Page::FIRST;
        loop {
            let unfinished = self.journal.unfinished(page).await?;
            if unfinished.is_empty() {
                return Ok(signed);
            }
            for work in unfinished {
                let submission = Submission {
                    request: work.envelope,
                    unsigned: work.attempt.unsigned,
                    statements: Vec::new(),
                };
                if let Answer::Signed { .. } = self.authorize(submission).await? {
                    signed = signed.saturating_add(1);
                } else {
                    // It stays listed, and the listing is in order of commit: step over it.
                    page.offset = page.offset.saturating_add(1);
                }
            }
        }
    }

    async fn prepare(&self, decoded: &Arc<Decoded>) -> Result<Prepared, SignerError> {
        let bundle = self.loaded().active.ok_or(SignerError::NoBundle)?;
        let journaled = self.journal.statements(decoded.digest).await?;
        Prepared::new(bundle, Arc::clone(decoded), journaled)
    }

    async fn rule(&self, prepared: &Arc<Prepared>) -> Result<Ruling, SignerError> {
        let bench = self.bench(Arc::clone(prepared));
        let decide = move |view: &LedgerView, now| bench.rule(view, now);
        Ok(propose(self.journal.as_ref(), prepared.reads(), decide).await?.0)
    }

    fn bench(&self, prepared: Arc<Prepared>) -> Bench {
        Bench {
            deployment: self.genesis.hash(),
            sign_within: self.sign_within,
            prepared,
            bundles: self.loaded().by_digest,
        }
    }

    /// From here on the decision is durable, logged and covered by a checkpoint.
    async fn sign(
        &self,
        decoded: &Decoded,
        decision: &Decision,
        entry: Vec<u8>,
        prepared: &Prepared,
    ) -> Result<Answer, SignerError> {
        let authorization = Authorization::of_committed(decision, prepared).ok_or(SignerError::Contended)?;
        self.certify_unstopped(decoded).await?;
        let sign_by = authorization.sign_by();
        if (self.clock)() >= sign_by {
            return Err(SignerError::AuthorizationExpired(sign_by));
        }
        let (jobs, spent) = authorization.into_jobs();
        let raw = try_join_all(jobs.into_iter().map(|job| self.backend.sign(job))).await?;
        let signatures = self.certify_signatures(spent.payloads(), raw)?;
        let transaction = spent.bundle().registry().assemble(
            &spent.request().network,
            &spent.request().wallet,
            spent.unsigned(),
            &signatures,
        )?;
        let recorded = self.record(&spent, signatures, transaction).await?;
        let attempt = spent.record().attempt;
        let transaction = self.release(decoded, recorded.transaction).await?;
        Ok(Answer::Signed {
            transaction,
            attempt,
            decision: entry,
        })
    }

    /// Every signature verifies under the wallet's public key before anything else happens with it.
    fn certify_signatures(
        &self,
        payloads: &[SigningPayload],
        raw: Vec<RawSignature>,
    ) -> Result<Vec<RawSignature>, SignerError> {
        let certified = payloads.iter().zip(raw).map(|(payload, raw)| {
            let key = self.public_key(&payload.key())?;
            Ok(certify(&key, payload.bytes(), raw)?)
        });
        certified.collect()
    }

    /// The wallet's key as the bundle pins it, not as the token tells it.
    fn public_key(&self, id: &KeyId) -> Result<PublicKey, SignerError> {
        let bundle = self.loaded().active.ok_or(SignerError::NoBundle)?;
        let mut keys = bundle.registry().wallets().iter().flat_map(|wallet| &wallet.keys);
        let key = keys.find(|key| key.id() == *id).copied();
        key.ok_or(SignerError::MissingKey {
            key: *id,
            scheme: Scheme::Ecdsa,
        })
    }

    /// Records signatures, or finds those that a racing call recorded first: one signature per payload is released.
    async fn record(
        &self,
        spent: &Spent,
        signatures: Vec<RawSignature>,
        transaction: SignedTransaction,
    ) -> Result<SignedAttempt, SignerError> {
        let reads = Reads {
            request: Some(spent.withdrawal()),
            ..Reads::default()
        };
        let record = spent.record().clone();
        let request = spent.withdrawal();
        let decide = move |view: &LedgerView, now: Timestamp| {
            let attempts = view
                .withdrawal
                .as_ref()
                .map(|record| record.attempts.as_slice())
                .unwrap_or_default();
            let Some(attempt) = attempts.iter().find(|attempt| attempt.number == record.attempt) else {
                return Verdict::unchanged(Err("the authorized attempt is not in the journal".to_owned()));
            };
            if let Some(signed) = &attempt.signed {
                return Verdict::unchanged(Ok(signed.clone()));
            }
            let entry = Entry::Signature(SignatureEntry {
                withdrawal: WithdrawalId::of(request),
                attempt: record.attempt,
                authorization: record.id,
                payloads: record.payloads.clone(),
                signatures: signatures
                    .iter()
                    .map(|signature| to_hex(signature.as_bytes()))
                    .collect(),
                txid: transaction.txid.clone(),
                recorded_at: now,
            });
            let bytes = match entry.to_bytes() {
                Ok(bytes) => bytes,
                Err(error) => return Verdict::unchanged(Err(error.to_string())),
            };
            let signed = SignedAttempt {
                signatures: signatures.clone(),
                transaction: transaction.clone(),
                recorded_at: now,
            };
            Verdict {
                entries: vec![LogEntry {
                    bytes,
                    subjects: vec![request],
                }],
                writes: vec![Write::Signed {
                    request,
                    number: record.attempt,
                    signatures: signatures.clone(),
                    transaction: transaction.clone(),
                }],
                reply: Ok(signed),
            }
        };
        let (recorded, _) = propose(self.journal.as_ref(), reads, decide).await?;
        recorded.map_err(|reason| JournalError::Damaged(reason).into())
    }

    /// The last gate: a cancel that arrived while the token worked keeps the signature in.
    async fn release(
        &self,
        decoded: &Decoded,
        transaction: SignedTransaction,
    ) -> Result<SignedTransaction, SignerError> {
        self.certify_unstopped(decoded).await?;
        Ok(transaction)
    }

    async fn certify_unstopped(&self, decoded: &Decoded) -> Result<(), SignerError> {
        if self.journal.is_stopped(decoded.digest).await? {
            return Err(SignerError::Stopped(WithdrawalId::of(decoded.digest)));
        }
        Ok(())
    }

    /// Every wallet key of the bundle is in the backend, with the scheme that its family signs with.
    pub(crate) fn certify_keys(&self, bundle: &Bundle) -> Result<(), SignerError> {
        for (key, scheme) in bundle.registry().required_schemes() {
            if !self.backend.schemes(&key).contains(&scheme) {
                return Err(SignerError::MissingKey { key, scheme });
            }
        }
        Ok(())
    }

    /// A snapshot of the loaded bundles.
    fn loaded(&self) -> Bundles {
        self.bundles.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn active(&self) -> Result<Arc<Bundle>, SignerError> {
        self.loaded().active.ok_or(SignerError::NoBundle)
    }

    /// Makes a bundle known; `is_active` after the journal has committed its activation.
    pub(crate) fn learn(&self, bundle: Arc<Bundle>, is_active: bool) {
        let mut bundles = self.bundles.write().unwrap_or_else(PoisonError::into_inner);
        bundles.by_digest.insert(bundle.digest(), Arc::clone(&bundle));
        let is_newer = bundles
            .active
            .as_ref()
            .is_none_or(|active| active.version() < bundle.version());
        if is_active && is_newer {
            bundles.active = Some(bundle);
        }
    }

    /// Reads the bundle in force from the journal.
    async fn refresh(&self) -> Result<(), SignerError> {
        if let Some(stored) = self.journal.active_bundle().await? {
            self.learn(Arc::new(load_stored(&stored.files)?), true);
        }
        Ok(())
    }

    /// Loads an earlier bundle: the one in force when a request was first seen.
    async fn load(&self, digest: BundleDigest) -> Result<(), SignerError> {
        let mut after = 0;
        loop {
            let stored = self.journal.bundles(after).await?;
            let Some(last) = stored.last() else {
                return Err(JournalError::Damaged(format!("bundle {digest} is not in the journal")).into());
            };
            after = last.version;
            if let Some(found) = stored.iter().find(|stored| stored.digest == digest) {
                self.learn(Arc::new(load_stored(&found.files)?), false);
                return Ok(());
            }
        }
    }
}

/// A bundle that was activated once loads again, or the database is damaged.
fn load_stored(files: &BTreeMap<String, Vec<u8>>) -> Result<Bundle, SignerError> {
    Bundle::load(files).map_err(|errors| JournalError::Damaged(format!("a stored bundle: {errors}")).into())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
