//! Putting bundles in force: what people say about the next one is journaled first, and the bundle comes into force once it
//! is enough (docs/adr/0023).
//!
//! An activation's statements are journaled whether or not they suffice yet, because delays count from their first sight.
//! Nothing comes into force by itself: whoever holds the files asks again when the time-lock has run out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_approval::{
    Activation, ActivationError, Body, Envelope, Fingerprint, Genesis, Kind, StatementError, Verified, Veto, verify,
};
use countersign_bundle::Bundle;
use countersign_decision::{
    ActivationEntry, Candidate, ChainError, Entry, EntryError, SeenStatement, Step, certify_owner,
};
use countersign_policy::DestinationLists;
use countersign_types::{BundleDigest, PrincipalId, RequestDigest, StatementDigest, Timestamp};

use crate::{
    Activated, JournalError, JournaledStatement, LedgerView, LogEntry, Reads, Signer, SignerError, Verdict, Write,
    changes::Changes,
    entries::Moves,
    past,
    pipeline::MAX_ROUNDS,
    propose,
    room::room,
    words::{heard, of_kinds},
};

/// The most bundles that one person may sign for behind the bundle in force: alternatives that are discussed, not a way to fill the log.
pub(crate) const MAX_PROPOSALS: usize = 16;

/// What the journal files statements about a bundle under. Subjects are digests of one length, each over text that names its
/// kind, so a bundle's is that of no request; but approvals name withdrawals that nobody has seen yet, and so any digest: what is read
/// under it is told apart by its kind.
pub(crate) fn subject(bundle: BundleDigest) -> RequestDigest {
    RequestDigest::from_bytes(*bundle.as_bytes())
}

/// Certifies that somebody who counts speaks about the bundle that comes next.
pub(crate) fn certify_statement(
    verified: &Verified,
    activation: &Activation,
    in_force: &Bundle,
) -> Result<(), ChainError> {
    let expected = in_force.version().saturating_add(1);
    if activation.version != expected {
        return Err(ChainError::VersionNotNext {
            found: activation.version,
            expected,
        });
    }
    if activation.previous != Some(in_force.digest()) {
        return Err(ChainError::PreviousMismatch);
    }
    certify_signer(verified, in_force)
}

/// What the journal files the vetoes of a bundle's successors under, so that they are found together.
pub(crate) fn vetoes_behind(previous: BundleDigest) -> RequestDigest {
    RequestDigest::of(format!("countersign vetoes behind {previous}\n").as_bytes())
}

/// Certifies that an officer of the bundle in force stops something that was to follow it.
pub(crate) fn certify_veto(verified: &Verified, veto: &Veto, in_force: &Bundle) -> Result<(), SignerError> {
    if !in_force.roster().is_officer(verified.signer()) {
        return Err(SignerError::NotPermitted {
            signer: verified.signer().clone(),
            reason: "only an officer of the bundle in force vetoes",
        });
    }
    if veto.previous != in_force.digest() {
        return Err(ChainError::PreviousMismatch.into());
    }
    Ok(())
}

/// One person's proposals behind the bundle in force. Without a bound one admin could grow the log without end.
pub(crate) struct Proposing {
    topic: String,
    bundle: BundleDigest,
    signer: PrincipalId,
}

/// The topics under which everybody's proposals behind a bundle stand who may make some.
pub(crate) fn topics(in_force: &Bundle) -> Vec<String> {
    let roster = in_force.roster();
    let people = roster.admins().members().union(roster.officers());
    people.map(|person| topic(person, Some(in_force.digest()))).collect()
}

/// The bundles that the marks of a view name.
pub(crate) fn named(view: &LedgerView) -> Result<BTreeSet<BundleDigest>, JournalError> {
    let names = view.marks.values().flat_map(BTreeMap::keys);
    let broken = |name: &str| JournalError::Damaged(format!("a proposal of `{name}`"));
    names.map(|name| name.parse().map_err(|_| broken(name))).collect()
}

fn topic(signer: &PrincipalId, in_force: Option<BundleDigest>) -> String {
    let behind = in_force.map_or_else(|| "the genesis".to_owned(), |digest| digest.to_string());
    format!("proposals of {signer} behind {behind}")
}

impl Proposing {
    pub(crate) fn of(signer: &PrincipalId, bundle: BundleDigest, in_force: Option<BundleDigest>) -> Self {
        Self {
            topic: topic(signer, in_force),
            bundle,
            signer: signer.clone(),
        }
    }

    pub(crate) fn topic(&self) -> String {
        self.topic.clone()
    }

