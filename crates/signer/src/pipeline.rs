//! The pipeline, in the order of DESIGN.md §7 and no other.
//!
//! decode → verify and parse → one journal transaction that decides, reserves and logs → (durable, covered by a checkpoint,
//! anchored) → basis re-checked → sign → verify the signature → record on the same basis → basis re-checked → release.
//!
//! The basis is what the decision saw: the bundle in force, the statements, the freezes, no end. A change of it starts the pipeline over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_approval::{Environment, Genesis};
use countersign_audit::VerifierKey;
use countersign_bundle::Bundle;
use countersign_decision::{AuthorizationRecord, Entry, EntryError, SignatureEntry};
use countersign_types::{
    BundleDigest, ChainFacts, ConflictKey, Destination, Duration, RawSignature, RequestDigest, SignedTransaction,
    Timestamp, WithdrawalId,
};
use futures_util::future::try_join_all;

use crate::{
    Answer, Authorization, Basis, Journal, JournalError, KeyBackend, LedgerView, LogEntry, Reads, SignedAttempt,
    SignerError, StoredBundle, Submission, Verdict, Write,
    aging::of_signature,
    authorization::Spent,
    prepare::{Ingredients, Prepared, ages_from},
    propose,
    ruling::{Again, Bench, Ruling},
    signature::certify,
    stored::load_activated,
    submission::Decoded,
};

/// How often the pipeline starts over because the bundle or the statements changed under it.
pub(crate) const MAX_ROUNDS: usize = 8;

/// Signs acknowledgements with the log key.
pub trait Notary: Send + Sync {
    /// An Ed25519 signature over the text of a note.
    fn sign(&self, text: &[u8]) -> [u8; 64];
}

/// What a ruling found missing in what was prepared.
#[derive(Default)]
struct Wanted {
    /// The facts that the statements attest: for the next round alone, since they change with the statements.
    facts: Option<ChainFacts>,
    /// The bundle at first sight.
    first: Option<Arc<Bundle>>,
    /// Conflict keys whose owners are needed.
    left_over: BTreeSet<ConflictKey>,
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
    pub(crate) clock: Clock,
    sign_within: Duration,
    bundles: RwLock<Bundles>,
}

/// Loaded bundles: a cache of what the journal holds. The journal's view decides which one is in force.
#[derive(Default, Clone)]
struct Bundles {
    active: Option<Arc<Bundle>>,
    by_digest: BTreeMap<BundleDigest, Arc<Bundle>>,
}

/// What earlier bundles may take together, in bytes of their files: all there are where lists are short, the last few where
/// they are long.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;

