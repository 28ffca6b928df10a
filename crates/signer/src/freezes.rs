//! Freezes: officers make them, quorums thaw them, and everybody at the second listener sees them (docs/adr/0016).

use countersign_approval::{Body, Freeze, FreezeScope, Quorum, Thaw, Verified};
use countersign_bundle::Bundle;
use countersign_decision::{
    Entry, EntryError, FreezeCause, FreezeEntry, FreezeFact, FreezeList, ListedFreeze, MAX_FREEZES, ThawEntry,
};
use countersign_types::{Destination, Duration, FreezeId, PrincipalId, Timestamp};

use crate::{
    FreezeRecord, LedgerView, LogEntry, Reads, Signer, SignerError, Verdict, Write, changes::Changes, propose,
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

/// A thaw on its way: who may lift the freeze, and how long that takes.
pub(crate) struct Thawing {
    freeze: FreezeId,
    admins: Quorum,
    delay: Duration,
}

/// Only an admin of the bundle in force thaws; an officer who is none does not.
pub(crate) fn certify_thaw(bundle: &Bundle, person: &PrincipalId, thaw: &Thaw) -> Result<Thawing, SignerError> {
    let admins = bundle.roster().admins();
    if !admins.members().contains(person) {
        return Err(SignerError::NotPermitted {
            signer: person.clone(),
            reason: "only an admin thaws",
        });
    }
    Ok(Thawing {
        freeze: thaw.freeze,
        admins: admins.clone(),
        delay: bundle.roster().thaw_delay(),
    })
}

impl Thawing {
    /// What its voices are marked under.
    pub(crate) fn topic(&self) -> String {
        format!("thaw {}", self.freeze)
    }

    /// Counts one voice. The one that completes the quorum sets the end of the freeze; a person is one voice, and of those
    /// who spoke earlier only admins of now count.
    pub(crate) fn count(
        &self,
        admin: &PrincipalId,
        view: &LedgerView,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), SignerError> {
        let mut in_force = view.freezes.iter();
        let freeze = in_force.find(|freeze| freeze.id == self.freeze);
        let freeze = freeze.ok_or(SignerError::NoFreeze(self.freeze))?;
        let topic = self.topic();
        let earlier = view.marks.get(&topic);
        // One statement a person: admins do not grow the journal by saying it again.
        if earlier.is_some_and(|voices| voices.contains_key(admin.as_str())) {
            return Err(SignerError::ThawedAlready(admin.clone()));
        }
        changes.writes.push(Write::Mark {
            topic,
            name: admin.to_string(),
        });
        let has_spoken = |member: &&PrincipalId| {
            *member == admin || earlier.is_some_and(|voices| voices.contains_key(member.as_str()))
        };
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
    if view.freezes.len() >= MAX_FREEZES {
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

impl Signer {
    /// The freezes in force, signed by the log key.
    pub async fn freezes(&self) -> Result<Vec<u8>, SignerError> {
        let reads = Reads {
            freezes: true,
            ..Reads::default()
        };
        let in_force = |view: &LedgerView, _| Verdict::unchanged(view.freezes.clone());
        let (freezes, now) = propose(self.journal.as_ref(), reads, in_force).await?;
        let listed = |record: FreezeRecord| ListedFreeze {
            freeze: record.id,
            scope: record.scope,
            cause: record.cause,
            since: record.since.to_seconds(),
            thaws_at: record.thaws_at.map(Timestamp::to_seconds),
        };
        let list = FreezeList {
            deployment: self.genesis.hash(),
            as_of: now.to_seconds(),
            freezes: freezes.into_iter().map(listed).collect(),
        };
        let signature = self.notary.sign(list.text().as_bytes());
        Ok(list.seal(&self.log_key, &signature)?)
    }
}