    /// Counts one more, unless it is known or one too many.
    pub(crate) fn count(&self, view: &LedgerView, changes: &mut Changes) -> Result<(), SignerError> {
        let name = self.bundle.to_string();
        let known = view.marks.get(&self.topic);
        if known.is_some_and(|known| known.contains_key(&name)) {
            return Ok(());
        }
        if known.is_some_and(|known| known.len() >= MAX_PROPOSALS) {
            return Err(SignerError::TooManyProposals(self.signer.clone()));
        }
        changes.writes.push(Write::Mark {
            topic: self.topic.clone(),
            name,
        });
        Ok(())
    }
}

/// Under which whoever had a key that has left the roster is marked, for good.
fn former(key: &Fingerprint) -> String {
    format!("former key {key}")
}

fn certify_signer(verified: &Verified, in_force: &Bundle) -> Result<(), ChainError> {
    let (signer, roster) = (verified.signer(), in_force.roster());
    if roster.admins().members().contains(signer) || roster.is_officer(signer) {
        return Ok(());
    }
    Err(ActivationError::NotAdmin(signer.clone()).into())
}

impl Signer {
    /// Journals the statements, and puts the bundle in force if they suffice now, with those that were journaled before.
    /// Until then the answer is what is missing: more admins, or time.
    pub async fn activate(
        &self,
        files: BTreeMap<String, Vec<u8>>,
        statements: Vec<Vec<u8>>,
    ) -> Result<Activated, SignerError> {
        let bundle = Arc::new(Bundle::load(&files).map_err(ChainError::Load)?);
        self.certify_keys(&bundle)?;
        let files = Arc::new(files);
        for _ in 0..MAX_ROUNDS {
            let Some(round) = self.prepare_activation(&bundle, &files, &statements).await? else {
                self.refresh().await?;
                continue;
            };
            let reads = round.reads();
            let decide = move |view: &LedgerView, now: Timestamp| {
                let verdict = round.decide(view, now);
                verdict.unwrap_or_else(|error| Verdict::unchanged(Err(error)))
            };
            match propose(self.journal.as_ref(), reads, decide).await?.0? {
                Some(step) => return self.conclude(step),
                None => self.refresh().await?,
            }
        }
        Err(SignerError::Contended)
    }

    fn conclude(&self, step: Step) -> Result<Activated, SignerError> {
        let Some(first) = step.statements.first() else {
            return Err(SignerError::NoBundle);
        };
        self.learn(Arc::clone(&step.bundle), true);
        // With its own statement's first sight, which may lie behind the time-lock.
        let acknowledgement = self.acknowledge(first, step.complete_at)?;
        Ok(Activated {
            version: step.bundle.version(),
            digest: step.bundle.digest(),
            acknowledgement,
        })
    }

    /// Everything that takes long, before the journal's lock: what the step does, what comes and goes, whose signatures hold. What
    /// will be refused is refused here. `None` under a stale predecessor: every answer would be wrong.
    async fn prepare_activation(
        &self,
        bundle: &Arc<Bundle>,
        files: &Arc<BTreeMap<String, Vec<u8>>>,
        statements: &[Vec<u8>],
    ) -> Result<Option<Round>, SignerError> {
        let previous = self.known_active();
        let stand = |view: &LedgerView, _| Verdict::unchanged((view.epoch, view.bundle.clone()));
        let ((epoch, active), now) = propose(self.journal.as_ref(), Reads::default(), stand).await?;
        if active.map(|active| active.digest) != previous.as_deref().map(Bundle::digest) {
            return Ok(None);
        }
        let has_past = previous
            .as_deref()
            .is_some_and(|previous| past::is_asked(previous, bundle));
        let none = DestinationLists::default();
        let lists = previous.as_deref().map_or(&none, Bundle::destinations);
        let mut round = Round {
            genesis: self.genesis.clone(),
            candidate: Candidate::follow(&self.genesis, epoch, previous.as_ref(), Arc::clone(bundle))?,
            moves: Moves::between(lists, bundle.destinations()),
            files: Arc::clone(files),
            said: self.journal.statements(subject(bundle.digest())).await?,
            handed: Vec::new(),
            spends_since: has_past.then(|| past::since(now)),
        };
        round.take(statements, now)?;
        Ok(Some(round))
    }
}

fn known(said: &[JournaledStatement]) -> Result<BTreeSet<StatementDigest>, SignerError> {
    let digest = |statement: &JournaledStatement| Ok(Envelope::parse(&statement.envelope)?.statement_digest());
    said.iter().map(digest).collect()
}

/// One attempt at an activation, under the bundle in force.
struct Round {
    genesis: Genesis,
    candidate: Candidate,
    moves: Moves,
    files: Arc<BTreeMap<String, Vec<u8>>>,
    /// What is journaled about the bundle.
    said: Vec<JournaledStatement>,
    /// What is not yet.
    handed: Vec<Verified>,
    /// From when on the counters of the bundle look back, where it has new ones.
    spends_since: Option<Timestamp>,
}

