//! Which statements of a call are journaled for its withdrawal, and why others are not.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Body, Kind, Observation, StatementError, Verified};
use countersign_decision::{
    AttemptFact, MAX_ATTESTATIONS, MAX_OBSERVATIONS, MAX_STATEMENTS, Reason, is_about, is_wanted, speaks_for,
};
use countersign_policy::Wants;
use countersign_types::{ChainId, GenesisHash, PrincipalId, StatementNonce, Tag, Timestamp};

use crate::{
    LastWord, LedgerView, SignerError,
    prepare::Prepared,
    room::{MAX_SPOKEN, later_by, room_for},
    statements::{is_attestation, sequence, whose_matter},
    words::{Matter, replaces, word},
};

/// The statements of one call at the door.
pub(crate) struct Admission<'a> {
    pub(crate) deployment: GenesisHash,
    pub(crate) prepared: &'a Prepared,
    pub(crate) view: &'a LedgerView,
    pub(crate) attempts: &'a [AttemptFact],
    /// What the policies look at.
    pub(crate) wants: &'a Wants,
    pub(crate) now: Timestamp,
}

/// Who came in.
#[derive(Default)]
pub(crate) struct Admitted<'a> {
    /// Those that count from now on.
    pub(crate) statements: Vec<&'a Verified>,
    /// Why others do not.
    pub(crate) ignored: Vec<Reason>,
    /// How far observers are that are further than the journal knows.
    pub(crate) sequences: BTreeMap<(PrincipalId, ChainId), u64>,
    /// What services say from now on.
    pub(crate) words: BTreeMap<Matter, LastWord>,
    /// The highest number of those attestations that count from now on.
    latest: BTreeMap<Matter, u64>,
    nonces: BTreeSet<(PrincipalId, StatementNonce)>,
}

impl Admitted<'_> {
    fn count(&self, kind: Kind) -> usize {
        let of_kind = |verified: &&&Verified| verified.envelope().kind() == kind;
        self.statements.iter().filter(of_kind).count()
    }

    fn attestations(&self) -> usize {
        let is_one = |verified: &&&Verified| is_attestation(verified.envelope().kind());
        self.statements.iter().filter(is_one).count()
    }

    /// The number of what a service says on a matter among these, if it does.
    pub(crate) fn later(&self, matter: &Matter) -> Option<u64> {
        self.latest.get(matter).copied()
    }

    /// What a service says last on a matter once these count.
    pub(crate) fn last_word(&self, view: &LedgerView, matter: &Matter) -> Option<LastWord> {
        self.words.get(matter).or_else(|| view.matters.get(matter)).copied()
    }
}

