//! The slow, pure part of the pipeline, before the journal's lock: verify statements, parse bytes (docs/adr/0003).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_approval::{
    Attestation, Body, Kind, ObservedFact, Request, Screening, StatementError, Verified, verify,
};
use countersign_bundle::Bundle;
use countersign_decision::{FailedScreening, Observatory, Reading, Reason, Seen, screening_matter, usage_queries};
use countersign_policy::UsageQuery;
use countersign_types::{
    AgesFrom, ChainFacts, ConflictKey, Destination, Effect, FreezeId, GenesisHash, ParsedTransaction, PrincipalId,
    RequestDigest, Timestamp, WithdrawalId,
};

use crate::{
    JournaledStatement, LastWord, LedgerView, Reads, SignerError,
    breakers::{self, Suspect},
    entries::{self, Noted},
    room::Spoken,
    statements::{about, first_sight, heard_now, sequence, sort_statements, whose_matter},
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
        let heard = from
            .journaled
            .into_iter()
            .map(|statement| heard_now(statement, &from.bundle));
        let heard = heard.collect::<Result<Vec<_>, _>>()?;
        let spoken = Spoken::of(&heard);
        let observations = heard.iter().filter(|heard| heard.kind == Kind::Observation).count();
        let lost = heard.iter().filter_map(|heard| heard.lost.clone()).collect();
        let journaled: Vec<Seen> = heard.into_iter().map(|heard| heard.seen).collect();
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

/// From when on what a request spends ages. A wallet that the bundle lacks signs nothing.
pub(crate) fn ages_from(bundle: &Bundle, request: &Request) -> AgesFrom {
    let wallet = bundle.registry().wallets().wallet(&request.wallet);
    let site = wallet.and_then(|wallet| wallet.networks.get(&request.network));
    site.map_or(AgesFrom::Mined, |site| site.ages_from)
}
