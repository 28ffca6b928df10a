//! The slow, pure part of the pipeline, before the journal's lock: verify statements, parse bytes (docs/adr/0003).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_approval::{
    Attestation, Body, BookState, Envelope, Freeze, Kind, ObservedFact, Request, Screening, ScreeningResult, Statement,
    StatementError, Verified, verify,
};
use countersign_bundle::Bundle;
use countersign_decision::{
    FailedScreening, Observatory, Reading, Reason, Seen, matter, screening_matter, usage_queries,
};
use countersign_policy::UsageQuery;
use countersign_types::{
    AgesFrom, ChainFacts, ChainId, ConflictKey, Destination, Effect, FreezeId, GenesisHash, ParsedTransaction,
    PrincipalId, RequestDigest, StatementDigest, Tag, Timestamp, WithdrawalId,
};

use crate::{
    JournalError, JournaledStatement, LastWord, LedgerView, Reads, SignerError, activation,
    breakers::{self, Suspect},
    entries::{self, Noted},
    freezes,
    spoken::Spoken,
    submission::Decoded,
    watch::{ForeignSpend, unclaimed},
    words::Matter,
};

/// The most lost screenings that an entry names: one of them is enough.
const MAX_FAILED: usize = 16;

/// What a preparation starts from.
pub(crate) struct Ingredients {
    pub(crate) deployment: GenesisHash,
    pub(crate) bundle: Arc<Bundle>,
    /// The bundle in force when the request was first seen, where the journal said that it is another one; otherwise it is
    /// guessed that there is none.
    pub(crate) first: Option<Arc<Bundle>>,
    pub(crate) decoded: Arc<Decoded>,
    pub(crate) journaled: Vec<JournaledStatement>,
    pub(crate) now: Timestamp,
    /// What the observations attest, where the journal said so; otherwise it is guessed that all of them will count.
    pub(crate) facts: Option<ChainFacts>,
    /// Conflict keys of other attempts that are to be looked at as well.
    pub(crate) left_over: BTreeSet<ConflictKey>,
}

/// Everything that was verified and parsed under one bundle. The decision uses it only while that bundle is in force, the
/// journal holds exactly these statements, and they attest the facts that the bytes were read with.
pub(crate) struct Prepared {
    pub(crate) bundle: Arc<Bundle>,
    /// The bundle at first sight, where it is known to be another one.
    pub(crate) first: Option<Arc<Bundle>>,
    pub(crate) verified: Verified,
    pub(crate) request: Request,
    pub(crate) decoded: Arc<Decoded>,
    pub(crate) reading: Reading,
    /// Journaled earlier, in the order of first sight.
    pub(crate) journaled: Vec<Seen>,
    /// Those of them that say that a screening failed, and that do not verify under the roster in force.
    lost: Vec<Screening>,
    /// How many of them are observations.
    pub(crate) observations: usize,
    /// What of them services have said.
    pub(crate) spoken: Spoken,
    /// Verified and about this withdrawal, not journaled about it yet; each observer's in its order. Whether an
    /// observation is about it is the journal's to say.
    pub(crate) fresh: Vec<Verified>,
    /// Why other statements were ignored.
    pub(crate) ignored: Vec<Reason>,
    /// See [`Ingredients`].
    left_over: BTreeSet<ConflictKey>,
}

