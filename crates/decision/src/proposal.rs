//! What may follow the bundle in force: who has spoken for it or against it, and when it can come into force.
//!
//! Computed from statements alone, by whoever looks: the files of a proposal are with those who proposed it. What a proposal
//! changes is therefore not known here; that one officer is enough where it only tightens is for whoever has the files.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Activation, Body, Envelope, StatementError, Verified, Veto, verify};
use countersign_bundle::Bundle;
use countersign_types::{BundleDigest, GenesisHash, PrincipalId, StatementDigest, Tag, Timestamp, UtcSeconds};
use serde::Serialize;

use crate::{SeenStatement, chain::complete_at};

/// Why something is not what was said about a successor of the bundle in force.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// It does not verify under the roster in force.
    #[error("a statement about what follows the bundle in force does not verify: {0}")]
    Statement(#[from] StatementError),
    /// It is about something else.
    #[error("statement {0} is not about what follows the bundle in force")]
    OtherMatter(StatementDigest),
}

impl ProposalError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Statement(error) => error.tag(),
            Self::OtherMatter(_) => Tag::StatementNotPermitted,
        }
    }
}

/// A bundle that may follow the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Its digest.
    pub bundle: BundleDigest,
    /// Its version.
    pub version: u64,
    /// Who has spoken for it, in the order of first sight.
    pub words: Vec<Word>,
    /// What officers said against it. Words that were seen before the last of these do not count any more.
    pub vetoes: Vec<Objection>,
    /// How many admins are missing, for the moment that most of them agree on.
    pub missing: u32,
    /// When the quorum was complete, and from when on the bundle can come into force: behind the time-lock, and not before the
    /// moment that the admins agreed on. Nothing where admins are missing.
    pub opening: Option<Opening>,
}

/// Somebody's word for a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Word {
    /// Who.
    pub person: PrincipalId,
    /// Whether it is a voice of the quorum.
    pub is_admin: bool,
    /// Whether it is enough alone where the bundle only tightens.
    pub is_officer: bool,
    /// From when on the bundle shall be in force.
    pub not_before: Option<UtcSeconds>,
    /// When the signer says that it first journaled it.
    pub first_seen_at: Timestamp,
    /// When the statement expires.
    pub expires_at: UtcSeconds,
    /// Whether it counts now: no veto came behind it, and the statement has not expired.
    pub counts: bool,
}

/// An officer's veto.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Objection {
    /// Who.
    pub officer: PrincipalId,
    /// Why.
    pub reason: String,
    /// When the signer says that it first journaled it.
    pub vetoed_at: Timestamp,
}

/// When a bundle can come into force by the word of the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Opening {
    /// First sight of the statement that completed the quorum.
    pub complete_at: Timestamp,
    /// From when on.
    pub opens_at: Timestamp,
}

/// Where one looks from.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// The deployment.
    pub deployment: GenesisHash,
    /// Its recovery epoch.
    pub epoch: u64,
    /// The bundle in force.
    pub in_force: &'a Bundle,
    /// The moment.
    pub now: Timestamp,
}

