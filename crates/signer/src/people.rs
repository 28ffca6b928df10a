//! What the second listener does: statements of people, activations, and everything that auditors read.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_approval::{Body, Envelope, Genesis, Verified, verify};
use countersign_audit::{KeyName, VerifierKey};
use countersign_bundle::Bundle;
use countersign_decision::{
    Acknowledgement, ActivatedBundle, ActivationEntry, ChainError, Entry, EntryError, ProvenEntry, ReceiptError,
    ReceiptFile, ReceiptStatement, SignedFile, certify_next,
};
use countersign_types::{BundleDigest, GenesisHash, Tag, Timestamp, WithdrawalId};

use crate::{
    Activated, JournaledStatement, LateCharge, LedgerView, LogEntry, Page, Reads, Signer, SignerError, StoredBundle,
    Verdict, WithdrawalHistory, Write,
    freezes::{Thawing, certify_freeze, certify_thaw, officer_freeze},
    past,
    pipeline::MAX_ROUNDS,
    prepare::{room, subjects},
    propose,
    ruling::Changes,
};

/// The log key that a genesis pins, as a signed-note verifier.
pub(crate) fn log_key(genesis: &Genesis) -> Result<VerifierKey, SignerError> {
    let broken = |error: String| SignerError::Receipt(ReceiptError::Broken(error));
    let name: KeyName = genesis
        .log_origin()
        .parse()
        .map_err(|error| broken(format!("the log origin: {error}")))?;
    VerifierKey::new(name, genesis.log_key()).map_err(|error| broken(error.to_string()))
}

impl Signer {
    /// Journals a statement and acknowledges its first sight. A statement that is journaled already is acknowledged again
    /// with its first time.
    pub async fn record_statement(&self, envelope: &[u8]) -> Result<Vec<u8>, SignerError> {
        let envelope = Envelope::parse(envelope)?;
        for _ in 0..MAX_ROUNDS {
            let bundle = self.active()?;
            let verified = Arc::new(verify(&envelope, bundle.roster())?);
            let effect = self.certify_kind(&bundle, &verified).await?;
            let intake = Intake {
                deployment: self.genesis.hash(),
                bundle: bundle.digest(),
                verified: Arc::clone(&verified),
                effect,
            };
            let reads = intake.reads();
            let decide = move |view: &LedgerView, now: Timestamp| {
                let verdict = intake.journal(view, now);
                verdict.unwrap_or_else(|error| Verdict::unchanged(Err(error)))
            };
            match propose(self.journal.as_ref(), reads, decide).await?.0? {
                Some(first_seen_at) => return self.acknowledge(&verified, first_seen_at),
                // Another bundle came into force: whoever spoke may have left its roster.
                None => self.refresh().await?,
            }
        }
        Err(SignerError::Contended)
    }

    /// What a statement does beyond being journaled; the refusal of one that its signer may not make, or that is not taken
    /// here.
    async fn certify_kind(&self, bundle: &Bundle, verified: &Verified) -> Result<Effect, SignerError> {
        let refuse = |reason| SignerError::NotPermitted {
            signer: verified.signer().clone(),
            reason,
        };
        match &verified.statement().body {
            Body::Approval(_) | Body::Rejection(_) => Ok(Effect::Heard),
            Body::Cancel(cancel) => match self.standing(bundle, verified, cancel.withdrawal).await? {
                Standing::OfTheWithdrawal => Ok(Effect::Ends),
                // An officer may be ahead of the orchestrator: the decision at first sight counts the cancel.
                Standing::Ahead => Ok(Effect::Heard),
                Standing::None => Err(refuse("only the initiator or an officer cancels")),
            },
            // The decision counts it.
            Body::Replace(replace) => match self.standing(bundle, verified, replace.withdrawal).await? {
                Standing::OfTheWithdrawal | Standing::Ahead => Ok(Effect::Heard),
                Standing::None => Err(refuse("only the initiator or an officer raises a fee ceiling")),
            },
            Body::Freeze(freeze) => certify_freeze(bundle, verified.signer(), freeze).map(|()| Effect::Freezes),
            Body::Thaw(thaw) => certify_thaw(bundle, verified.signer(), thaw).map(Effect::Thaws),
            Body::Request(_) => Err(refuse("a request comes with its transaction, through the orchestrator")),
            Body::Activation(_) => Err(refuse("an activation comes with its bundle")),
            Body::Observation(_) => Err(refuse("an observation comes with the withdrawal that it is about")),
            Body::Price(_) | Body::Screening(_) | Body::AddressBook(_) => {
                Err(refuse("an attestation comes with the withdrawal that it is about"))
            }
        }
    }