type Reply = Result<Option<Step>, SignerError>;

impl Round {
    fn reads(&self) -> Reads {
        let about = subject(self.bundle().digest());
        let signer = |verified: &Verified| verified.signer().clone();
        Reads {
            request: Some(about),
            statements: self.handed.iter().map(Verified::digest).collect(),
            nonces: self
                .handed
                .iter()
                .map(|verified| (signer(verified), verified.statement().header.nonce))
                .collect(),
            voices: self.handed.iter().map(|verified| (about, signer(verified))).collect(),
            marks: self
                .handed
                .iter()
                .map(|verified| self.proposing(verified).topic())
                .chain(self.candidate.new_keys().map(|(key, _)| former(key)))
                .collect(),
            lists: self.moves.staying().to_vec(),
            spends_since: self.spends_since,
            ..Reads::default()
        }
    }

    fn bundle(&self) -> &Bundle {
        self.candidate.bundle()
    }

    fn previous(&self) -> Option<&Bundle> {
        self.candidate.previous().map(AsRef::as_ref)
    }

    /// Verifies the statements that are handed in, and leaves aside those that are journaled.
    fn take(&mut self, statements: &[Vec<u8>], now: Timestamp) -> Result<(), SignerError> {
        let said = self.said_by()?;
        let mut seen = BTreeSet::new();
        for bytes in statements {
            let verified = self.certify_handed(bytes)?;
            let header = &verified.statement().header;
            header.certify(self.genesis.hash(), self.candidate.epoch(), now)?;
            match said.get(&verified.digest()) {
                None if seen.insert(verified.digest()) => self.handed.push(verified),
                None => {}
                Some(first) if first.as_ref() == Some(verified.signer()) => {}
                Some(_) => return Err(SignerError::NotFirst(verified.signer().clone())),
            }
        }
        Ok(())
    }

    fn proposing(&self, verified: &Verified) -> Proposing {
        let in_force = self.previous().map(Bundle::digest);
        Proposing::of(verified.signer(), self.bundle().digest(), in_force)
    }

    fn verify(&self, envelope: &Envelope) -> Result<Verified, StatementError> {
        match self.previous() {
            Some(previous) => verify(envelope, previous.roster()),
            None => verify(envelope, &self.genesis),
        }
    }

    /// Who said what is journaled about the bundle; `None` for somebody who has left the roster.
    fn said_by(&self) -> Result<BTreeMap<StatementDigest, Option<PrincipalId>>, SignerError> {
        let said = heard(&self.said, |envelope| self.verify(envelope))?;
        let signer = |verified: Option<Verified>| verified.map(|verified| verified.signer().clone());
        Ok(said
            .into_iter()
            .map(|(digest, verified)| (digest, signer(verified)))
            .collect())
    }

    /// A statement that is handed in with the bundle is about it, and by somebody who counts.
    fn certify_handed(&self, bytes: &[u8]) -> Result<Verified, SignerError> {
        let verified = self.verify(&Envelope::parse(bytes)?)?;
        let is_about = matches!(&verified.statement().body, Body::Activation(activation)
            if activation.bundle == self.bundle().digest()
                && activation.version == self.bundle().version()
                && activation.previous == self.bundle().previous());
        if !is_about {
            return Err(ChainError::from(ActivationError::OtherBundle(verified.signer().clone())).into());
        }
        if let Some(previous) = self.previous() {
            certify_signer(&verified, previous)?;
        }
        Ok(verified)
    }

    /// `None` where the ledger is not the one that the round was prepared under.
    fn decide(&self, view: &LedgerView, now: Timestamp) -> Result<Verdict<Reply>, SignerError> {
        let in_force = view.bundle.as_ref().map(|bundle| bundle.digest);
        let known = known(&self.said)?;
        let is_current = in_force == self.previous().map(Bundle::digest)
            && view.epoch == self.candidate.epoch()
            && view.about.iter().copied().collect::<BTreeSet<_>>() == known
            && view.statements.is_empty();
        if !is_current {
            return Ok(Verdict::unchanged(Ok(None)));
        }
        self.certify_keys(view)?;
        let mut changes = self.first_sights(view, now)?;
        let answer = match self.candidate.choose(&self.pool(now)?, now) {
            Ok(step) => {
                let late = past::late_charges(view, self.previous(), self.bundle(), now)?;
                changes.activation(&step, &self.files)?;
                changes.writes.extend(self.former_keys());
                changes.writes.extend(self.moves.noted(&view.lists, now));
                if !late.is_empty() {
                    changes.writes.push(Write::Backfill { charges: late });
                }
                Ok(Some(step))
            }
            Err(error) => Err(self.explained(error)?.into()),
        };
        Ok(Verdict {
            entries: changes.entries,
            writes: changes.writes,
            reply: answer,
        })
    }