impl Prepared {
    pub(crate) fn new(from: Ingredients) -> Result<Self, SignerError> {
        let verified = verify(&from.decoded.request, from.bundle.roster())?;
        let Body::Request(request) = &verified.statement().body else {
            let reason = "it is not a request".to_owned();
            return Err(StatementError::Payload {
                kind: Kind::Request,
                reason,
            }
            .into());
        };
        let request = request.as_ref().clone();
        let (mut journaled, mut lost) = (Vec::new(), Vec::new());
        let (mut observations, mut attestations) = (0_usize, 0_usize);
        for statement in from.journaled {
            let (seen, kind, failed) = seen(statement, &from.bundle)?;
            lost.extend(failed);
            observations = observations.saturating_add(usize::from(kind == Kind::Observation));
            attestations = attestations.saturating_add(usize::from(is_attestation(kind)));
            journaled.push(seen);
        }
        let verifying = journaled.iter().filter_map(|seen| seen.verified.as_ref().ok());
        let spoken = Spoken::of(verifying, attestations);
        let (fresh, ignored) = sort_statements(&from.decoded, &from.bundle, &journaled);
        let guessed = || {
            let observatory = Observatory {
                deployment: from.deployment,
                epoch: verified.statement().header.epoch,
                network: &request.network,
                roster: from.bundle.roster(),
                now: from.now,
            };
            let fresh = fresh.iter().map(|verified| first_sight(verified, from.now));
            let statements: Vec<Seen> = journaled.iter().cloned().chain(fresh).collect();
            observatory.observe(&statements).facts().clone()
        };
        let facts = from.facts.unwrap_or_else(guessed);
        Ok(Self {
            reading: Reading::new(&from.bundle, &request, &from.decoded.unsigned, facts),
            bundle: from.bundle,
            first: from.first,
            verified,
            request,
            decoded: from.decoded,
            journaled,
            lost,
            observations,
            spoken,
            fresh,
            ignored,
            left_over: from.left_over,
        })
    }

    /// The withdrawal as breakers see it.
    pub(crate) fn suspect(&self) -> Suspect<'_> {
        Suspect {
            bundle: &self.bundle,
            withdrawal: WithdrawalId::of(self.decoded.digest),
            request: &self.request,
            initiator: self.verified.signer(),
        }
    }

    /// Whom the bytes pay.
    pub(crate) fn paid(&self) -> Vec<String> {
        let paid = self.reading.parsed().map(breakers::paid).unwrap_or_default();
        paid.iter().map(Destination::to_string).collect()
    }

    /// What the decision needs to see of the ledger.
    pub(crate) fn reads(&self) -> Reads {
        let tenant = &self.request.tenant;
        let suspect = self.suspect();
        let statements = std::iter::once(&self.verified).chain(&self.fresh);
        Reads {
            request: Some(self.decoded.digest),
            reference: Some((tenant.clone(), self.request.reference.clone())),
            payments: self
                .request
                .payments
                .iter()
                .map(|payment| (tenant.clone(), payment.reference.clone()))
                .collect(),
            conflict_keys: self.conflict_keys().into_iter().cloned().collect(),
            statements: statements.clone().map(Verified::digest).collect(),
            nonces: statements
                .map(|verified| (verified.signer().clone(), verified.statement().header.nonce))
                .collect(),
            voices: self.fresh.iter().flat_map(|verified| self.voices(verified)).collect(),
            usage: self.usage_queries(),
            spends_since: None,
            sequences: self
                .fresh
                .iter()
                .filter_map(sequence)
                .map(|(source, _)| source)
                .collect(),
            freezes: true,
            marks: vec![breakers::rejections(suspect.withdrawal)],
            made: self.possible_freezes(),
            tallies: suspect.tallies(),
            marked: [suspect.marked(&self.paid()), suspect.covered()].concat(),
            matters: self.matters().into_iter().collect(),
            lists: entries::having(self.bundle.destinations(), &self.destinations()),
            destinations: self.destinations().into_iter().cloned().collect(),
        }
    }
}

impl Prepared {
    /// Where a statement is filed, and who says it there: under this withdrawal, and under every other that it names.
    pub(crate) fn voices(&self, verified: &Verified) -> Vec<(RequestDigest, PrincipalId)> {
        let places = std::iter::once(self.decoded.digest).chain(about(verified));
        let places: BTreeSet<RequestDigest> = places.collect();
        places
            .into_iter()
            .map(|place| (place, verified.signer().clone()))
            .collect()
    }

