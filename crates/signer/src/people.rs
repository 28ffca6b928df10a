//! What the second listener does: statements of people, activations, and everything that auditors read.

use std::sync::Arc;

use countersign_approval::{Body, BookState, Envelope, Freeze, Genesis, Kind, ScreeningResult, Verified, verify};
use countersign_audit::{KeyName, VerifierKey};
use countersign_bundle::Bundle;
use countersign_decision::{
    Acknowledgement, ActivatedBundle, Entry, MAX_FREEZES, ProvenEntry, ReceiptError, ReceiptFile, ReceiptStatement,
    SeenStatement, SignedFile, matter,
};
use countersign_types::{BundleDigest, FreezeId, GenesisHash, Tag, Timestamp, WithdrawalId};

use crate::{
    JournaledStatement, LedgerView, Page, Reads, Signer, SignerError, StoredBundle, Verdict, WithdrawalHistory, Write,
    activation::{self, Proposing},
    changes::Changes,
    freezes::{Thawing, certify_freeze, is_destination, officer_freeze},
    pipeline::MAX_ROUNDS,
    propose,
    room::{Spoken, later_by, room_for},
    statements::{about, heard_now, subjects},
    watch::{Rejecting, Reporting},
    words::{Matter, is_last, of_kinds, replaces, word},
};

/// Why a word about a payment is not taken that is about no payment: it would be acknowledged and count for nothing.
const OTHER_LETTERS: &str = "no transaction names its destination or asset in these letters";