    /// No new key was somebody else's in an earlier bundle.
    fn certify_keys(&self, view: &LedgerView) -> Result<(), SignerError> {
        for (key, person) in self.candidate.new_keys() {
            for before in view.marks.get(&former(key)).into_iter().flatten() {
                let broken = |_| JournalError::Damaged(format!("a former key of `{}`", before.0));
                certify_owner(key, person, &before.0.parse().map_err(broken)?)?;
            }
        }
        Ok(())
    }

    fn former_keys(&self) -> impl Iterator<Item = Write> {
        let keys = self.candidate.former_keys().into_iter();
        keys.map(|(key, person)| Write::Mark {
            topic: former(key),
            name: person.to_string(),
        })
    }

    /// The records of the statements that are seen now.
    fn first_sights(&self, view: &LedgerView, now: Timestamp) -> Result<Changes, SignerError> {
        let mut changes = Changes::default();
        // What comes together has no more room than what comes one after the other.
        let mut said: BTreeMap<&PrincipalId, u64> = BTreeMap::new();
        let mut nonces = BTreeSet::new();
        for verified in &self.handed {
            let header = &verified.statement().header;
            let signer = verified.signer();
            header.certify(self.genesis.hash(), view.epoch, now)?;
            let nonce = (signer.clone(), header.nonce);
            if view.nonce_owners.contains_key(&nonce) || !nonces.insert(nonce) {
                return Err(SignerError::NonceReused(signer.clone()));
            }
            let said = said.entry(signer).or_insert_with(|| {
                let voice = (subject(self.bundle().digest()), signer.clone());
                view.voices.get(&voice).copied().unwrap_or_default()
            });
            if *said >= room(Kind::Activation) {
                return Err(SignerError::TooTalkative(signer.clone()));
            }
            *said = said.saturating_add(1);
            self.proposing(verified).count(view, &mut changes)?;
            changes.statement(verified, Vec::new(), now)?;
        }
        Ok(changes)
    }

    /// The last veto of the bundle, and where it stands among what is said.
    fn last_veto(&self) -> Result<Option<(usize, &JournaledStatement)>, SignerError> {
        let mut last = None;
        for (at, statement) in self.said.iter().enumerate() {
            if Envelope::parse(&statement.envelope)?.kind() == Kind::Veto {
                last = Some((at, statement));
            }
        }
        Ok(last)
    }

    /// Too few signatures, where a veto is why: the admins look for those that they gave.
    fn explained(&self, error: ChainError) -> Result<ChainError, SignerError> {
        let ChainError::Activation(ActivationError::QuorumShort { found, required }) = error else {
            return Ok(error);
        };
        let (Some((_, veto)), Some(previous)) = (self.last_veto()?, self.previous()) else {
            return Ok(error);
        };
        let verified = verify(&Envelope::parse(&veto.envelope)?, previous.roster())?;
        Ok(ChainError::Vetoed {
            officer: verified.signer().clone(),
            at: veto.first_seen_at,
            found,
            required,
        })
    }

    /// Everything that is said about the bundle since it was last vetoed, as it is once this is journaled.
    fn pool(&self, now: Timestamp) -> Result<Vec<SeenStatement>, SignerError> {
        let vetoed = self.last_veto()?.map_or(0, |(at, _)| at.saturating_add(1));
        let said = self.said.iter().skip(vetoed).cloned().collect();
        let said = of_kinds(said, &[Kind::Activation])?.into_iter();
        let said = said.map(|statement| SeenStatement {
            envelope: statement.envelope,
            first_seen_at: statement.first_seen_at,
        });
        let handed = self.handed.iter().map(|verified| SeenStatement {
            envelope: verified.envelope().to_bytes(),
            first_seen_at: now,
        });
        Ok(said.chain(handed).collect())
    }
}

impl Changes {
    /// A bundle comes into force.
    fn activation(&mut self, step: &Step, files: &BTreeMap<String, Vec<u8>>) -> Result<(), EntryError> {
        let entry = ActivationEntry::of(step);
        let statements = entry.statements.clone();
        let entry = Entry::Activation(entry);
        self.entries.push(LogEntry {
            bytes: entry.to_bytes()?,
            subjects: vec![subject(step.bundle.digest())],
        });
        self.writes.push(Write::Bundle {
            version: step.bundle.version(),
            digest: step.bundle.digest(),
            files: files.clone(),
            statements,
        });
        Ok(())
    }
}