impl<'a> Admission<'a> {
    pub(crate) fn admit(&self) -> Admitted<'a> {
        let mut admitted = Admitted {
            ignored: self.prepared.ignored.clone(),
            nonces: BTreeSet::from([nonce_of(&self.prepared.verified)]),
            ..Admitted::default()
        };
        for verified in &self.prepared.fresh {
            if let Some(reason) = self.refusal(verified, &admitted) {
                admitted.ignored.push(reason);
                continue;
            }
            admitted.nonces.insert(nonce_of(verified));
            admitted.statements.push(verified);
            if let Some((about, sequence)) = whose_matter(verified) {
                let latest = admitted.latest.entry(about).or_insert(sequence);
                *latest = sequence.max(*latest);
            }
            if let Some((source, sequence)) = sequence(verified)
                && self.view.sequences.get(&source).is_none_or(|known| *known < sequence)
            {
                admitted.sequences.insert(source, sequence);
            }
            if let Some((matter, word)) = word(verified, |matter| admitted.last_word(self.view, matter), self.now) {
                admitted.words.insert(matter, word);
            }
        }
        admitted
    }

    fn refusal(&self, verified: &Verified, admitted: &Admitted<'_>) -> Option<Reason> {
        let header = &verified.statement().header;
        if let Err(error) = header.certify(self.deployment, self.view.epoch, self.now) {
            return Some(refused(verified, &error));
        }
        let nonce = nonce_of(verified);
        if !nonce_is_free(self.view, verified) || admitted.nonces.contains(&nonce) {
            let signer = verified.signer();
            let message = format!("`{signer}` used a nonce twice, or signed what somebody else had signed before");
            return Some(Reason::new(Tag::StatementNonceReused, message));
        }
        let (said, standing) = self.said(verified, admitted);
        if standing >= room_for(verified) || (speaks_for(verified) && said >= MAX_SPOKEN) {
            let message = SignerError::TooTalkative(verified.signer().clone()).to_string();
            return Some(Reason::new(Tag::MessageTooLarge, message));
        }
        match &verified.statement().body {
            Body::Observation(observation) => self.observation_refusal(verified, observation, admitted),
            Body::Approval(_) => self.approval_refusal(admitted),
            // Who says no is heard, however many have said yes.
            Body::Rejection(_)
            | Body::Cancel(_)
            | Body::Request(_)
            | Body::Activation(_)
            | Body::Freeze(_)
            | Body::Thaw(_)
            | Body::Veto(_)
            | Body::Replace(_) => None,
            Body::Price(_) | Body::Screening(_) | Body::AddressBook(_) => self.attestation_refusal(verified, admitted),
        }
    }

    fn approval_refusal(&self, admitted: &Admitted<'_>) -> Option<Reason> {
        let others = self.prepared.observations.saturating_add(self.prepared.spoken.total());
        let journaled = self.prepared.journaled.len().saturating_sub(others);
        let others = admitted
            .count(Kind::Observation)
            .saturating_add(admitted.attestations());
        let here = admitted.statements.len().saturating_sub(others);
        let message = format!("at most {MAX_STATEMENTS} statements of people count");
        (journaled.saturating_add(here) >= MAX_STATEMENTS).then(|| Reason::new(Tag::MessageTooLarge, message))
    }

    /// An observation is journaled for a withdrawal that needs it and never behind a later one of its observer, so that
    /// neither an observer nor whoever collects observations can grow the log or bring back what is over.
    fn observation_refusal(
        &self,
        verified: &Verified,
        observation: &Observation,
        admitted: &Admitted<'_>,
    ) -> Option<Reason> {
        let observer = verified.signer();
        let observers = self.prepared.bundle.roster().observers(&observation.network);
        if !observers.is_some_and(|observers| observers.members().contains(observer)) {
            let message = format!("`{observer}` is not an observer of `{}`", observation.network);
            return Some(Reason::new(Tag::StatementNotPermitted, message));
        }
        if !is_about(observation, &self.prepared.reading, self.attempts) {
            let message = format!("an observation of `{observer}` says nothing that the withdrawal needs");
            return Some(Reason::new(Tag::ObservationIrrelevant, message));
        }
        let source = (observer.clone(), observation.network.clone());
        let known = admitted
            .sequences
            .get(&source)
            .or_else(|| self.view.sequences.get(&source));
        if let Some(known) = known.filter(|known| **known > observation.sequence) {
            let message = format!(
                "an observation of `{observer}` has sequence {}, it has said {known} already",
                observation.sequence
            );
            return Some(Reason::new(Tag::ObservationStale, message));
        }
        let total = self
            .prepared
            .observations
            .saturating_add(admitted.count(Kind::Observation));
        let message = format!("at most {MAX_OBSERVATIONS} observations count");
        (total >= MAX_OBSERVATIONS).then(|| Reason::new(Tag::MessageTooLarge, message))
    }

    /// An attestation is journaled for a withdrawal that needs it, and never behind a later word of its service on the matter.
    fn attestation_refusal(&self, verified: &Verified, admitted: &Admitted<'_>) -> Option<Reason> {
        let (signer, kind) = (verified.signer(), verified.envelope().kind());
        let prepared = self.prepared;
        // What never makes a price takes no room from what does.
        if let Body::Price(quote) = &verified.statement().body {
            let roster = prepared.bundle.roster();
            if roster.price_sources_with(quote.currency, signer).is_none() {
                let message = format!("`{signer}` is not a price source in {}", quote.currency);
                return Some(Reason::new(Tag::StatementNotPermitted, message));
            }
        }
        if !is_wanted(verified, self.wants, &prepared.request, prepared.reading.parsed().ok()) {
            let message = format!("a statement of kind `{kind}` by `{signer}` says nothing that the withdrawal needs");
            return Some(Reason::new(Tag::AttestationIrrelevant, message));
        }
        if !replaces(verified, |matter| admitted.last_word(self.view, matter)) {
            let message = format!("`{signer}` has said something later than a statement of kind `{kind}`");
            return Some(Reason::new(Tag::AttestationSuperseded, message));
        }
        let standing = prepared.spoken.standing(later_with(verified, admitted));
        let total = standing.saturating_add(admitted.attestations());
        let message = format!("at most {MAX_ATTESTATIONS} attestations count");
        (total >= MAX_ATTESTATIONS).then(|| Reason::new(Tag::MessageTooLarge, message))
    }

    /// How many statements the signer of one has made about the withdrawal, or about another that it names where that is more, those
    /// of this call included; and how many of them take room. Whoever brings it with one withdrawal has it filed under all.
    fn said(&self, verified: &Verified, admitted: &Admitted<'_>) -> (u64, u64) {
        let signer = verified.signer();
        let over = self.prepared.spoken.over_of(signer, later_with(verified, admitted));
        let here = admitted.statements.iter().filter(|other| other.signer() == signer);
        let here = u64::try_from(here.count()).unwrap_or(u64::MAX);
        let (mut said, mut standing) = (0, 0);
        for voice in self.prepared.voices(verified) {
            let journaled = self.view.voices.get(&voice).copied().unwrap_or_default();
            let over = if voice.0 == self.prepared.decoded.digest {
                over
            } else {
                0
            };
            said = journaled.max(said);
            standing = journaled.saturating_sub(over).max(standing);
        }
        (said.saturating_add(here), standing.saturating_add(here))
    }
}

/// The number of what a service says on a matter once one more statement counts.
fn later_with(verified: &Verified, admitted: &Admitted<'_>) -> impl Fn(&Matter) -> Option<u64> {
    let own = later_by(verified);
    move |about| admitted.later(about).max(own(about))
}

/// Whether a statement is journaled as its signer's, or may be: its nonce is not used, and nobody else signed the same text.
pub(crate) fn nonce_is_free(view: &LedgerView, verified: &Verified) -> bool {
    let digest = verified.digest();
    match view.nonce_owners.get(&nonce_of(verified)) {
        Some(owner) => *owner == digest,
        None => !view.statements.contains_key(&digest),
    }
}

fn nonce_of(verified: &Verified) -> (PrincipalId, StatementNonce) {
    (verified.signer().clone(), verified.statement().header.nonce)
}

fn refused(verified: &Verified, error: &StatementError) -> Reason {
    Reason::new(error.tag(), format!("`{}`: {error}", verified.signer()))
}
