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
use countersign_types::{Timestamp, WithdrawalId};

use crate::{
    Activated, JournaledStatement, LedgerView, LogEntry, Page, Reads, Signer, SignerError, StoredBundle, Verdict,
    WithdrawalHistory, Write, prepare::subjects, propose, ruling::Changes,
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
        let bundle = self.active()?;
        let verified = Arc::new(verify(&Envelope::parse(envelope)?, bundle.roster())?);
        let cancelled = self.certify_kind(&bundle, &verified).await?;
        let reads = Reads {
            statements: vec![verified.digest()],
            nonces: vec![(verified.signer().clone(), verified.statement().header.nonce)],
            ..Reads::default()
        };
        let deployment = self.genesis.hash();
        let statement = Arc::clone(&verified);
        let decide = move |view: &LedgerView, now: Timestamp| match journal_statement(
            view, now, &statement, deployment, cancelled,
        ) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::unchanged(Err(error)),
        };
        let (first_seen_at, _) = propose(self.journal.as_ref(), reads, decide).await?;
        self.acknowledge(&verified, first_seen_at?)
    }

    /// Only statements about withdrawals are taken here; a cancel needs the initiator or an officer. Returns whether a
    /// withdrawal ends with it.
    async fn certify_kind(&self, bundle: &Bundle, verified: &Verified) -> Result<bool, SignerError> {
        let refuse = |reason| SignerError::NotPermitted {
            signer: verified.signer().clone(),
            reason,
        };
        match &verified.statement().body {
            Body::Approval(_) | Body::Rejection(_) => Ok(false),
            Body::Cancel(cancel) => {
                let history = self.journal.history(cancel.withdrawal.request()).await?;
                let history = history.ok_or(SignerError::NotFound(cancel.withdrawal))?;
                let request = verify(&Envelope::parse(&history.request.envelope)?, bundle.roster())?;
                let person = verified.signer();
                let may_cancel = person == request.signer()
                    || bundle.roster().initiating_people(request.signer()).contains(person)
                    || bundle.roster().is_officer(person);
                if may_cancel {
                    Ok(true)
                } else {
                    Err(refuse("only the initiator or an officer cancels"))
                }
            }
            Body::Request(_) => Err(refuse("a request comes with its transaction, through the orchestrator")),
            Body::Activation(_) => Err(refuse("an activation comes with its bundle")),
        }
    }

    /// Certifies and activates the next bundle inside the journal's transaction.
    pub async fn activate(
        &self,
        files: BTreeMap<String, Vec<u8>>,
        statements: Vec<Vec<u8>>,
    ) -> Result<Activated, SignerError> {
        let previous = self.active().ok();
        let candidate = Bundle::load(&files).map_err(ChainError::Load)?;
        self.certify_keys(&candidate)?;
        let genesis = self.genesis.clone();
        let decide = move |view: &LedgerView, now: Timestamp| {
            let is_current =
                view.bundle.as_ref().map(|bundle| bundle.digest) == previous.as_deref().map(Bundle::digest);
            if !is_current {
                return Verdict::unchanged(Err(SignerError::Contended));
            }
            let step = ActivatedBundle {
                files: files.clone(),
                statements: statements.clone(),
                activated_at: now,
            };
            match certify_next(&genesis, view.epoch, previous.as_deref(), &step) {
                Ok((bundle, verified)) => activation(bundle, verified, &files, now),
                Err(error) => Verdict::unchanged(Err(error.into())),
            }
        };
        let (activated, at) = propose(self.journal.as_ref(), Reads::default(), decide).await?;
        let (bundle, first) = activated?;
        let bundle = Arc::new(bundle);
        self.learn(Arc::clone(&bundle), true);
        let acknowledgement = self.acknowledge(&first, at)?;
        Ok(Activated {
            version: bundle.version(),
            digest: bundle.digest(),
            acknowledgement,
        })
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

/// When a statement was first seen: earlier, or now with a record and an entry.
fn journal_statement(
    view: &LedgerView,
    now: Timestamp,
    verified: &Verified,
    deployment: countersign_types::GenesisHash,
    is_cancelled: bool,
) -> Result<Verdict<Result<Timestamp, SignerError>>, SignerError> {
    if let Some(first_seen_at) = view.statements.get(&verified.digest()) {
        return Ok(Verdict::unchanged(Ok(*first_seen_at)));
    }
    let header = &verified.statement().header;
    header.certify(deployment, view.epoch, now)?;
    if view
        .nonce_owners
        .contains_key(&(verified.signer().clone(), header.nonce))
    {
        return Err(SignerError::NonceReused(verified.signer().clone()));
    }
    let mut changes = Changes::default();
    changes.statement(verified, now)?;
    if is_cancelled {
        let ended = subjects(verified).into_iter().map(|withdrawal| Write::Cancelled {
            request: withdrawal.request(),
        });
        changes.writes.extend(ended);
    }
    Ok(Verdict {
        entries: changes.entries,
        writes: changes.writes,
        reply: Ok(now),
    })
}

type ActivationReply = Result<(Bundle, Verified), SignerError>;

/// Entries and changes of an activation. Its statements are journaled with it.
fn activation(
    bundle: Bundle,
    verified: Vec<Verified>,
    files: &BTreeMap<String, Vec<u8>>,
    now: Timestamp,
) -> Verdict<ActivationReply> {
    match activation_changes(&bundle, &verified, files, now) {
        Ok(changes) => match verified.into_iter().next() {
            Some(first) => Verdict {
                entries: changes.entries,
                writes: changes.writes,
                reply: Ok((bundle, first)),
            },
            None => Verdict::unchanged(Err(SignerError::NoBundle)),
        },
        Err(error) => Verdict::unchanged(Err(error.into())),
    }
}

fn activation_changes(
    bundle: &Bundle,
    verified: &[Verified],
    files: &BTreeMap<String, Vec<u8>>,
    now: Timestamp,
) -> Result<Changes, EntryError> {
    let mut changes = Changes::default();
    for statement in verified {
        changes.statement(statement, now)?;
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
    let last = history.record.attempts.last();
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
