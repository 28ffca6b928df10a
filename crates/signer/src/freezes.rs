//! Freezes: officers make them, quorums thaw them, and everybody at the second listener sees them (docs/adr/0016).

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{
    Body, Envelope, Freeze, FreezeScope, Header, Kind, Quorum, Roster, Statement, StatementError, Thaw, Verified,
    verify,
};
use countersign_bundle::Bundle;
use countersign_decision::{
    Entry, EntryError, FreezeCause, FreezeEntry, FreezeFact, FreezeList, ListedFreeze, MAX_FREEZES, ThawEntry,
};
use countersign_types::{
    Destination, Duration, FreezeId, GenesisHash, PrincipalId, RequestDigest, StatementDigest, Timestamp, UtcSeconds,
};

use crate::{
    FreezeRecord, JournaledStatement, LedgerView, LogEntry, Reads, Signer, SignerError, Write, changes::Changes,
    words::heard,
};

/// A freeze as decisions see it.
pub(crate) fn freeze_fact(record: &FreezeRecord) -> FreezeFact {
    FreezeFact {
        freeze: record.id,
        scope: record.scope.clone(),
        since: record.since,
    }
}

/// An officer freezes what the bundle in force knows: the acknowledgement of a misspelt name would be believed.
pub(crate) fn certify_freeze(bundle: &Bundle, person: &PrincipalId, freeze: &Freeze) -> Result<(), SignerError> {
    if !bundle.roster().is_officer(person) {
        return Err(SignerError::NotPermitted {
            signer: person.clone(),
            reason: "only an officer freezes",
        });
    }
    let registry = bundle.registry();
    let is_known = match &freeze.scope {
        FreezeScope::All => true,
        FreezeScope::Wallet(wallet) => registry.wallets().wallet(wallet).is_some(),
        FreezeScope::Network(network) => registry.network(network).is_some(),
        // No effect has another asset than those of the registry.
        FreezeScope::Asset(asset) => registry.assets().asset(asset).is_some(),
        FreezeScope::Destination(destination) => is_destination(bundle, destination),
        FreezeScope::Initiator(initiator) => bundle.roster().contains(initiator),
        FreezeScope::Tenant(tenant) => bundle.roster().tenants().any(|known| known == tenant),
    };
    if is_known {
        Ok(())
    } else {
        Err(SignerError::UnknownScope(freeze.scope.clone()))
    }
}

/// Whether a destination is written as the effects of its network write it: in other letters it would be nobody's.
pub(crate) fn is_destination(bundle: &Bundle, destination: &Destination) -> bool {
    let known = bundle
        .registry()
        .parse_destination(destination.chain(), destination.address());
    known.is_ok_and(|known| known == *destination)
}

/// What the journal files statements about a freeze under: the officer's that made it, and the admins' that thaw it. Digests of one
/// length, each over text that names its kind: a freeze's is never that of a request.
pub(crate) fn subject(freeze: FreezeId) -> RequestDigest {
    RequestDigest::from_bytes(*freeze.as_bytes())
}

/// A thaw on its way: who may lift the freeze, how long that takes, and who has spoken.
pub(crate) struct Thawing {
    freeze: FreezeId,
    admins: Quorum,
    delay: Duration,
    said: Said,
}

/// What is journaled about a freeze.
struct Said {
    /// All of it, whoever said it.
    statements: BTreeSet<StatementDigest>,
    /// The thaws of people who are admins of the bundle in force.
    thaws: Vec<(PrincipalId, Header)>,
}

impl Said {
    fn read(roster: &Roster, statements: &[JournaledStatement]) -> Result<Self, StatementError> {
        let mut said = Self {
            statements: BTreeSet::new(),
            thaws: Vec::new(),
        };
        for (digest, verified) in heard(statements, |envelope| verify(envelope, roster))? {
            said.statements.insert(digest);
            let Some(verified) = verified else {
                continue;
            };
            let is_thaw = verified.envelope().kind() == Kind::Thaw;
            if is_thaw && roster.admins().members().contains(verified.signer()) {
                said.thaws
                    .push((verified.signer().clone(), verified.statement().header));
            }
        }
        Ok(said)
    }

    /// Whose word counts at a moment, and until when: a statement counts from its first sight until it expires.
    fn voices(&self, deployment: GenesisHash, epoch: u64, now: Timestamp) -> BTreeMap<PrincipalId, UtcSeconds> {
        let counts = |(_, header): &&(PrincipalId, Header)| header.certify(deployment, epoch, now).is_ok();
        let voice = |(admin, header): &(PrincipalId, Header)| (admin.clone(), header.validity.expires_at());
        self.thaws.iter().filter(counts).map(voice).collect()
    }
}

impl Thawing {
    /// What is known of the freeze is filed there.
    pub(crate) fn subject(&self) -> RequestDigest {
        subject(self.freeze)
    }

    /// Whether nobody has spoken since it was read who had spoken.
    pub(crate) fn is_current(&self, view: &LedgerView) -> bool {
        view.about.len() == self.said.statements.len()
            && view
                .about
                .iter()
                .all(|statement| self.said.statements.contains(statement))
    }