impl Outlook<'_> {
    /// What statements say about bundles that may come next, in the order in which those were first named. The statements
    /// about one bundle stand in the order of their first sight.
    pub fn proposals(&self, said: &[SeenStatement]) -> Result<Vec<Proposal>, ProposalError> {
        let mut proposals: Vec<Proposal> = Vec::new();
        for seen in said {
            let verified = verify(&Envelope::parse(&seen.envelope)?, self.in_force.roster())?;
            let bundle = self.named(&verified)?;
            let at = proposals.iter().position(|known| known.bundle == bundle);
            match at.and_then(|at| proposals.get_mut(at)) {
                Some(known) => self.add(known, &verified, seen.first_seen_at),
                None => {
                    let mut first = self.nothing_said(bundle);
                    self.add(&mut first, &verified, seen.first_seen_at);
                    proposals.push(first);
                }
            }
        }
        proposals.iter_mut().for_each(|proposal| self.conclude(proposal));
        Ok(proposals)
    }

    fn version(&self) -> u64 {
        self.in_force.version().saturating_add(1)
    }

    fn nothing_said(&self, bundle: BundleDigest) -> Proposal {
        Proposal {
            bundle,
            version: self.version(),
            words: Vec::new(),
            vetoes: Vec::new(),
            missing: 0,
            opening: None,
        }
    }

    /// The bundle that a statement is about.
    fn named(&self, verified: &Verified) -> Result<BundleDigest, ProposalError> {
        let (in_force, roster) = (self.in_force.digest(), self.in_force.roster());
        let is_officer = roster.is_officer(verified.signer());
        let is_admin = roster.admins().members().contains(verified.signer());
        match &verified.statement().body {
            Body::Activation(Activation {
                bundle,
                version,
                previous: Some(previous),
                ..
            }) if *previous == in_force && *version == self.version() && (is_officer || is_admin) => Ok(*bundle),
            Body::Veto(Veto { bundle, previous, .. }) if *previous == in_force && is_officer => Ok(*bundle),
            Body::Activation(_)
            | Body::Veto(_)
            | Body::Request(_)
            | Body::Approval(_)
            | Body::Rejection(_)
            | Body::Cancel(_)
            | Body::Observation(_)
            | Body::Freeze(_)
            | Body::Thaw(_)
            | Body::Replace(_)
            | Body::Price(_)
            | Body::Screening(_)
            | Body::AddressBook(_) => Err(ProposalError::OtherMatter(verified.digest())),
        }
    }

    fn add(&self, proposal: &mut Proposal, verified: &Verified, first_seen_at: Timestamp) {
        let (person, header) = (verified.signer(), &verified.statement().header);
        if let Body::Veto(veto) = &verified.statement().body {
            proposal.words.iter_mut().for_each(|word| word.counts = false);
            proposal.vetoes.push(Objection {
                officer: person.clone(),
                reason: veto.reason.clone(),
                vetoed_at: first_seen_at,
            });
        }
        if let Body::Activation(activation) = &verified.statement().body {
            let roster = self.in_force.roster();
            proposal.words.push(Word {
                person: person.clone(),
                is_admin: roster.admins().members().contains(person),
                is_officer: roster.is_officer(person),
                not_before: activation.not_before,
                first_seen_at,
                expires_at: header.validity.expires_at(),
                counts: header.certify(self.deployment, self.epoch, self.now).is_ok(),
            });
        }
    }

    /// Half a quorum for now and half for next month is no quorum for either: each moment has its own.
    fn conclude(&self, proposal: &mut Proposal) {
        let threshold = self.in_force.roster().admins().threshold();
        let mut moments: BTreeMap<Option<UtcSeconds>, Vec<&Word>> = BTreeMap::new();
        for word in proposal.words.iter().filter(|word| word.counts && word.is_admin) {
            moments.entry(word.not_before).or_default().push(word);
        }
        let prospects = moments
            .into_iter()
            .map(|(not_before, words)| self.prospect(not_before, words));
        let (mut most, mut opening) = (0, None::<Opening>);
        for (voices, opens) in prospects {
            most = voices.max(most);
            let earlier = |held: &Opening| opens.is_none_or(|opens| held.opens_at <= opens.opens_at);
            opening = opening.filter(earlier).or(opens);
        }
        proposal.missing = threshold.saturating_sub(most);
        proposal.opening = opening;
    }

    /// How many admins are of one mind about a moment, and when it opens by their word. A word that has expired by then is none.
    fn prospect(&self, not_before: Option<UtcSeconds>, mut words: Vec<&Word>) -> (u32, Option<Opening>) {
        let (threshold, time_lock) = (
            self.in_force.roster().admins().threshold(),
            self.in_force.roster().time_lock(),
        );
        loop {
            let voices: BTreeSet<&PrincipalId> = words.iter().map(|word| &word.person).collect();
            let voices = u32::try_from(voices.len()).unwrap_or(u32::MAX);
            let seen = words.iter().map(|word| (&word.person, word.first_seen_at));
            let Some(complete_at) = complete_at(threshold, seen) else {
                return (voices, None);
            };
            let unlocked_at = complete_at.after(time_lock);
            let opens_at = not_before.map_or(unlocked_at, |wanted| wanted.to_timestamp().max(unlocked_at));
            let before = words.len();
            words.retain(|word| opens_at < word.expires_at.to_timestamp());
            if words.len() == before {
                return (voices, Some(Opening { complete_at, opens_at }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_types::{Duration, Tag};
    use proptest::prelude::*;

    use super::*;
    use crate::Candidate;
    use crate::testing::{World, bundle_files, sealed};

    type Files = BTreeMap<String, Vec<u8>>;

    const LOCK: Duration = Duration::from_secs(3_600);

    struct Scene {
        world: World,
        in_force: Bundle,
        looser: Files,
        said: Vec<SeenStatement>,
    }

    impl Scene {
        fn new() -> Self {
            let world = World::new();
            let mut roster = world.roster();
            roster.admins.time_lock = Some(LOCK);
            let first = sealed(1, None, bundle_files(&roster));
            let in_force = Bundle::load(&first).unwrap();
            let mut looser = first.clone();
            let policy = String::from_utf8(first["policy.yaml"].clone()).unwrap();
            let policy = policy.replace("hard: \"8 ETH\"", "hard: \"9 ETH\"");
            looser.insert("policy.yaml".to_owned(), policy.into_bytes());
            Self {
                looser: sealed(2, Some(in_force.digest()), looser),
                world,
                in_force,
                said: Vec::new(),
            }
        }

        fn after(&self, secs: u32) -> Timestamp {
            self.world.issued_at.after(Duration::from_secs(secs))
        }

        fn next(&self) -> Bundle {
            Bundle::load(&self.looser).unwrap()
        }

        /// A word for the next version at a time, and from when on it shall be in force.
        fn word(&mut self, person: &str, at: u32, not_before: Option<u32>) {
            let body = Body::Activation(Activation {
                bundle: self.next().digest(),
                version: 2,
                previous: Some(self.in_force.digest()),
                not_before: not_before.map(|secs| self.after(secs).to_seconds()),
            });
            self.say(person, at, body);
        }

        fn veto(&mut self, at: u32) {
            let body = Body::Veto(Veto {
                bundle: self.next().digest(),
                previous: self.in_force.digest(),
                reason: "nobody told us".to_owned(),
            });
            self.say("dave", at, body);
        }

        fn say(&mut self, person: &str, at: u32, body: Body) {
            self.said.push(SeenStatement {
                envelope: self.world.sign(person, body).to_bytes(),
                first_seen_at: self.after(at),
            });
        }

        fn at(&self, secs: u32) -> Result<Vec<Proposal>, ProposalError> {
            let outlook = Outlook {
                deployment: self.world.genesis.hash(),
                epoch: countersign_approval::FIRST_EPOCH,
                in_force: &self.in_force,
                now: self.after(secs),
            };
            outlook.proposals(&self.said)
        }

        fn only(&self, secs: u32) -> Proposal {
            let [only] = <[Proposal; 1]>::try_from(self.at(secs).unwrap()).unwrap();
            only
        }
    }

    #[test]
    fn who_has_spoken_and_when_it_opens() {
        let mut scene = Scene::new();
        assert_eq!(scene.at(0).unwrap(), []);
        scene.word("alice", 10, None);
        scene.word("alice", 20, None);
        scene.word("dave", 30, None);
        let waiting = scene.only(40);
        assert_eq!((waiting.version, waiting.missing, waiting.opening), (2, 1, None));
        let people: Vec<_> = waiting.words.iter().map(|word| word.person.as_str()).collect();
        assert_eq!(people, ["alice", "alice", "dave"]);
        assert_eq!((waiting.words[0].is_admin, waiting.words[0].is_officer), (true, false));
        assert_eq!((waiting.words[2].is_admin, waiting.words[2].is_officer), (false, true));
        scene.word("bob", 50, None);
        let opening = Opening {
            complete_at: scene.after(50),
            opens_at: scene.after(50 + LOCK.secs()),
        };
        assert_eq!((scene.only(60).missing, scene.only(60).opening), (0, Some(opening)));
        // Their words are of one day.
        assert_eq!(scene.only(86_399).opening, Some(opening));
        let expired = scene.only(86_400);
        assert_eq!((expired.missing, expired.opening), (2, None));
        assert!(expired.words.iter().all(|word| !word.counts));
    }

    /// Words of one day for a moment behind it: they would be told to wait for what never comes.
    #[test]
    fn what_expires_before_it_opens_is_missing() {
        let mut scene = Scene::new();
        scene.word("alice", 10, Some(86_399));
        scene.word("bob", 10, Some(86_399));
        assert_eq!(scene.only(20).opening.unwrap().opens_at, scene.after(86_399));
        let mut late = Scene::new();
        late.word("alice", 10, Some(86_400));
        late.word("bob", 10, Some(86_400));
        late.word("carol", 10, None);
        assert_eq!((late.only(20).missing, late.only(20).opening), (1, None));
    }

    #[test]
    fn a_veto_takes_what_was_said_before() {
        let mut scene = Scene::new();
        scene.word("alice", 10, None);
        scene.word("bob", 10, None);
        scene.veto(20);
        scene.word("carol", 30, None);
        let waiting = scene.only(40);
        assert_eq!((waiting.missing, waiting.opening), (1, None));
        assert_eq!(waiting.vetoes[0].officer, "dave".parse().unwrap());
        assert_eq!(waiting.vetoes[0].reason, "nobody told us");
        let counts: Vec<_> = waiting.words.iter().map(|word| word.counts).collect();
        assert_eq!(counts, [false, false, true]);
    }

    #[test]
    fn what_is_about_something_else_is_refused() {
        let refused = |person: &str, change: fn(&mut Activation)| {
            let mut scene = Scene::new();
            let mut activation = Activation {
                bundle: scene.next().digest(),
                version: 2,
                previous: Some(scene.in_force.digest()),
                not_before: None,
            };
            change(&mut activation);
            scene.say(person, 1, Body::Activation(activation));
            scene.at(2).map(|known| known.len()).map_err(|error| error.tag())
        };
        assert_eq!(refused("alice", |_| ()), Ok(1));
        for change in [
            (|activation| activation.version = 3) as fn(&mut Activation),
            |activation| activation.previous = Some(BundleDigest::of(b"another")),
        ] {
            assert_eq!(refused("alice", change), Err(Tag::StatementNotPermitted));
        }
        assert_eq!(refused("payout-service", |_| ()), Err(Tag::StatementNotPermitted));
        let mut scene = Scene::new();
        scene.said.push(SeenStatement {
            envelope: b"{}".to_vec(),
            first_seen_at: scene.after(0),
        });
        assert!(scene.at(1).is_err());
    }

    #[derive(Debug, Clone)]
    enum Said {
        Word(&'static str, Option<u32>),
        Veto,
    }

    fn said() -> impl Strategy<Value = Vec<(u32, Said)>> {
        let person = prop_oneof![Just("alice"), Just("bob"), Just("carol"), Just("dave")];
        let moment = prop_oneof![3 => Just(None), 1 => Just(Some(5_000)), 1 => Just(Some(90_000))];
        let word = (person, moment).prop_map(|(person, moment)| Said::Word(person, moment));
        let one = prop_oneof![6 => word, 1 => Just(Said::Veto)];
        prop::collection::vec((0..2_000_u32, one), 0..7)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What people are told is what the signer decides by: a bundle that loosens opens exactly then, and is missing as many.
        #[test]
        fn it_opens_when_the_signer_says_so(said in said(), now in 0..100_000_u32) {
            let mut scene = Scene::new();
            let mut at = 0;
            let mut vetoed = 0;
            for (pause, said) in said {
                at += pause;
                match said {
                    Said::Word(person, not_before) => scene.word(person, at, not_before),
                    Said::Veto => {
                        scene.veto(at);
                        vetoed = scene.said.len();
                    }
                }
            }
            let now = now.max(at);
            let next = Arc::new(scene.next());
            let epoch = countersign_approval::FIRST_EPOCH;
            let in_force = Arc::new(scene.in_force.clone());
            let candidate = Candidate::follow(&scene.world.genesis, epoch, Some(&in_force), next).unwrap();
            let decided = candidate.choose(&scene.said[vetoed..], scene.after(now));
            let told = scene.at(now).unwrap().pop();
            let opening = told.as_ref().and_then(|told| told.opening);
            match decided {
                Ok(step) => {
                    let opening = opening.unwrap();
                    prop_assert!(opening.opens_at <= scene.after(now));
                    prop_assert!(step.complete_at >= opening.complete_at);
                }
                Err(error) if error.tag() == Tag::BundleQuorumShort => prop_assert_eq!(opening, None),
                // Too early, and perhaps for good: what was said may have expired by then.
                Err(error) => {
                    prop_assert_eq!(error.tag(), Tag::BundleTimeLocked);
                    prop_assert!(opening.is_none_or(|opening| opening.opens_at > scene.after(now)));
                    let opens = opening.map(|opening| candidate.choose(&scene.said[vetoed..], opening.opens_at));
                    prop_assert!(opens.is_none_or(|opens| opens.is_ok()), "it opens when it is said to");
                }
            }
        }
    }
}