impl Bundles {
    /// Keeps a bundle; the oldest others make room.
    fn keep(&mut self, bundle: Arc<Bundle>) {
        let digest = bundle.digest();
        self.by_digest.insert(digest, bundle);
        loop {
            let sizes = self.by_digest.values().map(|bundle| bundle.size());
            if sizes.fold(0, usize::saturating_add) <= MAX_KEPT_BYTES {
                return;
            }
            let is_needed = |other: &Bundle| {
                other.digest() == digest
                    || self
                        .active
                        .as_ref()
                        .is_some_and(|active| active.digest() == other.digest())
            };
            let others = self.by_digest.values().filter(|other| !is_needed(other));
            let Some(oldest) = others.min_by_key(|other| other.version()).map(|oldest| oldest.digest()) else {
                return;
            };
            self.by_digest.remove(&oldest);
        }
    }
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
        if let Some(bundle) = signer.known_active() {
            signer.certify_keys(&bundle)?;
        }
        Ok(signer)
    }

    /// Decides a withdrawal and signs it if it is allowed. Idempotent: what is signed is returned again.
    pub async fn authorize(&self, submission: Submission) -> Result<Answer, SignerError> {
        let decoded = Arc::new(submission.decode()?);
        let mut wanted = Wanted::default();
        for _ in 0..MAX_ROUNDS {
            let prepared = Arc::new(self.prepare(&decoded, &mut wanted).await?);
            match self.rule(&prepared).await? {
                Ruling::Again(again) => self.supply(again, &mut wanted).await?,
                Ruling::Answered(answer) => return Ok(answer),
                Ruling::Unwritable(error) => return Err(error),
                // Ruled in one transaction with the stops: nothing is between this and the release.
                Ruling::AlreadySigned(attempt, signed) => {
                    return Ok(Answer::Signed {
                        transaction: signed.transaction,
                        attempt,
                        decision: Vec::new(),
                    });
                }
                Ruling::Authorized(decision, basis, entry) => {
                    let authorization = Authorization::of_committed(&decision, basis, &prepared);
                    if let Some(signed) = self.sign(authorization.ok_or(SignerError::Contended)?).await? {
                        return Ok(Answer::Signed {
                            transaction: signed.transaction,
                            attempt: decision.entry.authorization.map_or(0, |record| record.attempt),
                            decision: entry,
                        });
                    }
                }
            }
        }
        Err(SignerError::Contended)
    }

    /// The same decision without side effects.
    pub async fn evaluate(&self, submission: Submission) -> Result<Answer, SignerError> {
        let decoded = Arc::new(submission.decode()?);
        let mut wanted = Wanted::default();
        for _ in 0..MAX_ROUNDS {
            let prepared = Arc::new(self.prepare(&decoded, &mut wanted).await?);
            let bench = self.bench(Arc::clone(&prepared), false);
            let decide = move |view: &LedgerView, now| Verdict::unchanged(bench.rule(view, now).reply);
            match propose(self.journal.as_ref(), prepared.reads(), decide).await?.0 {
                Ruling::Again(again) => self.supply(again, &mut wanted).await?,
                Ruling::Answered(answer) => return Ok(answer),
                Ruling::Unwritable(error) => return Err(error),
                Ruling::AlreadySigned(..) => return Ok(Answer::Allowed { decision: Vec::new() }),
                Ruling::Authorized(_, _, entry) => return Ok(Answer::Allowed { decision: entry }),
            }
        }
        Err(SignerError::Contended)
    }

    /// Writes down what became of a withdrawal's attempts, and nothing else: no decision, and no authorization.
    pub(crate) async fn settle(&self, submission: Submission) -> Result<(), SignerError> {
        let decoded = Arc::new(submission.decode()?);
        let mut wanted = Wanted::default();
        for _ in 0..MAX_ROUNDS {
            let prepared = Arc::new(self.prepare(&decoded, &mut wanted).await?);
            let bench = self.bench(Arc::clone(&prepared), true);
            let decide = move |view: &LedgerView, now| {
                let verdict = bench.rule(view, now);
                if matches!(verdict.reply, Ruling::Again(Again::Settled)) {
                    return verdict;
                }
                Verdict::unchanged(verdict.reply)
            };
            match propose(self.journal.as_ref(), prepared.reads(), decide).await?.0 {
                Ruling::Again(again) => self.supply(again, &mut wanted).await?,
                Ruling::Unwritable(error) => return Err(error),
                Ruling::AlreadySigned(..) | Ruling::Answered(_) | Ruling::Authorized(..) => return Ok(()),
            }
        }
        Err(SignerError::Contended)
    }

    /// Gets what a ruling found missing, for the next round.
    async fn supply(&self, again: Again, wanted: &mut Wanted) -> Result<(), SignerError> {
        match again {
            Again::Stale => self.refresh().await?,
            Again::Settled => {}
            Again::Reread(attested) => wanted.facts = Some(attested),
            Again::NeedsOwners(keys) => wanted.left_over = keys,
            Again::NeedsBundle(digest) => wanted.first = Some(self.bundle(digest).await?),
        }
        Ok(())
    }

    async fn prepare(&self, decoded: &Arc<Decoded>, wanted: &mut Wanted) -> Result<Prepared, SignerError> {
        let bundle = self.active().await?;
        let journaled = self.journal.statements(decoded.digest).await?;
        Prepared::new(Ingredients {
            deployment: self.genesis.hash(),
            bundle,
            first: wanted.first.clone(),
            decoded: Arc::clone(decoded),
            journaled,
            now: (self.clock)(),
            facts: wanted.facts.take(),
            left_over: wanted.left_over.clone(),
        })
    }

    async fn rule(&self, prepared: &Arc<Prepared>) -> Result<Ruling, SignerError> {
        let bench = self.bench(Arc::clone(prepared), true);
        let decide = move |view: &LedgerView, now| bench.rule(view, now);
        Ok(propose(self.journal.as_ref(), prepared.reads(), decide).await?.0)
    }

    fn bench(&self, prepared: Arc<Prepared>, settles: bool) -> Bench {
        Bench {
            deployment: self.genesis.hash(),
            sign_within: self.sign_within,
            prepared,
            settles,
        }
    }

    /// From here on the decision is durable, logged and covered by a checkpoint. `None`: what it rested on has changed, so it
    /// must be taken again (docs/adr/0008).
    async fn sign(&self, authorization: Authorization) -> Result<Option<SignedAttempt>, SignerError> {
        let request = authorization.withdrawal();
        if !self.still_rests_on(request, authorization.basis()).await? {
            return Ok(None);
        }
        let sign_by = authorization.sign_by();
        if (self.clock)() >= sign_by {
            return Err(SignerError::AuthorizationExpired(sign_by));
        }
        let (jobs, spent) = authorization.into_jobs();
        let raw = try_join_all(jobs.into_iter().map(|job| self.backend.sign(job))).await?;
        let signatures = certify_signatures(&spent, raw)?;
        let transaction = spent.bundle().registry().assemble(
            &spent.request().network,
            &spent.request().wallet,
            spent.unsigned(),
            &signatures,
        )?;
        let recorded = match self.record(&spent, signatures, transaction).await? {
            Recorded::Signed(signed) => signed,
            Recorded::Changed => return Ok(None),
            Recorded::Late => return Err(SignerError::AuthorizationExpired(sign_by)),
            Recorded::Refused(error) => return Err(error.into()),
        };
        // The last gate: what stopped it since keeps the signature in.
        let is_released = self.still_rests_on(request, spent.basis()).await?;
        Ok(is_released.then_some(recorded))
    }

    async fn still_rests_on(&self, request: RequestDigest, basis: &Basis) -> Result<bool, SignerError> {
        let entries = basis.entries.keys().cloned().collect();
        Ok(self.journal.basis(request, entries).await?.as_ref() == Some(basis))
    }

    /// Records signatures, or finds those that a racing call recorded first: one signature per payload is released.
    async fn record(
        &self,
        spent: &Spent,
        signatures: Vec<RawSignature>,
        transaction: SignedTransaction,
    ) -> Result<Recorded, SignerError> {
        let request = spent.withdrawal();
        let reads = Reads {
            request: Some(request),
            matters: spent.basis().entries.keys().cloned().collect(),
            ..Reads::default()
        };
        let authorization = spent.record().clone();
        let paid = spent.paid().clone();
        let basis = spent.basis().clone();
        let ages_from = ages_from(spent.bundle(), spent.request());
        let decide = move |view: &LedgerView, now: Timestamp| {
            if Basis::of(view) != basis {
                return Verdict::unchanged(Recorded::Changed);
            }
            let record = view.withdrawal.as_ref();
            let mut attempts = record.map(|record| record.attempts.iter()).unwrap_or_default();
            let attempt = attempts.find(|attempt| attempt.number == authorization.attempt);
            match attempt.and_then(|attempt| attempt.signed.clone()) {
                Some(signed) => Verdict::unchanged(Recorded::Signed(signed)),
                // Too late: it was authorized for a moment, not for whenever the token answers.
                None if now >= authorization.sign_by => Verdict::unchanged(Recorded::Late),
                None => {
                    let mut verdict = recording(request, &authorization, &signatures, &transaction, now);
                    if let (Recorded::Signed(_), Some(attempt)) = (&verdict.reply, attempt) {
                        verdict.writes.extend(of_signature(ages_from, request, attempt));
                    }
                    verdict.writes.extend(paying(&verdict, request, &paid));
                    verdict
                }
            }
        };
        Ok(propose(self.journal.as_ref(), reads, decide).await?.0)
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

    /// The bundle in force as this process knows it. Who knows none asks the journal: another signer may have put the first
    /// one in force since.
    pub(crate) async fn active(&self) -> Result<Arc<Bundle>, SignerError> {
        if self.known_active().is_none() {
            self.refresh().await?;
        }
        self.known_active().ok_or(SignerError::NoBundle)
    }

    /// What one view holds under the bundle in force, and that bundle, which another signer may have put in force since the last look.
    pub(crate) async fn read_in_force<R: Send + 'static>(
        &self,
        reads: impl Fn(Option<&Bundle>) -> Reads,
        answer: fn(&LedgerView) -> R,
    ) -> Result<(Option<Arc<Bundle>>, R, Timestamp), SignerError> {
        for _ in 0..MAX_ROUNDS {
            let known = self.known_active();
            let read = move |view: &LedgerView, _| {
                let active = view.bundle.as_ref().map(|active| active.digest);
                Verdict::unchanged((active, answer(view)))
            };
            let reads = reads(known.as_deref());
            let ((active, found), now) = propose(self.journal.as_ref(), reads, read).await?;
            if active == known.as_deref().map(Bundle::digest) {
                return Ok((known, found, now));
            }
            self.refresh().await?;
        }
        Err(SignerError::Contended)
    }

    pub(crate) fn known_active(&self) -> Option<Arc<Bundle>> {
        self.loaded().active
    }

    /// Makes a bundle known; `is_active` after the journal has committed its activation.
    pub(crate) fn learn(&self, bundle: Arc<Bundle>, is_active: bool) {
        let mut bundles = self.bundles.write().unwrap_or_else(PoisonError::into_inner);
        bundles.keep(Arc::clone(&bundle));
        let is_newer = bundles
            .active
            .as_ref()
            .is_none_or(|active| active.version() < bundle.version());
        if is_active && is_newer {
            bundles.active = Some(bundle);
        }
    }

    /// Reads the bundle in force from the journal.
    pub(crate) async fn refresh(&self) -> Result<(), SignerError> {
        if let Some(stored) = self.journal.active_bundle().await? {
            self.learn(self.load_activated(&stored).await?, true);
        }
        Ok(())
    }

    async fn load_activated(&self, stored: &StoredBundle) -> Result<Arc<Bundle>, SignerError> {
        let logged = self.journal.activation(stored.digest).await?;
        Ok(Arc::new(load_activated(stored, &logged, &self.log_key)?))
    }

    /// An earlier bundle: the one in force when a request was first seen.
    pub(crate) async fn bundle(&self, digest: BundleDigest) -> Result<Arc<Bundle>, SignerError> {
        if let Some(known) = self.loaded().by_digest.get(&digest) {
            return Ok(Arc::clone(known));
        }
        let mut after = 0;
        loop {
            let stored = self.journal.bundles(after).await?;
            let Some(last) = stored.last() else {
                return Err(JournalError::Damaged(format!("bundle {digest} is not in the journal")).into());
            };
            after = last.version;
            if let Some(found) = stored.iter().find(|stored| stored.digest == digest) {
                let bundle = self.load_activated(found).await?;
                self.learn(Arc::clone(&bundle), false);
                return Ok(bundle);
            }
        }
    }
}