    /// From when on what it spends ages.
    pub(crate) fn ages_from(&self) -> AgesFrom {
        ages_from(&self.bundle, &self.request)
    }

    /// The conflict keys whose owners are looked up.
    pub(crate) fn conflict_keys(&self) -> BTreeSet<&ConflictKey> {
        self.used_up().iter().chain(&self.left_over).collect()
    }

    /// What the bytes use up.
    pub(crate) fn used_up(&self) -> &[ConflictKey] {
        let own = self.reading.parsed().map(ParsedTransaction::conflict_keys);
        own.unwrap_or_default()
    }

    /// Every counter that the policy in force or the one at first sight may look at.
    fn usage_queries(&self) -> Vec<UsageQuery> {
        let Ok(parsed) = self.reading.parsed() else {
            return Vec::new();
        };
        let bundles = std::iter::once(&self.bundle).chain(&self.first).map(Arc::as_ref);
        usage_queries(bundles, self.verified.signer(), &self.request, parsed)
            .into_iter()
            .collect()
    }

    /// Every freeze that the ruling can make: those that were made are not made again.
    fn possible_freezes(&self) -> Vec<FreezeId> {
        let mut freezes = self.suspect().possible();
        for key in self.reported() {
            let wallets = std::iter::once(self.request.wallet.clone()).chain(unclaimed(&self.bundle, key));
            // Whatever used it up.
            freezes.extend(wallets.map(|wallet| ForeignSpend::new(wallet, key, "").id()));
        }
        freezes
    }

    /// What observers say was used up of what the bytes use up.
    fn reported(&self) -> BTreeSet<&ConflictKey> {
        let keys = self.reading.parsed().map(ParsedTransaction::conflict_keys);
        let keys = keys.unwrap_or_default();
        let mut reported = BTreeSet::new();
        for verified in self.said() {
            let Body::Observation(observation) = &verified.statement().body else {
                continue;
            };
            for fact in &observation.facts {
                if let ObservedFact::Spent { conflict_key, .. } = fact
                    && let Some(key) = keys.iter().find(|key| *key == conflict_key)
                {
                    reported.insert(key);
                }
            }
        }
        reported
    }

    /// What attestations are about, journaled or not.
    fn matters(&self) -> BTreeSet<Matter> {
        let lost = self.lost().map(|(matter, _)| matter);
        let said = self.said().filter_map(whose_matter).map(|(about, _)| about);
        said.chain(lost).collect()
    }

    /// Every screening that some service whom rules ask may have failed, by a statement that verifies no more. Whose statement it was, only the
    /// services' last words say.
    fn lost(&self) -> impl Iterator<Item = (Matter, FailedScreening)> {
        let bundles = std::iter::once(&self.bundle).chain(&self.first);
        let attesters: BTreeSet<&PrincipalId> = bundles.flat_map(|bundle| &bundle.policy().wants().attesters).collect();
        let of_service = |screening: &Screening, by: &PrincipalId| {
            let Screening {
                check,
                withdrawal,
                destination,
                asset,
                ..
            } = screening;
            let matter = screening_matter((*check, *withdrawal), destination, asset);
            let failed = FailedScreening {
                check: *check,
                by: by.clone(),
                destination: destination.clone(),
                asset: asset.clone(),
            };
            ((by.clone(), matter), failed)
        };
        let each = self.lost.iter();
        each.flat_map(move |screening| attesters.clone().into_iter().map(move |by| of_service(screening, by)))
    }