    /// Counts one voice. The one that completes the quorum sets the end of the freeze. A person is one voice, and of those who
    /// spoke earlier only admins of now count whose statements have not expired.
    pub(crate) fn count(
        &self,
        thaw: &Verified,
        view: &LedgerView,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), SignerError> {
        let mut in_force = view.freezes.iter();
        let freeze = in_force.find(|freeze| freeze.id == self.freeze);
        let freeze = freeze.ok_or(SignerError::NoFreeze(self.freeze))?;
        let (admin, header) = (thaw.signer(), &thaw.statement().header);
        let earlier = self.said.voices(header.deployment, view.epoch, now);
        // One at a time: admins do not grow the journal by saying it again.
        if earlier.contains_key(admin) {
            return Err(SignerError::ThawedAlready(admin.clone()));
        }
        let has_spoken = |member: &&PrincipalId| *member == admin || earlier.contains_key(*member);
        let admins: Vec<PrincipalId> = self.admins.members().iter().filter(has_spoken).cloned().collect();
        let is_quorum = u32::try_from(admins.len()).is_ok_and(|found| found >= self.admins.threshold());
        if !is_quorum || freeze.thaws_at.is_some() {
            return Ok(());
        }
        let thaws_at = now.after(self.delay);
        let entry = Entry::Thaw(ThawEntry {
            freeze: self.freeze,
            admins,
            completed_at: now,
            thaws_at,
        });
        changes.entries.push(unaddressed(&entry)?);
        changes.writes.push(Write::Thaw {
            freeze: self.freeze,
            at: thaws_at,
        });
        Ok(())
    }
}

/// An entry that belongs to no withdrawal.
fn unaddressed(entry: &Entry) -> Result<LogEntry, EntryError> {
    Ok(LogEntry {
        bytes: entry.to_bytes()?,
        subjects: Vec::new(),
    })
}

/// An officer's freeze, journaled and logged with its statement.
pub(crate) fn officer_freeze(
    verified: &Verified,
    view: &LedgerView,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(), SignerError> {
    let Body::Freeze(freeze) = &verified.statement().body else {
        return Err(SignerError::NotPermitted {
            signer: verified.signer().clone(),
            reason: "it is no freeze",
        });
    };
    // One more than decisions tell apart freezes everything, and so is taken: whoever is told that everything is frozen has to be told the truth.
    if view.freezes.len() > MAX_FREEZES {
        return Err(SignerError::TooManyFreezes(view.freezes.len()));
    }
    let cause = FreezeCause::Statement {
        statement: verified.digest(),
        officer: verified.signer().clone(),
    };
    Ok(freeze_now(freeze.scope.clone(), cause, now, changes)?)
}

/// Writes and logs a freeze. Its name must be new.
pub(crate) fn freeze_now(
    scope: FreezeScope,
    cause: FreezeCause,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(), EntryError> {
    let freeze = cause.freeze(&scope);
    let text = cause.to_string();
    let entry = Entry::Freeze(FreezeEntry {
        freeze,
        scope: scope.clone(),
        cause,
        since: now,
    });
    changes.entries.push(unaddressed(&entry)?);
    changes.writes.push(Write::Freeze {
        freeze,
        scope,
        cause: text,
    });
    Ok(())
}

/// Why an officer froze. The name of the freeze is made of the statement, so no other text passes for it.
fn reason(freeze: FreezeId, statements: &[JournaledStatement]) -> Option<String> {
    statements.iter().find_map(|statement| {
        let envelope = Envelope::parse(&statement.envelope).ok()?;
        let statement = Statement::parse(envelope.kind(), envelope.payload()).ok()?;
        let Body::Freeze(said) = statement.body else {
            return None;
        };
        (Freeze::id(envelope.statement_digest()) == freeze).then_some(said.reason)
    })
}

impl Signer {
    /// Only an admin of the bundle in force thaws; an officer who is none does not.
    pub(crate) async fn thawing(
        &self,
        bundle: &Bundle,
        person: &PrincipalId,
        thaw: &Thaw,
    ) -> Result<Thawing, SignerError> {
        let admins = bundle.roster().admins();
        if !admins.members().contains(person) {
            return Err(SignerError::NotPermitted {
                signer: person.clone(),
                reason: "only an admin thaws",
            });
        }
        let statements = self.journal.statements(subject(thaw.freeze)).await?;
        Ok(Thawing {
            freeze: thaw.freeze,
            admins: admins.clone(),
            delay: bundle.roster().thaw_delay(),
            said: Said::read(bundle.roster(), &statements)?,
        })
    }

    /// The freezes in force, signed by the log key, with why officers made them and who thaws them.
    pub async fn freezes(&self) -> Result<Vec<u8>, SignerError> {
        let reads = |_: Option<&Bundle>| Reads {
            freezes: true,
            ..Reads::default()
        };
        let read = self.read_in_force(reads, |view| (view.epoch, view.freezes.clone()));
        let (bundle, (epoch, freezes), now) = read.await?;
        let roster = bundle.as_deref().map(Bundle::roster);
        let mut listed = Vec::new();
        for record in freezes {
            let statements = self.journal.statements(subject(record.id)).await?;
            let said = roster.map(|roster| Said::read(roster, &statements)).transpose()?;
            let voices = said.map(|said| said.voices(self.genesis.hash(), epoch, now));
            listed.push(ListedFreeze {
                freeze: record.id,
                scope: record.scope,
                cause: record.cause,
                reason: reason(record.id, &statements),
                since: record.since.to_seconds(),
                thawed_by: voices.unwrap_or_default(),
                thaws_at: record.thaws_at.map(Timestamp::to_seconds),
            });
        }
        let list = FreezeList {
            deployment: self.genesis.hash(),
            as_of: now.to_seconds(),
            quorum: roster.map_or(self.genesis.admins(), Roster::admins).threshold(),
            freezes: listed,
        };
        let signature = self.notary.sign(list.text().as_bytes());
        Ok(list.seal(&self.log_key, &signature)?)
    }
}