    /// What somebody may say about a withdrawal as its initiator, as one of the people who operate it, or as an officer.
    async fn standing(
        &self,
        bundle: &Bundle,
        verified: &Verified,
        withdrawal: WithdrawalId,
    ) -> Result<Standing, SignerError> {
        let (roster, person) = (bundle.roster(), verified.signer());
        let is_officer = roster.is_officer(person);
        let Some(history) = self.journal.history(withdrawal.request()).await? else {
            let ahead = is_officer.then_some(Standing::Ahead);
            return ahead.ok_or(SignerError::NotFound(withdrawal));
        };
        let may_speak = is_officer || {
            let request = verify(&Envelope::parse(&history.request.envelope)?, roster)?;
            person == request.signer() || roster.initiating_people(request.signer()).contains(person)
        };
        Ok(if may_speak {
            Standing::OfTheWithdrawal
        } else {
            Standing::None
        })
    }

    /// Certifies and activates the next bundle inside the journal's transaction.
    pub async fn activate(
        &self,
        files: BTreeMap<String, Vec<u8>>,
        statements: Vec<Vec<u8>>,
    ) -> Result<Activated, SignerError> {
        let candidate = Bundle::load(&files).map_err(ChainError::Load)?;
        self.certify_keys(&candidate)?;
        for _ in 0..MAX_ROUNDS {
            let previous = self.active().ok();
            self.certify_ahead(previous.as_deref(), &files, &statements).await?;
            let reads = Reads {
                spends_since: previous
                    .as_ref()
                    .filter(|_| past::is_asked(&candidate))
                    .map(|_| past::since(self.now())),
                ..Reads::default()
            };
            match self
                .activate_after(previous, reads, (files.clone(), statements.clone()))
                .await?
            {
                Some(activated) => return Ok(activated),
                None => self.refresh().await?,
            }
        }
        Err(SignerError::Contended)
    }

    /// What will be refused is refused before it costs the journal's lock a bundle to load and signatures to verify.
    async fn certify_ahead(
        &self,
        previous: Option<&Bundle>,
        files: &BTreeMap<String, Vec<u8>>,
        statements: &[Vec<u8>],
    ) -> Result<(), SignerError> {
        let stand = |view: &LedgerView, _| Verdict::unchanged((view.epoch, view.bundle.clone()));
        let ((epoch, active), now) = propose(self.journal.as_ref(), Reads::default(), stand).await?;
        let is_current = active.map(|active| active.digest) == previous.map(Bundle::digest);
        let step = ActivatedBundle {
            files: files.clone(),
            statements: statements.to_vec(),
            activated_at: now,
        };
        // Under a stale predecessor every answer would be wrong: `activate_after` finds it out and starts over.
        if is_current {
            certify_next(&self.genesis, epoch, previous, &step)?;
        }
        Ok(())
    }

    /// `None` where `previous` is not in force.
    async fn activate_after(
        &self,
        previous: Option<Arc<Bundle>>,
        reads: Reads,
        (files, statements): (BTreeMap<String, Vec<u8>>, Vec<Vec<u8>>),
    ) -> Result<Option<Activated>, SignerError> {
        let genesis = self.genesis.clone();
        let decide = move |view: &LedgerView, now: Timestamp| {
            let in_force = view.bundle.as_ref().map(|bundle| bundle.digest);
            if in_force != previous.as_deref().map(Bundle::digest) {
                return Verdict::unchanged(Ok(None));
            }
            let step = ActivatedBundle {
                files: files.clone(),
                statements: statements.clone(),
                activated_at: now,
            };
            match certify_next(&genesis, view.epoch, previous.as_deref(), &step) {
                Ok((bundle, verified)) => match past::late_charges(view, previous.as_deref(), &bundle, now) {
                    Ok(late) => activation(bundle, verified, (&files, late), now),
                    Err(error) => Verdict::unchanged(Err(error)),
                },
                Err(error) => Verdict::unchanged(Err(error.into())),
            }
        };
        let (activated, at) = propose(self.journal.as_ref(), reads, decide).await?;
        let Some((bundle, first)) = activated? else {
            return Ok(None);
        };
        let bundle = Arc::new(bundle);
        self.learn(Arc::clone(&bundle), true);
        let acknowledgement = self.acknowledge(&first, at)?;
        Ok(Some(Activated {
            version: bundle.version(),
            digest: bundle.digest(),
            acknowledgement,
        }))
    }