    /// The screenings that failed by such statements, of what the bytes pay, and that their services have said nothing else about since. What
    /// is about something else must not take the place of these; bytes that are not understood may pay anything.
    pub(crate) fn failed(&self, last: impl Fn(&Matter) -> Option<LastWord>) -> BTreeSet<FailedScreening> {
        let stands = |matter: &Matter| last(matter).is_some_and(|word| word.since.is_none());
        let is_of = |effect: &Effect, failed: &FailedScreening| {
            effect.destination() == Some(&failed.destination) && effect.asset() == Some(&failed.asset)
        };
        let parsed = self.reading.parsed().ok();
        let is_paid = |failed: &FailedScreening| {
            parsed.is_none_or(|parsed| parsed.effects().iter().any(|effect| is_of(effect, failed)))
        };
        let failed = self.lost().filter(|(matter, _)| stands(matter));
        let failed = failed.map(|(_, failed)| failed).filter(is_paid);
        failed.take(MAX_FAILED).collect()
    }

    /// The entries of address books that are attested for it, journaled or not.
    pub(crate) fn entries(&self) -> BTreeSet<Matter> {
        let of_books = self
            .said()
            .filter(|verified| match verified.statement().body.attestation() {
                Some(Attestation::AddressBook(_)) => true,
                Some(Attestation::Price(_) | Attestation::Screening(_)) | None => false,
            });
        of_books.filter_map(whose_matter).map(|(about, _)| about).collect()
    }

    /// What was said about it and verifies, journaled or not.
    fn said(&self) -> impl Iterator<Item = &Verified> {
        let journaled = self.journaled.iter().filter_map(|seen| seen.verified.as_ref().ok());
        journaled.chain(&self.fresh)
    }

    /// Everywhere that the bytes pay.
    fn destinations(&self) -> BTreeSet<&Destination> {
        let parsed = self.reading.parsed();
        let effects = parsed.map(ParsedTransaction::effects).unwrap_or_default();
        effects.iter().filter_map(Effect::destination).collect()
    }

    /// Since when the lists in force name where the bytes pay.
    pub(crate) fn listed(&self, view: &LedgerView) -> BTreeMap<Destination, Timestamp> {
        let noted = Noted {
            listed: &view.listed,
            lists: &view.lists,
        };
        entries::since(self.bundle.destinations(), &self.destinations(), noted)
    }
}

/// What an attestation is about and who makes it, and its number. `None` for other statements.
pub(crate) fn whose_matter(verified: &Verified) -> Option<(Matter, u64)> {
    let (matter, sequence) = matter(verified)?;
    Some(((verified.signer().clone(), matter), sequence))
}

/// Whether a statement is one service's word about one matter.
pub(crate) fn is_attestation(kind: Kind) -> bool {
    match kind {
        Kind::Price | Kind::Screening | Kind::AddressBook => true,
        Kind::Request
        | Kind::Approval
        | Kind::Rejection
        | Kind::Cancel
        | Kind::Activation
        | Kind::Observation
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Veto
        | Kind::Replace => false,
    }
}

/// From when on what a request spends ages. A wallet that the bundle lacks signs nothing.
pub(crate) fn ages_from(bundle: &Bundle, request: &Request) -> AgesFrom {
    let wallet = bundle.registry().wallets().wallet(&request.wallet);
    let site = wallet.and_then(|wallet| wallet.networks.get(&request.network));
    site.map_or(AgesFrom::Mined, |site| site.ages_from)
}

/// An observer on a network, and where it is in its order. `None` for other statements.
pub(crate) fn sequence(verified: &Verified) -> Option<((PrincipalId, ChainId), u64)> {
    let Body::Observation(observation) = &verified.statement().body else {
        return None;
    };
    let source = (verified.signer().clone(), observation.network.clone());
    Some((source, observation.sequence))
}

/// A statement as it is seen when it is journaled now.
pub(crate) fn first_sight(verified: &Verified, now: Timestamp) -> Seen {
    Seen {
        digest: verified.digest(),
        verified: Ok(verified.clone()),
        first_seen_at: now,
    }
}