/// Why an entry is not taken that no decision would count.
const NO_BOOK: &str = "no rule looks into its address book";

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
        let mut is_journaled = false;
        for _ in 0..MAX_ROUNDS {
            let bundle = self.active().await?;
            let verified = Arc::new(verify(&envelope, bundle.roster())?);
            let effect = self.certify_kind(&bundle, &verified).await?;
            let is_ahead = effect.is_ahead();
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
                // What it was ahead of may have been seen first since that was looked up, without it. Whatever is seen first from here
                // on is seen with it.
                Some(_) if is_ahead && !is_journaled => is_journaled = true,
                Some(first_seen_at) => return self.acknowledge(&verified, first_seen_at),
                // Another bundle came into force, and whoever spoke may have left its roster; or others spoke meanwhile.
                None => self.refresh().await?,
            }
        }
        Err(SignerError::Contended)
    }

    /// What a statement does beyond being journaled; the refusal of one that its signer may not make, or that is not taken
    /// here.
    async fn certify_kind(&self, bundle: &Arc<Bundle>, verified: &Verified) -> Result<Effect, SignerError> {
        let refuse = |reason| SignerError::NotPermitted {
            signer: verified.signer().clone(),
            reason,
        };
        match &verified.statement().body {
            Body::Approval(_) => Ok(Effect::Heard),
            Body::Rejection(_) => self.rejecting(bundle, verified).await.map(Effect::Rejects),
            Body::Cancel(cancel) => match self.standing(bundle, verified, cancel.withdrawal).await? {
                Standing::OfTheWithdrawal => Ok(Effect::Ends(cancel.withdrawal)),
                // An officer may be ahead of the orchestrator: the decision at first sight counts the cancel.
                Standing::Ahead => Ok(Effect::EndsLater),
                Standing::None => Err(refuse("only the initiator or an officer cancels")),
            },
            // The decision counts it.
            Body::Replace(replace) => match self.standing(bundle, verified, replace.withdrawal).await? {
                Standing::OfTheWithdrawal | Standing::Ahead => Ok(Effect::Heard),
                Standing::None => Err(refuse("only the initiator or an officer raises a fee ceiling")),
            },
            Body::Freeze(freeze) => certify_freeze(bundle, verified.signer(), freeze).map(|()| Effect::Freezes),
            Body::Thaw(thaw) => self.thawing(bundle, verified.signer(), thaw).await.map(Effect::Thaws),
            Body::Request(_) => Err(refuse("a request comes with its transaction, through the orchestrator")),
            Body::Activation(activation) => {
                activation::certify_statement(verified, activation, bundle)?;
                let in_force = Some(bundle.digest());
                Ok(Effect::Proposes(Proposing::of(
                    verified.signer(),
                    activation.bundle,
                    in_force,
                )))
            }
            Body::Veto(veto) => {
                activation::certify_veto(verified, veto, bundle)?;
                let said = self.journal.statements(activation::subject(veto.bundle)).await?;
                match of_kinds(said, &[Kind::Activation])?.is_empty() {
                    true => Err(SignerError::NotWaiting(veto.bundle)),
                    false => Ok(Effect::Vetoes {
                        admins: bundle.roster().admins().members().len(),
                    }),
                }
            }
            Body::Observation(observation) => {
                let reporting = self.reporting(bundle, verified.signer(), observation).await;
                reporting.map(Effect::Reports)
            }
            // What speaks against a payment needs no orchestrator, and neither does an entry whose time starts to run.
            Body::Screening(screening) if screening.result == ScreeningResult::Fail => {
                let is_asset = bundle.registry().assets().asset(&screening.asset).is_some();
                if !is_asset || !is_destination(bundle, &screening.destination) {
                    return Err(refuse(OTHER_LETTERS));
                }
                if !bundle.policy().wants().attesters.contains(verified.signer()) {
                    return Err(refuse("no rule asks for its attestations"));
                }
                let over = self.replaced(bundle, verified, screening.withdrawal).await?;
                Ok(Effect::Fails { over })
            }
            Body::AddressBook(entry) => {
                if !is_destination(bundle, &entry.destination) {
                    return Err(refuse(OTHER_LETTERS));
                }
                if bundle.policy().wants().books.contains(verified.signer()) {
                    return Ok(Effect::Heard);
                }
                // What it entered while a rule looked stands, for the next rule that does: a permit may come back that an officer took out.
                match entry.entry {
                    BookState::Removed if bundle.roster().is_service(verified.signer()) => Ok(Effect::TakesOut),
                    BookState::Removed | BookState::Registered { .. } => Err(refuse(NO_BOOK)),
                }
            }
            Body::Price(_) | Body::Screening(_) => {
                Err(refuse("a quote, or a screening that passed, comes with its withdrawal"))
            }
        }
    }

    /// How many statements of a service about a withdrawal take no room, because it has replaced them or does so by this one.
    async fn replaced(
        &self,
        bundle: &Bundle,
        verified: &Verified,
        withdrawal: WithdrawalId,
    ) -> Result<u64, SignerError> {
        let said = self.journal.statements(withdrawal.request()).await?;
        let heard = said.into_iter().map(|statement| heard_now(statement, bundle));
        let spoken = Spoken::of(&heard.collect::<Result<Vec<_>, _>>()?);
        Ok(spoken.over_of(verified.signer(), later_by(verified)))
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

    pub(crate) fn acknowledge(&self, verified: &Verified, first_seen_at: Timestamp) -> Result<Vec<u8>, SignerError> {
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
        let known = || self.known_active().map_or(0, |bundle| bundle.version());
        // Another signer may have put one in force that this one has not needed yet.
        if bundles.last().is_some_and(|last| last.version > known()) {
            self.refresh().await?;
        }
        Ok((bundles, known()))
    }

    /// The vetoes of bundles that were to follow these, each with its first sight.
    pub async fn vetoes(&self, behind: &[BundleDigest]) -> Result<Vec<JournaledStatement>, SignerError> {
        let mut vetoes = Vec::new();
        for digest in behind {
            let said = self.journal.statements(activation::vetoes_behind(*digest)).await?;
            vetoes.extend(of_kinds(said, &[Kind::Veto])?);
        }
        Ok(vetoes)
    }

    /// What was said about bundles that may follow the one in force, about one after the other and in the order of first sight.
    pub async fn proposals(&self) -> Result<Vec<JournaledStatement>, SignerError> {
        // Before the first one nobody has a roster to speak under but the genesis's admins, who put it in force.
        let reads = |in_force: Option<&Bundle>| Reads {
            marks: in_force.map(activation::topics).unwrap_or_default(),
            ..Reads::default()
        };
        let (_, named, _) = self.read_in_force(reads, activation::named).await?;
        let mut said = Vec::new();
        for bundle in named? {
            let about = self.journal.statements(activation::subject(bundle)).await?;
            said.extend(of_kinds(about, &[Kind::Activation, Kind::Veto])?);
        }
        Ok(said)
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
        let history = self.history(withdrawal).await?;
        self.receipt_of(withdrawal, history).await
    }

    pub(crate) async fn history(&self, withdrawal: WithdrawalId) -> Result<WithdrawalHistory, SignerError> {
        let history = self.journal.history(withdrawal.request()).await?;
        history.ok_or(SignerError::NotFound(withdrawal))
    }

    pub(crate) async fn receipt_of(
        &self,
        withdrawal: WithdrawalId,
        history: WithdrawalHistory,
    ) -> Result<Vec<u8>, SignerError> {
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
                statements: stored.statements.into_iter().map(seen).collect(),
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
    /// Decisions count it as a failed screening. So many statements of its service take no room; more may since.
    Fails { over: u64 },
    /// It takes out what its service entered while a rule looked into its book.
    TakesOut,
    /// It stops a bundle. So many admins may sign others, which have to be stopped too.
    Vetoes { admins: usize },
    /// It ends a withdrawal that has a record.
    Ends(WithdrawalId),
    /// It ends a withdrawal that has none: decisions count it, from the first one on.
    EndsLater,
    /// Decisions count it, and so do breakers.
    Rejects(Rejecting),
    /// It counts towards the freeze of a wallet whose nonce or outpoint somebody else used.
    Reports(Reporting),
    /// It speaks for a bundle, and one person speaks for so many only.
    Proposes(Proposing),
    /// It freezes.
    Freezes,
    /// It counts towards a thaw.
    Thaws(Thawing),
}

impl Effect {
    /// How many statements of its signer leave room for one that does this.
    fn room_for(&self, verified: &Verified) -> u64 {
        let room = room_for(verified);
        match self {
            Self::Fails { over } => room.saturating_add(*over),
            Self::Vetoes { admins } => room.saturating_mul(u64::try_from(*admins).unwrap_or(u64::MAX)),
            Self::Heard
            | Self::TakesOut
            | Self::Ends(_)
            | Self::EndsLater
            | Self::Rejects(_)
            | Self::Reports(_)
            | Self::Proposes(_)
            | Self::Freezes
            | Self::Thaws(_) => room,
        }
    }

    /// Whether it is about a withdrawal that had no record when that was looked up.
    fn is_ahead(&self) -> bool {
        match self {
            Self::EndsLater => true,
            Self::Rejects(rejecting) => rejecting.is_ahead(),
            Self::Heard
            | Self::Fails { .. }
            | Self::TakesOut
            | Self::Vetoes { .. }
            | Self::Ends(_)
            | Self::Reports(_)
            | Self::Proposes(_)
            | Self::Freezes
            | Self::Thaws(_) => false,
        }
    }
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

/// When the statement was first seen, or why it is not taken; `None` if it must be verified again.
type Intaken = Verdict<Result<Option<Timestamp>, SignerError>>;

impl Intake {
    fn reads(&self) -> Reads {
        let signer = self.verified.signer();
        let reads = Reads {
            statements: vec![self.verified.digest()],
            nonces: vec![(signer.clone(), self.verified.statement().header.nonce)],
            voices: about(&self.verified)
                .into_iter()
                .map(|subject| (subject, signer.clone()))
                .collect(),
            freezes: true,
            matters: matter(&self.verified)
                .map(|(matter, _)| (signer.clone(), matter))
                .into_iter()
                .collect(),
            ..Reads::default()
        };
        match &self.effect {
            Effect::Heard
            | Effect::Fails { .. }
            | Effect::TakesOut
            | Effect::Vetoes { .. }
            | Effect::EndsLater
            | Effect::Freezes => reads,
            Effect::Proposes(proposing) => Reads {
                marks: vec![proposing.topic()],
                ..reads
            },
            Effect::Ends(withdrawal) => Reads {
                request: Some(withdrawal.request()),
                ..reads
            },
            Effect::Thaws(thawing) => Reads {
                request: Some(thawing.subject()),
                ..reads
            },
            Effect::Rejects(rejecting) => rejecting.reads(reads),
            Effect::Reports(reporting) => reporting.reads(signer, reads),
        }
    }

    /// When the statement was first seen: earlier, or now with a record and an entry. `None` if it must be verified again.
    fn journal(&self, view: &LedgerView, now: Timestamp) -> Result<Intaken, SignerError> {
        let verified = &self.verified;
        if view.bundle.as_ref().map(|bundle| bundle.digest) != Some(self.bundle) {
            return Ok(Verdict::unchanged(Ok(None)));
        }
        let header = &verified.statement().header;
        let nonce = (verified.signer().clone(), header.nonce);
        if let Some(first_seen_at) = view.statements.get(&verified.digest()) {
            // What is acknowledged is this person's word: a digest names a text, not who signed it.
            if view.nonce_owners.get(&nonce) != Some(&verified.digest()) {
                return Err(SignerError::NotFirst(nonce.0));
            }
            return self.make_up(view, now, *first_seen_at);
        }
        header.certify(self.deployment, view.epoch, now)?;
        if view.nonce_owners.contains_key(&nonce) {
            return Err(SignerError::NonceReused(nonce.0));
        }
        let room = self.effect.room_for(verified);
        if view.voices.values().any(|said| *said >= room) {
            return Err(SignerError::TooTalkative(nonce.0));
        }
        let known = |matter: &Matter| view.matters.get(matter).copied();
        if matches!(self.effect, Effect::TakesOut) && view.matters.is_empty() {
            let (signer, reason) = (nonce.0, NO_BOOK);
            return Err(SignerError::NotPermitted { signer, reason });
        }
        if matter(verified).is_some() && !replaces(verified, known) {
            return Err(SignerError::Superseded(nonce.0));
        }
        let mut changes = Changes::default();
        changes.statement(verified, subjects(verified), now)?;
        changes.words(&word(verified, known, now).into_iter().collect());
        match &self.effect {
            Effect::Heard | Effect::Fails { .. } | Effect::TakesOut | Effect::Vetoes { .. } | Effect::EndsLater => {}
            Effect::Proposes(proposing) => proposing.count(view, &mut changes)?,
            Effect::Ends(withdrawal) => changes.writes.extend(end(*withdrawal, view)),
            Effect::Rejects(rejecting) => rejecting.count(verified.signer(), view, now, &mut changes)?,
            Effect::Reports(reporting) => reporting.count(verified.signer(), view, now, &mut changes)?,
            Effect::Freezes => officer_freeze(verified, view, now, &mut changes)?,
            Effect::Thaws(thawing) => match thawing.is_current(view) {
                true => thawing.count(verified, view, now, &mut changes)?,
                false => return Ok(Verdict::unchanged(Ok(None))),
            },
        }
        Ok(Verdict {
            entries: changes.entries,
            writes: changes.writes,
            reply: Ok(Some(now)),
        })
    }

    /// What a journaled statement does and has not done yet. An orchestrator may have brought it first, with a withdrawal on
    /// which nothing could be decided or to which it matters otherwise; whoever brings it here is told that it is in force.
    fn make_up(&self, view: &LedgerView, now: Timestamp, first_seen_at: Timestamp) -> Result<Intaken, SignerError> {
        let signer = self.verified.signer();
        let mut changes = Changes::default();
        // Whoever repeats what a service has said otherwise since would believe that it is its word.
        if matter(&self.verified).is_some() && !is_last(&self.verified, |about| view.matters.get(about).copied()) {
            return Err(SignerError::Superseded(signer.clone()));
        }
        match &self.effect {
            // These are journaled with all that they do.
            Effect::Heard
            | Effect::Fails { .. }
            | Effect::TakesOut
            | Effect::Vetoes { .. }
            | Effect::EndsLater
            | Effect::Proposes(_)
            | Effect::Thaws(_) => {}
            Effect::Freezes => certify_frozen(view, Freeze::id(self.verified.digest()))?,
            Effect::Ends(withdrawal) => changes.writes.extend(end(*withdrawal, view)),
            Effect::Rejects(rejecting) => rejecting.count(signer, view, now, &mut changes)?,
            // No news is no error: it was said, and it is acknowledged again.
            Effect::Reports(reporting) => drop(reporting.voice(signer, (view, now), &mut changes)?),
        }
        Ok(Verdict {
            entries: changes.entries,
            writes: changes.writes,
            reply: Ok(Some(first_seen_at)),
        })
    }
}

/// A freeze that is acknowledged again is in force: whoever repeats it after a thaw would believe that it stops something.
fn certify_frozen(view: &LedgerView, freeze: FreezeId) -> Result<(), SignerError> {
    let mut in_force = view.freezes.iter();
    // With more of them everything is frozen, and the view does not have all.
    let is_frozen = view.freezes.len() > MAX_FREEZES || in_force.any(|one| one.id == freeze);
    is_frozen.then_some(()).ok_or(SignerError::NoFreeze(freeze))
}

/// The end of a withdrawal that has not ended.
fn end(withdrawal: WithdrawalId, view: &LedgerView) -> Option<Write> {
    let record = view.withdrawal.as_ref();
    record
        .is_none_or(|record| record.ended.is_none())
        .then(|| Write::Ended {
            request: withdrawal.request(),
            tag: Tag::WithdrawalCancelled,
        })
}

fn seen(statement: JournaledStatement) -> SeenStatement {
    SeenStatement {
        envelope: statement.envelope,
        first_seen_at: statement.first_seen_at,
    }
}

/// Whether an entry says something of the withdrawal or of a bundle. Who approves or rejects the name of a bundle as a withdrawal's
/// makes no receipt longer.
fn is_of_receipt(bytes: &[u8], withdrawal: WithdrawalId) -> bool {
    match Entry::parse(bytes) {
        Ok(Entry::Statement(entry)) => entry.withdrawals.is_empty() || entry.withdrawals.contains(&withdrawal),
        Ok(
            Entry::Genesis(_)
            | Entry::Activation(_)
            | Entry::Request(_)
            | Entry::Decision(_)
            | Entry::Signature(_)
            | Entry::Freeze(_)
            | Entry::Thaw(_),
        )
        // Verification says what is wrong with it.
        | Err(_) => true,
    }
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
            .filter(|entry| is_of_receipt(&entry.bytes, withdrawal))
            .map(|entry| ProvenEntry {
                index: entry.index,
                bytes: entry.bytes,
                proof: entry.proof,
            })
            .collect(),
        checkpoint: history.checkpoint,
    }
}