    fn acknowledge(&self, verified: &Verified, first_seen_at: Timestamp) -> Result<Vec<u8>, SignerError> {
        let acknowledgement = Acknowledgement {
            deployment: self.genesis.hash(),
            statement: verified.digest(),
            first_seen_at,
        };
        let signature = self.notary.sign(acknowledgement.text().as_bytes());
        Ok(acknowledgement.seal(&self.log_key, &signature)?)
    }

    /// Activated bundles behind a version, and the version in force (0 for none).
    pub async fn bundles(&self, after_version: u64) -> Result<(Vec<StoredBundle>, u64), SignerError> {
        let bundles = self.journal.bundles(after_version).await?;
        let active = self.active().map_or(0, |bundle| bundle.version());
        Ok((bundles, active))
    }

    /// The latest signed checkpoint.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, SignerError> {
        Ok(self.journal.checkpoint().await?)
    }

    /// Log entries from `start`.
    pub async fn entries(&self, start: u64, count: u32) -> Result<Vec<Vec<u8>>, SignerError> {
        Ok(self.journal.entries(start, count.min(Page::MAX)).await?)
    }

    /// The receipt of one withdrawal.
    pub async fn receipt(&self, withdrawal: WithdrawalId) -> Result<Vec<u8>, SignerError> {
        let history = self
            .journal
            .history(withdrawal.request())
            .await?
            .ok_or(SignerError::NotFound(withdrawal))?;
        let bundles = self.all_bundles().await?;
        let read_epoch = |view: &LedgerView, _| Verdict::unchanged(view.epoch);
        let (epoch, _) = propose(self.journal.as_ref(), Reads::default(), read_epoch).await?;
        let receipt = write_receipt(withdrawal, self.genesis_bytes.clone(), epoch, bundles, history);
        Ok(receipt.to_bytes()?)
    }

    async fn all_bundles(&self) -> Result<Vec<ActivatedBundle>, SignerError> {
        let mut bundles = Vec::new();
        let mut after = 0;
        loop {
            let page = self.journal.bundles(after).await?;
            let Some(last) = page.last() else { return Ok(bundles) };
            after = last.version;
            bundles.extend(page.into_iter().map(|stored| ActivatedBundle {
                files: stored.files,
                statements: stored.statements,
                activated_at: stored.activated_at,
            }));
        }
    }
}

/// A statement on its way into the journal, verified under a bundle.
struct Intake {
    deployment: GenesisHash,
    bundle: BundleDigest,
    verified: Arc<Verified>,
    effect: Effect,
}

/// What a statement does beyond being journaled.
enum Effect {
    /// Decisions count it.
    Heard,
    /// It ends withdrawals that have records.
    Ends,
    /// It freezes.
    Freezes,
    /// It counts towards a thaw.
    Thaws(Thawing),
}

/// What a person is to a withdrawal.
enum Standing {
    /// Its initiator, one of its people, or an officer.
    OfTheWithdrawal,
    /// An officer, and the withdrawal is not known yet.
    Ahead,
    /// Nobody who may speak for it.
    None,
}

impl Intake {
    fn reads(&self) -> Reads {
        let signer = self.verified.signer();
        Reads {
            statements: vec![self.verified.digest()],
            nonces: vec![(signer.clone(), self.verified.statement().header.nonce)],
            voices: subjects(&self.verified)
                .iter()
                .map(|withdrawal| (withdrawal.request(), signer.clone()))
                .collect(),
            freezes: true,
            marks: match &self.effect {
                Effect::Thaws(thawing) => vec![thawing.topic()],
                Effect::Heard | Effect::Ends | Effect::Freezes => Vec::new(),
            },
            ..Reads::default()
        }
    }