/// Splits what was handed in: known already, fresh, or to be ignored.
fn sort_statements(decoded: &Decoded, bundle: &Bundle, journaled: &[Seen]) -> (Vec<Verified>, Vec<Reason>) {
    let withdrawal = WithdrawalId::of(decoded.digest);
    let signer = |seen: &Seen| Some(seen.verified.as_ref().ok()?.signer().clone());
    let known = journaled.iter().map(|seen| (seen.digest, signer(seen)));
    let mut known: BTreeMap<StatementDigest, Option<PrincipalId>> = known.collect();
    let (mut fresh, mut ignored) = (Vec::new(), Vec::new());
    for envelope in &decoded.statements {
        match certify(envelope.as_ref(), bundle, withdrawal) {
            Ok(verified) => match known.get(&verified.digest()) {
                None => {
                    known.insert(verified.digest(), Some(verified.signer().clone()));
                    fresh.push(verified);
                }
                Some(first) if first.as_ref() == Some(verified.signer()) => {}
                Some(_) => ignored.push(not_first(&verified)),
            },
            Err(reason) => ignored.push(reason),
        }
    }
    // An observer's statements in its own order, whatever order they came in; people's keep theirs. Of attestations the latest
    // first: what it replaces is not admitted beside it.
    fresh.sort_by_key(|verified| {
        let observed = sequence(verified).map(|(_, sequence)| sequence);
        observed.or(matter(verified).map(|(_, sequence)| u64::MAX.saturating_sub(sequence)))
    });
    (fresh, ignored)
}

/// Why a statement is ignored whose very text somebody else signed before. A digest names a text, not who signed it.
fn not_first(verified: &Verified) -> Reason {
    let message = SignerError::NotFirst(verified.signer().clone()).to_string();
    Reason::new(Tag::StatementNonceReused, message)
}

/// A journaled statement as it verifies now, its kind, and what it says where it is a failed screening that does not.
fn seen(statement: JournaledStatement, bundle: &Bundle) -> Result<(Seen, Kind, Option<Screening>), SignerError> {
    let damaged = |error: StatementError| JournalError::Damaged(format!("a journaled statement: {error}"));
    let envelope = Envelope::parse(&statement.envelope).map_err(damaged)?;
    let seen = Seen {
        digest: envelope.statement_digest(),
        // A signer who has left the roster since does not count any more, and the decision says so.
        verified: verify(&envelope, bundle.roster()),
        first_seen_at: statement.first_seen_at,
    };
    let lost = match &seen.verified {
        Ok(_) => None,
        Err(_) => failed_screening(&envelope).map_err(damaged)?,
    };
    Ok((seen, envelope.kind(), lost))
}

/// What a statement says, where it says that a screening failed.
fn failed_screening(envelope: &Envelope) -> Result<Option<Screening>, StatementError> {
    if envelope.kind() != Kind::Screening {
        return Ok(None);
    }
    let statement = Statement::parse(envelope.kind(), envelope.payload())?;
    let Body::Screening(screening) = statement.body else {
        return Ok(None);
    };
    Ok((screening.result == ScreeningResult::Fail).then_some(screening))
}

/// A statement that may be journaled for this withdrawal: it verifies, and it is about it.
fn certify(
    envelope: Result<&Envelope, &StatementError>,
    bundle: &Bundle,
    withdrawal: WithdrawalId,
) -> Result<Verified, Reason> {
    let refused = |error: &StatementError| Reason::new(error.tag(), error.to_string());
    let verified = verify(envelope.map_err(refused)?, bundle.roster()).map_err(|error| refused(&error))?;
    if names_none(verified.envelope().kind()) || subjects(&verified).contains(&withdrawal) {
        return Ok(verified);
    }
    let message = format!("a statement of `{}` is not about {withdrawal}", verified.signer());
    Err(Reason::new(Tag::ApprovalOtherWithdrawal, message))
}

/// Whether statements of the kind name no withdrawal, and are about those that need what they say.
fn names_none(kind: Kind) -> bool {
    match kind {
        Kind::Observation | Kind::Price | Kind::AddressBook => true,
        Kind::Request
        | Kind::Approval
        | Kind::Rejection
        | Kind::Cancel
        | Kind::Activation
        | Kind::Screening
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Veto
        | Kind::Replace => false,
    }
}