/// What became of signatures.
enum Recorded {
    /// Recorded now, or by a racing call.
    Signed(SignedAttempt),
    /// The decision does not rest on what it rested on: nothing was written, and the signatures are dropped.
    Changed,
    /// The authorization has run out: nothing was written, and the signatures are dropped.
    Late,
    /// The entry could not be written.
    Refused(EntryError),
}

/// What recorded signatures pay.
fn paying(verdict: &Verdict<Recorded>, request: RequestDigest, paid: &BTreeSet<Destination>) -> Option<Write> {
    let is_signed = !verdict.is_unchanged() && !paid.is_empty();
    is_signed.then(|| Write::Paid {
        request,
        destinations: paid.clone(),
    })
}

/// The entry and the change that make signatures known.
fn recording(
    request: RequestDigest,
    authorization: &AuthorizationRecord,
    signatures: &[RawSignature],
    transaction: &SignedTransaction,
    now: Timestamp,
) -> Verdict<Recorded> {
    let entry = Entry::Signature(SignatureEntry {
        withdrawal: WithdrawalId::of(request),
        attempt: authorization.attempt,
        authorization: authorization.id,
        payloads: authorization.payloads.clone(),
        signatures: signatures.iter().map(|one| to_hex(one.as_bytes())).collect(),
        txid: transaction.txid.clone(),
        recorded_at: now,
    });
    let bytes = match entry.to_bytes() {
        Ok(bytes) => bytes,
        Err(error) => return Verdict::unchanged(Recorded::Refused(error)),
    };
    Verdict {
        entries: vec![LogEntry {
            bytes,
            subjects: vec![request],
        }],
        writes: vec![Write::Signed {
            request,
            number: authorization.attempt,
            signatures: signatures.to_vec(),
            transaction: transaction.clone(),
        }],
        reply: Recorded::Signed(SignedAttempt {
            signatures: signatures.to_vec(),
            transaction: transaction.clone(),
            recorded_at: now,
        }),
    }
}

/// Every signature verifies under the wallet's public key before anything else happens with it: the key as the bundle of
/// the authorization pins it, not as the token tells it, nor as a later bundle does.
fn certify_signatures(spent: &Spent, raw: Vec<RawSignature>) -> Result<Vec<RawSignature>, SignerError> {
    let certified = spent.payloads().iter().zip(raw).map(|(payload, raw)| {
        let key = spent.bundle().registry().wallets().key(&payload.key());
        let key = key.ok_or_else(|| SignerError::MissingKey {
            key: payload.key(),
            scheme: payload.bytes().scheme(),
        })?;
        Ok(certify(&key, payload.bytes(), raw)?)
    });
    certified.collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