    /// When the statement was first seen: earlier, or now with a record and an entry. `None` if it must be verified again.
    fn journal(
        &self,
        view: &LedgerView,
        now: Timestamp,
    ) -> Result<Verdict<Result<Option<Timestamp>, SignerError>>, SignerError> {
        let verified = &self.verified;
        if let Some(first_seen_at) = view.statements.get(&verified.digest()) {
            return Ok(Verdict::unchanged(Ok(Some(*first_seen_at))));
        }
        if view.bundle.as_ref().map(|bundle| bundle.digest) != Some(self.bundle) {
            return Ok(Verdict::unchanged(Ok(None)));
        }
        let header = &verified.statement().header;
        header.certify(self.deployment, view.epoch, now)?;
        let nonce = (verified.signer().clone(), header.nonce);
        if view.nonce_owners.contains_key(&nonce) {
            return Err(SignerError::NonceReused(nonce.0));
        }
        // Freezes and thaws are about no withdrawal, so they have no voices to be counted.
        let room = room(verified.envelope().kind());
        if view.voices.values().any(|said| *said >= room) {
            return Err(SignerError::TooTalkative(nonce.0));
        }
        let mut changes = Changes::default();
        changes.statement(verified, subjects(verified), now)?;
        match &self.effect {
            Effect::Heard => {}
            Effect::Ends => {
                let ended = subjects(verified).into_iter().map(|withdrawal| Write::Ended {
                    request: withdrawal.request(),
                    tag: Tag::WithdrawalCancelled,
                });
                changes.writes.extend(ended);
            }
            Effect::Freezes => officer_freeze(verified, view, now, &mut changes)?,
            Effect::Thaws(thawing) => thawing.count(verified.signer(), view, now, &mut changes)?,
        }
        Ok(Verdict {
            entries: changes.entries,
            writes: changes.writes,
            reply: Ok(Some(now)),
        })
    }
}

type ActivationReply = Result<Option<(Bundle, Verified)>, SignerError>;

/// Entries and changes of an activation. Its statements are journaled with it.
fn activation(
    bundle: Bundle,
    verified: Vec<Verified>,
    (files, late): (&BTreeMap<String, Vec<u8>>, Vec<LateCharge>),
    now: Timestamp,
) -> Verdict<ActivationReply> {
    match activation_changes(&bundle, &verified, (files, late), now) {
        Ok(changes) => match verified.into_iter().next() {
            Some(first) => Verdict {
                entries: changes.entries,
                writes: changes.writes,
                reply: Ok(Some((bundle, first))),
            },
            None => Verdict::unchanged(Err(SignerError::NoBundle)),
        },
        Err(error) => Verdict::unchanged(Err(error.into())),
    }
}

fn activation_changes(
    bundle: &Bundle,
    verified: &[Verified],
    (files, late): (&BTreeMap<String, Vec<u8>>, Vec<LateCharge>),
    now: Timestamp,
) -> Result<Changes, EntryError> {
    let mut changes = Changes::default();
    for statement in verified {
        changes.statement(statement, subjects(statement), now)?;
    }
    let statements: Vec<_> = verified.iter().map(Verified::digest).collect();
    let entry = Entry::Activation(ActivationEntry {
        version: bundle.version(),
        bundle: bundle.digest(),
        previous: bundle.previous(),
        statements: statements.clone(),
        activated_at: now,
    });
    changes.entries.push(LogEntry {
        bytes: entry.to_bytes()?,
        subjects: Vec::new(),
    });
    changes.writes.push(Write::Bundle {
        version: bundle.version(),
        digest: bundle.digest(),
        files: files.clone(),
        statements,
    });
    if !late.is_empty() {
        changes.writes.push(Write::Backfill { charges: late });
    }
    Ok(changes)
}

fn write_receipt(
    withdrawal: WithdrawalId,
    genesis: Vec<u8>,
    epoch: u64,
    bundles: Vec<ActivatedBundle>,
    history: WithdrawalHistory,
) -> ReceiptFile {
    let statement = |statement: JournaledStatement| ReceiptStatement {
        envelope: statement.envelope,
        first_seen_at: statement.first_seen_at,
    };
    let attempts = &history.record.attempts;
    let signed = attempts.iter().rfind(|attempt| attempt.signed.is_some());
    let last = signed.or(attempts.last());
    let signed = last
        .and_then(|attempt| attempt.signed.as_ref())
        .map(|signed| SignedFile {
            signatures: signed.signatures.clone(),
            transaction: signed.transaction.bytes.clone(),
            txid: signed.transaction.txid.clone(),
        });
    ReceiptFile {
        withdrawal,
        genesis,
        epoch,
        bundles,
        unsigned: last.map(|attempt| attempt.unsigned.clone()),
        signed,
        request: statement(history.request),
        statements: history.statements.into_iter().map(statement).collect(),
        entries: history
            .entries
            .into_iter()
            .map(|entry| ProvenEntry {
                index: entry.index,
                bytes: entry.bytes,
                proof: entry.proof,
            })
            .collect(),
        checkpoint: history.checkpoint,
    }
}