/// How many statements of one person about one withdrawal leave room for another of this kind. One person cannot make a
/// decision's entry outgrow the log, and whoever has approved too often can still reject and cancel.
pub(crate) fn room(kind: Kind) -> u64 {
    match kind {
        Kind::Approval | Kind::Activation => 4,
        Kind::Rejection => 8,
        Kind::Cancel => 12,
        // Of `MAX_OBSERVATIONS` for all observers: one alone does not use them up.
        Kind::Observation => 16,
        // As for cancels: whoever has approved too often can still raise a ceiling, and nobody does so without end.
        Kind::Replace => 12,
        // Of `MAX_ATTESTATIONS` for all services: the payments of a batch, and quotes that went stale while it waited.
        Kind::Price => 16,
        Kind::Screening | Kind::AddressBook => 48,
        // For each admin: once for every word of hers for a successor of the bundle in force (`MAX_PROPOSALS`, four words each), so that no
        // quorum wears an officer out.
        Kind::Veto => 64,
        // An admin thaws a freeze once at a time, and again after that word has expired.
        Kind::Thaw => 64,
        // Both are filed under names of their own.
        Kind::Request | Kind::Freeze => 0,
    }
}

/// How many statements of its signer leave room for this one. What a service says against a payment has room of its own, behind
/// everything that whoever collects attestations can have journaled before.
pub(crate) fn room_for(verified: &Verified) -> u64 {
    let is_against = match verified.statement().body.attestation() {
        Some(Attestation::Screening(screening)) => screening.result == ScreeningResult::Fail,
        Some(Attestation::AddressBook(entry)) => entry.entry == BookState::Removed,
        Some(Attestation::Price(_)) | None => false,
    };
    let room = room(verified.envelope().kind());
    match is_against {
        true => room.saturating_add(16),
        false => room,
    }
}

/// What the journal files a statement under: the withdrawals that it names, the bundle that it would put in force or stop, or the
/// freeze that it makes or thaws.
pub(crate) fn about(verified: &Verified) -> Vec<RequestDigest> {
    match &verified.statement().body {
        Body::Activation(activation) => vec![activation::subject(activation.bundle)],
        Body::Veto(veto) => vec![
            activation::subject(veto.bundle),
            activation::vetoes_behind(veto.previous),
        ],
        Body::Freeze(_) => vec![freezes::subject(Freeze::id(verified.digest()))],
        Body::Thaw(thaw) => vec![freezes::subject(thaw.freeze)],
        Body::Request(_)
        | Body::Approval(_)
        | Body::Rejection(_)
        | Body::Cancel(_)
        | Body::Observation(_)
        | Body::Replace(_)
        | Body::Price(_)
        | Body::Screening(_)
        | Body::AddressBook(_) => subjects(verified).iter().map(WithdrawalId::request).collect(),
    }
}

/// The withdrawals that a statement names. An observation names none: it is about those that need what it says.
pub(crate) fn subjects(verified: &Verified) -> Vec<WithdrawalId> {
    match &verified.statement().body {
        Body::Request(_) => verified
            .envelope()
            .request_digest()
            .map(WithdrawalId::of)
            .into_iter()
            .collect(),
        Body::Approval(approval) => approval.items.iter().map(|item| item.withdrawal).collect(),
        Body::Rejection(rejection) => rejection.items.iter().map(|item| item.withdrawal).collect(),
        Body::Cancel(cancel) => vec![cancel.withdrawal],
        Body::Replace(replace) => vec![replace.withdrawal],
        Body::Screening(screening) => vec![screening.withdrawal],
        Body::Activation(_)
        | Body::Observation(_)
        | Body::Freeze(_)
        | Body::Thaw(_)
        | Body::Veto(_)
        | Body::Price(_)
        | Body::AddressBook(_) => Vec::new(),
    }
}
